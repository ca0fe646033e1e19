# SPDX-License-Identifier: ISC
"""popgatectl why: a client, a user, a queue id, a message."""
import json
import os
import re
import sqlite3
import subprocess
import time

from lab.box import EX_NOINPUT, HOSTILE, jsons, lines, login


def without_ages(text):
    """text without "4 min ago" and "in 25 min", which the next second may
    change."""
    return re.sub(r"in \d+ \w+|\d+ \w+ ago", "AGE", text)


def test_why_address(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    box.fill_audit([
        {"client": "192.0.2.1", "login_user": "alice", "queue_id": "4AAA"},
        {"client": "192.0.2.1", "login_user": "alice", "queue_id": "4BBB",
         "recipient": "<last@far.test>", "at": -5},
        {"client": "192.0.2.1", "verdict": "reject", "reason": "no-login",
         "reply": "550 5.7.1 Relaying denied", "at": -4000, "rule": 13}])
    out = box.out("why", "192.0.2.1")
    assert "192.0.2.1 may relay until" in out
    assert "Policy row 10, recent-login: alice" in out
    assert "(4 min ago)" in out
    assert "imap" in out and "dovecot" in out
    assert "Login: user=<alice>, rip=192.0.2.1" in out
    assert f"file:{box.log} at byte 77" in out
    assert "Accepted: 2 recipients in 2 messages" in out
    assert out.index("last@far.test") < out.index("b@far.test")
    assert "Refused: 1 recipient in 1 message" in out
    assert "told: 550 5.7.1 Relaying denied" in out
    j = json.loads(box.out("why", "192.0.2.1", "--json"))
    assert (j["verdict"], j["rule"]) == ("accept", 10)
    # no popgate-milter runs here
    assert j["daemon"]["state"] == "silent" and j["may_relay"] is False
    assert out.startswith("popgate-milter does not answer (milter.status "
                          f"unix:{box.path}/status.sock: No such file")
    assert j["logins"][0]["user"] == "alice"
    assert j["evidence"][0]["position"] == 77
    assert j["accept"]["recipients"] == 2
    mapped = box.out("why", "[::ffff:192.0.2.1]")
    assert without_ages(mapped) == without_ages(out)


def test_why_several_users_is_never_a_guess(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560),
                     ("192.0.2.1", "bob", -100, 1700)])
    out = box.out("why", "192.0.2.1")
    assert "one of several users" in out
    assert "a relayed message is by one of 2" in out


def test_why_user_and_queue_id(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560),
                     ("192.0.2.2", "alice", -9000, -7200)])
    box.fill_audit([{"login_user": "alice", "queue_id": "4AAA"},
                    {"auth_user": "alice", "reason": "authenticated",
                     "queue_id": "4CCC", "rule": 3}])
    out = box.out("why", "alice")
    assert "192.0.2.1" in out and "192.0.2.2" in out
    assert "counts now from 1 of 2 addresses" in out
    assert "Accepted: 2 recipients" in out
    out = box.out("why", "4CCC")
    assert out.startswith("Message 4CCC, client 192.0.2.1")
    assert "policy row 3" in out
    assert "neither a user nor a queue id" in box.err("why", "nobody",
                                                      code=1)


