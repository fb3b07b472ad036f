"""The steps of a run as packed bits: small enough to hand over to the window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_segrefiner.geometry import Box
from napari_segrefiner.plugin.planes import Plane


@dataclass(frozen=True)
class PackedMask:
    """A bool (Y, X) mask in `box` of its plane, eight pixels to the byte."""

    box: Box
    bits: npt.NDArray[np.uint8]

    @classmethod
    def pack(cls, box: Box, mask: npt.NDArray[np.bool_]) -> PackedMask:
        """Pack a mask of the box's shape."""
        return cls(box, np.packbits(mask))

    def unpack(self) -> npt.NDArray[np.bool_]:
        """The mask again, (height, width) of its box."""
        flat = np.unpackbits(self.bits, count=self.box.height * self.box.width)
        return flat.reshape(self.box.shape).astype(bool)


@dataclass(frozen=True)
class Frame:
    """One diffusion step of one batch of objects.

    ``ids`` names the objects, ``masks`` holds theirs after this step and ``coarse`` the
    ones they started from, in the same boxes. ``step`` counts from 0. ``windows`` are
    the windows of one object that the step is about; none where whole objects are.
    """

    plane: Plane
    step: int
    n_steps: int
    ids: tuple[int, ...]
    masks: tuple[PackedMask, ...]
    coarse: tuple[PackedMask, ...]
    windows: tuple[Box, ...] = ()

    @property
    def is_last(self) -> bool:
        """Whether its batch is done."""
        return self.step + 1 >= self.n_steps

    @property
    def box(self) -> Box:
        """The smallest box that holds all of its objects."""
        box = self.masks[0].box
        for mask in self.masks[1:]:
            box = box.union(mask.box)
        return box
