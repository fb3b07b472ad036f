"""Objects of an image whose masks all seem too small, or too large, say so together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skimage.draw import disk as disk_at
from torch import Tensor

from napari_segrefiner import refine
from napari_segrefiner.core.consensus import agree, vote
from napari_segrefiner.core.masks import refine_masks
from napari_segrefiner.models.catalogue import load_model
from tests.core.stubs import bright, stub_model

Array = np.ndarray[Any, Any]
PLACES = ((40, 40), (40, 130), (130, 40), (130, 130))
CORE, RING = 200, 100


def disks(radii: tuple[int, ...]) -> Array:
    """Labels 1, 2 ... of disks with these radii at PLACES."""
    labels = np.zeros((170, 170), np.uint8)
    for label, ((y, x), radius) in enumerate(zip(PLACES, radii, strict=True), start=1):
        labels[disk_at((y, x), radius, shape=labels.shape)] = label
    return labels


def picture() -> Array:
    """Bright disks of 14 px within rings that reach to 18 px."""
    image = np.zeros((170, 170), np.uint8)
    image[disks((18, 18, 18, 18)) > 0] = RING
    image[disks((14, 14, 14, 14)) > 0] = CORE
    return image


def doubtful_rings(x: Tensor, index: Tensor) -> Tensor:
    """P is .99 where it is bright, .35 in the rings and .01 elsewhere."""
    low, high = (x[:, :1].amin((2, 3), True), x[:, :1].amax((2, 3), True))
    share = (x[:, :1] - low) / (high - low)
    p = torch.where(share > 0.75, 0.99, torch.where(share > 0.25, 0.35, 0.01))
    return torch.logit(p)


MODEL = stub_model(doubtful_rings)


def rings(labels: Array) -> float:
    """The share of the rings that the labels cover; they cover all that is bright."""
    assert (labels[picture() == CORE] > 0).all()
    return float((labels[picture() == RING] > 0).mean())


def test_masks_that_are_all_too_small_grow_further_together() -> None:
    coarse = disks((10, 10, 10, 10))
    assert rings(refine(picture(), coarse, model=MODEL).labels) < 0.15
    together = refine(picture(), coarse, model=MODEL, consensus=0.35)
    assert rings(together.labels) > 0.95
    assert {entry.consensus for entry in together.report} == {"small"}
    assert together.record["options"]["consensus"] == 0.35


def test_what_is_too_much_goes_though_all_others_are_too_small() -> None:
    coarse = disks((10, 10, 10, 10))
    coarse[15:22, 33:47] = 1  # a lump beside the ring, which is wrong
    result = refine(picture(), coarse, model=MODEL, consensus=0.35)
    assert (result.labels[15:22, 33:47] == 0).mean() > 0.95
    assert rings(result.labels) > 0.95


def test_masks_that_are_right_already_hardly_vote() -> None:
    square = np.zeros((40, 40), bool)
    square[5:35, 5:35] = True
    larger = square.copy()
    larger[5, 35] = larger[6, 35] = True  # 2 of 900 pixels
    assert vote(square, larger) < 0.2
    # Two that lack pixels, two that are right.
    no = [False] * 4
    said = agree([0.0, 0.0, 0.98, 0.98], no, 0.35)
    assert said == ["small", "small", "none", "none"]
    said = agree([0.0, 0.0, -0.98, -0.98], no, 0.35)
    assert said == ["large", "large", "none", "none"]
    assert agree([], [], 0.35) == []
    # Nobody else says anything, whatever little is asked for.
    assert agree([0.9], [False], 0.0) == ["none"]
    assert agree([0.0] * 3, [False] * 3, 0.0) == ["none"] * 3
    # Two who say nothing count with them: two of two are half, three of three more.
    assert agree([0.98] * 3, no[:3], 0.5)[0] == "none"
    assert agree([0.98] * 4, no, 0.5)[0] == "small"


def test_what_would_stay_shrinks_too_where_all_others_are_too_large() -> None:
    """One is as the network would have it at one half, where the rings belong to it."""

    def likely_rings(x: Tensor, index: Tensor) -> Tensor:
        return doubtful_rings(x, index) + 0.82  # P is .55 in the rings

    coarse = disks((18, 26, 26, 26))
    model = stub_model(likely_rings, least_change=0.2)
    alone = refine(picture(), coarse, model=model)
    assert alone.report[0].status == "unchanged"
    together = refine(picture(), coarse, model=model, consensus=0.35)
    assert (together.report[0].consensus, together.report[0].status) == (
        "large",
        "refined",
    )
    assert rings(together.labels) < 0.15


def test_what_is_said_of_parts_is_told_of_their_class() -> None:
    """Parts of one class that agree, and one that was right before."""
    coarse = (disks((14, 10, 10, 10)) > 0).astype(np.uint8)
    result = refine(
        picture(), coarse, model=MODEL, consensus=0.35, labels_are="classes"
    )
    assert [entry.consensus for entry in result.report] == ["small"]
    assert rings(result.labels) > 0.95


def test_who_is_told_the_direction_does_not_ask_the_others() -> None:
    given = {"model": MODEL, "direction": "grow"}
    alone = refine(picture(), disks((10,) * 4), **given)
    together = refine(picture(), disks((10,) * 4), **given, consensus=0.35)
    np.testing.assert_array_equal(alone.labels, together.labels)
    assert {entry.consensus for entry in together.report} == {"none"}


@pytest.mark.parametrize(("radius", "is_believed"), [(15, False), (14, True)])
def test_where_all_others_are_right_small_changes_are_not_believed(
    radius: int, is_believed: bool
) -> None:
    """Five of six are as the network would have them; one is off, little or much."""
    image = np.zeros((170, 230), np.uint8)
    coarse = np.zeros(image.shape, np.uint8)
    for label, (y, x) in enumerate(
        [(40, 40), (40, 115), (40, 190), (130, 40), (130, 115), (130, 190)], start=1
    ):
        image[disk_at((y, x), 16)] = 200
        coarse[disk_at((y, x), radius if label == 6 else 16)] = label
    given = {"model": stub_model(bright, least_change=0.08)}
    alone = refine(image, coarse, **given, consensus=1.0)
    assert [entry.status for entry in alone.report[:5]] == ["unchanged"] * 5
    assert alone.report[5].status == "refined"
    together = refine(image, coarse, **given, consensus=0.9)
    assert together.report[5].consensus == "right"
    expected = alone.labels if is_believed else coarse
    np.testing.assert_array_equal(together.labels, expected)


def test_what_would_stay_at_one_half_is_asked_for_at_the_threshold() -> None:
    """One is as the network would have it; the others say that it is small."""
    coarse = disks((14, 10, 10, 10))
    model = stub_model(doubtful_rings, least_change=0.2)
    alone = refine(picture(), coarse, model=model)
    assert alone.report[0].status == "unchanged"
    together = refine(picture(), coarse, model=model, consensus=0.35)
    assert together.report[0].status == "refined"
    assert rings(together.labels) > 0.95


def test_an_object_alone_keeps_the_threshold() -> None:
    coarse = np.where(disks((10, 10, 10, 10)) == 2, 2, 0)
    plain = refine(picture(), coarse, model=MODEL)
    alone = refine(picture(), coarse, model=MODEL, consensus=0.35)
    np.testing.assert_array_equal(alone.labels, plain.labels)


def test_masks_that_err_to_both_sides_change_nothing() -> None:
    coarse = disks((10, 10, 24, 24))
    result = refine(picture(), coarse, model=MODEL, consensus=0.35)
    assert rings(result.labels) < 0.15
    assert {entry.consensus for entry in result.report} == {"none"}


def test_masks_that_are_all_too_large_shrink_further_together() -> None:
    coarse = disks((26, 26, 26, 26))
    given = {"model": MODEL, "threshold": 0.3}
    assert rings(refine(picture(), coarse, **given).labels) > 0.95
    together = refine(picture(), coarse, **given, consensus=0.35)
    assert rings(together.labels) < 0.15
    assert {entry.consensus for entry in together.report} == {"large"}


def test_the_order_of_batches_does_not_matter() -> None:
    coarse = disks((9, 11, 16, 12))
    results = [
        refine(picture(), coarse, model=MODEL, consensus=0.35, batch_size=size)
        for size in (1, 3, 32)
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].labels, other.labels)
        assert results[0].report == other.report


def test_a_drawn_end_has_no_consensus() -> None:
    coarse = disks((10, 10, 10, 10))
    given = {"model": MODEL, "last": "sampled"}
    plain = refine(picture(), coarse, **given, consensus=1.0)
    together = refine(picture(), coarse, **given, consensus=0.35)
    np.testing.assert_array_equal(plain.labels, together.labels)


def test_masks_that_overlap_have_one_too() -> None:
    coarse = disks((10, 10, 10, 10))
    masks = np.stack([coarse == label for label in range(1, 5)])
    refined = refine_masks(picture(), masks, model=MODEL, consensus=0.35).masks
    assert rings(refined.any(axis=0)) > 0.95


@pytest.mark.parametrize("labels_are", ["objects", "classes"])
def test_waiting_for_all_answers_loses_nothing(labels_are: Any) -> None:
    """Drafts are put away in fewer bits until the last one has come."""
    rng = np.random.default_rng(3)
    image = np.clip(picture() + rng.normal(0, 25, (170, 170)), 0, 255).astype(np.uint8)
    coarse = disks((12, 17, 15, 30))
    given = {"model": load_model(), "labels_are": labels_are}
    at_once = refine(image, coarse, **given, consensus=1.0)
    waited = refine(image, coarse, **given, consensus=0.999)
    np.testing.assert_array_equal(at_once.labels, waited.labels)
    assert (at_once.labels != coarse).any()
    for one, other in zip(at_once.report, waited.report, strict=True):
        assert one.status == other.status
        assert one.uncertainty == pytest.approx(other.uncertainty, abs=1e-4)
