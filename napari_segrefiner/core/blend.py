"""Blending the answers of overlapping windows into the draft of an object."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_segrefiner.core.resampling import from_grid, without_thin_changes

if TYPE_CHECKING:
    from napari_segrefiner.core.crops import Crop
    from napari_segrefiner.core.draft import Draft

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]

#: Answers this near to what was seen are repetitions of it, told apart by rounding.
SAME = 1e-3

#: What is summed over the windows, each value times the window's weight there.
WEIGHT, VALUE, PROBABILITY, FINE, SEEN = range(5)


class Blend:
    """Weighted means of windows that arrive from top to bottom.

    Only the rows that later windows can still reach are held: memory follows the
    height of the windows, not their number.

    Parameters
    ----------
    draft : Draft
        Gets mask, probability and fine probability of the rows that are complete.
    is_tapered : bool
        Whether weights fade to a window's rim (sin^2, no seams) or are all one.
    """

    def __init__(self, draft: Draft, *, is_tapered: bool) -> None:
        self._draft = draft
        self._is_tapered = is_tapered
        inside = draft.crop.inside
        self._offset = inside.y0, inside.x0
        self._top = 0
        self._sums = np.zeros((SEEN + 1, 0, inside.width), np.float32)
        self._is_moved = np.zeros((0, inside.width), bool)

    def add(
        self, window: Crop, seen: Mask, value: Plane, probability: Plane, fine: Plane
    ) -> None:
        """Add the answer to a window.

        Parameters
        ----------
        window : Crop
            Its ``inside`` lies in that of the draft's crop, below all finished rows.
        seen : (grid, grid) bool array
            The mask that the network was given.
        value, probability, fine : (grid, grid) float32 arrays in [0, 1]
            What decides about the mask, and what else is blended.
        """
        box, inside = window.box, window.inside
        weights = _weights(*box.shape, self._is_tapered)[
            inside.y0 - box.y0 : inside.y1 - box.y0,
            inside.x0 - box.x0 : inside.x1 - box.x0,
        ]
        y0, x0, y1, x1 = inside.shift(-self._offset[0], -self._offset[1])
        self._reach(y1)
        if window.is_reduced:
            value, is_thin = without_thin_changes(value, seen)
            fine = np.where(is_thin, 0, fine)
        part = np.s_[y0 - self._top : y1 - self._top, x0:x1]
        sums = self._sums[:, *part]
        sums[WEIGHT] += weights
        for kind, values in (
            (VALUE, value),
            (PROBABILITY, probability),
            (FINE, fine),
            (SEEN, seen.astype(np.float32)),
        ):
            sums[kind] += weights * from_grid(values, window)
        moved = (value >= 0.5) != seen
        if not window.is_native and moved.any():
            around = ndimage.binary_dilation(moved, np.ones((3, 3)))
            near = from_grid(around.astype(np.float32), window) >= 0.5
            self._is_moved[part] |= near

    def finish(self, above: int | None = None) -> None:
        """Write what is complete to the draft.

        Parameters
        ----------
        above : int, optional
            Row of the image above which no later window begins; None: there are no
            more windows.
        """
        height = self._sums.shape[1]
        top = self._top + height if above is None else above - self._offset[0]
        n = min(top - self._top, height)
        if n > 0:
            self._write(n)
        if top > self._top:
            self._sums, self._is_moved = self._sums[:, n:], self._is_moved[n:]
            self._top = top

    def _write(self, n: int) -> None:
        """Write the first `n` rows that are held."""
        rows = slice(self._top, self._top + n)
        weight = self._sums[WEIGHT, :n]
        covered = weight > 0
        means = self._sums[1:, :n][:, covered] / weight[covered]
        value, probability, fine, seen = means
        mask = value >= 0.5
        current = self._draft.mask[rows]
        # Delta transfer, as for crops: a pixel whose answer repeats what was seen keeps
        # its value, unless the boundary has left its neighbourhood.
        is_same = (mask == (seen >= 0.5)) | (np.abs(value - seen) < SAME)
        is_kept = is_same & ~self._is_moved[:n][covered]
        mask = np.where(is_kept, current[covered], mask)
        current[covered] = mask
        self._draft.probability[rows][covered] = probability
        self._draft.fine[rows][covered] = fine
        self._draft.hold_pinned(rows)

    def _reach(self, bottom: int) -> None:
        """Have rows down to `bottom`."""
        missing = bottom - self._top - self._sums.shape[1]
        if missing > 0:
            self._sums = np.pad(self._sums, ((0, 0), (0, missing), (0, 0)))
            self._is_moved = np.pad(self._is_moved, ((0, missing), (0, 0)))


@lru_cache(maxsize=16)
def _weights(height: int, width: int, is_tapered: bool) -> Plane:
    """Weights of a window, (height, width); never zero."""
    if not is_tapered:
        return np.ones((height, width), np.float32)
    rows, columns = (
        np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2 for side in (height, width)
    )
    return np.outer(rows, columns).astype(np.float32)
