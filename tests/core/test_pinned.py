"""Pinned pixels keep their label: in every mask on the way, and in the result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_segrefiner.core.crops import CropRule
from napari_segrefiner.core.events import StepDone
from napari_segrefiner.core.refiner import Refiner, refine
from napari_segrefiner.core.resampling import pins_on_grid
from napari_segrefiner.diffusion import reverse_steps
from napari_segrefiner.errors import InputError
from napari_segrefiner.geometry import Box
from napari_segrefiner.options import RefineOptions
from tests.core.stubs import (
    bright,
    by_id,
    disk,
    everything,
    nothing,
    stub_model,
    tiny_network,
)

Array = np.ndarray[Any, Any]
SHAPE = (300, 360)


def scene() -> tuple[Array, Array, Array]:
    """A large and a small object, and pinned pixels in, at and far from them."""
    labels = disk(SHAPE, 130, 150, 100) * 3 + disk(SHAPE, 240, 300, 20) * 8
    image = np.where(np.roll(labels, 4, axis=0) > 0, 200, 40).astype(np.uint8)
    rng = np.random.default_rng(0)
    return image, labels, rng.random(SHAPE) < 0.05


@pytest.mark.parametrize("network", [bright, everything, nothing])
@pytest.mark.parametrize("mode", ["objects", "whole"])
@pytest.mark.parametrize("preset", ["default", "published"])
def test_pinned_pixels_keep_their_label(network: Any, mode: Any, preset: Any) -> None:
    image, labels, pinned = scene()
    options: dict[str, Any] = {"mode": mode, "preset": preset}
    options |= {"grid": 64, "min_area": 0} if preset == "published" else {}
    model = stub_model(network)
    result = refine(image, labels, model=model, pinned=pinned, **options)
    np.testing.assert_array_equal(result.labels[pinned], labels[pinned])
    free = refine(image, labels, model=model, **options).labels
    assert (free[pinned] != labels[pinned]).any() or network is nothing
    assert (result.labels != labels).any()
    assert result.record["n_pinned"] == pinned.sum()


def test_pinned_pixels_of_parts_keep_the_label_of_their_part() -> None:
    image, labels, pinned = scene()
    given = {"model": stub_model(bright), "labels_are": "parts"}
    result = refine(image, labels, pinned=pinned, **given)
    assert len(np.unique(labels[pinned])) > 2
    np.testing.assert_array_equal(result.labels[pinned], labels[pinned])


def test_a_pinned_object_stays_where_the_network_sees_none() -> None:
    image, labels, _ = scene()
    pinned = labels == 8
    result = refine(image, labels, model=stub_model(nothing), pinned=pinned)
    assert by_id(result)[8].status == "unchanged"
    np.testing.assert_array_equal(result.labels == 8, pinned)


def test_pixels_that_are_all_pinned_change_nothing() -> None:
    image, labels, _ = scene()
    pinned = np.ones(SHAPE, np.uint8)
    result = refine(image, labels, model=stub_model(everything), pinned=pinned)
    np.testing.assert_array_equal(result.labels, labels)
    assert all(entry.uncertainty == 0 for entry in result.report)


def test_pinned_pixels_show_their_value_in_every_mask_of_the_process() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((2, 3, 16, 16), generator=generator)
    coarse = torch.rand((2, 1, 16, 16), generator=generator).round()
    pinned = torch.rand((2, 1, 16, 16), generator=generator) < 0.3
    seen = []

    def opposite(x: Tensor, index: Tensor) -> Tensor:
        seen.append(x[:, 3:])
        return torch.where(coarse > 0, -20.0, 20.0)

    steps = reverse_steps(
        opposite,
        image,
        coarse,
        indices=(5, 3, 0),
        noise=lambda step: torch.rand(coarse.shape, generator=generator),
        pinned=pinned,
    )
    masks = [step.mask for step in steps]
    for mask in (*seen, *masks):
        assert torch.equal(mask[pinned], coarse[pinned])
    assert not torch.equal(seen[-1], coarse)
    assert torch.equal(masks[-1][~pinned], 1 - coarse[~pinned])


def test_the_network_and_the_viewer_see_pinned_pixels_at_every_step() -> None:
    image, labels, pinned = scene()
    options = RefineOptions(steps=4, local_steps=2)
    run = Refiner(stub_model(tiny_network()), options)
    n_windows = 0
    for event in run.steps(image, labels, pinned=pinned):
        if not isinstance(event, StepDone):
            continue
        n_windows += len(event.windows)
        for k, (id, box) in enumerate(zip(event.ids, event.boxes, strict=True)):
            held = pinned[box.slices]
            coarse = labels[box.slices] == id
            np.testing.assert_array_equal(event.mask(k)[held], coarse[held])
    assert n_windows > 10


def test_a_reduced_cell_is_pinned_by_one_pixel_an_enlarged_one_by_most() -> None:
    rule = CropRule(padding=0, min_padding=0)
    large = rule.plan(Box(0, 0, 300, 300), (300, 300))
    pinned = np.zeros((300, 300), bool)
    pinned[150, 40] = True
    assert pins_on_grid(pinned, large).sum() == 1
    small = rule.plan(Box(100, 100, 110, 110), (300, 300))
    part = np.zeros(small.inside.shape, bool)
    part[5, 6] = True
    cells = pins_on_grid(part, small)
    assert cells[10:12, 12:14].all()
    assert cells.sum() == 4


@pytest.mark.parametrize(
    "pinned", [np.zeros((4, 4), bool), np.zeros(SHAPE), np.zeros((*SHAPE, 3), bool)]
)
def test_masks_that_do_not_fit_are_refused(pinned: Array) -> None:
    image, labels, _ = scene()
    with pytest.raises(InputError, match="pinned"):
        refine(image, labels, model=stub_model(bright), pinned=pinned)
