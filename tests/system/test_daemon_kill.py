# SPDX-License-Identifier: ISC
"""kill -9 of popgate-milter at 200 random instants, under load."""
import os
import re
import subprocess

from lab.process import need
from lab.site import BUILD, TOP

KILLS = 200


def test_nothing_that_was_permitted_is_lost():
    done = subprocess.run(
        [need(BUILD / "daemon/test_kill", "nothing: run make system")],
        cwd=TOP, capture_output=True, text=True, timeout=600,
        env={**os.environ, "POPGATE_BUILD": str(BUILD),
             "POPGATE_KILLS": str(KILLS)})
    assert done.returncode == 0, done.stdout + done.stderr
    report = re.search(rf"{KILLS} kills: (\d+) messages relayed, (\d+) "
                       r"permits, (\d+) rounds cut", done.stdout)
    assert report and all(int(n) >= KILLS // 2 for n in report.groups()), \
        done.stdout
