# SPDX-License-Identifier: ISC
"""The systemd units: both daemons under exactly their users, with what the
units, sysusers.d and tmpfiles.d make; who can do what with each file; what
they tell systemd; and how exposed systemd calls them.

No systemd runs here: users, directories and ExecStart lines are taken from
the files that are installed, and run by setpriv(1).
"""
import grp
import os
import pathlib
import pwd
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import time

import pytest

from lab import namespace
from lab.box import confined
from lab.popgate import as_owner
from lab.process import PATIENCE, Failure, Process, need, tail, wait_for
from lab.site import BUILD, TOP, NamespaceSite

SYSTEMD = TOP / "etc/systemd"
CONFIG = """\
milter:    { group = "postfix"; };
permit:    { policy = "unix:/run/popgate/policy.sock"; };
relay:     { local_domains = [ "lab.test" ];
             never_authorize = [ "127.0.0.0/8" ]; };
collector: { sources = ( { file = "/var/log/mail.log"; } ); };
"""
LINE = ("%s mail dovecot: imap-login: Login: user=<alice>, method=PLAIN, "
        "rip=%s, lip=192.0.2.25, mpid=1, session=<x>\n")


class Unit:
    """A service file, as far as it can be obeyed without systemd."""

    def __init__(self, site, name):
        self.name = name
        text = (SYSTEMD / f"{name}.service").read_text()
        text = text.replace("\\\n", " ").replace("@SBIN@", str(BUILD))
        self.settings = {}
        for key, value in re.findall(r"^(\w+)=(.*)$", text, re.M):
            self.settings.setdefault(key, []).append(value)
        # as many messages may wait as systemd lets: else a daemon does
        pathlib.Path("/proc/sys/net/unix/max_dgram_qlen").write_text("512")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = f"/run/{name}.notify"
        pathlib.Path(path).unlink(missing_ok=True)
        self.notify.bind(path)
        os.chmod(path, 0o666)
        self.notify.setblocking(False)
        self.said = []
        self.process = Process(
            name, as_user(self["User"], self["Group"]) +
            shlex.split(self["ExecStart"]), site.log,
            umask=int(self["UMask"], 8),
            env={**os.environ, "NOTIFY_SOCKET": path})

    def __getitem__(self, key):
        return self.settings[key][-1]

    def start(self):
        for line in self.settings.get("ExecStartPre", []):
            assert line[0] == "+"           # as root
            ignore = line[1] == "-"
            done = subprocess.run(
                shlex.split(line.lstrip("+-").replace(
                    "popgate.conf", "/run/lab/tmpfiles/popgate.conf")),
                stderr=subprocess.PIPE, text=True)
            assert ignore or done.returncode == 0, (line, done.stderr)
        self.process.start()
        self.wait_said("READY=1")

    def wait_said(self, what):
        """Until systemd would have been told."""
        def heard():
            try:
                while not any(what in words for words in self.said):
                    self.said.append(self.notify.recv(4096).decode())
                return True
            except BlockingIOError:
                return False

        # one that has ended may have said it at last
        wait_for(lambda: heard() or not self.process.running,
                 f"{what} of {self.name}")
        if not heard():
            raise Failure(f"{self.name} ended, and never said {what}:\n"
                          f"{tail(self.process.log)}")
        self.said.clear()

    def ask_reload(self, pid):
        """As the service's user; pid: as its own process table has it."""
        return subprocess.run(
            as_user(self["User"], self["Group"]) +
            shlex.split(self["ExecReload"].replace("$MAINPID", pid)),
            capture_output=True, text=True, timeout=60)

    def reload(self, pid):
        done = self.ask_reload(pid)
        assert done.returncode == 0, done
        self.wait_said("RELOADING=1")
        self.wait_said("READY=1")

    def stop(self):
        self.process.send(15)
        self.wait_said("STOPPING=1")
        if self.name == "popgate-milter":
            self.wait_said("EXTEND_TIMEOUT_USEC=30000000")
        assert self.process.stop(seconds=PATIENCE) == 0


