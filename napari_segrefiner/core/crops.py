"""Planning crops: which part of the image shows an object, on which grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from napari_segrefiner.errors import InputError, ModelError, OptionError
from napari_segrefiner.geometry import Box
from napari_segrefiner.models.card import Grids

if TYPE_CHECKING:
    from napari_segrefiner.models.card import ModelCard


#: How crops meet their grids: by area means and linear interpolation; as the published
#: code resizes objects; or by the nearest pixel, as it resizes whole images.
Resampling = Literal["default", "published", "nearest"]


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle of the image and the network's grid that it is shown on.

    Attributes
    ----------
    box : Box
        In the image; with preset ``default`` it may reach beyond.
    inside : Box
        Its part inside the image.
    grid : int
        Side of the square grid.
    resampling : {"default", "published", "nearest"}
        The latter two have the defects of the published code (method 5).
    """

    box: Box
    inside: Box
    grid: int
    resampling: Resampling = "default"

    @property
    def is_published(self) -> bool:
        """Whether it is resampled as the published code does."""
        return self.resampling != "default"

    @property
    def is_reduced(self) -> bool:
        """Whether it shows less detail than the image, and none of it is published."""
        return not self.is_published and self.grid < self.box.height

    @property
    def is_native(self) -> bool:
        """Whether the grid is exactly the pixels of `inside`."""
        return self.inside == self.box and self.box.shape == (self.grid, self.grid)


@dataclass(frozen=True)
class CropRule:
    """How objects get their crops, for one run.

    Attributes
    ----------
    padding : float
        Margin on each side as a share of the object's side.
    min_padding : int
        Pixels added to it.
    grid : int or None
        Side of every grid; None: by the object's size, as `grids` says.
    grids : Grids
        The model's own.
    is_published : bool
        Boxes per axis, clipped to the image and squeezed onto the grid (method 5),
        instead of squares that may reach beyond it.
    is_whole : bool
        With the published rule: the crop is the image itself (method 6).
    """

    padding: float
    min_padding: int
    grid: int | None = None
    grids: Grids = field(default_factory=Grids)
    is_published: bool = False
    is_whole: bool = False

    def plan(self, box: Box, shape: tuple[int, int]) -> Crop:
        """The crop of an object with the tight box `box` in an image of `shape`.

        Examples
        --------
        >>> rule = CropRule(padding=0.35, min_padding=2)
        >>> rule.plan(Box(100, 100, 140, 120), (500, 500))  # 40 px: a square of 72
        Crop(box=Box(y0=80, x0=70, y1=160, x1=150), inside=Box(y0=80, x0=70, y1=160, \
x1=150), grid=80, resampling='default')
        """
        if self.is_published:
            return self._plan_published(box, shape)
        side = math.ceil(max(box.shape) * (1 + 2 * self.padding)) + 2 * self.min_padding
        grid = self.grid or self._natural_grid(side)
        if self.grid is None and self.grids.base < side <= self.grids.largest:
            side = grid  # at its own resolution
        # A small object is enlarged only so far; its crop shows more of what is around.
        side = max(side, math.ceil(grid / self.grids.enlarge))
        square = box.square(side)
        return Crop(square, square.clip(shape), grid)

    def _plan_published(self, box: Box, shape: tuple[int, int]) -> Crop:
        grid = self.grid or self.grids.base
        if self.is_whole:
            if min(shape) < grid:
                message = (
                    f"The image is {shape[0]} x {shape[1]} px; for mode whole of "
                    f"preset published sides of at least {grid} px are expected. "
                    "Choose preset default, or mode objects."
                )
                raise InputError(message)
            image = Box(0, 0, *shape)
            return Crop(image, image, grid, "nearest")
        dy = math.floor(self.padding * box.height) + self.min_padding
        dx = math.floor(self.padding * box.width) + self.min_padding
        padded = Box(box.y0 - dy, box.x0 - dx, box.y1 + dy, box.x1 + dx).clip(shape)
        return Crop(padded, padded, grid, "published")

    def _natural_grid(self, side: int) -> int:
        grids = self.grids
        if side <= grids.base:
            return grids.base
        return min(math.ceil(side / grids.multiple) * grids.multiple, grids.largest)

    def check(self, card: ModelCard) -> None:
        """Raise OptionError or ModelError for grids that the network cannot work on."""
        multiple, grids = card.network.multiple, self.grids
        if self.grid is not None and self.grid % multiple:
            message = (
                f"grid is {self.grid}; a multiple of {multiple} px is expected for the "
                f"model {card.name}."
            )
            raise OptionError(message)
        if any(side % multiple for side in (grids.base, grids.largest, grids.multiple)):
            message = (
                f"The card of the model {card.name} names the grids {grids.base}, "
                f"{grids.largest} and {grids.multiple} px; multiples of {multiple} px "
                "are expected for its network."
            )
            raise ModelError(message)
