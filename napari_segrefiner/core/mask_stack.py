"""Masks that may overlap, as detectors give them: each refined for itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.cuts import Cut

if TYPE_CHECKING:
    from napari_segrefiner.core.coarse import CoarseMasks
    from napari_segrefiner.core.objects import LabelledObject
    from napari_segrefiner.geometry import Box

Mask = npt.NDArray[np.bool_]


class MaskStack:
    """What refined masks are painted on: one layer each, nothing is composed.

    Parameters
    ----------
    coarse : CoarseMasks
    refined : collection of int
        Ids of the masks that are going to be painted; the others stay as they are.
    """

    def __init__(self, coarse: CoarseMasks, refined: Iterable[int]) -> None:
        self._coarse = coarse
        self._painted: dict[int, Cut | None] = dict.fromkeys(refined)

    def paint(
        self, id: int, box: Box, mask: Mask, probability: npt.NDArray[np.float32]
    ) -> None:
        """Add the pixels of a mask in a box to an object's layer."""
        self._add(id, Cut.of(mask, box.y0, box.x0))

    def hold(self, found: LabelledObject, own: Mask | None = None) -> None:
        """Give an object, or a part of it, its coarse mask."""
        if own is None:
            own = self._coarse.mask(found.id, found.box)
        self._add(found.id, Cut(found.box, own))

    def _add(self, id: int, cut: Cut) -> None:
        painted = self._painted[id]
        self._painted[id] = cut if painted is None else painted.union(cut)

    def hold_vanished(self, painted: Iterable[tuple[LabelledObject, Box]]) -> set[int]:
        """Give objects without a pixel their coarse masks back; returns their ids."""
        vanished = [o for o, box in painted if not self.mask(o.id, box).any()]
        for found in vanished:
            self.hold(found)
        return {found.id for found in vanished}

    def close_gaps(self, box: Box) -> None:
        """Nothing: masks that overlap have no borders with each other."""

    def mask(self, id: int, box: Box) -> Mask:
        """Where an object stands now, (h, w) bool."""
        return self.cut(id).within(box)

    def cut(self, id: int) -> Cut:
        """An object's mask in some box that holds it."""
        return self._painted.get(id) or self._coarse.cuts[id - 1]
