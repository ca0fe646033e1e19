# SPDX-License-Identifier: ISC
"""Start, watch and stop one server; wait for what it promises."""
import os
import pathlib
import signal
import socket
import subprocess
import time


class Failure(AssertionError):
    pass


# How long anything may take on a machine that does other things as well: no
# measure of speed, but the end of a wait for what doesn't come.
PATIENCE = 120.0


def wait_for(condition, what="", seconds=PATIENCE):
    """The first true value of condition(); Failure, which says what, when
    there is none.  what may be a function, called at the end."""
    step = 0.005
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            if callable(what):
                what = f"what isn't so:\n{what()}"
            raise Failure(f"waited {seconds} s in vain for {what}")
        time.sleep(step)
        step = min(step * 1.3, 0.2)


def need(path, package):
    """A component that a test can't do without: never skipped."""
    if not os.access(path, os.X_OK):
        raise Failure(f"{path} is missing: install {package} "
                      "(tests/system/deps.sh does)")
    return str(path)


def unprivileged(program, groups=()):
    """Arguments of Popen: nobody runs it, also where nobody gets to it, as
    below /root."""
    fd = os.open(program, os.O_PATH)
    return {"user": 65534, "group": 65534, "extra_groups": list(groups),
            "executable": f"/proc/self/fd/{fd}", "pass_fds": [fd]}


started = []        # every Process that wasn't stopped yet, oldest first


class Process:
    """One server in the foreground, in a session of its own."""

    def __init__(self, name, command, log_directory, **popen):
        self.name = name
        self.command = [str(word) for word in command]
        self.log = pathlib.Path(log_directory) / f"{name}.out"
        self.popen_arguments = popen
        self.child = None

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, **self.popen_arguments)
        started.append(self)
        return self

    @property
    def running(self):
        return self.child is not None and not ended(self.child.pid)

    def send(self, number):
        if self.running:
            self.child.send_signal(number)

    def stop(self, number=signal.SIGTERM, seconds=10.0):
        """Its exit status.  Whatever is left of its process group after
        that time, or when it has ended, is killed."""
        if self.child is None:
            return None
        self.send(number)
        end = time.monotonic() + seconds
        while not ended(self.child.pid) and time.monotonic() < end:
            time.sleep(0.01)
        # Not waited for yet, so the number can't be somebody else's.
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        status = self.child.wait()
        self.child = None
        started.remove(self)
        return status

    def kill(self):
        """kill -9, as a crash would."""
        return self.stop(signal.SIGKILL)

    def ready(self, condition, what, seconds=PATIENCE):
        def ready_or_dead():
            if not self.running:
                raise Failure(f"{self.name} ended with status "
                              f"{self.child.poll()}:\n{tail(self.log)}")
            return condition()
        try:
            wait_for(ready_or_dead, f"{self.name}: {what}", seconds)
        except Failure as failure:
            raise Failure(f"{failure}\n{tail(self.log)}") from None
        return self

    def accepts(self, address, seconds=PATIENCE):
        """Wait until it takes connections at (host, port) or at a path."""
        return self.ready(lambda: can_connect(address),
                          f"listening at {address}", seconds)


def ended(pid):
    """A child that is a zombie: it stays one."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG |
                         os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def can_connect(address):
    if isinstance(address, tuple):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    else:
        family, address = socket.AF_UNIX, str(address)
    with socket.socket(family) as probe:
        probe.settimeout(2)
        return probe.connect_ex(address) == 0


def tail(path, lines=25):
    try:
        text = pathlib.Path(path).read_text(errors="replace")
    except OSError as error:
        return str(error)
    return "\n".join(text.splitlines()[-lines:])
