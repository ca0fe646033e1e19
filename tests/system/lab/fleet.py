# SPDX-License-Identifier: ISC
"""Several machines of one site, and one that carries what they share.

Each is in namespaces of its own, so each has a process of its own, which does
what it is told (Remote). Cables lead from the hub, where Redis and its replica
are, to the machines: 10.77.N.1 is the hub's end, 10.77.N.2 the machine's.
"""
import contextlib
import functools
import multiprocessing
import os
import pathlib
import pwd
import signal
import struct
import subprocess
import sys
import time
import traceback

from . import namespace, proc, wirings
from .box import login
from .popgate import Popgate
from .process import PATIENCE, Failure, Process
from .redis import PASSWORD, Redis

KEY = "ab" * 32
PRIMARY, REPLICA = 6379, 6380
SLOW = 1000             # a slow way to a server: its port and this
OWN = "alice@lab.test"
CLIENTS = "10.9.0.0/16"     # besides those that each site has

SHARE = """
share: {{ servers = [ {servers} ]; user = "popgate"; name = "{name}";
         password_file = "{etc}/share.password";
         key_file = "{etc}/share.key"; {more} }};
"""


class Remote:
    """An object that a process of its own makes and works on."""

    def __init__(self, make, *args):
        fork = multiprocessing.get_context("fork")
        self.pipe, end = fork.Pipe()
        self.process = fork.Process(
            target=self.serve, args=(end, self.pipe, make, args), daemon=True)
        self.process.start()
        end.close()

    @staticmethod
    def serve(pipe, other, make, args):
        """Until the other end is closed, however its process ends."""
        other.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        it = None
        try:
            while True:
                try:
                    if it is None:
                        it = make(*args)
                        answer = None
                    else:
                        name, words, more = pipe.recv()
                        answer = functools.reduce(
                            getattr, name.split("."), it)(*words, **more)
                    pipe.send((True, answer))
                except (EOFError, BrokenPipeError, ConnectionResetError):
                    break
                except BaseException:
                    with contextlib.suppress(OSError):
                        pipe.send((False, traceback.format_exc()))
                    if it is None:
                        break
        finally:
            if it is not None:
                it.close()

    def ready(self):
        """Wait for the answer to what was asked last."""
        if not self.pipe.poll(2 * PATIENCE):
            raise Failure("a machine of the fleet hangs")
        good, answer = self.pipe.recv()
        if not good:
            raise Failure(answer)
        return answer

    def ask(self, name, *words, **more):
        """Begin something; ready() is its end."""
        self.pipe.send((name, words, more))

    def do(self, name, *words, **more):
        self.ask(name, *words, **more)
        return self.ready()

    def close(self):
        self.pipe.close()
        self.process.join()


class Hub:
    """Redis, its replica, and whoever pretends to be one."""

    def __init__(self):
        self.namespace = namespace.Namespace("redis.lab.test")
        self.namespace.enter()
        namespace.mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")
        self.path = pathlib.Path("/run/hub")
        self.path.mkdir()
        self.redis = {
            port: Redis(self.path, f"redis-{port}", port, of, "0.0.0.0",
                        ("--protected-mode", "no", "--repl-timeout", 5,
                         "--repl-ping-replica-period", 1))
            for port, of in ((PRIMARY, None), (REPLICA, PRIMARY))}
        self.primary = PRIMARY
        self.others = {}
        for server in self.redis.values():
            server.start()

    def pid(self):
        return os.getpid()

    def cli(self, *words, port=None, **more):
        return self.redis[port or self.primary].cli(*words, **more)

    def send(self, number, port=None):
        self.redis[port or self.primary].send(number)

    def kill(self, port=None):
        self.redis[port or self.primary].stop()

    def up(self, port=None, of=None):
        """Start it with nothing: as a primary, or a replica of another."""
        server = self.redis[port or self.primary]
        server.of = of
        server.start()

    def replicated(self):
        return self.redis[self.replica()].replicates()

    def replica(self):
        return PRIMARY + REPLICA - self.primary

    def promote(self):
        """The replica becomes the primary, whatever the other one is."""
        self.primary = self.replica()
        self.cli("REPLICAOF", "NO", "ONE")

    def follow(self):
        """The other one becomes its replica."""
        self.cli("REPLICAOF", "127.0.0.1", self.primary, port=self.replica())

    def slow_start(self, key_us):
        """Start the primary with the data that it saved, at so much a key."""
        server = self.redis[self.primary]
        server.of = None
        before, server.more = server.more, (
            *server.more, "--key-load-delay", key_us,
            "--loading-process-events-interval-bytes", 1024)
        server.start()
        server.more = before

    def fast_start(self):
        """It doesn't wait any longer, and won't find that data again."""
        self.cli("CONFIG", "SET", "key-load-delay", 0)
        (self.path / f"{self.redis[self.primary].name}.rdb").unlink()

    def stand_in(self, name, *words):
        """Start a server of redis_standins.py."""
        here = pathlib.Path(__file__).with_name("redis_standins.py")
        process = Process(name, [sys.executable, here, *words], self.path)
        self.others[name] = process.start().accepts(
            ("127.0.0.1", int(words[1])))

    def dismiss(self, name):
        self.others.pop(name).kill()

    def close(self):
        for server in self.redis.values():
            server.stop()
        self.namespace.leave()


