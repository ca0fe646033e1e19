#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Measure popgatectl on large tables: bench_ctl.py --build DIR

Each figure is the time of a whole process, from fork to exit, with the files
in the page cache; beside it that of sqlite3(1) opening the same file for one
row by its primary key. Prints a Markdown table."""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TARGET_MS = 50


def say(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, opt):
        self.opt = opt
        self.dir = tempfile.mkdtemp(prefix="bench-ctl-", dir=opt.build)
        self.missed = 0
        self.rows = []

    def path(self, name):
        return os.path.join(self.dir, name)

    def tool(self, name, *args):
        subprocess.run([os.path.join(self.opt.build, "bench", name),
                        *map(str, args)], check=True)

    def make(self):
        n = self.opt.rows
        for name, active in (("few", min(2000, n)), ("all", n)):
            say(f"{n:,} logins, {active:,} of them count")
            self.tool("mklogins", self.path(name + ".db"), n, active)
        say(f"{n:,} decisions")
        self.tool("mkdecisions", self.path("audit.db"), n, max(n // 10, 1))
        say("a mail log")
        with open(self.path("mail.log"), "w") as log:
            subprocess.run(["/usr/bin/python3", os.path.join(
                os.path.dirname(os.path.abspath(__file__)),
                "gen_maillog.py"), "200000"], stdout=log, check=True)
        for name in ("few", "all"):
            with open(self.path(name + ".conf"), "w") as conf:
                conf.write(f"""
logins: {{ database = "{self.path(name)}.db"; }};
audit: {{ database = "{self.path('audit.db')}"; }};
relay: {{ never_authorize = [ ]; collector_grace = "0s"; }};
collector: {{ sources = ( {{ file = "{self.path('mail.log')}"; }} ); }};
""")

    def time(self, words, codes=(0,)):
        """Median and largest, in ms, of so many runs behind a first one."""
        got = []
        for i in range(self.opt.runs + 1):
            begin = time.perf_counter()
            done = subprocess.run(words, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
            if i > 0:
                got.append((time.perf_counter() - begin) * 1000)
            if done.returncode not in codes:
                sys.exit(f"{words}: {done.returncode}: {done.stderr}")
        return statistics.median(got), max(got)

    def measure(self):
        sqlite, _ = self.time(["sqlite3", "-readonly", self.path("few.db"),
                               "SELECT * FROM login WHERE client = "
                               "'10.0.0.1'"])
        self.rows.append(("sqlite3: one row by primary key", sqlite, sqlite,
                          1.0, ""))
        for title, table, words in (
                ("why, a client with a tenth of all decisions", "few",
                 ["why", "10.0.0.0"]),
                ("why, its user", "few", ["why", "user10.0.0.0"]),
                ("why, another client, expired", "few",
                 ["why", "10.0.0.1"]),
                ("why, a stranger", "few", ["why", "192.0.2.77"]),
                ("why, a queue id", "few", ["why", "Q1"]),
                ("check", "few", ["check", "--client", "10.0.0.1", "--to",
                                  "someone@example.net"]),
                ("list, 2,000 count", "few", ["list"]),
                ("list, all count", "all", ["list"]),
                ("list of a /24", "all", ["list", "--client",
                                          "10.0.7.0/24"]),
                ("list of a user", "all", ["list", "--user",
                                           "user10.0.0.9"]),
                ("decisions of a client", "few",
                 ["decisions", "--client", "10.0.0.0"])):
            median, most = self.time(
                [os.path.join(self.opt.build, "popgatectl"), "-c",
                 self.path(table + ".conf"), *words])
            met = median < TARGET_MS
            self.missed += not met
            self.rows.append((title, median, most, median / sqlite,
                              "met" if met else "**missed**"))
            say(f"  {title}: {median:.1f} ms")

    def report(self):
        print(f"{self.opt.rows:,} logins and {self.opt.rows:,} decisions; "
              f"median of {self.opt.runs} runs, files in the page cache; a "
              f"mail log of {os.path.getsize(self.path('mail.log')) >> 20} "
              f"MiB.\n")
        print("| process | median, ms | largest, ms | of sqlite3 "
              f"| < {TARGET_MS} ms |")
        print("|---|--:|--:|--:|---|")
        for title, median, most, ratio, met in self.rows:
            print(f"| {title} | {median:.1f} | {most:.1f} | {ratio:.1f} "
                  f"| {met} |")
        print(f"\n{self.missed} target(s) missed."
              if self.missed else "\nAll targets met.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rows", type=int, default=10000000)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--strict", action="store_true",
                        help="exit with 1 when a target is missed")
    opt = parser.parse_args()
    opt.build = os.path.abspath(opt.build)
    bench = Bench(opt)
    try:
        bench.make()
        bench.measure()
        bench.report()
    finally:
        shutil.rmtree(bench.dir, ignore_errors=True)
    sys.exit(1 if opt.strict and bench.missed else 0)


if __name__ == "__main__":
    main()