def as_user(user, group, *more):
    """Words that run a command as systemd would: the user, this group, the
    groups the user is a member of; no capabilities, no new privileges."""
    who = pwd.getpwnam(user)
    gid = grp.getgrnam(group).gr_gid
    groups = {gid} | {g.gr_gid for g in grp.getgrall() if user in g.gr_mem}
    groups |= {grp.getgrnam(name).gr_gid for name in more}
    return [need("/usr/bin/setpriv", "util-linux"), "--reuid",
            str(who.pw_uid), "--regid", str(gid), "--groups",
            ",".join(map(str, sorted(groups))), "--bounding-set=-all",
            "--inh-caps=-all", "--no-new-privs"]


class Lab:
    def __init__(self):
        self.site = NamespaceSite()
        try:
            self.furnish()
        except BaseException:
            self.site.close()
            raise

    def furnish(self):
        """Users and directories as the packages' files make them, on a
        machine that has none of them."""
        for name in ("passwd", "group"):
            path = pathlib.Path("/etc", name)
            path.write_text(re.sub(r"(?m)^popgate(-collector)?:.*\n|"
                                   r",popgate-collector", "",
                                   path.read_text()))
        for name in ("shadow", "gshadow"):
            path = pathlib.Path("/etc", name)
            if path.exists():
                path.write_text(re.sub(r"(?m)^popgate(-collector)?:.*\n", "",
                                       path.read_text()))
        namespace.mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755")
        namespace.mount("tmpfs", "/var/log", "tmpfs", 0, "mode=0755")
        self.site.sockets.rmdir()           # tmpfiles makes it
        subprocess.run(["systemd-sysusers", SYSTEMD / "popgate.sysusers"],
                       check=True)
        tmpfiles = pathlib.Path("/run/lab/tmpfiles")
        tmpfiles.mkdir()
        (tmpfiles / "popgate.conf").write_text(
            (SYSTEMD / "popgate.tmpfiles").read_text())
        etc = pathlib.Path("/etc/popgate")
        etc.mkdir(mode=0o755)
        self.config = etc / "popgate.conf"
        self.config.write_text(CONFIG)
        self.log = pathlib.Path("/var/log/mail.log")
        self.log.touch()
        os.chown(self.log, 0, grp.getgrnam("adm").gr_gid)
        self.log.chmod(0o640)
        self.collector = Unit(self.site, "popgate-collector")
        self.milter = Unit(self.site, "popgate-milter")

    def close(self):
        self.site.close()

    def start(self):
        self.collector.start()
        self.milter.start()

    def login(self, client):
        with open(self.log, "a") as log:
            log.write(LINE % (time.strftime("%b %e %H:%M:%S"), client))

    def ask(self, client):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect("/run/popgate/policy.sock")
            s.sendall(b"request=smtpd_access_policy\nprotocol_state=RCPT\n"
                      b"client_address=%s\nrecipient=x@y.test\n\n" %
                      client.encode())
            return s.recv(2000).decode()

    def ctl(self, *words, code=0, who=()):
        done = subprocess.run([*who, BUILD / "popgatectl", *words],
                              capture_output=True, text=True, timeout=60)
        assert code in (None, done.returncode), done
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def units(keep):
    """Started: no test waits for what another has begun."""
    lab = Lab()
    try:
        lab.start()
    except BaseException:
        lab.close()
        raise
    yield from keep(lab)


def test_story(units):
    """A login, a relay; as in the README, under the units."""
    assert "action=550" in units.ask("203.0.113.5")
    units.login("203.0.113.5")
    wait_for(lambda: "action=OK" in units.ask("203.0.113.5"),
             "the login to count")
    assert "203.0.113.5" in units.ctl("list")
    text = units.ctl("status")
    assert re.search("OK +popgate-milter: running", text)
    assert re.search("OK +popgate-collector: pid", text)
    # Postfix's smtpd may connect, whoever it is in whatever group otherwise
    for name, group, mode in (("milter", "postfix", 0o660),
                              ("policy", "postfix", 0o660),
                              ("status", "popgate", 0o660)):
        st = os.stat(f"/run/popgate/{name}.sock")
        assert grp.getgrgid(st.st_gid).gr_name == group, name
        assert st.st_mode & 0o777 == mode
    st = os.stat("/run/popgate-collector/status.sock")
    assert grp.getgrgid(st.st_gid).gr_name == "popgate"


