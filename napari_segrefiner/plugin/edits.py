"""Changes of pixels that know what they replace, and so overwrite nothing newer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.plugin.planes import Plane

if TYPE_CHECKING:
    from napari.layers import Labels

IntArray = npt.NDArray[Any]


@dataclass(frozen=True)
class Edit:
    """New values for some pixels of one plane.

    ``ys``, ``xs`` are (n,) indices into the plane; ``before`` and ``after`` (n,) values
    of the labels' dtype: what the run saw there, and what it wants there.
    """

    plane: Plane
    ys: npt.NDArray[np.intp]
    xs: npt.NDArray[np.intp]
    before: IntArray
    after: IntArray

    @property
    def size(self) -> int:
        """Pixels."""
        return int(self.ys.size)

    def still_valid(self, data: Any) -> Edit:
        """The part whose pixels in `data` have not changed since the run saw them.

        Whoever painted there meanwhile knows better than a run that began before.
        """
        now = np.asarray(data[self.plane.pixels(self.ys, self.xs)])
        return self._part(now == self.before)

    def sparing(self, labels: Collection[int]) -> Edit:
        """The part that neither gives to these labels nor takes from them."""
        ids = np.array(sorted(labels), self.before.dtype)
        return self._part(~np.isin(self.before, ids) & ~np.isin(self.after, ids))

    def _part(self, chosen: npt.NDArray[np.bool_]) -> Edit:
        if chosen.all():
            return self
        return Edit(
            self.plane,
            self.ys[chosen],
            self.xs[chosen],
            self.before[chosen],
            self.after[chosen],
        )


def plane_edit(plane: Plane, coarse: IntArray, refined: IntArray) -> Edit:
    """Everything that differs between two (Y, X) label images of one plane."""
    ys, xs = np.nonzero(coarse != refined)
    return Edit(plane, ys, xs, coarse[ys, xs], refined[ys, xs])


def object_edit(
    plane: Plane, label: int, coarse: IntArray, refined: IntArray, target: IntArray
) -> Edit:
    """Bring one refined object into a label image that may hold other results.

    Parameters
    ----------
    plane : Plane
    label : int
        The object.
    coarse, refined : (Y, X) integer arrays
        What was refined, and the outcome.
    target : (Y, X) integer array
        Where it goes: `coarse` itself, or a result that holds other objects refined
        already, which keep their pixels, or this one refined before.
    """
    wanted, has = refined == label, target == label
    # Free, or not touched by another result yet: there the run's own decision counts.
    free = (target == 0) | (target == coarse)
    gain, loss = wanted & ~has & free, has & ~wanted
    ys, xs = np.nonzero(gain | loss)
    return Edit(plane, ys, xs, target[ys, xs], refined[ys, xs])


def restoring_edit(
    plane: Plane, label: int, source: IntArray, result: IntArray
) -> Edit:
    """Give an object its coarse mask: both masks' pixels get the source's values."""
    either = (source == label) | (result == label)
    ys, xs = np.nonzero(either & (source != result))
    return Edit(plane, ys, xs, result[ys, xs], source[ys, xs])


def write_undoable(layer: Labels, edits: list[Edit]) -> int:
    """Write edits into a layer as ONE undo step; returns the pixels written."""
    valid = [edit.still_valid(layer.data) for edit in edits]
    valid = [edit for edit in valid if edit.size]
    if not valid:
        return 0
    with in_sight(layer), layer.block_history():
        for edit in valid:
            layer.data_setitem(edit.plane.pixels(edit.ys, edit.xs), edit.after)
    return sum(edit.size for edit in valid)


@contextmanager
def in_sight(layer: Labels) -> Iterator[None]:
    """Show a layer meanwhile: a hidden one has no slice that could be written to."""
    if layer.visible:  # showing it again would take the tool out of the user's hand
        yield
        return
    layer.visible = True
    layer.set_view_slice()  # now, also where napari slices in the background
    try:
        yield
    finally:
        layer.visible = False


def write_directly(data: IntArray, edits: list[Edit]) -> int:
    """Write edits into an array that no layer shows yet; returns the pixels written."""
    written = 0
    for edit in edits:
        valid = edit.still_valid(data)
        data[edit.plane.pixels(valid.ys, valid.xs)] = valid.after
        written += valid.size
    return written
