# SPDX-License-Identifier: ISC
"""A real Postfix and a real popgate: what status, health and the doctor say of
the wiring is what happens to mail."""
import dataclasses
import json
import os
import pathlib
import pwd
import re
import shutil
import smtplib
import socket
import subprocess
import sys

import pytest

import doctor_cases
from lab.box import COLLECTOR, CTL, MILTER
from lab.postfix import SERVICES
from lab.process import Process, need, unprivileged, wait_for
from lab.site import TOP, NamespaceSite

CLIENT, STRANGER = "203.0.113.5", "203.0.113.9"
ETC = pathlib.Path("/etc/postfix")
MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {root}/maillog
maillog_file_prefixes = {root}
import_environment = MAIL_CONFIG
myhostname = mx.ours.test
mydestination = ours.test
local_recipient_maps =
alias_maps =
mynetworks = 127.0.0.0/8
smtp_host_lookup = native
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_client_connection_rate_limit = 0
"""
# as Debian has it: chrooted
MASTER = "smtp inet n - y - - smtpd\n" + SERVICES


class Server:
    """Postfix in /etc/postfix, popgate in /run/popgate, of a name space."""

    def __init__(self):
        self.site = NamespaceSite()
        self.processes = []
        self.root = self.site.root
        self.conf = self.root / "popgate.conf"
        for name in ("queue", "data", "db"):
            (self.root / name).mkdir()
        self.root.chmod(0o755)
        postfix = pwd.getpwnam("postfix")
        os.chown(self.root / "data", postfix.pw_uid, postfix.pw_gid)
        ETC.mkdir(exist_ok=True)
        self.wire("")
        self.sockets("/run/popgate")

    def sockets(self, directory):
        """popgate.conf, and the sockets' directory as the unit makes it."""
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(exist_ok=True, parents=True)
        self.directory.chmod(0o2755)
        os.chown(self.directory, 0, pwd.getpwnam("postfix").pw_gid)
        self.conf.write_text(f"""
logins: {{ database = "{self.root}/db/logins.db"; }};
audit: {{ database = "{self.root}/db/audit.db"; }};
milter: {{ user = "root"; group = "postfix";
          listen = "unix:{directory}/milter.sock";
          status = "unix:{self.root}/milter-status.sock"; }};
permit: {{ policy = "unix:{directory}/policy.sock"; }};
relay: {{ local_domains = [ "ours.test" ]; }};
collector: {{ user = "root"; sources = ( {{ file = "{self.root}/mail.log"; }} );
             status = "unix:{self.root}/collector-status.sock"; }};
""")

    def wire(self, text, master=MASTER):
        (ETC / "main.cf").write_text(MAIN.format(root=self.root) + text)
        (ETC / "master.cf").write_text(master)

    def popgate(self):
        (self.root / "mail.log").touch()
        collector = Process("collector", [COLLECTOR, "-c", self.conf],
                            self.root).start()
        self.processes.append(collector)
        collector.ready((self.root / "db/logins.db").exists, "its table")
        milter = Process("milter", [MILTER, "-c", self.conf], self.root)
        self.processes.append(milter.start())
        milter.accepts(self.directory / "policy.sock")
        wait_for(lambda: 0 <= json.loads(self.ctl(
            "status", "--json").stdout)["lag_s"] < 60, "the log to be read")
        return milter

    def postfix(self):
        process = Process("postfix", [need("/usr/sbin/postfix", "postfix"),
                                      "start-fg"], self.root)
        self.processes.append(process.start())
        process.accepts((self.site.address4, 25))
        return process

    def reload(self):
        subprocess.run(["/usr/sbin/postfix", "reload"], check=True,
                       capture_output=True)

    def ctl(self, *args, **how):
        return subprocess.run([CTL, "-c", self.conf, *args],
                              capture_output=True, text=True, timeout=120,
                              **how)

    def health(self, code, **how):
        done = self.ctl("health", **how)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def checks(self):
        """The words of status about the mail server: {level: [words]}."""
        found = {}
        for check in json.loads(self.ctl("status", "--json").stdout)["checks"]:
            if check["what"] == "mail server" or \
                    check["what"].startswith("/etc/"):
                found.setdefault(check["state"], []).append(check["words"])
        return found

    def ask(self, client, to, port=25):
        """The reply to RCPT, or to what was refused before."""
        with smtplib.SMTP(timeout=120) as smtp:
            smtp.source_address = (client, 0)
            code, text = smtp.connect(self.site.address4, port)
            if code == 220:
                smtp.ehlo("client.test")
                code, text = smtp.mail("someone@ours.test")
            if code == 250:
                code, text = smtp.rcpt(to)
            return code, text.decode()

    def close(self):
        subprocess.run(["/usr/sbin/postfix", "stop"], capture_output=True)
        for process in reversed(self.processes):
            process.stop()
        self.site.close()


