"""Pairs are made once on the coarse labels, and scores are those of whole images."""

import math

import numpy as np
import pytest

from napari_segrefiner import metrics
from napari_segrefiner.errors import InputError
from napari_segrefiner.evaluation.pairing import pair_objects
from napari_segrefiner.evaluation.scores import Total, mean_of, score_image, totals


def blocks(*boxes, shape=(60, 80), ids=None):
    """A label image of rectangles (y0, x0, y1, x1), numbered from 1."""
    labels = np.zeros(shape, np.int32)
    numbers = ids or range(1, len(boxes) + 1)
    for k, (y0, x0, y1, x1) in zip(numbers, boxes, strict=True):
        labels[y0:y1, x0:x1] = k
    return labels


TRUTH = blocks((5, 5, 25, 30), (30, 10, 50, 20), (10, 50, 40, 75))


def test_equal_ids_are_paired_by_id_even_without_overlap():
    coarse = blocks((30, 10, 50, 20), (5, 5, 25, 30), (10, 50, 40, 75))
    pairs = pair_objects(TRUTH, coarse)
    assert pairs.coarse_ids.tolist() == [1, 2, 3]
    by_overlap = pair_objects(TRUTH, coarse, "overlap")
    assert by_overlap.coarse_ids.tolist() == [2, 1, 3]


def test_other_ids_are_paired_by_overlap_one_to_one():
    coarse = blocks((5, 5, 25, 20), (5, 20, 25, 30), (12, 50, 40, 75), ids=(7, 9, 40))
    pairs = pair_objects(TRUTH, coarse)
    assert pairs.coarse_ids.tolist() == [7, 0, 40]
    assert pairs.missing.tolist() == [2]
    assert pairs.surplus.tolist() == [9]


def test_pairs_by_id_leave_out_what_one_side_lacks():
    coarse = blocks((5, 5, 25, 30), (30, 10, 50, 20), ids=(1, 8))
    pairs = pair_objects(TRUTH, coarse, "id")
    assert pairs.coarse_ids.tolist() == [1, 0, 0]
    assert pairs.surplus.tolist() == [8]


def test_bool_masks_and_masks_of_255_are_one_object():
    mask = TRUTH == 3
    pairs = pair_objects(mask, np.where(mask, 255, 0).astype(np.uint8))
    assert pairs.truth_ids.tolist() == [1]
    assert pairs.coarse_ids.tolist() == [255]


def test_labels_of_different_sizes_are_refused():
    with pytest.raises(InputError, match="60 x 80 but the coarse ones are 60 x 79"):
        pair_objects(TRUTH, TRUTH[:, 1:])


def test_scores_of_an_object_equal_those_of_the_whole_image():
    rng = np.random.default_rng(0)
    coarse = np.where(rng.random(TRUTH.shape) < 0.9, np.roll(TRUTH, (2, 3), (0, 1)), 0)
    pairs = pair_objects(TRUTH, coarse, "id")
    scored = score_image("a", TRUTH, {"coarse": coarse}, pairs).layers["coarse"]
    diagonals = [math.hypot(20, 25), math.hypot(20, 10), math.hypot(30, 25)]
    for k, diagonal in enumerate(diagonals):
        fine, mask = k + 1 == TRUTH, k + 1 == coarse
        assert scored.iou[k] == metrics.iou(fine, mask)
        assert scored.boundary_iou[k] == metrics.boundary_iou(fine, mask, 2)
        wide = max(1, round(0.02 * diagonal))
        assert scored.boundary_iou_r02[k] == metrics.boundary_iou(fine, mask, wide)
        assert scored.area[k] == mask.sum()
    assert scored.foreground == metrics.overlap(TRUTH > 0, coarse > 0)
    assert scored.mba == metrics.mba(TRUTH > 0, coarse > 0)


def test_wide_band_follows_the_true_box():
    truth = blocks((10, 10, 210, 240), shape=(250, 260))
    coarse = blocks((13, 14, 210, 240), shape=(250, 260))
    pairs = pair_objects(truth, coarse)
    scored = score_image("a", truth, {"coarse": coarse}, pairs).layers["coarse"]
    assert round(0.02 * math.hypot(200, 230)) == 6
    assert scored.boundary_iou_r02[0] == metrics.boundary_iou(truth > 0, coarse > 0, 6)
    assert scored.boundary_iou[0] < scored.boundary_iou_r02[0]


def test_ids_may_be_large():
    truth = TRUTH.astype(np.int64) * 10**12
    pairs = pair_objects(truth, truth)
    scored = score_image("a", truth, {"coarse": truth}, pairs).layers["coarse"]
    assert scored.iou.tolist() == [1, 1, 1]


