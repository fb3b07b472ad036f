"""Scores as a table to read and as JSON to work with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_segrefiner.evaluation.scores import (
    COARSE,
    ImageScores,
    Total,
    mean_of,
    totals,
)

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.folders import LeftOut
    from napari_segrefiner.evaluation.intervals import Intervals

#: Columns of the table: metric and head.
COLUMNS = {
    "iou": "IoU",
    "boundary_iou": "bIoU 2px",
    "boundary_iou_r02": "bIoU 2%",
    "iou_agg": "IoU agg",
    "mba": "mBA",
    "improved_02": ">+.02",
    "worse_02": "<-.02",
    "worse_05": "<-.05",
    "lost": "lost",
}

#: The same for layers as segmentations.
WHOLE_COLUMNS = {
    "ap_50": "AP@.50",
    "ap_75": "AP@.75",
    "ap_90": "AP@.90",
    "pq": "PQ",
    "aji": "AJI",
    "aji_plus": "AJI+",
    "seg": "SEG",
}

Totals = Mapping[str, Mapping[str, Total]]


def totals_by_set(images: Mapping[str, Sequence[ImageScores]]) -> dict[str, Totals]:
    """Totals of every set; sets without images are left out."""
    return {name: totals(scored) for name, scored in images.items() if scored}


def format_table(images: Mapping[str, Sequence[ImageScores]]) -> str:
    """A line for every layer of every set, and the means of several sets.

    Parameters
    ----------
    images : mapping of set name to sequence of ImageScores
        A lone set may have the name "".
    """
    by_set = totals_by_set(images)
    groups = [(name or "all", group) for name, group in by_set.items()]
    if len(by_set) > 1:
        groups.append(("mean of sets", mean_of(list(by_set.values()))))
    labels = [(name, layer) for name, group in groups for layer in group]
    widths = [max(4, *(len(label[k]) for label in labels)) for k in (0, 1)]
    head = " ".join(f"{text:>8}" for text in COLUMNS.values())
    lines = [f"{'set':{widths[0]}}  {'':{widths[1]}} {'n':>6} {head}"]
    for name, group in groups:
        for layer, metrics in group.items():
            cells = " ".join(_cell(metrics.get(metric)) for metric in COLUMNS)
            shown = name if layer == COARSE else ""
            n = metrics["iou"].n
            lines.append(f"{shown:{widths[0]}}  {layer:{widths[1]}} {n:6d} {cells}")
    return "\n".join(lines)


def _cell(total: Total | None) -> str:
    """A number of a table, in 8 characters."""
    if total is None or math.isnan(total.value):
        return f"{'-':>8}"
    return f"{total.value:8.4f}"


def as_json(
    images: Mapping[str, Sequence[ImageScores]], left_out: Sequence[LeftOut] = ()
) -> dict[str, Any]:
    """All scores, JSON-ready; what is undefined is null.

    Returns
    -------
    dict
        ``totals`` over all images, layer by layer; with several sets ``sets`` (totals
        of each) and ``mean_of_sets``; ``left_out``; last ``images`` with their objects.
    """
    content: dict[str, Any] = {
        "totals": totals_json(totals([i for group in images.values() for i in group]))
    }
    by_set = totals_by_set(images)
    if len(by_set) > 1:
        content["sets"] = {name: totals_json(g) for name, g in by_set.items()}
        content["mean_of_sets"] = totals_json(mean_of(list(by_set.values())))
    content["left_out"] = [{"name": one.name, "reason": one.reason} for one in left_out]
    content["images"] = [
        {"set": name, **_image_json(image)}
        for name, group in images.items()
        for image in group
    ]
    return content


def totals_json(group: Totals) -> dict[str, Any]:
    """Totals as entries of a JSON file: {layer: {metric: {"value": v, "n": n}}}."""
    return {
        layer: {
            metric: {"value": total.value, "n": total.n}
            for metric, total in metrics.items()
        }
        for layer, metrics in group.items()
    }


def intervals_json(found: Intervals) -> dict[str, Any]:
    """Intervals as entries of a JSON file: {layer: {metric: [low, high]}}."""
    return {
        layer: {metric: list(limits) for metric, limits in metrics.items()}
        for layer, metrics in found.items()
    }


def _image_json(image: ImageScores) -> dict[str, Any]:
    """An image's foreground scores, and the scores of each of its objects."""
    foreground = {
        name: {"mba": layer.mba, "iou_agg": _share(*layer.foreground)}
        for name, layer in image.layers.items()
    }
    objects = [
        {
            "truth_id": int(image.pairs.truth_ids[k]),
            "coarse_id": int(image.pairs.coarse_ids[k]),
            **{
                name: {
                    "iou": float(layer.iou[k]),
                    "boundary_iou": float(layer.boundary_iou[k]),
                    "boundary_iou_r02": float(layer.boundary_iou_r02[k]),
                    "area": int(layer.area[k]),
                }
                for name, layer in image.layers.items()
            },
        }
        for k in range(len(image.pairs.truth_ids))
    ]
    return {"name": image.name, "foreground": foreground, "objects": objects}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
