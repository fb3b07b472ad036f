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


def test_masks_that_would_hardly_change_are_left() -> None:
    refined = disk(SHAPE, 30, 30, 16)
    share = 1 - COARSE.sum() / refined.sum()
    sure = refined.astype(np.float32)
    assert Guards(least_change=share + 1e-6).leaves(refined, COARSE, sure)
    assert not Guards(least_change=share - 1e-6).leaves(refined, COARSE, sure)
    assert not Guards().leaves(refined, COARSE, sure)
    assert Guards().leaves(COARSE.copy(), COARSE, sure)  # there is no change at all


def test_what_is_left_of_a_change_decides_whether_it_is_too_small() -> None:
    far = COARSE | disk(SHAPE, 5, 5, 4)
    probability = far.astype(np.float32)
    guards = Guards(band=0.1, least_change=0.001)
    assert guards.leaves(far, COARSE, probability)
    assert not Guards(least_change=0.001).leaves(far, COARSE, probability)


def test_small_pieces_of_a_change_are_taken_back() -> None:
    hole, notch = disk(SHAPE, 30, 25, 5), disk(SHAPE, 30, 45, 1)
    blob = disk(SHAPE, 5, 5, 3)
    refined = (COARSE & ~hole & ~notch) | blob
    sure = refined.astype(np.float32)
    largest = (hole & COARSE).sum()
    shares = [(piece & (refined != COARSE)).sum() / largest for piece in (notch, blob)]
    assert 0 < shares[0] < 0.1 < shares[1] < 1

    got = Guards(least_piece=0.1).limit(refined, COARSE, sure)
    np.testing.assert_array_equal(got, (COARSE & ~hole) | blob)
    exactly = Guards(least_piece=float(shares[0])).limit(refined, COARSE, sure)
    np.testing.assert_array_equal(exactly, refined)
    alone = Guards(least_piece=1.0).limit(COARSE & ~hole, COARSE, sure)
    np.testing.assert_array_equal(alone, COARSE & ~hole)
    np.testing.assert_array_equal(
        Guards(least_piece=1.0).limit(COARSE, COARSE, sure), COARSE
    )


def test_pieces_that_touch_at_a_corner_are_one() -> None:
    refined = COARSE.copy()
    refined[5:15, 5:6] = True
    refined[15, 6] = True
    refined[50, 50] = True
    got = Guards(least_piece=0.5).limit(refined, COARSE, refined.astype(np.float32))
    assert got[15, 6]
    assert not got[50, 50]


def test_objects_more_uncertain_than_the_limit_are_held() -> None:
    assert Guards(doubt=0.35).holds(0.36)
    assert not Guards(doubt=0.35).holds(0.35)
