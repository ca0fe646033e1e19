#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Measure what sharing between machines costs, as ratios in one run.

usage: bench_share.py [--build DIR] [--dir DIR] [--seconds N] [--only NAME]
NAME: latency, rate, publishers, cost, rcpt
Prints a table; exits 1 when a target is missed."""
import argparse
import contextlib
import itertools
import multiprocessing
import pathlib
import re
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "system"))

from lab.redis import PASSWORD, Redis  # noqa: E402

KEY = "ab" * 32
ROUNDS = 3
LINE = ("{stamp} mail dovecot: imap-login: Login: user=<u{n}>, method=PLAIN, "
        "rip={ip}, lip=198.51.100.5, mpid=4242, TLS, session=<aBcD>\n")
CONF = """\
logins: {{ database = "{at}/logins.db"; }};
audit: {{ database = "{at}/audit.db"; record = "all"; }};
milter: {{ user = "root"; listen = "unix:{at}/milter.sock"; status = "";
          drain_timeout = "0s"; }};
permit: {{ policy = "unix:{at}/policy.sock"; socketmap = ""; }};
relay: {{ local_domains = [ "home.test" ]; never_authorize = [ ];
         collector_grace = "7d"; }};
limits: {{ client_recipients = "10000000/1h"; client_messages = "10000000/1h";
          client_senders = "10000000/1h"; user_recipients = "10000000/1h";
          user_messages = "10000000/1h"; user_clients = "10000000/1d"; }};
collector: {{ user = "root"; sources = ( {{ file = "{at}/mail.log"; }} );
             status = ""; }};
"""
SHARE = """\
share: {{ servers = [ "unix:{redis}" ]; user = "popgate"; name = "{name}";
         password_file = "{dir}/password"; key_file = "{dir}/key"; }};
"""


def address(n):
    return f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"


def lines(first, count):
    stamp = time.strftime("%b %e %H:%M:%S")
    return "".join(LINE.format(stamp=stamp, n=n, ip=address(n))
                   for n in range(first, first + count))


def processor_s(pid):
    """Of all its threads; exact to the nanosecond."""
    return sum(int(task.read_text().split()[0]) for task in pathlib.Path(
        f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def wait_until(condition, seconds=600):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("bench_share: what should come doesn't")
        time.sleep(0.002)


class Machine:
    """The tables and daemons of one machine."""

    def __init__(self, bench, name, share=True):
        self.at = bench.dir / name
        self.at.mkdir()
        self.name, self.build, self.daemons = name, bench.build, []
        self.log = self.at / "mail.log"
        self.log.touch()
        conf = CONF.format(at=self.at)
        if share:
            conf += SHARE.format(redis=bench.redis.socket, name=name,
                                 dir=bench.dir)
        (self.at / "popgate.conf").write_text(conf)
        self.asked = self.reader = None

    def start(self, *programs):
        for program in programs:
            self.daemons.append(subprocess.Popen(
                [self.build / f"popgate-{program}", "-c",
                 self.at / "popgate.conf", "-l", "stderr"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=(self.at / f"{program}.err").open("ab")))
            word = "started, " if program == "collector" else ": ready"
            wait_until(lambda: word in
                       (self.at / f"{program}.err").read_text())
        return self

    def write(self, text):
        with self.log.open("a") as out:
            out.write(text)

    def value(self, sql, *args):
        try:
            with contextlib.closing(sqlite3.connect(
                    f"file:{self.at}/logins.db?mode=ro", uri=True)) as db:
                row = db.execute(sql, args).fetchone()
                return row and row[0]
        except sqlite3.OperationalError:
            return None

    def read_all(self):
        return self.value("SELECT position FROM source WHERE name LIKE "
                          "'file:%'") == self.log.stat().st_size

    def hears(self, count):
        """So many other machines."""
        return self.value("SELECT count(*) FROM share_peer WHERE name <> ''"
                          ) == count

    def knows(self, client):
        """Has its table this client?"""
        if self.reader is None:
            self.reader = sqlite3.connect(
                f"file:{self.at}/logins.db?mode=ro", uri=True)
        return self.reader.execute("SELECT 1 FROM login WHERE client = ?",
                                   (client,)).fetchone() is not None

    def accepts(self, client):
        """The policy service's answer about a recipient elsewhere."""
        if self.asked is None:
            self.asked = socket.socket(socket.AF_UNIX)
            self.asked.connect(str(self.at / "policy.sock"))
        self.asked.sendall(
            "request=smtpd_access_policy\nprotocol_state=RCPT\n"
            f"client_address={client}\nsender=x@far.test\n"
            "recipient=y@elsewhere.test\n\n".encode())
        return b"action=OK" in self.asked.recv(4096)

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(60)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons = []


