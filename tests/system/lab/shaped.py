# SPDX-License-Identifier: ISC
"""A shape (shape.py) as a running Postfix at its usual places, with popgate
and stand-ins for what it has beside it; and what it says to whom."""
import dataclasses
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import sys

from . import namespace, tls
from .popgate import Popgate
from .postfix import SERVICES
from .proc import named
from .process import Failure, Process, wait_for
from .site import NamespaceSite
from .talk import Message, talk

DIRECTORY = pathlib.Path("/etc/postfix")
SPOOL = pathlib.Path("/var/spool/postfix")
LOG = pathlib.Path("/var/log/mail.log")

# what a shape may write into, each ours for the time of the test
COVERED = ("/etc", "/usr", "/var", "/home", "/opt", "/srv")

DEBIAN = "smtp inet n - y - - smtpd"

WORLD = "198.51.100.25:10999"
FOREIGN = "victim@elsewhere.test"
STRANGER = "someone@elsewhere.test"

TABLES = re.compile(r"\b(?:hash|btree|lmdb|cdb|dbm):([^\s,;}]+)")

# of Debian's: what smtpd can't do without; and names for the stand-in's DNS
NSSWITCH = """\
passwd: files
group: files
hosts: files dns
services: files
protocols: files
"""


class ShapeSite(NamespaceSite):
    """With the whole of /etc/postfix, /var and so on to write into."""

    def furnish(self, packages):
        super().furnish(packages)
        for top in COVERED[2:]:
            if os.path.isdir(top):
                namespace.cover(top, f"/run/cover{top}")
        namespace.mount("tmpfs", "/var/mail", "tmpfs", 0, "mode=1777")
        self.namespace.anywhere("198.18.0.0/16")
        for name in ("nsswitch.conf", "aliases", "aliases.db"):
            pathlib.Path("/etc", name).unlink(missing_ok=True)
        pathlib.Path("/etc/nsswitch.conf").write_text(NSSWITCH)
        pathlib.Path("/etc/mailname").write_text("lab.test\n")
        with open("/etc/passwd", "a") as passwd:
            passwd.write("filter:x:64912:64912::/nonexistent:/bin/sh\n")
        LOG.unlink(missing_ok=True)
        self.mail_log = LOG
        for path in (SPOOL, pathlib.Path("/var/lib/postfix")):
            path.mkdir(parents=True, exist_ok=True)
            namespace.mount("tmpfs", path, "tmpfs", 0, "mode=0755")
        os.chown("/var/lib/postfix", postfix_uid(), -1)
        for name in ("private", "etc"):
            (SPOOL / name).mkdir()
        os.chown(SPOOL / "private", postfix_uid(), -1)
        for name in ("services", "nsswitch.conf", "hosts", "resolv.conf"):
            shutil.copy(f"/etc/{name}", SPOOL / "etc")


def postfix_uid():
    return pwd.getpwnam("postfix").pw_uid


@dataclasses.dataclass
class Service:
    """One inet service of master.cf that speaks SMTP."""
    directory: pathlib.Path     # of its instance
    name: str                   # as in master.cf
    command: str
    host: str
    port: int
    tls: str = ""               # what a client needs to be heard
    auth: str | None = None     # None: no AUTH; else as tls

    back: bool = False      # a content filter's way back

    @property
    def local(self):
        return self.back or self.host.startswith("127.") or \
            self.host == "::1"

    def __str__(self):
        place = "" if self.directory == DIRECTORY else f"{self.directory}: "
        return f"{place}{self.name}"


@dataclasses.dataclass
class Question:
    kind: str               # "stranger foreign", "own", "login foreign", ...
    service: Service
    message: Message
    want: str | None = None     # of a dialogue that the shape holds
    login: bool = False

    def __str__(self):
        return f"{self.service}, {self.kind}"


@dataclasses.dataclass
class Heard:
    """The outcome of a question."""
    question: Question
    answer: object
    calls: set              # (kind, name) of stand-ins that were called
    fate: str = ""          # of an accepted message: "sent by RELAY", ...

    def __str__(self):
        return f"{self.question}: {self.answer}"


