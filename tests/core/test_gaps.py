"""Touching objects stay touching."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from napari_segrefiner.core.gaps import close_gaps
from tests.core.stubs import disk


def closed(coarse: Any, labels: Any) -> np.ndarray[Any, Any]:
    result = np.array(labels)
    close_gaps(np.array(coarse), result)
    return result


def test_a_slit_between_two_labels_closes_along_rows_and_columns() -> None:
    coarse = np.repeat([[1], [1], [1], [2], [2], [2]], 5, axis=1)
    labels = coarse.copy()
    labels[2:4] = 0
    np.testing.assert_array_equal(closed(coarse, labels), coarse)
    np.testing.assert_array_equal(closed(coarse.T, labels.T), coarse.T)


def test_what_is_given_up_towards_the_background_stays_given_up() -> None:
    coarse = [[1, 1, 1, 2, 2, 2, 0]]
    labels = [[0, 1, 1, 2, 2, 0, 0]]
    np.testing.assert_array_equal(closed(coarse, labels), labels)
    coarse = [[1, 1, 0, 2, 2]]  # these never touched
    labels = [[1, 0, 0, 0, 2]]
    np.testing.assert_array_equal(closed(coarse, labels), labels)


def test_a_neighbour_that_only_now_comes_near_makes_no_gap() -> None:
    coarse = [[1, 1, 1, 0, 0, 2, 2]]
    labels = [[1, 0, 0, 2, 2, 2, 2]]
    np.testing.assert_array_equal(closed(coarse, labels), labels)


def test_a_hole_in_an_object_is_no_gap() -> None:
    coarse = np.ones((5, 5), int)
    labels = coarse.copy()
    labels[2, 2] = 0
    np.testing.assert_array_equal(closed(coarse, labels), labels)


def test_pixels_that_a_neighbour_took_over_stay_with_it() -> None:
    coarse = [[1, 1, 1, 2, 2, 3, 3]]
    labels = [[1, 0, 2, 2, 0, 0, 3]]
    assert closed(coarse, labels).tolist() == [[1, 1, 2, 2, 2, 3, 3]]


def test_no_pixel_between_cells_of_a_tissue_is_lost_when_all_of_them_shrink() -> None:
    rng = np.random.default_rng(0)
    shape = (120, 120)
    seeds = np.zeros(shape, np.int32)
    y, x = rng.integers(0, 120, (2, 25))
    seeds[y, x] = np.arange(1, 26)
    nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)[1]
    coarse = seeds[tuple(nearest)] * disk(shape, 60, 60, 55)
    labels = np.zeros_like(coarse)
    for id in np.unique(coarse[coarse > 0]):
        labels[ndimage.binary_erosion(coarse == id, iterations=2)] = id
    result = closed(coarse, labels)
    inside = ndimage.binary_erosion(coarse > 0, iterations=6)
    assert ((labels == 0) & inside).sum() > 1000
    assert not ((result == 0) & inside).any()
    assert (result[result != 0] == coarse[result != 0]).all()
    rim = (coarse > 0) & ~ndimage.binary_erosion(coarse > 0, iterations=2)
    assert (result[rim] == 0).mean() > 0.8