class Bench:
    def __init__(self, build, where, seconds):
        self.build, self.dir, self.seconds = build, where, seconds
        self.missed, self.number = 0, itertools.count(1)
        for name, text in (("key", KEY), ("password", PASSWORD)):
            (where / name).write_text(text + "\n")
            (where / name).chmod(0o600)
        self.redis = Redis(where)

    def row(self, what, got, unit, target=None, good=True):
        self.missed += not good
        print(f"{what:<60} {got:>10.3f} {unit:<8} {target or '':<9} "
              f"{'' if target is None else 'ok' if good else 'MISSED'}",
              flush=True)

    @contextlib.contextmanager
    def site(self, *machines):
        """(name, share) each, with a Redis of their own."""
        self.redis.start()
        made = []
        try:
            for name, share in machines:
                made.append(Machine(self, f"{name}{next(self.number)}",
                                    share))
            yield made
        finally:
            for machine in made:
                machine.stop()
            self.redis.stop()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


# --- the measures ---

def latency(bench):
    """A line written on A, until a recipient is accepted on A and on B."""
    with bench.site(("a", True), ("b", True), ("alone", False)) as (
            a, b, alone):
        for machine in (a, b, alone):
            machine.start("collector", "milter")
        wait_until(lambda: a.hears(1) and b.hears(1))
        took = {"alone": [], "here": [], "there": []}
        cases = (("alone", alone, alone), ("here", a, a), ("there", a, b))
        for n in range(3 * 400):
            name, source, asked = cases[n % 3]
            text = lines(n, 1)
            begin = time.monotonic()
            source.write(text)
            # questions in vain are work, too: no recipient before it's there
            while not asked.knows(address(n)) or \
                    not asked.accepts(address(n)):
                time.sleep(0.0002)
            took[name].append((time.monotonic() - begin) * 1000)
            time.sleep(0.01)
    for name, what in (("alone", "nothing shared"), ("here", "on A itself"),
                       ("there", "on B")):
        for share in (0.5, 0.99):
            bench.row(f"line on A to RCPT accepted, {what}, "
                      f"p{share * 100:.0f}", percentile(took[name], share),
                      "ms")
    ratio = percentile(took["there"], 0.5) / percentile(took["alone"], 0.5)
    p99 = percentile(took["there"], 0.99)
    bench.row("p50 on B, of that of a machine alone", ratio, "x", "<= 4",
              ratio <= 4)
    bench.row("p99 on B", p99, "ms", "<= 50", p99 <= 50)


def keep_writing(log, first, rate, seconds):
    """Lines of new clients at a rate: another process."""
    begin, done = time.monotonic(), 0
    with open(log, "a", 1 << 20) as out:
        while (at := time.monotonic() - begin) < seconds:
            due = int(rate * at) - done
            if due > 0:
                out.write(lines(first + done, due))
                out.flush()
                done += due
            time.sleep(0.01)


