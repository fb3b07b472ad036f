"""The published simulator of coarse masks: thinned outlines, then random edits.

It is kept as it was published, its effects on small objects included; the one that
models are trained with here is :mod:`napari_segrefiner.training.simulate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.draw import polygon

Mask = npt.NDArray[np.bool_]
#: (n, 2) int, rows and columns.
Contour = npt.NDArray[np.int64]

#: Contours of fewer points are dropped.
MIN_POINTS = 10
#: Rounds at most, and edits in each.
ROUNDS, EDITS = 250, 4
#: Chance that an edit sets the pixel in its middle, and that it dilates.
SET_PIXEL, DILATE = 0.25, 0.5
#: Kernel sides, px, inclusive.
KERNEL_SIDES = (3, 9)
_EPSILON = 1e-6


@dataclass(frozen=True)
class PublishedOptions:
    """Rates of the published configuration.

    ``region`` is the share of an outline that is deleted in one stretch, ``keep`` the
    share of its points that stays, ``move`` the deviation of the factor by which a
    point's distance from the centroid changes, ``iou`` where the edits stop.
    """

    region: float = 0.1
    keep: float = 0.1
    move: float = 0.0
    iou: float = 0.8


class Simulated(NamedTuple):
    """The coarse mask, the mask before the edits, and the rounds of edits it took."""

    mask: Mask
    thinned: Mask
    rounds: int


def simulate_published(
    rng: np.random.Generator, fine: Mask, options: PublishedOptions | None = None
) -> Simulated:
    """Make a coarse mask as the published training does.

    Parameters
    ----------
    fine : (Y, X) bool array
        The object in its whole image: the edits fall anywhere in it.

    Returns
    -------
    Simulated

    Notes
    -----
    The edits stop at an IoU with the thinned mask, not with the truth. Objects under
    some 300 px keep a handful of points and are mostly destroyed.
    """
    options = options or PublishedOptions()
    outlines = [
        _thin(rng, outline, options)
        for outline in trace_contours(fine)
        if len(outline) >= MIN_POINTS
    ]
    outlines = [outline for outline in outlines if len(outline)]
    thinned = _fill(outlines, fine.shape) if outlines else fine.copy()
    mask, rounds = _edit(rng, thinned, options.iou)
    return Simulated(mask, thinned, rounds)


def trace_contours(mask: Mask) -> list[Contour]:
    """Every outer and inner border of a mask, all of its pixels in order.

    Notes
    -----
    Border following after Suzuki and Abe (1985): objects are 8-connected, holes are
    4-connected, and the border of a hole runs on the object's pixels around it.
    """
    padded = np.pad(mask, 1)
    width = padded.shape[1]
    cells = padded.tobytes()
    # Neighbours clockwise from the left, as steps in the flat array.
    steps = (-1, -width - 1, -width, -width + 1, 1, width + 1, width, width - 1)
    pieces, _ = ndimage.label(padded, np.ones((3, 3)))
    holes, _ = ndimage.label(~padded)
    starts = [(first, 0) for first in _first_pixels(pieces)]
    # The first hole in reading order is the outside. Left of a hole's first pixel lies
    # the object; its border is followed from there, the hole being on the right.
    starts += [(first - 1, 4) for first in _first_pixels(holes)[1:]]
    contours = []
    for start, empty in starts:
        places = np.array(_follow(cells, steps, start, empty))
        contours.append(np.stack(np.divmod(places, width), axis=1) - 1)
    return contours


def _first_pixels(labels: npt.NDArray[np.int32]) -> list[int]:
    """Flat index of each label's first pixel in reading order."""
    found, first = np.unique(labels, return_index=True)
    return [int(place) for place in first[found > 0]]


def _follow(cells: bytes, steps: tuple[int, ...], start: int, empty: int) -> list[int]:
    """Places along the border from `start`, whose neighbour `empty` is outside."""
    for turn in range(8):
        back = (empty + turn) % 8
        if cells[start + steps[back]]:
            break
    else:
        return [start]
    last = start + steps[back]
    places, here, came_from = [], start, back
    while True:
        places.append(here)
        turn = came_from
        while True:
            turn = (turn - 1) % 8
            if cells[here + steps[turn]]:
                break
        following = here + steps[turn]
        if following == start and here == last:
            return places
        here, came_from = following, (turn + 4) % 8


