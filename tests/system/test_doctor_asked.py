# SPDX-License-Identifier: ISC
"""popgatectl doctor says where a Postfix doesn't ask popgate, or can't."""
import pathlib

import pytest

import doctor_cases
from doctor_cases import CONF, MILTER, POLICY, Case, relay, write
from test_doctor import bad, directory, examine  # noqa: F401 (a fixture)


def ids(findings):
    return {f["id"] for f in findings}


# --- every instance ---

@pytest.fixture
def two(directory):
    """A good Postfix that names a second instance, which is an open relay."""
    one, other = directory / "one", directory / "other"
    for path, main in ((one, {"multi_instance_directories": str(other),
                              "multi_instance_enable": "yes"}),
                       (other, {"mynetworks": "0.0.0.0/0"})):
        path.mkdir()
        write(Case("instance", "postfix", "", main), path)
    return one, other


def test_instances(two):
    one, other = two
    f, = bad(examine(one, "postfix", one / "popgate.conf"))
    assert f["id"] == "postfix-mynetworks-open"
    assert f["file"] == f"{other}/main.cf" and f"-c {other} " in f["fix"]


def test_instance_that_is_not_there(two):
    one, other = two
    other.rename(other.with_name("away"))
    f, = bad(examine(one, "postfix", one / "popgate.conf"))
    assert f["id"] == "postfix-unreadable" and f["file"] == str(other)
