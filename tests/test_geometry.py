"""Boxes: where they lie after being moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_segrefiner.geometry import Box, non_maximum_suppression
from tests import golden

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize(
    ("box", "moved"),
    [
        (Box(2, 3, 6, 7), Box(2, 3, 6, 7)),
        (Box(-3, 3, 1, 7), Box(0, 3, 4, 7)),
        (Box(8, 18, 12, 22), Box(6, 16, 10, 20)),
        (Box(-1, -1, 13, 25), Box(0, 0, 14, 26)),
    ],
)
def test_shift_inside_moves_only_what_sticks_out(box: Box, moved: Box) -> None:
    assert box.shift_inside((10, 20)) == moved


def test_a_box_around_a_mask_is_tight_and_empty_around_nothing() -> None:
    mask = np.zeros((9, 12), bool)
    assert mask[Box.around(mask).slices].size == 0
    mask[[2, 6], [10, 3]] = True
    assert Box.around(mask) == Box(2, 3, 7, 11)


def naive_suppression(boxes: Array, scores: Array, max_iou: float) -> list[int]:
    """The definition, box by box."""
    chosen: list[int] = []
    for k in sorted(range(len(boxes)), key=lambda k: -scores[k]):
        y0, x0, y1, x1 = boxes[k].astype(np.float32)
        for other in boxes[chosen].astype(np.float32):
            height = min(y1, other[2]) - max(y0, other[0])
            width = min(x1, other[3]) - max(x0, other[1])
            shared = max(height, np.float32(0)) * max(width, np.float32(0))
            areas = (y1 - y0) * (x1 - x0) + (other[2] - other[0]) * (
                other[3] - other[1]
            )
            if shared and shared / (areas - shared) > np.float32(max_iou):
                break
        else:
            chosen.append(k)
    return chosen


@pytest.mark.parametrize("max_iou", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_suppression_equals_the_naive_one_ties_included(
    seed: int, max_iou: float
) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.integers(-40, 140, (120, 2))
    sides = rng.integers(0, 60, (120, 2)) if seed % 2 else np.full((120, 2), 32)
    boxes = np.concatenate([corners, corners + sides], axis=1)
    scores = rng.integers(0, 5, 120) / 4  # many are equal
    kept = non_maximum_suppression(boxes, scores, max_iou)
    assert kept.tolist() == naive_suppression(boxes, scores, max_iou)


def test_of_boxes_that_are_all_the_same_the_first_best_one_is_kept() -> None:
    boxes = np.tile([5, 5, 261, 261], (65_536, 1))
    assert non_maximum_suppression(boxes, np.ones(65_536), 0.3).tolist() == [0]
    scores = np.zeros(65_536)
    scores[[700, 900]] = 1
    assert non_maximum_suppression(boxes, scores, 0.3).tolist() == [700]


def test_of_no_boxes_none_are_kept() -> None:
    assert non_maximum_suppression(np.zeros((0, 4)), [], 0.3).shape == (0,)


@pytest.mark.parametrize("size", ["300x500", "64x64", "777x400"])
def test_suppression_keeps_the_published_boxes(size: str) -> None:
    stored = golden.load("global_local_coffee")
    fine = stored["nms2_fine"]
    scores = 1 - fine[fine < 0.9 * fine.max()]
    boxes = stored[f"nms2_{size}_boxes_before"][:, [1, 0, 3, 2]]
    kept = non_maximum_suppression(boxes, scores, 0.3)
    expected = stored[f"nms2_{size}_kept_rank"]
    golden.check("global_local_coffee: suppression", kept, expected)


def test_suppression_keeps_the_published_boxes_of_a_whole_picture() -> None:
    stored = golden.load("global_local_coffee")
    fine = stored["global_fine"]
    scores = 1 - fine[fine < np.float32(stored["fine_threshold"])]
    boxes = stored["boxes_before_nms"][:, [1, 0, 3, 2]]
    kept = non_maximum_suppression(boxes, scores, 0.3)
    expected = stored["kept_point_rank"]
    golden.check("global_local_coffee: suppression", kept, expected)
