"""Confidence intervals: images are drawn anew."""

import numpy as np
import pytest

from napari_segrefiner.evaluation.intervals import (
    draw_totals,
    intervals,
    intervals_of_mean,
)
from napari_segrefiner.evaluation.pairing import pair_objects
from napari_segrefiner.evaluation.scores import score_image, totals


def scored(lack, gain=0):
    """A square that lacks some of its 20 columns, and `gain` fewer refined."""
    truth = np.zeros((30, 30), np.uint8)
    truth[5:25, 5:25] = 1
    coarse, refined = truth.copy(), truth.copy()
    coarse[:, 25 - lack : 25] = 0
    refined[:, 25 - lack + gain : 25] = 0
    layers = {"coarse": coarse, "r": refined}
    return score_image("a", truth, layers, pair_objects(truth, coarse))


def test_the_interval_holds_the_total_and_widens_with_the_spread():
    images = {"": [scored(k, 2) for k in (2, 4, 6, 8, 10, 12)]}
    wide = intervals(images)
    narrow = intervals({"": [scored(k, 2) for k in (6, 7, 7, 8)]})
    total = totals(images[""])
    low, high = wide["coarse"]["iou"]
    assert low < total["coarse"]["iou"].value < high
    assert high - low > narrow["coarse"]["iou"][1] - narrow["coarse"]["iou"][0]


def test_a_gain_alike_in_all_images_is_certain():
    # Two columns of twenty everywhere: the IoU differs much, the gain does not.
    found = intervals({"": [scored(k, 2) for k in (2, 6, 10)]})
    assert found["r"]["gain_iou"] == pytest.approx((0.1, 0.1))
    assert found["r"]["improved_02"] == (1.0, 1.0)


def test_draws_depend_on_the_seed_alone_and_one_image_has_none():
    images = [scored(k) for k in (2, 6, 10)]
    first, again = draw_totals(images), draw_totals(images)
    np.testing.assert_array_equal(first["coarse"]["iou"], again["coarse"]["iou"])
    other = draw_totals(images, seed=1)["coarse"]["iou"]
    assert (first["coarse"]["iou"] != other).any()
    assert draw_totals(images[:1]) == {}
    assert intervals({"": images[:1]}) == {}


def test_the_mean_of_sets_draws_within_sets():
    groups = {"a": [scored(2), scored(2)], "b": [scored(10), scored(10)]}
    found = intervals_of_mean(groups)
    # Within a set all images are alike, so that the mean is certain.
    assert found["coarse"]["iou"] == pytest.approx((0.7, 0.7))
    assert intervals_of_mean({**groups, "c": [scored(1)]}) == {}
