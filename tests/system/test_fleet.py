# SPDX-License-Identifier: ISC
"""Three machines with all their servers, one gate: who logs in at one relays
at the others. What else may happen to them is in tests/proof/test_fleet.py."""
import signal

from lab.fleet import OWN, Fleet
from lab.process import wait_for

CLIENT, OTHER, STRANGER = "203.0.113.1", "203.0.113.2", "203.0.113.200"


def test_log_in_here_relay_there():
    fleet = Fleet()
    try:
        story(fleet)
    finally:
        fleet.close()


def answers(fleet, client, recipient="friend@elsewhere.test"):
    return [code for code, _ in fleet.tell("tries", client, recipient)]


def story(fleet):
    a, b, c = fleet.members
    assert answers(fleet, CLIENT) == [550, 550, 550]
    a.do("login", "imap", CLIENT)
    b.do("login", "pop3", OTHER)
    wait_for(lambda: fleet.same(2), fleet.state)
    assert answers(fleet, CLIENT) == [250, 250, 250]
    assert answers(fleet, OTHER) == [250, 250, 250]
    # a word of one machine holds on all
    c.do("popgate.ctl", "delete", CLIENT)
    b.do("popgate.ctl", "deny", OTHER)
    wait_for(lambda: fleet.same(2), fleet.state)
    assert answers(fleet, CLIENT) == [550, 550, 550]
    assert answers(fleet, OTHER) == [550, 550, 550]
    # none of them needs the others, or Redis
    fleet.hub.do("send", signal.SIGSTOP)
    b.do("cable", "down")
    c.do("kill", "collector")
    a.do("login", "imap", "203.0.113.3")
    b.do("login", "imap", "203.0.113.4")
    assert a.do("tries", "203.0.113.3")[0] == 250
    assert b.do("tries", "203.0.113.4")[0] == 250
    assert answers(fleet, STRANGER) == [550, 550, 550]
    assert answers(fleet, STRANGER, OWN) == [250, 250, 250]
    fleet.hub.do("kill")
    fleet.hub.do("promote")
    b.do("cable", "up")
    c.do("up", "collector")
    wait_for(lambda: fleet.same(4), fleet.state)
    assert answers(fleet, "203.0.113.4") == [250, 250, 250]
    assert answers(fleet, OTHER) == [550, 550, 550]
    assert fleet.tell("doubled") == [[], [], []]
    assert fleet.tell("leaked") == [[], [], []]
