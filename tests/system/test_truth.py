# SPDX-License-Identifier: ISC
"""Everything that can be wrong with the daemons, and what status, health, its
JSON, a daemon's own page and the metrics say of it: never that all is well.
Real processes, each as its own user.  What an MTA has to do with it is in
test_asked.py."""
import contextlib
import dataclasses
import functools
import grp
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import sqlite3
import subprocess
import time
import typing

import pytest

from lab import namespace
from lab.box import login
from lab.popgate import Popgate
from lab.process import wait_for
from lab.site import BUILD, NamespaceSite

EXIT = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}
WORST = ("OK", "UNKNOWN", "WARNING", "CRITICAL")


class Lab:
    """Daemons of their own users, with their tables on a small disk and no
    mail server: where one is, it is asked as well."""

    def __init__(self):
        self.site = NamespaceSite()
        try:
            self.furnish()
        except BaseException:
            self.site.close()
            raise

    def furnish(self):
        for name in ("postfix", "mail", "exim4"):
            if os.path.isdir(f"/etc/{name}"):
                namespace.mount("tmpfs", f"/etc/{name}", "tmpfs", 0)
        self.popgate = p = Popgate(self.site, ["lab.test"], "daemon",
                                   grace="4s")
        namespace.mount("tmpfs", str(p.data), "tmpfs", 0, "size=8m")
        self.give_data("popgate-collector")
        self.log = self.site.mail_log
        self.log.write_text(login("203.0.113.5"))
        self.log.chmod(0o644)
        self.start("collector")
        self.start("milter")

    def close(self):
        self.site.close()

    def give_data(self, user):
        os.chown(self.popgate.data, pwd.getpwnam(user).pw_uid,
                 grp.getgrnam("popgate").gr_gid)
        self.popgate.data.chmod(0o3770 if user != "root" else 0o3750)

    def start(self, name):
        process = getattr(self.popgate, name)
        before = len(self.said(name))
        process.start().ready(lambda: re.search(
            "ready: |started, ", self.said(name)[before:]), "ready")

    def said(self, name):
        path = getattr(self.popgate, name).log
        return path.read_text() if path.exists() else ""

    def page(self, name, path="/health"):
        place = {"milter": (self.site.sockets, "status.sock"),
                 "collector": (self.popgate.data, "collector.sock")}[name]
        file = "metrics.sock" if path == "/metrics" else place[1]
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(place[0] / file))
            s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        return text.partition("\r\n\r\n")[2]

    def health(self, name):
        return json.loads(self.page(name))

    def metric(self, name, metric):
        """The largest value of that name."""
        return max(float(line.split()[-1])
                   for line in self.page(name, "/metrics").splitlines()
                   if re.match(rf"popgate_{metric}[ {{]", line))

    def ask(self, who=()):
        """status, health and health --json at once, as a monitor does: the
        first two, and {what: [(state, words)]} of the third."""
        calls = [subprocess.Popen(
            [*who, BUILD / "popgatectl", "-c", self.popgate.config, *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for words in (["status"], ["health"], ["health", "--json"])]
        status, line, text = (c.communicate()[0] for c in calls)
        found = json.loads(text)
        assert found["state"] == max(
            (c["state"] for c in found["checks"]), key=WORST.index)
        assert calls[2].returncode == EXIT[found["state"]]
        state = re.match(r"POPGATE (\w+) - .", line)[1]
        assert calls[1].returncode == EXIT[state]
        assert not re.search(r"end in \d+ s", status)      # the future
        checks = {}
        for check in found["checks"]:
            checks.setdefault(check["what"], []).append(
                (check["state"], check["words"]))
        return status, line, checks

    def wait_checks(self, wants, who=()):
        """Until all three say all of the wants, (what, state, words)."""
        def told():
            status, line, checks = self.ask(who)
            return checks if all(
                any(s == state and re.search(words, w)
                    for s, w in checks.get(what, [])) and
                (state == "OK" or re.search(
                    f"{re.escape(what)}: .*{words}", line)) and
                (what == "configuration" or re.search(
                    f"(?m)^{state} +{re.escape(what)}: .*{words}", status))
                for what, state, words in wants) else None
        return wait_for(told, lambda: f"{wants}\nbut {self.ask(who)}")

    def mail(self, client="203.0.113.9"):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.site.sockets / "policy.sock"))
            s.sendall(b"request=smtpd_access_policy\nprotocol_state=RCPT\n"
                      b"client_address=%s\nrecipient=x@y.test\n"
                      b"sender=a@b.test\n\n" % client.encode())
            return s.recv(2000).decode()

    @property
    def source(self):
        return f"source file:{self.log}"

    def sql(self, statement):
        db = sqlite3.connect(self.popgate.data / "logins.db",
                             isolation_level=None)
        db.execute(statement)
        db.close()


@pytest.fixture(scope="module")
def lab(keep):
    yield from keep(Lab())


