"""Every ingredient of the simulators does what it is named for."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segrefiner.io.pairs import Pair
from napari_segrefiner.training.ingredient_sheet import describe, draw_ingredients
from napari_segrefiner.training.ingredients import (
    INGREDIENTS,
    View,
    draw_views,
    measure,
)
from napari_segrefiner.training.pictures import picture_of
from napari_segrefiner.training.simulate import PLAIN, iou

SIDE = 96


@pytest.fixture(scope="module")
def views() -> list[View]:
    rows, columns = np.mgrid[:120, :120]
    labels = np.zeros((120, 120), np.uint8)
    labels[np.hypot(rows - 50, columns - 50) < 22] = 1
    labels[np.hypot(rows - 50, columns - 92) < 16] = 2
    image = np.where(labels[..., None] > 0, [180, 160, 150], [50, 60, 40])
    noise = np.random.default_rng(1).integers(0, 20, image.shape)
    picture = picture_of(Pair("a", "a", (image + noise).astype(np.uint8), labels))
    assert picture is not None
    return draw_views([picture], 12, SIDE, seed=0)


def test_views_show_objects_whole_and_in_the_middle(views: list[View]) -> None:
    assert len(views) == 12
    for view in views:
        assert view.fine.shape == (SIDE, SIDE)
        places = np.argwhere(view.fine)
        assert np.allclose(places.mean(axis=0), SIDE / 2 - 0.5, atol=2)
        assert 0.2 < view.fine.mean() < 0.4
        assert view.image[0][view.fine].mean() > 0.6
        assert not (view.fine & view.others).any()


def test_there_is_every_plain_damage_and_both_simulators() -> None:
    assert {"mixed", "published", *PLAIN} <= set(INGREDIENTS)


def test_ingredients_damage_most_masks_and_spare_some_of_each(
    views: list[View],
) -> None:
    by_name = {}
    for one in measure(views, 24, seed=3):
        by_name[one.name] = one
        assert one.overlaps.shape == (24,)
        assert (one.overlaps > 0).all()
        assert one.overlaps.mean() < 1
        assert one.per_second > 0
        assert len(one.examples) == 8
        view, coarse = one.examples[0]
        assert one.overlaps[0] == iou(coarse, view.fine)
    assert by_name["nearly_exact"].overlaps.mean() > 0.93
    assert by_name["field"].overlaps.mean() < 0.9


def test_figures_are_the_same_for_the_same_seed(views: list[View]) -> None:
    first, again, other = (
        [one.overlaps for one in measure(views, 4, seed)] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_cut_only_takes_away_and_an_offset_keeps_the_shape(views: list[View]) -> None:
    rng = np.random.default_rng(0)
    for view in views:
        assert not (INGREDIENTS["cut"](rng, view) & ~view.fine).any()
        moved = INGREDIENTS["offset"](rng, view)
        inside, outside = moved & ~view.fine, view.fine & ~moved
        assert not (inside.any() and outside.any())


def test_the_sheet_has_a_row_for_each_and_the_line_its_figures(
    views: list[View],
) -> None:
    found = list(measure(views, 3, seed=0))
    sheet = draw_ingredients(found, "title")
    one_row = draw_ingredients(found[:1], "title").height
    row = draw_ingredients(found[:2], "title").height - one_row
    assert sheet.height == one_row + (len(found) - 1) * row
    low, middle, high = found[0].quantiles()
    assert f"{low:.2f} {middle:.2f} {high:.2f}" in describe(found[0])
