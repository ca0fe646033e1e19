# SPDX-License-Identifier: ISC
"""Exim 4.96 by the permit channel."""
import contextlib

import pytest

from lab import client, wirings
from lab.answers import Answers
from matrix import OWN, REMOTE, Matrix, refused

TRANSIENT = "451 4.3.0 Relaying is temporarily unavailable"


class TestClosed(Matrix):
    wiring = wirings.EximClosed
    forms = "postfix"

    # Exim lets AUTH users relay by itself, shows no certificate to popgate,
    # and has no milter that would be a second lock.
    test_second_lock = None
    test_denied_auth = None
    test_certificates = None
    test_limit_of_a_stolen_password = None

    def test_own_mail_needs_no_login(self, lab):
        """popgate isn't even asked."""
        client = lab.stranger()
        sent = lab.send(client, OWN)
        assert sent.data.code == 250, sent
        lab.delivered_locally(sent.token)
        refused(lab.send(client, REMOTE).rcpt[0])
        lab.popgate.wait_decision(client=client, recipient=REMOTE)
        assert len(lab.popgate.decisions(client=client)) == 1

    def test_auth_relays(self, lab):
        client = lab.stranger()
        with lab.smtp(client) as smtp:
            assert smtp.auth_plain("carol", "secret").code == 235
            sent = smtp.transaction("carol@lab.test", REMOTE)
        assert sent.data.code == 250, sent
        assert lab.world.wait_recipients(sent.token) == [REMOTE]

    def test_what_is_recorded(self, lab):
        client = lab.logged_in("imap", user="bob")
        with lab.smtp(client) as smtp:
            sent = smtp.transaction("bob@lab.test", REMOTE, OWN,
                                    "other@remote.test")
            assert sent.data.code == 250, sent
            again = smtp.transaction("bob@lab.test", REMOTE)
            assert again.data.code == 250, again
        rows = lab.popgate.decisions(client=client)
        assert [row["recipient"] for row in rows] == [
            REMOTE, "other@remote.test", REMOTE]
        first, second, third = (row["session"] for row in rows)
        assert first == second != third     # one message, one name
        assert {(row["sender"], row["helo"], row["channel"], row["mta"],
                 row["verdict"]) for row in rows} == {
            ("bob@lab.test", "client.example", "policy",
             f"Exim {lab.mta.version()}", "accept")}

    def test_wired_once(self, lab):
        assert "nothing to do" in lab.popgate.ctl("wiring", "exim")

    @pytest.mark.parametrize("recipient,recorded", [
        ('"a b"@remote.test', '"a b"@remote.test'),
        ('"x\\"y"@remote.test', '"x\\"y"@remote.test'),
        ('"x@lab.test"@remote.test', '"x@lab.test"@remote.test'),
        ('"action=OK"@remote.test', "action=ok@remote.test"),
        ("${run{/bin/id}}@remote.test", "${run{/bin/id}}@remote.test"),
        ("a}b$acl_m_popgate@remote.test", "a}b$acl_m_popgate@remote.test"),
        ("@lab.test,@lab.test:user@remote.test", REMOTE),
        ("user%lab.test@remote.test", "user%lab.test@remote.test"),
        ("\u00e4@remote.test", '"\u00e4"@remote.test'),
        ("a" * 200 + "@remote.test", "a" * 200 + "@remote.test"),
    ])
    def test_hostile_recipients(self, lab, recipient, recorded):
        """popgate sees the recipient to whom Exim would send."""
        client, stranger = lab.logged_in("imap", user="bob"), lab.stranger()
        assert lab.send(client, recipient).rcpt[0].code == 250
        row = lab.popgate.wait_decision(client=client)
        assert (row["recipient"], row["verdict"]) == (recorded, "accept")
        refused(lab.send(stranger, recipient).rcpt[0])

    @pytest.mark.parametrize("sender", [
        "", '"a b"@s.test', '"a\\"b"@s.test', "$sender_host_address@s.test",
        "a}{b@s.test", "recipient=alice@lab.test", "x" * 200 + "@s.test",
    ])
    def test_hostile_senders(self, lab, sender):
        client, stranger = lab.logged_in("imap", user="bob"), lab.stranger()
        assert lab.send(client, REMOTE, sender=sender).rcpt[0].code == 250
        row = lab.popgate.wait_decision(client=client)
        assert (row["sender"].strip("<>"), row["recipient"]) == (
            sender, REMOTE)
        refused(lab.send(stranger, REMOTE, sender=sender).rcpt[0])

    @pytest.mark.parametrize("helo", [
        "recipient=alice@lab.test", "[203.0.113.77]", "x\rclient_address=::1",
        "${readsocket{/x}{y}}", "a}b", "h" * 400,
    ])
    def test_hostile_helo(self, lab, helo):
        with client_of(lab, lab.stranger(), helo) as smtp:
            assert smtp.mail("a@s.test").code in (250, 503)
            assert smtp.rcpt(REMOTE).code // 100 == 5


