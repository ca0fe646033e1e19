# SPDX-License-Identifier: ISC
"""A Redis (or Valkey) with popgate's ACL, and nothing on disk."""
import shutil
import signal
import subprocess

from .process import PATIENCE, need, wait_for

PASSWORD = "correct-horse"
# as popgatectl share init says
ACL = ("~popgate ~popgate:* -@all +auth +info +time +ping +xadd +xread "
       "+xrange +get +set +watch +unwatch +multi +exec")


def redis_program(what):
    for name in (f"redis-{what}", f"valkey-{what}"):
        if shutil.which(name):
            return shutil.which(name)
    return need(f"/usr/bin/redis-{what}", "redis-tools")


def redis_server(path):
    """The server is in the tools' package, too: what it is called by decides.
    The package redis-server adds a service, which nobody asked for."""
    program = path / "redis-server"
    if not program.exists():
        program.symlink_to(redis_program("check-rdb"))
    return program


class Redis:
    """One server on a Unix socket; on TCP, too, where it has a port."""

    def __init__(self, path, name="redis", port=0, of=None, bind="127.0.0.1",
                 more=()):
        self.socket = path / f"{name}.sock"
        self.path, self.name, self.port, self.of = path, name, port, of
        self.bind, self.more = bind, more
        self.child = None

    def start(self):
        words = ["--port", self.port, "--bind", self.bind, "--unixsocket",
                 self.socket, "--save", "", "--dir", self.path,
                 "--dbfilename", f"{self.name}.rdb",
                 "--user", "popgate", "on", f">{PASSWORD}", *ACL.split(),
                 "--repl-diskless-sync-delay", 0, *self.more]
        if self.of:
            words += ["--replicaof", f"127.0.0.1 {self.of}"]
        with open(self.path / f"{self.name}.log", "ab") as log:
            self.child = subprocess.Popen(
                [redis_server(self.path), *map(str, words)], stdout=log,
                stderr=log, stdin=subprocess.DEVNULL)
        wait_for(lambda: self.cli("PING", code=None).startswith(
            ("PONG", "LOADING")), (self.path / f"{self.name}.log").read_text)
        return self

    def cli(self, *words, code=0, data=None):
        done = subprocess.run(
            [redis_program("cli"), "-s", self.socket, *map(str, words)],
            capture_output=True, input=data, timeout=PATIENCE)
        assert code is None or done.returncode == code, done
        return done.stdout.decode()

    def replicates(self):
        """Has it all that its primary has?"""
        return "master_link_status:up" in self.cli("INFO", "replication")

    def send(self, number):
        self.child.send_signal(number)

    def stop(self, how=signal.SIGKILL):
        if self.child is not None:
            self.child.send_signal(signal.SIGCONT)
            self.child.send_signal(how)
            self.child.wait()
            self.child = None
