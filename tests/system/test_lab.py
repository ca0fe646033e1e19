# SPDX-License-Identifier: ISC
"""The lab itself: it ends, whatever a test has left in it."""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent

# A child of ours that nobody waits for is a zombie in the process table that
# is to end, as after a test that failed half way.
LEAVE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from lab.namespace import Namespace
space = Namespace("lab.test")
space.enter()
for _ in range(3):
    if os.fork() == 0:
        os.read(os.pipe()[0], 1)
space.leave()
print("left")
"""


def test_leaves_a_process_table_with_zombies():
    done = subprocess.run([sys.executable, "-c", LEAVE, HERE],
                          capture_output=True, text=True, timeout=300)
    assert done.stdout == "left\n", done


# A process table whose /proc can't be mounted: its init is to remove nothing.
FAIL = """
import os, sys, tempfile
sys.path.insert(0, sys.argv[1])
from lab import namespace
def run(*command):
    raise OSError("no mount")
namespace.run = run
directory = tempfile.mkdtemp()
assert namespace.own_processes(directory) is None
try:
    os.wait()
except ChildProcessError:
    pass
print(os.path.isdir(directory))
os.rmdir(directory)
"""


def test_a_process_table_that_fails_removes_nothing():
    done = subprocess.run([sys.executable, "-c", FAIL, HERE],
                          capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done