def test_who_may_what(units):
    """Least access, by the files alone; the sandbox comes on top."""
    daemons = {"milter": as_user("popgate", "popgate"),
               "collector": as_user("popgate-collector",
                                    "popgate-collector"),
               "admin": as_user("alice", "alice", "popgate"),
               "other": as_user("alice", "alice"),
               "MTA": as_user("alice", "alice", "postfix")}
    names = [f"{db}.db{end}" for db in ("logins", "audit")
             for end in ("", "-wal", "-shm")]
    for name in names:
        assert os.path.exists(f"/var/lib/popgate/{name}"), name

    def can(who, flag, name):
        return subprocess.run([*daemons[who], "test", flag,
                               f"/var/lib/popgate/{name}"]).returncode == 0

    got = {(who, name, flag): can(who, flag, name)
           for who in daemons for name in names for flag in ("-r", "-w")}
    want = {(who, name, flag):
            (who == "milter" and (name.startswith("audit") or flag == "-r"))
            or (who == "collector" and name.startswith("logins"))
            or (who == "admin" and flag == "-r")
            for who in daemons for name in names for flag in ("-r", "-w")}
    assert got == want
    # nor can the milter put another table in its place
    for command in ("rm -f /var/lib/popgate/logins.db",
                    "mv /var/lib/popgate/logins.db /var/lib/popgate/x",
                    "cp /dev/null /var/lib/popgate/logins.db",
                    "touch /run/popgate-collector/x"):
        assert subprocess.run([*daemons["milter"], "sh", "-c", command],
                              capture_output=True).returncode != 0, command
    call = ("/usr/bin/python3 -c 'import socket; socket.socket("
            "socket.AF_UNIX).connect(\"/run/%s.sock\")'")
    for command, may in (
            ("touch /run/popgate/x", {"milter"}),
            ("cat /var/lib/popgate/audit.db", {"milter", "admin"}),
            (call % "popgate/milter", {"milter", "MTA"}),
            (call % "popgate/policy", {"milter", "MTA"}),
            (call % "popgate/status", {"milter", "admin"}),
            (call % "popgate-collector/status",
             {"milter", "collector", "admin"}),
            ("rm /run/popgate/x", {"milter"})):
        did = {who for who in daemons if subprocess.run(
            [*daemons[who], "sh", "-c", command],
            capture_output=True).returncode == 0}
        assert did == may, command
    # the milter itself, through SQLite
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([*daemons["milter"], "/usr/bin/python3", "-c",
                        "import sqlite3; db = sqlite3.connect("
                        "'/var/lib/popgate/logins.db'); db.execute("
                        "\"INSERT INTO login VALUES ('203.0.113.66', 'e', "
                        "'imap', 'x', 1, 1, 9999999999, 1)\"); db.commit()"],
                       check=True, capture_output=True)
    assert "action=550" in units.ask("203.0.113.66")


def test_admin_without_root(units):
    """A member of group popgate reads everything, and writes nothing."""
    who = as_user("alice", "alice", "popgate")
    assert "203.0.113.5" in units.ctl("list", who=who)
    assert "recent-login" in units.ctl("decisions", who=who)
    text = units.ctl("status", who=who)
    assert "running, pid" in text and "CRITICAL" not in text
    units.ctl("add", "203.0.113.77", who=who, code=77)
    nobody = as_user("alice", "alice")
    assert units.ctl("list", who=nobody, code=77)
    # root writes, and the daemons go on with the files
    units.ctl("add", "203.0.113.77", "--for", "10m")
    wait_for(lambda: "action=OK" in units.ask("203.0.113.77"), "the entry")
    units.ctl("delete", "203.0.113.77")
    assert "action=550" in units.ask("203.0.113.77")


def test_a_monitor_is_told(units):
    """A monitor that may ask is told what the milter's user can't do; one that
    may not ask is not told that all is well."""
    logins = pathlib.Path("/var/lib/popgate/logins.db")
    monitor = as_user("alice", "alice", "popgate")
    mode = logins.stat().st_mode & 0o777

    def health():
        return units.ctl("health", who=monitor, code=None)

    # the milter looks at the file every 10 ms
    logins.chmod(0o600)
    try:
        wait_for(lambda: "popgate-milter can't read it" in health(), health)
        units.ctl("health", who=monitor, code=2)
    finally:
        logins.chmod(mode)
    wait_for(lambda: "can't read it" not in health(), health)
    assert "CRITICAL" not in health()
    text = units.ctl("status", who=as_user("alice", "alice"))
    assert "UNKNOWN   popgate-milter: " in text
    assert "UNKNOWN   popgate-collector: " in text


