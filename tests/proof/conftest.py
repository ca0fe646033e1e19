# SPDX-License-Identifier: ISC
"""The directory and the tables of the system tests, for the proofs."""
import pathlib
import sys

TOP = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(TOP / "tests/system"))
