"""Planning windows: small grids along an object's boundary, coarse to full resolution.

A large object is first shown reduced, as a whole. Windows then follow the boundary that
it got, at successively finer zoom, each a grid of the size that the network was trained
on. They meet all of the boundary, or where the network is not sure of it (low fine
probability).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.boundary import edge
from napari_segrefiner.core.crops import Crop
from napari_segrefiner.core.report import DECIDED
from napari_segrefiner.geometry import Box, non_maximum_suppression

if TYPE_CHECKING:
    from napari_segrefiner.core.draft import Draft

Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.int64]

#: Between two zooms: a window then still shows enough of what the one before decided.
LARGEST_FACTOR = 2.5
#: Distance of two windows along the boundary as a share of their side.
PITCH = 26 / 64


@dataclass(frozen=True)
class Round:
    """Windows of one zoom.

    ``level`` counts from 0 to ``n_levels - 1``, the image's own resolution.
    """

    level: int
    n_levels: int
    windows: tuple[Crop, ...]


@dataclass(frozen=True)
class BoundaryWindows:
    """Windows along the boundary of a draft.

    Attributes
    ----------
    grid : int
        Side of a window's grid.
    everywhere : bool
        Along the whole boundary, not only where it is uncertain.
    """

    grid: int
    everywhere: bool = False
    is_tapered = True

    def sides(self, crop: Crop) -> list[int]:
        """Sides of the windows in pixels, a zoom each; none for a crop in full detail.

        Examples
        --------
        >>> square = Box(0, 0, 768, 768)
        >>> BoundaryWindows(64).sides(Crop(square, square, 128))
        [157, 64]
        """
        reduction = crop.box.height / crop.grid
        if reduction <= 1:
            return []
        n = math.ceil(math.log(reduction) / math.log(LARGEST_FACTOR) - 1e-9)
        return [round(self.grid * reduction ** (1 - k / n)) for k in range(1, n + 1)]

    def estimate(self, crop: Crop, object_box: Box) -> int:
        """About how many windows an object takes, for progress."""
        outline = 2 * (object_box.height + object_box.width)
        return sum(math.ceil(1.5 * outline / (PITCH * s)) for s in self.sides(crop))

    def rounds(self, draft: Draft) -> Iterator[Round]:
        """Plan zoom after zoom, each along the boundary that the one before left.

        Parameters
        ----------
        draft : Draft
            Read when a round is asked for.
        """
        sides = self.sides(draft.crop)
        for level, side in enumerate(sides):
            centres = choose_centres(self._boundary(draft), max(1, int(PITCH * side)))
            windows = tuple(self._window(y, x, side, draft) for y, x in centres)
            yield Round(level, len(sides), windows)

    def _boundary(self, draft: Draft) -> Mask:
        """Pixels on both sides of the boundary, as far as they ask for windows."""
        boundary = edge(draft.mask) | edge(~draft.mask)
        if not self.everywhere:
            # Not a share of the highest f, as published: where the network is unsure
            # everywhere, that finds no place for windows.
            boundary &= draft.fine < DECIDED
        return boundary

    def _window(self, y: int, x: int, side: int, draft: Draft) -> Crop:
        """The window around a pixel of the draft, as far as possible in the image."""
        inside = draft.crop.inside
        y0, x0 = (
            min(max(at - side // 2, 0), size - side)
            if side <= size
            else (size - side) // 2  # the part that exists stays in the middle
            for at, size in zip((y, x), inside.shape, strict=True)
        )
        box = Box(y0, x0, y0 + side, x0 + side).shift(inside.y0, inside.x0)
        within = box.shift(-inside.y0, -inside.x0).clip(inside.shape)
        return Crop(box, within.shift(inside.y0, inside.x0), self.grid)


def choose_centres(pixels: Mask, pitch: int) -> Points:
    """Places along lines of pixels, near enough for windows to overlap.

    Parameters
    ----------
    pixels : (h, w) bool array
    pitch : int
        Smallest distance of two places along at least one axis, px.

    Returns
    -------
    (n, 2) int64 array
        y, x of the places, by rising y. From every pixel one of them is less than 3/2
        `pitch` away along each axis, mostly much less.
    """
    y, x = np.nonzero(pixels)
    # Many pixels stand for one place: candidates are the means of small cells.
    side = max(1, pitch // 4)
    cells = (y // side) * (pixels.shape[1] // side + 1) + x // side
    _, cell, counts = np.unique(cells, return_inverse=True, return_counts=True)
    means = [np.bincount(cell, weights=at, minlength=0) / counts for at in (y, x)]
    places = np.stack(means, axis=1).round().astype(np.int64)
    places = places[np.lexsort(places.T[::-1])]
    # From top to bottom lines are walked along, so that few places are needed. Squares
    # of this side overlap if they are nearer than the pitch.
    squares = np.concatenate([places, places + pitch], axis=1)
    return places[np.sort(non_maximum_suppression(squares, np.ones(len(places)), 0.0))]
