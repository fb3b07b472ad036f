"""Guards keep the coarse mask where they say so, and nowhere else."""

from __future__ import annotations

import numpy as np

from napari_segrefiner.core.guards import Guards
from tests.core.stubs import disk

SHAPE = (60, 60)
COARSE = disk(SHAPE, 30, 30, 15)


def test_without_guards_nothing_is_limited() -> None:
    refined = disk(SHAPE, 30, 45, 12)
    even = np.full(SHAPE, 0.5, np.float32)
    np.testing.assert_array_equal(Guards().limit(refined, COARSE, even), refined)
    assert not Guards().holds(1.0)


def test_doubtful_pixels_keep_their_coarse_value() -> None:
    refined = disk(SHAPE, 30, 45, 12)
    probability = np.where(refined, 0.9, 0.1).astype(np.float32)
    probability[:30] = np.where(refined[:30], 0.55, 0.45)
    got = Guards(pixel_doubt=0.2).limit(refined, COARSE, probability)
    np.testing.assert_array_equal(got[:30], COARSE[:30])
    np.testing.assert_array_equal(got[30:], refined[30:])


def test_changes_far_from_the_coarse_boundary_are_taken_back() -> None:
    refined = ~COARSE
    probability = refined.astype(np.float32)
    band = 0.1
    got = Guards(band=band).limit(refined, COARSE, probability)
    y, x = np.nonzero(got != COARSE)
    distance = np.abs(np.hypot(y - 30, x - 30) - 15)
    reach = band * np.sqrt(COARSE.sum()) + 1
    assert 0.7 * reach < distance.max() < reach + 1.5


def test_masks_that_hardly_change_stay_exactly_as_they_are() -> None:
    refined = disk(SHAPE, 30, 30, 16)
    share = 1 - COARSE.sum() / refined.sum()
    sure = refined.astype(np.float32)
    kept = Guards(least_change=share + 1e-6).limit(refined, COARSE, sure)
    np.testing.assert_array_equal(kept, COARSE)
    changed = Guards(least_change=share - 1e-6).limit(refined, COARSE, sure)
    np.testing.assert_array_equal(changed, refined)


def test_what_is_left_of_a_change_decides_whether_it_is_too_small() -> None:
    far = COARSE | disk(SHAPE, 5, 5, 4)
    guards = Guards(band=0.1, least_change=0.001)
    probability = far.astype(np.float32)
    np.testing.assert_array_equal(guards.limit(far, COARSE, probability), COARSE)
    only = Guards(least_change=0.001).limit(far, COARSE, probability)
    np.testing.assert_array_equal(only, far)


def test_objects_more_uncertain_than_the_limit_are_held() -> None:
    assert Guards(doubt=0.35).holds(0.36)
    assert not Guards(doubt=0.35).holds(0.35)
