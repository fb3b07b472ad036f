"""Boxes: where they lie after being moved."""

from __future__ import annotations

import pytest

from napari_segrefiner.geometry import Box


@pytest.mark.parametrize(
    ("box", "moved"),
    [
        (Box(2, 3, 6, 7), Box(2, 3, 6, 7)),
        (Box(-3, 3, 1, 7), Box(0, 3, 4, 7)),
        (Box(8, 18, 12, 22), Box(6, 16, 10, 20)),
        (Box(-1, -1, 13, 25), Box(0, 0, 14, 26)),
    ],
)
def test_shift_inside_moves_only_what_sticks_out(box: Box, moved: Box) -> None:
    assert box.shift_inside((10, 20)) == moved
