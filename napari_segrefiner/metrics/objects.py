"""How well all objects of a label image agree with the true ones.

Two images without objects are undefined (NaN); if one of them has none, the value is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_segrefiner.metrics.overlaps import Labels, Overlaps, assign, overlaps


def aji(truth: Labels, labels: Labels) -> float:
    """Aggregated Jaccard index; NaN if both images are empty, 0 if one is.

    Every true object takes the object with which its IoU is largest, which several may
    take. Objects that nobody took count against the result.

    Notes
    -----
    Kumar et al. 2017, as computed by hover_net.
    """
    found = overlaps(truth, labels)
    best: dict[int, int] = {}
    worth = found.iou
    # Pairs are sorted by row, then column: the first of equals is the lowest id.
    for k in range(len(worth)):
        row = int(found.rows[k])
        if row not in best or worth[k] > worth[best[row]]:
            best[row] = k
    return _aggregated(found, np.array(sorted(best.values()), dtype=np.int64))


def aji_plus(truth: Labels, labels: Labels) -> float:
    """Aggregated Jaccard index over the best one-to-one pairs; NaN if nothing is there.

    Notes
    -----
    As computed by hover_net; all areas without a partner count against the result.
    """
    found = overlaps(truth, labels)
    return _aggregated(found, assign(found, found.iou))


def _aggregated(found: Overlaps, pairs: npt.NDArray[np.int64]) -> float:
    """Summed intersections over summed unions and the areas that found no partner."""
    free_truth = np.delete(found.truth_areas, found.rows[pairs]).sum()
    free = np.delete(found.areas, np.unique(found.columns[pairs])).sum()
    total = found.either[pairs].sum() + free_truth + free
    return float(found.both[pairs].sum() / total) if total else math.nan


@dataclass(frozen=True)
class Panoptic:
    """Panoptic quality `pq` = detection quality `dq` x segmentation quality `sq`."""

    pq: float
    dq: float
    sq: float


def panoptic_quality(truth: Labels, labels: Labels, threshold: float = 0.5) -> Panoptic:
    """Panoptic quality of two label images; NaN if both are empty, 0 if one is.

    Parameters
    ----------
    truth, labels : integer array
        Two label images of one shape, 0 = background.
    threshold : float
        Pairs match whose IoU is above it, not at it.

    Notes
    -----
    Kirillov et al. 2019 as computed by hover_net, its guard of 1e-6 included. Above .5
    pairs are unique; for lower thresholds the best one-to-one pairs are taken.
    """
    found = overlaps(truth, labels)
    n, m = len(found.truth_ids), len(found.ids)
    if not n and not m:
        return Panoptic(math.nan, math.nan, math.nan)
    worth = found.iou
    if threshold < 0.5:
        # Higher ones may not: two poor pairs can be worth more than a match.
        worth = worth[assign(found, worth)]
    matched = worth[worth > threshold]
    dq = len(matched) / ((n + m) / 2)
    sq = float(matched.sum() / (len(matched) + 1e-6))
    return Panoptic(dq * sq, dq, sq)


@dataclass(frozen=True)
class Matching:
    """Objects matched at one IoU threshold; sums of several images add up.

    Attributes
    ----------
    tp, fp, fn : int
        Matched objects, results without truth, truth without result.
    matched_iou : float
        Summed IoU of the matched pairs.
    """

    tp: int
    fp: int
    fn: int
    matched_iou: float

    def __add__(self, other: Matching) -> Matching:
        return Matching(
            self.tp + other.tp,
            self.fp + other.fp,
            self.fn + other.fn,
            self.matched_iou + other.matched_iou,
        )

    @property
    def ap(self) -> float:
        """AP@t = tp / (tp + fp + fn); NaN if nothing is there."""
        return _share(self.tp, self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float:
        """Share of the results that match; NaN without results."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of the true objects that match; NaN without true objects."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN if nothing is there."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def mean_matched_iou(self) -> float:
        """Mean IoU of the matched pairs; NaN without any."""
        return _share(self.matched_iou, self.tp)


def _share(part: float, whole: float) -> float:
    """`part` / `whole`, NaN for nothing of nothing."""
    return part / whole if whole else math.nan


def match_at(
    truth: Labels | Overlaps, labels: Labels | None = None, threshold: float = 0.5
) -> Matching:
    """Match the objects of two label images one to one at an IoU threshold.

    Parameters
    ----------
    truth, labels : integer array
        Two label images of one shape; or their :class:`Overlaps` alone, when several
        thresholds are asked for.
    threshold : float
        Pairs match from this IoU on.

    Notes
    -----
    StarDist's matching: as many pairs as possible, then the largest sum of IoU. This is
    not the AP of COCO, which has scores and a recall curve.
    """
    if isinstance(truth, Overlaps):
        found = truth
    elif labels is not None:
        found = overlaps(truth, labels)
    else:
        msg = "match_at needs two label images, or their overlaps."
        raise TypeError(msg)
    n, m = len(found.truth_ids), len(found.ids)
    fits = found.iou >= threshold
    weight = fits + found.iou / max(2 * min(n, m), 1)
    pairs = assign(found, weight)
    pairs = pairs[fits[pairs]]
    tp = len(pairs)
    return Matching(tp, m - tp, n - tp, float(found.iou[pairs].sum()))


def seg(truth: Labels, labels: Labels) -> npt.NDArray[np.float64]:
    """IoU of every true object with the one object that covers more than half of it.

    Returns
    -------
    (n,) float64 array
        By rising id of the truth, 0 where no object covers more than half. The measure
        SEG of the Cell Tracking Challenge is its mean over all objects of all frames.
    """
    found = overlaps(truth, labels)
    values = np.zeros(len(found.truth_ids))
    covers = 2 * found.both > found.truth_areas[found.rows]
    values[found.rows[covers]] = found.iou[covers]
    return values
