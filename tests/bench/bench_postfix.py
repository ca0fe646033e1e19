#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Measure what popgate costs a real Postfix; part of `make bench`, as root.

One Postfix in a private directory, with an smtpd on a port of its own for
each wiring; smtp-source sends to them in turns, everything is delivered to
discard:, and queue and tables are on the same disk. What counts is the ratio
of the medians: absolute numbers are the machine's. Markdown goes to standard
output, progress to standard error.
"""
import argparse
import os
import pathlib
import pwd
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/system"))

from lab.postfix import SERVICES                        # noqa: E402
from lab.process import Process, need, wait_for         # noqa: E402
from lab.site import free_addresses                     # noqa: E402

SESSIONS = 20
BYTES = 1000            # of a message's body
FAR, OWN = "far.test", "home.test"

MAIN = """\
compatibility_level = 3.6
config_directory = {etc}
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
multi_instance_enable = no
import_environment = MAIL_CONFIG
maillog_file = /dev/null
maillog_file_prefixes = /dev
myhostname = bench.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
mydestination = {own}
local_recipient_maps =
alias_maps =
alias_database =
default_transport = discard:
local_transport = discard:
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_recipient_limit = 10000
"""
CONF = """\
logins: {{ database = "{root}/popgate/logins.db"; window = "1d"; }};
audit:  {{ database = "{root}/popgate/audit.db"; }};
milter: {{ listen = "unix:{root}/popgate/milter.sock"; status = "";
           group = "postfix"; mode = "0660"; user = "root";
           drain_timeout = "1s"; }};
permit: {{ policy = "unix:{root}/popgate/policy.sock"; }};
relay:  {{ local_domains = [ "{own}" ]; never_authorize = [ ];
           collector_grace = "7d"; }};
limits: {{ client_recipients = "10000000/1h"; client_messages = "10000000/1h";
           client_senders = "10000000/1h"; user_recipients = "10000000/1h";
           user_messages = "10000000/1h"; user_clients = "10000000/1d"; }};
