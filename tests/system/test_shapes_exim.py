# SPDX-License-Identifier: ISC
"""Shapes of Exim configurations: wired by the printed commands, and asked on
the wire."""
import contextlib

import pytest

from lab import exim, tls, wirings
from lab.client import Smtp
from lab.exim import Exim
from lab.popgate import Popgate
from lab.world import World
from matrix import OWN, REMOTE

TAIL = """\
  require verify = recipient
  accept
"""

SHAPES = {
    # Exim's default configuration of 4.96, and of 4.8x
    "default": exim.ACL,
    "helo and sender checks": """\
acl_check_rcpt:
  accept hosts = :
  deny message = Restricted characters in address
       domains = !+local_domains
       local_parts = ^[./|] : ^.*[@%!] : ^.*/\\\\.\\\\./
  accept local_parts = postmaster
         domains = +local_domains
  deny condition = ${if and {\\
         {>{$rcpt_count}{10}}\\
         {<{$recipients_count}{${eval:$rcpt_count/2}}} }}
  accept hosts = +relay_from_hosts
         control = submission
         control = dkim_disable_verify
  accept authenticated = *
         control = submission/domain=
         control = dkim_disable_verify
  require message = nice hosts say HELO first
          condition = ${if def:sender_helo_name}
  require message = relay not permitted
          domains = +local_domains : +relay_to_domains
""" + TAIL,
    "the end refuses": """\
acl_check_rcpt:
  accept hosts = :
  accept domains = +local_domains : +relay_to_domains
         endpass
         verify = recipient
  accept authenticated = *
  deny message = relay not permitted
""",
    "nothing refuses by a statement": """\
acl_check_rcpt:
  accept authenticated = *
  accept domains = +local_domains : +relay_to_domains
         verify = recipient
""",
    "no AUTH": """\
acl_check_rcpt:
  accept hosts = : +relay_from_hosts
  warn !verify = reverse_host_lookup
  require domains = +local_domains : +relay_to_domains
""" + TAIL,
    "one refusal that spares": """\
acl_check_rcpt:
  deny message = relay not permitted
       !authenticated = *
       !hosts = : +relay_from_hosts
       domains = ! +local_domains : ! +relay_to_domains
  deny domains = +local_domains
       !verify = recipient
  accept
""",
    "macros": """\
OURS = +local_domains : +relay_to_domains
.ifndef NO_AUTH
KNOWN = *
.endif
acl_check_rcpt:
  accept
    hosts = :
  .ifdef KNOWN
  accept
    authenticated = KNOWN
    .ifdef SUBMIT
    control = submission
    .endif
  .endif
  .ifdef STRICT
  deny
    message = never
  .endif
  require
    message = relay not permitted
    domains = OURS
""" + TAIL,
    "another ACL first": """\
acl_exceptions:
  accept hosts = 192.0.2.99
  deny

acl_check_rcpt:
  accept hosts = :
  deny !acl = acl_exceptions
       senders = spammer@elsewhere.test
  accept authenticated = *
         set acl_m_user = $authenticated_id
         set acl_m_known = yes
         add_header = X-Known: $acl_m_known
  deny condition = ${if eq{$sender_helo_name}{spam.test}}
  deny message = relay not permitted
       !domains = +local_domains : +relay_to_domains
""" + TAIL,
    "by port": """\
acl_mx:
  accept hosts = :
  require message = relay not permitted
          domains = +local_domains : +relay_to_domains
""" + TAIL + """
acl_msa:
  accept authenticated = *
  deny message = AUTH first
""",
    "separators": """\
acl_check_rcpt:
  accept hosts = <; 127.0.0.1 ; ::1
  accept authenticated = *
  # \\ is no end of a comment
  require message = relay \\
            # neither is this one
            not permitted
          domains = <; lab.test ; valias.test ; vmail.test; \\
                    relay.test
""" + TAIL,
}
SHAPES["refusals that spare AUTH users"] = """\
acl_check_mail:
  drop !authenticated = *
       hosts = !127.0.0.1
       condition = ${if eq{$sender_helo_name}{bad.example}}
       message = HELO not liked
  accept

acl_check_rcpt:
  accept hosts = :
  accept authenticated = *
         control = submission
  require message = relay not permitted
          domains = +local_domains : +relay_to_domains
  deny message = AUTH first
       sender_domains = +local_domains
       !authenticated = *
""" + TAIL
SHAPES["drop, and verify first"] = """\
acl_check_rcpt:
  accept hosts = :
  drop message = too many bad recipients
       condition = ${if >{$rcpt_fail_count}{5}}
  deny message = nobody of that name
       domains = +local_domains
       !verify = recipient
  accept authenticated = *
         control = submission/sender_retain
  drop message = relay not permitted
       domains = !+local_domains : !+relay_to_domains
  accept
"""
SHAPES["a panel's"] = """\
acl_check_rcpt:
  accept hosts = :
  deny message = your address is not welcome
       hosts = 192.0.2.199
  deny senders = spammer@elsewhere.test
  deny message = Restricted characters in address
       domains = +local_domains
       local_parts = ^[.] : ^.*[@%!/|]
  accept hosts = 192.0.2.198
         endpass
         verify = recipient
  accept domains = +local_domains
         endpass
         verify = recipient
  accept domains = +relay_to_domains
         endpass
         verify = recipient
  accept hosts = +relay_from_hosts
  accept authenticated = *
  deny message = relay not permitted
"""
SHAPES["AUTH at the end"] = """\
acl_check_rcpt:
  accept hosts = : +relay_from_hosts
  accept domains = +local_domains : +relay_to_domains
         verify = recipient
  deny domains = +local_domains : +relay_to_domains
       message = nobody of that name
  require message = AUTH first
          authenticated = *
  accept control = submission
"""
SHAPES["greylisting and limits"] = """\
acl_check_rcpt:
  accept hosts = :
  warn ratelimit = 1000 / 1h / strict
       log_message = many
  accept authenticated = *
  accept hosts = +relay_from_hosts
  require message = relay not permitted
          domains = +local_domains : +relay_to_domains
  defer message = greylisted
        condition = ${if eq{$sender_address_local_part}{grey}}
  deny message = listed
       condition = ${if eq{$sender_host_name}{bad.example}}
""" + TAIL
SHAPES["comments and continued lines"] = """\
acl_check_rcpt:
  accept hosts = :            # this machine

  # users
  accept
    # of ours
    authenticated = *
    control       = submission

  deny    domains       = ! +local_domains : \\
                          ! +relay_to_domains
          message       = relay not \\
                          permitted
""" + TAIL
SHAPES["defer in place of deny"] = """\
acl_check_rcpt:
  accept hosts = :
  accept authenticated = *
  defer message = not now
        !domains = +local_domains : +relay_to_domains
""" + TAIL
BY_A_CONDITION = """\
acl_check_rcpt:
  accept hosts = :
  deny message = relay not permitted
       !authenticated = *
       condition = ${if !match_domain{$domain}\\
                   {+local_domains:+relay_to_domains}}
  accept verify = recipient
"""
MAIN = {"refusals that spare AUTH users": "acl_smtp_mail = acl_check_mail",
        "by port": "acl_smtp_rcpt = ${if eq{$received_port}{587}{acl_msa}"
                   "{acl_mx}}"}
