# SPDX-License-Identifier: ISC
"""make demo, interrupted or killed: it leaves no process and no file. (That it
tells its story to the end, `make demo` shows.)"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from lab.proc import pids, text
from lab.process import unprivileged, wait_for

DEMO = pathlib.Path(__file__).with_name("demo.py")


def users_of(path):
    """The processes that work in there, or were started with a name of it."""
    words = [text(pid, "cmdline").replace("\0", " ") for pid in pids()]
    return [line for line in words if path in line]


@pytest.mark.parametrize("mta", ["postfix", "sendmail"])
@pytest.mark.parametrize("number, told", [
    (signal.SIGINT, "3. "), (signal.SIGTERM, "1. "), (signal.SIGKILL, "2. ")])
def test_interrupted(tmp_path, mta, number, told):
    out = tmp_path / "out"
    with out.open("wb") as file:
        demo = subprocess.Popen([sys.executable, DEMO, mta], stdout=file,
                                stderr=file)
    try:
        wait_for(lambda: f"\n{told}" in out.read_text(), out.read_text)
        time.sleep(0.3)
        place = re.search(r"/run/popgate-demo\.\w+", out.read_text())[0]
        assert len(users_of(place)) >= 4
        demo.send_signal(number)
        if number == signal.SIGKILL:
            demo.wait(120)
            wait_for(lambda: not users_of(place), lambda: users_of(place))
            wait_for(lambda: not os.path.exists(place), place)
            return
        assert demo.wait(120) == 130, out.read_text()
        assert "All servers are stopped" in out.read_text()
        assert not os.path.exists(place) and users_of(place) == []
    finally:
        demo.kill()
        demo.wait()


def test_without_root():
    # nobody can't read a checkout below /root
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        copy = shutil.copytree(DEMO.parent, f"{place}/system")
        done = subprocess.run([sys.executable, copy + "/demo.py"],
                              capture_output=True, text=True,
                              **unprivileged(sys.executable))
    assert done.returncode == 1
    assert "use sudo" in done.stderr and done.stdout == ""