def _thin(
    rng: np.random.Generator, outline: Contour, options: PublishedOptions
) -> Contour:
    """Delete one winding stretch, then keep a few of the points."""
    n = len(outline)
    reach = int(options.region * n)
    if reach:
        chord = ((outline[: n - reach] - outline[reach:]) ** 2).sum(axis=1)
        shortest = np.argsort(chord, kind="stable")
        n_candidates = int(np.ceil(0.1 * (n - reach)))
        first = int(shortest[int(rng.integers(n_candidates))])
        outline = np.delete(outline, np.s_[first : first + reach], axis=0)
    n_kept = int(options.keep * len(outline))
    kept = np.sort(rng.choice(len(outline), n_kept, replace=False))
    outline = outline[kept]
    if options.move > 0 and n_kept:
        centre = outline.mean(axis=0)
        factor = rng.normal(1, options.move, (n_kept, 1))
        outline = np.rint(centre + (outline - centre) * factor).astype(np.int64)
    return outline


def _fill(outlines: list[Contour], shape: tuple[int, ...]) -> Mask:
    """Even-odd filling of all polygons together; their lines count as inside."""
    inside = np.zeros(shape, bool)
    lines = Image.new("1", (shape[1], shape[0]))
    draw = ImageDraw.Draw(lines)
    for outline in outlines:
        rows, columns = polygon(outline[:, 0], outline[:, 1], shape)
        inside[rows, columns] ^= True
        closed = np.concatenate([outline, outline[:1]])
        draw.line([(int(x), int(y)) for y, x in closed], fill=1)
    filled: Mask = inside | np.asarray(lines)
    return filled


def _edit(rng: np.random.Generator, thinned: Mask, target: float) -> tuple[Mask, int]:
    """Edit random rectangles until the IoU with `thinned` is below the target."""
    height, width = thinned.shape
    mask = thinned.copy()
    if height <= 2 or width <= 2:
        return mask, 0
    for done in range(ROUNDS):
        for _ in range(EDITS):
            _edit_rectangle(rng, mask)
        common = np.count_nonzero(mask & thinned) + _EPSILON
        if common / (np.count_nonzero(mask | thinned) + _EPSILON) < target:
            return mask, done + 1
    return mask, ROUNDS


def _edit_rectangle(rng: np.random.Generator, mask: Mask) -> None:
    """Set a pixel, or not; then dilate or erode one rectangle of the mask, in place."""
    height, width = mask.shape
    x0, y0 = int(rng.integers(width)), int(rng.integers(height))
    x1, y1 = int(rng.integers(x0 + 1, width + 1)), int(rng.integers(y0 + 1, height + 1))
    if rng.random() < SET_PIXEL:
        mask[(y0 + y1) // 2, (x0 + x1) // 2] = rng.random() < 0.5
    dilates = rng.random() < DILATE
    kernel = _draw_kernel(rng)
    content = mask[y0:y1, x0:x1]
    if content.all() or not content.any():  # neither changes it, and most are empty
        return
    if dilates:
        content[:] = _dilate(content, kernel)
    else:
        content[:] = ~_dilate(~content, kernel)


def _draw_kernel(rng: np.random.Generator) -> Mask:
    side = int(rng.integers(KERNEL_SIDES[0], KERNEL_SIDES[1] + 1))
    kind = int(rng.integers(4))
    if kind == 0:
        return np.ones((side, side), bool)
    height = side // 2 if kind == 2 else side
    width = side // 2 if kind == 3 else side
    return ellipse_kernel(width, height)


def ellipse_kernel(width: int, height: int) -> Mask:
    """An elliptic kernel as the published code's library rounds it.

    Examples
    --------
    >>> ellipse_kernel(3, 3).astype(int).tolist()
    [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    """
    r, c = height // 2, width // 2
    kernel = np.zeros((height, width), bool)
    for row in range(height):
        reach = round(c * np.sqrt((r**2 - (row - r) ** 2) / r**2)) if r else 0
        kernel[row, max(c - reach, 0) : min(c + reach, width - 1) + 1] = True
    return kernel


def _dilate(content: Mask, kernel: Mask) -> Mask:
    """Largest value under the kernel, its anchor the middle; outside counts nothing.

    Each row of a kernel is one run, so that differences of running sums do.
    """
    height, width = content.shape
    sums = np.zeros((height, width + 1), np.int32)
    np.cumsum(content, axis=1, out=sums[:, 1:])
    columns = np.arange(width)
    result = np.zeros_like(content)
    for row in range(kernel.shape[0]):
        run = np.flatnonzero(kernel[row]) - kernel.shape[1] // 2
        low = np.clip(columns + run[0], 0, width)
        high = np.clip(columns + run[-1] + 1, 0, width)
        hit = sums[:, high] > sums[:, low]
        shift = row - kernel.shape[0] // 2
        if abs(shift) >= height:
            continue
        if shift >= 0:
            result[: height - shift] |= hit[shift:]
        else:
            result[-shift:] |= hit[:shift]
    return result
