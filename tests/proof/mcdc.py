#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""mcdc - has each condition been seen to decide, both ways?

    mcdc.py [--build DIR] [--jobs N] [--all]

Of `if (a && (b || c))`, unit tests must show for each of a, b and c that it
alone changes the outcome (modified condition/decision coverage): GCC 14 counts
that with -fcondition-coverage. mcdc.sh calls it where such a gcc is; mcdc.txt
has the conditions that no input can show, each with its reason. assert() is
left out: its conditions are those that never fail.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import subprocess
import sys
import time

from mutants import Build, Entries, expand, passes

# each condition of these must be shown, or be in ACCEPTED
SHOWN = ("common/policy/{policy,rcpt,decide}.c common/base/addr.c "
         "common/mta/{address,domains}.c")
# of these it is said how many are
MEASURED = ("common/policy/{facts,charge,limiter*}.c "
            "common/grammar/prefix*.c common/grammar/servers/*.c")
TESTS = "tests/unit/{base,grammar,milter,mta,policy}/test_*.c"
FLAGS = "-O0 -g0 -w -DNDEBUG"
ACCEPTED = "tests/proof/mcdc.txt"


def compile_all(b, sources, jobs):
    def one(path):
        subprocess.run(["gcc", *b.cflags, "--coverage", "-fcondition-coverage",
                        "-c", "-o", b.object_of(path), path], check=True)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        b.libs = ["--coverage"] + b.libs
        list(pool.map(one, sources))
    b.link(sources, b"__gcov_")


def missing_of(b, sources):
    """{(file, line): [conditions never seen]}, and how many there are. The
    inline functions of headers are in many objects: seen in one is seen."""
    seen = {}
    for path in sources:
        notes = b.object_of(path)[:-2] + ".gcno"
        out = subprocess.run(["gcov", "-j", "-t", "-g", notes], check=True,
                             stdout=subprocess.PIPE).stdout
        for f in json.loads(out)["files"]:
            if not f["file"].startswith("common/"):
                continue
            for line in f["lines"]:
                for n, c in enumerate(line.get("conditions", [])):
                    key = (f["file"], line["line_number"],
                           line.get("function_name", ""), n)
                    missing = ({(x, "true") for x in c["not_covered_true"]} |
                               {(x, "false") for x in c["not_covered_false"]})
                    count, before = seen.get(key, (0, missing))
                    seen[key] = max(count, c["count"]), before & missing
    return seen


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default="build-mcdc")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--all", action="store_true",
                   help="say what isn't shown of those that are only measured")
    args = p.parse_args()
    begun = time.monotonic()
    must = expand(SHOWN)
    sources = must + expand(MEASURED)
    b = Build(args.build, args.jobs, FLAGS, TESTS)
    compile_all(b, sources, args.jobs)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for test, (ok, _) in zip(b.unit, pool.map(passes, b.unit)):
            if not ok:
                print("mcdc: %s fails" % test)
    accepted = Entries(ACCEPTED)
    every, shown, excused = (collections.Counter() for _ in range(3))
    wrong = 0
    for (path, number, _, n), (count, missing) in sorted(
            missing_of(b, sources).items()):
        every[path] += count
        shown[path] += count - len(missing)
        for condition, value in sorted(missing):
            label = "%d.%d %s" % (n, condition, value)
            if accepted.has(path, label, number):
                excused[path] += 1
                continue
            if path not in must and not args.all:
                continue
            wrong += path in must
            print("%s:%d\t%s\t%s" % (path, number, label,
                                     accepted.line(path, number)))
    print("\n%-40s %6s %6s %6s" % ("file", "all", "shown", "exc."))
    for path in sorted(every) + [None]:
        row = [sum(c.values()) if path is None else c[path]
               for c in (every, shown, excused)]
        print("%-40s %6d %6d %6d" % (path or "sum", *row))
    print("%d s" % (time.monotonic() - begun))
    for text in accepted.stale():
        wrong += 1
        print(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
