# SPDX-License-Identifier: ISC
"""popgatectl deny and undeny, and the denials that limits make."""
import json
import sqlite3
import time

from lab.box import HOSTILE, jsons


def test_deny_list_undeny(box):
    out = box.run("deny", "192.0.2.7", "--for", "2h", "--reason",
                  "spam " + HOSTILE).stdout
    assert "client 192.0.2.7 is denied until 2" in out
    assert "user alice is denied until 'popgatectl undeny'" in box.out(
        "deny", "alice")
    box.out("deny", "198.51.100.0/24")
    rows = jsons(box.out("deny", "--list", "--json"))
    assert {(r["subject"], r["kind"]) for r in rows} == {
        ("192.0.2.7", "client"), ("198.51.100.0/24", "client"),
        ("alice", "user")}
    assert "spam evil\\x1b[31mred" in box.out("deny", "--list")
    assert "Denied: " in box.out("why", "198.51.100.9")
    assert "Denied: " in box.out("why", "192.0.2.7")
    assert "Denied: " not in box.out("why", "192.0.2.8")
    box.out("undeny", "alice")
    assert "is not denied" in box.err("undeny", "alice", code=1)
    # in the table of the schema, for the policy
    db = sqlite3.connect(box.logins)
    assert db.execute("SELECT count(*) FROM deny").fetchone() == (2,)
    db.close()


def test_denied_for_a_breach(box):
    box.fill_logins([("192.0.2.1", "alice", -5, 900),
                     ("2001:db8::7", "alice", -5, 900)])
    box.fill_audit([])
    assert "Nobody is denied." in box.out("deny", "--list")
    assert "not denied" in box.err("undeny", "192.0.2.1", code=1)
    box.breach("client", "2001:db8::/64")
    box.breach("user", "Mallory" + HOSTILE, setting="user_recipients")
    box.breach("client", "192.0.2.1", until=None)
    listed = jsons(box.out("deny", "--list", "--json"))
    assert [(d["subject"], d["kind"], d["reason"]) for d in listed] == [
        ("2001:db8::/64", "client", "over limits.client_recipients = 3/1h"),
        ("Mallory" + HOSTILE, "user", "over limits.user_recipients = 3/1h")]
    # all of an IPv6 network is one client
    for client in ("2001:db8::7", "2001:db8::8"):
        assert "Policy row 2, denied: over limits.client_recipients" in \
            box.out("why", client)
    assert "may relay" in box.out("why", "192.0.2.1")
    why = json.loads(box.out("why", "192.0.2.1", "--json"))
    assert why["limits"][0]["setting"] == "client_recipients"
    assert why["limits"][0]["denied_until"] is None
    ask = ["check", "--client", "192.0.2.1", "--to", "x@far.test"]
    assert "(denied, row 2)" in box.out(*ask, "--auth", "MALLORY" + HOSTILE)
    assert "(authenticated, row 3)" in box.out(*ask, "--auth", "mallory")
    # undeny: any address of the network, any case of the user
    assert "is denied no longer" in box.out("undeny", "2001:db8::9")
    assert "is denied no longer" in box.out("undeny", "--user",
                                            "mallory" + HOSTILE)
    assert "was not denied\nIt went over" in box.out("undeny", "192.0.2.1")
    assert "Nobody is denied." in box.out("deny", "--list")
    assert "not denied" in box.err("undeny", "2001:db8::9", code=1)
    assert "let in again" in box.out("why", "2001:db8::7")
    # a new breach is a new denial
    time.sleep(0.01)
    box.breach("client", "2001:db8::/64")
    assert "2001:db8::/64" in box.out("deny", "--list")
    # an admin's denial and ours: undeny ends both
    box.out("deny", "2001:db8::/64")
    assert len(jsons(box.out("deny", "--list", "--json"))) == 2
    box.out("undeny", "2001:db8::/64")
    assert "Nobody is denied." in box.out("deny", "--list")


def test_logins_denied_for_a_breach(box):
    """By logins: they are worth nothing, when it is so of all users of the
    client; AUTH works. By AUTH: both are."""
    box.fill_logins([("192.0.2.1", "alice", -5, 900),
                     ("192.0.2.2", "alice", -5, 900),
                     ("192.0.2.2", "bob", -5, 900)])
    box.fill_audit([])
    box.breach("login", "ALICE", setting="user_recipients")
    listed = jsons(box.out("deny", "--list", "--json"))
    assert [(d["subject"], d["kind"], d["reason"]) for d in listed] == [
        ("ALICE", "user", "over limits.user_recipients = 3/1h by logins")]
    ask = ["check", "--client", "192.0.2.1", "--to", "x@far.test"]
    assert "(denied, row 2)" in box.out(*ask)
    assert "(authenticated, row 3)" in box.out(*ask, "--auth", "alice")
    assert "may relay" in box.out("why", "192.0.2.2")
    box.breach("login", "bob", setting="user_recipients")
    assert "Policy row 2, denied" in box.out("why", "192.0.2.2")
    assert "over limits.user_recipients" in box.out("why", "alice")
    assert "is denied no longer" in box.out("undeny", "--user", "alice")
    assert "may relay" in box.out("why", "192.0.2.2")
    time.sleep(0.01)
    box.breach("user", "alice", setting="user_recipients")
    assert "(denied, row 2)" in box.out(*ask)
    assert "(denied, row 2)" in box.out(*ask, "--auth", "alice")
    assert "is denied no longer" in box.out("undeny", "--user", "alice")
    assert "may relay" in box.out("why", "192.0.2.1")
