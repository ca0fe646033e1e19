# SPDX-License-Identifier: ISC
"""A log that takes nothing, below real MTAs: nothing that is asked of popgate
waits for it, relays and our own mail, and what was lost is said afterwards."""
import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest

from lab import wirings
from lab.namespace import CLONE_NEWNS, MS_PRIVATE, MS_REC, bind, libc, mount
from lab.process import wait_for
from matrix import OWN, REMOTE

# A syslogd: takes datagrams while nobody tells it SIGSTOP.
SYSLOGD = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
out = open(sys.argv[2], "ab", buffering=0)
print("ready", flush=True)
while True:
    out.write(s.recv(65536) + b"\\n")
"""


class Pipe:
    """Standard error is a pipe that nobody reads."""
    target = "stderr"

    def __init__(self, directory):
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.writer, b"noise\n" * 700)
        os.set_blocking(self.writer, True)
        self.text = b""

    def child(self):
        os.dup2(self.writer, 2)

    def free(self):
        os.set_blocking(self.reader, False)

    def read(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                got = os.read(self.reader, 1 << 20)
                if not got:
                    break
                self.text += got
        return self.text

    def close(self):
        os.close(self.reader)
        os.close(self.writer)


class Syslogd:
    """/dev/log of the daemon alone is a syslogd that is stopped and full."""
    target = "syslog"

    def __init__(self, directory):
        self.out = directory / "syslogd.out"
        self.path = directory / "syslogd.sock"
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SYSLOGD, self.path, self.out],
            stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"
        self.path.chmod(0o666)
        self.process.send_signal(signal.SIGSTOP)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.connect(str(self.path))
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    s.send(b"noise")

    def child(self):
        libc.unshare(CLONE_NEWNS)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        bind(self.path, os.path.realpath("/dev/log"))

    def free(self):
        self.process.send_signal(signal.SIGCONT)

    def read(self):
        return self.out.read_bytes()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Disk:
    """Standard error is a file on a full disk."""
    target = "stderr"

    def __init__(self, directory):
        self.disk = directory / "disk"
        self.disk.mkdir()
        mount("tmpfs", self.disk, "tmpfs", 0, "size=2m")
        self.log = open(self.disk / "log", "ab", buffering=0)
        with open(self.disk / "other", "wb", buffering=0) as other:
            with contextlib.suppress(OSError):
                while True:
                    other.write(b"\0" * 4096)

    def child(self):
        os.dup2(self.log.fileno(), 2)

    def free(self):
        os.truncate(self.disk / "other", 0)

    def read(self):
        return (self.disk / "log").read_bytes()

    def close(self):
        self.log.close()
        subprocess.run(["umount", "-l", self.disk], check=True)
        self.disk.rmdir()


class LogMatrix:
    @contextlib.contextmanager
    def daemons(self, lab, sink):
        """Both daemons with this log; and as they were."""
        daemons = (lab.popgate.milter, lab.popgate.collector)
        commands = [daemon.command for daemon in daemons]
        for daemon in daemons:
            daemon.stop()
            daemon.command = daemon.command[:-1] + [sink.target]
            daemon.popen_arguments = {"preexec_fn": sink.child}
        try:
            lab.popgate.collector.start()
            lab.popgate.start_milter()
            yield
        finally:
            for daemon, command in zip(daemons, commands):
                daemon.stop()
                daemon.command = command
                daemon.popen_arguments = {}
            lab.popgate.start()

    def flow(self, lab):
        """A login, relays, our own mail, a stranger."""
        client = lab.logged_in("imap", user="bob")
        for _ in range(3):
            sent = lab.send(client, REMOTE, OWN)
            assert sent.data is not None and sent.data.code == 250, sent
            assert lab.world.wait_recipients(sent.token) == [REMOTE]
            lab.delivered_locally(sent.token)
        stranger = lab.stranger()
        sent = lab.send(stranger, OWN)
        assert sent.data.code == 250, sent
        refused = lab.send(stranger, REMOTE)
        assert refused.data is None and refused.rcpt[0].code // 100 == 5
        assert lab.popgate.wait_decision(client=client, verdict="accept")

    def health(self, lab):
        """Of the milter, as popgatectl status finds it."""
        return lab.popgate.ctl("status", check=False).stdout

    @pytest.mark.parametrize("kind", [Pipe, Syslogd, Disk])
    def test_log_takes_nothing(self, lab, kind):
        sink = kind(lab.site.root)
        try:
            with self.daemons(lab, sink):
                self.flow(lab)
                lab.popgate.ctl("reload")
                self.flow(lab)
                wait_for(lambda: "popgate-milter's log" in self.health(lab),
                         "status to say so", 30)
                sink.free()
                wait_for(lambda: b"reason=recent-login" in sink.read(),
                         "the lines that waited", 30)
                wait_for(lambda: "takes no lines since" not in
                         self.health(lab), "status to say so", 30)
                self.flow(lab)
        finally:
            sink.close()

    def test_stop_does_not_wait(self, lab):
        """Neither daemon waits for its log to end."""
        for kind in (Pipe, Syslogd, Disk):
            sink = kind(lab.site.root)
            try:
                with self.daemons(lab, sink):
                    self.flow(lab)
                    for daemon in (lab.popgate.milter, lab.popgate.collector):
                        daemon.send(signal.SIGTERM)
                        wait_for(lambda: not daemon.running, "its end", 60)
                        assert daemon.stop() == 0
            finally:
                sink.close()


class TestPostfixPolicy(LogMatrix):
    wiring = wirings.PostfixPolicy


class TestSendmailClosed(LogMatrix):
    wiring = wirings.SendmailClosed
