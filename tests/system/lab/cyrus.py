# SPDX-License-Identifier: ISC
"""Cyrus IMAP, from packages unpacked in build/cyrus (they conflict with
Dovecot's); wants a private /usr and /etc."""
import pathlib
import subprocess

from .process import Process, need
from .site import PASSWORD, USERS

IMAPD = """\
configdirectory: {root}/lib
defaultpartition: default
partition-default: {root}/spool
servername: {hostname}
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {root}/sasldb2
sasl_mech_list: PLAIN LOGIN
autocreate_post: yes
autocreate_quota: 0
autocreate_users: anyone
syslog_prefix: cyrus
"""

SERVICES = """\
START {{
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -C {root}/imapd.conf -r"
}}
SERVICES {{
{services}
}}
"""

SERVICE = ('  {name} cmd="/usr/lib/cyrus/bin/{program} -C {root}/imapd.conf" '
           'listen="{listen}" proto="{proto}"')


class Cyrus:
    packages = ("cyrus",)

    def __init__(self, site):
        self.site = site
        site.make("cyrus", "cyrus/lib", "cyrus/spool")
        root = site.root / "cyrus"
        with open("/etc/passwd", "a") as passwd:
            passwd.write("cyrus:x:64920:8::/nonexistent:/bin/sh\n")
        (root / "imapd.conf").write_text(
            IMAPD.format(root=root, hostname=site.hostname))
        services = []
        for name, program, proto, (host, port) in (
                ("imap", "imapd", "tcp4", site.imap),
                ("imap6", "imapd", "tcp6", site.imap6),
                ("pop3", "pop3d", "tcp4", site.pop3),
                ("pop36", "pop3d", "tcp6", site.pop3_6)):
            listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            services.append(SERVICE.format(
                name=name, program=program, root=root, proto=proto,
                listen=listen))
        (root / "cyrus.conf").write_text(
            SERVICES.format(root=root, services="\n".join(services)))
        for user in USERS:
            subprocess.run([need("/usr/sbin/saslpasswd2", "sasl2-bin"), "-p",
                            "-c", "-f", root / "sasldb2", "-u",
                            site.hostname, user], check=True, text=True,
                           input=PASSWORD)
        subprocess.run(["chown", "-R", "cyrus:mail", root], check=True)
        pathlib.Path("/run/cyrus").mkdir()
        subprocess.run(["chown", "cyrus:mail", "/run/cyrus"], check=True)
        self.process = Process("cyrus", [
            need("/usr/lib/cyrus/bin/master", "build/cyrus"),
            "-C", root / "imapd.conf", "-M", root / "cyrus.conf",
            "-p", root / "pid"], site.log)

    def start(self):
        self.process.start().accepts(self.site.imap)
        self.process.accepts(self.site.pop3)
        return self
