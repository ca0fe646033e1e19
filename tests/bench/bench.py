#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Measure popgate-milter against a bare libmilter filter; `make bench`.

Both filters negotiate the same steps and get the same packets from the same
driver, in turns (A B A B ...) in one run; what counts is the ratio of the
medians, because absolute numbers are the machine's. Writes a Markdown table
to standard output and progress to standard error.
"""
import argparse
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

CONF = """\
logins: {{ database = "{logins}"; window = "30m"; }};
audit:  {{ database = "{audit}"; record = "all";
           durability = "{durability}"; }};
milter: {{ user = "root"; listen = "unix:{socket}"; status = "";
           drain_timeout = "0s"; }};
relay:  {{ local_domains = [ "home.test" ]; never_authorize = [ ];
           collector_grace = "7d"; }};
limits: {{ client_recipients = "10000000/1h"; client_messages = "10000000/1h";
           client_senders = "10000000/1h"; user_recipients = "10000000/1h";
           user_messages = "10000000/1h"; user_clients = "10000000/1d"; }};
"""
START_S = 30            # a filter must listen after this time
SETTLE_S = 0.3          # lets the audit writer finish between two turns
IDLE_SESSIONS = 1000
MIB_KB = 1024


def median(turns, key):
    return statistics.median(turn[key] for turn in turns)


def say(text):
    print(text, file=sys.stderr, flush=True)


class Filter:
    """A filter process and its socket."""

    def __init__(self, name, argv, path, log):
        self.name, self.path = name, path
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log)
        end = time.monotonic() + START_S
        while not self.listens():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                sys.exit(f"{name}: does not start, see {log.name}")
            time.sleep(0.02)

    def listens(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.path) == 0

    def memory_kb(self):
        """VmRSS, and the part of it that is not mapped from files."""
        with open(f"/proc/{self.process.pid}/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        return [int(lines[key].split()[0]) for key in ("VmRSS", "RssAnon")]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Gate(Filter):
    """popgate-milter with its configuration and tables."""

    def __init__(self, bench, size, durability="message", tag=""):
        name = f"popgate-{size}{tag}"
        self.audit = bench.file(name + ".audit.db")
        self.decided = 0
        self.logins = bench.logins(size)
        path, conf = bench.file(name + ".sock"), bench.file(name + ".conf")
        with open(conf, "w") as out:
            out.write(CONF.format(logins=self.logins, socket=path,
                                  audit=self.audit, durability=durability))
        checked = subprocess.run([bench.program("popgate-milter"), "-t",
                                  "-c", conf], capture_output=True, text=True)
        if checked.returncode != 0:
            sys.exit(checked.stdout + checked.stderr)
        # The log of a run under load is not read: to /dev/null, but written.
        with open(os.devnull, "w") as log:
            super().__init__(name, [bench.program("popgate-milter"),
                                    "-c", conf, "-l", "stderr"], path, log)

    def rows_missing(self):
        """Decisions the driver saw that are not in the table, after stop().
        Those under way when the driver stopped may be there as well."""
        with sqlite3.connect(f"file:{self.audit}?mode=ro", uri=True) as db:
            rows, = db.execute(
                "SELECT coalesce(sum(count), 0) FROM channel_decision").fetchone()
        return self.decided - rows


class Bench:
    def __init__(self, opt):
        self.opt = opt
        self.dir = tempfile.mkdtemp(prefix="bench.", dir=opt.build)
        self.filters = []
        self.negotiated = []
        self.table = []
        self.missed = 0

    def file(self, name):
        return os.path.join(self.dir, name)

    def program(self, name):
        return os.path.join(self.opt.build, name)

    def tool(self, name, *args, **kwargs):
        argv = [os.path.join(self.opt.tools, name), *map(str, args)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True,
                              **kwargs)
        if done.returncode != 0:
            sys.exit(f"{' '.join(argv)}: exit status {done.returncode}")
        return done.stdout

    def logins(self, size):
        path = self.file(f"logins-{size}.db")
        if not os.path.exists(path):
            say(f"making a table of {size:,} logins")
            self.tool("mklogins", path, size)
        return path

    @staticmethod
    def warm(path):
        """Have the table in the page cache: not the disk is measured, and
        some kernels throw out in a minute what nobody reads."""
        with open(path, "rb", buffering=0) as table:
            while table.read(1 << 20):
                pass

    def gate(self, *args, **kwargs):
        gate = Gate(self, *args, **kwargs)
        self.filters.append(gate)
        return gate

    def bare(self, like, tag=""):
        """A bare filter that negotiates what popgate-milter does."""
        path = self.file(f"bare{tag}.sock")
        args = self.tool("bench_milter", "-P", "-p", like.path).splitlines()
        with open(self.file("bare.log"), "w") as log:
            bare = Filter("bare", [os.path.join(self.opt.tools, "bare_filter"),
                                   *args, "-p", "unix:" + path], path, log)
        self.negotiated = args
        self.filters.append(bare)
        return bare

    def stop(self):
        for filter_ in self.filters:
            filter_.stop()
        for gate in [f for f in self.filters if isinstance(f, Gate)]:
            missing = gate.rows_missing()
            if missing > 0:
                self.missed += 1
                print(f"MISSED: {gate.name}: {missing} of {gate.decided} "
                      "decisions are not in the audit table")
            else:
                say(f"{gate.name}: all {gate.decided:,} decisions recorded")
        self.filters = []

    def drive(self, filter_, *args):
        """One turn of the driver: a dict of its numbers."""
        time.sleep(SETTLE_S)
        if isinstance(filter_, Gate):
            self.warm(filter_.logins)
        out = self.tool("bench_milter", "-p", filter_.path, *args)
        got = {k: float(v) for k, v in (w.split("=") for w in out.split())}
        if isinstance(filter_, Gate):
            filter_.decided += int(got["decided"])
        say(f"  {filter_.name:24} " + " ".join(
            f"{k}={got[k]:.0f}" for k in
            ("sessions_per_s", "rcpt_p50_us", "rcpt_p99_us", "messages_per_s",
             "data_p50_us", "accepted", "rejected", "tempfailed")))
        return got

    def check_verdicts(self, turns, share):
        """The filter must really have decided: share of accepted."""
        yes = sum(t["accepted"] for t in turns)
        no = sum(t["rejected"] for t in turns)
        odd = sum(t["tempfailed"] for t in turns)
        if odd or abs(yes / (yes + no) - share) > 0.02:
            self.missed += 1
            print(f"MISSED: {yes:.0f} recipients accepted, {no:.0f} rejected,"
                  f" {odd:.0f} deferred; expected {share:.0%} accepted")

    def row(self, what, base, got, target=None, at_least=False):
        ratio = got / base
        verdict = "| |"
        if target is not None:
            met = ratio >= target if at_least else ratio <= target
            self.missed += not met
            verdict = (f"| {'≥' if at_least else '≤'} {target:.2f} "
                       f"| {'met' if met else '**missed**'}")
        self.table.append(f"| {what} | {base:,.0f} | {got:,.0f} "
                          f"| {ratio:.2f} {verdict} |")

    def heading(self, text, base, got):
        self.table += ["", text, "",
                       f"| measure | {base} | {got} | ratio | target | |",
                       "|---|--:|--:|--:|--:|---|"]

    # The measures

    def throughput(self):
        say("throughput and latency, 16 sessions at a time")
        sizes = self.opt.tables
        gates = {size: self.gate(size) for size in sizes}
        bare = self.bare(gates[sizes[0]])
        turns = {f: [] for f in (bare, *gates.values())}
        paced = {f: [] for f in turns}

        def load(f):
            size = next((s for s in sizes if gates[s] is f), sizes[0])
            return ("-s", 16, "-r", 2, "-a", 50, "-n", size,
                    "-t", self.opt.seconds)

        half = self.drive(gates[sizes[-1]],
                          *load(gates[sizes[-1]]))["sessions_per_s"] / 2
        for number in range(self.opt.rounds):
            order = list(turns)[::-1 if number % 2 else 1]
            for f in order:
                turns[f].append(self.drive(f, *load(f)))
            for f in order:
                paced[f].append(self.drive(f, *load(f), "-R", half))

        def mid(f, key, turns=turns):
            return median(turns[f], key)

        for size in sizes:
            gate = gates[size]
            self.check_verdicts(turns[gate] + paced[gate], 0.5)
            self.heading(
                f"16 sessions at a time, 2 foreign recipients each, half of "
                f"the clients with a login, {size:,} logins, every decision "
                "recorded. Sessions end with RSET and QUIT, so no fsync is "
                "waited for.", "bare filter", "popgate-milter")
            self.row("sessions/s", mid(bare, "sessions_per_s"),
                     mid(gate, "sessions_per_s"), 0.92, at_least=True)
            self.row("RCPT p50, saturated, µs", mid(bare, "rcpt_p50_us"),
                     mid(gate, "rcpt_p50_us"), 1.25)
            self.row("RCPT p99, saturated, µs", mid(bare, "rcpt_p99_us"),
                     mid(gate, "rcpt_p99_us"), 1.4)
            self.row(f"RCPT p50, {half:,.0f} sessions/s, µs",
                     mid(bare, "rcpt_p50_us", paced),
                     mid(gate, "rcpt_p50_us", paced), 1.15)
        if len(sizes) > 1:
            small, big = gates[sizes[0]], gates[sizes[-1]]
            self.heading("Size of the login table.", f"{sizes[0]:,} logins",
                         f"{sizes[-1]:,} logins")
            self.row("RCPT p50, µs", mid(small, "rcpt_p50_us"),
                     mid(big, "rcpt_p50_us"), 1.10)
        self.stop()

    def writer(self):
        """Saturated, the processors are what is short and a bare filter
        suffers too; at half that rate it is the table."""
        say("with a writer committing logins")
        size = self.opt.tables[-1]
        gate = self.gate(size, tag="-writer")
        bare = self.bare(gate, "-writer")
        load = ("-s", 16, "-r", 2, "-a", 50, "-n", size,
                "-t", self.opt.seconds)
        half = self.drive(gate, *load)["sessions_per_s"] / 2
        cases = {(f, paced): ([], []) for paced in (False, True)
                 for f in (bare, gate)}
        rates = []
        for _ in range(self.opt.rounds):
            for (f, paced), (alone, beside) in cases.items():
                args = (*load, "-R", half) if paced else load
                alone.append(self.drive(f, *args))
                writer = subprocess.Popen(
                    [os.path.join(self.opt.tools, "login_writer"), "-n",
                     str(size), self.logins(size)], text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                beside.append(self.drive(f, *args))
                out = writer.communicate()[0]
                if writer.returncode != 0:
                    sys.exit("login_writer failed")
                rates.append(float(out.split("logins_per_s=")[1]))
        rate = statistics.median(rates)
        self.heading(
            f"RCPT p99 with {size:,} logins, without and with a writer that "
            "commits 256 logins every millisecond, or as fast as it can: it "
            f"reached {rate:,.0f} logins/s.", "alone", "with writer")
        for (f, paced), (alone, beside) in cases.items():
            pace = f"{half:,.0f} sessions/s" if paced else "saturated"
            self.row(f"{f.name.split('-')[0]}, {pace}, µs",
                     median(alone, "rcpt_p99_us"),
                     median(beside, "rcpt_p99_us"),
                     2 if f is gate and paced else None)
            if f is gate:
                self.check_verdicts(alone + beside, 0.5)
        self.stop()

    def durable(self):
        """Saturated, the DATA reply queues for the processors as any other;
        at half that rate it is the disk that is waited for."""
        say("durable relays, 64 sessions at a time")
        size = self.opt.tables[len(self.opt.tables) // 2]
        none = self.gate(size, "none", tag="-none")
        message = self.gate(size, "message", tag="-message")
        bare = self.bare(message, "-durable")
        load = ("-m", "-s", 64, "-r", 2, "-a", 100, "-n", size,
                "-t", self.opt.seconds)
        half = self.drive(message, *load)["messages_per_s"] / 2
        full = {f: [] for f in (none, message, bare)}
        paced = {f: [] for f in (none, message, bare)}
        sync = []
        for _ in range(self.opt.rounds):
            out = self.tool("fsync_ref", self.file("fsync_ref"))
            sync.append(float(out.split()[0].split("=")[1]))
            for f in full:
                full[f].append(self.drive(f, *load))
                paced[f].append(self.drive(f, *load, "-R", half))
        self.check_verdicts(full[message] + paced[message], 1.0)
        self.heading("64 sessions at a time, each sending one relayed "
                     "message: 2 recipients, DATA, end of message.",
                     'durability = "none"', 'durability = "message"')
        self.row("messages/s", median(full[none], "messages_per_s"),
                 median(full[message], "messages_per_s"), 0.6, at_least=True)
        self.heading("Its DATA reply, p50, against appending 4 KiB to a file "
                     "on the same file system and making it durable.",
                     "one fdatasync", "DATA reply")
        for turns, pace in ((full, "saturated"),
                            (paced, f"{half:,.0f} messages/s")):
            for f, name in ((message, "popgate"), (none, 'popgate, "none"'),
                            (bare, "bare")):
                self.row(f"{name}, {pace}, µs", statistics.median(sync),
                         median(turns[f], "data_p50_us"),
                         3 if f is message and turns is paced else None)
        self.stop()

    def idle(self):
        say(f"{IDLE_SESSIONS:,} idle sessions")
        size = self.opt.tables[len(self.opt.tables) // 2]
        gate = self.gate(size, tag="-idle")
        kb = {}
        for f in (self.bare(gate, "-idle"), gate):
            driver = subprocess.Popen(
                [os.path.join(self.opt.tools, "bench_milter"), "-i", "-s",
                 str(IDLE_SESSIONS), "-r", "2", "-n", str(size),
                 "-p", f.path], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            if driver.stdout.readline().strip() != "idle":
                sys.exit("bench_milter failed")
            time.sleep(2)
            kb[f.name] = f.memory_kb()
            driver.communicate()
            say(f"  {f.name:24} VmRSS={kb[f.name][0]} kB, "
                f"RssAnon={kb[f.name][1]} kB")
        base, got = kb["bare"][0], kb[gate.name][0]
        met = got <= base + 16 * MIB_KB
        self.missed += not met
        self.table += [
            "", f"{IDLE_SESSIONS:,} idle sessions, each after one message up "
            f"to RSET; {size:,} logins.", "",
            "| measure | bare filter | popgate-milter | difference "
            "| target | |", "|---|--:|--:|--:|--:|---|",
            f"| resident memory, MiB | {base / MIB_KB:.1f} "
            f"| {got / MIB_KB:.1f} | {(got - base) / MIB_KB:+.1f} "
            f"| ≤ +16 | {'met' if met else '**missed**'} |"]
        self.stop()

    def report(self):
        with open("/proc/cpuinfo") as info:
            model = next((line.split(":")[1].strip() for line in info
                          if line.startswith("model name")), "?")
        print(f"{os.cpu_count()} processors ({model}), Linux "
              f"{os.uname().release}; {self.opt.rounds} rounds of "
              f"{self.opt.seconds:g} s; medians.")
        print("Both filters negotiate: " +
              " ".join(f"`{a}`" for a in self.negotiated
                       if a not in ("-f", "-m")))
        print("\n".join(self.table))
        print(f"\n{self.missed} target(s) missed."
              if self.missed else "\nAll targets met.")


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build",
                        help="where popgate-milter is, and room for tables")
    parser.add_argument("--tools", help="where the bench's own programs are "
                        "(default: BUILD/bench)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--tables", default="1000,1000000,10000000",
                        help="sizes of the login table, rising")
    parser.add_argument("--only", default="throughput,writer,durable,idle")
    parser.add_argument("--strict", action="store_true",
                        help="exit with 1 when a target is missed")
    opt = parser.parse_args()
    opt.build = os.path.abspath(opt.build)
    opt.tools = os.path.abspath(opt.tools or
                                os.path.join(opt.build, "bench"))
    opt.tables = [int(n) for n in opt.tables.split(",")]
    return opt


def main():
    opt = options()
    bench = Bench(opt)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        for measure in opt.only.split(","):
            getattr(bench, measure)()
        bench.report()
    finally:
        for filter_ in bench.filters:
            filter_.stop()
        shutil.rmtree(bench.dir, ignore_errors=True)
    sys.exit(1 if opt.strict and bench.missed else 0)


if __name__ == "__main__":
    main()
