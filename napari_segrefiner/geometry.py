"""Boxes in pixel coordinates: half-open rows and columns (y0, x0, y1, x1)."""

from __future__ import annotations

from typing import NamedTuple


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

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box(
            min(self.y0, other.y0),
            min(self.x0, other.x0),
            max(self.y1, other.y1),
            max(self.x1, other.x1),
        )