class ShapeLab:
    def __init__(self, shape):
        self.shape = shape
        self.site = ShapeSite()
        try:
            self.furnish()
        except BaseException:
            self.close()
            raise

    def close(self):
        self.site.close()

    # --- the server ---

    def furnish(self):
        shape = self.shape
        self.own_addresses()
        for path, (text, kind) in shape.files.items():
            write(pathlib.Path(path), text, kind)
        self.write_instance(DIRECTORY, shape.main, shape.master)
        for path in sorted(shape.files):
            path = pathlib.Path(path)
            if path.name == "main.cf" and path.parent != DIRECTORY:
                master = path.with_name("master.cf")
                self.write_instance(
                    path.parent, path.read_text(),
                    master.read_text() if master.exists() else "")
        self.certificates()
        self.stand_in()
        self.site.sockets = pathlib.Path(shape.sockets)
        self.site.sockets.mkdir(exist_ok=True)
        self.popgate = Popgate(
            self.site, ["postfix:/etc/postfix"], grace="0s",
            trusted=["127.0.0.1", "::1", *shape.trusted.split()])

    def own_addresses(self):
        """More of the machine's own, and names for some."""
        for words in self.shape.standins:
            if words[0] == "address":
                self.site.namespace.address(words[1])
            elif words[0] == "host":
                for path in ("/etc/hosts", SPOOL / "etc/hosts"):
                    with open(path, "a") as hosts:
                        hosts.write(f"127.0.0.1 {words[1]}\n")

    def write_instance(self, directory, main, master):
        write(directory / "main.cf", main)
        write(directory / "master.cf", complete(
            DEBIAN if master is None else master))
        if directory != DIRECTORY:
            self.make_instance(directory)
        text = self.shape.main + (master or "") + main
        for path in set(TABLES.findall(text)):
            path = path.replace("$config_directory", str(directory)).replace(
                "${config_directory}", str(directory))
            if path in self.shape.files:
                tool = "postalias" if "alias" in path and \
                    ":" in self.shape.files[path][0] else "postmap"
                run(f"/usr/sbin/{tool}", "-c", directory, f"hash:{path}")

    def make_instance(self, directory):
        """Make what postmulti -e create makes besides the two files."""
        dynamic = DIRECTORY / "dynamicmaps.cf"
        if dynamic.exists():
            shutil.copy(dynamic, directory)
        for name in ("queue_directory", "data_directory"):
            path = postconf("-c", directory, "-h", name)
            os.mkdir(path)
            if name == "data_directory":
                os.chown(path, postfix_uid(), -1)

    def certificates(self):
        """Debian's self-signed one."""
        text = self.shape.main + (self.shape.master or "")
        paths = [words[1] for words in self.shape.standins
                 if words[0] == "certificate"]
        if "ssl-cert-snakeoil" in text:
            paths += ["/etc/ssl/certs/ssl-cert-snakeoil.pem",
                      "/etc/ssl/private/ssl-cert-snakeoil.key"]
        if paths:
            pem = tls.certificate(self.site)
        for path in map(pathlib.Path, paths):
            assert str(path).startswith(COVERED), path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            kinds = [".key"] if "key" in path.name else [".key", ".cert"]
            path.write_text("".join(        # smtpd_tls_chain_files: both
                pem.with_suffix(kind).read_text() for kind in kinds))

    def stand_in(self):
        groups = [["sink", "world", WORLD],
                  ["dns", "dns", "127.0.0.1:53", ".test", ".example",
                   "example.org", "example.com", "example.net",
                   *self.own_names()]]
        for words in self.shape.standins:
            if words == ["sasldb"]:
                self.sasldb()
            elif words[0] not in ("address", "host", "certificate"):
                groups.append(words)
                if words[2].startswith("/"):
                    pathlib.Path(words[2]).parent.mkdir(parents=True,
                                                        exist_ok=True)
        self.record = self.site.root / "record"
        program = pathlib.Path(__file__).with_name("standins.py")
        Process("standins", [
            sys.executable, "-I", program, self.record,
            *" -- ".join(" ".join(group) for group in groups).split()],
            self.site.log).start().ready(
                lambda: self.record.exists() and
                "ready" in self.record.read_text(), "the stand-ins")

    def own_names(self):
        return [self.shape.own.partition("@")[2]] if self.shape.own else []

    def sasldb(self):
        """Cyrus SASL: Postfix asks its own file of passwords."""
        write(DIRECTORY / "sasl" / "smtpd.conf",
              "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
              "mech_list: PLAIN LOGIN\n")
        subprocess.run(["/usr/sbin/saslpasswd2", "-p", "-c", "-u",
                        self.site.hostname, self.shape.user], check=True,
                       text=True, input="secret")
        shutil.copy("/etc/sasldb2", SPOOL / "etc")
        for path in ("/etc/sasldb2", SPOOL / "etc/sasldb2"):
            os.chmod(path, 0o644)

    def directories(self):
        """The instances' own, the default first."""
        more = subprocess.run(
            ["/usr/sbin/postconf", "-h", "multi_instance_directories"],
            capture_output=True, text=True, check=True).stdout
        return [DIRECTORY, *map(pathlib.Path, re.split(r"[\s,]+",
                                                      more.strip()))] \
            if more.strip() else [DIRECTORY]

    def start(self):
        """Failure: this Postfix doesn't start, or its smtpd doesn't."""
        done = subprocess.run(["/usr/sbin/postfix", "start"],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"postfix start: {done.stderr}\n{log()}")
        dead = self.shape.dead.split()
        self.services = [service for service in self.find_services()
                         if service.name not in dead]
        for service in self.services:
            wait_for(lambda: speaks(service), f"{service} to speak")

    def reload(self):
        """Until the smtpd processes of before are gone."""
        before = named("smtpd", "postscreen")
        run("/usr/sbin/postfix", "reload")
        wait_for(lambda: not before & named("smtpd", "postscreen"),
                 "the end of the old smtpd processes")

    def find_services(self):
        found = []
        for directory in self.directories():
            services = postconf("-c", directory, "-M")
            interfaces = postconf("-c", directory, "-h", "inet_interfaces")
            for line in services.splitlines():
                name, kind, *_, command = line.split()[:8]
                if kind != "inet" or command not in ("smtpd", "postscreen"):
                    continue
                found.append(self.service(directory, line, name, command,
                                          interfaces))
        assert found, "no service speaks SMTP"
        return found

    def service(self, directory, line, name, command, interfaces):
        own = re.search(r"-o *inet_interfaces=(\S+)", line)
        interfaces = own[1] if own else interfaces
        host, _, port = name.rpartition(":")
        if not host:
            host = self.listening_on(interfaces)
        host = {"localhost": "127.0.0.1", "0.0.0.0": self.site.address4}.get(
            host, host).strip("[]")
        port = int(port) if port.isdigit() else socket.getservbyname(port)
        wrapped = "smtpd_tls_wrappermode=yes" in line
        return Service(directory, name, command, host, port,
                       "wrapper" if wrapped else "",
                       back=name in self.shape.back.split())

    def listening_on(self, interfaces):
        words = re.split(r"[\s,]+", interfaces.strip())
        if words in (["loopback-only"], ["localhost"]) or \
                all(word.startswith("127.") for word in words):
            return words[0] if words[0].startswith("127.") else "127.0.0.1"
        for word in words:
            if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", word) and \
                    not word.startswith("127."):
                return word
        return self.site.address4

    # --- popgate ---

    def login(self, questions):
        for client in {q.message.client for q in questions if q.login}:
            self.popgate.ctl("add", client, "--user", self.shape.user)

    def kill_popgate(self):
        """Ours, and whatever setup has started."""
        self.popgate.milter.kill()
        # by a child: we ourselves are not in the process table of /proc
        for pid in named("popgate-milter"):
            subprocess.run(["/bin/kill", "-KILL", str(pid)],
                           capture_output=True)
        wait_for(lambda: not named("popgate-milter"),
                 "the end of popgate")

    # --- the dialogue ---

    def discover(self):
        """How each service wants to be spoken to: TLS, AUTH."""
        open_ = [s for s in self.services if not s.local]
        plain = talk([self.probe(s, s.tls) for s in open_])
        again = [s for s, answer in zip(open_, plain)
                 if not s.tls and "STARTTLS" in answer.offers]
        secured = dict(zip(map(id, again), talk(
            [self.probe(s, "starttls") for s in again])))
        for service, answer in zip(open_, plain):
            tried = secured.get(id(service))
            if answer.code == 0:
                raise Failure(f"{service}: {answer}\n{log()}")
            if answer.code == 530 and tried:
                service.tls = "starttls"
            if "AUTH" in answer.offers:
                service.auth = service.tls
            elif tried and "AUTH" in tried.offers:
                service.auth = "starttls"

    def probe(self, service, secure):
        return Message((service.host, service.port), "198.18.255.9",
                       STRANGER, self.shape.own or FOREIGN, tls=secure)

    def questions(self):
        """The same in each phase; a client of its own for each."""
        shape, asked = self.shape, []

        def ask(kind, service, sender, rcpt, **how):
            if not rcpt:
                return
            number = len(asked) + 1
            client = how.pop("client", "127.0.0.1" if service.local else
                             f"198.18.{number // 250}.{number % 250 + 1}")
            asked.append(Question(kind, service, Message(
                (service.host, service.port), client, sender, rcpt,
                **{"tls": service.tls, **how}),
                login=kind.startswith("login")))
        for service in self.services:
            if service.local:
                ask("local own", service, STRANGER, shape.own)
                ask("local foreign", service, STRANGER, FOREIGN)
                continue
            ask("stranger own", service, STRANGER, shape.own)
            ask("stranger unknown", service, STRANGER,
                shape.own and shape.unknown)
            ask("stranger foreign", service, STRANGER, FOREIGN)
            ask("login own", service, shape.user_sender, shape.own)
            ask("login foreign", service, shape.user_sender, FOREIGN)
            if service.auth is not None:
                how = {"user": shape.user, "tls": service.auth}
                ask("auth own", service, shape.user_sender, shape.own, **how)
                ask("auth foreign", service, shape.user_sender, FOREIGN,
                    **how)
        for words in shape.dialogue:
            self.ask_more(asked, words)
        return asked

    def ask_more(self, asked, words):
        """Ask what the shape's own section "dialogue" says."""
        by_name = {str(s): s for s in self.services}
        service = by_name[words.get("service", "smtp")]
        if "client" in words:
            self.reachable(words["client"])
        number = len(asked) + 1
        message = Message(
            (service.host, service.port),
            words.get("client", f"198.18.{number // 250}.{number % 250 + 1}"),
            words.get("sender", STRANGER), words.get("rcpt", self.shape.own),
            helo=words.get("helo", "client.test"),
            user=self.shape.user if "auth" in words else None,
            tls=service.auth if "auth" in words else service.tls)
        name = " ".join(name if value is True else f"{name}={value}"
                        for name, value in words.items())
        asked.append(Question(f"extra {name}", service, message,
                              words.get("want"), "login" in words))

    def reachable(self, client):
        if not client.startswith(("127.", "198.18.", "203.0.113.", "192.0.2.",
                                  "198.51.100.")):
            done = subprocess.run(["ip", "route", "add", "local", client,
                                   "dev", "lo"], capture_output=True)
            assert done.returncode == 0 or b"exists" in done.stderr, done

    def hear(self, questions, at_once=4):
        """All that came of these questions: [Heard]."""
        seen = self.record.stat().st_size
        logged = LOG.stat().st_size if LOG.exists() else 0
        answers = talk([q.message for q in questions], at_once)
        fates = self.fates(answers, logged)
        calls = {}
        for line in self.record.read_bytes()[seen:].decode().splitlines():
            kind, name, client = line.split()
            calls.setdefault(client, set()).add((kind, name))
        return [Heard(question, answer,
                      calls.get(question.message.client, set()),
                      fates.get(answer.queue_id, "") if answer.accepted
                      else "")
                for question, answer in zip(questions, answers)]

    def fates(self, answers, logged):
        """The fates of accepted messages: {queue id: status, relay}."""
        ids = {a.queue_id for a in answers if a.accepted and a.queue_id}
        pattern = re.compile(r"/[\w-]+\[\d+\]: (\w+): to=<[^>]*>.*? "
                             r"relay=([^,]*),.* status=(\w+)")

        found = {}

        def all_known():
            for queue_id, relay, status in pattern.findall(
                    LOG.read_text(errors="replace")[logged:]):
                found[queue_id] = f"{status} by {relay}"
            return ids <= set(found)
        try:
            wait_for(all_known, seconds=30)
        except Failure:
            pass            # said as "not known": as before, or a problem
        return {queue_id: found.get(queue_id, "not known") for queue_id in ids}


