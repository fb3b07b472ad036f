"""Showing a crop on the network's grid, and bringing the answer back to the pixels.

Both ways are linear and separable: a matrix for the rows, one for the columns. Pixels
beyond the image border are part of the matrices (they repeat mirrored ones), so that no
padded copy of the image is ever made.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache, partial, reduce
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_segrefiner.geometry import Box

if TYPE_CHECKING:
    from napari_segrefiner.core.crops import Crop, Resampling

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]
Weights = npt.NDArray[np.float64]

#: Rows of a crop that are read at a time: bounds the memory of huge crops.
STRIP_ROWS = 256
#: Side of a crop up to which the matrices of its axes are kept; those of larger ones
#: would fill the memory, and are made anew in a part of the time that the crop takes.
LONGEST_KEPT = 1024
#: What is narrower, in cells of a reduced grid, is a detail.
THICK = 3
#: A boundary that moves by less, in cells, has not been seen to move.
SURE = 2


def to_grid(read: Callable[[Box], Plane], crop: Crop) -> Plane:
    """Resample what `read` gives for the crop's pixels onto its grid.

    Parameters
    ----------
    read : callable
        ``read(box)`` gives (C, h, w) float32 values of a box inside the image.
    crop : Crop

    Returns
    -------
    (C, grid, grid) float32 array
        Area means where the crop is reduced, bilinear where it is enlarged.
    """
    if crop.is_native:
        return read(crop.inside)
    rows, columns = _axes(crop, _axis_to_grid)
    y0, x0, y1, x1 = crop.inside

    def part(top: int) -> Plane:
        strip = Box(top, x0, min(top + STRIP_ROWS, y1), x1)
        shown: Plane = rows[:, top - y0 : strip.y1 - y0] @ (read(strip) @ columns.T)
        return shown

    return reduce(operator.add, map(part, range(y0, y1, STRIP_ROWS)))


def from_grid(values: Plane, crop: Crop) -> Plane:
    """Bring (grid, grid) values back to the (h, w) pixels of ``crop.inside``."""
    if crop.is_native:
        return values
    rows, columns = _axes(crop, _axis_from_grid)
    pixels: Plane = rows @ (values @ columns.T)
    return pixels


def mask_on_grid(coarse: Mask, crop: Crop) -> Mask:
    """A mask of ``crop.inside`` as the network sees it, (grid, grid) bool."""
    top = crop.inside.y0

    def read(box: Box) -> Plane:
        return coarse[None, box.y0 - top : box.y1 - top].astype(np.float32)

    mask: Mask = to_grid(read, crop)[0] >= 0.5
    return mask


def pins_on_grid(pinned: Mask, crop: Crop) -> Mask:
    """Pinned pixels of ``crop.inside`` as cells of the grid, (grid, grid) bool.

    Where the crop is reduced, every cell with a pinned pixel in it is pinned.
    """
    if not crop.is_reduced:
        return mask_on_grid(pinned, crop)
    top = crop.inside.y0

    def read(box: Box) -> Plane:
        return pinned[None, box.y0 - top : box.y1 - top].astype(np.float32)

    cells: Mask = to_grid(read, crop)[0] > 0
    return cells


def transfer(values: Plane, seen: Mask, coarse: Mask, crop: Crop) -> tuple[Mask, Plane]:
    """Carry the network's answer over to the pixels of a coarse mask.

    Parameters
    ----------
    values : (grid, grid) float32 array in [0, 1]
        Probabilities of the object, or a mask as 0 and 1.
    seen : (grid, grid) bool array
        The coarse mask on the grid, as :func:`mask_on_grid` gave it.
    coarse : (h, w) bool array
        The coarse mask in ``crop.inside``.
    crop : Crop

    Returns
    -------
    mask : (h, w) bool array
        Where the answer agrees with the mask that the network saw, both brought back
        alike, the coarse mask's own pixel; elsewhere the answer. An answer that repeats
        what was seen thus changes no pixel, at any size.
    values : (h, w) float32 array
        The answer at the pixels.
    """
    answer = from_grid(values, crop)
    mask: Mask = answer >= 0.5
    if crop.is_native or crop.is_published:
        return mask, answer
    is_kept = mask == (from_grid(seen.astype(np.float32), crop) >= 0.5)
    carried = np.where(is_kept, coarse, mask)
    moved = (values >= 0.5) != seen
    if moved.any():
        around = ndimage.binary_dilation(moved, np.ones((5, 5)))
        has_moved = from_grid(around.astype(np.float32), crop) >= 0.5
        carried = _without_loose_parts(carried, mask, has_moved)
        carried = ~_without_loose_parts(~carried, ~mask, has_moved)
    return carried, answer


def without_thin_changes(values: Plane, seen: Mask) -> tuple[Plane, Mask]:
    """An answer on a reduced grid, without what finer windows can decide better.

    A grid shows teeth and bays of a cell or two as a blur, and the network takes them
    away as such: windows that follow would only see what is left. Nor does it tell
    where in a cell a boundary is.

    Parameters
    ----------
    values : (grid, grid) float32 array in [0, 1]
        Probabilities of the object, or a mask as 0 and 1.
    seen : (grid, grid) bool array
        The mask that the network was given.

    Returns
    -------
    values : (grid, grid) float32 array
        The answer; what was seen, where the change is less than :data:`SURE` cells
        thick, or takes away or fills details and is no thicker than they are.
    is_thin : (grid, grid) bool array
        Where that is.
    """
    moved = (values >= 0.5) != seen
    is_thin = moved & ~_opened(moved, SURE)
    is_narrow = moved & ~_opened(moved, THICK)
    if is_narrow.any():
        details = (seen & ~_opened(seen, THICK)) | (~seen & ~_opened(~seen, THICK))
        is_thin |= is_narrow & ndimage.binary_dilation(details, np.ones((3, 3)))
    return np.where(is_thin, seen, values), is_thin


def _opened(mask: Mask, width: int) -> Mask:
    """What is left of a mask without its parts less than `width` cells wide.

    Beyond the array the mask goes on as it ends there.
    """
    padded = np.pad(mask, width, mode="edge")
    opened = ndimage.binary_opening(padded, np.ones((width, width)))
    kept: Mask = opened[width:-width, width:-width]
    return kept


def _without_loose_parts(mask: Mask, answer: Mask, has_moved: Mask) -> Mask:
    """A mask without the parts that only the coarse mask knows where its boundary left.

    What was too fine to be seen on the grid is kept; where it hung on a boundary that
    has moved away, crumbs would stay behind (pinholes, when all masks are inverted).
    """
    parts, n_parts = ndimage.label(mask)
    is_loose = np.zeros(n_parts + 1, bool)
    is_loose[parts[mask & has_moved]] = True
    is_loose[parts[mask & answer]] = False
    kept: Mask = mask & ~is_loose[parts]
    return kept


def _axes(crop: Crop, weights: Callable[..., Plane]) -> tuple[Plane, Plane]:
    """The matrices of the rows and of the columns."""
    outer, inner = crop.box, crop.inside
    way = crop.resampling
    if max(outer.shape) <= LONGEST_KEPT:
        weights = partial(_kept, weights)
    return (
        weights(outer.height, inner.y0 - outer.y0, inner.height, crop.grid, way),
        weights(outer.width, inner.x0 - outer.x0, inner.width, crop.grid, way),
    )


@lru_cache(maxsize=256)
def _kept(weights: Callable[..., Plane], *axis: int | Resampling) -> Plane:
    """A matrix that windows and steps will ask for again."""
    return weights(*axis)


def _axis_to_grid(
    side: int, before: int, inside: int, grid: int, way: Resampling
) -> Plane:
    """(grid, inside) weights of one axis.

    The middle of the crop is inside the image, so that mirroring its part inside is
    mirroring the image.

    Parameters
    ----------
    side : int
        Pixels of the crop.
    before : int
        Those of them before the image begins.
    inside : int
        Those inside the image.
    """
    if way == "nearest":
        full = nearest_weights(side, grid)
    elif way == "default" and grid < side:
        full = area_weights(side, grid)
    else:
        full = bilinear_weights(side, grid)
    folded = np.zeros((inside, grid))
    np.add.at(folded, mirrored(np.arange(-before, side - before), inside), full.T)
    return folded.T.astype(np.float32)


def _axis_from_grid(
    side: int, before: int, inside: int, grid: int, way: Resampling
) -> Plane:
    """(inside, grid) weights of one axis; parameters as for :func:`_axis_to_grid`."""
    if way == "nearest":
        full = nearest_weights(grid, side)
    elif way == "default" and side < grid:
        full = area_weights(grid, side)
    else:
        full = bilinear_weights(grid, side, beyond_is_zero=way == "published")
    return full[before : before + inside].astype(np.float32)


def mirrored(index: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Indices folded into 0..size-1 at both ends, the border pixel repeated.

    Examples
    --------
    >>> mirrored(np.arange(-3, 5), 3)
    array([2, 1, 0, 0, 1, 2, 2, 1])
    """
    folded = index % (2 * size)
    return np.minimum(folded, 2 * size - 1 - folded)


