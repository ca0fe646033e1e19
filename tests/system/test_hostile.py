# SPDX-License-Identifier: ISC
"""Real POP and IMAP servers under attack, the collector reading what they log.

Clients send user names, IMAP IDs, tags and commands that look like the end of
a log line, or like a line of their own. Whatever comes of that, only those who
really logged in may be in the table.
"""
import asyncio
import base64
import multiprocessing
import random

import pytest

from lab.courier import Courier
from lab.cyrus import Cyrus
from lab.dovecot import Dovecot
from lab.perdition import Perdition
from lab.popa3d import Popa3d
from test_logs import LoginLab

# never log in; many, since servers have limits for each
ATTACKERS = [f"203.0.113.{host}" for host in range(100, 200)]
FORGED = "203.0.113.66"         # what the attacker wants to open

# Words of a successful login from somewhere inside the line, for every server
# here: the names of some, which others may well print too.
ENDS = [
    f"x>, method=PLAIN, rip={FORGED}, lip=192.0.2.25, mpid=1, session=<a>",
    f"x>, rip={FORGED}, lip=192.0.2.25, secured, session=<a",
    f"x, ip=[{FORGED}], port=[1234], protocol=IMAP",
    f"x, ip=[::ffff:{FORGED}], port=[1]",
    f"[{FORGED}] x plaintext User logged in",
    f"x [{FORGED}] alice plaintext User logged in SESSIONID=<a-1-2-3>",
    f"alice plaintext+TLS User logged in SESSIONID=<{FORGED}>",
    f'x" server="{FORGED}:143" protocol=IMAP4 server-secure=plaintext '
    'status="ok"',
    f"Auth: {FORGED}:1->192.0.2.25:143 client-secure=plaintext "
    'authorisation_id=NONE authentication_id="alice" server="a:143" '
    'protocol=IMAP4 server-secure=plaintext status="ok"',
    f"Session from {FORGED}", "Authentication passed for alice",
    f"alice -- [{FORGED}]", f"LOGIN, user=alice, ip=[{FORGED}], port=[1]",
    f"Login: user=<alice>, method=PLAIN, rip={FORGED}, lip=192.0.2.25, "
    "mpid=1, session=<a>",
    f"{FORGED}", f"alice@{FORGED}", f"rip={FORGED}",
]

# whole lines, for behind a line end that a server lets through
TAGS = ["dovecot: imap-login: ", "imapd: ", "cyrus/imap[7]: login: ",
        "perdition[7]: ", "popa3d[7]: ", "imap-login: "]


def payloads(seed, count):
    """Names: the ends as they are, and then mixtures of them."""
    dice = random.Random(seed)
    yield from ENDS
    for _ in range(count):
        text = dice.choice(ENDS)
        kind = dice.randrange(6)
        if kind == 0:
            text = dice.choice(["\n", "\r\n", "\r", "\0", "\t"]).join(
                ["x", "Nov 21 10:00:00 mail " + dice.choice(TAGS) + text])
        elif kind == 1:
            text = text + dice.choice([" ", ", ", ">", '"', "]"]) + \
                dice.choice(ENDS)
        elif kind == 2:
            text = "x" * dice.choice([40, 80, 128, 250, 700, 900, 1100]) + text
        elif kind == 3:
            text = text + " " * dice.choice([1, 200, 900]) + "y" * 80
        elif kind == 4:
            text = dice.choice(["(", "<", "user=<", '"', "\\", "%s%n"]) + text
        yield text


def imap_attacks(text):
    raw = text.encode()
    quoted = b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    word = base64.b64encode(b"\0" + raw + b"\0wrong")
    yield b"a LOGIN " + quoted + b' "wrong"'
    yield b"a LOGIN {%d+}\r\n%s wrong" % (len(raw), raw)
    yield b'a ID ("name" ' + quoted + b')\r\nb LOGIN alice ' + quoted
    yield b"a AUTHENTICATE PLAIN\r\n" + word
    yield raw.replace(b"\n", b" ") + b" LOGIN x y"
    yield b"a " + raw


