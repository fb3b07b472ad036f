"""What the objects of an image say of each other: too small, too large, or right.

Whoever, or whatever, draws the masks of an image too small or too large mostly does so
with all of them. An answer tells which way it goes; where all others agree, their
object is cut further that way. Where they agree that the masks are right, small changes
are not believed.
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
#: A change of this share of an object's area has half a vote, a smaller one less.
LITTLE = 0.01
#: Share of all others that would hardly change from which masks are right, and by what
#: the least change of an object is larger then.
MOST, CALM = 2 / 3, 2.5
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


def agree(
    votes: Sequence[float], stays: Sequence[bool], least: float
) -> list[Consensus]:
    """What all others say of each object's mask (method 7).

    Whether it is too small or too large is asked before whether it is right.
    Nobody votes for itself: an object is answered for by its own answer already, and
    of one alone in its image nothing is said.

    Parameters
    ----------
    votes : sequence of float
        One for each object, as :func:`vote` gives it.
    stays : sequence of bool
        Whether it would hardly change.
    least : float
        Mean vote from which the others agree, either way.

    Examples
    --------
    >>> agree([0.9, 0.8, 0.9, -0.2], [False] * 4, least=0.4)
    ['none', 'none', 'none', 'small']
    >>> agree([0.0] * 4 + [0.5], [True] * 4 + [False], least=0.4)
    ['none', 'none', 'none', 'none', 'right']
    >>> agree([-0.9], [False], least=0.4)
    ['none']
    """
    # An exact sum, which is the same in whatever order batches came.
    total, n_right = math.fsum(votes), sum(stays)
    n_others = len(votes) - 1 + ABSTAINERS
    said: list[Consensus] = []
    for own, is_right in zip(votes, stays, strict=True):
        mean = (total - own) / n_others
        if mean and abs(mean) >= least:
            said.append("small" if mean > 0 else "large")
        else:
            said.append("right" if n_right - is_right >= MOST * n_others else "none")
    return said


def agreed_threshold(threshold: float, consensus: Consensus) -> float:
    """The threshold at which an object is cut.

    Examples
    --------
    >>> [round(agreed_threshold(0.4, said), 3) for said in ("small", "none", "large")]
    [0.2, 0.4, 0.667]
    """
    if consensus not in ("small", "large"):
        return threshold
    lowest, highest = threshold_bounds(threshold)
    bound = lowest if consensus == "small" else highest
    return threshold + BOLDNESS * (bound - threshold)
