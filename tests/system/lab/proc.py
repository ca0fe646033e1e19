# SPDX-License-Identifier: ISC
"""What /proc says of processes, any of which may end while one looks: what
has gone, or may not be looked at, is empty and never an exception.  The
numbers are those of /proc, which aren't os.kill()'s in a process that joined
another process table."""
import os


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def text(pid, name):
    """Of /proc/PID/name; "" of a process that has ended."""
    try:
        with open(f"/proc/{pid}/{name}", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def link(pid, name):
    """Where /proc/PID/name leads; "" of what has gone."""
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def entries(pid, name):
    """Of the directory /proc/PID/name; none of a process that has ended."""
    try:
        return os.listdir(f"/proc/{pid}/{name}")
    except OSError:
        return []


def opened(pid, path):
    """Has the process this file open, by the name that it now has?"""
    return any(link(pid, f"fd/{fd}") == str(path)
               for fd in entries(pid, "fd"))


def named(*names):
    """The processes that run a program of such a name (15 bytes at most)."""
    return {pid for pid in pids() if text(pid, "comm").rstrip("\n") in names}


def running(program):
    """The processes of this executable, by its whole path."""
    return {pid for pid in pids() if link(pid, "exe") == str(program)}
