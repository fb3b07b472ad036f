"""The sample: same objects in truth and coarse masks, coarse but not lost."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segrefiner import metrics
from napari_segrefiner.io import sample


@pytest.fixture(scope="module")
def coins() -> sample.Sample:
    return sample.coins()


def test_truth_has_every_coin_and_no_speck(coins: sample.Sample) -> None:
    areas = np.bincount(coins.truth.ravel())[1:]
    assert len(areas) == 24
    assert areas.min() > 900


def test_truth_is_bright_inside_and_dark_around(coins: sample.Sample) -> None:
    coin = coins.truth > 0
    assert coins.image[coin].mean() > 2 * coins.image[~coin].mean()


def test_coarse_masks_carry_the_ids_of_the_truth(coins: sample.Sample) -> None:
    assert coins.coarse.shape == coins.truth.shape == coins.image.shape
    assert coins.coarse.dtype == coins.truth.dtype == np.uint16
    np.testing.assert_array_equal(np.unique(coins.coarse), np.unique(coins.truth))


def test_coarse_masks_are_coarse_but_at_the_right_place(coins: sample.Sample) -> None:
    agreement = [
        metrics.iou(coins.truth == label, coins.coarse == label)
        for label in range(1, 25)
    ]
    assert min(agreement) > 0.55
    assert 0.7 < np.mean(agreement) < 0.85
    assert max(agreement) < 0.93


def test_seed_decides_about_the_coarse_masks_alone(coins: sample.Sample) -> None:
    again, other = sample.coins(), sample.coins(seed=1)
    np.testing.assert_array_equal(again.coarse, coins.coarse)
    np.testing.assert_array_equal(other.truth, coins.truth)
    assert (other.coarse != coins.coarse).any()


def test_a_polygon_depends_on_its_own_label_alone(coins: sample.Sample) -> None:
    alone = np.where(coins.truth == 7, coins.truth, 0).astype(np.uint16)
    np.testing.assert_array_equal(
        sample.draw_in_a_hurry(alone, 0) == 7, coins.coarse == 7
    )
