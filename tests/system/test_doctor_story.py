# SPDX-License-Identifier: ISC
"""The two stories that the doctor is for, in miniature, on real servers.

A provider's server sent 60,000 spams because a foreign rule set had put one
domain on a sender whitelist.  A webmaster panicked over a relay list in which
he didn't know the addresses.
"""
import json
import re
import socket
import time

import pytest

from lab import client, wirings
from lab.process import wait_for

PARTNER = "partner.test"
RULE = f"""\
# a foreign rule set
smtpd_relay_restrictions = check_sender_access inline:{{{PARTNER}=OK}},
    permit_auth_destination,
    check_policy_service {{ unix:/run/popgate/policy.sock, timeout=10s }},
    reject_unauth_destination
smtpd_milters =
"""


def settled(lab):
    """Nothing is on its way, and what the servers said of it is in the log:
    rsyslog writes what it is told in the order in which it is told."""
    lab.escaped()
    token = client.new_token()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.connect("/dev/log")
        log.send(f"<22>{time.strftime('%b %e %T')} lab: {token}".encode())
    wait_for(lambda: token in lab.site.mail_log.read_text(), "the log")


def doctor(lab, *options):
    done = lab.popgate.ctl("doctor", "--json", *options, check=False)
    assert done.returncode < 3, done
    return done.returncode, json.loads(done.stdout)


def groups(report, right):
    return [group for group in report["groups"] if group["right"] == right]


def no_data_said(lab, address):
    """By the server's own log: nobody at this address said DATA."""
    text = lab.site.mail_log.read_text()
    sessions = re.findall(
        rf"disconnect from \S*\[{re.escape(address)}\](.*)", text)
    assert sessions and not any("data=" in s for s in sessions)
    assert f"client=unknown[{address}]" not in text.replace(
        f"reject: RCPT from unknown[{address}]", "") or \
        not re.search(rf"from={address}.*status=sent", text)


class StoryLab(wirings.PostfixPolicy):
    """A closed wiring, and the rule set above in place of its own."""

    def make_mta(self):
        mta = super().make_mta()
        with open(mta.etc / "main.cf", "a") as main:
            main.write(RULE)
        return mta


@pytest.fixture(scope="class")
def provider():
    lab = StoryLab()
    try:
        # no line of the first message is lost
        settled(lab)
        lab.spammer = lab.stranger()
        for i in range(30):
            sent = lab.send(lab.spammer, f"victim{i}@remote.test",
                            sender=f"k{i}x{i * 7}@{PARTNER}")
            assert sent.data.code == 250, sent
        # honest mail between
        lab.reader = lab.logged_in("imap", user="bob")
        assert lab.send(lab.reader, "friend@remote.test",
                        sender="bob@lab.test").data.code == 250
        lab.author = lab.stranger()
        with lab.smtp(lab.author) as smtp:
            smtp.auth_plain("carol", "secret")
            assert smtp.transaction("carol@lab.test",
                                    "friend@remote.test").data.code == 250
        assert lab.send(lab.stranger(), "alice@lab.test",
                        "vaout@valias.test").data.code == 250
        settled(lab)
        yield lab
    finally:
        lab.close()


