"""What the objects of an image say of each other: masks too small, or too large.

Whoever, or whatever, draws the masks of an image too small or too large mostly does so
with all of them. An answer tells which way it goes, and all others are believed a
little: they move the threshold from which a pixel belongs to the object.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_segrefiner.options import threshold_bounds

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]

#: Mean votes where masks err to neither side; which one depends on the kind of object.
USUAL = (-0.05, 0.25)


def vote(coarse: Mask, mask: Mask, probability: Plane) -> float:
    """Which way an answer goes: 1 if all of it adds pixels, -1 if all takes them away.

    Counted in probability, so that many pixels that were nearly changed weigh as much
    as a few that were.

    Parameters
    ----------
    coarse, mask : (h, w) bool arrays
        What was given, and the answer cut at one half. Where it does not follow P, the
        network agreed with the coarse mask.
    probability : (h, w) float32 array in [0, 1]

    Examples
    --------
    >>> coarse = np.array([[True, True, False, False]])
    >>> p = np.array([[1.0, 0.5, 1.0, 0.0]], np.float32)
    >>> vote(coarse, p >= 0.5, p)  # one pixel more, half a pixel less
    0.3333333333333333
    """
    follows = mask == (probability >= 0.5)
    added = float(probability[follows & ~coarse].sum(dtype=np.float64))
    taken = float((1 - probability[follows & coarse]).sum(dtype=np.float64))
    total = added + taken
    return (added - taken) / total if total else 0.0


def common_thresholds(
    threshold: float, votes: Sequence[float], strength: float
) -> list[float]:
    """The threshold of each object, moved by what all others say.

    Nobody votes for itself: an object is answered for by its own answer already, and
    one alone in its image keeps the threshold. Few others move it less (method 2).

    Parameters
    ----------
    threshold : float
    votes : sequence of float
        One for each object, as :func:`vote` gives it.
    strength : float
        By how much the threshold moves for what the others' mean vote is beyond what
        is usual.

    Examples
    --------
    >>> common_thresholds(0.5, [0.75] * 3, strength=1.0)  # mean vote 1.5 / 4
    [0.375, 0.375, 0.375]
    >>> common_thresholds(0.5, [0.75], strength=1.0)
    [0.5]
    """
    # An exact sum, which is the same in whatever order batches came.
    total = math.fsum(votes)
    lowest, highest = threshold_bounds(threshold)
    means = [(total - own) / (len(votes) + 1) for own in votes]
    shifts = [strength * (mean - min(max(mean, USUAL[0]), USUAL[1])) for mean in means]
    return [min(max(threshold - shift, lowest), highest) for shift in shifts]
