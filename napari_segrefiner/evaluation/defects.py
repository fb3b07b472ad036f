"""What goes wrong with one coarse mask: a function for every kind of defect.

Each takes an :class:`Object` and a generator of random numbers and returns the coarse
mask in the same window, which may come out empty. None of this is what models are
trained with: a generator of its own shows whether a model learnt to see, or learnt its
training's mistakes by heart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.draw import disk, polygon
from skimage.measure import find_contours

from napari_segrefiner.metrics import iou

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Random = np.random.Generator

#: Least IoU of a mask of kind ``accurate`` with the truth.
ACCURATE = 0.97
#: A neighbour is near if the gap is at most this many px, or this share of the size.
NEAR = (4.0, 0.25)
#: Most points of a coarse polygon, points of a hurried one, and how far the latter are
#: off, as a share of the size.
POLYGON_POINTS, HURRIED_POINTS, HURRIED_SPREAD = 9, 6, 0.03


@dataclass(frozen=True)
class Object:
    """A true object in a window around it.

    Attributes
    ----------
    fine : (h, w) bool array
        Its true mask, never empty.
    others : (h, w) integer array
        The ids of the other objects, 0 elsewhere.
    """

    fine: Mask
    others: npt.NDArray[Any]

    @property
    def size(self) -> float:
        """Square root of the area, in pixels."""
        return math.sqrt(np.count_nonzero(self.fine))


def eroded(one: Object, rng: Random) -> Mask:
    """The outermost 10 to 35 % of the pixels are missing."""
    depth = ndimage.distance_transform_edt(np.pad(one.fine, 1))[1:-1, 1:-1]
    depth += 0.4 * _smooth_field(one.fine.shape, 2.0, rng)
    n = round(rng.uniform(0.1, 0.35) * np.count_nonzero(one.fine))
    return one.fine & ~_lowest(np.where(one.fine, depth, np.inf), n)


def dilated(one: Object, rng: Random) -> Mask:
    """The nearest pixels around, 10 to 50 % of the area, belong to it too."""
    distance = ndimage.distance_transform_edt(~one.fine)
    distance += 0.4 * _smooth_field(one.fine.shape, 2.0, rng)
    n = round(rng.uniform(0.1, 0.5) * np.count_nonzero(one.fine))
    return one.fine | _lowest(np.where(one.fine, np.inf, distance), n)


def shifted(one: Object, rng: Random) -> Mask:
    """Two to six pixels off, small objects by a quarter of their size at most."""
    length = min(rng.uniform(2, 6), max(1.0, 0.25 * one.size))
    angle = rng.uniform(0, 2 * math.pi)
    shift = np.rint((length * math.sin(angle), length * math.cos(angle)))
    moved: Mask = ndimage.shift(one.fine, shift, order=0)
    return moved


def coarse_polygon(one: Object, rng: Random) -> Mask:
    """Five to nine points on its outline, joined by straight lines."""
    mask = np.zeros_like(one.fine)
    n = int(rng.integers(5, POLYGON_POINTS + 1))
    parts, n_parts = ndimage.label(one.fine, np.ones((3, 3)))
    for part in range(1, n_parts + 1):
        mask |= _filled(_points(parts == part, n, rng), mask.shape)
    return mask


def hurried(one: Object, rng: Random) -> Mask:
    """Six points somewhere near the outline of its largest part."""
    return hurried_polygon(one.fine, HURRIED_POINTS, rng)


def hurried_polygon(fine: Mask, n: int, rng: Random) -> Mask:
    """A mask drawn with `n` points that are a little off its largest part's outline.

    Each point is off by a normal error of .03 of the size of `fine`.
    """
    parts, n_parts = ndimage.label(fine, np.ones((3, 3)))
    areas = np.bincount(parts.ravel(), minlength=n_parts + 1)[1:]
    points = _points(parts == 1 + int(areas.argmax()), n, rng)
    size = math.sqrt(np.count_nonzero(fine))
    points = points + rng.normal(0, HURRIED_SPREAD * size, points.shape)
    return _filled(points, fine.shape)


def holes_blobs(one: Object, rng: Random) -> Mask:
    """One to three holes in it, and one to three blobs at its edge or beside it."""
    mask = one.fine.copy()
    inside = np.argwhere(one.fine)
    distance = ndimage.distance_transform_edt(~one.fine)
    around = np.argwhere((distance > 0) & (distance < max(0.3 * one.size, 2)))
    for places, value in ((around, True), (inside, False)):
        if not len(places):
            continue
        for _ in range(int(rng.integers(1, 4))):
            centre = places[int(rng.integers(len(places)))]
            radius = max(rng.uniform(0.08, 0.22) * one.size, 1.0)
            mask[disk(tuple(centre), radius, shape=mask.shape)] = value
    return mask


def low_resolution(one: Object, rng: Random) -> Mask:
    """Drawn on a grid on which it is four to nine cells wide."""
    cell = max(2, round(one.size / rng.uniform(4, 9)))
    oy, ox = rng.integers(cell, size=2)
    height, width = one.fine.shape
    down, across = -(-(height + oy) // cell), -(-(width + ox) // cell)
    grid = np.zeros((down * cell, across * cell))
    grid[oy : oy + height, ox : ox + width] = one.fine
    cells = grid.reshape(down, cell, across, cell).mean((1, 3)) >= 0.5
    blocky: Mask = cells.repeat(cell, 0).repeat(cell, 1)
    mask: Mask = blocky[oy : oy + height, ox : ox + width]
    return mask


def wobble(one: Object, rng: Random) -> Mask:
    """Its outline moves in and out as a smooth random field says."""
    signed = ndimage.distance_transform_edt(one.fine) - ndimage.distance_transform_edt(
        ~one.fine
    )
    length = max(rng.uniform(0.1, 0.4) * one.size, 1.0)
    height = max(rng.uniform(0.06, 0.16) * one.size, 0.8)
    mask: Mask = signed + height * _smooth_field(one.fine.shape, length, rng) > 0
    return mask


def merged(one: Object, rng: Random) -> Mask:
    """A near neighbour, as far as the window shows it, is taken for a part of it.

    So is the gap between the two. Without a neighbour there is no mask.
    """
    distance = ndimage.distance_transform_edt(~one.fine)
    reach = max(NEAR[0], NEAR[1] * one.size)
    near = np.unique(one.others[(distance <= reach) & (one.others != 0)])
    if not len(near):
        return np.zeros_like(one.fine)
    both = one.fine | (one.others == near[int(rng.integers(len(near)))])
    # Closing by a distance: what lies between the two is nearer to them than to the
    # outside of what is within reach of them.
    half = reach / 2 + 1
    grown = ndimage.distance_transform_edt(~both) <= half
    closed: Mask = both | (ndimage.distance_transform_edt(grown) > half)
    return closed


def accurate(one: Object, rng: Random) -> Mask:
    """Exactly right, or nearly so: IoU above .97."""
    if rng.random() < 0.5:
        return one.fine.copy()
    signed = ndimage.distance_transform_edt(one.fine) - ndimage.distance_transform_edt(
        ~one.fine
    )
    field = _smooth_field(one.fine.shape, max(0.1 * one.size, 1.0), rng)
    for height in (1.2, 0.8, 0.6):
        mask: Mask = signed + height * field > 0
        if iou(one.fine, mask) > ACCURATE:
            return mask
    return one.fine.copy()


Defect = Callable[[Object, Random], Mask]

#: All kinds that need the true mask alone, by name.
DEFECTS: dict[str, Defect] = {
    "eroded": eroded,
    "dilated": dilated,
    "shifted": shifted,
    "polygon": coarse_polygon,
    "hurried": hurried,
    "holes_blobs": holes_blobs,
    "merged": merged,
    "low_resolution": low_resolution,
    "wobble": wobble,
    "accurate": accurate,
}


def _lowest(values: Floats, n: int) -> Mask:
    """The `n` pixels with the lowest values, exactly."""
    chosen = np.zeros(values.size, dtype=bool)
    chosen[np.argpartition(values, min(n, values.size - 1), axis=None)[:n]] = True
    return chosen.reshape(values.shape)


def _smooth_field(shape: tuple[int, ...], length: float, rng: Random) -> Floats:
    """A random field that changes over `length` px; mean 0, standard deviation 1."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), length, mode="wrap")
    spread = field.std()
    return np.asarray((field - field.mean()) / (spread if spread > 0 else 1.0))


def _points(part: Mask, n: int, rng: Random) -> Floats:
    """`n` (y, x) points, evenly spaced on the outer outline from a random start."""
    outline = max(find_contours(np.pad(part, 1).astype(float), 0.5), key=len) - 1
    lengths = np.hypot(*np.diff(outline, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    at = (np.arange(n) + rng.random()) / n * along[-1]
    return np.stack([np.interp(at, along, outline[:, k]) for k in (0, 1)], 1)


def _filled(points: Floats, shape: tuple[int, ...]) -> Mask:
    """The pixels inside a polygon."""
    mask = np.zeros(shape, dtype=bool)
    mask[polygon(points[:, 0], points[:, 1], shape=shape)] = True
    return mask
