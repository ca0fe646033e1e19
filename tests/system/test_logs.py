# SPDX-License-Identifier: ISC
"""Login lines of other servers, and what happens to log files."""
import os
import pathlib
import pwd
import signal

import pytest

from lab import client
from lab.courier import Courier
from lab.dovecot import Dovecot
from lab.popgate import Popgate
from lab.process import wait_for
from lab.rsyslog import Rsyslog
from lab.site import PASSWORD, NamespaceSite


class LoginLab:
    """A POP and IMAP server, rsyslog and the collector; no MTA."""

    def __init__(self, server, stamps, collector="", log="mail.log"):
        self.site = NamespaceSite(*getattr(server, "packages", ()))
        try:
            self.rsyslog = Rsyslog(self.site, stamps).start()
            self.server = server(self.site).start()
            self.popgate = Popgate(self.site, ["lab.test"])
            self.popgate.settings["collector_user"] += collector
            self.popgate.settings["sources"] = \
                f'{{ file = "{self.site.log / log}"; }}'
            self.popgate.configure()
            self.popgate.start_collector()
        except BaseException:
            self.site.close()
            raise

    def close(self):
        self.site.close()

    def login(self, address, user="alice", password=PASSWORD, protocol="imap"):
        site, six = self.site, ":" in address
        if protocol == "pop3":
            return client.pop3_login(site.pop3_6 if six else site.pop3,
                                     address, user, password)
        return client.imap_login(site.imap6 if six else site.imap,
                                 address, user, password)

    def events(self, address):
        return self.popgate.query(
            "logins.db", "SELECT * FROM login_event WHERE client = ?",
            (address,))


@pytest.fixture(scope="class", params=["traditional", "rfc3339"])
def lab(request, keep):
    yield from keep(LoginLab(request.cls.server, request.param))


class TestCourier:
    server = Courier

    @pytest.mark.parametrize("protocol", ["pop3", "imap"])
    @pytest.mark.parametrize("address", ["203.0.113.21", "2001:db8:1::21"])
    def test_login(self, lab, protocol, address):
        user = {"pop3": "alice", "imap": "bob"}[protocol]
        assert lab.login(address, user, protocol=protocol)
        row, = lab.popgate.wait_login(address, user)
        assert row["server"] == "courier"
        assert row["service"] == protocol
        assert "LOGIN, user=" in lab.events(address)[0]["line"]

    def test_failed_login(self, lab):
        """Names that look like a login from elsewhere, and their failure."""
        for name in ("mallory", "a, ip=[::ffff:203.0.113.66], port=[1]",
                     "x, ip=[203.0.113.66]"):
            assert not lab.login("203.0.113.22", name, "wrong")
        assert lab.login("203.0.113.23")
        lab.popgate.wait_login("203.0.113.23")
        clients = {row["client"] for row in lab.popgate.logins()}
        assert not clients & {"203.0.113.22", "203.0.113.66"}


class InstalledCourier(Courier):
    """As on a machine that has, or had, Courier."""

    def __init__(self, site):
        etc = pathlib.Path("/etc/courier")
        assert site.private
        etc.mkdir(exist_ok=True)
        (etc / "authdaemonrc").write_text("authmodulelist=nonsense\n")
        (etc / "userdb.dat").write_text("nonsense")
        super().__init__(site)


class TestInstalledCourier:
    server = InstalledCourier

    def test_login(self, lab):
        assert lab.login("203.0.113.21", "bob")
        lab.popgate.wait_login("203.0.113.21", "bob")


class TestDovecot:
    server = Dovecot

    def test_failed_login(self, lab):
        for name in ("mallory", "a>, method=PLAIN, rip=203.0.113.66, lip=1",
                     "x, rip=203.0.113.66"):
            assert not lab.login("203.0.113.22", name, "wrong")
        assert lab.login("203.0.113.23")
        lab.popgate.wait_login("203.0.113.23")
        clients = {row["client"] for row in lab.popgate.logins()}
        assert not clients & {"203.0.113.22", "203.0.113.66"}

    def test_rotation_by_rename(self, lab):
        """logrotate renames the file, rsyslog writes on to the old one until
        it is told; no login is lost, none counts twice."""
        assert lab.login("203.0.113.31")
        lab.popgate.wait_login("203.0.113.31")
        lab.rsyslog.rename(".1")
        assert lab.login("203.0.113.32")        # goes to mail.log.1
        lab.rsyslog.reopen()
        assert lab.login("203.0.113.33")
        for address in ("203.0.113.31", "203.0.113.32", "203.0.113.33"):
            lab.popgate.wait_login(address)
        events = {address: len(lab.events(address))
                  for address in ("203.0.113.31", "203.0.113.32",
                                  "203.0.113.33")}
        assert set(events.values()) == {1}, events

    def test_rotation_while_collector_is_down(self, lab):
        """Lines that came meanwhile are read from the renamed file."""
        assert lab.login("203.0.113.41")
        lab.popgate.wait_login("203.0.113.41")
        lab.popgate.collector.kill()
        assert lab.login("203.0.113.42")
        lab.rsyslog.rename(".2")
        lab.rsyslog.reopen()
        assert lab.login("203.0.113.43")
        lab.popgate.start_collector()
        for address in ("203.0.113.41", "203.0.113.42", "203.0.113.43"):
            lab.popgate.wait_login(address)
            assert len(lab.events(address)) == 1, address

    def test_killed_collector_counts_each_line_once(self, lab):
        for host in range(50, 60):
            assert lab.login(f"203.0.113.{host}")
            if host % 3 == 0:
                lab.popgate.collector.kill()
                lab.popgate.start_collector()
        for host in range(50, 60):
            lab.popgate.wait_login(f"203.0.113.{host}")
            assert len(lab.events(f"203.0.113.{host}")) == 1