class TestProvider:
    def test_static(self, provider):
        status, report = doctor(provider, "--mta", "postfix", "--config-dir",
                                str(provider.mta.etc))
        assert status == 2
        open_relay = [f for f in report["findings"]
                      if f["severity"] == "open-relay"]
        assert any("sender" in f["id"] for f in open_relay), open_relay
        assert any(f["file"] and f["file"].endswith("main.cf")
                   for f in open_relay)

    def test_probe(self, provider):
        before = len(provider.world.messages())
        status, report = doctor(provider, "--probe", "--foreign",
                                "remote.test", "--sender",
                                f"anybody@{PARTNER}")
        found = {f["id"]: f["detail"] for f in report["findings"]}
        assert status == 2 and "probe-sender-opens" in found, found
        assert f"MAIL FROM:<anybody@{PARTNER}>" in \
            found["probe-sender-opens"]
        no_data_said(provider, "198.18.255.2")
        settled(provider)
        assert len(provider.world.messages()) == before

    def test_probe_without_the_sender(self, provider):
        """A sender that isn't asked isn't found: so the doctor reads as
        well."""
        status, report = doctor(provider, "--probe", "--foreign",
                                "remote.test")
        ids = {f["id"] for f in report["findings"]}
        assert "probe-closed" in ids and "probe-sender-opens" not in ids

    def test_incident(self, provider):
        status, report = doctor(provider, "--incident", "--since", "1h")
        assert status == 2
        group, = groups(report, "by-no-right")
        assert group["client"] == provider.spammer
        assert group["messages"] == group["recipients"] == 30, report
        assert group["random_senders"] and group["sender_domains"] == 1
        # an estimate, by a hash with a random key
        assert abs(group["senders"] - 30) <= 3
        assert group["recent"] == 30 and report["goes_on"]
        text = "\n".join(group["lines"])
        assert f"client=unknown[{provider.spammer}]" in text
        assert f"@{PARTNER}>, size=" in text and "status=sent" in text
        login, = groups(report, "login")
        assert (login["client"], login["user"], login["messages"]) == \
            (provider.reader, "bob", 1)
        auth, = groups(report, "auth")
        assert (auth["client"], auth["user"]) == (provider.author, "carol")
        forward, = groups(report, "forward")
        assert forward["messages"] == 1
        assert report["messages"] == 33
        steps = "\n".join(report["steps"])
        assert steps.index("popgatectl doctor") < steps.index("postsuper")
        assert f"-s {provider.spammer} -j DROP" in steps
        assert f"'{PARTNER}'" in steps

    def test_incident_for_people(self, provider):
        done = provider.popgate.ctl("doctor", "--incident", check=False)
        assert done.returncode == 2
        text = done.stdout
        assert text.index("BY NO RIGHT KNOWN") < text.index("By SMTP AUTH")
        assert f"all at {PARTNER}: made up" in text
        assert "Does it go on? Yes" in text
        assert "What to do, in this order" in text

    def test_since(self, provider):
        status, report = doctor(provider, "--incident", "--since",
                                f"@{int(time.time()) + 1}")
        assert (status, report["messages"]) == (0, 0)

    def test_rotated(self, provider):
        """Logs that were rotated away, and packed, are read as well."""
        log = provider.site.mail_log
        copy = log.with_name("copy.log")
        lines = log.read_bytes().splitlines(keepends=True)
        third = len(lines) // 3
        import gzip
        with gzip.open(f"{copy}.2.gz", "wb") as packed:
            packed.write(b"".join(lines[:third]))
        copy.with_name("copy.log.1").write_bytes(
            b"".join(lines[third:2 * third]))
        copy.write_bytes(b"".join(lines[2 * third:]))
        status, report = doctor(provider, "--incident", "--log", str(copy))
        group, = groups(report, "by-no-right")
        assert (status, group["messages"]) == (2, 30)

    def test_record_unreadable(self, provider):
        """Without the record nobody is accused, and nothing called good."""
        audit = provider.popgate.data / "audit.db"
        provider.popgate.milter.stop()
        hidden = audit.with_name("hidden.db")
        audit.rename(hidden)
        try:
            status, report = doctor(provider, "--incident")
        finally:
            hidden.rename(audit)
            provider.popgate.start_milter()
        assert status == 1 and not report["record_readable"]
        assert not groups(report, "by-no-right")
        assert {g["client"] for g in groups(report, "untold")} == {
            provider.spammer, provider.reader}


