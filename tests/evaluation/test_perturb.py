"""Coarse labels are what their kind says, seeded by name, and never overlap."""

import numpy as np
import pytest

from napari_segrefiner.errors import OptionError
from napari_segrefiner.evaluation.defects import ACCURATE, DEFECTS, NEAR, Object
from napari_segrefiner.evaluation.perturb import (
    KINDS,
    LEAST_IOU,
    LEAST_IOU_FOUND,
    MIXED,
    perturb,
    random_for,
)
from napari_segrefiner.metrics import iou
from tests.core.stubs import disk

SHAPE = (120, 160)
IMAGE = np.zeros(SHAPE, np.uint8)


def scene():
    """Three disks apart, and two that touch (ids 7 and 8)."""
    labels = np.zeros(SHAPE, np.int32)
    for i, (y, x, r) in {2: (25, 25, 15), 3: (28, 90, 10), 5: (85, 30, 18)}.items():
        labels[disk(SHAPE, y, x, r)] = i
    labels[70:100, 80:110] = 7
    labels[70:100, 110:135] = 8
    return labels


def test_ids_may_be_as_large_as_they_like():
    """Colours or hashes as ids: no table of all smaller numbers is made."""
    large = np.where(scene() == 7, 2**40, scene().astype(np.int64))
    found = perturb(IMAGE, large, "eroded", ids=[2, 2**40])
    plain = perturb(IMAGE, scene(), "eroded", ids=[2, 7])
    assert set(np.unique(found.labels)) == {0, 2, 2**40}
    np.testing.assert_array_equal(found.labels == 2, plain.labels == 2)


def one_disk(radius=14):
    fine = disk((64, 64), 32, 31, radius)
    return Object(fine, np.zeros(fine.shape, np.int32))


def draws(kind, one, n=12):
    return [DEFECTS[kind](one, random_for(f"{k}")) for k in range(n)]


def test_eroded_masks_lie_inside_and_lose_10_to_35_percent():
    one = one_disk()
    for mask in draws("eroded", one):
        assert not (mask & ~one.fine).any()
        assert 0.64 < mask.sum() / one.fine.sum() < 0.91


def test_dilated_masks_lie_outside_and_gain_10_to_50_percent():
    one = one_disk()
    for mask in draws("dilated", one):
        assert (mask | ~one.fine).all()
        assert 1.09 < mask.sum() / one.fine.sum() < 1.51


def test_shifted_masks_are_the_true_ones_2_to_6_pixels_off():
    one = one_disk()
    for mask in draws("shifted", one):
        assert mask.sum() == one.fine.sum()
        offset = np.argwhere(mask).mean(0) - np.argwhere(one.fine).mean(0)
        assert 1.3 < np.hypot(*offset) < 6.8


def test_polygons_have_straight_sides_between_points_of_the_outline():
    one = one_disk(20)
    for mask in draws("polygon", one):
        assert not (mask & ~one.fine).any()  # chords of a disk
        assert 0.7 < iou(one.fine, mask) < 0.96  # five to nine points


def test_hurried_points_are_off_the_outline():
    one = one_disk(20)
    masks = draws("hurried", one)
    assert any((mask & ~one.fine).any() for mask in masks)
    assert 0.7 < np.mean([iou(one.fine, mask) for mask in masks]) < 0.9


def test_holes_and_blobs_are_both_there():
    one = one_disk()
    for mask in draws("holes_blobs", one):
        assert (one.fine & ~mask).any()
        assert (mask & ~one.fine).any()


def test_low_resolution_is_made_of_square_cells():
    one = one_disk(20)
    for mask in draws("low_resolution", one):
        runs = np.diff(np.flatnonzero(np.diff(mask.astype(int), axis=1).any(0)))
        assert runs.min() >= 3  # 35 px / 9 cells


def test_wobble_goes_in_and_out():
    one = one_disk()
    masks = draws("wobble", one)
    goes_out = [(mask & ~one.fine).any() for mask in masks]
    goes_in = [(one.fine & ~mask).any() for mask in masks]
    assert np.mean(goes_out) > 0.5
    assert np.mean(goes_in) > 0.5
    assert 0.65 < np.mean([iou(one.fine, mask) for mask in masks]) < 0.92


@pytest.mark.parametrize("radius", [3, 14, 26])
def test_accurate_masks_are_hardly_wrong(radius):
    one = one_disk(radius)
    values = [iou(one.fine, mask) for mask in draws("accurate", one)]
    assert min(values) > ACCURATE
    assert max(values) == 1


