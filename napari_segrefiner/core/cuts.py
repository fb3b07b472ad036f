"""Cuts: masks of a few pixels in a large image, as their boxes alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_segrefiner.geometry import Box

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A mask in a box; outside of it nothing is covered.

    Attributes
    ----------
    box : Box
    mask : (h, w) bool array
        Of the box's shape.
    """

    box: Box
    mask: Mask

    @classmethod
    def of(cls, mask: Mask, y0: int = 0, x0: int = 0) -> Cut:
        """The covered part of a mask that begins at (y0, x0), as small as it can be."""
        box = Box.around(mask)
        # A copy, so that the mask itself can be let go of.
        return cls(box.shift(y0, x0), mask[box.slices].copy())

    def within(self, box: Box) -> Mask:
        """The mask in another box, (h, w) bool."""
        part = np.zeros(box.shape, bool)
        self.draw(part, box)
        return part

    def draw(self, onto: Mask, box: Box) -> None:
        """Add the mask to one that lies in another box."""
        if self.box.overlaps(box):
            shared = self.box.intersection(box)
            own = self.mask[shared.shift(-self.box.y0, -self.box.x0).slices]
            onto[shared.shift(-box.y0, -box.x0).slices] |= own

    def union(self, other: Cut) -> Cut:
        """What at least one of the two covers."""
        box = self.box.union(other.box)
        mask = self.within(box)
        other.draw(mask, box)
        return Cut(box, mask)