@pytest.fixture
def server():
    server = Server()
    try:
        yield server
    finally:
        server.close()


CLOSED = (TOP / "etc/postfix/closed.cf").read_text()


def test_story(server):
    """Not wired, wired in a chroot, mended, and the wiring lost again."""
    server.popgate()
    text = server.health(1)
    assert "Postfix (/etc/postfix) doesn't ask popgate, and nobody else" \
        in text and "popgatectl wiring" in text
    # pasted as the manual says, on a stock Debian
    server.wire(CLOSED)
    postfix = server.postfix()
    server.ctl("add", CLIENT)
    assert server.ask(CLIENT, "a@friend.test")[0] == 451
    assert server.ask(STRANGER, "a@friend.test")[0] == 451
    text = server.health(2)
    command = "postconf -c /etc/postfix -F smtp/inet/chroot=n"
    assert "runs in the chroot" in text and command in text
    assert command in server.ctl("status").stdout
    # what it says mends it
    subprocess.run(["sh", "-ec", command], check=True)
    server.reload()
    wait_for(lambda: server.ask(CLIENT, "a@friend.test")[0] == 250,
             "the client to relay")
    assert server.ask(STRANGER, "a@friend.test")[0] == 550
    found = server.checks()
    assert set(found) == {"OK"}, found
    assert re.search(r"popgate is wired; last asked: milter .*(now|ago), "
                     r"permit channel .*(now|ago)", found["OK"][0])
    server.health(0)
    # an upgrade writes main.cf anew
    server.wire("")
    server.reload()
    wait_for(lambda: "Relay access denied" in
             server.ask(CLIENT, "a@friend.test")[1], "the old wiring's end")
    text = server.health(2)
    assert "asks popgate no more: the configuration was changed" in text
    server.wire(CLOSED, MASTER.replace(" y ", " n ", 1))
    server.health(0)
    assert postfix.running


def test_another_one_asks(server):
    """A container's server, say: this machine's isn't the one that is meant."""
    server.popgate()
    for name in ("main.cf", "master.cf"):
        assert (ETC / name).exists()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(server.directory / "policy.sock"))
        s.sendall(b"request=smtpd_access_policy\nprotocol_state=RCPT\n"
                  b"client_address=203.0.113.9\nrecipient=a@x.test\n"
                  b"sender=s@x.test\n\n")
        assert s.recv(2000)
    # asked now, changed now: the wiring may be gone a moment ago
    assert "asks popgate no more" in server.health(2)
    row = "SELECT max(id) FROM channel_decision"
    wait_for(lambda: subprocess.run(
        ["sqlite3", server.root / "db/audit.db", row], capture_output=True,
        text=True).stdout.strip(), "a row")
    subprocess.run(["sqlite3", server.root / "db/audit.db",
                    "UPDATE channel_decision SET at = at + 400000"], check=True)
    assert "but another one does" in server.checks()["OK"][0]
    server.health(0)


