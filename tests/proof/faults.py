# SPDX-License-Identifier: ISC
"""Run a program again and again, each time with another call that fails."""
import array
import dataclasses
import os
import pathlib
import subprocess
import tempfile

KINDS = ("malloc", "open", "read", "write", "sync", "rename", "stat",
         "inotify", "socket", "poll", "thread", "lock")
EINTR, EIO, EAGAIN, ENOMEM, EMFILE, ENOSPC = 4, 5, 11, 12, 24, 28

# The answers that each call may give: errno, and how long it goes on.
ANSWERS = {
    "malloc": [(ENOMEM, "once"), (ENOMEM, "on")],
    "open": [(EMFILE, "once"), (EIO, "on")],
    "read": [(EIO, "once"), (EINTR, "once"), (EIO, "short")],
    "write": [(ENOSPC, "once"), (ENOSPC, "on"), (EINTR, "once"),
              (EIO, "short")],
    "sync": [(EIO, "once")],
    "rename": [(EIO, "once")],
    "stat": [(EIO, "once")],
    "inotify": [(ENOSPC, "once")],
    "socket": [(EMFILE, "once")],
    "poll": [(EINTR, "once")],
    "thread": [(EAGAIN, "once")],
    "lock": [(EIO, "once")],
}
# So many of each at most, evenly over all; 0: every one.
MOST = int(os.environ.get("POPGATE_FAULTS", "0"))


def library(build):
    """The shim, made of fault.c where the other test programs are."""
    return build / "proof/fault.so"


@dataclasses.dataclass
class Fault:
    kind: str
    number: int
    errno: int
    mode: str

    def __str__(self):
        return f"{self.kind}:{self.number}:{self.errno}:{self.mode}"


class Faults:
    """Of one program: count its calls, then fail each."""

    def __init__(self, shim, program):
        self.shim, self.program = shim, program
        self.file = pathlib.Path(tempfile.mkstemp(prefix="faults-")[1])

    def environment(self, fault=None):
        env = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8",
               "LD_PRELOAD": str(self.shim), "FAULT_PROGRAM": self.program,
               "FAULT_COUNTS": str(self.file)}
        if fault:
            env["FAULT"] = str(fault)
        return env

    def counts(self):
        counted = array.array("Q", self.file.read_bytes())
        return dict(zip(KINDS, counted))

    def run(self, words, fault=None, **more):
        return subprocess.run(words, capture_output=True, text=True,
                              errors="replace", timeout=60,
                              env=self.environment(fault),
                              stdin=subprocess.DEVNULL, **more)

    def all_of(self, kind, calls):
        """Each fault of a kind of which a good run makes so many calls."""
        step = max(1, calls // MOST) if MOST else 1
        for errno, mode in ANSWERS[kind]:
            for number in range(1, calls + 1, step):
                yield Fault(kind, number, errno, mode)

    def close(self):
        self.file.unlink()