class TestWebmaster:
    """All is well: the entry that nobody knows is a user's, at home."""

    @pytest.fixture(scope="class", params=["PostfixPolicy",
                                           "SendmailClosed"])
    def lab(self, request):
        lab = getattr(wirings, request.param)()
        try:
            lab.visitor = lab.logged_in("imap", user="bob")
            for _ in range(3):
                assert lab.send(lab.visitor, "friend@remote.test",
                                sender="bob@lab.test").data.code == 250
            with lab.smtp(lab.stranger()) as smtp:
                smtp.auth_plain("carol", "secret")
                for sender in ("carol@lab.test", "",
                               '"a>, size=1, nrcpt=1 (queue active)"@x.test'):
                    assert smtp.transaction(
                        sender, "friend@remote.test",
                        '"b>, relay=none, dsn=5.0.0, status=bounced (no)"'
                        '@remote.test').data.code == 250
            lab.send(lab.stranger(), "friend@remote.test")      # refused
            settled(lab)
            yield lab
        finally:
            lab.close()

    def test_calm(self, lab):
        status, report = doctor(lab, "--incident")
        assert status == 0, report
        assert {g["right"] for g in report["groups"]} == {"login", "auth"}
        login, = groups(report, "login")
        assert (login["client"], login["user"], login["messages"]) == \
            (lab.visitor, "bob", 3)
        auth, = groups(report, "auth")
        assert auth["user"] == "carol"
        assert (auth["messages"], auth["recipients"]) == (3, 6)
        assert auth["null_senders"] == 1

    def test_entry_explained(self, lab):
        done = lab.popgate.ctl("doctor", "--incident")
        assert "Who may relay now" in done
        assert re.search(rf"{lab.visitor} +bob +imap", done)
        assert "Nothing alarming" in done

    def test_hijacked_user(self, lab):
        """The same right, but with senders that no one person has."""
        with lab.smtp(lab.stranger()) as smtp:
            smtp.auth_plain("alice", "secret")
            for i in range(12):
                smtp.transaction(f"w{i}q{i}@bank.test",
                                 f"victim{i}@remote.test")
        settled(lab)
        status, report = doctor(lab, "--incident")
        assert status == 1
        auth = [g for g in groups(report, "auth") if g["user"] == "alice"][0]
        assert auth["suspicious"] and auth["messages"] == 12
        assert "popgatectl deny --user alice" in "\n".join(report["steps"])


class TestSendmailWhitelist:
    """Sendmail itself relays for a client, behind popgate's back."""

    @pytest.fixture(scope="class")
    def lab(self, request):
        lab = wirings.SendmailClosed()
        try:
            lab.popgate.milter.kill()   # the second lock is away
            with client.Smtp(lab.site.smtp, wirings.WHITELISTED) as smtp:
                for i in range(8):
                    assert smtp.transaction(
                        f"s{i}@elsewhere.test",
                        f"v{i}@remote.test").data.code == 250
            lab.popgate.start_milter()
            wait_for(lambda: len(lab.world.messages()) == 8, "the spam")
            settled(lab)
            yield lab
        finally:
            lab.close()

    def test_incident(self, lab):
        status, report = doctor(lab, "--incident")
        assert status == 2
        group, = groups(report, "by-no-right")
        assert group["client"] == wirings.WHITELISTED
        assert group["messages"] == 8
        text = "\n".join(group["lines"])
        assert "relay=[203.0.113.251]" in text and "stat=Sent" in text

    def test_probe_from_there(self, lab):
        """From the whitelisted address the probe finds it open."""
        status, report = doctor(lab, "--probe", "--foreign", "remote.test",
                                "--source", wirings.WHITELISTED)
        ids = {f["id"] for f in report["findings"]}
        # the milter is back: the second lock holds
        assert "probe-open-relay" not in ids and "probe-closed" in ids
        lab.popgate.milter.kill()
        status, report = doctor(lab, "--probe", "--foreign", "remote.test",
                                "--source", wirings.WHITELISTED)
        ids = {f["id"] for f in report["findings"]}
        assert status == 2 and "probe-open-relay" in ids
