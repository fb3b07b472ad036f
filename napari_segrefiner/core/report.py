"""What is told of an object: how uncertain its new boundary is, what has changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.boundary import edge, near
from napari_segrefiner.geometry import Box

Mask = npt.NDArray[np.bool_]

#: |2P - 1| from which on a pixel counts as decided (paper: 0.9).
DECIDED = 0.9


class Uncertainty(NamedTuple):
    """Uncertainty of an object (method 4).

    ``mean`` of 1 - |2P - 1| over the band around both boundaries, and the share of band
    pixels that are not decided, both in [0, 1]; a lost object has 1, 1 and no band.
    """

    mean: float
    undecided_share: float
    n_pixels: int


def measure_uncertainty(
    coarse: Mask, refined: Mask, probability: npt.NDArray[np.float32]
) -> Uncertainty:
    """How undecided the network is along the boundaries of an object.

    Parameters
    ----------
    coarse, refined : (h, w) bool arrays
        In the object's crop.
    probability : (h, w) float32 array in [0, 1]
        Of the last step, at the image's resolution.
    """
    if not refined.any():
        return Uncertainty(1.0, 1.0, 0)
    box = Box.around(coarse | refined)
    distance = max(2, math.floor(0.02 * math.hypot(*box.shape) + 0.5))
    # The band reaches no further than `distance` beyond the tight box.
    height, width = coarse.shape
    window = box.expand(distance).clip((height, width)).slices
    band = near(edge(coarse)[window] | edge(refined)[window], distance)
    decided = np.abs(2.0 * probability[window][band].astype(np.float64) - 1.0)
    if not decided.size:  # both fill the whole crop: there is no boundary
        return Uncertainty(0.0, 0.0, 0)
    return Uncertainty(
        float(1.0 - decided.mean()), float((decided < DECIDED).mean()), decided.size
    )


def mean_uncertainty(parts: Sequence[Uncertainty]) -> Uncertainty:
    """Uncertainty of an object in parts: the mean over the bands of all of them."""
    n = sum(part.n_pixels for part in parts)
    if n == 0:  # no part has a boundary, or all are lost
        return max(parts)
    mean = sum(part.mean * part.n_pixels for part in parts) / n
    share = sum(part.undecided_share * part.n_pixels for part in parts) / n
    return Uncertainty(mean, share, n)
