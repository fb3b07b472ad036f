"""Composition: who gets a pixel that several objects claim."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from napari_segrefiner.core.compose import Canvas
from napari_segrefiner.core.objects import find_objects
from napari_segrefiner.geometry import Box

WHOLE = Box(0, 0, 1, 8)


def row(*values: float) -> npt.NDArray[np.float32]:
    return np.array([values], np.float32)


def canvas(labels: list[int], refined: tuple[int, ...] | None = None) -> Canvas:
    coarse = np.array([labels], np.uint16)
    found = find_objects(coarse)
    chosen = [o for o in found if refined is None or o.id in refined]
    return Canvas(coarse, chosen, protects=len(chosen) < len(found))


CLAIMS = {
    3: row(0.9, 0.9, 0.7, 0.6, 0.2, 0.1, 0.1, 0.1),
    4: row(0.1, 0.6, 0.7, 0.8, 0.8, 0.6, 0.1, 0.1),
    9: row(0.1, 0.1, 0.1, 0.9, 0.8, 0.7, 0.8, 0.9),
}


@pytest.mark.parametrize("order", list(itertools.permutations(CLAIMS)))
def test_the_higher_probability_wins_in_any_order_and_ties_go_to_the_smaller_label(
    order: tuple[int, ...],
) -> None:
    c = canvas([3, 3, 4, 4, 4, 9, 9, 9])
    for id in order:
        c.paint(id, WHOLE, CLAIMS[id] >= 0.5, CLAIMS[id])
    assert c.labels.tolist() == [[3, 3, 3, 9, 4, 9, 9, 9]]


def test_labels_that_are_not_refined_are_protected() -> None:
    c = canvas([3, 3, 4, 0, 0, 9, 9, 9], refined=(3, 9))
    c.paint(3, WHOLE, row(1, 1, 1, 1, 0, 1, 0, 0) > 0, row(*[1.0] * 8))
    c.paint(9, WHOLE, row(0, 0, 1, 1, 1, 1, 1, 1) > 0, row(*[0.9] * 8))
    assert c.labels.tolist() == [[3, 3, 4, 3, 9, 3, 9, 9]]


@pytest.mark.parametrize("dtype", ["<u8", ">u8"])
def test_labels_are_protected_from_very_large_ones(dtype: str) -> None:
    large = 2**63 + 7
    coarse = np.array([[large, 0, large + 1, 0]], dtype)
    c = Canvas(coarse, find_objects(coarse)[:1], protects=True)
    c.paint(large, Box(0, 0, 1, 4), np.ones((1, 4), bool), row(1, 1, 1, 1))
    assert c.labels.tolist() == [[large, large, large + 1, large]]
    assert c.labels.dtype == coarse.dtype


def test_the_coarse_labels_are_never_written_to() -> None:
    coarse = np.array([[1, 1, 0, 2]], np.uint8)
    before = coarse.copy()
    c = Canvas(coarse, find_objects(coarse), protects=False)
    c.paint(1, Box(0, 0, 1, 4), np.ones((1, 4), bool), row(1, 1, 1, 1))
    np.testing.assert_array_equal(coarse, before)


@pytest.mark.parametrize("held_first", [False, True])
def test_a_held_object_has_exactly_its_coarse_mask(held_first: bool) -> None:
    c = canvas([3, 3, 0, 4, 4, 0, 0, 0])
    four = c._coarse == 4
    found = find_objects(four.astype(np.uint16) * 4)[0]
    if held_first:
        c.hold(found)
    c.paint(3, WHOLE, np.ones((1, 8), bool), np.ones((1, 8), np.float32))
    if not held_first:
        c.hold(found)
    assert c.labels.tolist() == [[3, 3, 3, 4, 4, 3, 3, 3]]


def test_kept_pixels_count_as_much_as_their_decision_is_sure() -> None:
    # Label 3 keeps a coarse pixel against a probability of 0.1: that is as sure as 0.9.
    c = canvas([3, 3, 3, 4, 4, 4, 0, 0])
    c.paint(3, Box(0, 0, 1, 3), np.ones((1, 3), bool), row(0.9, 0.9, 0.1))
    c.paint(4, Box(0, 2, 1, 6), np.ones((1, 4), bool), row(0.8, 0.9, 0.9, 0.9))
    assert c.labels.tolist() == [[3, 3, 3, 4, 4, 4, 0, 0]]


def test_objects_without_a_pixel_get_their_coarse_mask_back() -> None:
    c = canvas([3, 3, 4, 4, 9, 9, 0, 0])
    found = find_objects(c._coarse)
    c.paint(3, WHOLE, row(0, 0, 1, 1, 1, 1, 1, 1) > 0, row(*[0.9] * 8))
    c.paint(4, WHOLE, row(0, 0, 1, 0, 0, 0, 0, 0) > 0, row(*[0.6] * 8))
    c.paint(9, WHOLE, row(0, 0, 0, 0, 0, 0, 0, 0) > 0, row(*[0.0] * 8))
    held = c.hold_vanished((o, WHOLE) for o in found)
    assert held == {4, 9}
    assert c.labels.tolist() == [[0, 0, 4, 4, 9, 9, 3, 3]]


def test_what_is_given_back_may_make_others_vanish_and_they_are_held_too() -> None:
    c = canvas([3, 3, 4, 4, 0, 0, 0, 0])
    found = find_objects(c._coarse)
    c.paint(3, WHOLE, row(0, 0, 1, 1, 0, 0, 0, 0) > 0, row(*[0.9] * 8))
    held = c.hold_vanished((o, WHOLE) for o in found)
    assert held == {3, 4}
    assert c.labels.tolist() == [[3, 3, 4, 4, 0, 0, 0, 0]]
