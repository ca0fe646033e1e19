# SPDX-License-Identifier: ISC
"""Faults of Redis, of a machine, or between them: each machine keeps working
with its own logins at once, no stranger relays, own mail is never refused, and
afterwards all machines have one table, with each login once.

POPGATE_KILLS: how often something is killed with -9 at random (default 200);
POPGATE_SEED: which."""
import itertools
import os
import random
import signal

import pytest

from lab.fleet import OWN, PRIMARY, REPLICA, SLOW, Fleet
from lab.process import wait_for
from lab.site import BUILD

KILLS = int(os.environ.get("POPGATE_KILLS", "200"))
SEED = int(os.environ.get("POPGATE_SEED", "1"))
STRANGER = "203.0.113.250"
HOSTILE = 7000
HOURS = 5 * 3600
REFUSED = {0, 550}          # 0: hung up, as an MTA whose filter is gone may
LATER = {421, 450, 451, 454}


class Gate(Fleet):
    """A fleet, and what all machines are to know."""

    def __init__(self):
        super().__init__("160m", BUILD / "proof/clock.so")
        self.numbers = itertools.count(1)
        self.logins, self.denied = set(), set()

    def client(self):
        """One that nobody has seen."""
        n = next(self.numbers)
        return f"10.9.{n >> 8}.{n & 255}"

    def log_in(self, member, n=1):
        clients = [self.client() for _ in range(n)]
        member.do("log_lines", *clients)
        self.logins.update(clients)
        return clients

    def deny(self, member, client):
        member.do("ctl", "deny", client)
        self.denied.add(client)

    def delete(self, member, client):
        member.do("ctl", "delete", client)
        self.logins.discard(client)

    def agreed(self):
        """All machines know what they are to know, each once."""
        def good():
            tables = self.tables()
            clients = {row[0] for row in tables[0] if row[0] != "client"}
            denied = {row[1] for row in tables[0] if row[0] == "client"}
            return tables.count(tables[0]) == 3 and \
                clients == self.logins and denied == self.denied
        wait_for(good, lambda: f"{self.logins} {self.denied}\n{self.state()}")
        assert self.tell("doubled") == [[], [], []]

    def answers(self, client, recipient="friend@elsewhere.test"):
        return {code for code, _ in self.tell("tries", client, recipient)}

    def closed(self):
        """To strangers, and to nobody's own mail."""
        assert self.answers(STRANGER) == {550}
        assert self.answers(STRANGER, OWN) == {250}


@pytest.fixture(scope="module")
def gate():
    gate = Gate()
    try:
        yield gate
        assert gate.tell("leaked") == [[], [], []]
    finally:
        gate.close()


def works_alone(gate, members=None):
    """Each machine's own logins count there, whatever happens elsewhere; an
    admin's word is taken. Returns what it denied."""
    members = members or gate.members
    victim, = gate.log_in(members[0])
    for member in members:
        client, = gate.log_in(member)
        wait_for(lambda: member.do("known", client),
                 lambda: member.do("said"))
        answer = member.do("tries", client)
        assert answer[0] == 250, (answer, member.do("said"))
    wait_for(lambda: members[0].do("known", victim))
    gate.deny(members[0], victim)
    gate.closed()
    return victim


def trouble(member):
    return member.do("share")[0]


def whole(gate):
    """A primary and a replica that has all."""
    wait_for(lambda: gate.hub.do("replicated"))


# --- each fault: a generator that begins it, lets the test go on, ends it ---

def redis_killed(gate):
    gate.hub.do("kill")
    yield
    for member in gate.members:
        wait_for(lambda: trouble(member))
    gate.hub.do("up")


def redis_paused(gate):
    gate.hub.do("send", signal.SIGSTOP)
    yield
    for member in gate.members:
        wait_for(lambda: "no answer in time" in trouble(member),
                 lambda: trouble(member))
    gate.hub.do("send", signal.SIGCONT)


def redis_flushed(gate):
    gate.hub.do("cli", "FLUSHALL")
    yield


def stream_evicted(gate):
    gate.hub.do("cli", "DEL", "popgate")
    yield


def failed_over(gate):
    """The primary dies; its replica is promoted, and gets one of its own."""
    whole(gate)
    gate.hub.do("kill")
    yield
    gate.hub.do("promote")
    gate.hub.do("up", gate.hub.do("replica"), PRIMARY + REPLICA -
                gate.hub.do("replica"))


def made_read_only(gate):
    """They change places, and the old primary answers READONLY."""
    whole(gate)
    gate.hub.do("promote")
    gate.hub.do("follow")
    yield


def loading(gate):
    """It says LOADING: it reads an older copy of its data, slowly."""
    hub = gate.hub
    hub.do("cli", "EVAL", "for i = 1, 3000 do redis.call('SET', 'x' .. i, i) "
           "end", 0)
    hub.do("cli", "SAVE")
    gate.log_in(gate.a)
    gate.agreed()
    hub.do("kill")
    hub.do("slow_start", 2000)
    yield
    for member in gate.members:
        wait_for(lambda: "loading" in trouble(member).lower(),
                 lambda: trouble(member))
    hub.do("fast_start")


def machine_cut_off(gate):
    gate.b.do("cable", "down")
    yield
    wait_for(lambda: trouble(gate.b))
    gate.b.do("cable", "up")


