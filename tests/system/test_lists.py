# SPDX-License-Identifier: ISC
"""Lists that change under the milter: read again by itself, never in part,
and never lost without a line in the log."""
import os
import re
import socket
import subprocess
import time

import pytest

from lab.box import MILTER
from lab.daemons import Daemons
from lab.process import wait_for


class Lists(Daemons):
    """The milter alone, with its domains in files."""

    def begin(self, *domains):
        text = self.conf.read_text()
        self.conf.write_text(text.replace('[ "lab.test" ]', "[ %s ]" % (
            ", ".join(f'"{d}"' for d in domains))))
        self.start("milter")

    def ours(self, domain):
        """Is it?  A relay it is else, and refused."""
        answer = self.ask("203.0.113.9", f"x@{domain}")
        assert re.match(r"action=(DUNNO|[45]5[01] )", answer), answer
        return answer.startswith("action=DUNNO")

    def logged(self):
        return self.said(MILTER)

    def wait_logged(self, pattern):
        return wait_for(lambda: re.search(pattern, self.logged()),
                        f"{pattern} in the log")


@pytest.fixture
def lists(tmp_path):
    d = Lists(tmp_path)
    try:
        yield d
    finally:
        d.close()


def test_file(lists):
    path = lists.path / "domains"
    path.write_text("a.test\nb.test\n")
    lists.begin(f"file:{path}", "c.test")
    assert lists.ours("a.test") and not lists.ours("new.test")
    # a configuration that is half edited is no reason not to, nor taken
    good = lists.conf.read_text()
    lists.conf.write_text("relay: { local_domains = [ ];")
    path.write_text("a.test\nnew.test\n")
    wait_for(lambda: lists.ours("new.test"), "the new domain")
    lists.wait_logged(r"relay.local_domains: \S*/domains has changed: 3 "
                      r"entries, 1 more, 1 less: b\.test")
    assert lists.ours("a.test") and lists.ours("c.test")
    assert not lists.ours("b.test")
    lists.conf.write_text(good)

    # what can't be read changes nothing, and is said once
    path.write_text("a.test\nnew.test oops\n")
    lists.wait_logged(r"has changed: \S*\.conf:\d+: relay.local_domains: \S*/domains:2: expected one domain a "
                      "line; the old list stays")
    assert lists.ours("new.test")
    path.rename(lists.path / "away")
    lists.wait_logged("/domains is gone: the list as it was read from it "
                      "stays")
    time.sleep(5)
    assert len(re.findall("is gone", lists.logged())) == 1
    assert len(re.findall("old list stays", lists.logged())) == 1
    assert lists.ours("new.test") and lists.ours("a.test")
    path.write_text("")
    lists.wait_logged("/domains has become empty: the list as it was read "
                      "from it stays")
    assert lists.ours("new.test") and lists.ours("a.test")
    # it is ours again whatever it was before
    path.write_text("last.test\n")
    wait_for(lambda: lists.ours("last.test"), "the last domain")
    assert not lists.ours("new.test") and lists.ours("c.test")
    # an empty one that is meant is taken when the admin says so
    path.write_text("")
    lists.start("collector")
    lists.ctl("reload")
    assert not lists.ours("last.test") and lists.ours("c.test")


def test_written_slowly(lists):
    """No moment at which a domain that stays on the list is a relay."""
    path = lists.path / "domains"
    path.write_text("first.test\nlast.test\n")
    lists.begin(f"file:{path}")
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(lists.path / "policy.sock"))

        def ours(domain):
            s.sendall(b"request=smtpd_access_policy\nprotocol_state=RCPT\n"
                      b"client_address=203.0.113.9\nrecipient=x@%s\n\n" %
                      domain.encode())
            return s.recv(2000).startswith(b"action=DUNNO")

        for _ in range(3):
            # in place, a piece a second: 4 s in which it is incomplete
            with open(path, "w") as out:
                for piece in ("first.test\n", "mid", "dle.test\n",
                              "last.test\n"):
                    out.write(piece)
                    out.flush()
                    end = time.monotonic() + 1
                    while time.monotonic() < end:
                        assert ours("first.test") and ours("last.test")
                        assert not ours("mid")
                        time.sleep(0.01)
        wait_for(lambda: ours("middle.test"), "the new domain")
        assert not ours("mid") and "less" not in re.sub(
            "0 less", "", lists.logged())


def test_postfix(lists):
    """main.cf, and a table that postmap(1) writes in place."""
    etc = lists.path / "postfix"
    etc.mkdir()
    (etc / "master.cf").touch()
    table = etc / "virtual"

    def configure(destination):
        (etc / "main.cf").write_text(
            "compatibility_level = 3.6\nmyhostname = mail.lab.test\n"
            f"mydestination = {destination}\nrelay_domains =\n"
            f"virtual_mailbox_domains = hash:{table}\n")

    def postmap(*domains):
        table.write_text("".join(f"{d} x\n" for d in domains))
        subprocess.run(["postmap", "-c", etc, f"hash:{table}"], check=True)

    configure("one.test")
    postmap("v1.test")
    lists.begin(f"postfix:{etc}")
    assert lists.ours("one.test") and lists.ours("v1.test")
    postmap("v1.test", "v2.test")
    wait_for(lambda: lists.ours("v2.test"), "the table's new domain")
    configure("one.test, two.test")
    wait_for(lambda: lists.ours("two.test"), "main.cf's new domain")
    assert lists.ours("v1.test") and lists.ours("one.test")
    # a list that can't be read opens nothing, and stops no mail of ours
    configure("one.test, pcre:/nonexistent")
    lists.wait_logged("can't be read: .*temporary failure")
    os.unlink(f"{table}.db")
    lists.wait_logged(r"virtual(\.db)? is gone|the old list stays.*\n.*gone")
    for domain in ("one.test", "two.test", "v1.test", "v2.test"):
        assert lists.ours(domain)


def test_senders(lists):
    """The other list: whose login opens the gate for which senders."""
    path = lists.path / "senders"
    path.write_text("alice: a@lab.test\n")
    lists.conf.write_text(lists.conf.read_text().replace(
        "relay: {", 'relay: { sender_binding = "address"; '
        f'sender_addresses = [ "file:{path}" ];'))
    lists.start("collector")
    lists.start("milter")
    lists.login("203.0.113.5")

    def ask(sender):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(lists.path / "policy.sock"))
            s.sendall(b"request=smtpd_access_policy\nprotocol_state=RCPT\n"
                      b"client_address=203.0.113.5\nrecipient=x@y.test\n"
                      b"sender=%s\n\n" % sender.encode())
            return s.recv(2000).startswith(b"action=OK")

    wait_for(lambda: ask("a@lab.test"), "the login")
    assert not ask("b@lab.test")
    path.write_text("alice: a@lab.test, b@lab.test\n")
    wait_for(lambda: ask("b@lab.test"), "the new address")
    path.write_text("alice: b@lab.test\n")
    wait_for(lambda: not ask("a@lab.test"), "its end")
    assert ask("b@lab.test")
