"""Mask AP and boundary AP of COCO and LVIS, through faster-coco-eval."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from napari_segrefiner.errors import MissingExtraError

Kind = Literal["segm", "boundary"]
KINDS: tuple[Kind, ...] = ("segm", "boundary")
#: What is reported, in the library's order.
NAMES = ("AP", "AP50", "AP75", "APS", "APM", "APL")
#: Lists of an annotation file that AP is made from; COCO's have more entries.
LISTS = ("images", "annotations", "categories")
#: Detections of an image that count (LVIS; COCO's is the library's own, 100).
LVIS_DETECTIONS = 300


def average_precision(
    annotations: dict[str, Any],
    detections: Sequence[dict[str, Any]],
    kind: Kind,
    *,
    is_lvis: bool,
) -> dict[str, float]:
    """AP in [0, 1] over all thresholds, at two of them, and by size.

    Parameters
    ----------
    annotations : dict
        A COCO annotation file's content.
    detections : sequence of dict
        image_id, category_id, segmentation (run-length code), score.
    kind : {"segm", "boundary"}
        boundary: the overlap is the smaller one of mask IoU and boundary IoU, at 2 % of
        the image's diagonal.
    is_lvis : bool
        By LVIS' rules: 300 detections, categories that are not annotated in an image do
        not count there.

    Returns
    -------
    dict of str to float
        NaN where there is no truth.

    Raises
    ------
    MissingExtraError
        If the library is not installed.
    """
    library = _library()
    # It copies nothing: what it is given it writes ids and areas into.
    held = {key: [dict(one) for one in annotations[key]] for key in LISTS}
    known = {one["id"] for one in held["images"]}
    own = [dict(one) for one in detections if one["image_id"] in known]
    if not own or not held["annotations"]:
        return dict.fromkeys(NAMES, 0.0 if held["annotations"] else float("nan"))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = library.COCO(held)
        found = truth.loadRes(own)
        judge = library.COCOeval_faster(truth, found, iouType=kind, lvis_style=is_lvis)
        if is_lvis:
            judge.params.maxDets = [LVIS_DETECTIONS]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    values = np.asarray(judge.stats[:6], float)
    return {
        name: float(value) if value >= 0 else float("nan")
        for name, value in zip(NAMES, values, strict=True)
    }


def check_installed() -> None:
    """Raise MissingExtraError if the library is not installed."""
    _library()


def _library() -> Any:
    try:
        return importlib.import_module("faster_coco_eval")
    except ImportError as error:
        msg = (
            "AP needs faster-coco-eval, which is not installed (it is the extra "
            "eval); run: pip install faster-coco-eval"
        )
        raise MissingExtraError(msg) from error
