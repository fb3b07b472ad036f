"""COCO and LVIS: annotated images and a detector's results, scored as in the paper."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_segrefiner.errors import InputError
from napari_segrefiner.evaluation.average_precision import KINDS, average_precision
from napari_segrefiner.evaluation.detections import Detection, read_detections
from napari_segrefiner.evaluation.lvis_on_coco import is_lvis, on_coco

Annotations = dict[str, Any]


@dataclass(frozen=True)
class DetectionSet:
    """Detections on annotated images.

    Attributes
    ----------
    annotations : dict
        A COCO annotation file's content, of the images that are there.
    images : dict of image id to Path
    detections : list of dict
        Those on these images, of annotated categories.
    is_lvis : bool
        Whether the annotations are LVIS', so that its rules hold.
    problems : tuple of str
        A sentence for whatever is left out.
    """

    annotations: Annotations
    images: dict[int, Path]
    detections: list[Detection]
    is_lvis: bool
    problems: tuple[str, ...] = ()

    def score(self, detections: Sequence[Detection]) -> dict[str, float]:
        """Mask AP, and boundary AP with a b before its name, in per cent.

        Raises
        ------
        MissingExtraError
            If the library for AP is not installed.
        """
        masks, edges = (
            average_precision(self.annotations, detections, kind, is_lvis=self.is_lvis)
            for kind in KINDS
        )
        both = {**masks, **{f"b{name}": value for name, value in edges.items()}}
        return {name: 100 * value for name, value in both.items()}


def read_detection_set(data: Path, folder: Path, coarse: Path) -> DetectionSet:
    """Put annotations, images and detections together.

    Parameters
    ----------
    data : Path
        Annotations of COCO, or of LVIS: those are cut to COCO's validation images and
        categories.
    folder : Path
        Of the images.
    coarse : Path
        A detector's results.

    Raises
    ------
    InputError
        If a file cannot be read, or no detection is left.
    """
    annotations = _read_annotations(data)
    by_lvis = is_lvis(annotations)
    if by_lvis:
        annotations = on_coco(annotations)
    images, problems = _find_images(folder, annotations)
    given = read_detections(coarse)
    strange = {one["image_id"] for one in given} - images.keys()
    if strange:
        problems.append(f"Detections of {len(strange)} other images are left out.")
    categories = {one["id"] for one in annotations["categories"]}
    here = [one for one in given if one["image_id"] in images]
    detections = [one for one in here if one["category_id"] in categories]
    if len(detections) < len(here):
        problems.append(
            f"Detections of categories that are not in {data} are left out: "
            f"{len(here) - len(detections)}."
        )
    if not detections:
        msg = (
            f"No detection of {coarse} is on an annotated image that is in {folder}; "
            "give results, annotations and images of one set."
        )
        raise InputError(msg)
    held = {
        **annotations,
        "images": [one for one in annotations["images"] if one["id"] in images],
        "annotations": [
            one for one in annotations["annotations"] if one["image_id"] in images
        ],
    }
    return DetectionSet(held, images, detections, by_lvis, tuple(problems))


def _read_annotations(path: Path) -> Annotations:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        if all(content[key] for key in ("images", "annotations", "categories")):
            return dict(content)
    except (OSError, ValueError, TypeError, KeyError) as error:
        msg = f"{path} holds no COCO or LVIS annotations ({error}); name such a file."
        raise InputError(msg) from error
    msg = f"{path} holds no images, annotations or categories; name a complete file."
    raise InputError(msg)


def _find_images(
    folder: Path, annotations: Annotations
) -> tuple[dict[int, Path], list[str]]:
    """Files of the annotated images, and what is left out."""
    found, problems = {}, []
    for one in annotations["images"]:
        name = one.get("file_name") or one.get("coco_url") or f"{one['id']:012d}.jpg"
        path = folder / Path(name).name
        if path.is_file():
            found[one["id"]] = path
        else:
            problems.append(f"{path} is missing; the image is left out.")
    return found, problems
