# SPDX-License-Identifier: ISC
"""A machine with Debian's stock Postfix, set up for Internet mail, as
popgatectl setup finds it: standard paths, chroot, no popgate yet."""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

from . import namespace
from .client import Smtp
from .proc import running
from .process import need, wait_for
from .site import BUILD, NamespaceSite

CTL = BUILD / "popgatectl"
JOURNAL = pathlib.Path("/var/lib/popgate-setup")
CONF = pathlib.Path("/etc/popgate/popgate.conf")

# as the package's postinst makes it of /usr/share/postfix/main.cf.debian
MAIN = """\
# See /usr/share/postfix/main.cf.dist for a commented, more complete version

smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no

# appending .domain is the MUA's job.
append_dot_mydomain = no
readme_directory = no

# See http://www.postfix.org/COMPATIBILITY_README.html -- default to 3.6 on
# fresh installs.
compatibility_level = 3.6

smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated \
defer_unauth_destination
myhostname = mail.lab.test
alias_maps =
alias_database =
mydestination = $myhostname, lab.test, localhost
relayhost =
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = all
inet_protocols = all
"""


def tree(*tops):
    """Every file below these directories: mode, owner, contents."""
    found = {}
    for top in tops:
        for path in sorted(pathlib.Path(top).rglob("*")):
            stat = path.lstat()
            found[str(path)] = (
                oct(stat.st_mode), stat.st_uid, stat.st_gid,
                hashlib.sha256(path.read_bytes()).hexdigest()
                if path.is_file() and not path.is_symlink() else None)
    return found


def relay(stock, client):
    """The answer to a client that wants to relay."""
    return stock.say("somebody@example.org", "friend@example.net", client)


def own(stock, client="203.0.113.9"):
    return stock.say("somebody@example.org", "root@lab.test", client)


def daemon(name):
    """The process of a daemon that setup has started, by the namespace's
    numbers; 0: there is none."""
    return next(iter(running(BUILD / name)), 0)


class Stock:
    """with_users: popgate's users are there; else setup has to make them."""

    def __init__(self, main="", with_users=False):
        self.site = NamespaceSite()
        try:
            self.furnish(main, with_users)
        except BaseException:
            self.close()
            raise

    def furnish(self, main, with_users):
        for path in ("/var/lib", "/var/spool", "/var/log", "/tmp"):
            namespace.cover(path, f"/run/cover{path}")
        pathlib.Path("/var/spool/postfix").mkdir(exist_ok=True)
        own = pathlib.Path("/var/lib/postfix")      # not there when unpacked
        own.mkdir(exist_ok=True)
        shutil.chown(own, "postfix", "postfix")
        if not with_users:
            for name in ("passwd", "group"):
                path = pathlib.Path("/etc", name)
                text = re.sub(r"(?m)^popgate.*\n", "", path.read_text())
                path.write_text(text.replace("popgate-collector,", ""))
        for path in ("/etc/popgate", JOURNAL, "/var/lib/popgate"):
            shutil.rmtree(path, ignore_errors=True)
        pathlib.Path("/etc/popgate").mkdir()
        self.site.sockets.rmdir()
        self.etc = pathlib.Path("/etc/postfix")
        (self.etc / "main.cf").write_text(MAIN + main)
        shutil.copy("/etc/postfix/master.cf.proto", "/etc/postfix/master.cf")
        pathlib.Path("/var/log/mail.log").touch()
        self.before = tree("/etc/postfix", "/etc/popgate")

    def start(self):
        # As a unit does: Debian 13's "start" asks systemd to, otherwise.
        subprocess.run([need("/usr/sbin/postfix", "postfix"), "start"],
                       check=True, capture_output=True,
                       env={**os.environ, "INVOCATION_ID": "0"})
        self.wait()
        return self

    def wait(self, port=25):
        def answers():
            try:
                with Smtp(("192.0.2.25", port), "203.0.113.1") as smtp:
                    return smtp.greeting.code == 220
            except OSError:
                return False
        wait_for(answers, "Postfix")

    def setup(self, *args, code=0, **popen):
        done = subprocess.run([CTL, "setup", *args], capture_output=True,
                              text=True, timeout=300, **popen)
        assert code is None or done.returncode == code, (
            done.returncode, done.stdout, done.stderr)
        return done

    def say(self, sender, recipient, client, port=25):
        """The reply to RCPT."""
        with Smtp(("192.0.2.25", port), client) as smtp:
            smtp.mail(sender)
            return smtp.rcpt(recipient)

    def changed(self):
        """The files that differ from the beginning."""
        now = tree("/etc/postfix", "/etc/popgate")
        return {path for path in {*now, *self.before}
                if now.get(path) != self.before.get(path)}

    def close(self):
        self.site.close()