def breaks(function):
    """A function that breaks something, yields, and mends it, whatever the
    test has found meanwhile."""
    @contextlib.contextmanager
    @functools.wraps(function)
    def broken(lab, *args, **kw):
        steps = function(lab, *args, **kw)
        next(steps)
        try:
            yield
        finally:
            for _ in steps:
                pass
    return broken


@breaks
def logins_closed_to_milter(lab):
    files = [lab.popgate.data / f"logins.db{end}" for end in
             ("", "-wal", "-shm")]
    for file in files:
        file.chmod(0o600)
    yield
    for file in files:
        file.chmod(0o640)


@breaks
def stopped(lab, name):
    process = getattr(lab.popgate, name)
    process.send(signal.SIGSTOP)
    yield
    process.send(signal.SIGCONT)


@breaks
def dead(lab, name):
    getattr(lab.popgate, name).kill()
    if name == "collector":     # and the clock is set back meanwhile
        lab.sql("UPDATE source SET read_at = read_at + 86400")
    yield
    if name == "collector":
        lab.sql("UPDATE source SET read_at = read_at - 86400")
    lab.start(name)


@breaks
def directory_closed(lab):
    """As an admin's chown leaves it; the daemon is restarted in it."""
    lab.popgate.collector.stop()
    lab.give_data("root")
    lab.start("collector")
    yield
    # it says so once, and not twice
    assert lab.said("collector").count("logins.db.collector: ") == 1
    lab.give_data("popgate-collector")


