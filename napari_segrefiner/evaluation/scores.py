"""Scores of label images against the truth: per object, per image, and in total."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_segrefiner.evaluation.balance import (
    CHANGES,
    ZONES,
    ErrorCounts,
    count_errors,
)
from napari_segrefiner.metrics import (
    BAND,
    BETTER,
    WORSE,
    Matching,
    aji,
    aji_plus,
    boundary_distance,
    label_depth,
    match_at,
    mba,
    number,
    overlap,
    overlaps,
    panoptic_quality,
    seg,
)

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.pairing import Pairs

#: IoU from which objects count as found, by the name of the metric.
THRESHOLDS = {"ap_50": 0.5, "ap_75": 0.75, "ap_90": 0.9}
#: What the coarse labels are called among the layers.
COARSE = "coarse"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WholeScores:
    """Scores of a label image as a segmentation, objects paired by each measure anew.

    Attributes
    ----------
    aji, aji_plus, pq : float
        NaN where neither truth nor labels have objects.
    seg : (n,) float64 array
        Per true object.
    matchings : mapping of str to Matching
        By the names of THRESHOLDS.
    """

    aji: float
    aji_plus: float
    pq: float
    seg: Floats
    matchings: Mapping[str, Matching]


@dataclass(frozen=True)
class LayerScores:
    """Scores of one label image.

    Attributes
    ----------
    iou, boundary_iou, boundary_iou_r02 : (n,) float64 array
        Per true object; the band of the boundary IoU is 2 px wide, or 2 % of the
        diagonal of the true object's box. 0 where there is no partner.
    area : (n,) int64 array
        Pixels of each object; 0 if it has vanished or never was.
    foreground : tuple of int
        Pixels in both foregrounds, and in at least one.
    mba : float
        Mean boundary accuracy of the foreground; NaN if the truth has no boundary.
    errors : ErrorCounts, optional
        Pixels that are wrong in the coarse labels, and what became of them.
    whole : WholeScores, optional
    """

    iou: Floats
    boundary_iou: Floats
    boundary_iou_r02: Floats
    area: npt.NDArray[np.int64]
    foreground: tuple[int, int]
    mba: float
    errors: ErrorCounts | None = None
    whole: WholeScores | None = None


@dataclass(frozen=True)
class ImageScores:
    """One image: its pairs, and the scores of every layer, "coarse" first."""

    name: str
    pairs: Pairs
    layers: Mapping[str, LayerScores]


@dataclass(frozen=True)
class Total:
    """A mean with the number of objects or images that it was taken over."""

    value: float
    n: int


def score_image(
    name: str,
    truth: npt.NDArray[Any],
    layers: Mapping[str, npt.NDArray[Any]],
    pairs: Pairs,
    *,
    is_whole: bool = False,
) -> ImageScores:
    """Score label images of one picture.

    Parameters
    ----------
    name : str
        Of the image, for reports.
    truth : (Y, X) integer or bool array
        The true labels.
    layers : mapping of str to (Y, X) array
        The coarse labels as "coarse", and refined ones with the same ids.
    pairs : Pairs
        Of the truth and the coarse labels.
    is_whole : bool
        Whether to score each layer as a segmentation of its own, too.
    """
    fine = _positions(truth, pairs.truth_ids)
    own = {key: _positions(a, pairs.coarse_ids) for key, a in layers.items()}
    paired = pairs.coarse_ids != 0
    scored = {}
    for key, labels in layers.items():
        refined = None if key == COARSE else own[key]
        scored[key] = dataclasses.replace(
            score_layer(truth, labels, pairs),
            errors=count_errors(fine, own[COARSE], refined, paired),
            whole=score_whole(truth, labels) if is_whole else None,
        )
    return ImageScores(name, pairs, scored)


def score_layer(
    truth: npt.NDArray[Any], labels: npt.NDArray[Any], pairs: Pairs
) -> LayerScores:
    """Score one label image: all its objects at once, whatever their number."""
    n = len(pairs.truth_ids)
    fine = _positions(truth, pairs.truth_ids)
    own = _positions(labels, pairs.coarse_ids)
    fine_depth, own_depth = label_depth(truth), label_depth(labels)

    def shares(widths: npt.NDArray[np.int64] | None) -> Floats:
        """IoU of all pairs: of bands as wide as said, or of the whole objects."""
        a, b = fine, own
        if widths is not None:
            a = np.where(fine_depth <= widths[fine], fine, -1)
            b = np.where(own_depth <= widths[own], own, -1)
        both = _count(a[a == b], n)
        either = _count(a, n) + _count(b, n) - both
        values: Floats = np.divide(both, either, out=np.zeros(n), where=either > 0)
        return values

    return LayerScores(
        iou=shares(None),
        boundary_iou=shares(np.full(n, BAND)),
        boundary_iou_r02=shares(_diagonal_bands(fine, n)),
        area=_count(own, n),
        foreground=overlap(truth != 0, labels != 0),
        mba=mba(truth != 0, labels != 0),
    )


def score_whole(truth: npt.NDArray[Any], labels: npt.NDArray[Any]) -> WholeScores:
    """Score one label image as a segmentation: all that is in it counts."""
    found = overlaps(truth, labels)
    return WholeScores(
        aji(truth, labels),
        aji_plus(truth, labels),
        panoptic_quality(truth, labels).pq,
        seg(truth, labels),
        {name: match_at(found, threshold=t) for name, t in THRESHOLDS.items()},
    )


def _positions(
    labels: npt.NDArray[Any], ids: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For every pixel the position of its label in `ids`; -1 where it is not there."""
    present, dense = number(labels)
    # The last entry is where -1, the background, finds its answer.
    table = np.full(len(present) + 1, -1)
    held = np.isin(ids, present) & (ids != 0)
    table[np.searchsorted(present, ids[held])] = np.flatnonzero(held)
    return table[dense]


