# SPDX-License-Identifier: ISC
"""A daemon with any call failing: no stranger relays, what was answered is
recorded, no login is lost or counted twice, and the next client is served."""
import os
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import time

import pytest

from faults import KINDS, Faults, library
from lab.box import COLLECTOR, MILTER, CtlBox, login
from lab.daemons import POLICY
from lab.site import BUILD

FRIEND, STRANGER = "192.0.2.1", "203.0.113.9"
ROWS = [(FRIEND, "alice", -100, 3000)]
# Errors in all that is asked for from here on let a daemon serve nobody.
FOR_EVER = "on"


class Session:
    """One SMTP session as an MTA tells a milter of it."""

    def __init__(self, path, client):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.send(b"O", struct.pack("!III", 6, 0x1ff, 0))
        assert self.reply()[:1] == b"O"
        self.say(b"C", b"name.test\0004" + struct.pack("!H", 4000) +
                 client.encode() + b"\0")
        self.say(b"H", b"name.test\0")

    def send(self, command, data=b""):
        self.socket.sendall(struct.pack("!I", len(data) + 1) + command + data)

    def take(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise ConnectionError("hung up")
            data += more
        return data

    def reply(self):
        return self.take(struct.unpack("!I", self.take(4))[0])

    def say(self, command, data=b""):
        self.send(command, data)
        return self.reply()

    def message(self, queue_id):
        """May a recipient elsewhere be given; is the message then taken?"""
        self.send(b"D", b"M" + b"i\0" + queue_id + b"\0")
        if self.say(b"M", b"<a@example.com>\0") != b"c":
            return False, False
        if self.say(b"R", b"<b@far.test>\0") not in (b"c", b"a"):
            return False, False
        return True, self.say(b"T") in (b"c", b"a")

    def close(self):
        self.socket.close()


def prepare(path):
    """A directory whose tables are made anew for each fault."""
    box = CtlBox(path)
    conf = box.conf.read_text()
    box.conf.write_text(conf.replace("relay: {", "relay: { collector_grace"
                                     ' = "1h";', 1))
    return box


def clean(box):
    for name in os.listdir(box.path):
        if ".db" in name or ".sock" in name or name == "mail.log.1":
            (box.path / name).unlink()


class Milter:
    name = "popgate-milter"
    ready = "ready: "

    def __init__(self, path):
        self.box = prepare(path)
        self.taken = []

    def again(self):
        clean(self.box)
        self.box.fill_logins(ROWS)
        self.box.fill_audit([])
        self.taken = []

    def session(self, client, queue_id):
        session = Session(self.box.path / "milter.sock", client)
        try:
            rcpt, taken = session.message(queue_id)
        finally:
            session.close()
        if taken:
            self.taken.append(queue_id.decode())
        return rcpt

    def policy(self, client):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(self.box.path / "policy.sock"))
            s.sendall(POLICY.format(client=client, to="b@far.test").encode())
            return s.recv(2000).startswith((b"action=OK", b"action=permit"))

    def served(self, n):
        return self.session(FRIEND, b"F%d" % n) and self.policy(FRIEND)

    def use(self):
        """Ask as a stranger and as a friend: the promise that was broken, or
        None."""
        for n in range(2):
            for ask in (lambda: self.session(STRANGER, b"S%d" % n),
                        lambda: self.policy(STRANGER)):
                try:
                    if ask():
                        return "a stranger may relay"
                except (OSError, AssertionError):
                    pass
            try:
                self.served(n)
            except (OSError, AssertionError):
                pass
        return None

    def serves(self):
        try:
            return self.served(9)
        except (OSError, AssertionError):
            return False

    def afterwards(self):
        db = sqlite3.connect(self.box.audit)
        try:
            kept = {row[0] for row in db.execute(
                "SELECT queue_id FROM decision WHERE verdict = 'accept'")}
            if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                return "audit.db is damaged"
        finally:
            db.close()
        lost = set(self.taken) - kept
        return f"taken and not recorded: {lost}" if lost else None


