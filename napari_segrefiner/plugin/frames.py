"""The steps of a run as packed bits: small enough to keep for a replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_segrefiner.geometry import Box
from napari_segrefiner.plugin.planes import Plane

#: Memory for the steps of the last run.
MOST_BYTES = 256 * 2**20


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

    @property
    def n_bytes(self) -> int:
        """Memory of its bits; the coarse ones are shared by a batch's frames."""
        own = sum(mask.bits.nbytes for mask in self.masks)
        shared = sum(mask.bits.nbytes for mask in self.coarse) if self.step == 0 else 0
        return own + shared


@dataclass
class History:
    """The frames of the last run, the oldest dropped when they need too much memory."""

    most_bytes: int = MOST_BYTES
    frames: deque[Frame] = field(default_factory=deque)
    n_bytes: int = 0

    def clear(self) -> None:
        """Begin a new run."""
        self.frames.clear()
        self.n_bytes = 0

    def add(self, frame: Frame) -> None:
        """Keep a frame."""
        self.frames.append(frame)
        self.n_bytes += frame.n_bytes
        while self.n_bytes > self.most_bytes:
            self.n_bytes -= self.frames.popleft().n_bytes

    def steps_of(self, label: int, plane: Plane) -> Iterator[PackedMask]:
        """The masks of one object, from the first step kept to the last."""
        for frame in self.frames:
            if frame.plane == plane and label in frame.ids:
                yield frame.masks[frame.ids.index(label)]