def _count(positions: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    """Pixels at each of `n` positions."""
    return np.bincount(positions[positions >= 0], minlength=n)


def _diagonal_bands(fine: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    """2 % of the diagonal of every true object's box, in pixels."""
    boxes = ndimage.find_objects(fine + 1, n)
    sides = ((r.stop - r.start, c.stop - c.start) for r, c in boxes)
    return np.array([boundary_distance(side) for side in sides], dtype=np.int64)


class Sums(NamedTuple):
    """One metric of one image: value = `total` / `weight`, standing on `n` things."""

    total: float
    weight: float
    n: int


def image_sums(image: ImageScores) -> dict[str, dict[str, Sums]]:
    """What an image adds to every metric of every layer; see :func:`totals`."""
    return {
        name: _layer_sums(layer)
        | ({} if name == COARSE else _change_sums(image.layers[COARSE], layer))
        | _error_sums(layer)
        | ({} if layer.whole is None else _whole_sums(layer.whole))
        for name, layer in image.layers.items()
    }


def totals(images: Sequence[ImageScores]) -> dict[str, dict[str, Total]]:
    """Totals of every layer over all objects and images pooled.

    Returns
    -------
    dict of layer name to dict of metric name to Total
        ``iou``, ``boundary_iou``, ``boundary_iou_r02``: means over objects.
        ``iou_agg``: summed intersections over summed unions of the foregrounds.
        ``mba``: mean over images. For all but the coarse layer, as shares of objects:
        ``improved_02``, ``worse_02``, ``worse_05`` (IoU better or worse than the coarse
        one's by more than .02 or .05) and ``lost`` (vanished); as shares of the pixels
        that the coarse masks have wrong, near and far from their boundaries:
        ``fp_removed``, ``fn_recovered``, ``fp_added``, ``fn_added``. The coarse layer
        has the shares of its errors, ``fp_near``, ``fp_far``, ``fn_near``, ``fn_far``.
        Where layers were scored as segmentations: ``aji``, ``aji_plus`` and ``pq``,
        means over images; ``seg``, mean over true objects; ``ap_50``, ``ap_75`` and
        ``ap_90``, found objects over all of both sides, summed over images.
    """
    sums = [image_sums(image) for image in images]
    return {
        layer: {
            metric: _total([one[layer][metric] for one in sums]) for metric in metrics
        }
        for layer, metrics in (sums[0] if sums else {}).items()
    }


def _total(parts: Sequence[Sums]) -> Total:
    weight = sum(part.weight for part in parts)
    total = sum(part.total for part in parts)
    value = float(total / weight) if weight else math.nan
    return Total(value, sum(part.n for part in parts))


def _layer_sums(layer: LayerScores) -> dict[str, Sums]:
    """Metrics that need one layer alone."""
    both, either = layer.foreground
    has_boundary = math.isfinite(layer.mba)
    return {
        "iou": _sum(layer.iou),
        "boundary_iou": _sum(layer.boundary_iou),
        "boundary_iou_r02": _sum(layer.boundary_iou_r02),
        "iou_agg": Sums(both, either, 1),
        "mba": Sums(layer.mba, 1, 1) if has_boundary else Sums(0, 0, 0),
    }


def _whole_sums(whole: WholeScores) -> dict[str, Sums]:
    """Metrics of a segmentation."""
    found = {}
    for name in ("aji", "aji_plus", "pq"):
        value = getattr(whole, name)
        found[name] = Sums(value, 1, 1) if math.isfinite(value) else Sums(0, 0, 0)
    found["seg"] = _sum(whole.seg)
    for name, one in whole.matchings.items():
        found[name] = Sums(one.tp, one.tp + one.fp + one.fn, 1)
    return found


def _change_sums(before: LayerScores, after: LayerScores) -> dict[str, Sums]:
    """Objects that became better, worse, or vanished."""
    gain = after.iou - before.iou
    return {
        "improved_02": _sum(gain > BETTER),
        "worse_02": _sum(gain < -BETTER),
        "worse_05": _sum(gain < -WORSE),
        "lost": _sum((after.area == 0) & (before.area > 0)),
    }


def _error_sums(layer: LayerScores) -> dict[str, Sums]:
    """Shares of the coarse labels' wrong pixels."""
    if layer.errors is None:
        return {}
    weight, has_errors = layer.errors.n_coarse, int(layer.errors.n_coarse > 0)
    found = {}
    if not layer.errors.changes:
        for (kind, zone), count in layer.errors.coarse.items():
            found[f"{kind}_{zone}"] = Sums(count, weight, has_errors)
    for change in CHANGES if layer.errors.changes else ():
        counts = [layer.errors.changes[change, zone] for zone in ZONES]
        found[change] = Sums(sum(counts), weight, has_errors)
        for zone, count in zip(ZONES, counts, strict=True):
            found[f"{change}_{zone}"] = Sums(count, weight, has_errors)
    return found


def _sum(values: npt.NDArray[Any]) -> Sums:
    return Sums(float(values.sum()), len(values), len(values))


def _mean(values: npt.NDArray[Any]) -> Total:
    """The mean of what is a number, and how many these were."""
    valid = values[np.isfinite(values)]
    return Total(float(valid.mean()) if len(valid) else math.nan, len(valid))


def mean_of(
    groups: Sequence[Mapping[str, Mapping[str, Total]]],
) -> dict[str, dict[str, Total]]:
    """Means over sets, each set counting the same; ``n`` is the number of sets."""
    if not groups:
        return {}
    return {
        layer: {
            metric: _mean(np.array([group[layer][metric].value for group in groups]))
            for metric in metrics
        }
        for layer, metrics in groups[0].items()
    }
