"""Guards: where the coarse mask is kept because the network is not to be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_segrefiner.core.boundary import edge, near
from napari_segrefiner.metrics import iou

if TYPE_CHECKING:
    from napari_segrefiner.options import Direction

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Guards:
    """The guards of a run.

    Attributes
    ----------
    pixel_doubt : float
        Pixels with |2P - 1| below it keep their coarse value; 0 is off.
    doubt : float
        Objects with a higher uncertainty keep their coarse mask; 1 is off.
    band : float
        Changes reach at most this share of the square root of the object's area, and
        one pixel more, from its coarse boundary; 0 is off.
    least_change : float
        Masks whose IoU with the coarse one is above 1 minus this share keep the coarse
        one exactly; 0 is off.
    least_piece : float
        Connected pieces of a change with fewer pixels than this share of its largest
        one are taken back; 0 is off.
    direction : {"both", "grow", "shrink"}
        Whether masks gain and lose pixels, or only one of both.
    """

    pixel_doubt: float = 0.0
    doubt: float = 1.0
    band: float = 0.0
    least_change: float = 0.0
    least_piece: float = 0.0
    direction: Direction = "both"

    def leaves(
        self, refined: Mask, coarse: Mask, probability: npt.NDArray[np.float32]
    ) -> bool:
        """Whether the coarse mask stays, as too little of it would change.

        Parameters
        ----------
        refined, coarse : (h, w) bool arrays
        probability : (h, w) float32 array in [0, 1]
        """
        change = 1 - iou(coarse, self._near_and_sure(refined, coarse, probability))
        return change == 0 or change < self.least_change

    def limit(
        self, refined: Mask, coarse: Mask, probability: npt.NDArray[np.float32]
    ) -> Mask:
        """The refined mask, with the coarse one where this is to be trusted more.

        Parameters as for :meth:`leaves`.
        """
        refined = self._near_and_sure(refined, coarse, probability)
        if self.least_piece > 0:
            pieces, n_pieces = ndimage.label(refined != coarse, np.ones((3, 3)))
            if n_pieces > 1:
                sizes = np.bincount(pieces.ravel())[1:]
                is_small = sizes < self.least_piece * sizes.max()
                taken_back = np.concatenate([[False], is_small])[pieces]
                refined = np.where(taken_back, coarse, refined)
        return refined

    def calmed(self, factor: float) -> Guards:
        """Guards that ask for more of a change."""
        return replace(self, least_change=factor * self.least_change)

    def holds(self, uncertainty: float) -> bool:
        """Whether an object of this uncertainty keeps its coarse mask."""
        return uncertainty > self.doubt

    def towards(self, refined: Mask, coarse: Mask) -> Mask:
        """The refined mask, as far as it goes in the direction that is wanted."""
        if self.direction == "grow":
            return refined | coarse
        if self.direction == "shrink":
            return refined & coarse
        return refined

    def _near_and_sure(
        self, refined: Mask, coarse: Mask, probability: npt.NDArray[np.float32]
    ) -> Mask:
        """The refined mask without unwanted changes, or in doubt, or far away."""
        refined = self.towards(refined, coarse)
        if self.pixel_doubt > 0:
            is_doubtful = np.abs(2.0 * probability - 1.0) < self.pixel_doubt
            refined = np.where(is_doubtful, coarse, refined)
        if self.band > 0:
            reach = self.band * math.sqrt(np.count_nonzero(coarse)) + 1.0
            refined = np.where(near(edge(coarse), reach), refined, coarse)
        return refined
