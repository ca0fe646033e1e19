# SPDX-License-Identifier: ISC
"""popgatectl sql, and the SQL of the manual and of sql/queries."""
import re
import shutil
import sqlite3
import subprocess

import pytest

from lab.box import CTL
from lab.site import TOP


def test_sql(box):
    if not shutil.which("sqlite3"):
        pytest.skip("sqlite3 is not here")
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    box.fill_audit([{}])
    assert box.out("sql", "SELECT client FROM relay_client") == \
        "192.0.2.1\n"
    assert box.out("sql", "SELECT count(*) FROM audit.decision") == "1\n"
    for table in ("login", "audit.channel_decision"):
        done = subprocess.run([CTL, "-c", box.conf, "sql",
                               "DELETE FROM " + table], capture_output=True,
                              text=True)
        assert done.returncode != 0 and "readonly" in done.stderr


QUERIES = sorted(path.name for path in (TOP / "sql/queries").glob("*.sql"))


def manual():
    return (TOP / "docs/man/popgate-sql.5").read_text()


def test_manual_names_every_table_and_column(box):
    box.fill_logins()
    box.fill_audit([])
    text = manual()
    for file, name in ((box.logins, "logins.db"), (box.audit, "audit.db")):
        db = sqlite3.connect(file)
        for (table, kind) in db.execute(
                "SELECT name, type FROM sqlite_master WHERE type IN "
                "('table', 'view') AND name NOT LIKE 'sqlite%'").fetchall():
            part = text[text.index(".Ss %s: %s" % (
                name, table if kind == "table" else "views")):]
            part = re.split(r"\n\.S[sh] ", part, maxsplit=1)[0]
            if kind == "view":
                part = part[part.index(".It Va %s " % table):]
                part = part.split("\n.It Va", 1)[0]
            for row in db.execute("PRAGMA table_info(%s)" % table):
                assert re.search(r"\b%s\b" % row[1], part), (table, row[1])
        db.close()


def test_manual_queries_run(box):
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    box.fill_audit([{"login_user": "alice", "queue_id": "4ABC"}])
    found = re.findall(r"^\.Bd -literal -offset indent\n(SELECT.*?)^\.Ed",
                       manual(), re.M | re.S)
    assert len(found) >= 10
    for sql in found:
        audit = re.search(r"FROM (decision|tally|relay_by|sender_by)", sql)
        db = sqlite3.connect(box.audit if audit else box.logins)
        db.execute(sql).fetchall()
        db.close()


@pytest.mark.parametrize("name", QUERIES)
def test_example_query(box, name):
    """Runs, says what it is for, and never scans a whole table."""
    box.fill_logins([("192.0.2.1", "alice", -240, 1560)])
    box.fill_audit([{"login_user": "alice", "queue_id": "4A"}])
    sql = (TOP / "sql/queries" / name).read_text()
    assert sql.startswith("-- ")
    db = sqlite3.connect(box.logins)
    db.execute("ATTACH ? AS audit", (str(box.audit),))
    body = re.sub(r"--.*", "", sql)
    for statement in filter(str.strip, body.split(";")):
        names = set(re.findall(r"[:@]([a-z_]+)", re.sub(
            r"'[^']*'", "", statement)))
        values = {n: {"client": "192.0.2.1", "user": "alice",
                      "queue_id": "4A"}.get(n) for n in names}
        db.execute(statement, values).fetchall()
        plan = [row[3] for row in db.execute(
            "EXPLAIN QUERY PLAN " + statement, values)]
        # by an index from end to end is the whole table, too
        for step in plan:
            assert not re.match(r"SCAN (login|login_event|decision)\b",
                                step), (name, plan)
    db.close()
