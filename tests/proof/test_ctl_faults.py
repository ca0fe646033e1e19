# SPDX-License-Identifier: ISC
"""popgatectl with any call failing: it doesn't crash, it says so or answers as
ever, and the tables are as before or as they should be after."""
import os
import re
import shutil
import sqlite3

import pytest

from faults import KINDS, Faults, library
from lab.box import CTL, CtlBox
from lab.site import BUILD

ROWS = [("192.0.2.1", "alice", -100, 1500), ("192.0.2.2", "bob", -200, 1400),
        ("2001:db8::/64", "carol", -300, 1300),
        ("192.0.2.9", "dora", -4000, -2000)]
DECISIONS = [{}, {"verdict": "reject", "reason": "no-login", "rule": 14},
             {"client": "192.0.2.2", "auth_user": "bob"},
             {"client": "2001:db8::1", "at": -4000}]
READING = {
    "list": ["list"], "list-json": ["list", "--json"],
    "why": ["why", "192.0.2.1"], "why-json": ["why", "--json", "192.0.2.1"],
    "check": ["check", "192.0.2.1", "a@example.com", "b@far.test"],
    "decisions": ["decisions"], "stats": ["stats"], "top": ["top"],
    "spam": ["spam"], "dependents": ["dependents"], "dump": ["dump"],
    "export": ["export", "json"], "check-config": ["check-config"],
    "dump-config": ["dump-config"], "replay": ["replay", "mail.log"],
    "status": ["status"], "health": ["health"],
}
# These say in their answer what they could not look at.
TELLING = {"why", "why-json", "status", "health"}
WRITING = {
    "add": ["add", "198.51.100.7"], "delete": ["delete", "192.0.2.1"],
    "deny": ["deny", "192.0.2.1"], "expire": ["expire"],
    "undeny": ["undeny", "192.0.2.66"],
    "login": ["login", "198.51.100.8", "erin"],
}


def without_times(text):
    return re.sub(r"\d+", "0", text)


def content(path):
    """All rows of a database but their times."""
    db = sqlite3.connect(path)
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return without_times("\n".join(
            line for line in db.iterdump() if not line.startswith("BEGIN")))
    finally:
        db.close()


class Bench:
    def __init__(self, path):
        self.box = CtlBox(path / "box")
        self.box.fill_logins(ROWS)
        self.box.fill_audit(DECISIONS)
        self.box.log.write_text("")
        self.box.out("deny", "192.0.2.66")
        self.kept = path / "kept"
        shutil.copytree(self.box.path, self.kept)
        self.faults = Faults(library(BUILD), "popgatectl")

    def again(self):
        for name in os.listdir(self.box.path):
            if ".db" in name:
                (self.box.path / name).unlink()
        for name in os.listdir(self.kept):
            if ".db" in name:
                shutil.copy2(self.kept / name, self.box.path / name)

    def run(self, words, fault=None):
        return self.faults.run([CTL, "-c", self.box.conf, *words], fault,
                               cwd=self.box.path)

    def tables(self):
        return content(self.box.logins)


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "box").mkdir()
    bench = Bench(tmp_path)
    yield bench
    bench.faults.close()


def wrong(done, good, name):
    """The fault of a run in which a call failed; None: there is none."""
    if done.returncode < 0:
        return f"signal {-done.returncode}"
    if done.returncode != good.returncode:
        if not done.stderr.strip() and not done.stdout.strip():
            return "failed without a word"
        return None
    if (name not in TELLING and
            without_times(done.stdout) != without_times(good.stdout) and
            without_times(done.stderr) == without_times(good.stderr)):
        return "another answer, told as if it were right"
    return None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*READING, *WRITING])
def test_call_fails(bench, name, kind):
    words = {**READING, **WRITING}[name]
    writes = name in WRITING
    before = bench.tables()
    good = bench.run(words)
    calls = bench.faults.counts()[kind]
    after = bench.tables()
    found = []
    for fault in bench.faults.all_of(kind, calls):
        if writes:
            bench.again()
        done = bench.run(words, fault)
        why = wrong(done, good, name)
        if writes and why is None:
            now = bench.tables()
            # expire deletes part after part, each of them whole
            if now not in (before, after) and name != "expire":
                why = "tables half done"
            elif done.returncode == good.returncode == 0 and now != after:
                why = "said done, and wasn't"
        if why:
            found.append(f"{fault}: {why}: {done.stderr[-200:]!r}"
                         f" {done.stdout[-200:]!r}")
    assert not found, "\n".join([f"{len(found)} of {calls} calls"] + found)
