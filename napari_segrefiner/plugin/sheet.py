"""A refined plane: coarse, as the plugin left it, and what a person has accepted."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_segrefiner.plugin.edits import Edit, plane_edit
from napari_segrefiner.plugin.layers import array_of
from napari_segrefiner.plugin.planes import Plane
from napari_segrefiner.training.pictures import MIN_AREA

if TYPE_CHECKING:
    from napari.layers import Image

IntArray = npt.NDArray[Any]

#: Gives an Image layer while it is there and shows the picture that was looked at.
ImageGiver = Callable[[], "Image | None"]

#: Labels below that are counted in bins.
MOST_BINS = 2**22


class Standing(NamedTuple):
    """How the labels of a plane stand.

    ``others`` were refined and are neither accepted nor edited. ``corrected`` are
    accepted or edited, and large enough to be learnt from.
    """

    accepted: frozenset[int]
    edited: frozenset[int]
    others: frozenset[int]
    corrected: frozenset[int]


@dataclass(eq=False)
class Sheet:
    """A refined plane of a layer, all label images (Y, X).

    Attributes
    ----------
    image : callable
        Gives the Image layer that the network has looked at, None if it is gone or
        shows another picture;
        ``channel`` of it, None for all.
    coarse : array
        The labels before they were refined.
    made : array
        What the plugin has put there: where the layer differs, a person has painted.
    accepted : set of int
    """

    image: ImageGiver
    channel: int | None
    coarse: IntArray
    made: IntArray
    accepted: set[int] = field(default_factory=set)
    coarse_ids: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.coarse_ids = set(areas_of(self.coarse)[0].tolist()) - {0}

    def standing(self, now: IntArray) -> Standing:
        """How the labels stand if the layer's plane is `now`.

        Edited is what was painted or erased from; an object that only gave way to a
        neighbour is not, and neither is one with its coarse mask: then undo has gone
        back to before the plugin's work, perhaps that of an earlier dock.
        """
        found, areas = areas_of(now)
        there = set(found.tolist()) - {0}
        large = set(found[areas >= MIN_AREA].tolist())
        painted = now != self.made
        edited = set(np.unique(now[painted]).tolist())
        edited |= set(np.unique(self.made[painted & (now == 0)]).tolist())
        differs = now != self.coarse
        edited &= set(np.unique([now[differs], self.coarse[differs]]).tolist())
        edited &= there
        accepted = self.accepted & there
        others = there & self.coarse_ids
        return Standing(
            frozenset(accepted),
            frozenset(edited),
            frozenset(others - accepted - edited),
            frozenset((accepted | edited) & large),
        )

    def follow(
        self,
        plane: Plane,
        now: IntArray,
        labels: Collection[int] | None,
        edits: Iterable[Edit],
    ) -> Edit:
        """Take the masks of some labels, None: of all, as the plugin's own work.

        They were written as `edits`; another label that a person has painted over these
        stays painted. Returns what that changed in `made`. These labels are not
        accepted any more: they are not what a person has looked at.
        """
        before = self.made.copy()
        if labels is None:
            self.made[:] = now
            self.accepted.clear()
        else:
            ids = np.array(sorted(labels), now.dtype)
            own = np.isin(now, ids) | (np.isin(self.made, ids) & (now == 0))
            for edit in edits:
                if edit.plane == plane:
                    written = now[edit.ys, edit.xs] == edit.after
                    own[edit.ys[written], edit.xs[written]] = True
            self.made[own] = now[own]
            self.accepted.difference_update(labels)
        return plane_edit(plane, before, self.made)

    def add_coarse(self, coarse: IntArray) -> None:
        """Add the coarse masks of objects that were not there before."""
        new = ~np.isin(coarse, np.array([0, *self.coarse_ids], coarse.dtype))
        new &= self.coarse == 0
        self.coarse[new] = coarse[new]
        self.coarse_ids |= set(np.unique(coarse[new]).tolist())

    def same_coarse(self, other: Sheet, labels: Iterable[int]) -> frozenset[int]:
        """Those of `labels` that had the same coarse mask there."""
        if self.coarse.shape != other.coarse.shape:
            return frozenset()
        differs = self.coarse != other.coarse
        changed = {*areas_of(self.coarse[differs])[0].tolist()}
        changed |= {*areas_of(other.coarse[differs])[0].tolist()}
        return frozenset(labels) - changed

    def other_labels(self, now: IntArray, others: Collection[int]) -> IntArray:
        """The coarse masks of `others`, and all other labels as they are `now`."""
        ids = np.array(sorted(others), now.dtype)
        mixed = np.where(np.isin(self.coarse, ids), self.coarse, 0).astype(now.dtype)
        stays = (now != 0) & ~np.isin(now, ids)
        mixed[stays] = now[stays]
        return mixed


class Change(NamedTuple):
    """What a write changed in a sheet: one side of it, to go back and forth."""

    sheet: Sheet
    at: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
    made: IntArray
    labels: frozenset[int] | None
    accepted: frozenset[int]

    def put(self) -> None:
        """Make it so."""
        sheet = self.sheet
        sheet.made[self.at] = self.made
        touched = sheet.accepted | self.accepted
        if self.labels is not None:
            touched &= self.labels
        sheet.accepted = (sheet.accepted - touched) | (self.accepted & touched)


def as_it_is(image: Image) -> ImageGiver:
    """Gives the layer while it shows this picture; masks belong to no other one."""
    layer, array = weakref.ref(image), array_of(image)

    def found() -> Image | None:
        one = layer()
        return one if one is not None and one.data is array() else None

    return found


def areas_of(labels: IntArray) -> tuple[IntArray, npt.NDArray[np.intp]]:
    """The labels that there are, rising, and their pixels; counting beats sorting."""
    if labels.size and labels.min() >= 0 and labels.max() < MOST_BINS:
        counts = np.bincount(labels.ravel())
        found = np.flatnonzero(counts)
        return found, counts[found]
    return np.unique(labels, return_counts=True)