def cut_off_while_failing_over(gate):
    whole(gate)
    gate.c.do("cable", "down")
    gate.hub.do("kill")
    yield
    gate.hub.do("promote")
    gate.hub.do("up", gate.hub.do("replica"), PRIMARY + REPLICA -
                gate.hub.do("replica"))
    gate.log_in(gate.a)
    gate.c.do("cable", "up")


def slow(gate):
    """200 ms there and back, and one segment of twenty lost."""
    for port in (PRIMARY, REPLICA):
        gate.hub.do("stand_in", f"slow-{port}", "slow", port + SLOW, port,
                    200, 5, SEED)
    gate.tell("configure", (PRIMARY + SLOW, REPLICA + SLOW), reload=True)
    yield
    gate.log_in(gate.b, 200)
    gate.agreed()
    assert gate.tell("share")[0][0] == ""
    gate.tell("configure", reload=True)
    for port in (PRIMARY, REPLICA):
        gate.hub.do("dismiss", f"slow-{port}")


def disk_full(gate):
    """Its logins wait in the log, and what others say in the stream."""
    gate.b.do("fill_disk")
    works_alone(gate, [gate.a, gate.c])
    gate.log_in(gate.b, 50)
    gate.closed()
    gate.b.do("free_disk")
    # it tries to record again now and then
    wait_for(lambda: gate.b.do("tries", STRANGER)[0] == 550)
    yield


def exhausted(gate):
    """Somebody who may write to Redis takes the stream's last number."""
    gate.hub.do("cli", "XADD", "popgate",
                "18446744073709551615-18446744073709551615", "e", "x")
    yield
    for member in gate.members:
        wait_for(lambda: "last possible ID" in trouble(member),
                 lambda: trouble(member))
    gate.hub.do("cli", "DEL", "popgate")


def hostile(how):
    def fault(gate):
        gate.hub.do("stand_in", "hostile", "hostile", HOSTILE, how)
        gate.tell("configure", (HOSTILE,), reload=True)
        yield
        for member in gate.members:
            wait_for(lambda: trouble(member))
            assert member.do("memory_mb") < 150
        gate.tell("configure", reload=True)
        gate.hub.do("dismiss", "hostile")
    return fault


FAULTS = {
    "redis killed": redis_killed, "redis paused": redis_paused,
    "redis flushed": redis_flushed, "stream evicted": stream_evicted,
    "failed over": failed_over, "read only": made_read_only,
    "loading": loading, "machine cut off": machine_cut_off,
    "cut off while failing over": cut_off_while_failing_over,
    "slow": slow, "disk full": disk_full, "stream exhausted": exhausted,
    **{f"hostile: {how}": hostile(how)
       for how in ("endless", "drip", "garbage")},
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(gate, name):
    gate.log_in(gate.a)
    gate.agreed()
    fault = FAULTS[name](gate)
    next(fault)
    victim = works_alone(gate)
    next(fault, None)
    gate.agreed()
    assert gate.answers(victim) == {550}
    gate.closed()


@pytest.mark.parametrize("ahead", [HOURS, -HOURS])
def test_clock_off_by_hours(gate, ahead):
    """A line that a machine reads while its clock is wrong isn't lost for
    it."""
    c = gate.c
    c.do("set_clock", ahead)
    wait_for(lambda: abs(c.do("share")[1] + ahead) < 60,
             lambda: c.do("share"))
    works_alone(gate, [gate.a, gate.b])
    own = gate.client()
    c.do("log_lines", own)
    wait_for(lambda: c.do("known", own))
    assert c.do("tries", own)[0] == 250
    if ahead > 0:
        wait_for(lambda: gate.a.do("refused").get("future"))
    # a client that it denies is denied there, whatever the time
    c.do("ctl", "deny", own)
    assert c.do("tries", own)[0] == 550
    c.do("ctl", "undeny", own)
    c.do("ctl", "delete", own)
    c.do("set_clock", 0)
    gate.agreed()
    gate.log_in(c)
    gate.agreed()
    gate.closed()


def test_kills(gate):
    """Any program, at any time."""
    chance = random.Random(SEED)
    programs = ("collector", "milter")
    known = []
    for n in range(KILLS):
        for _ in range(chance.randrange(3)):
            known += gate.log_in(chance.choice(gate.members),
                                 chance.choice((1, 1, 5, 40)))
        kind = chance.random()
        member = chance.choice(gate.members)
        if kind < 0.6:
            program = chance.choice(programs)
            member.do("kill", program)
            if chance.random() < 0.5:
                known += gate.log_in(chance.choice(gate.members))
            codes = gate.answers(STRANGER)
            assert codes <= REFUSED | LATER, codes
            codes = gate.answers(STRANGER, OWN)
            assert codes <= {250, 0} | LATER, codes
            member.do("up", program)
        elif kind < 0.8:
            gate.hub.do("kill")
            if chance.random() < 0.5:
                gate.hub.do("promote")
                other = gate.hub.do("replica")
                gate.hub.do("up", other, PRIMARY + REPLICA - other)
            else:
                gate.hub.do("up")
        else:
            other = gate.hub.do("replica")
            gate.hub.do("kill", other)
            gate.hub.do("up", other, PRIMARY + REPLICA - other)
        if known and chance.random() < 0.3:
            client = known.pop(chance.randrange(len(known)))
            member = chance.choice(gate.members)
            if member.do("known", client):
                say = chance.choice((gate.deny, gate.delete))
                say(member, client)
        if n % 20 == 19:
            gate.agreed()
            gate.closed()
    gate.agreed()
    gate.closed()
    for client in list(gate.denied)[-3:]:
        assert gate.answers(client) == {550}