ODD = "a b $(kill 0) ; & `x` * <y>, rip=203.0.113.66"


class PostLoginLab:
    """Dovecot tells the collector itself; nobody reads a log."""

    def __init__(self):
        self.site = NamespaceSite()
        try:
            self.directory = self.site.root / "told"
            self.directory.mkdir()
            os.chown(self.directory,
                     pwd.getpwnam("popgate-collector").pw_uid, -1)
            self.socket = self.directory / "login.sock"
            self.popgate = Popgate(self.site, ["lab.test"])
            self.configure('login_users = [ "dovecot" ];')
            self.popgate.start_collector()
            self.server = Dovecot(
                self.site, log_file=self.site.log / "dovecot.log",
                post_login=self.socket, users=("alice", "bob", ODD)).start()
        except BaseException:
            self.site.close()
            raise

    def configure(self, collector):
        user = self.popgate.settings["collector_user"]
        self.popgate.configure(sources=f'{{ login = "{self.socket}"; }}',
                               collector_user=f"{user} {collector}")

    close = LoginLab.close
    login = LoginLab.login
    events = LoginLab.events


class TestPostLogin:
    """The sample script in the real Dovecot: it tells the collector, and it
    lets the user in whatever becomes of that."""

    @pytest.fixture(scope="class")
    def lab(self, keep):
        yield from keep(PostLoginLab())

    @pytest.mark.parametrize("protocol", ["pop3", "imap"])
    @pytest.mark.parametrize("address", ["203.0.113.21", "2001:db8:1::21"])
    def test_login(self, lab, protocol, address):
        user = {"pop3": "alice", "imap": "bob"}[protocol]
        assert lab.login(address, user, protocol=protocol)
        row, = lab.popgate.wait_login(address, user)
        assert (row["server"], row["service"]) == ("dovecot", protocol)
        event, = [e for e in lab.events(address) if e["user"] == user]
        assert event["source"] == f"login:{lab.socket}"
        assert event["line"].startswith(
            f"post-login: user=<{user}>, client={address}, "
            f"service={protocol}, server=dovecot, told by uid "
            f"{pwd.getpwnam('dovecot').pw_uid} pid ")

    def test_hostile_names(self, lab):
        for name in ("mallory", ODD + "x", "$(id)"):
            assert not lab.login("203.0.113.22", name, "wrong")
        # a name made to break a script, with the right password
        assert lab.login("203.0.113.23", ODD)
        row, = lab.popgate.wait_login("203.0.113.23")
        assert row["user"] == ODD
        clients = {row["client"] for row in lab.popgate.logins()}
        assert not clients & {"203.0.113.22", "203.0.113.66"}

    def test_no_collector(self, lab):
        """Users get their mail all the same."""
        lab.popgate.collector.send(signal.SIGSTOP)
        for protocol in ("imap", "pop3"):
            assert lab.login("203.0.113.24", protocol=protocol)
        lab.popgate.collector.send(signal.SIGCONT)
        # it was asleep: what it was told is still in the queue
        lab.popgate.wait_login("203.0.113.24")
        lab.popgate.collector.kill()
        for protocol in ("imap", "pop3"):
            assert lab.login("203.0.113.25", protocol=protocol)
        # the socket of the dead one is taken over
        lab.popgate.start_collector()
        assert lab.login("203.0.113.26")
        lab.popgate.wait_login("203.0.113.26")

    def test_not_allowed(self, lab):
        lab.configure("")
        lab.popgate.collector.stop()
        lab.popgate.start_collector()
        assert lab.login("203.0.113.27")
        log = lab.site.log / "dovecot.log"
        wait_for(lambda: "not in collector.login_users" in log.read_text(),
                 "the warning")
        assert not lab.events("203.0.113.27")
