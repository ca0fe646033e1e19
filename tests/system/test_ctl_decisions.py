# SPDX-License-Identifier: ISC
"""popgatectl decisions, stats, top, spam, dependents: what was decided."""
import csv
import io
import json
import signal
import subprocess

from lab.box import CTL, jsons


def test_decisions_filters(box):
    box.fill_audit([
        {"at": -9000, "client": "192.0.2.1", "login_user": "alice"},
        {"at": -60, "client": "192.0.2.2", "auth_user": "bob",
         "reason": "authenticated", "queue_id": "4Q", "rule": 3,
         "sender": "bob@example.com"},
        {"at": -50, "client": "unknown", "verdict": "reject",
         "reason": "no-client-identity", "rule": 6,
         "recipient": "<x@far.test>"}])

    def ids(*args):
        return [r["id"] for r in jsons(box.out("decisions", "--json",
                                               *args))]
    assert ids() == [1, 2, 3]
    assert ids("--since", "10m") == [2, 3]
    assert ids("--until", "10m") == [1]
    assert ids("--client", "[192.0.2.2]") == [2]
    assert ids("--client", "unknown") == [3]
    assert ids("--user", "alice") == [1]
    assert ids("--user", "bob") == [2]
    assert ids("--sender", "bob@example.com") == [2]
    assert ids("--recipient", "x@far.test") == [3]
    assert ids("--verdict", "reject") == [3]
    assert ids("--reason", "authenticated") == [2]
    assert ids("--queue-id", "4Q") == [2]
    assert ids("--limit", "2") == [2, 3]
    assert ids("--limit", "0") == [1, 2, 3]
    assert "No such decision" in box.out("decisions", "--user", "nobody")
    rows = list(csv.DictReader(io.StringIO(box.out("decisions", "--csv"))))
    assert [r["reason"] for r in rows] == [
        "recent-login", "authenticated", "no-client-identity"]


def test_csv_is_no_formula(box):
    box.fill_audit([{"sender": '=cmd|"x"', "recipient": "<a,b@far.test>"}])
    row = list(csv.DictReader(io.StringIO(box.out("decisions", "--csv"))))[0]
    assert row["sender"] == "'=cmd|\"x\""
    assert row["recipient"] == "<a,b@far.test>"


def test_decisions_follow(box):
    box.fill_audit([{"client": "192.0.2.1"}])
    child = subprocess.Popen(
        [CTL, "-c", box.conf, "decisions", "--follow", "--json"],
        stdout=subprocess.PIPE, text=True,
        # a shell's background job ignores it, and so do its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        assert json.loads(child.stdout.readline())["client"] == "192.0.2.1"
        box.fill_audit([{"client": "192.0.2.2"}])
        assert json.loads(child.stdout.readline())["client"] == "192.0.2.2"
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(120)
        child.stdout.close()


def test_stats_top_spam_dependents(box):
    box.fill_audit(
        [{"client": "192.0.2.66", "login_user": "victim",
          "sender": "r%d@rnd.test" % n} for n in range(20)] +
        [{"client": "192.0.2.1", "login_user": "alice"}] * 3 +
        [{"client": "192.0.2.2", "login_user": "bob"},
         {"client": "192.0.2.2", "auth_user": "bob",
          "reason": "authenticated"},
         {"client": "192.0.2.3"},
         {"client": "192.0.2.4", "verdict": "reject",
          "reason": "no-login"}])
    by_client = {r["client"]: r for r in jsons(
        box.out("stats", "--by", "client", "--json"))}
    assert by_client["192.0.2.66"]["senders"] == 20
    assert by_client["192.0.2.4"]["rejected"] == 1
    assert sum(r["recipients"] for r in jsons(
        box.out("stats", "--json"))) == 27
    assert jsons(box.out("top", "--by", "client", "--json", "--limit",
                         "1"))[0]["client"] == "192.0.2.66"
    spam = box.out("spam")
    assert "popgatectl deny '192.0.2.66' --reason spam" in spam
    assert "popgatectl deny --user 'victim' --reason spam" in spam
    assert "192.0.2.1:" not in spam
    assert "Nothing looks like" in box.out("spam", "--senders", "100")
    users = [r["user"] for r in jsons(box.out("dependents", "--json"))]
    assert users == ["victim", "alice"]
    assert "1 more recipients" in box.out("dependents")
    for args in (["stats"], ["top"], ["stats", "--by", "day"],
                 ["stats", "--by", "reason"]):
        assert box.out(*args)


def test_dependents_is_a_campaign(box):
    """Since when, with what device, who has moved; and the list to write to."""
    day = 86400
    box.fill_audit(
        [{"login_user": "=1+2", "at": -40 * day, "helo": "old"},
         {"login_user": "=1+2", "at": -60, "client": "192.0.2.5",
          "helo": "@SUM(1)", "sender": "x@example.com"},
         {"login_user": "bob@example.com", "at": -50, "helo": 'a"b,c'},
         {"login_user": "ann", "at": -9 * day},
         {"auth_user": "ANN", "at": -8 * day, "reason": "authenticated"},
         {"login_user": "carol", "at": -2 * day},
         {"auth_user": "carol", "at": -1 * day, "reason": "authenticated"}])
    first, second = jsons(box.out("dependents", "--json"))
    assert (first["user"], second["user"]) == ("=1+2", "bob@example.com")
    assert first["recipients"] == 1 and first["state"] == "depends"
    assert first["first_at"] < first["last_at"] and not first["auth_at"]
    assert [d["helo"] for d in first["devices"]] == ["@SUM(1)"]
    assert first["addresses"][0]["client"] == "192.0.2.5"
    moved = {r["user"]: r["state"] for r in jsons(
        box.out("dependents", "--moved", "--json"))}
    assert moved == {"ann": "moved", "carol": "both"}
    assert "1 more use SMTP AUTH and a login, 1 have moved" in \
        box.out("dependents")
    weeks = jsons(box.out("dependents", "--weeks", "--json"))
    assert sum(w["by_auth"] for w in weeks) == 2
    assert sum(w["by_login"] for w in weeks) == 5       # one in two weeks

    done = subprocess.run([CTL, "-c", box.conf, "dependents", "--mail-merge"],
                          capture_output=True, check=True)
    assert done.stdout.count(b"\r\n") == done.stdout.count(b"\n") == 3
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
    assert rows[0]["user"] == "'=1+2" and rows[0]["helo"] == "'@SUM(1)"
    assert rows[0]["address"] == "x@example.com"
    assert rows[1]["address"] == rows[1]["user"] == "bob@example.com"
    assert rows[1]["helo"] == 'a"b,c'
    assert not any(cell[:1] in set("=+-@") for row in rows
                   for cell in row.values())
    for args in (["--mail-merge", "--json"], ["--since", "@99999999999"]):
        box.err("dependents", *args, code=64)
