"""Results of a detector as COCO JSON: read, refined instance by instance, written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError, naming
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.coco import decode
from napari_segrefiner.io.images import read_image
from napari_segrefiner.io.run_lengths import encode

if TYPE_CHECKING:
    from napari_segrefiner.models.checkpoint import Model
    from napari_segrefiner.options import RefineOptions

Mask = npt.NDArray[np.bool_]
Detection = dict[str, Any]

KEYS = ("image_id", "category_id", "segmentation", "score")


@dataclass(frozen=True)
class RefinedImage:
    """Detections of an image after refinement, in the given order.

    ``n_kept`` of them would have vanished and have their coarse masks.
    """

    image_id: int
    detections: list[Detection]
    n_kept: int


def read_detections(path: Path) -> list[Detection]:
    """Read a results file.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
        is_usable = isinstance(found, list) and all(
            key in one for one in found for key in KEYS
        )
    except (OSError, ValueError, TypeError) as error:
        msg = f"{path} cannot be read ({error}); a COCO results file is expected."
        raise InputError(msg) from error
    if not is_usable or not found:
        msg = (
            f"{path} is no COCO results file; a list of detections with "
            f"{', '.join(KEYS)} is expected."
        )
        raise InputError(msg)
    if any(not isinstance(one["segmentation"], dict) for one in found):
        msg = (
            f"{path} holds polygons; a results file with masks as run lengths "
            "({size, counts}) is expected."
        )
        raise InputError(msg)
    return list(found)


def refine_detections(
    detections: Sequence[Detection],
    images: dict[int, Path],
    model: Model,
    options: RefineOptions,
) -> Iterator[RefinedImage]:
    """Refine all detections; each alone, though they may overlap.

    Parameters
    ----------
    detections : sequence of dict
    images : dict of image id to Path
        Images that are not there are left out.
    model : Model
    options : RefineOptions

    Raises
    ------
    InputError
        With the file, if an image cannot be read, or it does not fit its detections.
    """
    by_image: dict[int, list[Detection]] = {}
    for one in detections:
        by_image.setdefault(one["image_id"], []).append(one)
    for image_id, own in by_image.items():
        if image_id in images:
            image = read_image(images[image_id])
            with naming(images[image_id]):
                refined = _refine_image(image_id, image, own, model, options)
            yield refined


def _refine_image(
    image_id: int,
    image: npt.NDArray[Any],
    own: Sequence[Detection],
    model: Model,
    options: RefineOptions,
) -> RefinedImage:
    from napari_segrefiner.core.masks import refine_masks  # brings torch

    height, width = image.shape[:2]
    masks = np.stack([decode(one["segmentation"], height, width) for one in own])
    refined = refine_masks(image, masks, model=model, options=options).masks
    n_kept = 0
    after = []
    for one, before, mask in zip(own, masks, refined, strict=True):
        is_lost = not mask.any() and bool(before.any())
        n_kept += is_lost
        kept = before if is_lost else mask
        after.append({**one, "segmentation": encode(kept), "bbox": _box(kept)})
    return RefinedImage(image_id, after, n_kept)


def _box(mask: Mask) -> list[float]:
    """COCO's box of a mask: x, y, width, height."""
    box = Box.around(mask)
    return [float(box.x0), float(box.y0), float(box.width), float(box.height)]
