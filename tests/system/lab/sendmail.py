# SPDX-License-Identifier: ISC
"""A private Sendmail 8.17 from Debian's package, unpacked in build/sendmail."""
import os
import pathlib
import re
import socket
import subprocess

from . import namespace
from .process import Failure, Process, need
from .site import BUILD, PASSWORD, TOP, USERS

# whatever else the machine does: above a load of 12 for each processor it refuses
# connections, which no test is about
AT_ANY_LOAD = ("-ORefuseLA=1000000", "-ODelayLA=0", "-OQueueLA=1000000")

PACKAGE = BUILD / "sendmail"

MC = """\
divert(-1)
include(`{cf}/m4/cf.m4')
divert(0)dnl
VERSIONID(`popgate tests')
OSTYPE(`linux')
define(`confDOMAIN_NAME', `{hostname}')
define(`confPID_FILE', `{root}/sendmail/pid')
define(`QUEUE_DIR', `{root}/sendmail/queue')
define(`STATUS_FILE', `{root}/sendmail/statistics')
define(`ALIAS_FILE', `{aliases}')
define(`confCW_FILE', `{root}/sendmail/local-host-names')
define(`confCR_FILE', `{root}/sendmail/relay-domains')
define(`confCT_FILE', `-o {root}/sendmail/trusted-users')
define(`confDONT_PROBE_INTERFACES', `True')
define(`confSERVICE_SWITCH_FILE', `{root}/sendmail/service.switch')
define(`confTO_IDENT', `0')
define(`confTO_ICONNECT', `5s')
define(`confTO_CONNECT', `5s')
define(`confBAD_RCPT_THROTTLE', `0')
define(`confMAX_RCPTS_PER_MESSAGE', `0')
define(`confCONNECTION_RATE_THROTTLE', `0')
dnl at a load of 12 a processor it would refuse connections, at 8 not deliver
define(`confQUEUE_LA', `1000000')
define(`confREFUSE_LA', `1000000')
define(`confLOG_LEVEL', `10')
define(`confMILTER_LOG_LEVEL', `9')
define(`confAUTH_MECHANISMS', `PLAIN LOGIN')
{tls}
FEATURE(`nouucp', `nospecial')
FEATURE(`use_cw_file')
FEATURE(`nocanonify')
FEATURE(`accept_unresolvable_domains')
FEATURE(`accept_unqualified_senders')
FEATURE(`virtusertable', `hash {root}/sendmail/virtusertable')
FEATURE(`mailertable', `hash {root}/sendmail/mailertable')
FEATURE(`local_lmtp', `{package}/usr/libexec/sendmail/mail.local', `mail.local -l')
FEATURE(`no_default_msa')
{daemons}
{before}
define(`RELAY_MAILER_ARGS', `TCP $h {world_port}')
define(`ESMTP_MAILER_ARGS', `TCP $h {world_port}')
{route}
MAILER(`local')
MAILER(`smtp')
{after}
MAILER_DEFINITIONS
Mvmbox, P=[FILE], F=lsDFMPEouq, S=EnvFromL, R=EnvToL, U=64903:64903,
	A=FILE {root}/sendmail/vmail
"""

# How mail for everybody else leaves: as in the two columns of the forms.
ROUTES = {"smart": ("define(`SMART_HOST', `[{world}]')", ""),
          "esmtp": ("", ".\tesmtp:[{world}]\n")}


def version():
    text = (PACKAGE / "usr/share/sendmail/cf/m4/version.m4").read_text()
    return re.search(r"(?m)^DZ([\d.]+)", text)[1]


