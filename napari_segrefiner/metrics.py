"""How well masks and label images agree with the truth, in numpy and scipy alone.

Masks are bool (Y, X) arrays, label images integer (Y, X) arrays with 0 as background.
Values lie in [0, 1] and more is better, distances excepted. What an empty mask gives is
said in every function: an empty truth with an empty result agrees completely where
pixels are counted and is undefined (NaN) where boundaries or objects are compared, so
that no mean takes it in silently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.integer[Any]]

#: Share of the diagonal that the band of the boundary IoU is wide (Cheng et al. 2021).
BOUNDARY_RATIO = 0.02

#: Share of the diagonal that the boundary F tolerates (DAVIS).
TOLERANCE_RATIO = 0.008


# Overlap of two masks ---------------------------------------------------------------


def _kept(mask: npt.ArrayLike, void: npt.ArrayLike | None) -> Mask:
    """`mask` as bool, false where `void` is true."""
    kept = np.asarray(mask, dtype=bool)
    return kept if void is None else kept & ~np.asarray(void, dtype=bool)


def overlap(truth: npt.ArrayLike, mask: npt.ArrayLike) -> tuple[int, int]:
    """Pixels in both masks, and in at least one."""
    a, b = np.asarray(truth, dtype=bool), np.asarray(mask, dtype=bool)
    both = int(np.count_nonzero(a & b))
    return both, int(np.count_nonzero(a)) + int(np.count_nonzero(b)) - both


def iou(
    truth: npt.ArrayLike, mask: npt.ArrayLike, *, void: npt.ArrayLike | None = None
) -> float:
    """Intersection over union; 1 if both masks are empty.

    Parameters
    ----------
    truth, mask : (Y, X) bool array
        The two masks.
    void : (Y, X) bool array, optional
        Pixels that count in neither.

    Examples
    --------
    >>> iou([[1, 1, 0]], [[0, 1, 1]])
    0.3333333333333333
    """
    both, either = overlap(_kept(truth, void), _kept(mask, void))
    return both / either if either else 1.0


def dice(
    truth: npt.ArrayLike, mask: npt.ArrayLike, *, void: npt.ArrayLike | None = None
) -> float:
    """Dice coefficient, 2 IoU / (1 + IoU); 1 if both masks are empty.

    Parameters are those of :func:`iou`.
    """
    both, either = overlap(_kept(truth, void), _kept(mask, void))
    return 2 * both / (both + either) if either else 1.0


# Boundaries -------------------------------------------------------------------------


def boundary_distance(shape: tuple[int, int], ratio: float = BOUNDARY_RATIO) -> int:
    """Width in pixels of the band that is `ratio` of the diagonal of (height, width).

    Examples
    --------
    >>> boundary_distance((480, 640)), boundary_distance((256, 256))
    (16, 7)
    """
    return max(1, round(ratio * math.hypot(*shape)))


def boundary_band(mask: npt.ArrayLike, distance: int) -> Mask:
    """Pixels of `mask` within `distance` px (chessboard) of what is not in it.

    Beyond the array counts as not in the mask, so that an object cut by the frame has a
    boundary there, and a mask may be cut out tightly without changing its band.
    """
    inside = np.pad(np.asarray(mask, dtype=bool), 1)
    # One transform, whatever the distance; an erosion would take `distance` rounds.
    depth = ndimage.distance_transform_cdt(inside, metric="chessboard")
    band: Mask = (inside & (depth <= distance))[1:-1, 1:-1]
    return band


def boundary_iou(
    truth: npt.ArrayLike,
    mask: npt.ArrayLike,
    distance: int | None = None,
    *,
    void: npt.ArrayLike | None = None,
) -> float:
    """IoU of the two masks' inner boundary bands; 1 if both masks are empty.

    Parameters
    ----------
    truth, mask : (Y, X) bool array
        The two masks.
    distance : int, optional
        Width of the band in pixels; by default 2 % of the arrays' diagonal.
    void : (Y, X) bool array, optional
        Pixels taken out of both masks before their boundaries are looked for.

    Notes
    -----
    Cheng et al. 2021. An object thinner than twice the distance is all band, and its
    boundary IoU is its IoU.
    """
    a, b = _kept(truth, void), _kept(mask, void)
    if distance is None:
        distance = boundary_distance((a.shape[0], a.shape[1]))
    return iou(boundary_band(a, distance), boundary_band(b, distance))


def mba_radii(shape: tuple[int, int]) -> tuple[int, ...]:
    """The five radii in pixels at which the mean boundary accuracy is taken.

    Examples
    --------
    >>> mba_radii((1080, 1920))
    (1, 2, 4, 6, 8)
    """
    largest = sum(shape) / 300
    return tuple(1 + math.trunc((largest - 1) / 5 * i) for i in range(5))


def ellipse_half_widths(radius: int) -> tuple[int, ...]:
    """Half-widths of rows -radius..radius of the round element that mBA is made with.

    It is the element of the published code's image library, a little fuller than the
    disk of pixels within `radius`.
    """
    return tuple(
        round(math.sqrt(radius * radius - dy * dy)) for dy in range(-radius, radius + 1)
    )


def _dilate(mask: Mask, half_widths: Sequence[int]) -> Mask:
    """Dilation by a row-wise convex element; beyond the array is background.

    Running sums along the rows cost the same for any width, where a dilation by a
    general element costs its area at every pixel.
    """
    height, width = mask.shape
    reach = len(half_widths) // 2
    sums = np.zeros((height, width + 1), dtype=np.int32)
    np.cumsum(mask, axis=1, out=sums[:, 1:])
    columns = np.arange(width)
    rows_of: dict[int, Mask] = {}
    for half in set(half_widths):
        low, high = np.maximum(columns - half, 0), np.minimum(columns + half + 1, width)
        rows_of[half] = sums[:, high] > sums[:, low]
    out = np.zeros_like(mask)
    for k, half in enumerate(half_widths):
        dy = k - reach
        if abs(dy) >= height:
            continue
        target = slice(max(dy, 0), height + min(dy, 0))
        source = slice(max(-dy, 0), height + min(-dy, 0))
        out[target] |= rows_of[half][source]
    return out


def mba(
    truth: npt.ArrayLike, mask: npt.ArrayLike, *, void: npt.ArrayLike | None = None
) -> float:
    """Mean boundary accuracy: share of right pixels in five bands around the truth.

    Parameters are those of :func:`iou`.

    Returns
    -------
    float
        In [0, 1]; NaN if the truth has no boundary (it is empty or fills the frame). An
        empty result gives about one half, as does any that is wrong beyond the bands.

    Notes
    -----
    CascadePSP (Cheng et al. 2020), as in the published code of the method.
    """
    a, b = np.asarray(truth, dtype=bool), np.asarray(mask, dtype=bool)
    box = _box_of(a)
    if box is None:
        return math.nan
    radii = mba_radii((a.shape[0], a.shape[1]))
    near = _grown(box, max(radii) + 1, a.shape)
    right = (a == b)[near]
    counted = np.ones_like(right) if void is None else ~np.asarray(void, bool)[near]
    shares: dict[int, float] = {}
    for radius in set(radii):
        element = ellipse_half_widths(radius)
        region = _dilate(a[near], element) & _dilate(~a[near], element) & counted
        n = int(np.count_nonzero(region))
        shares[radius] = np.count_nonzero(region & right) / n if n else math.nan
    return float(np.mean([shares[radius] for radius in radii]))


def _outline(mask: Mask) -> Mask:
    """Pixels that differ from their right, lower or lower-right neighbour (DAVIS)."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below = padded[:height, 1:], padded[1:, :width]
    outline: Mask = (mask != right) | (mask != below) | (mask != padded[1:, 1:])
    return outline


