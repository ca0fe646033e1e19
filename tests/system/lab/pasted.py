# SPDX-License-Identifier: ISC
"""A Postfix with a main.cf and a master.cf of an admin's own in /etc/postfix,
and what `popgatectl wiring postfix` prints for it pasted into a shell."""
import os
import pathlib
import pwd
import re
import subprocess

from .postfix import SERVICES
from .process import Process, need

ETC = pathlib.Path("/etc/postfix")

# Settings that every configuration needs to run here, and that say nothing
# about relaying. Its own settings come after, so that these are only defaults.
MAIN = """\
queue_directory = {queue}
data_directory = {data}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {log}
maillog_file_prefixes = /run
myhostname = mail.lab.test
inet_interfaces = all
mynetworks = 127.0.0.0/8 [::1]/128
mydestination = lab.test, localhost
local_recipient_maps = inline:{{alice=x, postmaster=x}}
alias_maps =
alias_database =
mail_spool_directory = {mail}/
relayhost = [{world}]:25
smtp_host_lookup = native
smtp_dns_support_level = disabled
smtp_bind_address = 0.0.0.0
smtpd_peername_lookup = no
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_error_sleep_time = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
"""


class Pasted:
    def __init__(self, site, sasl):
        self.site = site
        self.sasl = sasl
        site.make("pasted", "pasted/queue", "pasted/data", "pasted/mail")
        base = site.root / "pasted"
        self.queue = base / "queue"
        self.mail = base / "mail"
        self.log = base / "maillog"
        self.mail.chmod(0o1777)
        postfix = pwd.getpwnam("postfix")
        os.chown(base / "data", postfix.pw_uid, postfix.pw_gid)
        self.main = MAIN.format(queue=self.queue, data=base / "data",
                                log=self.log, mail=self.mail,
                                world=site.world[0])
        self.process = None

    def install(self, main, master):
        """The admin's configuration: main.cf's own settings, and the smtpd
        services of master.cf."""
        (ETC / "main.cf").write_text(main)
        for line in self.main.splitlines():
            name = line.split(" = ")[0]
            if not re.search(rf"(?m)^{name}\s*=", main):
                with open(ETC / "main.cf", "a") as out:
                    out.write(line + "\n")
        (ETC / "master.cf").write_text(master + SERVICES)

    def text(self, name):
        return (ETC / name).read_text()

    def start(self):
        self.process = Process("postfix", [
            need("/usr/sbin/postfix", "postfix"), "start-fg"], self.site.log)
        self.process.start()
        auth = self.queue / "private" / "auth"
        self.process.ready(auth.parent.is_dir, "its queue")
        if not os.path.lexists(auth):
            os.link(self.sasl, auth)        # into the chroot, too
        self.process.accepts((self.site.address4, 25))

    def stop(self):
        if self.process is not None:
            subprocess.run(["/usr/sbin/postfix", "stop"], capture_output=True)
            self.process.stop()
            self.process = None

    def paste(self, commands):
        """As root would; nothing may complain (of an old compatibility
        level newer versions always do)."""
        done = subprocess.run(["sh"], input=commands, text=True,
                              capture_output=True)
        said = [line for line in done.stderr.splitlines()
                if not re.search("refreshing the Postfix|"
                                 "backwards-compatible default settings|"
                                 "COMPATIBILITY_README|"
                                 "disable backwards compatibility", line)]
        assert done.returncode == 0 and not said, (commands, done)
