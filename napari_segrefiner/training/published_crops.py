"""Crops of the published training: objects (LR), objects and patches (HR)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_segrefiner.geometry import Box

if TYPE_CHECKING:
    from napari_segrefiner.training.simulate import Mask

#: Slack around an object, split at random between both sides, px (method 10).
SLACK = 40
#: Draws of a patch; the published code would go on for ever.
PATCH_TRIES = 200


class Crop(NamedTuple):
    """A training sample: (S, S, 3) uint8 image, (S, S) bool masks."""

    image: npt.NDArray[np.uint8]
    fine: Mask
    coarse: Mask


def draw_object_window(
    rng: np.random.Generator, box: Box, shape: tuple[int, int]
) -> Box:
    """The window of LR: the object with SLACK px more, at random around it."""
    y0, y1 = _draw_span(rng, box.y0, box.y1, shape[0])
    x0, x1 = _draw_span(rng, box.x0, box.x1, shape[1])
    return Box(y0, x0, y1, x1)


def _draw_span(
    rng: np.random.Generator, start: int, stop: int, size: int
) -> tuple[int, int]:
    side = min(stop - start + SLACK, size)
    low = int(max(side / 2, stop - side / 2))
    high = int(min(start + side / 2, size - side / 2))
    centre = int(rng.integers(low, max(high, low) + 1))
    return max(int(centre - side / 2), 0), min(int(centre + side / 2), size)


def draw_object_crop(rng: np.random.Generator, box: Box, shape: tuple[int, int]) -> Box:
    """The crop of HR: from anywhere before the object to anywhere behind it."""
    y0, y1 = _draw_reach(rng, box.y0, box.y1, shape[0])
    x0, x1 = _draw_reach(rng, box.x0, box.x1, shape[1])
    return Box(y0, x0, y1, x1)


def _draw_reach(
    rng: np.random.Generator, start: int, stop: int, size: int
) -> tuple[int, int]:
    first = int(rng.integers(start)) if start > 0 else 0
    last = int(rng.integers(stop, size)) if stop < size else size
    return first, last


def draw_patch(rng: np.random.Generator, fine: Mask, side: int) -> Box | None:
    """The patch of HR: a square that shows inside and outside; None if none is found.

    Of `side` px at full resolution; where the image is smaller, of half its own side.
    """
    height, width = fine.shape
    if height < side or width < side:
        side = min(height, width) // 2
    if side < 1:
        return None
    for _ in range(PATCH_TRIES):
        y = int(rng.integers(height - side + 1))
        x = int(rng.integers(width - side + 1))
        inside = fine[y : y + side, x : x + side]
        if inside.any() and not inside.all():
            return Box(y, x, y + side, x + side)
    return None


def resize_crop(
    image: npt.NDArray[np.uint8], fine: Mask, coarse: Mask, box: Box, side: int
) -> Crop:
    """Cut a box and resize it to a square, without keeping the aspect (method 10)."""
    return Crop(
        resize_image(image[box.slices], side),
        resize_mask(fine[box.slices], side),
        resize_mask(coarse[box.slices], side),
    )


def resize_image(image: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Bilinear, without anti-aliasing, rounded to 8 bits; (H, W, 3) to (S, S, 3)."""
    y0, y1, along_y = _neighbours(image.shape[0], side)
    x0, x1, along_x = _neighbours(image.shape[1], side)
    across = along_y[:, None, None]
    rows = image[y0] * (1 - across) + image[y1] * across
    across = along_x[None, :, None]
    values = rows[:, x0] * (1 - across) + rows[:, x1] * across
    result: npt.NDArray[np.uint8] = (values + np.float32(0.5)).astype(np.uint8)
    return result


def _neighbours(
    size: int, side: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    at = np.clip((np.arange(side) + 0.5) * size / side - 0.5, 0, size - 1)
    low = at.astype(np.int64)
    return low, np.minimum(low + 1, size - 1), (at - low).astype(np.float32)


def resize_mask(mask: Mask, side: int) -> Mask:
    """Nearest neighbours: place i shows row floor(i * height / side)."""
    rows = np.arange(side) * mask.shape[0] // side
    columns = np.arange(side) * mask.shape[1] // side
    return mask[np.ix_(rows, columns)]
