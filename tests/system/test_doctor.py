"""popgatectl doctor names what is wrong, and nothing else."""
import json
import os
import pathlib
import re
import subprocess

import pytest

import doctor_cases
from doctor_cases import CASES, Case, write

BUILD = pathlib.Path(os.environ["POPGATE_BUILD"])
TOP = pathlib.Path(__file__).parents[2]
CTL = BUILD / "popgatectl"
# makemap, as if Sendmail were installed
os.environ["PATH"] += f":{doctor_cases.LIBEXEC}"


NETNS = """ip link set lo up
{machine}exec "$@"
"""


def doctor(*args, conf, before=(), env=None):
    return subprocess.run(
        [*before, CTL, "-c", conf, "doctor", *map(str, args)],
        capture_output=True, text=True, timeout=120,
        env=env and {**os.environ, **env})


def namespace(machine):
    """What to put before a command, to run it on such a machine."""
    return ["unshare", "-n", "sh", "-ec", NETNS.format(machine=machine),
            "sh"] if machine else []


def examine(path, mta, conf, *more, **how):
    """The findings of an MTA's configuration."""
    done = doctor("--mta", mta, "--config-dir", path, "--json", *more,
                  conf=conf, **how)
    assert done.returncode in (0, 1, 2), done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == ["info", "warning", "open-relay"].index(
        report["worst"])
    return report["findings"]


def bad(findings):
    return [f for f in findings if f["severity"] != "info"]


@pytest.fixture
def directory(tmp_path):
    """pytest's own are below a directory of its own, mode 700."""
    return tmp_path


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.mta}: {c.name}")
def test_case(case, directory):
    path = write(case, directory)
    more = ["--program", directory / "exim"] if case.mta == "exim" else []
    findings = examine(path, case.mta, directory / "popgate.conf", *more,
                       before=namespace(case.machine))
    got = {f["id"] for f in bad(findings)}
    assert got == ({case.want} if case.want else set()), findings
    if case.info:
        assert case.info in {f["id"] for f in findings}
    for f in bad(findings):
        assert f["why"] and f["fix"]
        if case.want:
            assert pathlib.Path(f["file"]).exists()


def test_the_matrix_is_large():
    wrong = [c for c in CASES if c.want]
    assert len(wrong) >= 60
    assert len({(c.mta, c.name) for c in CASES}) == len(CASES)