def test_merging_takes_the_neighbour_and_the_gap_but_nothing_else():
    others = np.zeros((64, 64), np.int32)
    fine = np.zeros((64, 64), bool)
    fine[20:40, 10:30] = True
    others[20:40, 33:50] = 4  # a gap of three
    others[:3, :3] = 6  # too far
    mask = DEFECTS["merged"](Object(fine, others), random_for("a"))
    assert mask[others == 4].all()
    assert mask[22:38, 10:50].all()  # the ends of the gap may be round
    assert mask.sum() < 20 * 40 + 20
    assert not mask[:3, :3].any()
    far = np.where(others == 6, 6, 0)
    assert NEAR[0] < 10
    assert not DEFECTS["merged"](Object(fine, far), random_for("a")).any()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "watershed"])
def test_ids_are_kept_and_masks_resemble_their_truth(kind):
    truth = scene()
    ids = np.unique(truth[truth > 0])
    coarse = perturb(IMAGE, truth, kind, ids=ids)
    held = np.unique(coarse.labels)
    assert np.array_equal(held, np.unique(coarse.truth))
    assert coarse.labels.dtype == truth.dtype
    for i in held[held > 0]:
        assert np.array_equal(coarse.truth == i, truth == i)
        assert iou(truth == i, coarse.labels == i) > LEAST_IOU
    if kind not in (MIXED, "merged"):
        assert set(held) == {0, *ids}


def test_a_neighbour_that_was_merged_is_no_object_any_more():
    truth = scene()
    coarse = perturb(IMAGE, truth, "merged", ids=[2, 3, 5, 7, 8])
    assert set(np.unique(coarse.truth)) == {0, 7}  # the others have no neighbour
    assert iou(coarse.labels == 7, truth >= 7) > 0.95


def test_contested_pixels_stay_with_whom_they_belong_to():
    truth = scene()
    coarse = perturb(IMAGE, truth, "dilated", ids=[7, 8])
    assert (coarse.labels[truth == 7] == 7).all()
    assert (coarse.labels[truth == 8] == 8).all()


def test_an_object_s_mask_depends_on_seed_name_and_id_alone():
    truth = scene()
    alone = perturb(IMAGE, truth, MIXED, ids=[5], seed=3, name="a").labels == 5
    among = perturb(IMAGE, truth, MIXED, ids=[2, 3, 5], seed=3, name="a").labels == 5
    assert np.array_equal(alone, among)
    others = [
        perturb(IMAGE, truth, "wobble", ids=[5], seed=seed, name=name).labels
        for seed, name in ((0, "a"), (1, "a"), (0, "b"))
    ]
    assert not np.array_equal(others[0], others[1])
    assert not np.array_equal(others[0], others[2])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("channels", [None, 0, -1])
def test_the_watershed_finds_what_stands_out_bright_or_dark(sign, channels):
    truth = scene()
    grey = 100 + sign * 60.0 * (truth > 0)
    image = grey if channels is None else np.stack([grey] * 3, channels)
    coarse = perturb(image.astype(np.uint8), truth, "watershed", ids=[2, 3, 5])
    assert set(np.unique(coarse.labels)) == {0, 2, 3, 5}
    for i in (2, 3, 5):
        assert iou(truth == i, coarse.labels == i) > max(0.85, LEAST_IOU_FOUND)


def test_the_watershed_finds_nothing_in_an_empty_picture():
    coarse = perturb(IMAGE, scene(), "watershed", ids=[2, 3])
    assert not coarse.labels.any()
    assert not coarse.truth.any()


@pytest.mark.parametrize("channels", [None, 0, -1])
def test_the_watershed_passes_over_pixels_without_a_number(channels):
    truth = scene()
    grey = 100 + 60.0 * (truth > 0)
    for k, value in enumerate((np.nan, np.inf, -np.inf)):
        grey[5 + k, 150] = value
    image = grey if channels is None else np.stack([grey, -grey, grey], channels)
    coarse = perturb(image, truth, "watershed", ids=[2, 3, 5])
    assert set(np.unique(coarse.labels)) == {0, 2, 3, 5}
    coarse = perturb(np.full_like(image, np.nan), truth, "watershed", ids=[2])
    assert not coarse.labels.any()


def test_a_name_that_is_no_text_decides_as_any_other():
    draws = [random_for(name).random() for name in ("a\udce9", "a\udce8", "a")]
    assert len(set(draws)) == 3


def test_an_unknown_kind_is_refused():
    with pytest.raises(OptionError, match=r"'soft'.*choose mixed, eroded"):
        perturb(IMAGE, scene(), "soft", ids=[2])