class Collector:
    name = "popgate-collector"
    ready = "started, "
    clients = [f"192.0.2.{n}" for n in range(10, 30)]

    def __init__(self, path):
        self.box = prepare(path)

    def again(self):
        clean(self.box)
        self.box.log.write_text("")
        self.written = 0

    def write(self, n):
        for client in self.clients[self.written:self.written + n]:
            self.box.write(login(client))
        self.written += n

    def counted(self):
        return sorted(row[0] for row in self.box.query(
            "SELECT client FROM login_event"))

    def use(self):
        self.write(3)
        until = time.monotonic() + 0.2
        while len(self.counted()) < self.written and time.monotonic() < until:
            time.sleep(0.01)
        self.box.log.rename(self.box.path / "mail.log.1")
        self.write(3)
        return None

    def serves(self):
        return self.counted() == sorted(self.clients[:self.written])

    def afterwards(self):
        """A new one, in which nothing fails, reads what is left."""
        self.write(2)
        daemon = self.box.launch(COLLECTOR)
        want = sorted(self.clients[:self.written])
        until = time.monotonic() + 30
        while self.counted() != want and time.monotonic() < until:
            time.sleep(0.02)
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)
        got = self.counted()
        return None if got == want else f"logins {got}, not {want}"


class Restarted(Collector):
    """One that another read before: what is known of the log is a text in the
    database, and a file that can't be looked at isn't a new one."""

    def again(self):
        super().again()
        self.write(3)
        assert not self.afterwards()


class FirstStart(Collector):
    """Nothing is known yet, and a rotated file has logins that still count."""

    def again(self):
        super().again()
        self.write(3)
        self.box.log.rename(self.box.path / "mail.log.1")
        self.write(3)

    def use(self):
        return None


PROGRAMS = {"milter": (Milter, MILTER), "collector": (Collector, COLLECTOR),
            "restarted": (Restarted, COLLECTOR),
            "first-start": (FirstStart, COLLECTOR)}


def wait_until(true, daemon, seconds):
    until = time.monotonic() + seconds
    while not true():
        if daemon.poll() is not None or time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def trial(subject, program, faults, fault):
    """Start, use, stop; what is wrong: None, if nothing."""
    subject.again()
    err = subject.box.path / "err"
    with err.open("wb") as out:
        daemon = subprocess.Popen(
            [program, "-c", subject.box.conf], stdin=subprocess.DEVNULL,
            stdout=out, stderr=out, env=faults.environment(fault))
    try:
        wait_until(lambda: subject.ready in err.read_text(errors="replace"),
                   daemon, 20)
        wrong = subject.use()
        if not wrong and daemon.poll() is None:
            served = wait_until(subject.serves, daemon, 20)
            if not served and daemon.poll() is None and \
                    (fault is None or fault.mode != FOR_EVER):
                wrong = "doesn't recover"
        if daemon.poll() is None:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                wrong = wrong or "doesn't stop"
        if daemon.poll() is not None and daemon.returncode < 0:
            wrong = wrong or f"signal {-daemon.returncode}"
        if not wrong and daemon.returncode and not err.read_text().strip():
            wrong = "ended without a word"
    finally:
        daemon.kill()
        daemon.wait()
    wrong = wrong or subject.afterwards()
    text = err.read_text(errors="replace")
    return wrong and f"{wrong}: {re.sub('(?m)^', '    ', text[-600:])}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_call_fails(name, kind, tmp_path):
    make, program = PROGRAMS[name]
    subject = make(tmp_path)
    faults = Faults(library(BUILD), make.name)
    assert trial(subject, program, faults, None) is None
    calls = faults.counts()[kind]
    found = []
    for fault in faults.all_of(kind, calls):
        wrong = trial(subject, program, faults, fault)
        if wrong:
            found.append(f"{fault}: {wrong}")
    faults.close()
    subject.box.close()
    assert not found, "\n".join([f"{len(found)} of {calls} calls"] + found)