WITHOUT_AUTH = {"no AUTH", "by port"}


class Shapes(wirings.EximClosed):
    """popgate and a world, but no Exim yet."""

    def furnish(self):
        site = self.site
        exim.make_user()
        self.world = World(site, "world", site.world).start()
        tls.certificate(site)
        site.mail_log.touch()
        self.popgate = Popgate(site, self.domains, self.mta_group).start()
        self.mta = None

    @contextlib.contextmanager
    def shape(self, name, n):
        self.mta = mta = Exim(self.site, SHAPES.get(name, BY_A_CONDITION), MAIN.get(name, ""),
                              name=f"exim{n}")
        try:
            mta.wire(self.popgate)
            mta.start()
            yield mta
        finally:
            mta.process.stop()


@pytest.fixture(scope="module")
def lab(keep):
    yield from keep(Shapes())


@pytest.mark.parametrize("name", SHAPES)
def test_shape(lab, name):
    popgate = lab.popgate
    with lab.shape(name, list(SHAPES).index(name)):
        stranger, known = lab.stranger(), lab.stranger()
        popgate.ctl("add", known)
        # a stranger is refused in popgate's words, and recorded
        with lab.smtp(stranger) as smtp:
            sent = smtp.transaction("a@elsewhere.test", REMOTE, OWN)
        assert [reply.code for reply in sent.rcpt] == [550, 250], sent
        assert "Relaying denied for" in sent.rcpt[0].text
        assert sent.data.code == 250
        row = popgate.wait_decision(client=stranger)
        assert (row["reason"], row["recipient"]) == ("no-login", REMOTE)
        assert len(popgate.decisions(client=stranger)) == 1
        lab.delivered_locally(sent.token)
        # who has logged in relays, who has shown a password, too
        sent = lab.send(known, REMOTE, OWN)
        assert [reply.code for reply in sent.rcpt] == [250, 250], sent
        assert lab.world.wait_recipients(sent.token) == [REMOTE]
        if name not in WITHOUT_AUTH:
            with lab.smtp(lab.stranger()) as smtp:
                assert smtp.auth_plain("carol", "secret").code == 235
                sent = smtp.transaction("carol@lab.test", REMOTE)
            assert sent.data.code == 250, sent
        # no popgate: closed, and our own get their mail
        popgate.milter.kill()
        try:
            for address in (lab.stranger(), known):
                sent = lab.send(address, REMOTE, OWN)
                assert [reply.code for reply in sent.rcpt] == [451, 250], sent
                assert sent.data.code == 250, sent
        finally:
            popgate.start_milter()
        assert "nothing to do" in popgate.ctl("wiring", "exim")


