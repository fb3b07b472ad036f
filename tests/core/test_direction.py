"""Masks that are all too small only grow, those that are all too large only shrink."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_segrefiner import refine
from napari_segrefiner.core.events import RunDone, StepDone
from napari_segrefiner.core.masks import refine_masks
from napari_segrefiner.core.refiner import Refiner
from napari_segrefiner.models.card import resolve
from napari_segrefiner.models.catalogue import load_model
from napari_segrefiner.options import RefineOptions
from tests.core.stubs import bright, disk, nothing, stub_model

Array = np.ndarray[Any, Any]
SHAPE = (150, 170)


def scene() -> tuple[Array, Array]:
    """Bright bodies, two of them touching, and labels moved against them."""
    image = np.full(SHAPE, 40, np.uint8)
    labels = np.zeros(SHAPE, np.int32)
    for label, (y, x, radius) in enumerate(
        [(40, 40, 17), (40, 76, 17), (100, 60, 25), (105, 135, 12)], start=1
    ):
        image[disk(SHAPE, y, x, radius)] = 200
        labels[disk(SHAPE, y + 3, x - 3, radius)] = label
    return image, labels


@pytest.mark.parametrize("labels_are", ["objects", "classes", "parts"])
@pytest.mark.parametrize("model", [stub_model(bright), load_model()])
def test_growing_takes_no_pixel_from_any_object(model: Any, labels_are: Any) -> None:
    image, labels = scene()
    given = {"model": model, "labels_are": labels_are}
    free = refine(image, labels, **given).labels
    grown = refine(image, labels, **given, direction="grow").labels
    wanted = labels > 0 if labels_are == "parts" else labels
    np.testing.assert_array_equal(grown[labels > 0], wanted[labels > 0])
    assert (grown > 0).sum() > (labels > 0).sum()
    assert (free[labels > 0] != wanted[labels > 0]).any()


@pytest.mark.parametrize("model", [stub_model(bright), load_model()])
def test_shrinking_adds_no_pixel(model: Any) -> None:
    image, labels = scene()
    shrunk = refine(image, labels, model=model, direction="shrink").labels
    changed = shrunk != labels
    assert changed.any()
    assert (shrunk[changed] == 0).all()


def test_objects_do_not_vanish_while_they_shrink() -> None:
    image, labels = scene()
    result = refine(image, labels, model=stub_model(nothing), direction="shrink")
    np.testing.assert_array_equal(result.labels, labels)
    assert {entry.status for entry in result.report} == {"kept"}


def test_masks_that_overlap_grow_and_shrink_alike() -> None:
    image, labels = scene()
    masks = np.stack([disk(SHAPE, 42, 45, 22), labels == 3])
    model = stub_model(bright)
    grown = refine_masks(image, masks, model=model, direction="grow").masks
    shrunk = refine_masks(image, masks, model=model, direction="shrink").masks
    assert (grown[masks]).all()
    assert (grown != masks).any()
    assert not shrunk[~masks].any()
    assert (shrunk != masks).any()


def test_every_step_is_shown_in_that_direction() -> None:
    image, labels = scene()
    options = RefineOptions(direction="grow", steps=3)
    n_steps = 0
    for event in Refiner(stub_model(bright), options).steps(image, labels):
        if isinstance(event, StepDone):
            for k, (label, box) in enumerate(zip(event.ids, event.boxes, strict=True)):
                assert event.mask(k)[labels[box.slices] == label].all()
                n_steps += 1
        elif isinstance(event, RunDone):
            assert event.result.record["options"]["direction"] == "grow"
    assert n_steps == 12


def test_one_direction_is_gone_further() -> None:
    card = stub_model(threshold=0.4, doubt=0.32, consensus=0.35).card
    both, grow, shrink = (
        resolve(RefineOptions(direction=direction), card)
        for direction in ("both", "grow", "shrink")
    )
    assert (both.threshold, both.doubt, both.consensus) == (0.4, 0.32, 0.35)
    assert (grow.threshold, grow.doubt, grow.consensus) == (0.1, 0.4, 1.0)
    assert shrink.threshold == pytest.approx(0.8)
    own = resolve(RefineOptions(direction="grow", threshold=0.3, doubt=0.2), card)
    assert (own.threshold, own.doubt) == (0.3, 0.2)
    published = resolve(RefineOptions(direction="grow", preset="published"), card)
    assert (published.threshold, published.doubt) == (0.5, 1.0)


def test_what_must_change_is_asked_for_at_the_threshold() -> None:
    """At one half the network agrees with the mask; where it was led it does not."""

    def ringed(x: Tensor, index: Tensor) -> Tensor:
        low, high = (x[:, :1].amin((2, 3), True), x[:, :1].amax((2, 3), True))
        share = (x[:, :1] - low) / (high - low)
        p = torch.where(share > 0.75, 0.99, torch.where(share > 0.25, 0.3, 0.01))
        return torch.logit(p)

    core, ring = disk(SHAPE, 70, 80, 20), disk(SHAPE, 70, 80, 24)
    image = np.where(core, 200, np.where(ring, 100, 0)).astype(np.uint8)
    labels = core.astype(np.uint8)
    model = stub_model(ringed, least_change=0.03)
    np.testing.assert_array_equal(refine(image, labels, model=model).labels, labels)
    grown = refine(image, labels, model=model, direction="grow").labels
    np.testing.assert_array_equal(grown > 0, ring)
