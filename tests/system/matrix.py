# SPDX-License-Identifier: ISC
"""The tests of every wiring, on every MTA: promises 1 to 3 of the design.

A test class per wiring (test_postfix.py, test_sendmail.py) inherits these.
The servers are shared by the tests of a class; every test uses client
addresses of its own, so none sees another's logins.
"""
import json
import secrets
import subprocess
import time

import pytest

from lab import forms, tls
from lab.dovecot import login_line
from lab.process import Process, need, wait_for

REMOTE = "user@remote.test"
OWN = "alice@lab.test"


def refused(reply, code=5):
    """A refusal of the right class that says why (RFC 3463: x.7.1, 4.3.x)."""
    assert reply.code // 100 == code, reply
    assert reply.text.lstrip().startswith(
        f"{code}.7." if code == 5 else ("4.7.", "4.3.")), reply
    return reply


def hangs_up_at_data(lab, smtp):
    """One relay was accepted, and its row can't be written: 421, and the
    client can't say DATA once more."""
    with lab.popgate.unwritable_audit():
        assert smtp.command("DATA").code == 421
        assert smtp.command("DATA").code == 0


class Matrix:
    # --- who may relay ---

    @pytest.mark.parametrize("family", [4, 6])
    def test_stranger_is_refused(self, lab, family):
        stranger = lab.stranger(family)
        sent = lab.send(stranger, REMOTE)
        assert sent.data is None
        refused(sent.rcpt[0])
        row = lab.popgate.wait_decision(client=stranger)
        assert (row["verdict"], row["class"]) == ("reject", "relay")
        assert row["reason"] == "no-login"
        assert row["channel"] == lab.channel
        self.nothing_escaped(lab, sent)

    @pytest.mark.parametrize("family", [4, 6])
    @pytest.mark.parametrize("protocol", ["pop3", "imap"])
    def test_login_opens_the_gate(self, lab, protocol, family):
        client = lab.logged_in(protocol, family, "bob")
        sent = lab.send(client, REMOTE)
        assert sent.rcpt[0].code == sent.data.code == 250, sent
        assert lab.world.wait_recipients(sent.token) == [REMOTE]
        row = lab.popgate.wait_decision(client=client, verdict="accept")
        assert row["reason"] == "recent-login"
        assert row["login_user"] == "bob"
        assert row["class"] == "relay"

    def test_failed_login_opens_nothing(self, lab):
        client = lab.stranger()
        lab.login("imap", client, "alice", "wrong")
        lab.login("pop3", client, "alice, rip=" + client, "wrong")
        time.sleep(0.3)
        refused(lab.send(client, REMOTE).rcpt[0])

    def test_own_mail_needs_no_login(self, lab):
        client = lab.stranger()
        sent = lab.send(client, OWN)
        assert sent.data.code == 250, sent
        lab.delivered_locally(sent.token)
        row = lab.popgate.wait_decision(client=client)
        assert (row["class"], row["verdict"]) == ("local", "accept")
        assert (row["reason"], row["channel"]) == ("local-recipient",
                                                   "milter")

    def test_second_lock(self, lab):
        """A relay that the MTA lets through by mistake is refused by the
        milter."""
        with lab.back_door() as smtp:
            sent = smtp.transaction("spammer@elsewhere.test", OWN, REMOTE)
        assert sent.data.code == 250, sent
        refused(sent.rcpt[1])
        lab.delivered_locally(sent.token)
        self.nothing_escaped(lab, sent)

    def test_mail_for_us_arrives(self, lab):
        """Every class of recipient that is ours, from a stranger."""
        sent = lab.send(lab.stranger(), "postmaster@lab.test",
                        "va1@valias.test", "vbox@vmail.test",
                        "relayuser@relay.test", "vaout@valias.test")
        assert [reply.code for reply in sent.rcpt] == [250] * 5, sent
        lab.delivered_locally(sent.token, "alice")
        lab.delivered_locally(sent.token, "vmail/vbox")
        assert lab.inner.wait_recipients(sent.token) == [
            "relayuser@relay.test"]
        # The administrator's own virtual alias leads outside.
        assert lab.world.wait_recipients(sent.token) == [
            "someone@remote.test"]

    def test_auth_relays(self, lab):
        client = lab.stranger()
        with lab.smtp(client) as smtp:
            assert smtp.auth_plain("carol", "secret").code == 235
            sent = smtp.transaction("carol@lab.test", REMOTE)
        assert sent.data.code == 250, sent
        assert lab.world.wait_recipients(sent.token) == [REMOTE]
        row = lab.popgate.wait_decision(client=client, verdict="accept")
        assert row["reason"] == "authenticated"
        assert row["auth_user"].startswith("carol")

    def test_failed_auth_opens_nothing(self, lab):
        with lab.smtp(lab.stranger()) as smtp:
            assert smtp.auth_plain("carol", "wrong").code == 535
            refused(smtp.transaction("carol@lab.test", REMOTE).rcpt[0])

    def test_claimed_auth_opens_nothing(self, lab):
        """MAIL ... AUTH= is what the client says, not what it proved."""
        with lab.smtp(lab.stranger()) as smtp:
            smtp.mail("carol@lab.test", " AUTH=carol@lab.test")
            refused(smtp.rcpt(REMOTE))

    def test_auth_is_of_one_connection(self, lab):
        """Two sessions of one client at once: AUTH in one doesn't leak."""
        client = lab.stranger()
        with lab.smtp(client) as first, lab.smtp(client) as second:
            assert first.auth_plain("carol", "secret").code == 235
            sent = first.transaction("carol@lab.test", REMOTE)
            assert sent.data.code == 250, sent
            sent = second.transaction("carol@lab.test", REMOTE)
            refused(sent.rcpt[0])
        with lab.smtp(client) as third:
            refused(third.transaction("carol@lab.test", REMOTE).rcpt[0])
        row = lab.popgate.wait_decision(client=client, verdict="reject")
        assert not row["auth_user"]
        self.nothing_escaped(lab, sent)

    # --- per recipient, per moment ---

    def test_foreign_recipient_beside_own(self, lab):
        client = lab.stranger()
        sent = lab.send(client, OWN, REMOTE, "bob@lab.test")
        assert sent.rcpt[0].code == 250, sent
        refused(sent.rcpt[1])
        assert sent.rcpt[2].code == 250, sent
        assert sent.data.code == 250
        lab.delivered_locally(sent.token)
        self.nothing_escaped(lab, sent)
        reject = lab.popgate.wait_decision(client=client, verdict="reject")
        if lab.recipient_known:
            assert REMOTE in reject["recipient"]

    def test_forged_own_sender_opens_nothing(self, lab):
        for sender in ("alice@lab.test", "", "postmaster@mail.lab.test"):
            sent = lab.send(lab.stranger(), REMOTE, sender=sender)
            refused(sent.rcpt[0])

    def test_login_counts_at_the_next_recipient(self, lab):
        client = lab.stranger()
        with lab.smtp(client) as smtp:
            smtp.mail("bob@lab.test")
            refused(smtp.rcpt(REMOTE))
            lab.login("imap", client, "bob")
            assert smtp.rcpt(REMOTE).code == 250

    def test_login_expires_inside_a_session(self, lab):
        popgate = lab.popgate
        popgate.collector.stop()
        popgate.configure(window="15s")
        popgate.start_collector()
        try:
            client = lab.logged_in("imap", user="bob")
            with lab.smtp(client) as smtp:
                first = smtp.transaction("bob@lab.test", REMOTE)
                assert first.data.code == 250, first
                ends, = {row["expires_at"] for row in popgate.logins()
                         if row["client"] == client}
                wait_for(lambda: time.time() > ends + 1, "its end")
                second = smtp.transaction("bob@lab.test", REMOTE)
            refused(second.rcpt[0])
            row = popgate.wait_decision(client=client, verdict="reject")
            assert row["reason"] == "login-expired"
        finally:
            popgate.collector.stop()
            popgate.configure()
            popgate.start_collector()
        self.nothing_escaped(lab, second)

    def test_admin_adds_and_deletes(self, lab):
        client = lab.stranger()
        lab.popgate.ctl("add", client)
        assert lab.send(client, REMOTE).data.code == 250
        lab.popgate.ctl("delete", client)
        refused(lab.send(client, REMOTE).rcpt[0])

    def test_why_tells_the_story(self, lab):
        client = lab.logged_in("imap", user="bob")
        lab.send(client, REMOTE)
        story = lab.popgate.ctl("why", client)
        assert "bob" in story and login_line("bob") in story

    # --- rules that an admin adds ---

    def test_denied(self, lab):
        """A client, then a user: at the next recipient of a session."""
        client = lab.logged_in("imap", user="bob")
        with lab.smtp(client) as smtp:
            assert smtp.transaction("bob@lab.test", REMOTE).data.code == 250
            lab.popgate.ctl("deny", client, "--reason", "test")
            refused(smtp.transaction("bob@lab.test", REMOTE).rcpt[0])
            assert smtp.transaction("bob@lab.test", OWN).data.code == 250
            lab.popgate.ctl("undeny", client)
            assert smtp.transaction("bob@lab.test", REMOTE).data.code == 250
            lab.popgate.ctl("deny", "--user", "bob")
            try:
                refused(smtp.transaction("bob@lab.test", REMOTE).rcpt[0])
            finally:
                lab.popgate.ctl("undeny", "--user", "bob")
        row = lab.popgate.wait_decision(client=client, verdict="reject")
        assert (row["reason"], row["rule"]) == ("denied", 2)

    def test_denied_auth(self, lab):
        with lab.smtp(lab.stranger()) as smtp:
            assert smtp.auth_plain("carol", "secret").code == 235
            sent = smtp.transaction("carol@lab.test", REMOTE)
            assert sent.data.code == 250, sent
            row = lab.popgate.wait_decision(
                verdict="accept", reason="authenticated")
            lab.popgate.ctl("deny", "--user", row["auth_user"])
            try:
                refused(smtp.transaction("carol@lab.test", REMOTE).rcpt[0])
            finally:
                lab.popgate.ctl("undeny", "--user", row["auth_user"])

    def test_sender_binding(self, lab):
        client = lab.logged_in("imap", user="bob")
        other = lab.logged_in("imap", user="bob")
        lab.login("pop3", other, "alice")
        with lab.rules('sender_binding = "address"; null_sender = "reject"; '
                       'sender_addresses = [ "append:lab.test" ];'):
            if not lab.sender_known:
                refused(lab.send(client, REMOTE, sender="bob@lab.test")
                        .rcpt[0], 4)
                row = lab.popgate.wait_decision(client=client,
                                                verdict="tempfail")
                assert row["reason"] == "sender-unknown"
                return
            sent = lab.send(client, REMOTE, sender="BOB@Lab.test")
            assert sent.data.code == 250, sent
            lab.world.wait_recipients(sent.token)
            for sender in ("alice@lab.test", "bob@elsewhere.test", "",
                           '"bob"@lab.test@elsewhere.test',
                           *lab.routed_senders,
                           "bob%elsewhere.test@lab.test",
                           "bob@lab.test.elsewhere.test"):
                sent = lab.send(client, REMOTE, sender=sender)
                assert not sent.data, sent
                self.nothing_escaped(lab, sent)
            # two users there: the senders of both
            for sender in ("alice@lab.test", "bob@lab.test"):
                sent = lab.send(other, REMOTE, sender=sender)
                assert sent.data.code == 250, sent
            refused(lab.send(other, REMOTE, sender="carol@lab.test").rcpt[0])
            # who proved himself otherwise isn't bound
            with lab.smtp(client) as smtp:
                assert smtp.auth_plain("carol", "secret").code == 235
                sent = smtp.transaction("x@elsewhere.test", REMOTE)
                assert sent.data.code == 250, sent
            reply = refused(lab.send(client, REMOTE, sender="alice@lab.test")
                            .rcpt[0])
            assert reply.code == 553
            row = lab.popgate.wait_decision(client=client, verdict="reject",
                                            sender="alice@lab.test")
            assert (row["reason"], row["rule"]) == ("sender-mismatch", 8)
            said = lab.popgate.ctl("check", "--client", client, "--from",
                                   "alice@lab.test", "--to", REMOTE)
            assert "bob may not send as alice@lab.test" in said
            assert "reject (sender-mismatch, row 8)" in said
        # and the rule is gone with the reload
        sent = lab.send(client, REMOTE, sender="alice@lab.test")
        assert sent.data.code == 250, sent

    def test_certificates(self, lab):
        site = lab.site
        tls.authority(site, "otherca")      # of the same name, not trusted
        good = tls.client(site, "good", "/O=maillab/CN=client one", "ca")
        bad = tls.client(site, "bad", "/O=maillab/CN=client two", "ca")
        forged = tls.client(site, "forged", "/O=maillab/CN=client one",
                            "otherca")
        alone = tls.client(site, "alone", "/CN=nobody knows me")
        subject, issuer = "client one", "Lab CA"
        if lab.full_names:
            subject, issuer = ("/O=maillab/CN=" + name
                               for name in (subject, issuer))
        wrong_issuer = subject

        def send(certificate):
            client = lab.stranger()
            with lab.smtp(client) as smtp:
                reply = smtp.starttls(certificate and certificate.pem)
                assert reply.code == 220, reply
                return client, smtp.transaction("x@elsewhere.test", REMOTE)

        with lab.rules(f'certificates = ( {{ subject = "{subject}"; '
                       f'issuer = "{issuer}"; }}, {{ fingerprint = '
                       f'"{alone.fingerprint}"; }} );'):
            client, sent = send(good)
            if lab.certificates_known:
                assert sent.rcpt[0].code == sent.data.code == 250, sent
                assert lab.world.wait_recipients(sent.token) == [REMOTE]
                row = lab.popgate.wait_decision(
                    client=client, channel=lab.channel, verdict="accept")
                assert (row["reason"], row["rule"]) == ("certificate", 4)
                assert row["certificate"] == subject
            else:
                refused(sent.rcpt[0])
            client, sent = send(alone)
            if lab.digests:
                assert sent.rcpt[0].code == sent.data.code == 250, sent
                row = lab.popgate.wait_decision(
                    client=client, channel=lab.channel, verdict="accept")
                assert row["certificate"] == \
                    alone.fingerprint.replace(":", "").lower()
            else:
                refused(sent.rcpt[0])
            for certificate in (bad, forged, None):
                client, sent = send(certificate)
                refused(sent.rcpt[0])
                assert lab.popgate.wait_decision(
                    client=client, verdict="reject")["reason"] == "no-login"
                self.nothing_escaped(lab, sent)
        with lab.rules(f'certificates = ( {{ subject = "{subject}"; '
                       f'issuer = "{wrong_issuer}"; }} );'):
            refused(send(good)[1].rcpt[0])
        refused(send(good)[1].rcpt[0])

    # --- limits ---

    def test_hijacked_client_is_stopped(self, lab):
        """Random local parts of one domain, from one client, at full speed:
        it ends within the configured number, and one command says who."""
        with lab.rules(limits='client_senders = "7/1h"; deny_for = "1h";'):
            client = lab.logged_in(user="bob")
            replies, tokens = self.spam(lab, client, 40)
            assert replies[:7] == [250] * 7, replies
            # one is too many, and from then on the client is denied
            assert replies[7] == 450, replies
            assert replies[8:] == [550] * 32, replies
            assert [len(lab.escaped(token)) for token in tokens] == \
                [1] * 7 + [0] * 33
            # our own get their mail all the same
            sent = lab.send(client, OWN)
            assert sent.data.code == 250, sent
            # and no other client is in it
            sent = lab.send(lab.logged_in(), REMOTE)
            assert sent.data.code == 250, sent
            self.says_who(lab, client)
            # kill -9 forgets nothing
            lab.popgate.milter.kill()
            lab.popgate.start_milter()
            replies, _ = self.spam(lab, client, 3)
            assert replies == [550] * 3
            lab.popgate.ctl("undeny", client)
            wait_for(lambda: self.spam(lab, client, 1)[0] == [250],
                     "the end of the denial")

    @staticmethod
    def spam(lab, client, n):
        """Reply codes at RCPT, and the messages' tokens."""
        with lab.smtp(client) as smtp:
            sent = [smtp.transaction(f"{secrets.token_hex(6)}@victim.test",
                                     REMOTE) for _ in range(n)]
        return [s.rcpt[0].code for s in sent], [s.token for s in sent]

    @staticmethod
    def says_who(lab, client):
        breach = wait_for(lambda: lab.popgate.query(
            "audit.db", "SELECT * FROM breach WHERE subject = ?", [client]),
            "the breach in the audit")
        assert len(breach) == 1
        assert breach[0]["setting"] == "client_senders"
        assert breach[0]["user"] == "bob"
        ctl = lab.popgate.ctl
        assert client in ctl("deny", "--list")
        why = ctl("why", client)
        assert "Policy row 2, denied: over limits.client_senders = 7/1h" \
            in why
        assert f"Limit: client {client} went over" in why
        assert f"stopped: client {client} went over" in \
            ctl("spam", "--senders", "5")
        assert client in ctl("spam", "--rejects", "30")

    def test_limit_counts_each_recipient_once(self, lab):
        """Whichever channels see a recipient, it counts once."""
        with lab.rules(limits='client_recipients = "5/1h"; '
                              'client_messages = "3/1h";'):
            client = lab.logged_in()
            first = lab.send(client, REMOTE, OWN, REMOTE, REMOTE)
            assert [r.code for r in first.rcpt] == [250] * 4, first
            second = lab.send(client, REMOTE, REMOTE, REMOTE, OWN)
            assert [r.code for r in second.rcpt] == [250, 250, 450, 250]
            refused(second.rcpt[2], 4)
            assert second.data.code == 250, second
            row = lab.popgate.wait_decision(client=client,
                                            reason="rate-limited")
            assert row["verdict"] == "tempfail" and row["rule"] == 9
            # three messages, and the fourth is one too many
            client = lab.logged_in()
            codes = [lab.send(client, REMOTE).rcpt[0].code
                     for _ in range(4)]
            assert codes == [250, 250, 250, 450]

    @pytest.mark.parametrize("limited", [False, True])
    def test_a_recipient_is_one_in_every_count(self, lab, limited):
        """Two messages to three foreign recipients and one of ours, and one
        that the client gave up: every place that counts says so, with limits
        and without."""
        rate = "5000/1h" if limited else "off"
        keys = ("client_recipients", "client_messages", "client_senders",
                "user_recipients", "user_messages", "user_clients")
        limits = " ".join(f'{key} = "{rate}";' for key in keys)
        with lab.rules(limits=limits):
            self.truth(lab, lab.logged_in("imap", 4, "bob"))

    def truth(self, lab, client):
        def bob():
            rows = lab.popgate.ctl("dependents", "--json").splitlines()
            users = {row["user"]: row for row in map(json.loads, rows)}
            row = users.get("bob", {"recipients": 0, "messages": 0})
            return row["recipients"], row["messages"]

        was, asked = bob(), lab.popgate.health()["decisions"]
        before = lab.popgate.counters()
        first = lab.send(client, REMOTE, "other@remote.test")
        second = lab.send(client, REMOTE, OWN)
        assert first.data.code == second.data.code == 250, (first, second)
        with lab.smtp(client) as smtp:
            smtp.mail("sender@elsewhere.test")
            assert smtp.rcpt(REMOTE).code == 250
            smtp.rset()
        # who has no milter isn't told that a message was given up
        aborted, own = int(lab.aborts_known), int(lab.own_recorded)
        relayed = {"accepted": 4 - aborted, "aborted": aborted}
        wait_for(lambda: lab.popgate.query(
            "audit.db", "SELECT 1 FROM decision WHERE client = ? AND "
            "verdict = 'aborted'", (client,)) or not aborted, "the abort")

        row = dict(lab.popgate.query(
            "audit.db", "SELECT * FROM relay_by_client WHERE client = ?",
            (client,))[0])
        want = {"recipients": 4, "messages": 3, "senders": 1, **relayed}
        assert {key: row[key] for key in want} == want
        for sql, count in (
                ("class = 'relay'", 4), ("class = 'local'", own),
                ("verdict = 'accept' AND class = 'relay'", 4 - aborted),
                ("sender IS NULL OR recipient IS NULL", 0),
                ("queue_id IS NULL AND verdict = 'accept' AND "
                 "channel = 'milter'", 0)):
            assert lab.popgate.query(
                "audit.db", "SELECT sum(count) FROM decision WHERE client = ?"
                f" AND ({sql})", (client,))[0][0] == (count or None), sql
        for command in ("stats", "top"):
            rows = map(json.loads, lab.popgate.ctl(
                command, "--by", "client", "--json", *(
                    ("--limit", "1000") if command == "top" else ())
            ).splitlines())
            row = next(r for r in rows if r["client"] == client)
            assert {key: row[key] for key in want} == want, command

        def suspects(threshold):
            return client in lab.popgate.ctl("spam", "--since", "1h",
                                             "--recipients", threshold)
        assert (suspects("4"), suspects("5")) == (True, False)
        got = bob()
        assert got == (was[0] + 4 - aborted, was[1] + 3 - aborted)
        shown = [json.loads(line) for line in lab.popgate.ctl(
            "decisions", "--client", client, "--json").splitlines()]
        assert sorted(r["verdict"] for r in shown if r["class"] == "relay"
                      ) == ["aborted"] * aborted + ["accept"] * (4 - aborted)
        assert len(shown) == 4 + own
        both = lab.popgate.ctl("decisions", "--client", client, "--channels",
                               "--json").splitlines()
        assert (len(both) > 5) == (lab.closed and aborted == 1)
        why = lab.popgate.ctl("why", client)
        # OWN is recorded here, too: audit.record = "all"
        assert f"Accepted: {4 - aborted + own} recipients in {3 - aborted} " \
            "messages" in why, why
        assert ("given up by the client: 1 recipient in 1 message" in why) == \
            (aborted == 1), why
        assert lab.popgate.health()["decisions"] == asked + 4 + own
        after = lab.popgate.counters()
        assert after["decisions"] - before["decisions"] == 4 + own
        assert after["recipients_aborted"] - \
            before["recipients_aborted"] == aborted
        assert after["decisions_overruled"] == before["decisions_overruled"]

    def test_limit_of_a_stolen_password(self, lab):
        """SMTP AUTH counts for the user, from wherever it comes."""
        with lab.rules(limits='user_recipients = "5/1h"; deny_for = "1h"; '
                              'client_recipients = "3/1h";'):
            # other tests of this class may have used some
            before = len(lab.popgate.decisions(
                verdict="accept", channel="milter", reason="authenticated"))
            codes = []
            for _ in range(3):
                with lab.smtp(lab.stranger()) as smtp:
                    assert smtp.auth_plain("carol", "secret").code == 235
                    codes += [smtp.transaction("carol@lab.test", REMOTE)
                              .rcpt[0].code for _ in range(3)]
            listed = wait_for(lambda: [
                deny["subject"] for deny in map(json.loads, lab.popgate.ctl(
                    "deny", "--list", "--json").splitlines())
                if deny["kind"] == "user"], "the denial")
            lab.popgate.ctl("undeny", "--user", listed[0])
        assert len(listed) == 1 and listed[0].startswith("carol"), listed
        accepted = codes.count(250)
        assert accepted == max(0, 5 - before), (before, codes)
        assert codes[accepted] == 450, codes
        assert codes[accepted + 1:] == [550] * (8 - accepted), codes

    def test_monitor(self, lab):
        """Nothing is refused by popgate: the closed MTA goes on to do it."""
        client, other = lab.stranger(), lab.stranger()
        with lab.rules(f'monitor_networks = [ "{client}" ];'):
            sent = lab.send(client, REMOTE)
            if lab.closed:
                assert not sent.data
                assert any(words in sent.rcpt[0].text for words in (
                    "elaying denied", "elay access denied",
                    "relay not permitted"))
                assert "check your mail" not in sent.rcpt[0].text
            else:
                assert sent.data.code == 250, sent
            row = lab.popgate.wait_decision(client=client,
                                            verdict="would-reject")
            assert (row["reason"], row["reply"]) == ("no-login", None)
            refused(lab.send(other, REMOTE).rcpt[0])
            assert "would-reject" in lab.popgate.ctl(
                "decisions", "--verdict", "would-reject")
            assert "Not refused, in monitor mode" in lab.popgate.ctl(
                "why", client)
            assert not lab.popgate.decisions(client=client, verdict="reject")

    def test_ipv6_lease(self, lab):
        """With ipv6_prefix = 64 a login counts for the /64 it came from."""
        popgate = lab.popgate
        host = next(lab.hosts)
        client, neighbour, other = (f"2001:db8:1:{net}::{host + n:x}"
                                    for net, n in ((7, 0), (7, 1), (8, 0)))
        with lab.rules("ipv6_prefix = 64;"):
            lab.login("imap", client, "bob", lease="2001:db8:1:7::/64")
            for address in (client, neighbour):
                sent = lab.send(address, REMOTE)
                assert sent.data.code == 250, sent
            refused(lab.send(other, REMOTE).rcpt[0])
            popgate.ctl("delete", "2001:db8:1:7::/64")
            refused(lab.send(neighbour, REMOTE).rcpt[0])

    def test_other_family(self, lab):
        """Logins come by IPv4, and this client by IPv6: the reply says so."""
        lab.logged_in("imap", 4, "bob")
        client = lab.stranger(6)

        def told():
            reply = refused(lab.send(client, REMOTE).rcpt[0])
            assert "bob" not in reply.text
            # Exim breaks long lines
            return "(you send over IPv6: a login over IPv4 is no help)" in \
                reply.text.replace("\n5.7.1", "")
        wait_for(told, "the hint")

    def test_collector_stopped(self, lab):
        """While nobody reads the logs: later, not never."""
        popgate = lab.popgate
        stranger = lab.stranger()
        with lab.rules(grace="1s"):
            popgate.collector.stop()
            try:
                wait_for(lambda: self.asked(lab, stranger) == 4,
                         "that nobody reads")
                reply = refused(lab.send(stranger, REMOTE).rcpt[0], 4)
                assert reply.code == 450, reply
                assert lab.send(stranger, OWN).data.code == 250
                row = popgate.wait_decision(client=stranger,
                                            verdict="tempfail")
                assert (row["reason"], row["rule"]) == (
                    "collector-behind", 12)
            finally:
                popgate.start_collector()
        wait_for(lambda: lab.send(lab.stranger(), REMOTE).rcpt[0].code == 550,
                 "a permanent no")

    # --- every form of address ---

    def test_forms(self, lab):
        before = len(lab.escaped())
        allowed = []
        client = lab.stranger()
        wrong = []
        with lab.smtp(client) as smtp:
            for form in forms.read(self.forms):
                smtp.mail("stranger@elsewhere.test")
                reply = smtp.command(b"RCPT TO:" + form.text)
                if form.kind in forms.OURS:
                    allowed.append(form)
                    if (reply.code == 250) == (form.text in lab.not_taken):
                        wrong.append((form, reply))
                elif forms.goes_outside(form) and reply.code == 250:
                    wrong.append((form, reply))
                if reply.code == 250:
                    smtp.data(f"form {form.kind}")
                else:
                    smtp.rset()
        assert not wrong
        assert len(allowed) == 15
        sent = lab.send(client, OWN)
        lab.delivered_locally(sent.token)
        # vaout@valias.test leaves because the administrator forwards it.
        assert set(lab.escaped()[before:]) <= {"someone@remote.test"}

    def test_nmap(self, lab):
        """The recognised relay test finds nothing; run as a stranger."""
        before = len(lab.escaped())
        stranger = lab.stranger()
        done = subprocess.run(
            [need("/usr/bin/nmap", "nmap"),
             "-n", "-Pn", "-S", stranger, "-e", "lo",
             "-p", "25", "--script", "smtp-open-relay", "--script-args",
             "smtp-open-relay.to=user,smtp-open-relay.domain=remote.test",
             lab.site.address4],
            capture_output=True, text=True, check=True)
        assert "smtp-open-relay: Server doesn't seem to be an open relay, " \
            "all tests failed" in done.stdout, done.stdout
        wait_for(lambda: len(lab.popgate.decisions(
            client=stranger, verdict="reject")) >= lab.nmap_refused,
            "nmap in the audit")
        assert len(lab.escaped()) == before

    # --- when something is broken ---

    def test_killed_milter_opens_nothing(self, lab):
        client = lab.logged_in("imap", user="bob")
        stranger = lab.stranger()
        with lab.smtp(client) as smtp:      # a session from before
            sent = smtp.transaction("bob@lab.test", REMOTE)
            lab.world.wait_recipients(sent.token)
            lab.popgate.milter.kill()
            try:
                before = len(lab.escaped())
                old_session = smtp.transaction("bob@lab.test", REMOTE)
                assert not old_session.data
                self.only_own_mail_flows(lab, client, stranger)
            finally:
                lab.popgate.start_milter()
        assert len(lab.escaped()) == before
        assert lab.send(client, REMOTE).data.code == 250

    def test_killed_milter_and_auth(self, lab):
        lab.popgate.milter.kill()
        try:
            with lab.smtp(lab.stranger()) as smtp:
                smtp.auth_plain("carol", "secret")
                sent = smtp.transaction("carol@lab.test", REMOTE)
        finally:
            lab.popgate.start_milter()
        if lab.auth_needs_popgate:
            assert sent.data is None
            assert (sent.rcpt[0].code // 100 == 4 or
                    sent.mail.code // 100 == 4), sent
        else:
            assert sent.data.code == 250, sent

    @pytest.mark.parametrize("damage", ["missing", "unreadable", "corrupt"])
    def test_login_table_unusable(self, lab, damage):
        """popgate starts, and says "later" to those who would relay."""
        popgate = lab.popgate
        client = lab.logged_in("imap", user="bob")
        table = popgate.data / "logins.db"
        saved = popgate.data / "saved"
        popgate.collector.stop()
        popgate.milter.kill()
        files = [path for path in popgate.data.iterdir()
                 if path.name.startswith("logins.db")]
        saved.mkdir()
        content = table.read_bytes()
        mode = table.stat().st_mode
        for path in files:
            path.rename(saved / path.name)
        if damage != "missing":
            table.write_bytes(content if damage == "unreadable" else
                              b"this was the login table" * 4096)
            table.chmod(0 if damage == "unreadable" else mode)
        try:
            popgate.start_milter()
            self.relays_wait_own_mail_flows(lab, client)
        finally:
            popgate.milter.kill()
            for path in popgate.data.iterdir():
                if path.name.startswith("logins.db"):
                    path.unlink()
            for path in saved.iterdir():
                path.rename(popgate.data / path.name)
            saved.rmdir()
            popgate.start()
        assert lab.send(client, REMOTE).data.code == 250

    def test_login_table_locked(self, lab):
        """Another process holds it: "later", then all is well."""
        popgate = lab.popgate
        client = lab.logged_in("imap", user="bob")
        popgate.collector.stop()
        popgate.milter.kill()
        release = lab.site.root / "release"
        locker = Process("locker", [
            "/usr/bin/python3", "-c", LOCKER, popgate.data / "logins.db",
            release], lab.site.log).start()
        try:
            locker.ready(lambda: "locked" in locker.log.read_text(), "locked")
            popgate.start_milter()
            self.relays_wait_own_mail_flows(lab, client)
            release.touch()
            locker.ready(lambda: "released" in locker.log.read_text(), "end")
        finally:
            locker.stop()
            release.unlink(missing_ok=True)
        popgate.start_collector()
        assert lab.send(client, REMOTE).data.code == 250

    def test_login_table_vanishes_while_running(self, lab):
        popgate = lab.popgate
        client = lab.logged_in("imap", user="bob")
        assert lab.send(client, REMOTE).data.code == 250
        popgate.collector.stop()
        files = [path for path in popgate.data.iterdir()
                 if path.name.startswith("logins.db")]
        aside = popgate.data / "aside"
        aside.mkdir()
        for path in files:
            path.rename(aside / path.name)
        try:
            # it looks whether the file is there every 10 ms, not each time
            wait_for(lambda: self.asked(lab, client) == 4,
                     "that it is noticed")
            self.relays_wait_own_mail_flows(lab, client)
        finally:
            popgate.milter.kill()
            for path in popgate.data.iterdir():
                if path.name.startswith("logins.db"):
                    path.unlink()
            for path in aside.iterdir():
                path.rename(popgate.data / path.name)
            aside.rmdir()
            popgate.start()

    # --- helpers ---

    def nothing_escaped(self, lab, sent):
        """Also not a little later: whatever was accepted is delivered."""
        assert not lab.escaped(sent.token)

    def asked(self, lab, address):
        """The first digit that a relay would be answered with."""
        with lab.smtp(address) as smtp:
            smtp.mail("sender@elsewhere.test")
            return smtp.rcpt(REMOTE).code // 100

    def only_own_mail_flows(self, lab, *clients):
        for address in clients:
            sent = lab.send(address, REMOTE)
            assert sent.data is None, sent
            assert 4 in (sent.mail.code // 100, sent.rcpt[0].code // 100), sent
        sent = lab.send(clients[-1], OWN)
        if lab.closed:
            assert sent.data.code == 250, sent
            lab.delivered_locally(sent.token)
        else:
            assert sent.mail.code // 100 == 4, sent

    def relays_wait_own_mail_flows(self, lab, client):
        """popgate is there, but knows nobody's logins."""
        for address in (client, lab.stranger()):
            sent = lab.send(address, REMOTE)
            assert sent.data is None, sent
            refused(sent.rcpt[0], 4)
            row = lab.popgate.wait_decision(client=address,
                                            verdict="tempfail")
            assert row["reason"] == "store-unavailable"
        sent = lab.send(lab.stranger(), OWN, REMOTE)
        assert sent.rcpt[0].code == sent.data.code == 250, sent
        refused(sent.rcpt[1], 4)
        lab.delivered_locally(sent.token)


LOCKER = """
import os, pwd, sqlite3, sys, time
path = sys.argv[1]
os.setgid(os.stat(path).st_gid)
os.setuid(os.stat(path).st_uid)
db = sqlite3.connect(path, isolation_level=None)
db.execute("PRAGMA locking_mode = EXCLUSIVE")
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.05)
db.execute("ROLLBACK")
db.close()
print("released", flush=True)
time.sleep(60)
"""
