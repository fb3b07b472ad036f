"""Agreement of the metrics with the values of the reference codes (data/metrics.md)."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from napari_segrefiner import metrics
from tests import golden

GOLDEN = np.load(Path(__file__).parent / "data" / "metrics.npz", allow_pickle=False)


def binary_cases():
    """(case, truth, mask, reference values by name)."""
    for k, case in enumerate(GOLDEN["bin_cases"]):
        values = dict(zip(GOLDEN["bin_metrics"], GOLDEN["bin_values"][k], strict=True))
        yield (
            str(case),
            GOLDEN[f"bin/{case}/gt"].astype(bool),
            GOLDEN[f"bin/{case}/pred"].astype(bool),
            values,
        )


def label_cases():
    """(case, truth, labels, reference values by name)."""
    for k, case in enumerate(GOLDEN["lab_cases"]):
        values = dict(zip(GOLDEN["lab_metrics"], GOLDEN["lab_values"][k], strict=True))
        yield (
            str(case),
            GOLDEN[f"lab/{case}/gt"],
            GOLDEN[f"lab/{case}/pred"],
            values,
        )


BINARY = {
    "davis_J": (metrics.iou, 1e-9),
    "hover_dice": (metrics.dice, 1e-9),
    "davis_F": (metrics.boundary_f, 1e-9),
    "davis_F_1px": (lambda t, m: metrics.boundary_f(t, m, 1), 1e-9),
    "davis_F_2px": (lambda t, m: metrics.boundary_f(t, m, 2), 1e-9),
    "davis_F_3px": (lambda t, m: metrics.boundary_f(t, m, 3), 1e-9),
    "cascadepsp_mBA": (metrics.mba, 1e-9),
    "boundary_iou_r02": (metrics.boundary_iou, 1e-9),
    "boundary_iou_1px": (lambda t, m: metrics.boundary_iou(t, m, 1), 1e-9),
    "boundary_iou_2px": (lambda t, m: metrics.boundary_iou(t, m, 2), 1e-9),
    "boundary_iou_3px": (lambda t, m: metrics.boundary_iou(t, m, 3), 1e-9),
    "boundary_iou_5px": (lambda t, m: metrics.boundary_iou(t, m, 5), 1e-9),
    "monai_hd95": (metrics.hd95, 1e-5),
}

LABELS = {
    "hover_AJI": metrics.aji,
    "hover_AJIplus": metrics.aji_plus,
    "hover_DQ": lambda t, p: metrics.panoptic_quality(t, p).dq,
    "hover_SQ": lambda t, p: metrics.panoptic_quality(t, p).sq,
    "hover_PQ": lambda t, p: metrics.panoptic_quality(t, p).pq,
    "hover_DQ_iou25": lambda t, p: metrics.panoptic_quality(t, p, 0.25).dq,
    "hover_SQ_iou25": lambda t, p: metrics.panoptic_quality(t, p, 0.25).sq,
    "hover_PQ_iou25": lambda t, p: metrics.panoptic_quality(t, p, 0.25).pq,
    "ctc_SEG": lambda t, p: metrics.seg(t, p).mean(),
}


@pytest.mark.parametrize("name", BINARY)
def test_metric_of_two_masks_equals_its_reference(name):
    function, tolerance = BINARY[name]
    compared = 0
    for _, truth, mask, values in binary_cases():
        if math.isfinite(values[name]):
            found = function(truth, mask)
            golden.check(f"metrics: {name}", found, values[name], tolerance)
            compared += 1
    assert compared >= 19


@pytest.mark.parametrize("name", LABELS)
def test_metric_of_two_label_images_equals_its_reference(name):
    compared = 0
    for _, truth, labels, values in label_cases():
        if not (truth.any() and labels.any()) or not math.isfinite(values[name]):
            continue
        found = LABELS[name](truth, labels)
        golden.check(f"metrics: {name}", found, values[name], 1e-9)
        compared += 1
    assert compared >= 17


def test_overlap_counts_equal_the_reference():
    compared = set()
    for case, truth, mask, values in binary_cases():
        both, either = metrics.overlap(truth, mask)
        want = values["intersection"], values["union"]
        golden.check("metrics: intersection, union", (both, either), want)
        compared.add(case)
    assert len(compared) == 25


def test_matching_equals_its_reference_at_every_threshold():
    compared = 0
    keys = {str(k): i for i, k in enumerate(GOLDEN["lab_stardist_keys"])}
    for k, (case, truth, labels, _) in enumerate(label_cases()):
        found = metrics.overlaps(truth, labels)
        for j, threshold in enumerate(GOLDEN["lab_stardist_thresholds"]):
            want = GOLDEN["lab_stardist"][k, j]
            got = metrics.match_at(found, threshold=float(threshold))
            counts = [want[keys[c]] for c in ("tp", "fp", "fn")]
            assert [got.tp, got.fp, got.fn] == counts, (case, threshold)
            if not (truth.any() and labels.any()):
                continue
            compared += 1
            for name, value in (
                ("accuracy", got.ap),
                ("f1", got.f1),
                ("precision", got.precision),
                ("recall", got.recall),
                ("mean_matched_score", got.mean_matched_iou if got.tp else 0.0),
            ):
                golden.check(f"metrics: stardist {name}", value, want[keys[name]], 1e-6)
    assert compared >= 170


@pytest.mark.parametrize(
    ("name", "threshold"), [("50", 0.5), ("75", 0.75), ("90", 0.9)]
)
def test_ap_of_one_image_equals_the_second_reference(name, threshold):
    for _, truth, labels, values in label_cases():
        if truth.any() and labels.any():
            got = metrics.match_at(truth, labels, threshold).ap
            golden.check(
                f"metrics: cellpose_AP{name}", got, values[f"cellpose_AP{name}"], 1e-6
            )


def test_void_pixels_count_in_neither_mask():
    truth = GOLDEN["bin/noisy/gt"].astype(bool)
    mask = GOLDEN["bin/noisy/pred"].astype(bool)
    void = GOLDEN["void/mask"].astype(bool)
    j, f = GOLDEN["void_J_F"]
    found = (
        metrics.iou(truth, mask, void=void),
        metrics.boundary_f(truth, mask, void=void),
    )
    golden.check("metrics: void_J_F", found, (j, f), 1e-9)
    cleared = metrics.boundary_iou(truth & ~void, mask & ~void, 2)
    assert metrics.boundary_iou(truth, mask, 2, void=void) == cleared


def test_void_pixels_leave_the_bands_of_mba():
    truth = np.zeros((40, 40), bool)
    truth[10:30, 10:30] = True
    mask = truth.copy()
    mask[10:12] = False
    void = np.zeros_like(truth)
    void[:15] = True
    assert metrics.mba(truth, mask) < 1
    assert metrics.mba(truth, mask, void=void) == 1


def test_mba_element_and_radii_equal_the_reference():
    for radius, row in enumerate(GOLDEN["mba_ellipse_halfwidth"], start=1):
        assert metrics.ellipse_half_widths(radius) == tuple(row[: 2 * radius + 1])
    for height, width, *radii in GOLDEN["mba_radii"]:
        assert metrics.mba_radii((int(height), int(width))) == tuple(radii)


def test_aggregated_iou_and_mean_mba_equal_the_reference():
    pairs = [
        (GOLDEN[f"bin/{c}/gt"].astype(bool), GOLDEN[f"bin/{c}/pred"].astype(bool))
        for c in GOLDEN["big_cases"]
    ]
    sums = np.sum([metrics.overlap(t, m) for t, m in pairs], axis=0)
    mean = np.mean([metrics.mba(t, m) for t, m in pairs])
    found = sums[0] / sums[1], mean
    golden.check("metrics: big_iou_mba", found, GOLDEN["big_iou_mba"], 1e-9)


EMPTY = np.zeros((20, 30), bool)
BLOCK = np.pad(np.ones((6, 8), bool), ((7, 7), (11, 11)))


@pytest.mark.parametrize(
    "function",
    [metrics.iou, metrics.dice, metrics.boundary_iou, metrics.boundary_f],
)
def test_two_empty_masks_agree_and_one_empty_mask_does_not(function):
    assert function(EMPTY, EMPTY) == 1
    assert function(EMPTY, BLOCK) == 0
    assert function(BLOCK, EMPTY) == 0


def test_mba_without_true_boundary_is_undefined():
    assert math.isnan(metrics.mba(EMPTY, BLOCK))
    assert math.isnan(metrics.mba(EMPTY, EMPTY))
    assert math.isnan(metrics.mba(~EMPTY, BLOCK))
    assert 0.3 < metrics.mba(BLOCK, EMPTY) < 0.7


def test_hd95_of_an_empty_mask_is_undefined_and_has_the_unit_of_spacing():
    assert math.isnan(metrics.hd95(EMPTY, BLOCK))
    assert math.isnan(metrics.hd95(BLOCK, EMPTY))
    moved = np.roll(BLOCK, 2, axis=0)
    assert metrics.hd95(BLOCK, moved) == 2
    assert metrics.hd95(BLOCK, moved, spacing=(0.5, 3.0)) == 1


def test_label_images_without_objects_are_undefined_and_one_without_is_zero():
    nothing, one = EMPTY.astype(int), BLOCK.astype(int)
    for function in (
        metrics.aji,
        metrics.aji_plus,
        lambda t, p: metrics.panoptic_quality(t, p).pq,
        lambda t, p: metrics.match_at(t, p, 0.5).ap,
    ):
        assert math.isnan(function(nothing, nothing))
        assert function(nothing, one) == 0
        assert function(one, nothing) == 0
    assert metrics.seg(nothing, one).size == 0
    assert metrics.seg(one, nothing).tolist() == [0]


def test_a_match_counts_though_two_poor_pairs_are_worth_more():
    # IoU 75/149 with the true partner; a quarter of the one and 49/124 of the other.
    truth = np.repeat([[1, 2]], [100, 49], axis=1)
    labels = np.repeat([[2, 1]], [25, 124], axis=1)
    found = metrics.panoptic_quality(truth, labels)
    assert found.dq == 0.5
    assert found.sq == pytest.approx(75 / 149, abs=1e-5)


def test_matchings_of_several_images_add_up():
    one = BLOCK.astype(int)
    moved = np.roll(one, 3, axis=1)
    total = metrics.match_at(one, one, 0.9) + metrics.match_at(one, moved, 0.9)
    assert (total.tp, total.fp, total.fn) == (1, 1, 1)
    assert total.ap == pytest.approx(1 / 3)


def test_groups_solved_alone_give_the_assignment_of_the_whole():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 9, (40, 40))
    labels = np.where(rng.random((40, 40)) < 0.7, truth, rng.integers(0, 9, (40, 40)))
    found = metrics.overlaps(truth, labels)
    whole = np.zeros((len(found.truth_ids), len(found.ids)))
    whole[found.rows, found.columns] = found.iou
    best = whole[linear_sum_assignment(-whole)].sum()
    assert found.iou[metrics.assign(found, found.iou)].sum() == pytest.approx(best)


def test_five_thousand_objects_are_counted_without_an_object_by_object_matrix():
    tile = np.kron(np.arange(1, 5001).reshape(50, 100), np.ones((8, 8), np.int64))
    moved = np.roll(tile, 2, axis=1)
    found = metrics.overlaps(tile, moved)
    assert len(found.both) == 10_000
    assert metrics.match_at(found, threshold=0.6).tp == 5000
    assert metrics.match_at(found, threshold=0.61).tp == 0


def test_depth_of_labels_gives_the_band_of_every_object():
    rng = np.random.default_rng(4)
    labels = np.kron(rng.integers(0, 5, (7, 9)), np.ones((6, 7), int))
    labels[rng.random(labels.shape) < 0.01] = 0
    depth = metrics.label_depth(labels)
    assert not depth[labels == 0].any()
    for distance in (1, 2, 4):
        for k in range(1, 5):
            band = metrics.boundary_band(labels == k, distance)
            np.testing.assert_array_equal((labels == k) & (depth <= distance), band)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.int64, np.uint64])
def test_ids_are_numbered_in_every_type(dtype):
    labels = np.array([[0, 1, 1], [1, 0, 0]]).astype(dtype)
    ids, positions = metrics.number(labels)
    assert ids.tolist() == [1]
    assert positions.tolist() == [[-1, 0, 0], [0, -1, -1]]


def test_ids_too_large_for_a_table_are_numbered_alike():
    labels = np.array([[0, 3, 10**15], [7, 0, 3]])
    ids, positions = metrics.number(labels)
    assert ids.tolist() == [3, 7, 10**15]
    assert positions.tolist() == [[-1, 0, 2], [1, -1, 0]]
    full_ids, full = metrics.number(labels[:, 1:2] + 10**15)
    assert (full_ids[full] == labels[:, 1:2] + 10**15).all()
