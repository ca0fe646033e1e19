# SPDX-License-Identifier: ISC
"""popgatectl status, health and reload without daemons."""
import json
import re
import sqlite3
import time

from lab.box import EX_UNAVAILABLE, HOSTILE


def test_status_and_health_of_nothing(box):
    out = box.out("status")
    assert "CRITICAL  policy channel" in out
    done = box.run("health", code=2)
    assert done.stdout.startswith("POPGATE CRITICAL - ")
    assert json.loads(box.out("status", "--json"))["state"] == "CRITICAL"
    with open(box.conf, "w") as out:
        out.write("rubbish")
    assert "UNKNOWN" in box.run("health", code=3).stdout
    box.configure()
    box.err("reload", code=EX_UNAVAILABLE)


def test_status_of_a_silent_server(box):
    now = int(time.time())
    box.fill_logins()
    box.fill_audit([])
    db = sqlite3.connect(box.logins)
    with db:
        for server, reason, lines, since, sample in (
                ("dovecot", "login", 50, 0, ""),
                ("dovecot", "not-a-login", 5000, 5000, ""),
                ("courier", "login", 50, 0, ""),
                ("courier", "failed-login", 30, 2, ""),
                ("cyrus", "unknown-shape", 40, 40, HOSTILE)):
            db.execute("INSERT INTO source_count VALUES (?,?,?,?,?,?,?,?,?)",
                       (f"file:{box.log}", server, reason, lines, since,
                        now - 99999, now - 9000, sample,
                        9000 if server == "courier" else 0))
    db.close()
    out = box.out("status")
    assert re.search(r"WARNING +server dovecot .*5000 lines, 0 logins in 2 h: "
                     r"format changed\?", out)
    assert re.search(r"WARNING +server dovecot .*: 0 lines in 2 h: stopped", out)
    assert not re.search(r"server courier .*: 0 lines", out)
    assert re.search(r"OK +server courier", out)
    assert re.search(r"WARNING +server cyrus .*40 lines, 0 logins in 27 h: "
                     r"format changed\?; not understood: evil", out)
