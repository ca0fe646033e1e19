# SPDX-License-Identifier: ISC
"""Postfix 3.7 in its three wirings."""
import subprocess
import time

import pytest

from agreement import SEED, SITUATIONS, Agreement
from lab import tls, wirings
from lab.process import wait_for
from matrix import REMOTE, Matrix, hangs_up_at_data, refused


def xclient(smtp, attributes):
    assert smtp.command(f"XCLIENT {attributes}").code == 220
    assert smtp.command("EHLO client.example").code == 250


class PostfixMatrix(Matrix):
    forms = "postfix"

    def test_auth_ends_with_starttls(self, lab):
        """TLS starts the session anew (RFC 3207 section 4.2).  Not so in
        Sendmail, where a connection that did AUTH stays authenticated."""
        client = lab.stranger()
        with lab.smtp(client) as smtp:
            assert smtp.auth_plain("carol", "secret").code == 235
            first = smtp.transaction("carol@lab.test", REMOTE)
            assert first.data.code == 250, first
            assert smtp.starttls().code == 220
            second = smtp.transaction("carol@lab.test", REMOTE)
        refused(second.rcpt[0])
        row = lab.popgate.wait_decision(client=client, verdict="reject")
        assert not row["auth_user"]
        self.nothing_escaped(lab, second)

    def test_xclient_login_ends(self, lab):
        """A proxy that takes its LOGIN= back: the next message has no AUTH."""
        client = lab.stranger()
        with lab.smtp(wirings.XCLIENT_HOST) as smtp:
            xclient(smtp, f"ADDR={client} LOGIN=carol")
            assert smtp.transaction("c@lab.test", REMOTE).data.code == 250
            xclient(smtp, "LOGIN=[UNAVAILABLE]")
            refused(smtp.transaction("c@lab.test", REMOTE).rcpt[0])

    def test_xclient_address_decides(self, lab):
        """The client is who XCLIENT says, not the proxy."""
        client = lab.logged_in("imap", user="bob")
        with lab.smtp(wirings.XCLIENT_HOST) as smtp:
            xclient(smtp, f"ADDR={client}")
            assert smtp.transaction("b@lab.test", REMOTE).data.code == 250
            xclient(smtp, f"ADDR={lab.stranger()}")
            refused(smtp.transaction("b@lab.test", REMOTE).rcpt[0])

    def test_unknown_client_address_is_nobody(self, lab):
        with lab.smtp(wirings.XCLIENT_HOST) as smtp:
            xclient(smtp, "ADDR=[UNAVAILABLE]")
            sent = smtp.transaction("b@lab.test", REMOTE)
            assert sent.data is None


