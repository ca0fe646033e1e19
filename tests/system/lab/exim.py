# SPDX-License-Identifier: ISC
"""A private Exim 4.96 from Debian's package, unpacked in build/exim.

Its configuration is where the program looks for it (/etc/exim4, the site's
own), and is wired by the commands that popgatectl prints.
"""
import os
import pathlib
import subprocess

from .process import Failure, Process, need
from .site import PASSWORD, USERS

ETC = pathlib.Path("/etc/exim4")
UID = 64920
INCLUDE = pathlib.Path("/etc/popgate/exim-closed.conf")

MAIN = """\
primary_hostname = {hostname}
spool_directory = {root}/spool
log_file_path = {root}/log/%slog
pid_file_path = {root}/pid
keep_environment =
local_interfaces = {interfaces}
domainlist local_domains = @ : lab.test : valias.test : vmail.test
domainlist relay_to_domains = relay.test
hostlist relay_from_hosts = 127.0.0.1
qualify_domain = lab.test
recipient_unqualified_hosts = *
{rcpt}
{tls}
smtp_accept_max = 0
smtp_accept_max_nonmail = 10000
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
rfc1413_query_timeout = 0s
dns_ipv4_lookup = *
recipients_max = 0
smtp_max_unknown_commands = 1000
smtp_max_synprot_errors = 1000
{main}
"""

# As Exim's own default configuration has it.
ACL = """\
acl_check_rcpt:
  accept  hosts = :
          control = dkim_disable_verify

  deny    message = Restricted characters in address
          domains = +local_domains
          local_parts = ^[.] : ^.*[@%!/|]

  accept  local_parts = postmaster
          domains = +local_domains

  accept  hosts = +relay_from_hosts
          control = submission

  accept  authenticated = *
          control = submission

  # Insist that any other recipient address that we accept is in one of our
  # domains.
  require message = relay not permitted
          domains = +local_domains : +relay_to_domains

  require verify = recipient
  accept
"""

REST = """\
begin routers

inner:
  driver = manualroute
  domains = relay.test
  transport = smtp
  route_list = * {inner}

aliases:
  driver = redirect
  domains = +local_domains
  data = ${{lookup{{$local_part@$domain}}lsearch{{{root}/aliases}}}}

vmail:
  driver = accept
  domains = vmail.test
  local_parts = vbox
  transport = box

local:
  driver = accept
  domains = lab.test : {hostname}
  local_parts = alice : bob : carol
  local_part_suffix = +*
  local_part_suffix_optional
  transport = box

outside:
  driver = manualroute
  domains = ! +local_domains
  transport = smtp
  route_list = * {world}

begin transports

smtp:
  driver = smtp
  hosts_avoid_tls = *
  hosts_try_chunking =
  allow_localhost

box:
  driver = appendfile
  directory = {root}/mail/$local_part_data
  user = Debian-exim
  maildir_format

begin retry

* * F,1h,10s

begin authenticators

plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{inlist{{$auth2}}{{{users}}}}}\\
      {{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = true
"""

ALIASES = """\
postmaster@lab.test: alice@lab.test
fwd@lab.test: someone@remote.test
va1@valias.test: alice@lab.test
vaout@valias.test: someone@remote.test
"""


def make_user():
    """Exim's, in the site's own /etc."""
    for name, line in (("passwd", f"Debian-exim:x:{UID}:{UID}::/:/bin/false\n"),
                       ("group", f"Debian-exim:x:{UID}:\n")):
        with open(f"/etc/{name}", "a") as file:
            file.write(line)


class Exim:
    name = "exim"

    def __init__(self, site, acl=ACL, main="", certificate=None,
                 name="exim"):
        """acl: what stands in the ACL section.  main: settings besides.
        name: of its directory."""
        self.site = site
        self.directory = directory = site.root / name
        site.make(name, f"{name}/spool", f"{name}/log", f"{name}/mail")
        for name in ("", "spool", "log", "mail"):
            os.chown(directory / name, UID, UID)
        (directory / "aliases").write_text(ALIASES)
        ETC.mkdir(exist_ok=True)
        self.conf = ETC / "exim4.conf"
        interfaces = [site.address4, site.address6, "127.0.0.1"]
        fill = dict(
            root=directory, hostname=site.hostname,
            interfaces="<; " + " ; ".join(interfaces),
            tls=f"tls_certificate = {certificate}\n"
                "tls_advertise_hosts = *" if certificate
            else "tls_advertise_hosts =",
            rcpt="" if "acl_smtp_rcpt" in main
            else "acl_smtp_rcpt = acl_check_rcpt",
            main=main, world=site.world[0], inner=site.inner[0],
            users=":".join(USERS), password=PASSWORD)
        self.conf.write_text(MAIN.format(**fill) + "\nbegin acl\n\n" + acl +
                             "\n" + REST.format(**fill))
        self.program = need("/usr/sbin/exim4",
                            "exim4-daemon-light in build/exim")
        self.process = Process("exim", [self.program, "-bdf", "-q10s"],
                               site.log)

    def wire(self, popgate):
        """Give a shell what popgatectl prints, as it is."""
        text = popgate.ctl("wiring", "exim")
        commands, _, _ = text.partition("# Exim says whether")
        subprocess.run(["sh", "-e"], input=commands, text=True, check=True)
        self.check()
        return text

    def check(self):
        done = subprocess.run([self.program, "-bV"], capture_output=True,
                              text=True)
        if done.returncode:
            raise Failure(f"exim -bV: {done.stdout}{done.stderr}")
        return done.stdout

    def version(self):
        return self.check().split()[2]

    def start(self):
        self.process.start().accepts(self.site.smtp)
        return self

    def delivered(self, token):
        """The local mailboxes (alice, vmail/vbox) that hold the message."""
        found = []
        for path in (self.directory / "mail").rglob("*"):
            if path.parent.name == "new" and \
                    token in path.read_text(errors="replace"):
                box = path.parent.parent.name
                found.append("vmail/vbox" if box == "vbox" else box)
        return found

    def queue(self):
        return list((self.directory / "spool/input").rglob("*-H"))

    def log(self):
        return (self.directory / "log/mainlog").read_text(errors="replace")
