"""Objects that a report shows: those that gained most, least, and in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError
from napari_segrefiner.evaluation.scores import COARSE, ImageScores
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.picture import open_picture

#: Objects of each group.
EACH = 6
#: What is shown around an object, as a share of its side, and at least in pixels.
MARGIN, LEAST_MARGIN = 0.25, 6


@dataclass(frozen=True)
class Picked:
    """An object to show; ``before`` and ``after`` are its IoU."""

    image: int
    truth_id: int
    coarse_id: int
    before: float
    after: float


@dataclass(frozen=True)
class Example:
    """An object as it is drawn: everything inside of one box.

    ``image`` is (h, w) or (h, w, 3) uint8 or None; the masks are (h, w) bool.
    """

    name: str
    picked: Picked
    image: npt.NDArray[np.uint8] | None
    truth: npt.NDArray[np.bool_]
    coarse: npt.NDArray[np.bool_]
    refined: npt.NDArray[np.bool_]


def pick(images: Sequence[ImageScores], layer: str) -> dict[str, list[Picked]]:
    """Choose objects by what their IoU gained in `layer`, each at most once.

    Without refined labels (`layer` is "coarse") the IoU itself decides.
    """
    found = [
        Picked(
            k,
            int(image.pairs.truth_ids[j]),
            int(image.pairs.coarse_ids[j]),
            float(image.layers[COARSE].iou[j]),
            float(image.layers[layer].iou[j]),
        )
        for k, image in enumerate(images)
        for j in range(len(image.pairs.truth_ids))
        if image.pairs.coarse_ids[j]
    ]
    is_coarse = layer == COARSE
    found.sort(key=lambda one: -(one.after if is_coarse else one.after - one.before))
    each = min(EACH, -(-len(found) // 3))
    best, worst = found[:each], found[each:][::-1][:each]
    rest = found[each : len(found) - len(worst)]
    middle = max(0, (len(rest) - each) // 2)
    return {"best": best, "median": rest[middle : middle + each], "worst": worst}


def cut_out(
    name: str,
    picked: Picked,
    image: npt.NDArray[Any] | None,
    truth: npt.NDArray[Any],
    coarse: npt.NDArray[Any],
    refined: npt.NDArray[Any],
) -> Example:
    """Cut an object out of the arrays of its plane, (Y, X) each."""
    masks = (
        truth == picked.truth_id,
        coarse == picked.coarse_id,
        refined == picked.coarse_id,
    )
    box = Box.around(np.any(masks, axis=0))
    side = max(box.shape) + 2 * max(LEAST_MARGIN, round(MARGIN * max(box.shape)))
    height, width = truth.shape
    view = box.square(side).shift_inside((height, width)).clip((height, width))
    shown = None if image is None else _as_uint8(image, (height, width), view)
    parts = [mask[view.slices] for mask in masks]
    return Example(name, picked, shown, *parts)


def _as_uint8(
    image: npt.NDArray[Any], shape: tuple[int, int], view: Box
) -> npt.NDArray[np.uint8] | None:
    """A part of an image as a screen shows it, dark parts made visible."""
    try:
        picture = open_picture(image, shape)
    except InputError:
        return None
    planes = picture.read(view)
    low, high = np.percentile(planes, (0.5, 99.5))
    planes = (planes - low) / max(high - low, 1e-6)
    values: npt.NDArray[np.uint8] = np.rint(255 * planes.clip(0, 1)).astype(np.uint8)
    return values[0] if len(values) == 1 else np.moveaxis(values, 0, -1)
