"""Tiles show outlines where the masks are."""

from __future__ import annotations

import numpy as np

from napari_segrefiner.training.tiles import COARSE, FINE, Row, draw_rows, outlined


def test_an_outline_runs_along_the_mask_and_the_rest_stays() -> None:
    picture = np.full((8, 8, 3), 100, np.uint8)
    mask = np.zeros((8, 8), bool)
    mask[2:6, 2:6] = True
    shown = np.asarray(outlined(picture, [(mask, COARSE)], 80))
    assert (shown[20, 20:60] == COARSE).all()
    assert (shown[59, 20:60] == COARSE).all()
    assert (shown[:20] == 100).all()
    inside = shown[40, 40]
    assert not np.array_equal(inside, COARSE)
    assert inside[0] > 100  # tinted
    both = np.asarray(outlined(picture, [(mask, COARSE), (mask, FINE)], 80))
    assert (both[20, 20:60] == FINE).all()
    assert (both[40, 40] == 100).all()


def test_a_mask_that_fills_the_tile_has_no_edge() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    shown = np.asarray(outlined(picture, [(np.ones((4, 4), bool), FINE)], 16))
    assert not (shown == FINE).all(axis=-1).any()


def test_rows_stand_below_each_other_and_groups_apart() -> None:
    tile = outlined(np.full((4, 4, 3), 77, np.uint8), [], 40)
    sheet = draw_rows(
        [Row("first", [tile] * 6), Row("", [tile] * 3, ["a", ""])],
        title="t",
        legend=(("coarse", COARSE),),
        group=3,
    )
    is_tile = (np.asarray(sheet) == 77).all(axis=2)
    rows = np.flatnonzero(np.diff(is_tile.any(axis=1).astype(int)) == 1)
    assert len(rows) == 2
    columns = np.flatnonzero(np.diff(is_tile[rows[0] + 5].astype(int)) == 1)
    assert len(columns) == 6
    gaps = np.diff(columns)
    assert gaps[2] > gaps[0] == gaps[1]
