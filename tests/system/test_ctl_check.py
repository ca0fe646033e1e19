# SPDX-License-Identifier: ISC
"""popgatectl check: what the milter would say."""
import json
import re
import sqlite3
import time

import pytest

from lab.box import EX_CONFIG, EX_TEMPFAIL, EX_USAGE, jsons, lines


CHECKS = [
    # client, recipient, more, verdict, reason, row, code
    ("192.0.2.1", "a@far.test", [], "accept", "recent-login", 10, None),
    ("192.0.2.2", "a@far.test", [], "reject", "login-expired", 11, "550"),
    ("192.0.2.3", "a@far.test", [], "reject", "no-login", 13, "550"),
    ("192.0.2.3", "a@example.com", [], "accept", "local-recipient", 1, None),
    ("192.0.2.3", "<A@Sub.Example.Org.>", [], "accept", "local-recipient",
     1, None),
    ("192.0.2.3", "a%far.test@example.com", [], "reject", "no-login", 13,
     "550"),
    ("192.0.2.3", "a@far.test", ["--auth", "u"], "accept", "authenticated",
     3, None),
    ("10.9.9.9", "a@far.test", [], "accept", "trusted-network", 5, None),
    ("127.0.0.1", "a@far.test", [], "reject", "no-client-identity", 6,
     "550"),
    ("unknown", "a@far.test", [], "reject", "no-client-identity", 6, "550"),
    ("192.0.2.3", "a@far.test", ["--mailer", "local"], "accept",
     "local-recipient", 1, None),
]


@pytest.mark.parametrize("client,to,more,verdict,reason,row,code", CHECKS)
def test_check(box, client, to, more, verdict, reason, row, code):
    box.configure(relay='trusted_networks = [ "10.9.0.0/16" ];')
    box.fill_logins([("192.0.2.1", "alice", -240, 1560),
                     ("192.0.2.2", "bob", -9000, -7200)])
    args = ["check", "--client", client, "--to", to, *more]
    j = json.loads(box.out(*args, "--json"))
    assert (j["verdict"], j["reason"], j["rule"], j["code"]) == (
        verdict, reason, row, code)
    assert [r["matched"] for r in j["rows"]] == (
        [False] * (len(j["rows"]) - 1) + [True])
    assert j["rows"][-1]["row"] == row
    out = box.out(*args)
    assert f"answer:  {verdict} ({reason}, row {row})" in out
    if code:
        assert f"reply:   {code} 5.7.1 " in out
    # no popgate-milter runs here: no login opens anything
    box.run(*args, "--exit-code", code=1 if verdict == "reject" else
            EX_TEMPFAIL if reason == "recent-login" else 0)


@pytest.mark.parametrize("sender,users,verdict,words", [
    ("alice@example.com", ["alice"], "accept", "alice may send as alice@"),
    ("ALICE@Example.com", ["alice"], "accept", "alice may send as ALICE@"),
    ("<alice@example.com>", ["alice"], "accept", "alice may send as alice@"),
    ("x@shop.test", ["alice"], "accept", "alice may send as x@shop.test"),
    ("bob@example.com", ["alice"], "reject", "alice may not send as bob@"),
    ("bob@example.com", ["alice", "bob"], "accept",
     "one of those who logged in from there may send as bob@"),
    ("eve@example.com", ["alice", "bob"], "reject",
     "none of those who logged in from there may send as eve@"),
    ("", ["alice"], "reject", "the null sender: relay.null_sender is "
     '"reject"'),
    ("alice@example.com", [""], "reject", "nobody by name may not send"),
    ('"alice"@example.com', ["alice"], "reject", "may not send"),
    ("alice\x1b[2J@example.com", ["alice"], "reject", "may not send"),
])
def test_check_sender(box, sender, users, verdict, words):
    with open(box.path / "senders", "w") as out:
        out.write("alice: @shop.test\n")
    box.configure(relay='sender_binding = "address"; null_sender = "reject"; '
                        'sender_addresses = [ "append:example.com", '
                        f'"file:{box.path}/senders" ];')
    box.fill_logins([("192.0.2.1", user, -240, 1560) for user in users])
    args = ["check", "--client", "192.0.2.1", "--to", "a@far.test",
            "--from", sender]
    j = json.loads(box.out(*args, "--json"))
    assert (j["verdict"], j["rule"]) == (verdict, 10 if verdict == "accept"
                                         else 8)
    assert j["code"] == (None if verdict == "accept" else "553")
    assert words in [r["found"] for r in j["rows"] if r["row"] == 8][0]
    assert words in box.out(*args)
    # why asks for none in particular, and says so
    story = box.out("why", "192.0.2.1")
    assert "may relay until" in story and "Only as a sender that its" in story


