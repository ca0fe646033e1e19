# SPDX-License-Identifier: ISC
"""A network, mounts, a process table and a host name of our own.

enter() moves this process (and all it starts from then on) into new
namespaces; leave() ends every process in them and returns.  The first child
is the init of the new process table: it reads a pipe that only we hold open,
so when we die, however we die, the kernel ends everything we started.
"""
import ctypes
import os
import signal
import socket
import subprocess

from . import process

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 4096, 8192, 16384, 1 << 18

KINDS = ("net", "uts", "ipc", "pid_for_children", "mnt")   # mnt last

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result == -1:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{what}: {os.strerror(errno)}")


def mount(source, target, kind="none", flags=0, options=""):
    check(libc.mount(str(source).encode(), str(target).encode(),
                     kind.encode(), ctypes.c_ulong(flags), options.encode()),
          f"mount {source} on {target}")


def bind(source, target):
    mount(source, target, flags=MS_BIND)


def private_mounts():
    """Hide mounts made from now on from all but us and our children."""
    check(libc.unshare(CLONE_NEWNS), "a mount namespace, which servers that "
          "are only unpacked need (in a container: CAP_SYS_ADMIN)")
    mount("none", "/", flags=MS_REC | MS_PRIVATE)


def first_process(*command):
    """The init of a new process table, whose /proc we see from now on.  With the
    end of its input, which only we hold open, it is to end the table."""
    # An ignored SIGCHLD survives exec: init's orphans vanish when they end.
    init = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        preexec_fn=lambda: [signal.signal(number, signal.SIG_IGN) for number in
                            (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP)])
    try:
        run("mount", "-t", "proc", "proc", "/proc")
    except BaseException:
        init.kill()                     # by the end of its input it acts
        init.wait()
        init.stdin.close()
        raise
    return init


def reap(init):
    """Wait for the end of its process table, which needs that none of our
    children in there is a zombie."""
    def init_has_ended():
        left = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if left is not None and left.si_pid != init.pid:
            os.waitpid(left.si_pid, 0)
        return left is not None and left.si_pid == init.pid
    process.wait_for(init_has_ended, "the end of the process table")
    init.wait()


def own_processes(directory):
    """A process table of our own for what we start from now on; its init is
    returned.  When we are killed, init ends all in it and removes the directory.
    None in a container that may not have such a table."""
    before = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        private_mounts()
        check(libc.unshare(CLONE_NEWPID), "a process table")
        return first_process("/bin/sh", "-c",
                             'read -r _; kill -KILL -1; rm -rf "$1"', "init",
                             directory)
    except (OSError, subprocess.CalledProcessError):
        check(libc.setns(before, CLONE_NEWPID), "the process table of before")
        return None
    finally:
        os.close(before)


class Namespace:
    def __init__(self, hostname):
        self.hostname = hostname
        self.saved = {}
        self.init = None

    def enter(self):
        if os.geteuid() != 0:
            raise PermissionError("the system tests need root: they start "
                                  "mail servers in namespaces of their own")
        self.saved = {kind: os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)
                      for kind in KINDS}
        self.root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        self.cwd = os.getcwd()
        check(libc.unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS |
                           CLONE_NEWIPC | CLONE_NEWPID), "unshare")
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        socket.sethostname(self.hostname)
        self.init = first_process("/bin/cat")
        run("ip", "link", "set", "lo", "up")

    def leave(self):
        if self.init is not None:
            self.init.kill()            # ends the whole process table
            while process.started:      # it is gone when all are waited for
                process.started.pop().child.wait()
            reap(self.init)
            self.init.stdin.close()
            self.init = None
        for kind in KINDS:
            if kind in self.saved:
                check(libc.setns(self.saved[kind], 0), f"setns {kind}")
                os.close(self.saved.pop(kind))
        # A mount namespace is entered at its own root, which isn't ours in a
        # chroot.
        os.fchdir(self.root)
        os.chroot(".")
        os.close(self.root)
        os.chdir(self.cwd)

    def address(self, text):
        """One of this machine's own addresses."""
        nodad = ["nodad"] if ":" in text else []
        length = 128 if ":" in text else 32
        run("ip", "address", "add", f"{text}/{length}", "dev", "lo", *nodad)

    def anywhere(self, network):
        """Reach every address of this network over lo, though the address
        isn't this machine's own as far as a server can see."""
        run("ip", "route", "add", "local", network, "dev", "lo")


def run(*command):
    subprocess.run(command, check=True)


def private_dev():
    """A /dev of our own, so that /dev/log can be our rsyslog's."""
    new = "/run/dev"
    os.mkdir(new)
    mount("tmpfs", new, "tmpfs", 0, "mode=0755")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        open(f"{new}/{name}", "w").close()
        bind(f"/dev/{name}", f"{new}/{name}")
    os.mkdir(f"{new}/shm")
    mount("tmpfs", f"{new}/shm", "tmpfs", 0, "mode=1777")
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"),
                         ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"{new}/{name}")
    mount(new, "/dev", flags=MS_MOVE)


def cover(target, scratch, *layers):
    """From now on target is ours to change, seen by us only, and holds what
    the layers hold as well.  scratch: a directory for the changes."""
    for name in ("upper", "work"):
        os.makedirs(f"{scratch}/{name}")
    lower = ":".join([*map(str, layers), str(target)])
    mount("overlay", target, "overlay", 0,
          f"lowerdir={lower},upperdir={scratch}/upper,workdir={scratch}/work")