def test_objects_may_cover_the_whole_image():
    truth = np.ones((10, 12), np.uint8)
    truth[:, 6:] = 2
    pairs = pair_objects(truth, truth)
    scored = score_image("a", truth, {"coarse": truth}, pairs).layers["coarse"]
    assert scored.iou.tolist() == [1, 1]
    assert math.isnan(scored.mba)


def two_images():
    """Scores of two images: one object better, one worse, one lost, one missing."""
    coarse = blocks((5, 5, 25, 20), (30, 10, 50, 20), (10, 50, 40, 75))
    refined = blocks((5, 5, 25, 28), (30, 10, 48, 20), shape=(60, 80))
    first = score_image(
        "a", TRUTH, {"coarse": coarse, "new": refined}, pair_objects(TRUTH, coarse)
    )
    alone = blocks((5, 5, 25, 30), (30, 40, 50, 60))
    nothing = np.where(alone == 1, 1, 0)
    second = score_image(
        "b",
        alone,
        {"coarse": nothing, "new": nothing},
        pair_objects(alone, nothing),
    )
    return [first, second]


def test_totals_are_means_over_all_objects_pooled():
    total = totals(two_images())
    coarse = [15 / 25, 1, 1, 1, 0]
    new = [23 / 25, 18 / 20, 0, 1, 0]
    assert total["coarse"]["iou"].value == pytest.approx(np.mean(coarse))
    assert total["coarse"]["iou"].n == 5
    assert total["new"]["iou"].value == pytest.approx(np.mean(new))
    assert total["new"]["improved_02"].value == pytest.approx(1 / 5)
    assert total["new"]["worse_02"].value == pytest.approx(2 / 5)
    assert total["new"]["worse_05"].value == pytest.approx(2 / 5)
    assert total["new"]["lost"].value == pytest.approx(1 / 5)
    assert "lost" not in total["coarse"]


def test_aggregated_iou_sums_before_it_divides():
    total = totals(two_images())
    both = 20 * 15 + 200 + 750 + 500
    either = 20 * 25 + 200 + 750 + 500 + 400
    assert total["coarse"]["iou_agg"].value == pytest.approx(both / either)
    assert total["coarse"]["iou_agg"].n == 2


def test_images_without_boundary_are_left_out_of_mba_and_counted():
    full = np.ones((10, 12), np.uint8)
    scored = score_image("c", full, {"coarse": full}, pair_objects(full, full))
    image = score_image("a", TRUTH, {"coarse": TRUTH}, pair_objects(TRUTH, TRUTH))
    mba = totals([scored, image])["coarse"]["mba"]
    assert (mba.value, mba.n) == (1, 1)


def test_sets_count_the_same_whatever_their_size():
    one, two = (totals([image]) for image in two_images())
    mean = mean_of([one, two])["new"]["iou"]
    expected = (np.mean([23 / 25, 18 / 20, 0]) + np.mean([1, 0])) / 2
    assert mean.value == pytest.approx(expected)
    assert mean.n == 2


def test_thousands_of_objects_take_a_box_each_and_not_an_image_each():
    cells = np.kron(np.arange(1, 2501).reshape(50, 50), np.ones((9, 9), np.int32))
    cells[::9] = 0
    coarse = np.roll(cells, 1, axis=1)
    pairs = pair_objects(cells, coarse)
    scored = score_image("a", cells, {"coarse": coarse}, pairs).layers["coarse"]
    assert scored.iou[101] == pytest.approx(8 / 10)


def test_layers_are_scored_as_segmentations_with_all_that_is_in_them():
    whole = blocks((5, 5, 25, 30), (30, 10, 50, 20), (50, 60, 60, 70))
    half = blocks((5, 5, 15, 30), (30, 10, 50, 20), (10, 50, 40, 75))
    images = [
        score_image("a", TRUTH, {"coarse": coarse}, pair_objects(TRUTH, coarse, "id"),
                    is_whole=True)
        for coarse in (whole, half)
    ]  # fmt: skip
    found = totals(images)["coarse"]
    # Two of three and one too much; then three of three, one of them at IoU .5.
    assert found["ap_50"] == Total(5 / 7, 2)
    assert found["ap_75"] == Total(4 / 8, 2)
    each = [metrics.aji(TRUTH, coarse) for coarse in (whole, half)]
    assert found["aji"].value == pytest.approx(np.mean(each))
    each = [metrics.panoptic_quality(TRUTH, coarse).pq for coarse in (whole, half)]
    assert found["pq"].value == pytest.approx(np.mean(each))
    # Half an object is not more than half.
    assert found["seg"] == Total((1 + 1 + 0 + 0 + 1 + 1) / 6, 6)
    plain = score_image("a", TRUTH, {"coarse": whole}, pair_objects(TRUTH, whole, "id"))
    assert "aji" not in totals([plain])["coarse"]
