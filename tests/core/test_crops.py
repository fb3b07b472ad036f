"""Crops: squares with a margin, on grids that suit the object's size."""

from __future__ import annotations

import dataclasses

import pytest

from napari_segrefiner.core.crops import CropRule
from napari_segrefiner.errors import ModelError, OptionError
from napari_segrefiner.geometry import Box
from napari_segrefiner.models.card import Grids
from tests.core.stubs import stub_model

RULE = CropRule(padding=0.35, min_padding=2)
IMAGE = (1000, 1000)


@pytest.mark.parametrize(
    ("longer", "side", "grid"),
    [
        (1, 32, 64),  # never enlarged more than twice
        (16, 32, 64),
        (17, 33, 64),
        (35, 64, 64),
        (36, 80, 80),  # at its own resolution, rounded up to 16
        (60, 112, 112),
        (72, 128, 128),
        (73, 129, 128),  # reduced
        (300, 514, 128),
    ],
)
def test_side_and_grid_follow_the_longer_side_of_the_object(
    longer: int, side: int, grid: int
) -> None:
    crop = RULE.plan(Box(400, 500, 400 + longer, 501), IMAGE)
    assert crop.box.shape == (side, side)
    assert crop.grid == grid
    assert crop.is_native == (side == grid)


def test_the_object_is_in_the_middle_of_its_crop() -> None:
    crop = RULE.plan(Box(400, 500, 440, 520), IMAGE)
    assert crop.box.y0 + crop.box.y1 == 840
    assert crop.box.x0 + crop.box.x1 == 1020


def test_a_crop_at_the_border_keeps_its_size_and_knows_what_is_inside() -> None:
    crop = RULE.plan(Box(0, 980, 40, 1000), IMAGE)
    assert crop.box == Box(-20, 950, 60, 1030)
    assert crop.inside == Box(0, 950, 60, 1000)
    assert not crop.is_native


def test_a_grid_that_is_asked_for_serves_all_sizes() -> None:
    rule = dataclasses.replace(RULE, grid=64)
    for longer, side in ((1, 32), (30, 55), (90, 157)):
        crop = rule.plan(Box(400, 400, 400 + longer, 402), IMAGE)
        assert (crop.box.width, crop.grid) == (side, 64)


def test_published_boxes_have_margins_per_axis_and_end_at_the_border() -> None:
    rule = CropRule(padding=0, min_padding=20, grid=256, is_published=True)
    crop = rule.plan(Box(10, 500, 60, 990), IMAGE)
    assert crop.box == crop.inside == Box(0, 480, 80, 1000)
    assert crop.grid == 256


def test_grids_that_the_network_cannot_work_on_are_refused() -> None:
    card = stub_model().card  # multiples of 4 px
    dataclasses.replace(RULE, grid=68).check(card)
    with pytest.raises(OptionError, match="grid is 66; a multiple of 4"):
        dataclasses.replace(RULE, grid=66).check(card)
    with pytest.raises(ModelError, match="stub"):
        dataclasses.replace(RULE, grids=Grids(base=62)).check(card)
