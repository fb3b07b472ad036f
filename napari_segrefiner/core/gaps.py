"""Closing gaps: objects that touched before the refinement still touch after it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
_Integers = npt.NDArray[np.int64]

#: The second pass reaches corners where three objects meet, between what the first gave
#: back.
N_PASSES = 2


def close_gaps(coarse: Labels, labels: Labels) -> None:
    """Give pixels back that were covered, are so no longer, and lie between two labels.

    A run of given-up pixels along a row or a column whose two ends meet different
    labels was covered from one to the other: there the coarse labels touched. Its
    pixels return to their coarse labels. Holes in an object, and what is given up
    towards the background, stay given up.

    Parameters
    ----------
    coarse, labels : (Y, X) integer arrays
        Before and after the refinement; `labels` is changed in place.

    Examples
    --------
    >>> labels = np.array([[0, 1, 0, 0, 2, 2, 0]])
    >>> close_gaps(np.array([[1, 1, 1, 2, 2, 2, 2]]), labels)
    >>> labels
    array([[0, 1, 1, 2, 2, 2, 0]])
    """
    for _ in range(N_PASSES):
        lost = (coarse != 0) & (labels == 0)
        if not lost.any():
            return
        by_rows = _between(lost, labels)
        x, y = _between(lost.T, labels.T)
        rows, columns = np.concatenate([by_rows.y, y]), np.concatenate([by_rows.x, x])
        labels[rows, columns] = coarse[rows, columns]


class _Pixels(NamedTuple):
    y: _Integers
    x: _Integers


def _between(lost: Mask, labels: Labels) -> _Pixels:
    """Pixels of horizontal runs of `lost` whose two neighbours are different labels."""
    starts, stops = lost.copy(), lost.copy()
    starts[:, 1:] &= ~lost[:, :-1]
    stops[:, :-1] &= ~lost[:, 1:]
    y, x0 = np.nonzero(starts)
    x1 = np.nonzero(stops)[1] + 1
    is_inner = (x0 > 0) & (x1 < labels.shape[1])
    y, x0, x1 = y[is_inner], x0[is_inner], x1[is_inner]
    left, right = labels[y, x0 - 1], labels[y, x1]
    is_gap = (left != 0) & (right != 0) & (left != right)
    y, x0, length = y[is_gap], x0[is_gap], (x1 - x0)[is_gap]
    before = np.cumsum(length) - length  # pixels of the runs that come before
    offset = np.arange(length.sum()) - np.repeat(before, length)
    return _Pixels(np.repeat(y, length), np.repeat(x0, length) + offset)