collector: {{ sources = ( ); }};
"""
# who may relay without popgate: everybody on this machine
BY_NETWORK = {"mynetworks": "127.0.0.0/8",
              "smtpd_relay_restrictions":
                  "permit_mynetworks, reject_unauth_destination"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def settings(path, sockets):
    """The parameters that a file of etc/postfix sets."""
    found, name = {}, None
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] not in " \t":
            name, _, line = line.partition("=")
            name = name.strip()
            found[name] = ""
        found[name] = f"{found[name]} {line.strip()}".strip()
    return {name: value.replace("/run/popgate/", f"{sockets}/")
            for name, value in found.items()}


class Bench:
    def __init__(self, opt):
        self.opt = opt
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="bench-postfix.",
                                                  dir=opt.dir))
        self.root.chmod(0o755)
        self.etc = self.root / "etc"
        for name in ("etc", "queue", "data", "popgate", "log"):
            (self.root / name).mkdir()
        postfix = pwd.getpwnam("postfix")
        os.chown(self.root / "data", postfix.pw_uid, postfix.pw_gid)
        self.processes = []
        self.expected = 0       # recipients that popgate relayed
        self.missed = 0
        self.ports = {}
        self.turns = {}

    def start(self):
        sockets = self.root / "popgate"
        conf = self.etc / "popgate.conf"
        conf.write_text(CONF.format(root=self.root, own=OWN))
        need("/usr/sbin/smtp-source", "postfix")
        ctl = [str(self.opt.build / "popgatectl"), "-c", str(conf)]
        subprocess.run([*ctl, "add", "127.0.0.1", "--for", "1d"], check=True,
                       stdout=subprocess.DEVNULL)
        self.run("popgate-milter", self.opt.build / "popgate-milter", "-c",
                 conf, "-l", "stderr").accepts(sockets / "milter.sock")
        # what popgate asks for is what the filter that does nothing gets
        steps = subprocess.run(
            [self.opt.tools / "bench_milter", "-P", "-p",
             sockets / "milter.sock"], check=True, capture_output=True,
            text=True).stdout.splitlines()
        bare = sockets / "bare.sock"
        self.run("bare_filter", self.opt.tools / "bare_filter", *steps,
                 "-p", f"unix:{bare}").accepts(bare)
        shutil.chown(bare, group="postfix")
        bare.chmod(0o660)

        idle = sockets / "bare-policy.sock"
        self.run("bare_policy", self.opt.tools / "bare_policy",
                 idle).accepts(idle)

        closed = settings(TOP / "etc/postfix/closed.cf", sockets)
        policy = {name: value for name, value in closed.items()
                  if name != "smtpd_milters"}
        filter_ = {"smtpd_milters": closed["smtpd_milters"].replace(
            str(sockets / "milter.sock"), str(bare))}
        idle_policy = {name: value.replace(str(sockets / "policy.sock"),
                                           str(idle))
                       for name, value in policy.items()}
        wirings = {"none": BY_NETWORK,
                   "filter": {**BY_NETWORK, **filter_},
                   "idle policy": idle_policy,
                   "policy": policy,
                   "policy+filter": {**policy, **filter_},
                   "closed": closed}
        master = ""
        for name, address in zip(wirings, free_addresses("127.0.0.1",
                                                         len(wirings))):
            self.ports[name] = address
            master += f"127.0.0.1:{address[1]} inet n - n - 200 smtpd\n"
            for key, value in wirings[name].items():
                master += f"  -o {{ {key} = {value} }}\n"
        (self.etc / "main.cf").write_text(MAIN.format(
            root=self.root, etc=self.etc, own=OWN))
        (self.etc / "master.cf").write_text(master + SERVICES)
        process = self.run("postfix", "/usr/sbin/postfix", "-c", self.etc,
                           "start-fg")
        for address in self.ports.values():
            process.accepts(address)

    def run(self, name, *command):
        process = Process(name, command, self.root / "log").start()
        self.processes.append(process)
        return process

    def stop(self):
        subprocess.run(["/usr/sbin/postfix", "-c", self.etc, "stop"],
                       capture_output=True)
        for process in reversed(self.processes):
            process.stop()

    def send(self, wiring, recipients, domain):
        """Messages a second; every one must have been taken."""
        messages = self.opt.messages if recipients == 1 \
            else max(self.opt.messages // 4, SESSIONS)
        begin = time.monotonic()
        done = subprocess.run(
            ["/usr/sbin/smtp-source", "-s", str(SESSIONS), "-m",
             str(messages), "-r", str(recipients), "-l", str(BYTES),
             "-f", f"alice@{OWN}", "-t", f"someone@{domain}",
             "{}:{}".format(*self.ports[wiring])],
            capture_output=True, text=True)
        took = time.monotonic() - begin
        if done.returncode != 0 or done.stderr:
            sys.exit(f"smtp-source, {wiring}: {done.stderr}")
        if domain == FAR and wiring == "closed":
            self.expected += messages * recipients
        rate = messages / took
        say(f"  {wiring:14} {recipients:3} x {domain:10} {rate:8.0f} "
            "messages/s")
        return rate

    def drained(self):
        """Wait until the queue is empty: mail delivered later would weigh on
        the next turn."""
        active = self.root / "queue"
        wait_for(lambda: not any(
            path.is_file() for name in ("incoming", "active")
            for path in (active / name).rglob("*")), "an empty queue", 120)

    def measure(self):
        # the last ones are our own mail, which popgate isn't asked about
        cases = [(wiring, recipients, FAR) for recipients in (1, 20)
                 for wiring in self.ports]
        cases += [(wiring, 1, OWN)
                  for wiring in ("none", "filter", "closed")]
        for case in cases:      # processes start, caches fill
            self.send(*case)
            self.drained()
        for number in range(self.opt.rounds):
            for case in cases[::-1 if number % 2 else 1]:
                self.turns.setdefault(case, []).append(self.send(*case))
                self.drained()

    def check_rows(self):
        """Every recipient that was relayed in the closed wiring must have
        its row of the milter, on disk, after the daemon has stopped."""
        with sqlite3.connect(
                f"file:{self.root}/popgate/audit.db?mode=ro", uri=True) as db:
            rows, = db.execute(
                "SELECT count(*) FROM channel_decision WHERE channel = 'milter' AND "
                "verdict = 'accept' AND class = 'relay'").fetchone()
        if rows != self.expected:
            self.missed += 1
            print(f"MISSED: {self.expected} recipients were relayed, and "
                  f"{rows} are in the audit table")

    def row(self, what, base, got, target=None):
        base, got = (statistics.median(self.turns[case])
                     for case in (base, got))
        verdict = "| |"
        if target is not None:
            self.missed += got / base < target
            verdict = (f"| ≥ {target:.2f} | "
                       f"{'met' if got / base >= target else '**missed**'}")
        print(f"| {what} | {base:,.0f} | {got:,.0f} | {got / base:.2f} "
              f"{verdict} |")

    def report(self):
        print(f"\nA real Postfix, smtp-source with {SESSIONS} sessions, "
              f"{BYTES} bytes a message, one connection a message, delivery "
              f"to `discard:`; medians of {self.opt.rounds} turns of "
              f"{self.opt.messages:,} messages (a quarter of that with 20 "
              "recipients), messages a second.\n")
        print("| measure | reference | popgate | ratio | target | |\n"
              "|---|--:|--:|--:|--:|---|")
        for recipients in (1, 20):
            def case(wiring):
                return wiring, recipients, FAR

            many = f"relayed, {recipients} recipient" + \
                ("s" if recipients > 1 else "")
            self.row(f"{many}: a filter that does nothing / no filter",
                     case("none"), case("filter"))
            self.row(f"{many}: a policy service that does nothing / no "
                     "filter", case("none"), case("idle policy"))
            self.row(f"{many}: policy service alone / one that does nothing",
                     case("idle policy"), case("policy"))
            self.row(f"{many}: policy service alone / no filter",
                     case("none"), case("policy"), 0.85)
            self.row(f"{many}: closed wiring / policy service and a filter "
                     "that does nothing", case("policy+filter"),
                     case("closed"), 0.95)
            self.row(f"{many}: closed wiring / no filter", case("none"),
                     case("closed"))
        self.row("our own mail: a filter that does nothing / no filter",
                 ("none", 1, OWN), ("filter", 1, OWN))
        self.row("our own mail: closed wiring / a filter that does nothing",
                 ("filter", 1, OWN), ("closed", 1, OWN))
        self.row("our own mail: closed wiring / no filter",
                 ("none", 1, OWN), ("closed", 1, OWN), 0.95)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--tools", type=pathlib.Path,
                        help="where bare_filter is: BUILD/bench")
    parser.add_argument("--dir", default="/var/tmp",
                        help="on the disk to measure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=2000)
    opt = parser.parse_args()
    opt.build = opt.build.resolve()
    opt.tools = opt.tools or opt.build / "bench"
    if os.geteuid() != 0:
        sys.exit("bench_postfix.py: Postfix starts as root only")
    bench = Bench(opt)
    try:
        try:
            bench.start()
            bench.measure()
        finally:
            bench.stop()
        bench.report()
        bench.check_rows()
    finally:
        shutil.rmtree(bench.root, ignore_errors=True)
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