def test_check_certificate(box):
    box.configure(relay='certificates = ( { subject = "/CN=a b"; issuer = '
                        '"/CN=ca"; } );')
    box.fill_logins()
    args = ["check", "--client", "192.0.2.1", "--to", "a@far.test"]
    assert "no certificate in this session" in box.out(*args)
    out = box.out(*args, "--cert-subject", "/CN=a b", "--cert-issuer",
                  "/CN=ca")
    assert "answer:  accept (certificate, row 4)" in out
    for more in (["--cert-subject", "/CN=a b"],
                 ["--cert-subject", "/CN=a b", "--cert-issuer", "/CN=cb"],
                 ["--cert-fingerprint", "AA" * 32]):
        assert "(no-login, row 13)" in box.out(*args, *more)


def test_sender_addresses_errors(box):
    path = box.path / "senders"
    with open(path, "w") as out:
        out.write("alice: alice@example.com\nbob\n")
    relay = f'sender_addresses = [ "file:{path}" ];'
    box.configure(relay='sender_binding = "domain"; ' + relay)
    assert f'{path}:2: expected "user: address' in box.err(
        "check-config", code=EX_CONFIG)
    # not in use: not read
    box.configure(relay=relay)
    box.run("check-config")


def test_monitor_in_part(box):
    box.configure(relay='monitor_networks = [ "192.0.2.0/28" ]; '
                        'monitor_listeners = [ "policy" ];')
    box.fill_logins()
    box.fill_audit([{"at": -60, "client": "192.0.2.1", "rule": 13,
                     "verdict": "would-reject", "reason": "no-login"},
                    {"at": -50, "client": "192.0.2.1", "rule": 12,
                     "verdict": "would-tempfail",
                     "reason": "collector-behind"}])
    args = ["check", "--to", "a@far.test", "--client"]
    assert "mode:    monitor:" in box.out(*args, "192.0.2.1")
    assert not json.loads(box.out(*args, "192.0.2.1", "--json"))["enforced"]
    assert "mode:    monitor on policy" in box.out(*args, "192.0.2.99")
    assert "Not refused, in monitor mode: 1 recipient" in box.out(
        "why", "192.0.2.1")
    assert [r["reason"] for r in jsons(box.out(
        "decisions", "--json", "--verdict", "would-tempfail"))] == [
            "collector-behind"]
    by_client = jsons(box.out("stats", "--by", "client", "--json"))
    assert [(r["accepted"], r["rejected"], r["would_refuse"])
            for r in by_client] == [(0, 0, 2)]
    assert "relay.monitor_networks" in box.run("check-config").stderr
    rows = box.out("sql", "SELECT refused, would_refuse FROM "
                   "audit.relay_by_client")
    assert "0" in rows and "2" in rows


def test_check_at_another_time(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    out = box.out("check", "--client", "192.0.2.1", "--to", "a@far.test",
                  "--at", "3h")
    assert "login-expired" in out and "note:" in out


@pytest.mark.parametrize("to", ["", "<>"])
def test_check_without_a_recipient(box, to):
    assert "is no recipient: expected one like" in box.err(
        "check", "--client", "192.0.2.1", "--to", to, code=EX_USAGE)


def test_check_collector_behind(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)], sources=False)
    args = ["check", "--client", "192.0.2.9", "--to", "a@far.test"]
    assert "never read a log" in box.out(*args)
    box.run(*args, "--exit-code", code=EX_TEMPFAIL)
    db = sqlite3.connect(box.logins)
    with db:
        db.execute("INSERT INTO source (name, inode, position, "
                   "fingerprint, read_at, line_at) "
                   "VALUES ('x',0,0,'',?,0)",
                   (int(time.time()) - 500,))
    db.close()
    assert "answer:  tempfail (collector-behind, row 12)" in box.out(*args)


def test_check_asks_for_the_collector_only_without_a_login(box):
    """As the milter does: what is wrong there keeps no login from relaying."""
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    db = sqlite3.connect(box.logins)
    db.execute("DROP TABLE source")
    db.close()
    to = ["--to", "a@far.test"]
    assert "answer:  accept (recent-login, row 10)" in box.out(
        "check", "--client", "192.0.2.1", *to)
    assert "answer:  tempfail (store-unavailable, row 7)" in box.out(
        "check", "--client", "192.0.2.9", *to)


LIMITS = """never_authorize = [ ]; }; limits: { client_recipients = "3/1h"; user_recipients = "4/1h";
    client_messages = "off"; client_senders = "off"; user_messages = "off";
    user_clients = "off"; """


def row(text, n):
    found = [line for line in lines(text)
             if re.match(r"(rows:)? +%d +(yes|no) " % n, line)]
    return found[0] if found else None


