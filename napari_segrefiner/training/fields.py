"""Smooth random fields and blurs of a window, as products of small matrices."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Field = npt.NDArray[np.float32]
#: Cells per side of the normal grids that a random field is summed from (method 11).
CELLS = (3, 5, 9, 16, 26)


@lru_cache(maxsize=64)
def enlarge_matrix(cells: int, side: int) -> Field:
    """Cubic enlargement of `cells` values to `side`: a (side, cells) matrix."""
    identity = np.eye(cells)
    places = np.linspace(0, cells - 1, side)
    columns = [
        ndimage.map_coordinates(row, [places], order=min(3, cells - 1), mode="nearest")
        for row in identity
    ]
    return np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.float32)


def enlarge(grid: Field, side: int) -> Field:
    """A coarse (..., n, n) grid enlarged to (..., side, side)."""
    matrix = enlarge_matrix(grid.shape[-1], side)
    result: Field = np.matmul(np.matmul(matrix, grid), matrix.T)
    return result


def random_field(
    rng: np.random.Generator, side: int, cells: tuple[int, ...] = CELLS
) -> Field:
    """A smooth field of zero mean and unit variance, its coarseness drawn too.

    Returns
    -------
    (side, side) float32 array
    """
    total = np.zeros((side, side), np.float32)
    for n, weight in zip(cells, rng.random(len(cells)) ** 2, strict=True):
        total += np.float32(weight) * enlarge(
            rng.standard_normal((n, n), dtype=np.float32), side
        )
    total -= total.mean()
    total /= total.std() + 1e-6
    return total


@lru_cache(maxsize=512)
def _blur_matrix(side: int, twentieths: int) -> Field:
    return np.ascontiguousarray(
        ndimage.gaussian_filter1d(
            np.eye(side), twentieths / 20, axis=0, mode="reflect"
        ),
        dtype=np.float32,
    )


def blur(array: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    """Gaussian blur of (..., side, side) by `sigma` px, to .05 px; 0 is a copy."""
    twentieths = round(sigma * 20)
    if twentieths <= 0:
        return array.copy()
    matrix = _blur_matrix(array.shape[-1], twentieths)
    result: npt.NDArray[np.float32] = np.matmul(np.matmul(matrix, array), matrix.T)
    return result


@lru_cache(maxsize=8)
def grid(side: int) -> tuple[Field, Field]:
    """Rows and columns of the pixel centres, (side, 1) and (1, side); do not write."""
    line = np.arange(side, dtype=np.float32) + np.float32(0.5)
    line.setflags(write=False)
    return line[:, None], line[None, :]


def ramp(rng: np.random.Generator, side: int) -> Field:
    """A plane of random direction, from -1 to 1 across the window."""
    y, x = grid(side)
    angle = rng.uniform(0, 2 * np.pi)
    middle = np.float32(side / 2)
    along = np.float32(np.cos(angle)) * (x - middle)
    across = np.float32(np.sin(angle)) * (y - middle)
    result: Field = np.divide(along + across, middle)
    return result
