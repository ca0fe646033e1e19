# SPDX-License-Identifier: ISC
"""Tables of Postfix that can only be asked: how often, and what if they don't
answer."""
import concurrent.futures
import os
import re
import signal
import sqlite3
import time

import pytest

from lab.box import MILTER
from lab.daemons import Daemons
from lab.process import need, wait_for

POSTMAP = """\
#!/bin/sh
echo "$*" >> {log}
while [ -e {hang} ]; do sleep 0.1; done
exec /usr/sbin/postmap "$@"
"""


class Asked(Daemons):
    """A milter whose Postfix has its domains in SQLite."""

    def __init__(self, path):
        super().__init__(path)
        need("/usr/sbin/postmap", "postfix")
        self.etc = self.path / "postfix"
        self.etc.mkdir()
        self.calls = self.path / "calls"
        self.calls.touch()
        self.hang = self.path / "hang"
        self.database = self.etc / "db"
        with sqlite3.connect(self.database) as db:
            db.execute("CREATE TABLE t (d)")
            db.execute("INSERT INTO t VALUES ('ours.test')")
        (self.etc / "sql.cf").write_text(
            f"dbpath = {self.database}\n"
            "query = SELECT d FROM t WHERE d = '%s'\n")
        (self.etc / "main.cf").write_text(
            "compatibility_level = 3.6\nmydestination = known.test\n"
            "import_environment =\n"
            f"relay_domains = sqlite:{self.etc}/sql.cf\n")
        (self.etc / "master.cf").touch()
        (self.path / "bin").mkdir()
        wrapper = self.path / "bin/postmap"
        wrapper.write_text(POSTMAP.format(log=self.calls, hang=self.hang))
        wrapper.chmod(0o755)
        self.conf.write_text(self.conf.read_text().replace(
            '[ "lab.test" ]', f'[ "postfix:{self.etc}" ]'))

    def launch(self, program, *args, **popen):
        return super().launch(program, *args, env={
            **os.environ, "PATH": f"{self.path}/bin:{os.environ['PATH']}"},
            **popen)

    def processes_run(self):
        return len(self.calls.read_text().splitlines())

    def says(self, domain, client="203.0.113.9"):
        answer = self.ask(client, f"x@{domain}")
        return "ours" if answer.startswith("action=DUNNO") else "foreign"


@pytest.fixture
def asked(tmp_path):
    box = Asked(tmp_path)
    try:
        yield box
    finally:
        box.hang.unlink(missing_ok=True)
        box.close()


def test_no_process_a_recipient(asked):
    asked.start("milter")
    before = asked.processes_run()
    for _ in range(50):
        assert asked.says("ours.test") == "ours"
        assert asked.says("known.test") == "ours"
        assert asked.says("foreign.test") == "foreign"
    assert asked.processes_run() <= before + 2

    # many at once are one process, or a few
    before = asked.processes_run()
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(asked.says, [
            f"d{i % 100}.test" for i in range(400)]))
    assert set(answers) == {"foreign"}
    assert asked.processes_run() <= before + 60


def test_no_answer(asked):
    asked.start("milter")
    assert asked.says("ours.test") == "ours"
    asked.hang.touch()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        late = [pool.submit(asked.says, f"new{i}.test") for i in range(4)]
        wait_for(lambda: "new0.test" in asked.calls.read_text() or
                 asked.processes_run() > 2, "a process that hangs")
        # whoever needs no process waits for none
        began = time.monotonic()
        for _ in range(50):
            assert asked.says("known.test") == "ours"
            assert asked.says("ours.test") == "ours"
        assert not any(f.done() for f in late), time.monotonic() - began
        # it isn't known: Postfix, which asks itself, stands behind
        assert {f.result() for f in late} == {"ours"}
    wait_for(lambda: re.search(
        r"relay.local_domains: relay_domains: sqlite:\S*: postmap: gave no "
        "answer in time and was ended: recipients of domains that aren't "
        "known otherwise get a temporary failure", asked.said(MILTER)),
        "the failure in the log")
    asked.hang.unlink()
    wait_for(lambda: asked.says("new0.test") == "foreign", "an answer")
    wait_for(lambda: "all tables can be asked again" in asked.said(MILTER),
             "the end of it in the log")
    assert len(re.findall("known otherwise get a temporary failure",
                          asked.said(MILTER))) == 1


def test_logged_in(asked):
    """A client that may relay needs no answer: at worst, its recipient isn't
    ours."""
    asked.start("collector")
    asked.login("192.0.2.7")
    wait_for(lambda: asked.active() == {"192.0.2.7"}, "the login")
    asked.start("milter")
    (asked.etc / "sql.cf").write_text(
        f"dbpath = {asked.database}\nquery = SELECT d FROM missing\n")
    answer = asked.ask("192.0.2.7", "x@elsewhere.test")
    assert answer.startswith("action=OK"), answer
    row = asked.query("SELECT verdict, reason FROM decision "
                      "WHERE recipient = 'x@elsewhere.test'",
                      database=asked.audit)
    assert row == [("accept", "recent-login")]


def test_unreadable_starts(asked):
    """A table that can't be read is a warning, at start and at a reload."""
    (asked.etc / "sql.cf").unlink()
    asked.start("milter")
    assert re.search(r"relay_domains: sqlite:\S*/sql.cf can't be asked: .*"
                     r"What to do: ", asked.said(MILTER)), asked.said(MILTER)
    assert asked.says("known.test") == "ours"
    notes = asked.ctl("check-config")
    assert re.search(r"note: .*relay_domains: sqlite:\S*/sql.cf can't be "
                     "asked", notes)
    asked.start("collector")
    wait_for(lambda: asked.health("collector"), "the collector")
    asked.stop("collector")
    done = asked.run("check", "--client", "203.0.113.9", "--to",
                     "x@new.test")
    assert "tempfail (domain-unknown" in done.stdout, done.stdout
    with open(asked.etc / "main.cf", "a") as main:
        main.write("virtual_alias_domains = foo:bar\n")
    before = len(asked.said(MILTER))
    asked.processes["milter"].send_signal(signal.SIGUSR1)
    wait_for(lambda: "is in force" in asked.said(MILTER)[before:],
             "the reload")
    assert "virtual_alias_domains: foo:bar can't be asked" in \
        asked.said(MILTER)[before:]
