# SPDX-License-Identifier: ISC
"""Where everything is: directories, addresses, ports, accounts.

NamespaceSite is for tests: standard ports, documentation addresses
(RFC 5737, RFC 3849), all in a namespace.  LoopbackSite is for the demo:
unprivileged ports on 127.0.0.0/8, a private directory and processes that end
with it.
"""
import os
import pathlib
import re
import shutil
import socket
import tempfile

from . import namespace

TOP = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("POPGATE_BUILD", TOP / "build")).resolve()

PASSWORD = "secret"
USERS = ("alice", "bob", "carol")
DOMAINS = {"local": "lab.test", "mailbox": "vmail.test",
           "alias": "valias.test", "relay": "relay.test"}

PASSWD = """\
popgate:x:64901:64901::/nonexistent:/usr/sbin/nologin
popgate-collector:x:64902:64902::/nonexistent:/usr/sbin/nologin
vmail:x:64903:64903::/nonexistent:/usr/sbin/nologin
alice:x:64911:64911::/nonexistent:/usr/sbin/nologin
bob:x:64912:64912::/nonexistent:/usr/sbin/nologin
carol:x:64913:64913::/nonexistent:/usr/sbin/nologin
"""
GROUP = """\
popgate:x:64901:
popgate-collector:x:64902:
vmail:x:64903:
alice:x:64911:
bob:x:64912:
carol:x:64913:
"""
HOSTS = """\
127.0.0.1 localhost
::1 localhost
192.0.2.25 mail.lab.test
2001:db8:25::25 mail.lab.test
"""

# Files that packages' scripts make: these servers are only unpacked, since
# they conflict with what is installed: tests/system/deps.sh.
BESIDE = {
    "postfix": ("postfix:x:64921:64921::/var/spool/postfix:/usr/sbin/nologin",
                "postfix:x:64921:\npostdrop:x:64922:"),
    "dovecot": ("dovecot:x:64923:64923::/usr/lib/dovecot:/usr/sbin/nologin\n"
                "dovenull:x:64924:64924::/nonexistent:/usr/sbin/nologin",
                "dovecot:x:64923:\ndovenull:x:64924:"),
    "rsyslog": ("", ""),
}

NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files
services: files
protocols: files
"""


def unpacked():
    """Those of them that are below build/."""
    return [name for name in BESIDE if (BUILD / name / ".complete").exists()]


def private_system(*packages):
    """/etc and /usr of our own, with what is unpacked below build/."""
    beside = unpacked()
    namespace.cover("/etc", "/run/cover/etc",
                    *(BUILD / name / "etc" for name in beside))
    namespace.cover("/usr", "/run/cover/usr",
                    *(BUILD / name / "usr" for name in (*packages, *beside)))
    for name in beside:
        for path, text in zip(("/etc/passwd", "/etc/group"), BESIDE[name]):
            add_accounts(pathlib.Path(path), text)
    if "postfix" in beside:
        for new, old in (("main.cf.proto", "main.cf.dist"),
                         ("master.cf.proto", "master.cf.dist"),
                         ("dynamicmaps.cf", "dynamicmaps.cf")):
            shutil.copy(f"/usr/share/postfix/{old}", f"/etc/postfix/{new}")
        for mta in ("exim4", "exim"):       # this machine has Postfix alone
            pathlib.Path("/usr/sbin", mta).unlink(missing_ok=True)


def add_accounts(path, lines):
    """Those that aren't there, to passwd or group."""
    there = path.read_text()
    path.write_text(there + "".join(
        f"{line}\n" for line in lines.splitlines()
        if not re.search(f"(?m)^{line.split(':')[0]}:", there)))


class Site:
    hostname = "mail.lab.test"

    def make(self, *names):
        """Directories of the site."""
        for name in names:
            (self.root / name).mkdir(parents=True)

    def fill(self, text):
        """A wiring from etc/, with this site's socket directory."""
        return text.replace("/run/popgate/", f"{self.sockets}/")


class NamespaceSite(Site):
    private = True          # /etc, /usr, /run, /var/mail and /dev are ours
    address4, address6 = "192.0.2.25", "2001:db8:25::25"
    smtp, smtp6 = (address4, 25), (address6, 25)
    pop3, pop3_6 = (address4, 110), (address6, 110)
    imap, imap6 = (address4, 143), (address6, 143)
    world = ("198.51.100.25", 25)       # everybody else
    inner = ("198.51.100.26", 25)       # where relay.test really lives
    sockets = pathlib.Path("/run/popgate")

    def __init__(self, *packages):
        """packages: unpacked below build/, to be seen in /usr."""
        self.namespace = namespace.Namespace(self.hostname)
        self.namespace.enter()
        try:
            self.furnish(packages)
        except BaseException:
            self.namespace.leave()
            raise

    def furnish(self, packages):
        ns = self.namespace
        ns.address(self.address4)
        ns.address(self.address6)
        ns.anywhere("198.51.100.0/24")
        ns.anywhere("203.0.113.0/24")
        ns.anywhere("2001:db8:1::/48")

        namespace.mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")
        namespace.mount("tmpfs", "/var/mail", "tmpfs", 0, "mode=1777")
        namespace.private_dev()
        private_system(*packages)
        etc = pathlib.Path("/etc")
        for name, text in (
                ("passwd", (etc / "passwd").read_text() + PASSWD),
                ("group", re.sub(r"(?m)^(adm:.*:\d+:)", r"\1popgate-collector,",
                                 (etc / "group").read_text()) + GROUP),
                ("hosts", HOSTS),
                ("nsswitch.conf", NSSWITCH),
                ("resolv.conf", "nameserver 127.0.0.1\n")):
            (etc / name).unlink(missing_ok=True)
            (etc / name).write_text(text)

        self.root = pathlib.Path("/run/lab")
        self.make("log", "etc")
        self.log = self.root / "log"
        self.mail_log = self.log / "mail.log"
        self.sockets.mkdir()

    def close(self):
        self.namespace.leave()


class LoopbackSite(Site):
    """A private directory below /run: Sendmail wants sockets and files in
    directories that only root can write."""

    private = False
    address4, address6 = "127.0.0.1", None

    def stop_mta(self):
        """Replaced by whoever needs more than a signal."""

    def __init__(self, name):
        if unpacked():
            namespace.private_mounts()
            namespace.mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")
            private_system()
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}.",
                                                  dir="/run"))
        self.root.chmod(0o755)
        self.init = namespace.own_processes(self.root)
        self.make("log", "etc", "s")
        self.sockets = self.root / "s"
        self.log = self.root / "log"
        self.mail_log = self.log / "dovecot.log"    # only logins are read
        self.mail_log.touch(0o644)
        self.smtp, self.pop3, self.imap = free_addresses(self.address4, 3)
        self.world, self.inner = free_addresses("127.0.0.25", 2)

    def end(self):
        """Whatever is still running ends; the files stay."""
        if self.init:
            self.init.kill()
            namespace.reap(self.init)

    def close(self):
        self.end()
        shutil.rmtree(self.root, ignore_errors=True)


def free_addresses(host, count):
    """Ports nobody uses now; taken together, so they differ."""
    sockets = [socket.create_server((host, 0)) for _ in range(count)]
    addresses = [s.getsockname()[:2] for s in sockets]
    for s in sockets:
        s.close()
    return addresses
