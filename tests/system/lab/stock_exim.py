# SPDX-License-Identifier: ISC
"""A machine with Exim as Debian's package leaves it, or with one file of its
own, and no popgate yet."""
import os
import pathlib
import re
import shutil
import socket
import subprocess

from . import exim, namespace
from .process import need
from .site import BUILD, NamespaceSite
from .stock import Stock, tree

UPDATE = """\
dc_eximconfig_configtype='internet'
dc_other_hostnames='lab.test'
dc_local_interfaces=''
dc_readhost=''
dc_relay_domains=''
dc_minimaldns='false'
dc_relay_nets=''
dc_smarthost=''
CFILEMODE='644'
dc_use_split_config='{split}'
dc_hide_mailname=''
dc_mailname_in_oh='true'
dc_localdelivery='mail_spool'
"""


class StockExim(Stock):
    """form: "split" or "template", as Debian has it; or "single", with this
    ACL section, settings besides, and files beside it."""

    def __init__(self, form, acl=exim.ACL, main="", files=()):
        self.form, self.acl, self.main = form, acl, main
        self.files = dict(files)
        self.site = NamespaceSite("exim")
        try:
            self.furnish()
        except BaseException:
            self.close()
            raise

    def furnish(self):
        for path in ("/var/lib", "/var/spool", "/var/log", "/tmp"):
            namespace.cover(path, f"/run/cover{path}")
        for name in ("passwd", "group"):
            path = pathlib.Path("/etc", name)
            path.write_text(re.sub(r"(?m)^popgate.*\n", "",
                                   path.read_text()))
        exim.make_user()
        for path in ("/etc/popgate", "/var/lib/popgate-setup",
                     "/var/lib/popgate", "/etc/exim4"):
            shutil.rmtree(path, ignore_errors=True)
        pathlib.Path("/etc/popgate").mkdir()
        self.site.sockets.rmdir()
        shutil.copytree(BUILD / "exim/etc/exim4", "/etc/exim4")
        for path in ("/var/lib/exim4", "/var/spool/exim4", "/var/log/exim4",
                     "/run/exim4"):
            pathlib.Path(path).mkdir(exist_ok=True)
            os.chown(path, exim.UID, exim.UID)
        pathlib.Path("/etc/mailname").write_text("mail.lab.test\n")
        pathlib.Path("/etc/exim4/update-exim4.conf.conf").write_text(
            UPDATE.format(split=str(self.form == "split").lower()))
        if self.form == "single":
            fill = dict(
                root="/var/spool/exim4", hostname=self.site.hostname,
                interfaces="<; 0.0.0.0 ; ::0", tls="", main=self.main,
                rcpt="" if "acl_smtp_rcpt" in self.main
                else "acl_smtp_rcpt = acl_check_rcpt",
                world="198.51.100.25", inner="198.51.100.26", users="carol",
                password="secret")
            text = exim.MAIN.format(**fill) + "\nbegin acl\n\n" + self.acl + \
                "\n" + exim.REST.format(**fill)
            pathlib.Path("/etc/exim4/exim4.conf").write_text(text.replace(
                    "log_file_path = /var/spool/exim4/log/%slog", "").replace(
                    "pid_file_path = /var/spool/exim4/pid", ""))
            for name, text in self.files.items():
                pathlib.Path("/etc/exim4", name).write_text(text)
            pathlib.Path("/var/spool/exim4/aliases").write_text(exim.ALIASES)
        else:
            subprocess.run(["update-exim4.conf"], check=True)
        pathlib.Path("/var/log/mail.log").touch()
        self.before = tree("/etc/exim4", "/etc/popgate")

    def start(self):
        program = need("/usr/sbin/exim4", "exim4-daemon-light")
        if self.form == "template":
            # as Debian 13's unit: in the foreground, with journald's socket
            self.journal, told = socket.socketpair()
            subprocess.Popen([program, "-bdf", "-q30m"], stdout=told,
                             stderr=told, stdin=subprocess.DEVNULL)
            told.close()
        else:
            subprocess.run([program, "-bd", "-q30m"], check=True,
                           capture_output=True)
        self.wait()
        return self

    def setup(self, *args, **more):
        return super().setup("--mta", "exim", *args, **more)

    def changed(self):
        now = tree("/etc/exim4", "/etc/popgate")
        return {path for path in {*now, *self.before}
                if now.get(path) != self.before.get(path)}