def boundary_f(
    truth: npt.ArrayLike,
    mask: npt.ArrayLike,
    tolerance: int | None = None,
    *,
    void: npt.ArrayLike | None = None,
) -> float:
    """Boundary F of DAVIS: harmonic mean of the matched shares of both outlines.

    Parameters
    ----------
    truth, mask : (Y, X) bool array
        The two masks.
    tolerance : int, optional
        Euclidean distance in pixels at which outlines match; by default .8 % of the
        arrays' diagonal, rounded up.
    void : (Y, X) bool array, optional
        Pixels taken out of both masks before their outlines are looked for.

    Returns
    -------
    float
        1 if neither mask has an outline, 0 if one of them has none. The frame is no
        outline.
    """
    a, b = _kept(truth, void), _kept(mask, void)
    if tolerance is None:
        tolerance = math.ceil(TOLERANCE_RATIO * math.hypot(*a.shape))
    first, second = _outline(a), _outline(b)
    n_first, n_second = np.count_nonzero(first), np.count_nonzero(second)
    if not n_first and not n_second:
        return 1.0
    if not n_first or not n_second:
        return 0.0
    recall = np.count_nonzero(first & _within(second, tolerance)) / n_first
    precision = np.count_nonzero(second & _within(first, tolerance)) / n_second
    total = precision + recall
    return float(2 * precision * recall / total) if total else 0.0


def _within(mask: Mask, distance: int) -> Mask:
    """Pixels within a Euclidean `distance` of a mask that is not empty."""
    near: Mask = ndimage.distance_transform_edt(~mask) <= distance
    return near


def hd95(
    truth: npt.ArrayLike,
    mask: npt.ArrayLike,
    *,
    spacing: tuple[float, float] = (1.0, 1.0),
) -> float:
    """95th percentile of the Hausdorff distance: the larger of both directions.

    Parameters
    ----------
    truth, mask : (Y, X) bool array
        The two masks.
    spacing : tuple of float
        Height and width of a pixel; the result has their unit.

    Returns
    -------
    float
        In pixels or the unit of `spacing`, less is better; NaN if a mask is empty, to
        be counted as a miss.

    Notes
    -----
    MONAI's definition. MedPy joins both directions before it takes the percentile,
    which gives much smaller values.
    """
    a, b = np.asarray(truth, dtype=bool), np.asarray(mask, dtype=bool)
    box = _box_of(a | b)
    if box is None or not a.any() or not b.any():
        return math.nan
    edges = [m[box] & ~ndimage.binary_erosion(m[box]) for m in (a, b)]
    far = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    return max(
        float(np.percentile(far[1][edges[0]], 95)),
        float(np.percentile(far[0][edges[1]], 95)),
    )