@breaks
def locked(lab):
    db = sqlite3.connect(lab.popgate.data / "logins.db",
                         isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    yield
    db.execute("ROLLBACK")
    db.close()


@breaks
def disk_full(lab):
    fill = lab.popgate.data / "fill"
    with open(fill, "wb", buffering=0) as out, \
            contextlib.suppress(OSError):
        while True:
            out.write(b"x" * 4096)
    with open(lab.log, "a") as log:
        log.write(login("203.0.113.8") * 2000)
    wait_for(lambda: "action=" in lab.mail() and
             not lab.health("milter")["audit_good"], "a full disk")
    yield
    fill.unlink()


@breaks
def log_moved(lab):
    away = lab.log.with_name("away")
    lab.log.rename(away)
    yield
    away.rename(lab.log)


@breaks
def sources(lab, *more, reload=True):
    """Further sources, all of which the collector can't read."""
    def configure(*sources):
        lab.popgate.configure(sources=", ".join(sources))
        if reload:
            lab.popgate.collector.send(signal.SIGHUP)
    first = lab.popgate.settings["sources"]
    configure(first, *more)
    yield
    configure(first)


@breaks
def log_long_gone(lab):
    old = pathlib.Path("/run/lab/old.log")
    old.write_text(login("203.0.113.7", at=time.time() - 3600))
    with sources(lab, f'{{ file = "{old}"; }}'):
        lab.wait_checks([(f"source file:{old}", "OK", "newest line 60 min")])
        old.unlink()
        yield


@breaks
def closed_sources(lab):
    journal = pathlib.Path("/run/log/journal/1/system.journal")
    journal.parent.mkdir(parents=True)
    journal.touch(0o600)
    private = pathlib.Path("/run/lab/private")
    private.mkdir(mode=0o700)
    (private / "mail.log").touch()
    pathlib.Path("/run/lab/closed.log").touch(0o600)
    with sources(lab, '{ journal = "system"; }',
                 f'{{ file = "{private}/mail.log"; }}',
                 '{ file = "/run/lab/closed.log"; }',
                 '{ file = "/nonexistent/mail.log"; }'):
        wait_for(lambda: "private/mail.log: Permission denied" in
                 lab.said("collector"), "the reason in its log")
        yield


@breaks
def foreign_socket(lab):
    """Somebody else's, in the place of one of ours."""
    path = lab.site.sockets / "policy.sock"
    with socket.socket(socket.AF_UNIX) as s:
        path.unlink()
        s.bind(str(path))
        s.listen()
        path.chmod(0o700)
        wait_for(lambda: not lab.health("milter")["sockets_good"],
                 "the loss")
    yield               # which nobody listens at
    path.unlink()
    wait_for(lambda: lab.health("milter")["sockets_good"], "its end")


@breaks
def nothing(lab):
    yield


@breaks
def bad_configuration(lab):
    lab.popgate.config.write_text("nonsense = 1;\n")
    yield
    lab.popgate.configure()


@dataclasses.dataclass
class Row:
    name: str
    broken: typing.Callable
    wants: list             # (what, state, words) of popgatectl
    says: dict = dataclasses.field(default_factory=dict)
    figures: dict = dataclasses.field(default_factory=dict)
    who: tuple = ()         # asks
    state: str = "CRITICAL"


nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
MAIL = "source file:/run/lab/log/mail.log"
ROWS = [
    Row("all is well", nothing,
        [("popgate-milter", "OK", "running"),
         ("popgate-collector", "OK", "pid"),
         ("policy channel", "OK", "answers"), ("milter", "OK", "listens"),
         (MAIL, "OK", "read to its end")],
        {("milter", "logins_good"): True, ("milter", "audit_good"): True,
         ("milter", "sockets_good"): True,
         ("collector", "database_good"): True},
        {("milter", "logins_good"): 1, ("milter", "audit_good"): 1,
         ("milter", "sockets_good"): 1, ("collector", "sockets_good"): 1,
         ("collector", "database_good"): 1}, state="OK"),
    Row("a log is away for a moment", log_moved,
        [(MAIL, "OK", "there is no such file")], state="OK"),
    Row("who asks may look at nothing", nothing,
        [("popgate-milter", "UNKNOWN", "Permission denied: .*group popgate"),
         ("popgate-collector", "UNKNOWN", "Permission denied: .*popgate"),
         ("login table", "UNKNOWN", "user nobody may not read .* popgate"),
         ("decisions", "UNKNOWN", "user nobody may not read .* popgate")],
        who=nobody, state="UNKNOWN"),
    Row("the configuration is bad", bad_configuration,
        [("configuration", "UNKNOWN", r"popgate\.conf:1: nonsense")],
        state="UNKNOWN"),
    Row("a source is named, and not read",
        lambda lab: sources(lab, '{ file = "/run/lab/new.log"; }',
                            reload=False),
        [("source file:/run/lab/new.log", "WARNING",
          "doesn't read it: popgatectl reload")], state="WARNING"),
    Row("a log has gone", log_long_gone,
        [("source file:/run/lab/old.log", "WARNING",
          "no such file: rotated, and nobody has written since")],
        state="WARNING"),
    Row("the milter's user may not read the logins",
        logins_closed_to_milter,
        [("login table", "CRITICAL", "popgate-milter can't read it.*denied")],
        {("milter", "logins_good"): False},
        {("milter", "logins_good"): 0}),
    Row("the milter hangs", lambda lab: stopped(lab, "milter"),
        [("popgate-milter", "CRITICAL", "no answer .*hangs: restart")]),
    Row("the collector hangs", lambda lab: stopped(lab, "collector"),
        [("popgate-collector", "CRITICAL", "no answer .*hangs: restart"),
         (MAIL, "CRITICAL", "until it is read, clients without a login")]),
    Row("the milter is dead", lambda lab: dead(lab, "milter"),
        [("popgate-milter", "CRITICAL", "start popgate-milter"),
         ("milter", "CRITICAL", "nobody listens there"),
         ("policy channel", "CRITICAL", "Connection refused")]),
    Row("the collector is dead, the clock set back",
        lambda lab: dead(lab, "collector"),
        [("popgate-collector", "CRITICAL", "start popgate-collector"),
         (MAIL, "WARNING", "a clock is or was ahead")]),
    Row("the directory is closed to the collector", directory_closed,
        [("popgate-collector", "CRITICAL", "No such file")]),
    Row("the login table is locked", locked,
        [("popgate-collector", "CRITICAL", "can't be written")],
        {("collector", "database_good"): False},
        {("collector", "database_good"): 0}),
    Row("the disk is full", disk_full,
        [("audit queue", "CRITICAL", "can't be written"),
         ("popgate-collector", "CRITICAL", "can't be written")],
        {("milter", "audit_good"): False,
         ("collector", "database_good"): False},
        {("milter", "audit_good"): 0, ("collector", "database_good"): 0}),
    Row("no further source can be read", closed_sources,
        [("source journal:system", "CRITICAL", "never.*log says why"),
         ("source file:/run/lab/private/mail.log", "CRITICAL",
          "never.*log says why"),
         ("source file:/run/lab/closed.log", "CRITICAL",
          "never.*log says why"),
         ("popgate-collector's last error", "WARNING", "Permission denied"),
         ("source file:/nonexistent/mail.log", "CRITICAL",
          "never.*no such file: correct its path")]),
    Row("a socket is another's", foreign_socket,
        [("popgate-milter's sockets", "CRITICAL",
          "permit.policy: .*somebody else's socket is there: remove it"),
         ("policy channel", "CRITICAL", "refused")],
        {("milter", "sockets_good"): False},
        {("milter", "sockets_good"): 0}),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_told(lab, row):
    with row.broken(lab):
        checks = lab.wait_checks(row.wants, row.who)
        states = {state for told in checks.values() for state, _ in told}
        assert max(states, key=WORST.index) == row.state or \
            row.state in ("OK", "UNKNOWN") and states <= {"OK", row.state}
        for (name, member), value in row.says.items():
            assert lab.health(name)[member] == value, (name, member)
        for (name, figure), value in row.figures.items():
            assert lab.metric(name, figure) == value, (name, figure)
        # a source that was never read is not behind since 1970
        if row.broken is closed_sources:
            assert 0 <= lab.metric("collector", "source_lag_seconds") < 9999
    lab.wait_checks(ROWS[0].wants)      # and mends when the cause is gone