def pop3_attacks(text):
    raw = text.encode()
    flat = raw.replace(b"\r", b" ").replace(b"\n", b" ")
    word = base64.b64encode(b"\0" + raw + b"\0wrong")
    yield b"USER " + flat + b"\r\nPASS wrong"
    yield b"USER alice\r\nPASS " + flat
    yield b"XOIP " + FORGED.encode() + b"\r\nUSER " + flat + b"\r\nPASS x"
    yield b"AUTH PLAIN\r\n" + word
    yield b"APOP " + flat + b" 0123456789abcdef0123456789abcdef"
    yield raw


async def attack(attacker, server, data, gate):
    """Send, hear the server out, and hang up. True when it answered."""
    async with gate:
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(
                *server, local_addr=(attacker, 0)), 10)
        except (OSError, TimeoutError):
            return False
        answered = False
        try:
            await asyncio.wait_for(reader.readline(), 4)
            writer.write(data + b"\r\n")
            answered = bool(await asyncio.wait_for(reader.read(4096), 4))
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 2)
        except (OSError, TimeoutError):
            pass        # it has hung up, or takes its time
        writer.close()
        return answered


def attack_all(jobs, parallel, pipe):
    async def run():
        gate = asyncio.Semaphore(parallel)
        return await asyncio.gather(*(
            attack(ATTACKERS[i % len(ATTACKERS)], *job, gate)
            for i, job in enumerate(jobs)))
    pipe.send(sum(asyncio.run(run())))


class Hostile:
    names = 16          # besides ENDS
    pop3 = imap = True
    parallel = 12
    collector = ""
    log = "mail.log"
    forged_in_log = True

    @pytest.fixture(scope="class")
    def lab(self, request, keep):
        cls = request.cls
        yield from keep(LoginLab(cls.server, "traditional",
                                 cls.collector, cls.log))

    def test_only_genuine_logins_count(self, lab):
        jobs = []
        if self.imap:
            jobs += [(lab.site.imap, data)
                     for text in payloads("imap", self.names)
                     for data in imap_attacks(text)]
        if self.pop3:
            jobs += [(lab.site.pop3, data)
                     for text in payloads("pop3", self.names)
                     for data in pop3_attacks(text)]
        random.Random(1).shuffle(jobs)
        genuine = {}
        protocols = (["imap"] if self.imap else []) + \
            (["pop3"] if self.pop3 else [])
        # a process of its own: a new process table takes no threads
        fork = multiprocessing.get_context("fork")
        here, there = fork.Pipe()
        attacker = fork.Process(target=attack_all,
                                args=(jobs, self.parallel, there))
        attacker.start()
        try:
            # meanwhile, people read their mail
            for host in range(1, 13):
                address = f"203.0.113.{host}"
                user = ("alice", "bob", "carol")[host % 3]
                protocol = protocols[host % len(protocols)]
                assert lab.login(address, user, protocol=protocol)
                genuine[address] = user
            assert here.poll(600)
            heard = here.recv()
        finally:
            attacker.kill()
            attacker.join()
        # the attacks were served, and arrived in the log
        assert heard > len(jobs) // 4
        assert lab.login("203.0.113.20", "alice", protocol=protocols[0])
        genuine["203.0.113.20"] = "alice"
        lab.popgate.wait_login("203.0.113.20")
        log = (lab.site.log / self.log).read_bytes()
        assert sum(log.count(b"%s" % address.encode())
                   for address in ATTACKERS) > 100
        if self.forged_in_log:
            assert log.count(FORGED.encode()) > 50
        assert {(row["client"], row["user"])
                for row in lab.popgate.logins()} == set(genuine.items())
        events = lab.popgate.query("logins.db", "SELECT * FROM login_event")
        assert len(events) == len(genuine)


class TestDovecot(Hostile):
    server = Dovecot


class TestCourier(Hostile):
    server = Courier


class TestCyrus(Hostile):
    server = Cyrus


class TestPerdition(Hostile):
    server = Perdition
    parallel = 40               # Dovecot behind it makes failures wait


class TestPopa3d(Hostile):
    server = Popa3d
    imap = False
    collector = ' servers = [ "popa3d" ];'
    log = "syslog"              # it logs to facility daemon
    forged_in_log = False       # it prints no name that it doesn't know
