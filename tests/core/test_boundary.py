"""Edges and their surroundings, exactly, also across tiles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_segrefiner.core import boundary
from napari_segrefiner.core.boundary import edge, near

RNG = np.random.default_rng(3)


def test_edge_pixels_have_a_four_neighbour_outside_and_the_border_repeats() -> None:
    mask = RNG.random((15, 17)) < 0.7
    padded = np.pad(mask, 1, mode="edge")
    cross = ndimage.generate_binary_structure(2, 1)
    eroded = ndimage.binary_erosion(padded, cross)[1:-1, 1:-1]
    np.testing.assert_array_equal(edge(mask), mask & ~eroded)


@pytest.mark.parametrize("distance", [1, 2, 3.7, 9])
def test_tiles_do_not_show(distance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = RNG.random((61, 83)) < 0.004
    expected = ndimage.distance_transform_edt(~pixels) <= distance
    np.testing.assert_array_equal(near(pixels, distance), expected)
    monkeypatch.setattr(boundary, "TILE", 16)
    np.testing.assert_array_equal(near(pixels, distance), expected)


def test_nothing_is_near_to_nothing() -> None:
    assert not near(np.zeros((9, 9), bool), 3).any()