def held(bench, rate, seconds):
    """Three machines at this rate each: the longest lag from a line on A to
    the table of B, the median; the processor time of a collector and of Redis
    for a login, until all are in all tables."""
    fork = multiprocessing.get_context("fork")
    with bench.site(("a", True), ("b", True), ("c", True)) as machines:
        for machine in machines:
            machine.start("collector")
        wait_until(lambda: all(m.hears(2) for m in machines))
        writers = [fork.Process(target=keep_writing, args=(
            m.log, i * 2_000_000, rate, seconds), daemon=True)
            for i, m in enumerate(machines)]
        pids = [m.daemons[0].pid for m in machines] + [bench.redis.child.pid]
        used = [processor_s(pid) for pid in pids]
        for writer in writers:
            writer.start()
        begin, lags = time.monotonic(), []
        a, b, c = machines
        n = 15_000_000
        while time.monotonic() - begin < seconds:
            n += 1
            at = time.monotonic()
            a.write(lines(n, 1))
            while not b.knows(address(n)) and time.monotonic() - at < 20:
                time.sleep(0.01)
            lags.append(time.monotonic() - at)
            time.sleep(0.2)
        for writer in writers:
            writer.join()
        count = sum(m.log.read_text().count("\n") for m in machines)
        wait_until(lambda: all(m.value("SELECT count(*) FROM login") == count
                               for m in machines))
        used = [processor_s(pid) - before for pid, before in zip(pids, used)]
        # each is in three tables, and once in Redis
        return max(lags), statistics.median(lags), \
            [sum(used[:3]) / count / 3, used[3] / count]


def rate(bench):
    """7,000 logins a second on each of three, or what is held of that."""
    most = None         # the processor time at the highest rate
    for each in (7000, 5000, 3500, 2500, 1500, 1000, 500, 250):
        lag, middle, used = held(bench, each, 10)
        print(f"  {each}/s each for 10 s: lag {middle:.3f} s (median), "
              f"{lag:.3f} s (most); processor time {used[0] * 1e6:.1f} us a "
              f"login and table, {used[1] * 1e6:.1f} in Redis", flush=True)
        most = most or used
        if lag < 1:
            break
    lag, middle, _ = held(bench, each, bench.seconds)
    bench.row(f"logins/s on each of three machines, {bench.seconds} s", each,
              "/s", ">= 7000", each >= 7000 and lag < 1)
    bench.row("from a line on A to the table of B, median", middle, "s")
    bench.row("from a line on A to the table of B, most", lag, "s", "< 1",
              lag < 1)
    bench.row("processor time of a collector, a login in its table",
              most[0] * 1e6, "us")
    bench.row("processor time of Redis, a login", most[1] * 1e6, "us")
    # 21,000 in each of three tables, and once in Redis
    bench.row("so 3 x 7,000/s take, of all three and Redis",
              21000 * (3 * most[0] + most[1]), "proc.")


def publishers(bench):
    """50 machines publish 400 logins a second each."""
    program = bench.build / "bench/share_publisher"
    seconds, count, each = bench.seconds, 50, 400
    bench.redis.start()
    try:
        def memory():
            return int(re.search(r"used_memory:(\d+)", bench.redis.cli(
                "INFO", "memory"))[1])
        empty, used = memory(), processor_s(bench.redis.child.pid)
        begin = time.monotonic()
        all_of_them = [subprocess.Popen(
            [program, f"unix:{bench.redis.socket}", "popgate", "popgate",
             PASSWORD, bench.dir / "key", str(each), str(seconds),
             str(i * 300_000)], stdout=subprocess.PIPE, text=True)
            for i in range(count)]
        done = [p.communicate()[0].split() for p in all_of_them]
        took = time.monotonic() - begin
        used = processor_s(bench.redis.child.pid) - used
        entries = int(bench.redis.cli("XLEN", "popgate"))
        per_entry = (memory() - empty) / entries
    finally:
        bench.redis.stop()
    published = sum(int(n) for n, _ in done)
    got = published / took
    bench.row("50 publishers: entries/s", got, "/s", ">= 19000",
              got >= 19000)
    bench.row("entries published and not in the stream", published - entries,
              "", "0", published == entries)
    bench.row("longest transaction", max(int(ms) for _, ms in done), "ms")
    bench.row("processor time of Redis, an entry", used / entries * 1e6, "us")
    bench.row("processors of Redis at that rate", used / took, "")
    bench.row("memory of Redis, an entry", per_entry, "bytes")
    # the stream holds two windows, so twice what is live
    bench.row("10,000,000 live logins: memory of Redis",
              per_entry * 2e7 / 2**30, "GiB")
    # of a window of 30 minutes
    bench.row("10,000,000 live logins: processors of Redis",
              used / entries * 1e7 / 1800, "")


