#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Measure `popgatectl report` on a large audit, and what a running milter, which
writes the same audit, notices of it; `make bench-report`.

Recipients come at a fixed rate in turns, alone and beside reports that follow one
another; what counts is the ratio of the medians. Prints a table; exits 1 when a
target is missed."""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bench  # noqa: E402

TARGET_S, TARGET_MB, TARGET_RATIO = 10, 200, 1.2


class Reports:
    """One report after the other, until stopped."""

    def __init__(self, words):
        self.words, self.times, self.largest_kb = words, [], 0
        self.going = False

    def once(self):
        begin = time.monotonic()
        child = subprocess.Popen(self.words, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{self.words}: {child.returncode}")
        self.times.append(time.monotonic() - begin)
        self.largest_kb = max(self.largest_kb, used.ru_maxrss)

    def __enter__(self):
        def keep_on():
            while self.going:
                self.once()
        self.going = True
        self.thread = threading.Thread(target=keep_on)
        self.thread.start()

    def __exit__(self, *_):
        self.going = False
        self.thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rate", type=int, default=1000,
                        help="sessions/s, of two recipients each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    opt = parser.parse_args()
    opt.build = os.path.abspath(opt.build)
    opt.tools = os.path.join(opt.build, "bench")
    size, missed = 100_000, 0
    b = bench.Bench(opt)

    def row(what, got, unit, target=None):
        nonlocal missed
        met = target is None or got <= target
        missed += not met
        print(f"{what:<54} {got:>8.2f} {unit:<4} "
              f"{'' if target is None else f'<= {target}':<8} "
              f"{'' if target is None else 'met' if met else 'MISSED'}",
              flush=True)

    try:
        bench.say(f"making {opt.rows:,} decisions")
        b.tool("mkdecisions", b.file(f"popgate-{size}.audit.db"), opt.rows,
               max(opt.rows // 100, 1))
        reports = Reports([b.program("popgatectl"), "-c",
                           b.file(f"popgate-{size}.conf"), "report",
                           "--since", "31d", "--json"])
        gate = b.gate(size)
        gate.decided = opt.rows
        b.warm(gate.audit)
        for _ in range(3):
            reports.once()
        row(f"report of {opt.rows:,} decisions, median",
            statistics.median(reports.times), "s", TARGET_S)
        load = ("-s", 8, "-r", 2, "-a", 50, "-n", size, "-t", opt.seconds,
                "-R", opt.rate)
        alone, beside = [], []
        for _ in range(opt.rounds):
            alone.append(b.drive(gate, *load))
            with reports:
                beside.append(b.drive(gate, *load))
        row("memory of a report at most", reports.largest_kb / 1024, "MB",
            TARGET_MB)
        for key, name, target in (("rcpt_p50_us", "p50", None),
                                  ("rcpt_p99_us", "p99", TARGET_RATIO)):
            off, on = bench.median(alone, key), bench.median(beside, key)
            row(f"RCPT {name}, {opt.rate:,} sessions/s, no report", off, "us")
            row(f"RCPT {name}, beside reports", on, "us")
            row(f"RCPT {name}, of no report", on / off, "x", target)
        b.stop()
    finally:
        for filter_ in b.filters:
            filter_.stop()
        shutil.rmtree(b.dir, ignore_errors=True)
    sys.exit(missed + b.missed > 0)


if __name__ == "__main__":
    main()
