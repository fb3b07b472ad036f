"""Drafts: what is known of an object between two passes, at the image's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.resampling import from_grid, transfer, without_thin_changes

if TYPE_CHECKING:
    from napari_segrefiner.core.crops import Crop
    from napari_segrefiner.geometry import Box

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]


@dataclass
class Draft:
    """An object in ``crop.inside``; windows write to it.

    Attributes
    ----------
    crop : Crop
    coarse : (h, w) bool array
        The object's coarse mask; never written to.
    mask : (h, w) bool array
        Its mask as far as it is known.
    probability : (h, w) float32 array in [0, 1]
        Of the object.
    grid_fine : (grid, grid) float32 array in [0, 1]
        Fine probability f as the pass on the crop left it.
    pinned : (h, w) bool array or None
        Pixels that keep their coarse value.
    was_asked : bool
        Whether the network has seen anything of the mask: one too thin for the grid was
        no question to it.
    n_windows : int
        Windows that were planned for it.
    """

    crop: Crop
    coarse: Mask
    mask: Mask
    probability: Plane
    grid_fine: Plane
    pinned: Mask | None = None
    was_asked: bool = True
    n_windows: int = 0

    @cached_property
    def fine(self) -> Plane:
        """Fine probability at the pixels, (h, w) float32; made when first asked for."""
        fine = from_grid(self.grid_fine, self.crop)
        return fine.copy() if fine is self.grid_fine else fine

    def cut(self, threshold: float) -> Mask:
        """The object's pixels at a threshold of P, (h, w) bool.

        Those of a reduced grid that no windows followed are cut at one half: between
        its cells P says more of them than of the object.
        """
        if self.crop.is_reduced and not self.n_windows:
            return self.mask
        return cut_at(self.mask, self.probability, threshold)

    def hold_pinned(self, rows: slice = slice(None)) -> None:
        """Give pinned pixels of some rows their coarse value, beyond any doubt."""
        if self.pinned is None:
            return
        pinned, coarse = self.pinned[rows], self.coarse[rows]
        self.mask[rows][pinned] = coarse[pinned]
        self.probability[rows][pinned] = coarse[pinned]

    def part(self, box: Box) -> tuple[slice, slice]:
        """Index of a box of the image in the draft's arrays."""
        inside = self.crop.inside
        return box.shift(-inside.y0, -inside.x0).slices


def cut_at(mask: Mask, probability: Plane, threshold: float) -> Mask:
    """A mask that was cut at one half, cut at a threshold of P instead, (h, w) bool.

    Pixels that do not follow P stay as they are: they keep their coarse value, since
    the network agreed with it.
    """
    follows = mask == (probability >= 0.5)
    return np.where(follows, probability >= threshold, mask)


def make_draft(
    crop: Crop,
    coarse: Mask,
    seen: Mask,
    probability: Plane,
    fine: Plane,
    sampled: Plane | None = None,
    pinned: Mask | None = None,
    *,
    leaves_details: bool = False,
) -> Draft:
    """Bring the answer to a crop back to the pixels.

    Parameters
    ----------
    crop : Crop
    coarse : (h, w) bool array
        In ``crop.inside``.
    seen : (grid, grid) bool array
        The coarse mask that the network was given.
    probability, fine : (grid, grid) float32 arrays in [0, 1]
        Its answer.
    sampled : (grid, grid) float32 array, 0 or 1, optional
        The mask where the end was sampled; else `probability` decides.
    pinned : (h, w) bool array, optional
        Pixels that keep their coarse value.
    leaves_details : bool
        Whether windows follow, which see thin changes better.
    """
    was_asked = bool(seen.any()) or crop.is_published
    if not was_asked:
        # Whatever the answer is, it is not about this object: nothing is decided.
        mask = coarse.copy()
        certain = np.full(coarse.shape, 0.5, np.float32)
        fine = np.zeros_like(fine)
    else:
        values = probability if sampled is None else sampled
        if leaves_details and crop.is_reduced:
            values, is_thin = without_thin_changes(values, seen)
            fine = np.where(is_thin, 0, fine)
        mask, certain = transfer(values, seen, coarse, crop)
        if values is not probability:
            certain = from_grid(probability, crop)
    draft = Draft(crop, coarse, mask, certain, fine, pinned, was_asked)
    draft.hold_pinned()
    return draft
