# SPDX-License-Identifier: ISC
"""Sendmail 8.17 in its two wirings."""

import pytest

from lab import wirings
from matrix import REMOTE, Matrix, hangs_up_at_data

LONG = "a" * 230


class TestClosed(Matrix):
    wiring = wirings.SendmailClosed
    forms = "sendmail-smart"

    @pytest.mark.parametrize("sender,recipient", [
        ('"a b"@s.test', '"x y"@remote.test'),
        ('"a\\"b"@s.test', '"x\\"y"@remote.test'),
        ("A=B+c@S.test", "MiXed@Remote.test"),
        (f"{LONG}@s.test", f"{LONG}@remote.test"),
        ("", "user@remote.test"),
    ])
    def test_socketmap_fields(self, lab, sender, recipient):
        """Sender and recipient reach popgate whole and apart."""
        client = lab.logged_in("imap", user="bob")
        sent = lab.send(client, recipient, sender=sender)
        assert sent.rcpt[0].code == 250, sent
        row = lab.popgate.wait_decision(client=client, channel="socketmap")
        assert row["sender"].strip("<>") == sender
        assert row["recipient"].strip("<>") == recipient

    @pytest.mark.parametrize("address", [
        "<permit>", '"<permit>"@x.test', "x<TMPF>@x.test", "$#OK@x.test",
        '"x\r"@x.test', "203.0.113.1@x.test", '"\\"@x.test',
        "$&{client_addr}@x.test", "a" * 250 + "@x.test",
        ".".join("a" * 120) + "@x.test", "x(permit)@x.test",
    ])
    def test_socketmap_injection(self, lab, address):
        """No address is an answer, or part of the client's name."""
        lab.logged_in("imap", user="bob")
        stranger = lab.stranger()
        with lab.smtp(stranger) as smtp:
            for sender, recipient in ((address, REMOTE),
                                      ("x@elsewhere.test", address)):
                smtp.mail(sender)
                reply = smtp.rcpt(recipient)
                assert reply.code // 100 == 5, (sender, recipient, reply)
                smtp.rset()

    def test_hangs_up_at_data(self, lab):
        """Rows that can't be written at DATA: 421, and nothing goes."""
        with lab.smtp(lab.logged_in("imap", user="bob")) as smtp:
            assert smtp.mail("bob@lab.test").code == 250
            assert smtp.rcpt(REMOTE).code == 250
            hangs_up_at_data(lab, smtp)

    def test_very_many_recipients(self, lab):
        """Sendmail itself has no limit; what is relayed is in the audit."""
        client = lab.logged_in("imap", user="bob")
        limits = "".join(f'{who}_{what} = "off"; ' for who in
                         ("client", "user") for what in
                         ("recipients", "messages"))
        with lab.rules(limits=limits):
            for n in (1, 1023, 1024, 1025, 2048):
                with lab.smtp(client) as smtp:
                    assert smtp.mail(f"many{n}@s.test").code == 250
                    for i in range(n):
                        reply = smtp.rcpt(f"u{i}@remote.test")
                        assert reply.code == 250, (n, i, reply)
                    assert smtp.command("DATA").code == 354, n
                    assert smtp.command("\r\n.").code == 250, n
                rows = lab.popgate.query(
                    "audit.db", "SELECT count(*) FROM channel_decision WHERE "
                    "trim(sender, '<>') = ? AND channel = 'milter' AND "
                    "verdict = 'accept'", (f"many{n}@s.test",))
                assert rows[0][0] == n

    def test_auth_survives_starttls(self, lab):
        """Sendmail, unlike Postfix, keeps AUTH: the connection is the user's
        for good, and popgate goes by what Sendmail says."""
        with lab.smtp(lab.stranger()) as smtp:
            assert smtp.auth_plain("carol", "secret").code == 235
            assert smtp.starttls().code == 220
            sent = smtp.transaction("carol@lab.test", REMOTE)
        assert sent.data.code == 250, sent


class TestSoleGate(Matrix):
    wiring = wirings.SendmailSoleGate
    forms = "sendmail-esmtp"
