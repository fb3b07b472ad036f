"""Splitting labels whose parts lie far apart: each part gets a crop of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_segrefiner.geometry import Box

if TYPE_CHECKING:
    from napari_segrefiner.core.crops import CropRule

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int32]
Shape = tuple[int, int]

#: Cells along the longer side of an object, in which empty space is looked for.
N_CELLS = 16
#: Pixels that touch at a corner belong together.
EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Split:
    """A mask in parts.

    Attributes
    ----------
    numbers : (h, w) int32 array
        1..n for the pixels of each part, 0 elsewhere.
    boxes : tuple of Box
        Tight box of each part, in the image.
    centres : tuple of Box
        What its crop is planned for.
    """

    numbers: Numbers
    boxes: tuple[Box, ...]
    centres: tuple[Box, ...]

    @property
    def areas(self) -> list[int]:
        """Pixels of each part."""
        areas: list[int] = np.bincount(self.numbers.ravel())[1:].tolist()
        return areas


def split_class(mask: Mask, place: Box, rule: CropRule, shape: Shape) -> Split:
    """Take the mask of a class apart.

    Parts are its connected components; small ones that the crop of a larger one shows
    with their surroundings belong to that one.

    Parameters
    ----------
    mask : (h, w) bool array
    place : Box
        Where it lies in the image.
    rule : CropRule
    shape : (int, int)
        Of the image.
    """
    components, n = ndimage.label(mask, EIGHT)
    boxes = np.array(_boxes(components, place), np.int64).reshape(n, 4)
    areas = np.bincount(components.ravel())[1:]
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    margin = np.ceil(rule.padding * longer)[:, None] + rule.min_padding
    first = np.maximum(boxes[:, :2] - margin, 0)
    last = np.minimum(boxes[:, 2:] + margin, shape)
    by_row = np.argsort(first[:, 0])
    rows = first[by_row, 0]
    group = np.zeros(n, np.int32)
    centres: list[Box] = []
    for k in np.argsort(-areas, kind="stable").tolist():
        if group[k]:
            continue
        centres.append(Box(*boxes[k].tolist()))
        shown = rule.plan(centres[-1], shape).inside
        near = by_row[slice(*np.searchsorted(rows, (shown.y0, shown.y1)))]
        is_shown = (first[near] >= shown[:2]).all(axis=1)
        is_shown &= (last[near] <= shown[2:]).all(axis=1)
        group[near[is_shown & (group[near] == 0)]] = len(centres)
        group[k] = len(centres)
    numbers = np.concatenate([[0], group]).astype(np.int32)[components]
    return Split(numbers, _boxes(numbers, place), tuple(centres))


def split_object(mask: Mask, place: Box, rule: CropRule, shape: Shape) -> Split | None:
    """Take the mask of an object apart if one crop would show mostly what is between.

    Parameters are those of :func:`split_class`. None if it is better left whole: parts
    stay together if there is no wide gap between them, or if one of them reaches into
    the crop of the other.
    """
    cell = max(1, max(mask.shape) // N_CELLS)
    rows, columns = (-(-side // cell) for side in mask.shape)
    padded = np.zeros((rows * cell, columns * cell), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    is_covered = padded.reshape(rows, cell, columns, cell).any(axis=(1, 3))
    clusters, n = ndimage.label(is_covered, EIGHT)
    if n == 1:
        return None
    cluster = clusters.repeat(cell, axis=0).repeat(cell, axis=1)
    cluster = cluster[: mask.shape[0], : mask.shape[1]] * mask
    group = np.array([0, *_join_near(_boxes(cluster, place), rule, shape)], np.int32)
    if group.max() == 1:
        return None
    numbers = group[cluster]
    boxes = _boxes(numbers, place)
    return Split(numbers, boxes, boxes)


def _join_near(boxes: Sequence[Box], rule: CropRule, shape: Shape) -> list[int]:
    """Groups 1..n of boxes of which none reaches into the crop of another's."""
    groups = [([k], box) for k, box in enumerate(boxes)]
    done: list[tuple[list[int], Box]] = []
    while groups:
        members, box = groups.pop()
        crop = rule.plan(box, shape).inside
        others = groups + done
        near = [other for other in others if crop.overlaps(other[1])]
        if not near:
            done.append((members, box))
            continue
        for found, its_box in near:
            members, box = members + found, box.union(its_box)
        # The crop has grown: all others are asked again.
        groups = [other for other in others if other not in near] + [(members, box)]
        done = []
    number = [0] * len(boxes)
    for k, (members, _) in enumerate(sorted(done), start=1):
        for member in members:
            number[member] = k
    return number


def _boxes(numbers: Numbers, place: Box) -> tuple[Box, ...]:
    """Tight boxes of the numbers 1..n, in the image."""
    return tuple(
        Box(rows.start, columns.start, rows.stop, columns.stop).shift(*place[:2])
        for rows, columns in ndimage.find_objects(numbers)
    )
