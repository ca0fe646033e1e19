# SPDX-License-Identifier: ISC
"""The output of `popgatectl wiring postfix`, pasted into a shell on mail
servers as admins have them: whom popgate permits relays on every service,
nobody else does, and everything else is as it was."""
import itertools
import re
import sys

import pytest

from lab import client
from lab.dovecot import Dovecot
from lab.pasted import Pasted
from lab.popgate import Popgate
from lab.process import Process, wait_for
from lab.site import PASSWORD, NamespaceSite
from lab.world import World

SMTP = "smtp inet n - n - - smtpd\n"
SUBMISSION = SMTP + """\
submission inet n - n - - smtpd
  -o syslog_name=postfix/submission
"""

# Debian's /etc/postfix as its package makes it, with a submission service
# taken out of its comments.
DEBIAN = """\
# See /usr/share/postfix/main.cf.dist for a commented, more complete version

smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
append_dot_mydomain = no
readme_directory = no
compatibility_level = 3.6
smtpd_tls_security_level=may
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
mua_client_restrictions = permit_sasl_authenticated, reject
mua_helo_restrictions =
mua_sender_restrictions =
mailbox_size_limit = 0
recipient_delimiter = +
"""
DEBIAN_MASTER = """\
smtp      inet  n       -       y       -       -       smtpd
submission inet n       -       y       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=$mua_client_restrictions
  -o smtpd_helo_restrictions=$mua_helo_restrictions
  -o smtpd_sender_restrictions=$mua_sender_restrictions
  -o smtpd_recipient_restrictions=
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o milter_macro_daemon_name=ORIGINATING
"""

CASES = {
    "debian": dict(main=DEBIAN, master=DEBIAN_MASTER),
    "level-0": dict(main="""\
smtpd_relay_restrictions =
smtpd_recipient_restrictions = permit_mynetworks,
    permit_sasl_authenticated,
    reject_unauth_destination,
    reject_unknown_recipient_domain
"""),
    "client-reject": dict(main="""\
compatibility_level = 2
smtpd_client_restrictions = permit_mynetworks, permit_sasl_authenticated,
    check_client_access cidr:{inline}, reject
smtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated,
    reject_unauth_destination
""", files={"inline": "203.0.113.0/24 OK\n"}),
    "sender-reject": dict(main="""\
compatibility_level = 3.6
smtpd_sender_restrictions = permit_mynetworks permit_sasl_authenticated
    check_sender_access inline:{{friend@elsewhere.test=OK}} reject
""", sender="friend@elsewhere.test"),
    "submission": dict(main="""\
compatibility_level = 3.6
mua_client = permit_sasl_authenticated, reject
""", master=SUBMISSION + """\
  -o smtpd_client_restrictions=$mua_client
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_data_restrictions=
"""),
    "delay-reject-no": dict(main="""\
compatibility_level = 3.6
smtpd_delay_reject = no
smtpd_helo_required = yes
smtpd_client_restrictions = permit_mynetworks, reject_unauth_pipelining
smtpd_helo_restrictions = permit_mynetworks, reject_invalid_helo_hostname
""", master=SUBMISSION + """\
  -o smtpd_sender_restrictions=permit_sasl_authenticated,reject
"""),
    "milters": dict(main="""\
compatibility_level = 3.6
smtpd_milters = {{ inet:127.0.0.1:11332, default_action=accept }}
non_smtpd_milters = $smtpd_milters
smtpd_recipient_restrictions = permit_sasl_authenticated,
    check_policy_service {{ inet:127.0.0.1:11332, default_action=DUNNO,
        timeout=1s }}, reject_unlisted_recipient
""", asked=True),
    "old-wiring": dict(main="""\
compatibility_level = 3.6
smtpd_relay_restrictions = permit_auth_destination,
    check_policy_service {{ unix:/var/run/popgate-old/policy.sock, timeout=10s,
        policy_context=asked-at-data }}, reject_unauth_destination
smtpd_data_restrictions = permit_auth_destination,
    check_policy_service unix:/var/run/popgate-old/policy.sock
smtpd_milters = {{ unix:/var/run/popgate-old/milter.sock, default_action=accept }}
"""),
    "sole-gate": dict(main="""\
compatibility_level = 3.6
smtpd_relay_restrictions = check_client_access static:OK, reject
smtpd_milters = {{ unix:/run/popgate/milter.sock, default_action=tempfail }}
milter_default_action = tempfail
"""),
    "reinjection": dict(main="""\
compatibility_level = 3.6
content_filter = smtp:[127.0.0.1]:10024
smtpd_client_restrictions = permit_sasl_authenticated,
    reject_unauth_pipelining
""", master=SMTP + """\
127.0.0.1:10025 inet n - n - - smtpd
  -o content_filter=
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
""", reinjects=10025),
    "classes": dict(main="""\
compatibility_level = 1
smtpd_restriction_classes = strict
strict = reject_unauth_destination
smtpd_recipient_restrictions = permit_sasl_authenticated, strict
"""),
}


# Somebody's milter and policy service: hangs up on who has asked, and tells as
# what. An smtpd that has served before may ask anew once or twice.
OTHER = """\
import socket
with socket.create_server(("127.0.0.1", 11332)) as s:
    while True:
        with s.accept()[0] as client:
            said = client.recv(8)
        if said:
            print("policy" if said == b"request=" else "milter", flush=True)
"""