# (chroot, how main.cf names the milter, does smtpd get there?) for a popgate
# that listens below the queue directory; {queue} is that
PATHS = [
    ("n", "unix:{queue}/popgate/milter.sock", True),
    ("y", "unix:{queue}/popgate/milter.sock", False),
    ("y", "unix:popgate/milter.sock", True),
    ("y", "unix:/popgate/milter.sock", True),
    ("n", "unix:popgate/milter.sock", True),
    ("n", "unix:/popgate/milter.sock", False),
    ("n", "local:popgate/milter.sock", True),
    ("n", "unix:absolute/milter.sock", True),
    ("y", "unix:absolute/milter.sock", False),
    ("y", "unix:relative/milter.sock", True),
    ("y", "unix:hard/other.sock", True),
    ("n", "unix:{root}/link/milter.sock", True),
    ("y", "unix:closed/popgate.sock", False),
    ("n", "unix:closed/popgate.sock", False),
]


def test_paths(server):
    """A path means what smtpd makes of it, in a chroot or not."""
    queue = server.root / "queue"
    server.sockets(queue / "popgate")
    server.popgate()
    (queue / "absolute").symlink_to(queue / "popgate")
    (queue / "relative").symlink_to("popgate")
    (server.root / "link").symlink_to(queue / "popgate")
    for name, mode in (("hard", 0o755), ("closed", 0o700)):
        (queue / name).mkdir()
        (queue / name).chmod(mode)
    os.link(queue / "popgate/milter.sock", queue / "hard/other.sock")
    os.link(queue / "popgate/milter.sock", queue / "closed/popgate.sock")
    master = MASTER
    for n, (chroot, name, _) in enumerate(PATHS):
        name = name.format(queue=queue, root=server.root)
        master += (f"{2500 + n} inet n - {chroot} - - smtpd\n"
                   f"    -o smtpd_milters={name}\n")
    server.wire("", master)
    server.postfix()
    done = server.ctl("doctor", "--mta", "postfix", "--config-dir", ETC,
                      "--json")
    named = {}
    for f in json.loads(done.stdout)["findings"]:
        found = re.match(r"Service (\d+)/inet (runs in the chroot|looks for|"
                         "may not connect)", f["detail"])
        if found:
            named[int(found[1]) - 2500] = f["id"]
            assert f["fix"]
    # Later releases of Postfix 3.10 greet with 421 when a milter isn't there.
    got = {n: server.ask(STRANGER, "a@ours.test", 2500 + n)[0] // 10
           for n in range(len(PATHS))}
    gone = got[1]
    assert gone in (42, 45)
    assert got == {n: 25 if reached else gone
                   for n, (_, _, reached) in enumerate(PATHS)}
    assert named == {
        1: "postfix-chroot-socket", 5: "postfix-socket-missing",
        8: "postfix-chroot-socket", 12: "postfix-socket-denied",
        13: "postfix-socket-denied"}
    # nobody but root may connect any more
    (queue / "popgate/milter.sock").chmod(0o600)
    assert server.ask(STRANGER, "a@ours.test", 2502)[0] // 10 == gone
    text = server.health(2)
    assert "Service 2502/inet may not connect to" in text
    assert "Service 2501/inet runs in the chroot" in text


def test_who_may_look(server):
    """A monitor learns what it may, and never that all is well when it can't
    look."""
    server.wire(CLOSED, MASTER.replace(" y ", " n ", 1))
    server.popgate()
    server.postfix()
    (server.root / "db").chmod(0o755)
    for path in (server.root / "db").iterdir():
        path.chmod(0o644)
    for name in ("milter", "collector"):
        os.chown(server.root / f"{name}-status.sock", 0, 64901)
    group = unprivileged(CTL, [64901])
    text = server.health(0, **group)
    assert "POPGATE OK" in text
    assert "Permission" not in server.ctl("status", **group).stdout
    # in no group: the daemons can't be asked
    nobody = unprivileged(CTL)
    text = server.health(3, **nobody)
    assert "POPGATE UNKNOWN" in text and "Permission denied" in text
    # nor the mail server, or a database
    (ETC / "main.cf").chmod(0o600)
    assert "POPGATE UNKNOWN" in server.health(3, **group)
    (ETC / "main.cf").chmod(0o644)
    (server.root / "db/audit.db").chmod(0o600)
    assert "may not read the record" in server.health(3, **group)
    (server.root / "db/audit.db").chmod(0o644)
    # what is wrong is worse than what can't be seen
    server.processes[0].stop()
    assert "POPGATE CRITICAL" in server.health(2, **nobody)