def test_check_counts_as_the_milter_does(box):
    box.configure(relay=LIMITS)
    box.fill_logins([("192.0.2.1", "alice", -5, 900),
                     ("192.0.2.2", "alice", -5, 900)])
    ask = ["check", "--client", "192.0.2.1", "--to", "x@far.test"]
    # nothing was ever decided
    assert "not known" in row(box.out(*ask), 9)
    box.fill_audit([{"login_user": "alice", "at": -3900},
                    {"login_user": "alice"}, {"login_user": "alice"}])
    assert "no " in row(box.out(*ask), 9)
    assert row(box.out(*ask), 9).endswith("client_recipients 2 of 3/1h, "
                                          "user_recipients 2 of 4/1h")
    # too old, refused, our own, another client's: none of them counts
    box.fill_audit([{"login_user": "alice", "verdict": "reject"},
                    {"login_user": "alice", "reason": "local-recipient"},
                    {"login_user": "bob", "client": "192.0.2.9"}])
    assert "client_recipients 2 of 3/1h" in row(box.out(*ask), 9)
    box.fill_audit([{"login_user": "bob"}])
    answer = json.loads(box.out(*ask, "--json"))
    assert (answer["verdict"], answer["rule"]) == ("tempfail", 9)
    assert answer["reason"] == "rate-limited"
    assert answer["code"] == "450"
    assert box.run(*ask, "--exit-code", code=75)
    assert "rate-limited: client_recipients 3 of 3/1h" in \
        box.out("why", "192.0.2.1")
    # an address of the same user has its own count, and the user's
    assert "client_recipients 0 of 3/1h, user_recipients 2 of 4/1h" in \
        box.out("check", "--client", "192.0.2.2", "--to", "x@far.test")
    # AUTH counts for the user; a trusted network doesn't count
    text = box.out(*ask, "--auth", "carol")
    assert "user_recipients 0 of 4/1h" in row(text, 9)
    assert "client_" not in row(text, 9)
    assert "answer:  accept (authenticated, row 3)" in text
    box.fill_audit([{"auth_user": "carol", "reason": "authenticated"}] * 4)
    text = box.out(*ask, "--auth", "carol")
    assert "answer:  tempfail (rate-limited, row 9)" in text
    box.configure(relay=LIMITS + "authenticated = false; ")
    assert "answer:  accept (authenticated, row 3)" in \
        box.out(*ask, "--auth", "carol")


def test_several_users_are_charged(box):
    """A recipient of a client with several users counts as the milter has it:
    for each that has room, by login and not by AUTH."""
    box.configure(relay=LIMITS)
    box.fill_logins([("192.0.2.1", "alice", -5, 900),
                     ("192.0.2.1", "BOB", -5, 900),
                     ("192.0.2.1", "bob", -5, 900),
                     ("192.0.2.2", "alice", -5, 900)])
    other = ["check", "--client", "192.0.2.2", "--to", "x@far.test"]
    box.fill_audit([{"login_user": "bob,alice", "client": "192.0.2.1"}] * 2 +
                   [{"login_user": "ALICE", "client": "192.0.2.9"}] * 2 +
                   # given up before DATA
                   [{"login_user": "alice", "reply": "aborted"}] * 3)
    # bob has most left
    assert "client_recipients 2 of 3/1h, user_recipients 2 of 4/1h" in \
        box.out("check", "--client", "192.0.2.1", "--to", "x@far.test")
    # alice alone has nothing left; by AUTH she has
    text = box.out(*other)
    assert "answer:  tempfail (rate-limited, row 9)" in text
    assert "user_recipients 4 of 4/1h" in text
    assert "answer:  accept (authenticated, row 3)" in \
        box.out(*other, "--auth", "alice")
    assert "user_recipients 0 of 4/1h" in \
        row(box.out(*other, "--auth", "alice"), 9)
    assert "2 users logged in from there" in box.out("why", "192.0.2.1")
    text = box.out("dependents")
    assert "bob,alice" not in text
    assert "2 more recipients were relayed for clients with several" in text


def test_check_leaves_out_users_who_are_denied(box):
    """As the milter does: what such a user has left is nobody's."""
    box.configure(relay=LIMITS)
    box.fill_logins([("192.0.2.1", "alice", -5, 900),
                     ("192.0.2.1", "bob", -5, 900)])
    box.fill_audit([{"login_user": "bob", "client": "192.0.2.9"}] * 4)
    ask = ["check", "--client", "192.0.2.1", "--to", "x@far.test"]
    assert "answer:  accept (recent-login, row 10)" in box.out(*ask)
    box.breach("user", "alice", setting="user_recipients")
    assert "answer:  tempfail (rate-limited, row 9)" in box.out(*ask)
    box.breach("user", "bob", setting="user_recipients")
    assert "answer:  reject (denied, row 2)" in box.out(*ask)
