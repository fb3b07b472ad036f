"""Training pictures in memory: a pyramid of sizes, labels and the objects' boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from napari_segrefiner.geometry import Box

if TYPE_CHECKING:
    from napari_segrefiner.io.pairs import Labels, Pair

#: Objects of fewer pixels teach nothing: their outline is all rounding.
MIN_AREA = 16
#: Reductions of the pyramid are powers of two up to this exponent.
MAX_LEVEL = 3


@dataclass(frozen=True)
class Thing:
    """An object: its label, box, pixels and the coarse masks that hold it."""

    label: int
    box: Box
    area: int
    coarse: tuple[int, ...]

    @property
    def side(self) -> int:
        """Longer side of the box, px."""
        return max(self.box.shape)


@dataclass(frozen=True)
class Picture:
    """An image at several sizes with its labels.

    Attributes
    ----------
    levels : tuple of (Y, X, 3) uint8 arrays
        Reduced by 1, 2, 4 and 8, each pixel the mean of its block.
    labels : (Y, X) unsigned integer array
    coarse : tuple of (Y, X) unsigned integer arrays
    things : tuple of Thing
    """

    levels: tuple[npt.NDArray[np.uint8], ...]
    labels: Labels
    coarse: tuple[Labels, ...]
    things: tuple[Thing, ...]


def picture_of(pair: Pair) -> Picture | None:
    """Prepare a pair for drawing windows; None if all its objects are too small."""
    boxes = ndimage.find_objects(pair.labels)
    areas = np.bincount(pair.labels.ravel(), minlength=len(boxes) + 1)
    present = [set(np.unique(mask).tolist()) for mask in pair.coarse]
    things = []
    for index, where in enumerate(boxes):
        label = index + 1
        is_true = not pair.ids or label in pair.ids
        if where is None or areas[label] < MIN_AREA or not is_true:
            continue
        rows, columns = where
        box = Box(rows.start, columns.start, rows.stop, columns.stop)
        coarse = tuple(i for i, ids in enumerate(present) if label in ids)
        things.append(Thing(label, box, int(areas[label]), coarse))
    if not things:
        return None
    full = Image.fromarray(pair.image)
    levels = [pair.image]
    for exponent in range(1, MAX_LEVEL + 1):
        if min(pair.image.shape[:2]) < 16 << exponent:
            break
        levels.append(np.asarray(full.reduce(1 << exponent)))
    return Picture(tuple(levels), pair.labels, pair.coarse, tuple(things))
