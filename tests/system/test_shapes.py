# SPDX-License-Identifier: ISC
"""Postfix as admins have it: in each shape popgate is asked wherever a client
would be refused, and nothing else changes.

Each shape (shapes/, lab/shape.py) is a real Postfix in namespaces of its own.
What every service says to a stranger, to a client that has logged in, to AUTH,
and to mail for our own domains is heard three times: as the shape is, after
popgate was wired to it, and with popgate dead.

POPGATE_SHAPES=DIR: the shapes of another directory instead, and
POPGATE_SHAPES_REPORT=FILE: a line of JSON for each.
"""
import json
import os
import pathlib

import pytest

from lab.shape import read_all
from lab.shaped_trial import Trial

HERE = pathlib.Path(__file__).parent
SHAPES = read_all(os.environ.get("POPGATE_SHAPES", HERE / "shapes"))
REPORT = os.environ.get("POPGATE_SHAPES_REPORT")


PARTS = 4       # a file is run by one process: test_shapes_2.py and so on


def trial_of(shape):
    trial = Trial(shape)
    try:
        trial.run()
    finally:
        trial.close()
        if REPORT:
            with open(REPORT, "a") as report:
                report.write(json.dumps(trial.report()) + "\n")
    assert not trial.problems, "\n".join(trial.problems)


def part(number):
    """The test of every fourth shape, from this one on."""
    @pytest.mark.parametrize("shape", SHAPES[number::PARTS],
                             ids=lambda shape: shape.name)
    def test_shape(shape):
        trial_of(shape)
    return test_shape


test_shape = part(0)


def test_there_are_many():
    assert "POPGATE_SHAPES" in os.environ or len(SHAPES) >= 60
