"""What the objects of an image say of each other: masks too small, or too large.

Whoever, or whatever, draws the masks of an image too small or too large mostly does so
with all of them. An answer tells which way it goes; where all others agree, their
object is cut further that way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segrefiner.options import threshold_bounds

if TYPE_CHECKING:
    from napari_segrefiner.core.events import Consensus

Mask = npt.NDArray[np.bool_]

#: Who says nothing besides the others, so that two or three objects decide little.
ABSTAINERS = 2
#: Changes that are small against this share of an object's area say little.
LITTLE = 0.01
#: How far the threshold goes to where it lies if a user tells the direction.
BOLDNESS = 2 / 3


def vote(coarse: Mask, refined: Mask) -> float:
    """Which way an answer goes: near 1 if it only adds pixels, -1 if it takes them.

    Parameters
    ----------
    coarse, refined : (h, w) bool arrays
        What was given, and the answer cut at one half.

    Examples
    --------
    >>> coarse = np.array([[True, True, True, False, False, False]])
    >>> round(vote(coarse, np.ones_like(coarse)), 2)
    0.99
    >>> vote(coarse, coarse)
    0.0
    """
    added = int(np.count_nonzero(refined & ~coarse))
    taken = int(np.count_nonzero(coarse & ~refined))
    total = added + taken + LITTLE * int(np.count_nonzero(coarse))
    return (added - taken) / total if total else 0.0


def agree(votes: Sequence[float], least: float) -> list[Consensus]:
    """What all others say of each object's mask (method 7).

    Nobody votes for itself: an object is answered for by its own answer already, and
    of one alone in its image nothing is said.

    Parameters
    ----------
    votes : sequence of float
        One for each object, as :func:`vote` gives it.
    least : float
        Mean vote from which the others agree, either way.

    Examples
    --------
    >>> agree([0.9, 0.8, 0.9, -0.2], least=0.4)
    ['none', 'none', 'none', 'small']
    >>> agree([-0.9], least=0.4)
    ['none']
    """
    # An exact sum, which is the same in whatever order batches came.
    total = math.fsum(votes)
    means = [(total - own) / (len(votes) - 1 + ABSTAINERS) for own in votes]
    return [
        "none" if abs(mean) < least else "small" if mean > 0 else "large"
        for mean in means
    ]


def agreed_threshold(threshold: float, consensus: Consensus) -> float:
    """The threshold at which an object is cut.

    Examples
    --------
    >>> [round(agreed_threshold(0.4, said), 3) for said in ("small", "none", "large")]
    [0.2, 0.4, 0.667]
    """
    if consensus == "none":
        return threshold
    lowest, highest = threshold_bounds(threshold)
    bound = lowest if consensus == "small" else highest
    return threshold + BOLDNESS * (bound - threshold)
