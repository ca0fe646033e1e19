# SPDX-License-Identifier: ISC
"""A private Postfix: all it reads and writes is below site.root/postfix."""
import os
import pwd
import subprocess

from .process import Process, need
from .site import TOP

MAIN = """\
compatibility_level = 3.6
config_directory = {etc}
queue_directory = {root}/postfix/queue
data_directory = {root}/postfix/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
multi_instance_enable = no
import_environment = MAIL_CONFIG
{logging}
myhostname = {hostname}
myorigin = lab.test
inet_interfaces = {interfaces}
inet_protocols = {protocols}
mynetworks = {mynetworks}
smtp_host_lookup = native
smtp_dns_support_level = disabled
smtp_bind_address = 0.0.0.0
relayhost = [{world}]:{world_port}
maximal_queue_lifetime = 1h
mydestination = lab.test, {hostname}, localhost
local_recipient_maps = inline:{{alice=x, bob=x, carol=x, postmaster=x, fwd=x}}
recipient_delimiter = +
alias_maps = inline:{{postmaster=alice, {{fwd=someone@remote.test}}}}
alias_database =
mail_spool_directory = {root}/postfix/mail/
virtual_mailbox_domains = vmail.test
virtual_mailbox_maps = inline:{{vbox@vmail.test=vbox/}}
virtual_mailbox_base = {root}/postfix/vmail
virtual_uid_maps = static:64903
virtual_gid_maps = static:64903
virtual_alias_domains = valias.test
virtual_alias_maps = inline:{{va1@valias.test=alice@lab.test,
    vaout@valias.test=someone@remote.test}}
relay_domains = relay.test
relay_recipient_maps = inline:{{relayuser@relay.test=x}}
transport_maps = inline:{{relay.test=relay:[{inner}]:{inner_port}}}
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = {xclient}
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
smtpd_soft_error_limit = 1000
smtpd_junk_command_limit = 1000
anvil_rate_time_unit = 60s
{sasl}
{tls}
# --- the wiring, as in {wiring} ---
{text}
"""

# what every instance has besides smtpd
SERVICES = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

MASTER = """\
{listen} inet n - n - - smtpd
{extra}
""" + SERVICES


class Postfix:
    name = "postfix"

    def __init__(self, site, wiring, sasl=None, certificate=None,
                 authority=None, xclient="", mynetworks="127.0.0.0/8", own_log=None,
                 extra=""):
        """wiring: a file below etc/postfix.  authority: of clients'
        certificates.  own_log: a file instead of syslog.
        extra: more services for master.cf."""
        self.site = site
        site.make("postfix", "postfix/etc", "postfix/queue", "postfix/data",
                  "postfix/mail", "postfix/vmail", "postfix/vmail/vbox")
        self.directory = site.root / "postfix"
        etc = self.directory / "etc"
        postfix = pwd.getpwnam("postfix")
        os.chown(self.directory / "data", postfix.pw_uid, postfix.pw_gid)
        (self.directory / "mail").chmod(0o1777)
        for name in ("vmail", "vmail/vbox"):
            os.chown(self.directory / name, 64903, 64903)
        plain = site.smtp[1] == 25
        interfaces = ["127.0.0.1"]
        if site.address6:
            interfaces += [site.address4, f"[{site.address6}]"]
        (etc / "main.cf").write_text(MAIN.format(
            root=site.root, etc=etc, hostname=site.hostname,
            interfaces=", ".join(interfaces),
            protocols="all" if site.address6 else "ipv4",
            mynetworks=mynetworks, xclient=xclient,
            world=site.world[0], world_port=site.world[1],
            inner=site.inner[0], inner_port=site.inner[1],
            logging=f"maillog_file = {own_log}\n"
                    f"maillog_file_prefixes = {site.root}" if own_log else "",
            sasl=f"smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\n"
                 f"smtpd_sasl_path = {sasl}" if sasl else "",
            tls=f"smtpd_tls_security_level = may\n"
                f"smtpd_tls_chain_files = {certificate}\n"
                f"smtpd_tls_CAfile = {authority or certificate}\n"
                f"smtpd_tls_ask_ccert = yes\n"
                f"smtpd_tls_fingerprint_digest = sha256"
                if certificate else "",
            wiring=wiring, text=site.fill(
                (TOP / "etc/postfix" / wiring).read_text())))
        (etc / "master.cf").write_text(MASTER.format(
            listen="smtp" if plain else site.smtp[1], extra=extra))
        self.etc = etc
        self.process = Process("postfix", [
            need("/usr/sbin/postfix", "postfix"), "-c", etc, "start-fg"],
            site.log)

    def start(self):
        self.process.start().accepts(self.site.smtp)
        return self

    def stop(self):
        """Its own way: start-fg leaves the master to a session of its own."""
        subprocess.run(["/usr/sbin/postfix", "-c", self.etc, "stop"],
                       capture_output=True)
        self.process.stop()

    def delivered(self, token):
        """The local mailboxes (alice, vmail/vbox) that hold the message."""
        found = []
        for base, prefix in ((self.directory / "mail", ""),
                             (self.directory / "vmail", "vmail/")):
            for path in base.rglob("*"):
                if path.is_file() and path.parent.name in ("new", "cur") and \
                        token in path.read_text(errors="replace"):
                    found.append(
                        prefix + str(path.relative_to(base).parts[0]))
        return found

    def queue(self):
        """Queue ids that wait for delivery."""
        return [path.name for name in ("incoming", "active", "deferred")
                for path in (self.directory / "queue" / name).rglob("*")
                if path.is_file()]
