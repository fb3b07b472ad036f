"""How well one mask agrees with the true one: overlap, boundaries, distances.

What an empty mask gives is said in every function: two empty masks agree completely
where pixels are counted, and are undefined (NaN) where there is no boundary to compare,
so that no mean takes it in silently.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]

#: Share of the diagonal that the band of the boundary IoU is wide (Cheng et al. 2021).
BOUNDARY_RATIO = 0.02

#: Width of that band in pixels, where one width serves objects of all sizes.
BAND = 2
#: Gain of IoU from which an object counts as better, and loss from which as worse.
BETTER, WORSE = 0.02, 0.05

#: Share of the diagonal that the boundary F tolerates (DAVIS).
TOLERANCE_RATIO = 0.008


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


def _dilate(mask: Mask, radii: set[int]) -> dict[int, Mask]:
    """Dilations by the round elements of several radii; beyond is background.

    Every row of an element is a run of pixels, and running sums along the image's rows
    cost the same for any length, where a general dilation costs the element's area at
    every pixel. Runs of one length serve all elements that have them.
    """
    height, width = mask.shape
    users: dict[int, list[tuple[int, int]]] = {}
    for radius in radii:
        for k, half in enumerate(ellipse_half_widths(radius)):
            users.setdefault(half, []).append((radius, k - radius))
    longest = max(users)
    sums = np.zeros((height, width + 1 + 2 * longest), dtype=np.int32)
    end = longest + 1 + width
    np.cumsum(mask, axis=1, out=sums[:, longest + 1 : end])
    sums[:, end:] = sums[:, end - 1 : end]
    dilated = {radius: np.zeros_like(mask) for radius in radii}
    for half, places in users.items():
        low, high = longest - half, longest + half + 1
        run = sums[:, high : high + width] > sums[:, low : low + width]
        for radius, dy in places:
            if abs(dy) < height:
                target = slice(max(dy, 0), height + min(dy, 0))
                source = slice(max(-dy, 0), height + min(-dy, 0))
                dilated[radius][target] |= run[source]
    return dilated


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
    inwards, outwards = _dilate(~a[near], set(radii)), _dilate(a[near], set(radii))
    for radius in inwards:
        region = inwards[radius] & outwards[radius] & counted
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
