"""Which errors of coarse labels are gone after refinement, and which are new.

An error is a pixel that an object has too much (fp) or too little (fn). It is near if
it lies within 2 px of the boundary of the object's coarse mask, else far: errors far
from the boundary are those that no method limited to it can mend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

#: Distance (chessboard, px) to the coarse boundary up to which an error is near.
NEAR = 2
#: What may happen to errors.
CHANGES = ("fp_removed", "fn_recovered", "fp_added", "fn_added")
ZONES = ("near", "far")

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ErrorCounts:
    """Pixels of one image.

    Attributes
    ----------
    coarse : dict of (kind, zone) to int
        Errors of the coarse labels, kinds "fp" and "fn".
    changes : dict of (change, zone) to int
        Errors gone or new, see CHANGES; empty for the coarse labels themselves.
    """

    coarse: dict[tuple[str, str], int]
    changes: dict[tuple[str, str], int]

    @property
    def n_coarse(self) -> int:
        """All errors of the coarse labels."""
        return sum(self.coarse.values())


def count_errors(
    fine: Positions, coarse: Positions, refined: Positions | None, paired: Any
) -> ErrorCounts:
    """Count errors from the positions of objects at every pixel.

    Parameters
    ----------
    fine, coarse, refined : (Y, X) int64 arrays
        The pair's position of the object at each pixel; -1 for none.
    paired : (n,) bool array
        Whether each pair has a coarse object; true objects without one are left out.
    """
    # The last entry is where -1 finds its answer.
    alone = np.append(~np.asarray(paired, bool), False)
    fine = np.where(alone[fine], -1, fine)
    counts: dict[tuple[str, str], int] = {}
    _add(counts, "fp", (coarse >= 0) & (coarse != fine), _leaves(coarse))
    _add(counts, "fn", (fine >= 0) & (coarse != fine), _reaches(coarse, fine))
    if refined is None:
        return ErrorCounts(counts, {})
    changes: dict[tuple[str, str], int] = {}
    was_fp = (coarse >= 0) & (coarse != fine)
    _add(changes, "fp_removed", was_fp & (refined != coarse), _leaves(coarse))
    was_fn = (fine >= 0) & (coarse != fine)
    _add(changes, "fn_recovered", was_fn & (refined == fine), _reaches(coarse, fine))
    is_new = (refined >= 0) & (refined != fine) & (refined != coarse)
    _add(changes, "fp_added", is_new, _reaches(coarse, refined))
    is_gone = (fine >= 0) & (coarse == fine) & (refined != fine)
    _add(changes, "fn_added", is_gone, _leaves(coarse))
    return ErrorCounts(counts, changes)


#: From rows and columns of pixels and an offset to whether the pixel there is on the
#: other side of the coarse boundary.
_Test = Callable[[Any, Any, int, int], npt.NDArray[np.bool_]]


def _leaves(coarse: Positions) -> _Test:
    """Whether the neighbour belongs to another object than the pixel itself."""
    wide = np.pad(coarse, NEAR, mode="edge")

    def test(rows: Any, columns: Any, dy: int, dx: int) -> npt.NDArray[np.bool_]:
        there = wide[rows + dy + NEAR, columns + dx + NEAR]
        return np.asarray(there != coarse[rows, columns])

    return test


def _reaches(coarse: Positions, owner: Positions) -> _Test:
    """Whether the neighbour belongs to the coarse object that the error is one of."""
    wide = np.pad(coarse, NEAR, mode="edge")

    def test(rows: Any, columns: Any, dy: int, dx: int) -> npt.NDArray[np.bool_]:
        there = wide[rows + dy + NEAR, columns + dx + NEAR]
        return np.asarray(there == owner[rows, columns])

    return test


def _add(
    counts: dict[tuple[str, str], int],
    name: str,
    errors: npt.NDArray[np.bool_],
    test: _Test,
) -> None:
    """Count errors near and far; the frame is no boundary."""
    rows, columns = np.nonzero(errors)
    is_near = np.zeros(len(rows), bool)
    for dy in range(-NEAR, NEAR + 1):
        for dx in range(-NEAR, NEAR + 1):
            is_near |= test(rows, columns, dy, dx)
    n_near = int(np.count_nonzero(is_near))
    counts[name, "near"] = n_near
    counts[name, "far"] = len(rows) - n_near