def test_reload_and_status_text(units):
    for unit in (units.collector, units.milter):
        unit.reload(re.search(rf"{unit.name}: .*?pid (\d+)",
                              units.ctl("status"))[1])
        unit.wait_said("STATUS=")
        unit.wait_said("WATCHDOG=1")    # before half of the time is over
        assert unit["Type"] == "notify" and "WatchdogSec" in unit.settings
    text = units.ctl("reload")
    assert len(re.findall(r": in force", text)) == 2


def test_failed_reload(units):
    """A bad file is a failed reload with its reason, and changes nothing."""
    for unit in (units.collector, units.milter):
        pid = re.search(rf"{unit.name}: .*?pid (\d+)",
                        units.ctl("status"))[1]
        units.config.write_text(CONFIG + "nonsense = 1;\n")
        done = unit.ask_reload(pid)
        assert done.returncode == 78, done
        assert re.search(r"popgate\.conf:\d+: .*nonsense", done.stderr), done
        # no answer from the status socket that the new file names
        units.config.write_text(
            CONFIG.replace('{ group = "postfix"', '{ status = ""; group = '
                           '"postfix"') + "\n")
        if unit is units.milter:
            done = unit.ask_reload(pid)
            assert done.returncode == 0 and "told" in done.stdout, done
            unit.wait_said("RELOADING=1")
            unit.wait_said("READY=1")
        units.config.write_text(CONFIG)
        unit.reload(pid)
    units.ctl("reload", "popgate", code=64)
    units.ctl("reload", "popgate-milter", "none", code=64)
    units.ctl("reload", "popgate-milter")


@pytest.mark.parametrize("order", ["collector first", "milter first"])
def test_restart(units, order):
    """In both orders, with the write-ahead logs there and removed."""
    pair = [units.collector, units.milter]
    if order == "milter first":
        pair.reverse()
    for wipe in (False, True):
        for unit in pair:
            unit.stop()
        if wipe:
            # what a careless sqlite3 leaves behind
            for name in ("logins", "audit"):
                with as_owner(pathlib.Path(
                        f"/var/lib/popgate/{name}.db")) as path:
                    db = sqlite3.connect(path)
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    db.close()
        for unit in pair:
            unit.start()
        client = f"203.0.113.{100 + pair.index(units.milter) * 2 + wipe}"
        assert "action=OK" not in units.ask(client)
        units.login(client)
        wait_for(lambda: "action=OK" in units.ask(client), "the login")
    test_who_may_what(units)


@pytest.mark.parametrize("name", ["popgate-milter", "popgate-collector"])
def test_exposure(tmp_path, name):
    """systemd's own count; 10 is no sandbox at all."""
    unit = tmp_path / f"{name}.service"
    unit.write_text((SYSTEMD / unit.name).read_text().replace(
        "@SBIN@", str(BUILD)))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=19",
         "--no-pager", unit], capture_output=True, text=True)
    level = re.search(r"Overall exposure level for \S+: (\d+\.\d)",
                      done.stdout)
    assert level and float(level[1]) < 2.0, done.stdout + done.stderr
    assert done.returncode == 0
    unit.write_text("[Service]\nExecStart=/bin/true\n")    # it can say no
    assert subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=19",
         "--no-pager", unit], capture_output=True).returncode != 0


def test_filter_of_the_tests():
    """The program that runs the daemons in all tests kills one that leaves the
    unit's filter."""
    done = subprocess.run(confined(BUILD / "popgate-collector")[:2] + [
        "/usr/sbin/chroot", "/", "/bin/true"], capture_output=True)
    assert done.returncode == -signal.SIGSYS


def test_drain_fits_into_the_stop():
    unit = (SYSTEMD / "popgate-milter.service").read_text()
    stop = int(re.search(r"^TimeoutStopSec=(\d+)s$", unit, re.M)[1])
    config = (TOP / "etc/popgate.conf").read_text()
    drain = int(re.search(r'drain_timeout = "(\d+)s"', config)[1])
    assert drain + 10 <= stop
