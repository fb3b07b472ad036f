"""Finding the objects of a label image: where each label lies, in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.arrays import as_array
from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.geometry import Box

#: Rows looked at together: their bookkeeping fits into the processor's cache.
BLOCK_ROWS = 256

_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """One label of a label image: its id, its area in pixels and its tight box."""

    id: int
    area: int
    box: Box


def check_labels(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Labels as integers: bool ones become one object with the id 1, without a copy.

    Parameters
    ----------
    labels : (Y, X) array of bool or of any integer type

    Raises
    ------
    InputError
        If they are no plane of integers, or negative somewhere.
    """
    if labels.ndim != 2:
        message = (
            f"The labels have the shape {labels.shape}; one plane (Y, X) is expected. "
            "Refine a stack plane by plane."
        )
        raise InputError(message)
    if labels.dtype.kind not in "bui":
        message = (
            f"The labels are of type {labels.dtype}; integers or bool are expected. "
            "Convert them, for example by labels.astype('int32')."
        )
        raise InputError(message)
    if labels.dtype.kind == "b":
        return labels.view(np.uint8)
    if labels.dtype.kind == "i" and labels.size and (lowest := labels.min()) < 0:
        message = (
            f"The labels go down to {lowest}; 0 for the background and positive ids "
            "are expected."
        )
        raise InputError(message)
    return labels


def check_pinned(
    pinned: npt.ArrayLike | None, shape: tuple[int, int]
) -> npt.NDArray[np.bool_] | None:
    """Pinned pixels as bool; integers count as pinned where they are not 0.

    Raises
    ------
    InputError
        If they are no mask of the labels' shape.
    """
    if pinned is None:
        return None
    pinned = as_array(pinned, "pinned pixels")
    if pinned.dtype.kind not in "bui" or pinned.shape != shape:
        message = (
            f"The pinned pixels are of type {pinned.dtype} and shape {pinned.shape}; "
            f"a bool mask of the labels' shape {shape} is expected."
        )
        raise InputError(message)
    is_pinned: npt.NDArray[np.bool_] = pinned != 0
    return is_pinned


def find_objects(labels: npt.NDArray[Any]) -> list[LabelledObject]:
    """All objects, by rising id.

    Parameters
    ----------
    labels : (Y, X) array of integers >= 0
        Of any type and with any ids: the cost depends on the pixels, not on the ids.

    Examples
    --------
    >>> find_objects(np.array([[0, 5, 5], [0, 0, 5]]))
    [LabelledObject(id=5, area=3, box=Box(y0=0, x0=1, y1=2, x1=3))]
    """
    found = [
        _merge(_runs(labels[y0 : y0 + BLOCK_ROWS], y0))
        for y0 in range(0, len(labels), BLOCK_ROWS)
    ]
    if not found:
        return []
    parts = _merge(
        _Parts(*(np.concatenate(values) for values in zip(*found, strict=True)))
    )
    return [
        LabelledObject(id, area, Box(*corners))
        for id, area, *corners in zip(
            *(values.tolist() for values in parts), strict=True
        )
    ]


def choose(
    objects: Iterable[LabelledObject], ids: tuple[int, ...], min_area: int
) -> list[LabelledObject]:
    """Those with the given ids (none given: all) and at least `min_area` pixels.

    Raises
    ------
    OptionError
        If there is no object with one of the ids.
    """
    objects = list(objects)
    missing = sorted(set(ids) - {found.id for found in objects})
    if missing:
        has = f"{objects[0].id} to {objects[-1].id}" if objects else "none"
        message = (
            f"There is no label {', '.join(map(str, missing))}; ids of the label image "
            f"are expected (it has {has})."
        )
        raise OptionError(message)
    wanted = set(ids) or {found.id for found in objects}
    return [o for o in objects if o.id in wanted and o.area >= min_area]


class _Parts(NamedTuple):
    """Parts of objects, one per entry: label, pixels and box."""

    ids: npt.NDArray[Any]
    areas: _Integers
    y0: _Integers
    x0: _Integers
    y1: _Integers
    x1: _Integers


def _runs(labels: npt.NDArray[Any], first_row: int) -> _Parts:
    """The horizontal runs of equal labels, without the background."""
    changes = labels[:, 1:] != labels[:, :-1]
    covered = labels != 0
    starts, stops = covered.copy(), covered
    starts[:, 1:] &= changes
    stops[:, :-1] &= changes
    rows, x0 = np.nonzero(starts)
    x1 = np.nonzero(stops)[1] + 1
    y0 = rows + first_row
    return _Parts(labels[rows, x0], x1 - x0, y0, x0, y0 + 1, x1)


def _merge(parts: _Parts) -> _Parts:
    """One entry for each label, by rising id."""
    if not len(parts.ids):
        return parts
    order = np.argsort(parts.ids, kind="stable")
    ids = parts.ids[order]
    first = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    return _Parts(
        ids[first],
        np.add.reduceat(parts.areas[order], first),
        np.minimum.reduceat(parts.y0[order], first),
        np.minimum.reduceat(parts.x0[order], first),
        np.maximum.reduceat(parts.y1[order], first),
        np.maximum.reduceat(parts.x1[order], first),
    )
