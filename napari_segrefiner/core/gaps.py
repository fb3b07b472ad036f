"""Closing gaps: objects that touched before the refinement still touch after it."""

from __future__ import annotations

from typing import Any

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
        lost = np.flatnonzero((coarse != 0) & (labels == 0))
        if not len(lost):
            return
        y, x = np.divmod(lost, labels.shape[1])
        by_rows = _is_between(y, x, coarse, labels)
        order = np.lexsort((y, x))
        by_columns = np.empty_like(by_rows)
        by_columns[order] = _is_between(x[order], y[order], coarse.T, labels.T)
        is_gap = by_rows | by_columns
        y, x = y[is_gap], x[is_gap]
        labels[y, x] = coarse[y, x]


def _is_between(y: _Integers, x: _Integers, coarse: Labels, labels: Labels) -> Mask:
    """Which pixels lie in a run along x whose two neighbours are different labels.

    Parameters
    ----------
    y, x : (n,) int arrays
        Pixels without a label, sorted by y, then by x.
    coarse, labels : (Y, X) integer arrays
        A neighbour counts where both have a label: what grew into the background
        touched nobody before.
    """
    begins = np.ones(len(y), bool)
    begins[1:] = (y[1:] != y[:-1]) | (x[1:] != x[:-1] + 1)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(y)) - 1

    def neighbour(y: _Integers, x: _Integers) -> Labels:
        is_there = (x >= 0) & (x < labels.shape[1])
        x = np.where(is_there, x, 0)
        return np.where(is_there & (coarse[y, x] != 0), labels[y, x], 0)

    left = neighbour(y[first], x[first] - 1)
    right = neighbour(y[last], x[last] + 1)
    is_gap = (left != 0) & (right != 0) & (left != right)
    return np.repeat(is_gap, last + 1 - first)
