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
