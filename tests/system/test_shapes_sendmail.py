# SPDX-License-Identifier: ISC
"""popgatectl wiring sendmail on Sendmail as it is set up elsewhere: the
commands that it prints are run, and then popgate's promises are tried on
every port."""
import itertools
import subprocess

import pytest

from lab.client import new_token
from lab.process import wait_for
from lab.sendmail_shape import OWN, REMOTE, Lab
from lab.sendmail_shapes import SHAPES
from lab.site import PASSWORD


@pytest.fixture(scope="module")
def lab(keep):
    yield from keep(Lab())


@pytest.fixture(params=SHAPES, ids=lambda shape: shape.name, scope="module")
def shape(lab, request):
    shape = request.param
    lab.install(shape)
    before = lab.snapshot()
    script = lab.wire(shape)
    yield shape, script, before


def send(lab, shape, address, port, recipient, auth=False,
         sender="sender@elsewhere.test"):
    """The reply that ended it, of MAIL, RCPT or DATA."""
    with lab.smtp(shape, address, port) as smtp:
        assert smtp.greeting.code == 220, smtp.greeting
        if auth:
            reply = smtp.auth_plain("carol", PASSWORD)
            assert reply.code == 235, reply
        for reply in (smtp.mail(sender), smtp.rcpt(recipient)):
            if reply.code != 250:
                return reply
        return smtp.data(new_token())


def from_outside(shape):
    if shape.address == "127.0.0.1":
        pytest.skip("nobody reaches it from outside")


def each(shape):
    """Each port, from a client whose name is known and one without a name."""
    return itertools.product(
        [port for port in shape.ports if port not in shape.auth_only],
        (True, False))