class Servers:
    def __init__(self):
        self.site = NamespaceSite()
        self.hosts = itertools.count(1)
        try:
            self.world = World(self.site, "world", self.site.world).start()
            self.dovecot = Dovecot(
                self.site, log_file=self.site.mail_log).start()
            self.mta = Pasted(self.site, self.dovecot.sasl)
            self.popgate = Popgate(self.site, ["lab.test"], grace="0s",
                                   trusted=["127.0.0.0/8"])
            self.popgate.ctl("add", "203.0.113.250")    # makes the table
            self.popgate.start_milter()
            self.other = Process("other", [sys.executable, "-c", OTHER],
                                 self.site.log)
            self.other.start().accepts(("127.0.0.1", 11332))
        except BaseException:
            self.close()
            raise

    def close(self):
        self.site.close()

    def asked(self, how):
        return self.other.log.read_text().splitlines().count(how)

    def address(self):
        n = next(self.hosts)
        return f"203.0.113.{n}"

    def logged_in(self):
        address = self.address()
        self.popgate.ctl("add", address)
        return address

    def ports(self):
        return [25] + ([587] if "submission" in self.mta.text("master.cf")
                       else [])

    def rcpt(self, recipient, port=25, address=None, auth=False,
             sender="friend@elsewhere.test"):
        """RCPT's reply; or the reply that ended the session before."""
        with client.Smtp((self.site.address4, port),
                         address or self.address()) as smtp:
            if smtp.greeting.code != 220 or smtp.ehlo.code != 250:
                return smtp.greeting
            if auth:
                assert smtp.auth_plain("alice", PASSWORD).code == 235
            mail = smtp.mail(sender)
            return smtp.rcpt(recipient) if mail.code == 250 else mail


@pytest.fixture(scope="module")
def servers(keep):
    yield from keep(Servers())


def answered(reply):
    return reply if reply.code != 0 else None


@pytest.fixture(params=CASES)
def wired(servers, request):
    """The servers with this configuration; before it is wired, what is said
    to a stranger who writes to us."""
    case = CASES[request.param]
    files = {}
    for name, text in case.get("files", {}).items():
        files[name] = servers.site.root / "etc" / name
        files[name].write_text(text)
    servers.mta.install(case["main"].format(**files),
                        case.get("master", SMTP))
    servers.mta.start()
    try:
        # a server that has just been started may hang up at first
        before = {port: wait_for(lambda: answered(
            servers.rcpt("alice@lab.test", port)), f"an answer at {port}")
            for port in servers.ports()}
        servers.mta.paste(servers.popgate.ctl("wiring", "postfix"))
        yield servers, before, case
    finally:
        servers.mta.stop()


def same(reply, before):
    """The same but for who is named."""
    def text(reply):
        return re.sub("<[^>]*>", "<>", reply.text)
    return reply.code == before.code and text(reply) == text(before)


def test_promises(wired):
    lab, before, case = wired
    remote = "someone@remote.test"

    # nothing is left to do
    assert "there is nothing to do" in lab.popgate.ctl("wiring", "postfix")
    assert lab.popgate.ctl("wiring", "postfix", "--diff") == ""
    for port in lab.ports():
        # popgate's own words, and a row
        stranger = lab.address()
        reply = lab.rcpt(remote, port, stranger)
        if before[port].code == 250 or "5.7.1 <" not in before[port].text:
            assert reply.code == 550 and stranger in reply.text, reply
            lab.popgate.wait_decision(client=stranger, reason="no-login")
            assert len(lab.popgate.decisions(client=stranger)) == 1
        # a logged-in client, recorded once by the channel
        user = lab.logged_in()
        assert lab.rcpt(remote, port, user).code == 250
        lab.popgate.wait_decision(client=user, channel="milter")
        assert len(lab.popgate.decisions(client=user)) == 2
        # and to our own users
        assert lab.rcpt("alice@lab.test", port, user).code == 250
        assert lab.rcpt(remote, port, auth=True).code == 250
        # our own mail as before
        assert same(lab.rcpt("alice@lab.test", port), before[port])

    if case.get("asked"):
        was = {how: lab.asked(how) for how in ("milter", "policy")}
        assert lab.rcpt("alice@lab.test").code == 250
        for how, n in was.items():
            wait_for(lambda: lab.asked(how) > n, f"the other {how}'s question")
        assert "non_smtpd_milters = { inet:127.0.0.1:11332" in \
            lab.mta.text("main.cf")
    if "reinjects" in case:
        with client.Smtp(("127.0.0.1", case["reinjects"])) as smtp:
            smtp.mail("friend@elsewhere.test")
            assert smtp.rcpt(remote).code == 250
            assert smtp.data("token").code == 250

    lab.popgate.milter.kill()
    try:
        for port in lab.ports():
            user = lab.logged_in()
            reply = lab.rcpt("alice@lab.test", port)
            # who is refused may be put off instead
            assert same(reply, before[port]) or (
                before[port].code >= 500 > reply.code >= 400), reply
            reply = lab.rcpt(remote, port, user)
            assert 400 <= reply.code < 500, reply
            assert 400 <= lab.rcpt(remote, port).code < 600
    finally:
        lab.popgate.start_milter()