def test_why_message_id(box):
    """Through the MTA's log; and only the field that the MTA wrote as one
    decides, wherever else the text stands."""
    box.fill_logins()
    box.fill_audit([{"queue_id": "4AAA1", "recipient": "<right@far.test>"},
                    {"queue_id": "4AAA1", "recipient": "<old@far.test>",
                     "at": -86400},
                    {"queue_id": "4BBB2", "recipient": "<wrong@far.test>"},
                    {"queue_id": "6ALENnKj000068",
                     "recipient": "<second@far.test>"}])
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime())
    with open(box.log, "w") as log:
        for line in ("postfix/cleanup[1]: 4AAA1: message-id=<x@y.test>",
                     "postfix/qmgr[2]: 4BBB2: from=<x@y.test>, size=1, "
                     "nrcpt=1 (queue active)",
                     "postfix/cleanup[1]: 4BBB2: message-id=<x@y.test>, a",
                     "postfix/smtpd[1]: 4BBB2: message-id=<x@y.test>",
                     "logger: 4BBB2: message-id=<x@y.test>",
                     "sm-mta[3]: 6ALENnKj000068: from=<a@b>, size=1, class=0,"
                     " nrcpts=1, msgid=<x@y.test>, proto=SMTP, daemon=MTA, "
                     "relay=[192.0.2.1]",
                     "postfix/cleanup[1]: 4DDD4: message-id=<local@y.test>"):
            log.write(stamp + "mail " + line + "\n")
    for form in ("<x@y.test>", "x@y.test"):
        out = box.out("why", form)
        assert "2 messages with this message-id" in out
        assert "right@far.test" in out and "second@far.test" in out
        assert "wrong@far.test" not in out
        # an id that was in use before for another message
        assert "old@far.test" not in out
    got = json.loads(box.out("why", "x@y.test", "--json"))
    assert [(m["queue_id"], len(m["decisions"])) for m in
            got["messages"]] == [("4AAA1", 1), ("6ALENnKj000068", 1)]
    assert "decided nothing of it" in box.out("why", "local@y.test")
    assert "nor a message-id" in box.err("why", "<no@y.test>", code=1)
    # elsewhere, and nowhere
    other = box.path / "other.log"
    os.rename(box.log, other)
    assert "right@far.test" in box.out("why", "--log", other, "x@y.test")
    assert "no such log" in box.err("why", "x@y.test", code=EX_NOINPUT)


def test_why_of_a_client_with_many_decisions(box):
    """Counts are of the newest, and say so; an old refusal is not looked
    for among a million."""
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    box.fill_audit([{"verdict": "tempfail", "at": -9000}] +
                   [{"verdict": "accept", "at": -5000 + i} for i in
                    range(2000)] + [{"verdict": "reject", "at": -5,
                                     "reason": "denied"}])
    got = json.loads(box.out("why", "192.0.2.1", "--json"))
    assert got["accept"]["recipients"] == 1999 and got["accept"]["at_least"]
    assert got["reject"]["recipients"] == 1
    assert got["reject"]["newest"][0]["reason"] == "denied"
    assert got["tempfail"]["recipients"] == 0
    assert len(got["accept"]["newest"]) == 5
    text = box.out("why", "192.0.2.1")
    assert "Of its newest 2000 decisions:" in text
    assert "at least 1999 recipients" in text
    # whoever asks for more, gets more
    got = json.loads(box.out("why", "192.0.2.1", "--decisions", "3000",
                             "--json"))
    assert got["accept"]["recipients"] == 2000
    assert not got["accept"]["at_least"]
    assert len(got["accept"]["newest"]) == 2000
    assert got["tempfail"]["recipients"] == 1


def test_why_user_of_many_addresses(box):
    """The evidence is the newest login's, of whichever address."""
    box.fill_logins([("10.0.%d.%d" % (i >> 8, i & 255), "alice",
                      -60 - abs(i - 150), 1000) for i in range(300)])
    text = box.out("why", "alice", "--events", "2")
    assert "and 100 more: see 'popgatectl list --all'" in text
    assert "from 300 of 300 addresses" in text
    evidence = text[text.index("Evidence"):]
    assert "rip=10.0.0.150" in lines(evidence)[3]
    assert len(json.loads(box.out("why", "alice", "--json"))["logins"]) == 300


