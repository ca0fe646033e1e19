# SPDX-License-Identifier: ISC
"""cover - what the tests reach, by clang's source-based coverage.

    cover.py BUILD run COMMAND...    run it, counting
    cover.py BUILD report            a table by room and by file, and HTML

The counters are in files that each process maps, so they outlive SIGKILL and
_exit(2). All processes of a program count in one file, of whichever user."""
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

PROGRAMS = ("popgate-milter", "popgate-collector", "popgatectl")
TOP = pathlib.Path(__file__).resolve().parents[1]


def tool(name):
    """LLVM's tool of the clang that built this: of the same version."""
    text = subprocess.run([os.environ.get("CLANG", "clang"), "--version"],
                          capture_output=True, text=True, check=True).stdout
    version = re.search(r"version (\d+)", text)[1]
    path = shutil.which(f"{name}-{version}") or shutil.which(name)
    if not path:
        sys.exit(f"cover: {name} is missing: install llvm-{version}")
    return path


def run(build, words):
    raw = build / "raw"
    raw.mkdir(exist_ok=True)
    raw.chmod(0o1777)
    env = {**os.environ, "LLVM_PROFILE_FILE": f"{raw}/%m%c.profraw"}
    # each program makes its file now, for whichever user runs it later
    for program in PROGRAMS:
        subprocess.run([build / program, "-h"], env=env,
                       capture_output=True, check=False)
    for file in raw.iterdir():
        file.chmod(0o666)
    return subprocess.run(words, env=env, check=False).returncode


def share(covered, count):
    return f"{100 * covered / count:6.1f}" if count else "     -"


def row(name, sums):
    return "  ".join([f"{name:44}", f"{sums[1]:6d}", share(*sums[:2]),
                      f"{sums[3]:6d}", share(*sums[2:])])


def table(title, rows):
    print(f"\n{title:44}  lines      %  branch      %")
    for name in sorted(rows):
        print(row(name, rows[name]))


def room(name):
    """Its folder, to the second level."""
    return "/".join(name.split("/")[:-1][:2])


def report(build):
    merged = build / "all.profdata"
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-o", merged,
                    *(build / "raw").glob("*.profraw")], check=True)
    binaries = [build / PROGRAMS[0]]
    for program in PROGRAMS[1:]:
        binaries += ["-object", build / program]
    about = [*binaries, f"-instr-profile={merged}"]
    exported = subprocess.run(
        [tool("llvm-cov"), "export", "-summary-only", *about],
        capture_output=True, check=True).stdout
    files, rooms = {}, collections.defaultdict(lambda: [0, 0, 0, 0])
    for file in json.loads(exported)["data"][0]["files"]:
        name = os.path.relpath(os.path.join(TOP, file["filename"]), TOP)
        s = file["summary"]
        sums = [s["lines"]["covered"], s["lines"]["count"],
                s["branches"]["covered"], s["branches"]["count"]]
        if name.startswith(("..", "build")):
            continue
        files[name] = sums
        for key in (room(name), "all"):
            rooms[key] = [a + b for a, b in zip(rooms[key], sums)]
    table("file", files)
    table("room", rooms)
    html = build / "html"
    subprocess.run([tool("llvm-cov"), "show", "-format=html",
                    "-show-branches=count", f"-output-dir={html}", *about],
                   check=True, stderr=subprocess.DEVNULL)
    print(f"\nline by line: {html}/index.html")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    if sys.argv[2] == "run":
        return run(build, sys.argv[3:])
    report(build)
    return 0


if __name__ == "__main__":
    sys.exit(main())