def area_weights(n_in: int, n_out: int) -> Weights:
    """Weights (n_out, n_in) with which each output cell averages the pixels it covers.

    Examples
    --------
    >>> area_weights(3, 2) * 3
    array([[2., 1., 0.],
           [0., 1., 2.]])
    """
    edges = np.arange(n_out + 1)[:, None] * (n_in / n_out)
    pixels = np.arange(n_in)
    covered: Weights = np.minimum(edges[1:], pixels + 1) - np.maximum(
        edges[:-1], pixels
    )
    return covered.clip(min=0) * (n_out / n_in)


def bilinear_weights(n_in: int, n_out: int, *, beyond_is_zero: bool = False) -> Weights:
    """Weights (n_out, n_in) of linear interpolation between pixel centres.

    Parameters
    ----------
    beyond_is_zero : bool
        Whether the values beyond the first and the last centre fade to 0, as where the
        published code pastes; otherwise they repeat.

    Examples
    --------
    >>> bilinear_weights(2, 4)
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    position = (np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5
    if not beyond_is_zero:
        position = np.clip(position, 0, n_in - 1)
    weights: Weights = 1.0 - np.abs(position[:, None] - np.arange(n_in))
    return weights.clip(min=0)


def nearest_weights(n_in: int, n_out: int) -> Weights:
    """Weights (n_out, n_in) that take the value of one pixel, as the published code.

    Its index is the rounded down product of two float32 numbers, which for some sizes
    is another one than that of the exact fraction.

    Examples
    --------
    >>> nearest_weights(4, 2)
    array([[1., 0., 0., 0.],
           [0., 0., 1., 0.]])
    """
    index = np.arange(n_out, dtype=np.float32) * np.float32(n_in / n_out)
    weights = np.zeros((n_out, n_in))
    weights[np.arange(n_out), index.astype(np.int64).clip(max=n_in - 1)] = 1.0
    return weights