class Sendmail:
    name = "sendmail"

    def __init__(self, site, wiring, route="smart", certificate=None,
                 authority=None, whitelisted=""):
        """wiring: a file below etc/sendmail.  authority: of clients'
        certificates.  whitelisted: a client that
        Sendmail relays for, whatever popgate says."""
        self.site = site
        site.make("sendmail", "sendmail/queue")
        self.directory = directory = site.root / "sendmail"
        (directory / "queue").chmod(0o700)
        smart, table = ROUTES[route]
        for name, text in {
                "local-host-names":
                    "lab.test\nlocalhost\n[127.0.0.1]\nvalias.test\n",
                "relay-domains": f"vmail.test\nrelay.test\n{whitelisted}\n",
                "aliases": "postmaster: alice\nfwd: someone@remote.test\n",
                "service.switch": "hosts files\naliases files\npasswd files\n",
                "virtusertable":
                    "va1@valias.test\talice\n"
                    "vaout@valias.test\tsomeone@remote.test\n"
                    "@valias.test\terror:5.1.1:550 No such virtual user\n",
                "mailertable":
                    "vmail.test\tvmbox:vmail.test\n"
                    f"relay.test\trelay:[{site.inner[0]}]\n"
                    + table.format(world=site.world[0]),
                "vmail": ""}.items():
            (directory / name).write_text(text)
        os.chown(directory / "vmail", 64903, 64903)

        text = site.fill((TOP / "etc/sendmail" / wiring).read_text())
        (directory / wiring).write_text(text)
        include = f"include(`{directory / wiring}')"
        before_mailers = "FEATURE" in text
        listen = [f"Family=inet, Name=MTA, Addr={site.address4}, "
                  f"Port={site.smtp[1]}"]
        if site.address6:
            listen.append(f"Family=inet6, Name=MTA6, Addr={site.address6}, "
                          f"Port={site.smtp[1]}")
        mc = directory / "sendmail.mc"
        self.cf = directory / "sendmail.cf"
        mc.write_text(MC.format(
            cf=PACKAGE / "usr/share/sendmail/cf", package=PACKAGE,
            root=site.root, hostname=site.hostname,
            aliases=directory / "aliases" if site.private else "",
            daemons="\n".join(f"DAEMON_OPTIONS(`{options}')"
                              for options in listen),
            route=smart.format(world=site.world[0]),
            world_port=site.world[1],
            before=include if before_mailers else "",
            after="" if before_mailers else include,
            tls=f"define(`confSERVER_CERT', `{certificate}')\n"
                f"define(`confSERVER_KEY', `{certificate}')\n"
                f"define(`confCACERT', `{authority or certificate}')\n"
                f"define(`confCACERT_PATH', `/etc/ssl/certs')\n"
                f"define(`confCERT_FINGERPRINT_ALGORITHM', `sha256')"
                if certificate else ""))
        self.program = need(PACKAGE / "usr/libexec/sendmail/sendmail",
                            "sendmail-bin in build/sendmail")
        made = subprocess.run(
            [need("/usr/bin/m4", "m4"),
             f"-D_CF_DIR_={PACKAGE}/usr/share/sendmail/cf/", mc],
            capture_output=True, text=True)
        if made.returncode or "ERROR" in made.stderr:
            raise Failure(f"m4 {mc}: {made.stderr}")
        self.cf.write_text(made.stdout)
        for table in ("virtusertable", "mailertable"):
            subprocess.run([PACKAGE / "usr/libexec/sendmail/makemap",
                            "-C", self.cf, "hash", directory / table],
                           stdin=open(directory / table), check=True)
        if site.private:
            self.run("-bi")             # newaliases
        self.process = Process("sendmail", [self.program, f"-C{self.cf}",
                                            "-bD", "-q10s", *AT_ANY_LOAD],
                               site.log,
                               preexec_fn=self.qualify)

    def qualify(self):
        """Sendmail starts a minute late on a machine whose name has no
        domain.  Where the kernel lets us, it sees another name."""
        try:
            namespace.check(namespace.libc.unshare(namespace.CLONE_NEWUTS),
                            "unshare")
            socket.sethostname(self.site.hostname)
        except OSError:
            pass

    def run(self, *options, text=""):
        done = subprocess.run([self.program, f"-C{self.cf}", *options],
                              input=text, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"sendmail {options}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, be_patient=lambda: None):
        """be_patient: called when it is going to take that minute."""
        self.process.start()
        try:
            self.process.accepts(self.site.smtp, seconds=5)
        except Failure:
            be_patient()
            self.process.accepts(self.site.smtp, seconds=80)
        return self

    def delivered(self, token):
        """The local mailboxes (alice, vmail/vbox) that hold the message."""
        found = []
        if self.site.private:
            found = [user for user in USERS
                     if (box := pathlib.Path("/var/mail", user)).exists()
                     and token in box.read_text(errors="replace")]
        if token in (self.directory / "vmail").read_text(errors="replace"):
            found.append("vmail/vbox")
        return found

    def queue(self):
        return [path.name for path in (self.directory / "queue").iterdir()
                if path.name.startswith("qf")]


SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: PLAIN LOGIN
sasldb_path: {db}
"""


def sasl(sendmail):
    """SMTP AUTH for the site's accounts; needs a private /usr."""
    conf = pathlib.Path("/usr/lib/sasl2/Sendmail.conf")
    conf.parent.mkdir(exist_ok=True)
    db = sendmail.directory / "sasldb2"
    conf.write_text(SASL.format(db=db))
    for user in USERS:
        subprocess.run([need("/usr/sbin/saslpasswd2", "sasl2-bin"), "-p", "-c",
                        "-f", db, "-u", sendmail.site.hostname, user],
                       input=PASSWORD, text=True, check=True)
    db.chmod(0o600)
