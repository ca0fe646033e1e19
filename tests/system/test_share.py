# SPDX-License-Identifier: ISC
"""One gate on several machines: real collectors and a real Redis (or Valkey)
between them. What one machine knows, all know; nothing that happens to Redis,
to a machine or between them opens a relay, loses a login, or stops mail."""
import json
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import pytest
from prometheus_client.openmetrics.parser import \
    text_string_to_metric_families

from lab.box import (COLLECTOR, EX_CONFIG, EX_UNAVAILABLE, MILTER,
                     CollectorBox, is_root, login)
from lab.process import wait_for
from lab.redis import PASSWORD, Redis
from lab.site import TOP
from lab.tls import self_signed

KEY = "ab" * 32


class Machine(CollectorBox):
    def __init__(self, path, name, servers, **share):
        path.mkdir()
        self.name, self.servers, self.share = name, servers, share
        self.key = path / "share.key"
        self.key.write_text(share.pop("key", KEY) + "\n")
        self.key.chmod(0o600)
        self.password = path / "password"
        self.password.write_text(PASSWORD + "\n")
        self.password.chmod(0o600)
        self.collector = None
        super().__init__(path)

    def configure(self, **_):
        limits = self.share.pop("limits", "")
        servers = ", ".join(f'"{s}"' for s in self.servers)
        more = " ".join(f"{key} = {value};"
                        for key, value in self.share.items())
        self.conf.write_text(f"""
logins: {{ database = "{self.logins}"; }};
audit: {{ database = "{self.audit}"; }};
milter: {{ user = "root"; listen = ""; status = "unix:{self.path}/m.sock"; }};
permit: {{ policy = "unix:{self.path}/policy.sock"; socketmap = ""; }};
relay: {{ never_authorize = [ ]; collector_grace = "2s";
         local_domains = [ "example.com" ]; }};
limits: {{ {limits} }};
collector: {{ user = "root"; sources = ( {{ file = "{self.log}"; }} );
             status = "unix:{self.path}/c.sock"; }};
metrics: {{ collector = "unix:{self.path}/c-metrics.sock"; }};
share: {{ servers = [ {servers} ]; user = "popgate"; name = "{self.name}";
         password_file = "{self.password}"; key_file = "{self.key}"; {more} }};
""")

    def up(self):
        self.log.touch()
        self.collector = self.start()
        return self

    def serve(self):
        self.milter = self.launch(MILTER)
        wait_for(lambda: "]: ready" in self.said(MILTER),
                 lambda: self.said(MILTER))

    def kill(self):
        self.collector.kill()
        self.collector.wait()

    def forget(self):
        """Its login table is lost."""
        for end in ("", "-wal", "-shm"):
            (self.path / f"logins.db{end}").unlink(missing_ok=True)

    def table(self):
        """The clients that the machine lets relay, and those that it
        doesn't."""
        return self.query(
            "SELECT client, user, last_at, expires_at, server = 'popgatectl' "
            "FROM login UNION ALL SELECT kind, subject, created_at, "
            "expires_at, 0 FROM deny ORDER BY 1, 2")

    def trouble(self):
        rows = self.query("SELECT trouble FROM share")
        return rows[0][0] if rows else "not begun"

    def refused(self):
        return dict(self.query("SELECT reason, count FROM share_refused"))

    def page(self, name, path):
        """A page that the collector serves for monitoring."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.path / name))
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n"
                      "Connection: close\r\n\r\n".encode())
            with s.makefile() as answer:
                return answer.read().split("\n\n", 1)[1]

    def ask(self, client, sender="x@far.test", to="y@elsewhere.test", user=""):
        """The answer of this machine's gate to a relay."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.path / "policy.sock"))
            s.sendall("\n".join([
                "request=smtpd_access_policy", "protocol_state=RCPT",
                f"client_address={client}", f"sender={sender}",
                "sasl_method=" + ("PLAIN" if user else ""),
                f"sasl_username={user}", f"recipient={to}", "",
                ""]).encode())
            return s.recv(4096).decode().split("\n")[0].split()[0]


def same(*machines):
    """All machines have the same table, which isn't empty."""
    return machines[0].table() and all(
        m.table() == machines[0].table() for m in machines)


@pytest.fixture
def site(tmp_path):
    """A Redis, and a way to make machines; all is ended behind the test."""
    site = Site(tmp_path)
    try:
        yield site
    finally:
        site.close()


