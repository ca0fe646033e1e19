# SPDX-License-Identifier: ISC
"""popgatectl setup that is killed, interrupted, or runs out of disk: the next
one knows, and everything comes back."""
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from lab import namespace
from lab.box import EX_IOERR, EX_TEMPFAIL
from lab.site import TOP
from lab.stock import CONF, CTL, JOURNAL, daemon, tree


class TestInterrupted:
    @pytest.fixture
    def killer(self, tmp_path):
        shim = tmp_path / "kill.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", shim,
                        TOP / "tests/system/lab/setup_kill.c", "-ldl"], check=True)

        def kill_at(n, *args):
            return subprocess.run(
                [CTL, "setup", *args], capture_output=True, text=True,
                env={**os.environ, "LD_PRELOAD": str(shim),
                     "KILL_AT": str(n)}).returncode
        return kill_at

    def test_at_every_step(self, ready, killer):
        """Killed before each call that changes a disk: --undo puts all back,
        from whatever there is."""
        CONF.write_text('relay: { local_domains = [ "lab.test" ]; };\n')
        before = tree("/etc/postfix", "/etc/popgate")
        skip = ("--apply", "--answer", "trial=skip")
        states = set()
        for n in range(1, 400):
            code = killer(n, *skip)
            if code == 0:
                break
            assert code == -signal.SIGKILL, n
            states.add(frozenset(path for path, found in tree(
                "/etc/postfix", "/etc/popgate").items()
                if before.get(path) != found))
            if n % 7 == 0:      # a new --apply goes on from there, as well
                ready.setup(*skip)
            # so does an undo that is killed itself
            if n % 3 == 0:
                killer(n % 20 + 1, "--undo")
            ready.setup("--undo")
            assert tree("/etc/postfix", "/etc/popgate") == before, n
            assert not JOURNAL.exists() or not list(JOURNAL.iterdir()), n
        assert n > 40
        # it was interrupted between all files, not only before the first
        assert len(states) > 5
        ready.setup("--undo")
        assert tree("/etc/postfix", "/etc/popgate") == before

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
    def test_by_a_signal(self, ready, number):
        """^C, or the terminal is closed, while the daemons start: all goes back
        at once."""
        child = subprocess.Popen(
            [CTL, "setup", "--apply", "--answer", "trial=skip"],
            stdout=subprocess.PIPE, text=True)
        for line in child.stdout:
            if "starting the daemons" in line:
                child.send_signal(number)
                break
        rest = child.stdout.read()
        assert child.wait() == EX_TEMPFAIL
        assert "Putting all of it back" in rest
        assert not ready.changed() and not daemon("popgate-milter")

    def test_two_at_once(self, ready):
        ready.setup("--apply", "--answer", "trial=skip")
        fd = os.open(JOURNAL, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        for what in ("--apply", "--undo"):
            done = ready.setup(what, code=EX_TEMPFAIL)
            assert "another popgatectl setup is at work" in done.stderr
        os.close(fd)

    @pytest.mark.parametrize("full", ["/etc/postfix", "/var/lib"])
    def test_full_disk(self, ready, full):
        size = "1m" if full == "/etc/postfix" else "16k"
        copy = pathlib.Path("/run/copy")
        if full == "/etc/postfix":
            shutil.copytree(full, copy, symlinks=True)
        namespace.mount("tmpfs", full, "tmpfs", 0, f"size={size}")
        if full == "/etc/postfix":      # room for one new file, not for two
            shutil.copytree(copy, full, symlinks=True, dirs_exist_ok=True)
            with open("/etc/postfix/filler", "wb", buffering=0) as filler:
                with pytest.raises(OSError):
                    while True:
                        filler.write(b"x" * 4096)
                filler.truncate(filler.tell() // 4096 * 4096 - 4096)
        else:
            os.mkdir("/var/lib/popgate")
            shutil.chown("/var/lib/popgate", "popgate-collector", "popgate")
            os.chmod("/var/lib/popgate", 0o3770)
        before = tree("/etc/postfix", "/etc/popgate")
        done = ready.setup("--apply", "--answer", "trial=skip", code=EX_IOERR)
        assert "No space left on device" in done.stderr
        assert tree("/etc/postfix", "/etc/popgate") == before
        assert not daemon("popgate-milter")
        ready.setup("--undo")
