# SPDX-License-Identifier: ISC
"""Exim 4.96 by the permit channel."""
import pytest

from lab import wirings
from matrix import Matrix


class TestClosed(Matrix):
    wiring = wirings.EximClosed