def _box_of(mask: Mask) -> tuple[slice, slice] | None:
    """The rows and columns that hold all pixels of `mask`, or None if it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _grown(
    box: tuple[slice, slice], pixels: int, shape: tuple[int, ...]
) -> tuple[slice, slice]:
    """`box` with `pixels` more on every side, as far as `shape` reaches."""
    rows, columns = box
    return (
        slice(max(rows.start - pixels, 0), min(rows.stop + pixels, shape[0])),
        slice(max(columns.start - pixels, 0), min(columns.stop + pixels, shape[1])),
    )


# Objects of two label images --------------------------------------------------------


@dataclass(frozen=True)
class Overlaps:
    """Which objects of two label images overlap, and by how much.

    Attributes
    ----------
    truth_ids, ids : (n,), (m,) int64 array
        Rising ids of the two images without 0.
    truth_areas, areas : (n,), (m,) int64 array
        Their pixels.
    rows, columns : (k,) int64 array
        Positions in `truth_ids` and `ids` of the pairs that overlap.
    both : (k,) int64 array
        Pixels that the pairs share.
    """

    truth_ids: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    truth_areas: npt.NDArray[np.int64]
    areas: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    both: npt.NDArray[np.int64]

    @property
    def either(self) -> npt.NDArray[np.int64]:
        """Pixels in at least one object of each pair, (k,)."""
        total: npt.NDArray[np.int64] = (
            self.truth_areas[self.rows] + self.areas[self.columns] - self.both
        )
        return total

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """IoU of each pair, (k,), above 0."""
        share: npt.NDArray[np.float64] = self.both / self.either
        return share


def overlaps(truth: Labels, labels: Labels) -> Overlaps:
    """Count the shared pixels of every pair of objects, in one pass over the images.

    Parameters
    ----------
    truth, labels : integer array
        Two label images of one shape, 0 = background.
    """
    truth_ids, t = np.unique(truth, return_inverse=True)
    ids, p = np.unique(labels, return_inverse=True)
    pairs, counts = np.unique(
        t.ravel().astype(np.int64) * len(ids) + p.ravel(), return_counts=True
    )
    rows, columns = np.divmod(pairs, len(ids))
    truth_areas = np.bincount(rows, counts, len(truth_ids)).astype(np.int64)
    areas = np.bincount(columns, counts, len(ids)).astype(np.int64)
    # The background, where there is any, is the first id of each image.
    real = (truth_ids[rows] != 0) & (ids[columns] != 0)
    t_shift, p_shift = int((truth_ids == 0).any()), int((ids == 0).any())
    return Overlaps(
        truth_ids=truth_ids[t_shift:].astype(np.int64),
        ids=ids[p_shift:].astype(np.int64),
        truth_areas=truth_areas[t_shift:],
        areas=areas[p_shift:],
        rows=rows[real] - t_shift,
        columns=columns[real] - p_shift,
        both=counts[real].astype(np.int64),
    )


def assign(found: Overlaps, weight: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The one-to-one choice of overlapping pairs with the largest sum of `weight`.

    Parameters
    ----------
    found : Overlaps
        The pairs to choose from.
    weight : (k,) float array
        What each pair is worth, above 0.

    Returns
    -------
    (j,) int64 array
        Positions of the chosen pairs, rising.

    Notes
    -----
    Objects that reach each other over no chain of overlaps cannot compete, so each
    group is solved alone: nearly all groups are one pair, and thousands of objects take
    milliseconds.
    """
    n, m = len(found.truth_ids), len(found.ids)
    if not len(found.both):
        return np.zeros(0, dtype=np.int64)
    graph = coo_matrix(
        (np.ones(len(found.both)), (found.rows, found.columns + n)), (n + m, n + m)
    )
    group = connected_components(graph, directed=False)[1][found.rows]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    chosen: list[npt.NDArray[np.int64]] = []
    for pairs in np.split(order, starts[1:]):
        if len(pairs) == 1:
            chosen.append(pairs)
            continue
        rows, r = np.unique(found.rows[pairs], return_inverse=True)
        columns, c = np.unique(found.columns[pairs], return_inverse=True)
        worth = np.zeros((len(rows), len(columns)))
        worth[r, c] = weight[pairs]
        position = np.full(worth.shape, -1, dtype=np.int64)
        position[r, c] = pairs
        best = position[linear_sum_assignment(-worth)]
        chosen.append(best[best >= 0])
    return np.sort(np.concatenate(chosen))


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
    Kirillov et al. 2019 as computed by hover_net, its guard of 1e-6 included. From .5
    upwards pairs are unique; below, the best one-to-one pairs are taken.
    """
    found = overlaps(truth, labels)
    n, m = len(found.truth_ids), len(found.ids)
    if not n and not m:
        return Panoptic(math.nan, math.nan, math.nan)
    pairs = assign(found, found.iou)
    matched = found.iou[pairs][found.iou[pairs] > threshold]
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
