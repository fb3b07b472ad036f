"""The published global-local strategy: where its patches go (supplement; method 6).

To the letter, its defects included: the preset ``default`` has none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.crops import Crop
from napari_segrefiner.core.windows import Round
from napari_segrefiner.geometry import Box, non_maximum_suppression

if TYPE_CHECKING:
    from napari_segrefiner.core.draft import Draft

Boxes = npt.NDArray[np.int64]
Plane = npt.NDArray[np.float32]

#: Cells are uncertain below this share of the highest fine probability.
UNCERTAIN_SHARE = 0.9
#: Patches that overlap a chosen one by more than this IoU are left out.
MAX_IOU = 0.3
#: Masks of at most so many pixels are erased.
ERASED_AREA = 128


@dataclass(frozen=True)
class PublishedWindows:
    """Patches where the global steps left a low fine probability.

    Attributes
    ----------
    grid : int
        Side of a patch in pixels.
    """

    grid: int
    is_tapered = False

    def estimate(self, crop: Crop, object_box: Box) -> int:
        """About how many patches an image takes, for progress."""
        height, width = crop.inside.shape
        return 1 + height * width // self.grid**2

    def rounds(self, draft: Draft) -> Iterator[Round]:
        """Plan the one round of patches, in the order in which they were chosen.

        A draft of few coarse pixels is emptied instead.
        """
        if np.count_nonzero(draft.coarse) <= ERASED_AREA:
            draft.mask[:] = False
            draft.probability[:] = 0.0
            draft.hold_pinned()
            return
        shape = draft.crop.inside.shape
        points, scores = uncertain_cells(draft.grid_fine, shape)
        boxes = patch_boxes(points, shape, self.grid)
        chosen = boxes[non_maximum_suppression(boxes, scores, MAX_IOU)]
        found = [Box(*corners) for corners in chosen.tolist()]
        windows = tuple(
            Crop(box, box, self.grid, "published")
            for box in found
            if _has_both(draft.mask[box.slices])
        )
        yield Round(0, 1, windows)


def uncertain_cells(fine: Plane, shape: tuple[int, int]) -> tuple[Boxes, Plane]:
    """Cells with a low fine probability, row by row.

    Parameters
    ----------
    fine : (grid, grid) float32 array in [0, 1]
        Of the whole image.
    shape : (int, int)
        Of the image.

    Returns
    -------
    points : (n, 2) int64 array
        y, x of the cells' upper left corners in the image.
    scores : (n,) float32 array
        1 - f.
    """
    is_low = fine < np.float32(UNCERTAIN_SHARE * float(fine.max()))
    cells = np.stack(np.nonzero(is_low), axis=1)
    scale = np.array(shape, np.float32) / np.float32(len(fine))
    points = (cells.astype(np.float32) * scale).astype(np.int64)
    return points, 1 - fine[is_low]


def patch_boxes(points: Boxes, shape: tuple[int, int], side: int) -> Boxes:
    """Squares around points, shifted into the image.

    Parameters
    ----------
    points : (n, 2) int64 array
    shape : (int, int)
        Of the image, at least `side` each.
    side : int

    Returns
    -------
    (n, 4) int64 array
        y0, x0, y1, x1.
    """
    first = np.maximum(points - side // 2, 0)
    first = np.minimum(first, np.array(shape) - side)
    return np.concatenate([first, first + side], axis=1)


def _has_both(mask: npt.NDArray[np.bool_]) -> bool:
    return bool(mask.any()) and not bool(mask.all())
