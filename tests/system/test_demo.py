# SPDX-License-Identifier: ISC
"""make demo, interrupted: it leaves no process and no file. (That it tells its
story to the end, `make demo` shows.)"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from lab.process import wait_for

DEMO = pathlib.Path(__file__).with_name("demo.py")


@pytest.fixture
def place():
    """A short path: Unix sockets are below it."""
    path = tempfile.mkdtemp(prefix="popgate-demo-test.")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def users_of(path):
    """The processes that work in there, or were started with a name of it."""
    found = []
    for proc in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (proc / "cmdline").read_bytes().decode(errors="replace")
            if path in words or path in os.readlink(proc / "cwd"):
                found.append(words.replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("mta", ["postfix", "sendmail"])
@pytest.mark.parametrize("number, told", [(signal.SIGINT, "3. "),
                                          (signal.SIGTERM, "1. ")])
def test_interrupted(place, mta, number, told):
    out = pathlib.Path(place, "out")
    (tmp := pathlib.Path(place, "t")).mkdir(mode=0o755)
    with out.open("wb") as file:
        demo = subprocess.Popen(
            [sys.executable, DEMO, mta], stdout=file, stderr=file,
            env={**os.environ, "TMPDIR": str(tmp)})
    try:
        wait_for(lambda: f"\n{told}" in out.read_text(), out.read_text)
        time.sleep(0.3)
        demo.send_signal(number)
        assert demo.wait(120) == 130, out.read_text()
        assert "All servers are stopped" in out.read_text()
        assert list(tmp.iterdir()) == []
        assert users_of(str(tmp)) == []
    finally:
        demo.kill()
        demo.wait()
