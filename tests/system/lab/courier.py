# SPDX-License-Identifier: ISC
"""Courier's POP3 and IMAP servers, from packages unpacked in build/courier
(they can't be installed beside Dovecot); wants a private /usr and /etc."""
import pathlib
import shutil
import subprocess

from .process import Process, need
from .site import BUILD, PASSWORD, USERS

AUTHDAEMONRC = """\
authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons=2
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
LOGGEROPTS=""
"""

SERVERS = {"pop3d": ("pop3", ["courierpop3login", "courierpop3d"]),
           "imapd": ("imap", ["imaplogin", "/usr/bin/imapd"])}


class Courier:
    packages = ("courier",)

    def __init__(self, site):
        self.site = site
        etc = pathlib.Path("/etc/courier")
        # in a private /etc, or a Courier that is installed would be harmed
        assert site.private
        shutil.rmtree(etc, ignore_errors=True)
        shutil.copytree(BUILD / "courier/etc/courier", etc)
        (etc / "authdaemonrc").write_text(AUTHDAEMONRC)
        pathlib.Path("/run/courier/authdaemon").mkdir(parents=True,
                                                      exist_ok=True)
        site.make("courier")
        users = []
        for user in USERS:
            home = site.root / "courier" / user
            home.mkdir()
            subprocess.run(["/usr/bin/maildirmake.courier", home / "Maildir"],
                           check=True)
            subprocess.run(["chown", "-R", "vmail:vmail", home], check=True)
            secret = subprocess.run(
                ["openssl", "passwd", "-1", PASSWORD], check=True, text=True,
                capture_output=True).stdout.strip()
            users.append(f"{user}\tuid=64903|gid=64903|home={home}|"
                         f"systempw={secret}\n")
        userdb = etc / "userdb"
        userdb.write_text("".join(users))
        userdb.chmod(0o600)
        subprocess.run([need("/usr/sbin/makeuserdb", "build/courier")],
                       check=True)
        self.auth = Process("authdaemond", [
            "/bin/sh", "-c",
            "/usr/lib/courier/courier-authlib/authdaemond 2>&1 | "
            "/usr/sbin/courierlogger -name=authdaemond"], site.log)
        self.servers = [self.server(name) for name in SERVERS]

    def server(self, name):
        """As Debian's start script does it, but in the foreground."""
        service, (login, program) = SERVERS[name]
        port = getattr(self.site, service)[1]
        libexec = "/usr/lib/courier/courier"
        if not program.startswith("/"):
            program = f"{libexec}/{program}"
        return Process(f"courier-{name}", [
            "/bin/sh", "-c",
            f". /etc/courier/{name}; . /etc/courier/{name}-ssl; set -a; "
            f". /etc/courier/{name}; set +a; "
            f"exec /usr/sbin/couriertcpd -address=0 -maxprocs=20 "
            f"-maxperip=20 $TCPDOPTS "
            f"-stderrlogger=/usr/sbin/courierlogger -stderrloggername={name} "
            f"{port} {libexec}/{login} {program} Maildir"],
            self.site.log)

    def start(self):
        self.auth.start().accepts("/run/courier/authdaemon/socket")
        for process, service in zip(self.servers, ("pop3", "imap")):
            process.start().accepts(getattr(self.site, service))
        return self