def complete(master):
    """With what every Postfix has besides smtpd, where it isn't there."""
    have = set(re.findall(r"(?m)^(\S+)\s+(?:unix|unix-dgram|fifo|inet|pass)\s",
                          master))
    kinds = set(re.findall(r"(?m)^(\S+)\s+(unix|unix-dgram|fifo)\s", master))
    names = {name for name, _ in kinds}
    return master.rstrip("\n") + "\n" + "".join(
        f"{line}\n" for line in SERVICES.splitlines()
        if line.split()[0] not in names) if have else SERVICES


def write(path, text, kind=None):
    assert str(path).startswith(COVERED), path
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        run("/usr/bin/sqlite3", path, text)
        return
    path.unlink(missing_ok=True)
    path.write_text(text)


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise Failure(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def postconf(*arguments):
    return run("/usr/sbin/postconf", *arguments).strip()


def speaks(service):
    """Or Failure, as soon as its program said that it can't run."""
    with socket.socket() as probe:
        if probe.connect_ex((service.host, service.port)) != 0:
            return False
        if service.tls == "wrapper":
            return True
        probe.settimeout(0.2)
        while True:
            try:
                return probe.recv(3) == b"220"
            except TimeoutError:
                said = re.search(r"(?:smtpd|postscreen)\[\d+\]: fatal: .*",
                                 LOG.read_text(errors="replace"))
                if said:
                    raise Failure(f"{service}: {said[0]}") from None


def log(lines=40):
    """Postfix's log, without what is said of each client."""
    if not LOG.exists():
        return ""
    said = [line for line in LOG.read_text(errors="replace").splitlines()
            if not re.search(r": (dis)?connect from|statistics:", line)]
    return "\n".join(said[-lines:])