def test_why_near_misses(box):
    box.fill_logins([("192.0.2.2", "bob", -9000, -7200)])
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime())
    with open(box.log, "w") as log:
        log.write(f"{stamp} mail dovecot: imap-login: Disconnected: "
                  "Connection closed (auth failed, 1 attempts in 2 secs): "
                  "user=<eve>, method=PLAIN, rip=192.0.2.1, "
                  "lip=198.51.100.1, session=<abc>\n")
        log.write(f"{stamp} mail dovecot: imap-login: Login: user=<eve>, "
                  "method=PLAIN, rip=192.0.2.10, lip=198.51.100.1\n")
        log.write(f"{stamp} mail postfix/smtpd[1]: connect from "
                  "x[192.0.2.1]\n")
    out = box.out("why", "192.0.2.1")
    assert "may not relay now" in out
    assert "Near misses:" in out
    assert ": failed-login" in out and "rip=192.0.2.1," in out
    assert "192.0.2.10" not in out and "smtpd" not in out
    out = box.out("why", "192.0.2.2")
    assert "login-expired" in out and "the login expired" in out
    assert "no POP or IMAP server's line names it" in out
    os.unlink(box.log)
    assert "can't be read" in box.out("why", "192.0.2.1")


def test_why_says_nothing_that_is_not_so(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560),
                     ("192.0.2.7", "bob", -240, 1560)])
    box.fill_audit([{"queue_id": "4AUTH", "auth_user": "carol", "rule": 3,
                     "reason": "authenticated"}, {"queue_id": "4LOGIN"}])
    now = int(time.time())
    for database, change in (
            (box.audit, "UPDATE channel_decision SET login_at = 1700000000"),
            (box.logins, "UPDATE login_event SET source = 'journal:system', "
             f"position = {now}000017"),
            (box.logins, "UPDATE source SET read_at = read_at + 20")):
        with sqlite3.connect(database) as db:
            db.execute(change)
        db.close()
    # another's login had no part in what SMTP AUTH opened
    assert "by the login of" not in box.out("why", "4AUTH")
    assert "by the login of" in box.out("why", "4LOGIN")
    # a position in the journal is a moment
    out = box.out("why", "192.0.2.1")
    assert "at byte" not in out
    assert f"journal:system at {time.strftime('%Y-%m-%d', time.gmtime(now))}" \
        in out
    # what others wrote while we read is no future
    out = box.out("why", "192.0.2.9")
    assert "Policy row 13, no-login: no login from there is in the table." \
        in out and "in 20 s" not in out
    # who is denied has missed no login
    box.write(login("192.0.2.1"))
    box.run("deny", "192.0.2.1")
    out = box.out("why", "192.0.2.1")
    assert "row 2, denied" in out and "Near misses" not in out
    assert json.loads(box.out("why", "192.0.2.1",
                              "--json"))["near_misses"] == []
    assert "counts now from 1 of 1" in box.out("why", "bob")
    box.run("deny", "--user", "bob")
    out = box.out("why", "bob")
    assert "counts now" not in out
    assert "the user is denied: no login of its counts" in out


def test_hostile_text_never_reaches_the_terminal(box):
    box.fill_logins([("192.0.2.1", HOSTILE, -240, 1560)])
    box.fill_audit([{"login_user": HOSTILE, "sender": HOSTILE,
                     "recipient": HOSTILE, "queue_id": "4AAA",
                     "reply": HOSTILE, "verdict": "reject"}])
    for args in (["list"], ["list", "--json"], ["why", "192.0.2.1"],
                 ["why", "192.0.2.1", "--json"], ["why", "4AAA"],
                 ["why", HOSTILE], ["decisions"], ["decisions", "--json"],
                 ["decisions", "--csv"], ["stats", "--by", "user"],
                 ["top"], ["spam", "--recipients", "1"], ["export",
                                                          "--format", "csv"],
                 ["export", "--format", "relayhostsusers"],
                 ["check", "--client", "192.0.2.1", "--to", HOSTILE]):
        box.run(*args)      # run() looks for what must not be there
    j = jsons(box.out("list", "--json"))[0]
    assert j["user"] == HOSTILE
    # the command to paste names the very user
    spam = box.out("spam", "--recipients", "1")
    command = re.search(r"deny --user (\$'.*') --reason", spam).group(1)
    typed = subprocess.run(["bash", "-c", "printf %s " + command],
                           capture_output=True, text=True).stdout
    assert typed == HOSTILE
