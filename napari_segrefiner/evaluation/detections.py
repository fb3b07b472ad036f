"""Results of a detector as COCO JSON: read, refined instance by instance, written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.coco import decode
from napari_segrefiner.io.images import read_image
from napari_segrefiner.io.run_lengths import encode

if TYPE_CHECKING:
    from napari_segrefiner.core.refiner import Refiner
    from napari_segrefiner.geometry import Box
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
        found = json.loads(path.read_text(encoding="utf-8"))
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
    return list(found)


def refine_detections(
    detections: Sequence[Detection],
    images: dict[int, Path],
    model: Model,
    options: RefineOptions,
) -> Iterator[RefinedImage]:
    """Refine all detections; each alone, though they may overlap.

    Detections whose crops do not meet go through the network together: they cannot
    touch each other's pixels.

    Parameters
    ----------
    detections : sequence of dict
    images : dict of image id to Path
        Images that are not there are left out.
    model, options
        ``ids`` of the options are set here: each detection's place in its image.
    """
    from napari_segrefiner.core.refiner import Refiner

    by_image: dict[int, list[Detection]] = {}
    for one in detections:
        by_image.setdefault(one["image_id"], []).append(one)
    refiner = Refiner(model, options)
    for image_id, own in by_image.items():
        if image_id in images:
            image = read_image(images[image_id])
            yield _refine_image(image_id, image, own, refiner)


def _refine_image(
    image_id: int, image: npt.NDArray[Any], own: Sequence[Detection], refiner: Refiner
) -> RefinedImage:
    height, width = image.shape[:2]
    masks = [decode(one["segmentation"], height, width) for one in own]
    refined = list(masks)
    for group in _apart(masks, refiner):
        labels = np.zeros((height, width), np.int32)
        for k in group:
            labels[masks[k]] = k + 1
        result = _last(refiner, image, labels)
        for k in group:
            refined[k] = result == k + 1
    n_kept = 0
    after = []
    for one, before, mask in zip(own, masks, refined, strict=True):
        is_lost = not mask.any() and bool(before.any())
        n_kept += is_lost
        code = encode(before if is_lost else mask)
        after.append({**one, "segmentation": code, "bbox": _box(mask)})
    return RefinedImage(image_id, after, n_kept)


def _apart(masks: Sequence[Mask], refiner: Refiner) -> list[list[int]]:
    """Groups of masks whose crops do not meet, greedily; empty masks are left out."""
    from napari_segrefiner.evaluation.baseline_runs import plan_as

    groups: list[tuple[list[int], list[Box]]] = []
    blank = np.broadcast_to(np.uint8(0), masks[0].shape)
    for k, mask in enumerate(masks):
        plan = plan_as(refiner.model.card, refiner.options, blank, mask)
        if not plan.jobs:
            continue
        box = plan.jobs[0].crop.inside
        for members, boxes in groups:
            if all(_are_apart(box, other) for other in boxes):
                members.append(k)
                boxes.append(box)
                break
        else:
            groups.append(([k], [box]))
    return [members for members, _ in groups]


def _are_apart(a: Box, b: Box) -> bool:
    return a.y1 <= b.y0 or b.y1 <= a.y0 or a.x1 <= b.x0 or b.x1 <= a.x0


def _last(
    refiner: Refiner, image: npt.NDArray[Any], labels: npt.NDArray[np.int32]
) -> npt.NDArray[Any]:
    """The labels at the end of a run."""
    from napari_segrefiner.core.events import RunDone

    for event in refiner.steps(image, labels):
        if isinstance(event, RunDone):
            return event.result.labels
    return labels


def _box(mask: Mask) -> list[float]:
    """COCO's box of a mask: x, y, width, height."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return [0.0, 0.0, 0.0, 0.0]
    return [
        float(columns[0]),
        float(rows[0]),
        float(columns[-1] - columns[0] + 1),
        float(rows[-1] - rows[0] + 1),
    ]
