# SPDX-License-Identifier: ISC
"""The third quarter of the shapes: see test_shapes.py."""
from test_shapes import part

test_shape = part(2)