def client_of(lab, address, helo):
    return client.Smtp(lab.site.smtp, address, helo)


class TestFaults:
    """Our own get their mail whatever is the matter with popgate, AUTH users
    relay, and clients that would be refused anyway are told to come again."""

    wiring = wirings.EximClosed

    @staticmethod
    @contextlib.contextmanager
    def instead(lab, answer):
        """Answers in popgate's place; "dead": nobody."""
        path = lab.site.sockets / "policy.sock"
        lab.popgate.milter.kill()
        fake = Answers(path, answer, lab.site.log) \
            if answer != "dead" else None
        try:
            yield fake
        finally:
            if fake:
                fake.close()
            lab.popgate.start_milter()

    @pytest.mark.parametrize("answer", [
        None, b"", b"action=OK", b"action=OK\n", b"action=OK\n\naction=OK\n\n",
        b"action=DUN", b"action=ok\n\n", b"action=OK x\n\n",
        b" action=OK\n\n", b"5:OK OK,", b"action=550\n\n",
        b"action=REJECT\n\n", b"\0" * 3000, b"x" * 30000,
        [b"a", b"ction=", b"OK\n"], [b"action=OK\n\n", b"\n"],
        b"action=550 5.7.1 two\nlines\n\n", "dead",
    ], ids=str)
    def test_no_answer(self, lab, answer):
        with self.instead(lab, answer) as fake:
            with lab.smtp(lab.stranger()) as smtp:
                for _ in range(2 if answer is not None else 1):
                    sent = smtp.transaction("a@s.test", OWN, REMOTE,
                                            "x@remote.test", "bob@lab.test")
                    assert [reply.code for reply in sent.rcpt] == [
                        250, 451, 451, 250], sent
                    assert str(sent.rcpt[1]) == TRANSIENT
                    assert sent.data.code == 250, sent
                    lab.delivered_locally(sent.token, "alice")
                    lab.delivered_locally(sent.token, "bob")
            # not asked about our own, nor again of what doesn't answer
            if answer is None:
                assert fake.asked() == 2        # once about nothing
            with lab.smtp(lab.stranger()) as smtp:
                assert smtp.auth_plain("carol", "secret").code == 235
                sent = smtp.transaction("carol@lab.test", REMOTE)
            assert sent.data.code == 250, sent

    @pytest.mark.parametrize("answer,code", [
        ([b"action=", b"OK\n", b"\n"], 250), ([b"x"] * 1000, 451)],
        ids=["in time", "a drop without end"])
    def test_slow(self, lab, answer, code):
        with self.instead(lab, answer):
            sent = lab.send(lab.stranger(), REMOTE)
            assert sent.rcpt[0].code == code, sent

    def test_words_are_text(self, lab):
        """popgate's words are said, and never expanded."""
        said = "553 5.7.1 ${run{/bin/id}} $pid } %s"
        with self.instead(lab, f"action={said}\n\n".encode()):
            sent = lab.send(lab.stranger(), REMOTE)
            assert str(sent.rcpt[0]) == said