class TestPolicy(PostfixMatrix):
    wiring = wirings.PostfixPolicy

    def test_agreement(self, lab):
        """A client gets the answer that popgatectl says it gets."""
        Agreement(lab, SEED).run(SITUATIONS)

    @pytest.mark.parametrize("chunking", [False, True])
    @pytest.mark.parametrize("n", [1, 50])
    def test_one_wait_for_the_disk(self, lab, n, chunking):
        """Once a message, whatever the number of its recipients."""
        client = lab.logged_in("imap", user="bob")
        rounds = 5
        with lab.smtp(client) as smtp:
            # After a message that was given up behind RCPT, the channel waits
            # at each RCPT until this smtpd asks at DATA again.
            assert smtp.transaction("first@s.test",
                                    "first@remote.test").data.code == 250
            before = lab.popgate.health()["audit_syncs"]
            began = time.monotonic()
            for i in range(rounds):
                token = f"wait{n}{chunking}{i}"
                assert smtp.mail(f"{token}@s.test").code == 250
                for k in range(n):
                    assert smtp.rcpt(f"u{k}@remote.test").code == 250
                if chunking:
                    text = f"Subject: {token}\r\n\r\n{token}\r\n"
                    smtp.socket.sendall(
                        f"BDAT {len(text)} LAST\r\n{text}".encode())
                    assert smtp.reply().code == 250
                else:
                    assert smtp.data(token).code == 250
                # nothing was told to go before it was there
                assert len(lab.popgate.decisions(
                    sender=f"{token}@s.test", channel="policy",
                    verdict="accept")) == n
        # a second of its own, each, and one more
        own = int(time.monotonic() - began) + 2
        waits = lab.popgate.health()["audit_syncs"] - before
        assert rounds <= waits <= rounds + own
        assert len(lab.world.wait_recipients(token)) == n
        for i in range(rounds):
            wait_for(lambda: len(lab.popgate.decisions(
                sender=f"wait{n}{chunking}{i}@s.test",
                channel="milter")) == n, "the milter's rows")

    def test_lost_between_rcpt_and_data(self, lab):
        """The file with the rows is gone at DATA: 451, for this message."""
        client = lab.logged_in("imap", user="bob")
        audit = lab.popgate.data / "audit.db"
        with lab.smtp(client) as smtp:
            assert smtp.mail("s@elsewhere.test").code == 250
            assert smtp.rcpt(REMOTE).code == 250
            assert smtp.rcpt("second@remote.test").code == 250
            audit.unlink()
            for _ in range(2):
                assert smtp.command("DATA").code == 451
            assert smtp.rset().code == 250
            wait_for(lambda: lab.popgate.health()["audit_good"] and
                     audit.exists(), "a file")
            sent = smtp.transaction("s@elsewhere.test", REMOTE)
        assert sent.data.code == 250
        assert lab.popgate.decisions(client=client, channel="policy")

    @pytest.mark.parametrize("kind", ["hash", "btree", "texthash"])
    def test_sender_login_maps(self, lab, kind):
        """Postfix's own tables say who may send as whom."""
        etc = lab.mta.etc
        table = etc / f"senders-{kind}"
        table.write_text("# comment\nBob@lab.test  bob, carol\n"
                         "sales@lab.test\n   alice\n@shop.test bob\n"
                         "boss@shop.test alice\n")
        if kind != "texthash":
            subprocess.run(["/usr/sbin/postmap", "-c", etc,
                            f"{kind}:{table}"], check=True)
        main = etc / "main.cf"
        text = main.read_text()
        main.write_text(text + "smtpd_sender_login_maps = "
                        f"proxy:{kind}:{table}\n")
        client = lab.logged_in("imap", user="bob")
        try:
            with lab.rules('sender_binding = "address"; sender_addresses = '
                           f'[ "postfix:{etc}" ];'):
                for sender, code in {
                        "bob@lab.test": 250, "any@shop.test": 250,
                        "boss@shop.test": 553, "sales@lab.test": 553,
                        "alice@lab.test": 553}.items():
                    sent = lab.send(client, REMOTE, sender=sender)
                    assert sent.rcpt[0].code == code, (sender, sent)
            # a table that can't be listed is said, and changes nothing
            main.write_text(text + "smtpd_sender_login_maps = "
                            f"regexp:{table}\n")
            lab.popgate.configure(
                relay='sender_binding = "address"; sender_addresses = '
                      f'[ "postfix:{etc}" ];')
            done = lab.popgate.ctl("reload", check=False)
            assert done.returncode == 78, done
            assert f"regexp:{table}, which can't be listed" in done.stderr
            assert lab.send(client, REMOTE).data.code == 250
        finally:
            main.write_text(text)
            lab.popgate.configure()
            lab.popgate.ctl("reload")


class TestSocketmap(PostfixMatrix):
    wiring = wirings.PostfixSocketmap

    def test_data_is_not_said_twice(self, lab):
        """AUTH, which Postfix permits by itself, and rows that can't be
        written at DATA.  The client may not just say DATA once more: libmilter
        would give no answer, and Postfix go on without the milter."""
        with lab.smtp(lab.stranger()) as smtp:
            assert smtp.auth_plain("carol", "secret").code == 235
            assert smtp.mail("carol@lab.test").code == 250
            assert smtp.rcpt(REMOTE).code == 250
            hangs_up_at_data(lab, smtp)

    def test_certificates_by_postfix(self, lab):
        """As closed-socketmap.cf says: Postfix by digest, popgate by name."""
        site = lab.site
        known, other = (tls.client(site, name, f"/O=maillab/CN={name}", "ca")
                        for name in ("scanner one", "scanner two"))
        main = lab.mta.etc / "main.cf"
        text = main.read_text()
        main.write_text(text.replace(
            "    permit_sasl_authenticated,\n", "    permit_sasl_authenticated,"
            "\n    permit_tls_clientcerts,\n") + "relay_clientcerts = inline:"
            f"{{{known.fingerprint}=x, {other.fingerprint}=x}}\n")
        assert "\n    permit_tls_clientcerts,\n" in main.read_text()

        def send(certificate):
            with lab.smtp(lab.stranger()) as smtp:
                assert smtp.starttls(certificate.pem).code == 220
                return smtp.transaction("x@elsewhere.test", REMOTE)

        def reload():
            subprocess.run(["/usr/sbin/postfix", "-c", lab.mta.etc, "reload"],
                           check=True, capture_output=True)
        reload()
        try:
            with lab.rules('certificates = ( { subject = "scanner one"; '
                           'issuer = "Lab CA"; } );'):
                wait_for(lambda: send(known).rcpt[0].code == 250,
                         "the reload")
                sent = send(known)
                assert sent.data.code == 250, sent
                assert lab.world.wait_recipients(sent.token) == [REMOTE]
                # Postfix would let it: the second lock doesn't
                refused(send(other).rcpt[0])
        finally:
            main.write_text(text)
            reload()
        wait_for(lambda: send(known).rcpt[0].code == 550, "the reload")


class TestSoleGate(PostfixMatrix):
    wiring = wirings.PostfixSoleGate