class TestShape:
    def test_says_what_it_found(self, shape):
        shape, script, _ = shape
        words = " ".join(script.replace("\n#", " ").split())
        for note in shape.notes:
            assert note in words, script

    def test_is_whole(self, lab, shape):
        """Printed again there is nothing to do; nothing else was changed."""
        shape, _, before = shape
        again = lab.wiring()
        assert "there is nothing to do" in again and "kill" not in again
        assert lab.wiring("--diff") == ""
        for path, text in lab.snapshot().items():
            if "/popgate" in path:
                continue
            left = [line for line in before[path].splitlines()
                    if line not in text.splitlines()]
            if path.endswith(".mc") or path.endswith(".m4"):
                assert all("popgate" in line or "promiscuous" in line or
                           "InputMailFilters=" in line or "SLocal" in line or
                           "<TMPF>" in line or "confRELAY_MSG" in line or
                           line.startswith(("dnl", "LOCAL_", "R", "#"))
                           for line in left), left

    def test_stranger_is_refused_in_our_words(self, lab, shape):
        shape = shape[0]
        from_outside(shape)
        for port, named in each(shape):
            stranger = lab.stranger(named)
            reply = send(lab, shape, stranger, port, REMOTE)
            assert reply.code == 550 and "check your mail" in reply.text, \
                (port, named, reply)
            row = lab.popgate.wait_decision(client=stranger)
            assert (row["verdict"], row["reason"]) == ("reject", "no-login")

    def test_logged_in_client_relays(self, lab, shape):
        shape = shape[0]
        from_outside(shape)
        for port, named in each(shape):
            client = lab.logged_in(named)
            reply = send(lab, shape, client, port, REMOTE)
            assert reply.code == 250, (port, named, reply)
            row = lab.popgate.wait_decision(client=client)
            assert (row["verdict"], row["reason"]) == \
                ("accept", "recent-login")

    def test_relayed_mail_leaves(self, lab, shape):
        shape = shape[0]
        from_outside(shape)
        before = len(lab.world.messages())
        reply = send(lab, shape, lab.logged_in(True), 25, REMOTE)
        assert reply.code == 250
        wait_for(lambda: len(lab.world.messages()) > before, "the message")

    def test_auth_relays(self, lab, shape):
        shape = shape[0]
        from_outside(shape)
        if not shape.auth:
            pytest.skip("offers no AUTH")
        for port in shape.ports:
            stranger = lab.stranger(port % 2 == 0)
            reply = send(lab, shape, stranger, port, REMOTE, auth=True)
            assert reply.code == 250, (port, reply)
            row = lab.popgate.wait_decision(client=stranger)
            assert row["reason"] == "authenticated"

    def test_auth_only_ports_want_auth(self, lab, shape):
        shape = shape[0]
        for port in shape.auth_only:
            reply = send(lab, shape, lab.logged_in(True), port, REMOTE)
            assert reply.code == 530, (port, reply)

    def test_own_mail_is_accepted(self, lab, shape):
        shape = shape[0]
        if shape.address == "127.0.0.1":
            assert send(lab, shape, None, 25, OWN).code == 250
            return
        for port, named in each(shape):
            for recipient in (OWN, "somebody@relay.test"):
                reply = send(lab, shape, lab.stranger(named), port, recipient)
                assert reply.code == 250, (port, named, recipient, reply)

    def test_other_filters_are_asked_in_their_order(self, lab, shape):
        shape = shape[0]
        for port, names in shape.lists.items():
            sender = f"{new_token()}@far.test"
            reply = send(lab, shape, lab.logged_in(True), port, REMOTE,
                         sender=sender)
            assert reply.code == 250, (port, reply)
            for name, other in lab.filters.items():
                asked = (f"<{sender}>", f"<{REMOTE}>") in other.asked
                assert asked == (name in names), (port, name)

    def test_own_rules_hold(self, lab, shape):
        shape = shape[0]
        for who, sender, recipient, code, text in shape.own_words:
            client = (lab.logged_in if who == "logged in"
                      else lab.stranger)(True)
            reply = send(lab, shape, client, 25, recipient, sender=sender)
            assert reply.code == code and text in reply.text, reply

    def test_block_lists(self, lab, shape):
        """They refuse whom they list, but not who may relay; and what the
        access map refuses stays refused."""
        shape = shape[0]
        if not shape.block_lists:
            pytest.skip("asks no block list")
        stranger, user = "10.9.200.2", "10.9.200.4"
        lab.popgate.ctl("add", user)
        try:
            for recipient in (OWN, REMOTE):
                assert send(lab, shape, user, 25, recipient).code == 250
                refused = send(lab, shape, stranger, 25, recipient)
                assert refused.code == 550, refused
            assert not lab.popgate.decisions(client=stranger, recipient=OWN)
            rows = lab.popgate.decisions(client=user, channel="socketmap")
            assert {row["recipient"] for row in rows} == {f"<{REMOTE}>"}
            if "REJECT" in shape.files.get("access", ""):
                lab.popgate.ctl("add", "10.9.200.99")
                refused = send(lab, shape, "10.9.200.99", 25, OWN)
                assert "Access denied" in refused.text, refused
            lab.popgate.milter.kill()
            refused = send(lab, shape, user, 25, OWN)
            assert refused.code == 550, refused
        finally:
            if not lab.popgate.milter.running:
                lab.popgate.start_milter()
            lab.popgate.ctl("delete", user)

    def test_popgate_dead(self, lab, shape):
        """Closed, and mail for us comes in."""
        shape = shape[0]
        if shape.address == "127.0.0.1":
            client, clients = None, {}
        else:
            clients = {named: (lab.logged_in(named), lab.stranger(named))
                       for named in (True, False)}
            client = lab.stranger(True)
        lab.popgate.milter.kill()
        try:
            assert send(lab, shape, client, 25, OWN).code == 250
            for port, named in each(shape):
                if not clients:
                    continue
                for address in clients[named]:
                    reply = send(lab, shape, address, port, REMOTE)
                    assert reply.code == 451, (port, address, reply)
            if shape.auth:
                for port in shape.ports:
                    reply = send(lab, shape, clients[True][1], port, REMOTE,
                                 auth=True)
                    assert reply.code == (250 if shape.trusted else 451)
        finally:
            lab.popgate.start_milter()


def test_patch_is_the_same(lab):
    """patch(1) with what --diff prints gives what the commands give."""
    shape = next(s for s in SHAPES if s.name == "filters")
    lab.install(shape)
    diff = lab.wiring("--diff")
    lab.wire(shape)
    wired = lab.snapshot()
    lab.install(shape)
    if subprocess.run(["which", "patch"], capture_output=True).returncode:
        pytest.skip("patch(1) is not here")
    subprocess.run(["patch", "-s", "-p0", "-d", "/"], input=diff, text=True,
                   check=True)
    for path, text in lab.snapshot().items():
        if not path.endswith(".cf"):
            assert text == wired[path], path
