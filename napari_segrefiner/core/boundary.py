"""Boundaries of masks: their edge pixels, and what lies near them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]

#: Distances are computed tile by tile: large objects are mostly far from their edge.
TILE = 256


def edge(mask: Mask) -> Mask:
    """Pixels of a mask with at least one 4-neighbour outside of it, (h, w) bool.

    What lies beyond the array repeats its border: a mask cut off there has no edge.

    Examples
    --------
    >>> edge(np.array([[0, 1, 1, 1], [0, 1, 1, 1]], dtype=bool)).astype(int)
    array([[0, 1, 0, 0],
           [0, 1, 0, 0]])
    """
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    return mask & ~inner


def near(pixels: Mask, distance: float) -> Mask:
    """All pixels at most `distance` px from one of `pixels`, centre to centre.

    Examples
    --------
    >>> near(np.array([[1, 0, 0, 0]], dtype=bool), 2).astype(int)
    array([[1, 1, 1, 0]])
    """
    height, width = pixels.shape
    halo = int(distance)
    result = np.zeros_like(pixels)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            y0, x0 = max(top - halo, 0), max(left - halo, 0)
            around = pixels[y0 : top + TILE + halo, x0 : left + TILE + halo]
            if not around.any():
                continue
            is_near = ndimage.distance_transform_edt(~around) <= distance
            tile = result[top : top + TILE, left : left + TILE]
            tile[:] = is_near[top - y0 :, left - x0 :][: tile.shape[0], : tile.shape[1]]
    return result
