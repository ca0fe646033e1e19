# SPDX-License-Identifier: ISC
"""This machine's own addresses and gateways: none of them is a client,
whatever table a route is in and whenever it comes."""
import subprocess

import pytest

from lab.namespace import Namespace
from lab.daemons import Daemons
from lab.process import wait_for

ROUTES = """\
link add lan type veth peer name far
address add 192.0.2.10/24 brd + dev lan
-6 address add 2001:db8::10/64 dev lan nodad
link set lan up
link set far up
route add default nexthop via 192.0.2.1 nexthop via 192.0.2.2
route add default via 192.0.2.3 table 77
-4 route add default via inet6 2001:db8::4 dev lan table 78
nexthop add id 5 via 192.0.2.5 dev lan
route add default nhid 5 table 79
route add 198.51.100.0/24 via 192.0.2.9
-6 route add default nexthop via 2001:db8::1 nexthop via 2001:db8::2
-6 route add default via 2001:db8::3 table 77
"""
OWN = ("192.0.2.10", "2001:db8::10", "192.0.2.255", "192.0.2.1", "192.0.2.2",
       "192.0.2.3", "192.0.2.5", "2001:db8::1", "2001:db8::2", "2001:db8::3",
       "2001:db8::4")
OTHERS = "192.0.2.7", "192.0.2.8", "192.0.2.9", "2001:db8::7"


def ip(command):
    subprocess.run(["ip", *command.split()], check=True)


class Machine(Daemons):
    def owned(self, address):
        answer = self.ask(address, "x@elsewhere.test")
        assert "opens nothing" in answer or "check your mail" in answer, answer
        return "opens nothing" in answer

    def lists(self, address):
        return f" {address} " in self.ctl("list").replace("\n", " ")

    def logged_in(self, address):
        self.login(address)
        return self.lists(address)


@pytest.fixture
def machine(tmp_path):
    space = Namespace("mail.lab.test")
    space.enter()
    try:
        for line in ROUTES.splitlines():
            ip(line)
        d = Machine(tmp_path)
        d.start("collector")
        d.start("milter")
        wait_for(lambda: "check your mail" in d.ask(OTHERS[0], "x@a.test"),
                 "a collector that is heard")
        try:
            yield d
        finally:
            d.close()
    finally:
        space.leave()


def test_gateways(machine):
    assert [a for a in OWN if not machine.owned(a)] == []
    assert [a for a in OTHERS if machine.owned(a)] == []
    for address in OWN + OTHERS[1:]:
        machine.login(address)
    for address in OTHERS[1:]:
        wait_for(lambda: machine.lists(address), f"the login of {address}")
    assert [a for a in OWN if machine.lists(a)] == []
    # every 30 seconds: what comes, and what goes
    ip("route add default via 192.0.2.7 table 80")
    ip("route del default table 77")
    wait_for(lambda: machine.owned("192.0.2.7"), "a gateway that came")
    assert not machine.owned("192.0.2.3") and machine.owned("192.0.2.2")
    # by the collector, too
    wait_for(lambda: machine.logged_in("192.0.2.3"), "a gateway that went")
    machine.login("192.0.2.7")
    wait_for(lambda: machine.logged_in("2001:db8::8"), "a login after it")
    assert not machine.lists("192.0.2.7")