def test_spared(lab):
    """A rule that spares AUTH users spares clients that logged in, and nobody
    else; also when popgate is dead. Nothing of it is recorded but, with
    audit.record = "all", that the recipient is our own."""
    name = "refusals that spare AUTH users"
    popgate = lab.popgate

    def mail(address, sender, helo):
        with Smtp(lab.site.smtp, address, helo) as smtp:
            reply = smtp.mail(sender)
            return reply if reply.code != 250 else smtp.rcpt(OWN)

    with lab.shape(name, "spared"):
        stranger, known = lab.stranger(), lab.stranger()
        popgate.ctl("add", known)
        for sender, helo, words in (
                ("a@elsewhere.test", "bad.example", "HELO not liked"),
                ("alice@lab.test", "good.example", "AUTH first")):
            assert words in mail(stranger, sender, helo).text
            assert mail(known, sender, helo).code == 250
        assert mail(stranger, "a@elsewhere.test", "good.example").code == 250
        for address in (known, stranger):
            row = popgate.wait_decision(client=address)
            assert (row["verdict"], row["reason"]) == ("accept",
                                                       "local-recipient")
            assert len(popgate.decisions(client=address)) == 1
        popgate.milter.kill()
        try:
            assert mail(known, "alice@lab.test", "x.example").code == 550
            assert mail(stranger, "a@elsewhere.test", "x.example").code == 250
        finally:
            popgate.start_milter()


def test_relaying_by_a_condition(lab):
    """A refusal that spares AUTH users may be what keeps Exim closed. Whom
    popgate lets pass there is on record, and was counted."""
    popgate = lab.popgate
    with lab.shape("by a condition", "condition"):
        stranger, known = lab.stranger(), lab.stranger()
        popgate.ctl("add", known)
        assert lab.send(stranger, REMOTE).rcpt[0].code == 550
        sent = lab.send(known, REMOTE)
        assert sent.rcpt[0].code == 250, sent
        rows = popgate.decisions(client=known)
        assert [(row["recipient"], row["verdict"]) for row in rows] == [
            (REMOTE, "accept")]
        # no recipient for whom popgate has refused this client gets through
        popgate.ctl("deny", known)
        assert lab.send(known, REMOTE).rcpt[0].code == 550
        assert lab.send(known, OWN).rcpt[0].code == 250
