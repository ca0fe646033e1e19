# SPDX-License-Identifier: ISC
"""Sendmail as others have set it up, and popgate wired to it by the commands
that popgatectl prints.

One namespace, in which one shape after the other is /etc/mail."""
import itertools
import os
import pathlib
import shutil
import ssl
import subprocess
import sys

from . import client, filters, namespace, tls
from .filters import Filter
from .popgate import Popgate
from .process import Failure, Process, can_connect, wait_for
from .rsyslog import Rsyslog
from .sendmail import AT_ANY_LOAD, SASL
from .site import PASSWORD, NamespaceSite
from .world import World

ETC = pathlib.Path("/etc/mail")
ADDRESS = "192.0.2.25"
SENDMAIL = "/usr/libexec/sendmail/sendmail"
REMOTE, OWN = "user@remote.test", "alice@lab.test"
REALMS = ("mail.lab.test", "mail")

USERS = """\
smmta:x:64921:64921::/var/lib/sendmail:/usr/sbin/nologin
smmsp:x:64922:64922::/var/lib/sendmail:/usr/sbin/nologin
"""
GROUPS = "smmta:x:64921:\nsmmsp:x:64922:\n"

FILES = {
    "local-host-names": "lab.test\n",
    "relay-domains": "relay.test\n",
    "aliases": "postmaster: alice\n",
    "trusted-users": "",
    "service.switch": "hosts files dns\naliases files\npasswd files\n",
    "access": "Connect:localhost.localdomain RELAY\nConnect:127 RELAY\n",
    "virtusertable": "", "mailertable": "", "authinfo": "",
    "m4/dialup.m4": "", "m4/provider.m4": "",
}
TABLES = ("access", "virtusertable", "mailertable", "authinfo")


class Smtps(client.Smtp):
    """SMTP in TLS from the first byte."""

    def __init__(self, server, address, helo="client.example"):
        client.Line.__init__(self, server, address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()
        self.helo = helo
        self.ehlo = self.command(f"EHLO {helo}")


class Lab:
    """Everything but Sendmail, which comes with a shape."""

    def __init__(self):
        self.site = site = NamespaceSite("sendmail")
        site.namespace.anywhere("10.9.0.0/16")
        self.hosts = itertools.count(1)
        self.daemon = None
        self.filters = {}
        try:
            self.furnish(site)
        except BaseException:
            site.close()
            raise

    def furnish(self, site):
        namespace.mount("tmpfs", "/var/spool", "tmpfs", 0, "mode=0755")
        namespace.cover("/var/lib", "/run/cover/var/lib")
        for name, text in (("passwd", USERS), ("group", GROUPS)):
            with open(f"/etc/{name}", "a") as out:
                out.write(text)
        pathlib.Path("/etc/nsswitch.conf").write_text(
            pathlib.Path("/etc/nsswitch.conf").read_text().replace(
                "hosts: files", "hosts: files dns"))
        for name in ("/run/sendmail/mta", "/run/filters"):
            os.makedirs(name)
        self.certificate = tls.certificate(site)
        self.rsyslog = Rsyslog(site).start()
        self.world = World(site, "world", (site.world[0], 2525)).start()
        Process("names", [
            sys.executable, filters.__file__, "names", "127.0.0.1",
            *(f"10.9.200.{host}" for host in range(256))],
            site.log).start()
        self.popgate = Popgate(site, ["lab.test", "relay.test",
                                      "mail.lab.test"], "mail",
                               trusted=("127.0.0.1/32", "::1/128")).start()
        conf = pathlib.Path("/usr/lib/sasl2/Sendmail.conf")
        conf.parent.mkdir(exist_ok=True)
        conf.write_text(SASL.format(db="/run/lab/sasldb2"))
        for realm in REALMS:
            subprocess.run(["/usr/sbin/saslpasswd2", "-p", "-c", "-f",
                            "/run/lab/sasldb2", "-u", realm, "carol"],
                           input=PASSWORD, text=True, check=True)
        os.chmod("/run/lab/sasldb2", 0o600)

    def close(self):
        self.remove()
        self.site.close()

    # --- a shape ---

    def install(self, shape):
        """Make /etc/mail what the shape says, and start it unwired."""
        self.remove()
        for name in ("", "m4"):
            (ETC / name).mkdir(exist_ok=True)
        for name, text in {**FILES, **shape.files}.items():
            (ETC / name).write_text(text)
        for spool in ("mqueue", "clientmqueue"):
            path = pathlib.Path("/var/spool", spool)
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
            path.chmod(0o700)
        if "mqueue/q*" in shape.mc:
            os.mkdir("/var/spool/mqueue/q1", 0o700)
        for name in shape.filters:
            self.filters[name] = Filter(self.site, name, "/run/filters")
        mc = ETC / "sendmail.mc"
        mc.write_text(shape.mc.replace("@CERT@", str(self.certificate)))
        (ETC / "sendmail.cf").write_text(
            subprocess.run(["m4", *shape.m4, mc], capture_output=True,
                           text=True, check=True, cwd=ETC).stdout)
        if not shape.keep_mc:
            mc.unlink()
        for table in TABLES:
            subprocess.run(["/usr/libexec/sendmail/makemap", "hash",
                            ETC / table], stdin=open(ETC / table), check=True)
        subprocess.run([SENDMAIL, "-bi"], check=True, capture_output=True)
        self.daemon = Process("sendmail", [SENDMAIL, "-bD", "-q10s",
                                           *AT_ANY_LOAD], self.site.log)
        self.daemon.start()
        self.wait_ports(shape)

    def wait_ports(self, shape):
        for port in shape.ports:
            self.daemon.accepts((shape.address, port))

    def remove(self):
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon = None
        for other in self.filters.values():
            other.close()
        self.filters = {}
        shutil.rmtree("/run/filters")
        os.mkdir("/run/filters")
        shutil.rmtree(ETC, ignore_errors=True)

    def snapshot(self):
        return {str(path): path.read_text() for path in ETC.rglob("*")
                if path.suffix in (".mc", ".m4", ".cf")}

    def wiring(self, *options, check=True):
        return self.popgate.ctl("wiring", "sendmail", *options, check=check)

    def setup(self, *options, code=0):
        done = self.popgate.ctl("setup", "--mta", "sendmail", *options,
                                check=False)
        assert done.returncode == code, done
        return done.stdout + done.stderr

    def wire(self, shape):
        """By the commands that popgatectl prints, Sendmail running."""
        script = self.wiring()
        pid = pathlib.Path(shape.pid_file)
        before = wait_for(lambda: pid.exists() and pid.stat().st_mtime_ns,
                          f"{pid}")
        done = subprocess.run(["sh"], input=script, capture_output=True,
                              text=True)
        if done.returncode != 0:
            raise Failure(f"{script}\n{done.stdout}{done.stderr}")
        wait_for(lambda: pid.exists() and pid.stat().st_mtime_ns != before
                 and all(can_connect((shape.address, port))
                         for port in shape.ports),
                 lambda: "Sendmail again:\n" +
                 self.site.mail_log.read_text()[-3000:])
        return script

    # --- clients ---

    def stranger(self, named):
        """A new address, whose name can be looked up or not."""
        host = 2 * next(self.hosts) + (not named)
        return f"10.9.{host // 256}.{host % 256}"

    def logged_in(self, named):
        address = self.stranger(named)
        self.let_relay(address)
        return address

    def let_relay(self, address):
        self.popgate.ctl("add", address)

    def smtp(self, shape, address, port):
        kind = Smtps if port == 465 else client.Smtp
        return kind((shape.address, port), address)