def cost(bench, count=100_000):
    """Lines that one collector reads in a second, alone and sharing."""
    took, used, published = {}, {}, []
    for _ in range(ROUNDS):
        for share in (False, True):
            with bench.site(("m", share)) as (m,):
                m.start("collector")
                if share:
                    wait_until(lambda: (m.value(
                        "SELECT heard_at FROM share") or 0) > 0)
                text = lines(0, count)
                pid = m.daemons[0].pid
                begin, before = time.monotonic(), processor_s(pid)
                m.write(text)
                wait_until(m.read_all)
                took.setdefault(share, []).append(
                    count / (time.monotonic() - begin))
                if share:
                    wait_until(lambda: int(bench.redis.cli(
                        "XLEN", "popgate")) > count)
                    published.append(count / (time.monotonic() - begin))
                used.setdefault(share, []).append(
                    (processor_s(pid) - before) / count * 1e6)
    alone, sharing = (statistics.median(took[s]) for s in (False, True))
    bench.row("distinct logins/s of one collector, alone", alone, "/s")
    bench.row("sharing", sharing, "/s")
    bench.row("sharing, until all is in the stream",
              statistics.median(published), "/s")
    bench.row("sharing, of alone", sharing / alone, "x", ">= 0.75",
              sharing / alone >= 0.75)
    for share, name in ((False, "alone"), (True, "sharing, until published")):
        bench.row(f"processor time of a login, {name}",
                  statistics.median(used[share]), "us")


def rcpt(bench, each=500, size=100_000):
    """Recipients on B while logins come to its table: all by its own log, or
    half of them by the stream of A.  A shares, and Redis works, both times: they
    are other machines, which here take processors from B."""
    fork = multiprocessing.get_context("fork")
    figures = {False: [], True: []}
    for _ in range(ROUNDS):
        for share in (False, True):
            with bench.site(("b", share), ("a", True)) as (b, a):
                subprocess.run([bench.build / "bench/mklogins",
                                b.at / "logins.db", str(size)], check=True)
                b.start("collector", "milter")
                a.start("collector")
                if share:
                    wait_until(lambda: a.hears(1) and b.hears(1))
                else:
                    wait_until(lambda: (a.value(
                        "SELECT heard_at FROM share") or 0) > 0)
                seconds = 12
                writers = [fork.Process(target=keep_writing, daemon=True,
                                        args=(m.log, 5_000_000 + i * 1_000_000,
                                              n, seconds))
                           for i, (m, n) in enumerate(
                               ((b, each if share else 2 * each),
                                (a, each)))]
                for writer in writers:
                    writer.start()
                out = subprocess.run(
                    [bench.build / "bench/bench_milter", "-p",
                     b.at / "milter.sock", "-s", "8", "-r", "2", "-a", "50",
                     "-n", str(size), "-t", "8", "-R", "1000"], check=True,
                    capture_output=True, text=True).stdout
                got = {k: float(v) for k, v in
                       (w.split("=") for w in out.split())}
                figures[share].append((got["rcpt_p50_us"],
                                       got["rcpt_p99_us"]))
                for writer in writers:
                    writer.join()
    for i, name in enumerate(("p50", "p99")):
        off, on = (statistics.median(f[i] for f in figures[s])
                   for s in (False, True))
        bench.row(f"RCPT {name}, {2 * each} logins/s, nothing shared", off,
                  "us")
        bench.row(f"RCPT {name}, half of them by the stream", on, "us")
        target = "<= 1.1" if name == "p99" else None
        bench.row(f"RCPT {name}, of nothing shared", on / off, "x", target,
                  target is None or on / off <= 1.1)


MEASURES = {"latency": latency, "rate": rate, "publishers": publishers,
            "cost": cost, "rcpt": rcpt}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", type=pathlib.Path,
                    default=HERE.parent.parent / "build")
    ap.add_argument("--dir", help="on the file system to be measured")
    ap.add_argument("--seconds", type=int, default=60)
    ap.add_argument("--only", choices=MEASURES)
    args = ap.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(dir=args.dir) as where:
        bench = Bench(args.build.resolve(), pathlib.Path(where), args.seconds)
        for name, measure in MEASURES.items():
            if args.only in (None, name):
                measure(bench)
    sys.exit(bench.missed > 0)


if __name__ == "__main__":
    main()
