"""Which objects of two label images overlap, and who is paired with whom."""

from __future__ import annotations

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


def number(
    labels: Labels | Mask,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The ids of a label image, and for every pixel the position of its id.

    Parameters
    ----------
    labels : integer or bool array
        0 = background; ids may be as large as they like.

    Returns
    -------
    ids : (n,) int64 array
        Rising, without 0.
    positions : int32 array
        Shape of `labels`; -1 on the background.

    Examples
    --------
    >>> ids, positions = number(np.array([[0, 70], [9, 70]]))
    >>> ids.tolist(), positions.tolist()
    ([9, 70], [[-1, 1], [0, 1]])
    """
    flat = labels.astype(np.uint8) if labels.dtype == bool else labels
    largest = int(flat.max()) if flat.size else 0
    if largest > 8 * flat.size + 2**16:
        ids, dense = np.unique(flat, return_inverse=True)
        first = int(ids[0] == 0)
        positions = dense.reshape(labels.shape).astype(np.int32) - np.int32(first)
        return ids[first:].astype(np.int64), positions
    # A table of all ids that could be is much faster than sorting all pixels.
    present = np.zeros(largest + 1, dtype=bool)
    present[flat] = True
    present[0] = False
    table = np.cumsum(present, dtype=np.int32) - 1
    table[~present] = -1
    return np.flatnonzero(present), table[flat]


def overlaps(truth: Labels | Mask, labels: Labels | Mask) -> Overlaps:
    """Count the shared pixels of every pair of objects, in one pass over the images.

    Parameters
    ----------
    truth, labels : integer or bool array
        Two label images of one shape, 0 = background.
    """
    truth_ids, t = number(truth)
    ids, p = number(labels)
    shared = (t >= 0) & (p >= 0)
    pairs, both = np.unique(
        t[shared].astype(np.int64) * max(len(ids), 1) + p[shared], return_counts=True
    )
    rows, columns = np.divmod(pairs, max(len(ids), 1))
    return Overlaps(
        truth_ids=truth_ids,
        ids=ids,
        truth_areas=np.bincount(t[t >= 0], minlength=len(truth_ids)),
        areas=np.bincount(p[p >= 0], minlength=len(ids)),
        rows=rows,
        columns=columns,
        both=both.astype(np.int64),
    )


def label_depth(labels: Labels | Mask) -> npt.NDArray[np.int32]:
    """How deep every pixel lies in its object: 1 at the boundary, 0 on the background.

    The band of width d of all objects at once (:func:`boundary_band`) is where the
    depth is from 1 to d: touching objects bound each other, and so does the frame.

    Parameters
    ----------
    labels : (Y, X) integer or bool array
        0 = background.

    Returns
    -------
    (Y, X) int32 array
        Chessboard distance in pixels to the nearest pixel that is not the object's.
    """
    plain = labels.astype(np.uint8) if labels.dtype == bool else labels
    around: npt.NDArray[Any] = np.pad(plain, 1)
    lowest = ndimage.minimum_filter(around, 3, mode="constant")
    deep = (ndimage.maximum_filter(around, 3, mode="constant") == lowest) & (around > 0)
    depth = ndimage.distance_transform_cdt(deep, metric="chessboard") + (around > 0)
    inner: npt.NDArray[np.int32] = depth.astype(np.int32)[1:-1, 1:-1]
    return inner


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