class Site:
    def __init__(self, path):
        self.path, self.machines, self.servers = path, [], []
        self.redis = self.server()

    def server(self, *args, **kw):
        self.servers.append(Redis(self.path, *args, **kw).start())
        return self.servers[-1]

    def machine(self, name, servers=None, **share):
        servers = servers or [f"unix:{s.socket}" for s in self.servers]
        self.machines.append(
            Machine(self.path / name, name, servers, **share))
        return self.machines[-1]

    def close(self):
        for machine in self.machines:
            machine.close()
        for server in self.servers:
            server.stop()


def test_log_in_here_relay_there(site):
    a, b = site.machine("a").up(), site.machine("b").up()
    b.serve()
    assert b.ask("192.0.2.1") == "action=550"
    # expire leaves what is of its own second
    a.write(login("192.0.2.1") +
            login("192.0.2.2", "bob", at=time.time() - 30))
    wait_for(lambda: b.ask("192.0.2.1") == "action=OK", b.said)
    wait_for(lambda: same(a, b))
    line, = b.query("SELECT source, line FROM login_event "
                    "WHERE client = '192.0.2.1'")
    assert line == ("share:a", "shared by a: its history has the line as "
                    "number 1")
    # what an admin says on any machine holds on all
    a.run("delete", "192.0.2.1")
    wait_for(lambda: b.ask("192.0.2.1") == "action=550")
    b.run("deny", "Bob")
    wait_for(lambda: a.query("SELECT 1 FROM deny WHERE subject = 'bob'"))
    assert b.ask("192.0.2.2") == "action=550"
    a.run("undeny", "bob")
    wait_for(lambda: b.ask("192.0.2.2") == "action=OK")
    b.run("add", "198.51.100.0/24", "--forever")
    a.run("add", "203.0.113.9", "--for", "1h")
    a.run("deny", "203.0.113.0/28", "--for", "1h")
    wait_for(lambda: same(a, b) and len(a.table()) == 4,
             lambda: f"{a.table()}\n{b.table()}")
    assert b.ask("203.0.113.9") == "action=550"
    # a login of before the deletion, read late, comes back nowhere
    a.write(login("192.0.2.1", at=time.time() - 60))
    b.run("expire", "0")
    wait_for(lambda: same(a, b) and len(a.table()) == 3,
             lambda: f"{a.table()}\n{b.table()}")
    # a table that is locked meanwhile misses nothing
    lock = sqlite3.connect(b.logins, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    length = int(site.redis.cli("XLEN", "popgate"))
    a.write(login("192.0.2.50", "carol"))
    wait_for(lambda: int(site.redis.cli("XLEN", "popgate")) > length)
    assert b.ask("203.0.113.9") == "action=550"
    lock.close()
    wait_for(lambda: same(a, b) and len(a.table()) == 4)
    # a machine that comes later takes what still counts
    c = site.machine("c").up()
    wait_for(lambda: same(a, b, c), lambda: f"{a.table()}\n{c.table()}")
    for m in (a, b, c):
        assert m.trouble() == "" and m.refused() == {}
        assert "2 other machines" in m.out("status", code=None)
    health = json.loads(a.page("c.sock", "/health"))
    assert health["share_good"] and health["share_trouble"] == ""
    assert health["share_lag_s"] < 60
    figures = {sample.name: sample for family in
               text_string_to_metric_families(
                   a.page("c-metrics.sock", "/metrics"))
               for sample in family.samples}
    assert figures["popgate_share_good"].value == 1
    assert -60 < figures["popgate_share_clock_ahead_seconds"].value < 60
    board = (TOP / "etc/grafana/popgate.json").read_text()
    assert set(re.findall(r"popgate_share_\w+", board)) - {
        "popgate_share_limits_good", "popgate_share_refused_total"} < set(
        figures)
    heard = figures["popgate_share_machine_heard_time_seconds"]
    assert heard.labels["machine"] in "bc"
    out = a.out("share", "status")
    assert "b " in out and "c " in out and "refused" not in out


def test_whom_to_believe(site):
    """A machine that may write to Redis, but has no key, opens nothing; and it
    shows."""
    a, b = site.machine("a").up(), site.machine("b").up()
    a.write(login("192.0.2.1"))
    wait_for(lambda: same(a, b))
    # another key, and another site's stream of the same key
    stranger = site.machine("s", key="cd" * 32).up()
    other = site.machine("o", stream='"popgate-other"')
    site.redis.cli("ACL", "SETUSER", "popgate", "~popgate-other*")
    other.up()
    stranger.write(login("203.0.113.1", "eve"))
    other.write(login("203.0.113.2", "eve"))
    wait_for(lambda: b.refused().get("forged", 0) > 0, b.refused)
    wait_for(lambda: stranger.refused().get("forged", 0) > 0)
    # what the other stream holds is copied to ours
    wait_for(lambda: "1\n" == site.redis.cli(
        "EVAL", """
        for _, e in ipairs(redis.call('XRANGE', 'popgate-other', '-', '+')) do
            if #e[2][2] > 100 then
                redis.call('XADD', 'popgate', '*', 'e', e[2][2])
            end
        end
        -- each of ours again, cut, and with a byte changed
        local all = redis.call('XRANGE', 'popgate', '-', '+')
        for _, e in ipairs(all) do
            local v = e[2][2]
            redis.call('XADD', 'popgate', '*', 'e', v)
            redis.call('XADD', 'popgate', '*', 'e', v:sub(1, -2))
            redis.call('XADD', 'popgate', '*', 'e', v:sub(1, 60) .. '9' ..
                       v:sub(62))
        end
        redis.call('XADD', 'popgate', '*', 'e', '')
        redis.call('XADD', 'popgate', '*', 'e', string.rep('PG', 100000))
        redis.call('XADD', 'popgate', '*', 'x', 'y', 'z', 'w')
        return 1""", 0))
    wait_for(lambda: b.refused().get("copy", 0) >= 1 and
             b.refused().get("malformed", 0) >= 3, b.refused)
    a.write(login("192.0.2.3"))
    wait_for(lambda: same(a, b) and len(b.table()) == 2)
    assert "eve" not in str(a.table() + b.table())
    assert b.query("SELECT max(count) FROM login") == [(1,)]
    out = b.out("share", "status")
    assert " forged, the last" in out and " malformed, the last" in out
    assert "sealed by another key" in b.out("status", code=None)


def test_redis_lost_and_machines_killed(site):
    # somebody else's key has the stream's name: what wasn't added to it isn't
    # held to be
    site.redis.cli("SET", "popgate", "x")
    a, b = site.machine("a").up(), site.machine("b").up()
    a.run("deny", "mallory")
    a.write(login("192.0.2.200"))
    wait_for(lambda: "WRONGTYPE" in a.trouble(), a.trouble)
    site.redis.cli("DEL", "popgate")
    wait_for(lambda: "192.0.2.200" in b.clients(), b.trouble)
    a.run("delete", "192.0.2.200")
    wait_for(lambda: same(a, b) and len(a.table()) == 1)
    logged_in = 0

    def log_in(n=5):
        nonlocal logged_in
        for _ in range(n):
            logged_in += 1
            a.write(login(f"192.0.2.{logged_in}"))

    def agreed():
        wait_for(lambda: same(a, b) and len(a.table()) == logged_in + 1,
                 lambda: f"{a.trouble()}\n{b.trouble()}\n{b.table()}")

    log_in()
    agreed()
    # everything in Redis is lost, and a machine is new: it gets all
    site.redis.cli("FLUSHALL")
    c = site.machine("c").up()
    log_in()
    agreed()
    wait_for(lambda: same(a, c), lambda: f"{c.trouble()}\n{c.table()}")
    # the stream alone
    site.redis.cli("DEL", "popgate")
    c.kill()
    c.forget()
    c.up()
    wait_for(lambda: same(a, c), lambda: f"{c.trouble()}\n{c.table()}")
    # killed at any moment, either side
    for _ in range(3):
        log_in(2)
        a.kill()
        b.kill()
        a.up()
        b.up()
        log_in(1)
    agreed()
    # started anew with nothing
    site.redis.stop()
    log_in()
    wait_for(lambda: len(a.table()) == logged_in + 1)
    wait_for(a.trouble)
    assert "this machine goes on with what it knows" in a.out(
        "status", code=None)
    assert a.run("share", "status", code=1)
    assert a.run("share", "test", code=EX_UNAVAILABLE)
    site.redis.start()
    agreed()
    assert a.run("share", "test")
    for m in (a, b):        # each once
        assert m.query("SELECT count(*) FROM login_event WHERE source <> "
                       "'popgatectl' GROUP BY client HAVING count(*) > 1"
                       ) == []
        assert m.refused().get("forged", 0) == 0
    # an older copy of the table: its numbers begin again, its logins don't
    # get lost
    a.kill()
    copy = a.path / "copy.db"
    subprocess.run(["sqlite3", a.logins, f".backup {copy}"], check=True)
    a.up()
    log_in()
    agreed()
    a.kill()
    a.forget()
    shutil.copy(copy, a.logins)
    a.up()
    log_in(1)
    agreed()


def test_fail_over(site):
    """Addresses are tried in turn; a replica is none of them until it is
    promoted."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    site.redis.cli("CONFIG", "SET", "port", port)
    replica = site.server("replica", of=port)
    wait_for(replica.replicates)
    a, b = site.machine("a").up(), site.machine("b").up()
    a.write(login("192.0.2.1"))
    wait_for(lambda: same(a, b))
    assert "is a replica" in a.run("share", "test").stderr
    site.redis.stop()
    a.write(login("192.0.2.2"))
    b.run("deny", "192.0.2.1")
    wait_for(a.trouble)
    replica.cli("REPLICAOF", "NO", "ONE")
    wait_for(lambda: same(a, b) and len(b.table()) == 3,
             lambda: f"{a.trouble()} {b.trouble()} {a.table()} {b.table()}")
    # READONLY in the middle of work
    site.redis.start()
    site.redis.cli("CONFIG", "SET", "port", port)
    replica.cli("REPLICAOF", "127.0.0.1", port)
    a.write(login("192.0.2.3"))
    wait_for(lambda: same(a, b) and len(b.table()) == 4,
             lambda: f"{a.trouble()} {b.trouble()} {a.table()} {b.table()}")


def test_a_redis_that_hangs(site):
    """It keeps nobody waiting here; where it is required, a client that nobody
    has seen is told to come again."""
    a = site.machine("a", required="true").up()
    a.serve()
    wait_for(lambda: a.ask("192.0.2.1") == "action=550")
    site.redis.child.send_signal(signal.SIGSTOP)
    a.write(login("192.0.2.7"))
    wait_for(lambda: a.ask("192.0.2.7") == "action=OK", a.said)
    wait_for(lambda: "no answer in time" in a.trouble(), a.trouble)
    wait_for(lambda: a.ask("192.0.2.1").startswith("action=4"),
             lambda: a.ask("192.0.2.1"))
    assert a.ask("192.0.2.7") == "action=OK"
    assert "CRITICAL  shared stream" in a.out("status", code=None)
    site.redis.child.send_signal(signal.SIGCONT)
    wait_for(lambda: a.ask("192.0.2.1") == "action=550", a.trouble)
    # a password that Redis doesn't know
    site.redis.cli("ACL", "SETUSER", "popgate", "off")
    site.redis.cli("CLIENT", "KILL", "USER", "popgate")
    wait_for(lambda: "WRONGPASS" in a.trouble(), a.trouble)
    site.redis.cli("ACL", "SETUSER", "popgate", "on")
    wait_for(lambda: a.trouble() == "", a.trouble)
    assert PASSWORD not in a.said() and KEY not in a.said()


def test_tls(site):
    """The server's certificate decides; who shows none of his own is asked for
    one only where Redis wants it."""
    pem, other = site.path / "redis.pem", site.path / "other.pem"
    for path in (pem, other):
        self_signed(path, "/CN=redis", "-addext",
                    "subjectAltName=IP:127.0.0.1,DNS:localhost")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    a = site.machine("a", [f"tls:127.0.0.1:{port}"], tls_ca=f'"{pem}"')
    checked = a.run("check-config", code=None)
    if checked.returncode != 0:         # Debian 12
        assert "built with a hiredis older than 1.0" in checked.stderr
        return
    tls = site.server("tls", more=(
        "--tls-port", port, "--tls-cert-file", pem, "--tls-key-file", pem,
        "--tls-ca-cert-file", other, "--tls-auth-clients", "no"))
    a.up()
    b = site.machine("b", [f"tls:localhost:{port}"], tls_ca=f'"{pem}"').up()
    a.write(login("192.0.2.1") + login("192.0.2.2") * 2000)
    b.write(login("192.0.2.3"))
    wait_for(lambda: same(a, b) and len(a.table()) == 3,
             lambda: f"{a.trouble()} {b.trouble()} {a.table()} {b.table()}")
    assert ": good, " in a.out("share", "test")
    for name, server, ca, why in (
            ("another-signed", f"tls:127.0.0.1:{port}", other, "self"),
            ("unknown-signed", f"tls:127.0.0.1:{port}", "", "self"),
            ("other-address", f"tls:127.0.0.2:{port}", pem, ""),
            ("not-by-tls", f"127.0.0.1:{port}", pem, "")):
        done = site.machine(name, [server], tls_ca=f'"{ca}"').run(
            "share", "test", code=None)
        assert done.returncode == EX_UNAVAILABLE and why in done.stderr, done
    # Redis wants a certificate, and breaks what was open
    tls.cli("CONFIG", "SET", "tls-auth-clients", "yes")
    tls.cli("CLIENT", "KILL", "USER", "popgate")
    b.write(login("192.0.2.4"))
    wait_for(b.trouble)
    shown = site.machine("d", [f"tls:127.0.0.1:{port}"], tls_ca=f'"{pem}"',
                         tls_certificate=f'"{other}"')
    assert ": good, " in shown.out("share", "test")
    tls.cli("CONFIG", "SET", "tls-auth-clients", "no")
    wait_for(lambda: same(a, b) and len(a.table()) == 4,
             lambda: f"{a.trouble()} {b.trouble()} {a.table()} {b.table()}")


LIMITS = ('user_recipients = "12/1h"; client_senders = "3/1h"; '
          'deny_for = "10m";')


def test_limits_hold_over_all_machines(site):
    a, b = (site.machine(name, limits=LIMITS).up() for name in "ab")
    a.serve()
    b.serve()

    def relays(machine, n, client="192.0.2.1", **kw):
        for _ in range(n):
            assert machine.ask(client, **kw) == "action=OK"

    def says(machine, reason, client="192.0.2.1", *more):
        """The gate itself would say so; it counts nothing."""
        wait_for(lambda: json.loads(machine.out(
            "check", "--json", "--client", client, "--to",
            "y@elsewhere.test", *more,
            code=None))["daemon"]["reason"] == reason,
            lambda: machine.said(MILTER))

    def full(machine, *more):
        says(machine, "rate-limited", *more)

    def refused(machine, answer, client="192.0.2.1", **kw):
        assert machine.ask(client, **kw).startswith(f"action={answer}")

    a.write(login("192.0.2.1") + login("192.0.2.9", "carol"))
    for m in (a, b):
        wait_for(lambda: len(m.table()) == 2, m.said)
    # senders count once, whichever machine saw them
    relays(a, 1, "192.0.2.9", sender="p@far.test")
    relays(a, 1, "192.0.2.9", sender="q@far.test")
    # what one machine relays is missing on the other, by each way to relay
    relays(a, 5)
    relays(b, 7)
    full(a)
    full(b)
    relays(b, 1, "192.0.2.9", sender="P@far.test")
    relays(b, 1, "192.0.2.9", sender="r@far.test")
    refused(b, 4, "192.0.2.9", sender="s@far.test")
    assert "user_recipients 12 of 12/1h" in a.out(
        "why", "192.0.2.1", code=None)
    relays(b, 12, user="dave")
    full(a, "198.51.100.9", "--auth", "Dave")
    # a restart forgets nothing of it
    b.stop(b.milter)
    b.serve()
    full(b)
    # who goes over is denied by all, client or user
    refused(b, 5, "192.0.2.9")
    refused(a, 4)
    says(a, "denied", "192.0.2.9")
    says(b, "denied")
    refused(b, 5)
    assert "on another machine; logins denied" in b.said(MILTER)
    assert "alice" in b.out("deny", "--list")
    # mail for our own is none of this
    assert b.ask("192.0.2.1", to="x@example.com") == "action=DUNNO"
    # whoever lets in again has done it on all, and all count from zero
    b.run("undeny", "alice")
    for m in (a, b):
        says(m, "recent-login")
        relays(m, 1)
        assert m.query("SELECT count(*) FROM lift", database=m.audit) == [
            (2,)]
    # together they go over a limit by no more than they relay in two
    # seconds: one that has its own limit only would go on for three
    for user in ("pat", "pit", "pot"):
        went = []
        while len(went) < 24 and any(
                m.ask("192.0.2.2", user=user) == "action=OK" and
                went.append(time.monotonic()) is None for m in (a, b)):
            time.sleep(0.5)
        if went[-1] < went[11] + 2:     # the machine was too busy
            break
    assert len(went) >= 12 and went[-1] < went[11] + 2, went
    # no more than that is to be read of the decisions
    outbox = a.path / "audit.db.outbox"
    assert outbox.stat().st_mode & 0o777 == 0o644
    assert b"elsewhere" not in outbox.read_bytes()
    # with Redis away each has its own limit
    site.redis.stop()
    wait_for(lambda: a.trouble() and b.trouble())
    relays(a, 11, user="erin")
    relays(b, 11, user="erin")
    site.redis.start()
    for m in (a, b):
        full(m, "192.0.2.1", "--auth", "erin")
        wait_for(lambda: m.trouble() == "", m.trouble)
        # a login that is published again, as Redis has lost it
        assert set(m.refused()) <= {"copy"}
    # who has no key charges and denies nobody, nor by what he has read

    def heard(machine):
        return machine.query(
            "SELECT kind, subject, at, until FROM word UNION ALL "
            "SELECT client, user, sum(recipients), count(*) FROM relayed "
            "GROUP BY 1, 2 ORDER BY 1, 2")
    before = heard(a), heard(b)
    site.redis.cli("EVAL", """
        for _, e in ipairs(redis.call('XRANGE', 'popgate', '-', '+')) do
            local v = e[2][2]
            redis.call('XADD', 'popgate', '*', 'e', v)
            redis.call('XADD', 'popgate', '*', 'e', v:sub(1, 3) .. 'B' ..
                       v:sub(5))
            redis.call('XADD', 'popgate', '*', 'e', v:sub(1, 27) .. '9' ..
                       v:sub(29))
        end
        redis.call('XADD', 'popgate', '*', 'e', 'end')""", 0)
    for m in (a, b):
        wait_for(lambda: m.refused().get("malformed"), m.refused)
        assert m.refused()["forged"] > 10
    assert (heard(a), heard(b)) == before


@is_root
def test_a_disk_full(site):
    """It keeps what it has, and takes the rest as soon as there is room."""
    a, b = site.machine("a").up(), site.machine("b")
    small = b.path / "small"
    small.mkdir()

    def inside(sql):
        """SQLite would follow /proc/PID/root to where the table isn't."""
        done = subprocess.run(
            ["nsenter", "-m", "-r", "-t", str(holder.pid), sys.executable,
             "-c", "import json, sqlite3, sys; print(json.dumps(sqlite3."
             "connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))",
             b.logins, sql], capture_output=True, text=True)
        return [tuple(row) for row in json.loads(done.stdout or "[]")]

    holder = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=3m tmpfs {small}"
         f" && touch {b.path}/mounted && exec sleep 600"])
    try:
        wait_for((b.path / "mounted").exists)
        b.logins = small / "logins.db"
        b.configure()
        b.log.touch()
        with b.stderr(COLLECTOR).open("ab") as err:
            b.daemons.append(subprocess.Popen(
                ["nsenter", "-m", "-r", "-t", str(holder.pid), COLLECTOR, "-c",
                 b.conf], stderr=err, stdin=subprocess.DEVNULL))
        b.query = inside
        wait_for(lambda: "started" in b.said(), b.said)
        a.run("deny", "mallory")
        a.write(login("192.0.2.1"))
        wait_for(lambda: same(a, b) and len(a.table()) == 2, b.said)
        fill = pathlib.Path(f"/proc/{holder.pid}/root{small}/fill")
        with pytest.raises(OSError), fill.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        before = b.table()
        for i in range(400):
            a.write(login(f"10.0.{i // 250}.{i % 250}"))
        a.run("undeny", "mallory")
        wait_for(lambda: "share: " in b.said() and "full" in b.said(), b.said)
        assert b.table() == before
        fill.unlink()
        wait_for(lambda: same(a, b) and len(b.table()) == 401,
                 lambda: f"{len(b.table())} {b.said()}")
        assert b.query("SELECT count(*) FROM login_event WHERE source = "
                       "'share:a'") == [(401,)]
        wait_for(lambda: b.trouble() == "", b.trouble)
        assert b.refused() == {}
    finally:
        holder.kill()
        holder.wait()


def test_init(site):
    a = site.machine("a")
    a.key.unlink()
    out = a.out("share", "init")
    assert a.key.stat().st_mode & 0o777 == 0o600
    assert len(a.key.read_text()) == 65
    assert a.key.read_text().strip() not in out
    assert "ACL SETUSER popgate" in out
    assert "is there already" in a.err("share", "init", code=73)
    assert a.run("share", "test")
    a.key.chmod(0o644)
    assert "chmod" in a.err("share", "test", code=EX_CONFIG)
    # the collector says so, and goes on alone
    a.up()
    assert "nothing is shared" in a.said()
    a.write(login("192.0.2.1"))
    wait_for(a.table)
    assert "has never shared anything" in a.out("status", code=None)