# The milter's own page, as if it had run for an hour and nobody had asked. A
# program, since a process in a new process table can't have threads.
OLD_HEALTH = r"""
import re, socket, sys, time
real_path, path = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
while True:
    client, _ = listener.accept()
    with client, socket.socket(socket.AF_UNIX) as real:
        real.connect(real_path)
        request = client.recv(1000)
        if not request:
            continue
        real.sendall(request)
        text = b"".join(iter(lambda: real.recv(65536), b""))
        text = re.sub(rb'("started_at":\s*)\d+',
                      rb"\g<1>%d" % (time.time() - 3600), text)
        text = re.sub(rb'("\w+_asked_at":\s*)\d+', rb"\g<1>0", text)
        client.sendall(re.sub(rb"(?i)content-length: \d+\r\n", b"", text))
"""


def test_passed_by(server):
    """Wired as it seems, and clients come that popgate hears nothing of."""
    server.wire(CLOSED, MASTER.replace(" y ", " n ", 1))
    server.popgate()
    server.postfix()
    log = server.root / "maillog"
    old = server.root / "old-status.sock"
    health = Process("health", [sys.executable, "-c", OLD_HEALTH,
                                server.root / "milter-status.sock", old],
                     server.root)
    server.processes.append(health.start())
    health.accepts(old)
    server.ask(CLIENT, "a@ours.test")
    wait_for(lambda: f"disconnect from unknown[{CLIENT}]" in log.read_text(),
             "a line")
    connected = [line for line in log.read_text().splitlines(keepends=True)
                 if " connect from " in line]
    # what comes from this machine may be a filter's
    conf = server.conf.read_text().replace("milter-status", "old-status")
    server.conf.write_text(conf)
    (server.root / "mail.log").write_text("".join(
        re.sub(r"from \S+", "from localhost[127.0.0.1]", line)
        for line in connected))
    assert "last asked: milter not since its start" in \
        server.checks()["OK"][0]
    (server.root / "mail.log").write_text("".join(connected))
    assert "but a client connected" in server.checks()["WARNING"][0]


MAIL = pathlib.Path("/etc/mail")


def test_sendmail(server):
    """Of a sendmail.cf: wired, without a filter on a listener, lost."""
    (ETC / "main.cf").unlink()
    shutil.rmtree(MAIL, ignore_errors=True)
    MAIL.mkdir()
    server.conf.write_text(server.conf.read_text().replace(
        "permit: {", f'permit: {{ socketmap = "{doctor_cases.SOCKETMAP}"; '))
    server.popgate()
    wired = doctor_cases.sendmail(
        "wired", "", after=f"include(`{TOP}/etc/sendmail/closed.m4')")

    def write(case):
        return doctor_cases.write_sendmail(case, MAIL).read_text()
    assert "popgate" in write(wired)
    assert "Sendmail (/etc/mail/sendmail.cf): popgate is wired" in \
        server.checks()["OK"][0]
    server.health(0)
    write(dataclasses.replace(wired, before="DAEMON_OPTIONS(`Name=MSA, "
                              "Port=587, InputMailFilters=')"))
    assert "not in the list of a listener" in server.health(1)
    text = write(wired)
    (MAIL / "sendmail.cf").write_text("".join(
        line for line in text.splitlines(keepends=True)
        if not line.startswith("Ksendmail ")))
    assert "There is no map of popgate's socket" in server.health(1)
    # open by itself: another wiring
    write(doctor_cases.sendmail(
        "sole", "", before=f"include(`{TOP}/etc/sendmail/sole-gate.m4')"))
    server.health(0)
    write(doctor_cases.sendmail("plain", ""))
    assert "Sendmail (/etc/mail/sendmail.cf) doesn't ask popgate" in \
        server.health(1)