def ip(*words, inside=None):
    """inside: an open network namespace."""
    enter = [] if inside is None else [
        "nsenter", f"--net=/proc/self/fd/{inside}"]
    subprocess.run([*enter, "ip", *map(str, words)], check=True,
                   pass_fds=[] if inside is None else [inside])


class Member:
    """The additions to a wiring of wirings.py in a fleet."""

    def __init__(self, name, number, hub_pid, data_size, preload):
        self.name, self.number = name, number
        self.data_size, self.preload = data_size, preload
        self.taken = set()
        self.hub = os.open(f"/proc/{hub_pid}/ns/net", os.O_RDONLY)
        super().__init__()

    def furnish(self):
        cable, self.end = f"to-{self.name}", "hub"
        ip("link", "add", self.end, "type", "veth", "peer", "name", cable)
        subprocess.run(["ip", "link", "set", cable, "netns",
                        f"/proc/self/fd/{self.hub}"], check=True,
                       pass_fds=[self.hub])
        ip("address", "add", f"10.77.{self.number}.1/24", "dev", cable,
           inside=self.hub)
        ip("link", "set", cable, "up", inside=self.hub)
        ip("address", "add", f"10.77.{self.number}.2/24", "dev",
           self.end)
        ip("link", "set", self.end, "up")
        self.site.namespace.anywhere(CLIENTS)
        super().furnish()

    def make_popgate(self):
        popgate = Popgate(self.site, self.domains, self.mta_group, grace="5s")
        etc = self.site.root / "etc"
        owner = pwd.getpwnam("popgate-collector")
        for name, text in (("key", KEY), ("password", PASSWORD)):
            path = etc / f"share.{name}"
            path.write_text(text + "\n")
            path.chmod(0o600)
            os.chown(path, owner.pw_uid, owner.pw_gid)
        if self.data_size:
            data = popgate.data.stat()
            namespace.mount("tmpfs", popgate.data, "tmpfs", 0,
                            f"size={self.data_size},mode=3770,"
                            f"uid={data.st_uid},gid={data.st_gid}")
        self.clock_file = self.site.root / "clock"
        self.set_clock(0)
        self.clock_file.chmod(0o644)
        if self.preload:
            for process in (popgate.collector, popgate.milter):
                process.popen_arguments["env"] = {
                    **os.environ, "LD_PRELOAD": str(self.preload),
                    "CLOCK_FILE": str(self.clock_file)}
        self.popgate = popgate
        self.configure()
        return popgate

    def configure(self, ports=(PRIMARY, REPLICA), more="", reload=False):
        """Set share.servers to these ports of the hub."""
        self.popgate.settings["share"] = SHARE.format(
            servers=", ".join(f'"10.77.{self.number}.1:{port}"'
                              for port in ports),
            name=self.name, etc=self.site.root / "etc", more=more)
        self.popgate.configure()
        if reload:
            self.popgate.ctl("reload")

    # --- what may happen to a machine ---

    def log_lines(self, *clients, age=0):
        """Dovecot's lines, as a syslog daemon writes them."""
        at = self.now() - age
        with open(self.site.mail_log, "a") as log:
            log.write("".join(login(c, at=at) for c in clients))

    def kill(self, program):
        getattr(self.popgate, program).kill()

    def up(self, program):
        getattr(self.popgate, f"start_{program}")()

    def ctl(self, *words):
        """popgatectl, by the time that popgate has here."""
        env = self.popgate.milter.popen_arguments.get("env")
        with_clock = {} if env is None else {
            name: env[name] for name in ("LD_PRELOAD", "CLOCK_FILE")}
        os.environ.update(with_clock)
        try:
            return self.popgate.ctl(*words)
        finally:
            for name in with_clock:
                del os.environ[name]

    def cable(self, state):
        ip("link", "set", self.end, state)

    def set_clock(self, seconds):
        """How far popgate's clock is ahead."""
        with open(self.clock_file, "r+b" if self.clock_file.exists()
                  else "wb") as out:
            out.write(struct.pack("q", seconds))
        self.ahead = seconds

    def now(self):
        return time.time() + self.ahead

    def fill_disk(self):
        """Nothing more is written where popgate's tables are."""
        try:
            with open(self.popgate.data / "ballast", "wb", 0) as out:
                while True:
                    out.write(bytes(4096))
        except OSError:
            pass

    def free_disk(self):
        (self.popgate.data / "ballast").unlink(missing_ok=True)

    # --- what it knows and does ---

    def rows(self, sql, database="logins.db"):
        return [tuple(row) for row in self.popgate.query(database, sql)]

    def table(self):
        """The clients that may relay, and those that are denied."""
        return self.rows(
            "SELECT client, user, last_at, expires_at, server = 'popgatectl' "
            "FROM login UNION ALL SELECT kind, subject, created_at, "
            "expires_at, 0 FROM deny ORDER BY 1, 2")

    def known(self, client):
        return bool(self.rows("SELECT 1 FROM login WHERE client = "
                              f"'{client}'"))

    def doubled(self):
        return self.rows(
            "SELECT client, count(*) FROM login_event WHERE source <> "
            "'popgatectl' GROUP BY client HAVING count(*) > 1") + self.rows(
            "SELECT client, count FROM login WHERE count > 1")

    def share(self):
        """How sharing is: trouble, skew_s, the age of what was heard."""
        rows = self.rows("SELECT trouble, skew_s, heard_at FROM share")
        return rows[0] if rows else ("not begun", 0, 0)

    def refused(self):
        return dict(self.rows("SELECT reason, count FROM share_refused"))

    def memory_mb(self):
        # this process has a pid in the old process table, its child is told by
        # that, and /proc is of the new one
        pid, = proc.named("popgate-collect")
        return int(proc.text(pid, "status").partition("VmHWM:")[2].split()[0]
                   ) // 1024

    def tries(self, client, recipient="friend@elsewhere.test"):
        """The reply code of a message, 0 when it hung up: 250 it is taken."""
        try:
            sent = self.send(client, recipient)
        except (OSError, EOFError) as error:
            return 0, str(error)
        reply = sent.data or sent.rcpt[0]
        if reply.code == 250 and recipient != OWN:
            self.taken.add(sent.token)
        return sent.mail if sent.mail.code != 250 else reply

    def leaked(self):
        """Messages that got out without having been taken from one who may
        relay."""
        self.escaped()
        return [text for _, text in self.world.messages()
                if not any(token in text for token in self.taken)]

    def said(self):
        return self.popgate.collector.log.read_text(errors="replace")[-3000:]


