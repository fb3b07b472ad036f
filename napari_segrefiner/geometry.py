"""Boxes in pixel coordinates: half-open rows and columns (y0, x0, y1, x1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Box(NamedTuple):
    """A rectangle of pixels, rows y0..y1-1 and columns x0..x1-1.

    Examples
    --------
    >>> Box(2, 3, 6, 9).shape
    (4, 6)
    """

    y0: int
    x0: int
    y1: int
    x1: int

    @classmethod
    def around(cls, mask: npt.NDArray[np.bool_]) -> Box:
        """The smallest box that holds a (Y, X) mask; an empty one for an empty mask.

        Examples
        --------
        >>> Box.around(np.array([[0, 0, 0], [0, 1, 1]], dtype=bool))
        Box(y0=1, x0=1, y1=2, x1=3)
        """
        rows = np.flatnonzero(mask.any(axis=1))
        columns = np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return cls(0, 0, 0, 0)
        y0, y1, x0, x1 = (int(k) for k in (*rows[[0, -1]], *columns[[0, -1]]))
        return cls(y0, x0, y1 + 1, x1 + 1)

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in a (Y, X) array; for boxes inside of the array only."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def expand(self, pixels: int) -> Box:
        """The box with `pixels` more on every side."""
        return Box(
            self.y0 - pixels, self.x0 - pixels, self.y1 + pixels, self.x1 + pixels
        )

    def clip(self, shape: tuple[int, int]) -> Box:
        """The part of the box inside an array of `shape` (height, width)."""
        height, width = shape
        return Box(
            min(max(self.y0, 0), height),
            min(max(self.x0, 0), width),
            min(max(self.y1, 0), height),
            min(max(self.x1, 0), width),
        )

    def square(self, side: int) -> Box:
        """The square of `side` pixels around the box's centre, maybe beyond the image.

        Examples
        --------
        >>> Box(0, 0, 4, 2).square(6)
        Box(y0=-1, x0=-2, y1=5, x1=4)
        """
        y0 = (self.y0 + self.y1 - side) // 2
        x0 = (self.x0 + self.x1 - side) // 2
        return Box(y0, x0, y0 + side, x0 + side)

    def shift(self, dy: int, dx: int) -> Box:
        """The box moved by (dy, dx) pixels."""
        return Box(self.y0 + dy, self.x0 + dx, self.y1 + dy, self.x1 + dx)

    def shift_inside(self, shape: tuple[int, int]) -> Box:
        """Move the box as little as possible to lie inside an array of `shape`.

        A box larger than the array starts at its first row or column.

        Examples
        --------
        >>> Box(-2, 5, 2, 9).shift_inside((10, 8))
        Box(y0=0, x0=4, y1=4, x1=8)
        """
        height, width = shape
        y0 = max(min(self.y0, height - self.height), 0)
        x0 = max(min(self.x0, width - self.width), 0)
        return self.shift(y0 - self.y0, x0 - self.x0)

    def overlaps(self, other: Box) -> bool:
        """Whether the two share a pixel.

        Examples
        --------
        >>> Box(0, 0, 4, 4).overlaps(Box(3, 3, 9, 9)), Box(0, 0, 4, 4).overlaps(
        ...     Box(4, 0, 9, 9)
        ... )
        (True, False)
        """
        return (
            self.y0 < other.y1
            and other.y0 < self.y1
            and self.x0 < other.x1
            and other.x0 < self.x1
        )

    def intersection(self, other: Box) -> Box:
        """The pixels in both, of two boxes that overlap."""
        return Box(
            max(self.y0, other.y0),
            max(self.x0, other.x0),
            min(self.y1, other.y1),
            min(self.x1, other.x1),
        )

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box(
            min(self.y0, other.y0),
            min(self.x0, other.x0),
            max(self.y1, other.y1),
            max(self.x1, other.x1),
        )


def non_maximum_suppression(
    boxes: npt.ArrayLike, scores: npt.ArrayLike, max_iou: float
) -> npt.NDArray[np.int64]:
    """Choose boxes greedily by falling score, leaving out what overlaps a chosen one.

    Parameters
    ----------
    boxes : (n, 4) numbers
        As in :class:`Box`, y0, x0, y1, x1.
    scores : (n,) numbers
        Between equal ones the earlier box goes first.
    max_iou : float
        A box goes if its intersection over union with a chosen one is larger, compared
        in float32, as in the published code.

    Returns
    -------
    (k,) int64 array
        Places in `boxes` of the chosen ones, in order of choice.

    Notes
    -----
    A chosen box is compared with those that begin less than the longest side away, as
    no others can overlap it: many boxes on a large image cost little.

    Examples
    --------
    >>> boxes = [Box(0, 0, 4, 4), Box(0, 1, 4, 5), Box(4, 4, 8, 8)]
    >>> non_maximum_suppression(boxes, [1, 2, 1], 0.3)
    array([1, 2])
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    corners = np.asarray(boxes, np.float32).reshape(-1, 4)[order]
    if not len(corners):
        return order
    y0, x0, y1, x1 = corners.T
    longest = max(float((y1 - y0).max()), float((x1 - x0).max()), 1.0)
    rows, columns = ((start - start.min()) // longest for start in (y0, x0))
    stride = int(columns.max()) + 3  # a free cell on each side: rows never run together
    cells = rows.astype(np.int64) * stride + columns.astype(np.int64) + 1
    # From here on in the order of cells, so that neighbours are slices.
    by_cell = np.argsort(cells, kind="stable")
    places = np.empty_like(by_cell)
    places[by_cell] = np.arange(len(by_cell))
    cells, corners = cells[by_cell], np.ascontiguousarray(corners[by_cell].T)
    is_left = np.ones(len(cells), bool)
    chosen = []
    for rank, place in enumerate(places.tolist()):
        if not is_left[place]:
            continue
        chosen.append(rank)
        middle = cells[place] + stride * np.arange(-1, 2)
        starts = np.searchsorted(cells, middle - 1, "left").tolist()
        stops = np.searchsorted(cells, middle + 1, "right").tolist()
        for near in map(slice, starts, stops):
            iou = _intersections_over_unions(corners[:, place], corners[:, near])
            is_left[near] &= ~(iou > np.float32(max_iou))
    return order[chosen]


def _intersections_over_unions(
    box: npt.NDArray[np.float32], others: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Of one box, (4,), with others, (4, n); NaN where both are empty."""
    y0, x0, y1, x1 = others
    height = np.minimum(box[2], y1) - np.maximum(box[0], y0)
    width = np.minimum(box[3], x1) - np.maximum(box[1], x0)
    shared = height.clip(min=0) * width.clip(min=0)
    areas = (y1 - y0) * (x1 - x0)
    area = (box[2] - box[0]) * (box[3] - box[1])
    with np.errstate(invalid="ignore"):
        shares: npt.NDArray[np.float32] = shared / (area + areas - shared)
    return shares
