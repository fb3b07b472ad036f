"""Guards: where the coarse mask is kept because the network is not to be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.boundary import edge, near
from napari_segrefiner.metrics import iou

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
    """

    pixel_doubt: float = 0.0
    doubt: float = 1.0
    band: float = 0.0
    least_change: float = 0.0

    def limit(
        self, refined: Mask, coarse: Mask, probability: npt.NDArray[np.float32]
    ) -> Mask:
        """The refined mask, with the coarse one where this is to be trusted more.

        Parameters
        ----------
        refined, coarse : (h, w) bool arrays
        probability : (h, w) float32 array in [0, 1]
        """
        if self.pixel_doubt > 0:
            is_doubtful = np.abs(2.0 * probability - 1.0) < self.pixel_doubt
            refined = np.where(is_doubtful, coarse, refined)
        if self.band > 0:
            reach = self.band * math.sqrt(np.count_nonzero(coarse)) + 1.0
            refined = np.where(near(edge(coarse), reach), refined, coarse)
        if self.least_change > 0 and 1 - iou(coarse, refined) < self.least_change:
            refined = coarse.copy()
        return refined

    def holds(self, uncertainty: float) -> bool:
        """Whether an object of this uncertainty keeps its coarse mask."""
        return uncertainty > self.doubt