class A(Member, wirings.PostfixPolicy):
    pass


class B(Member, wirings.SendmailClosed):
    pass


class C(Member, wirings.PostfixSoleGate):
    pass


class Fleet:
    """Three machines: two of Postfix, one of Sendmail."""

    machines = A, B, C

    def __init__(self, data_size=None, preload=None):
        self.members = []
        self.hub = Remote(Hub)
        try:
            self.hub.ready()
            pid = self.hub.do("pid")
            self.members = [
                Remote(make, make.__name__.lower(), number, pid, data_size,
                       preload)
                for number, make in enumerate(self.machines, 1)]
            for member in self.members:
                member.ready()
        except BaseException:
            self.close()
            raise
        self.a, self.b, self.c = self.members

    def tell(self, name, *words, **more):
        """All machines, at once: what each says."""
        for member in self.members:
            member.ask(name, *words, **more)
        return [member.ready() for member in self.members]

    def tables(self):
        return self.tell("table")

    def same(self, size=None):
        tables = self.tables()
        return (size is None or len(tables[0]) == size) and \
            tables.count(tables[0]) == len(tables)

    def state(self):
        """For a failure: what differs, and what each complains of."""
        tables = [set(t) for t in self.tables()]
        common = set.intersection(*tables)
        return "\n".join(
            f"{share} {sorted(t - common)}\n{said}" for share, t, said in
            zip(self.tell("share"), tables, self.tell("said")))

    def close(self):
        # a later one has what its elders' pipes end at
        for remote in (*reversed(self.members), self.hub):
            remote.close()
