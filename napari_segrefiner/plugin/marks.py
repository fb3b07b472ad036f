"""Which objects of result layers a person has accepted, or edited by hand."""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_segrefiner.plugin.edits import Edit
from napari_segrefiner.plugin.images import fits, plane_reader
from napari_segrefiner.plugin.layer_record import (
    Origin,
    read_rows,
    read_runs,
    write_marks,
)
from napari_segrefiner.plugin.layers import find_layer, is_image, is_listed
from napari_segrefiner.plugin.ledger import Ledger
from napari_segrefiner.plugin.planes import Plane, array_shape
from napari_segrefiner.plugin.sheet import Change, ImageGiver, Sheet, Standing, as_it_is
from napari_segrefiner.training.correction_data import Correction

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

ACCEPTED, EDITED = "accepted", "edited"


class Tally(NamedTuple):
    """Objects to learn from, of all layers, and others of those that are shown."""

    n_corrected: int
    n_others: int


class Part(NamedTuple):
    """Labels of a plane that were written, None for all; ``coarse`` before that."""

    plane: Plane
    labels: frozenset[int] | None
    coarse: npt.NDArray[Any] | None = None


class Marks:
    """The sheets of all layers that were refined here.

    Parameters
    ----------
    viewer : ViewerModel
    on_change : callable
        Called when marks may have changed, often; counting can wait a little.
    """

    def __init__(self, viewer: ViewerModel, on_change: Callable[[], None]) -> None:
        self._viewer = viewer
        self._on_change = on_change
        self._sheets: weakref.WeakKeyDictionary[Labels, dict[Plane, Sheet]] = (
            weakref.WeakKeyDictionary()
        )
        # What was found out of each plane, with the checksum of its pixels then.
        self._known: weakref.WeakKeyDictionary[
            Labels, dict[Plane, tuple[int, Standing]]
        ] = weakref.WeakKeyDictionary()
        self._stale: weakref.WeakSet[Labels] = weakref.WeakSet()
        self._ledger: Ledger[Sequence[Change]] = Ledger(_put)

    def knows(self, layer: Labels | None) -> bool:
        """Whether something was refined in the layer."""
        return layer is not None and layer in self._sheets

    def note(
        self,
        layer: Labels,
        edits: Sequence[Edit],
        parts: Iterable[Part],
        image: ImageGiver | None = None,
        channel: int | None = None,
    ) -> None:
        """Take `parts`, just written as `edits`, as the plugin's work, also in undo.

        A plane that comes for the first time gets its sheet if the part says what was
        coarse.
        """
        changes = []
        for part in parts:
            sheet = self._sheet(layer, part, image, channel)
            if sheet is None:
                continue
            accepted = frozenset(sheet.accepted)
            now = np.asarray(layer.data[part.plane.index])
            edit = sheet.follow(part.plane, now, part.labels, edits)
            changes.append((sheet, edit, part.labels, accepted))
        old = [
            Change(sheet, (edit.ys, edit.xs), edit.before, labels, accepted)
            for sheet, edit, labels, accepted in changes
        ]
        new = [
            Change(sheet, (edit.ys, edit.xs), edit.after, labels, frozenset())
            for sheet, edit, labels, _ in changes
        ]
        self._ledger.note(layer, edits, old, new)
        self._forget(layer)

    def adopt(self, layer: Labels, source: Labels) -> None:
        """Take up a result of an earlier dock again: its marks, and what is coarse.

        An object that was edited counts as painted as a whole, for what the plugin had
        made of it is forgotten; what was painted without a dock counts as made.
        """
        if layer in self._sheets:
            return
        marks = {
            label: row.get("mark") for label, row in (read_rows(layer) or {}).items()
        }
        accepted = {label for label, mark in marks.items() if mark == ACCEPTED}
        edited = [label for label, mark in marks.items() if mark == EDITED]
        sheets = {}
        for plane, origin in read_runs(layer).items():
            made = np.array(layer.data[plane.index])
            coarse = np.array(source.data[plane.index], made.dtype)
            there = set(np.unique(made).tolist())
            made[np.isin(made, edited)] = 0
            image = self._image(origin)
            sheets[plane] = Sheet(image, origin.channel, coarse, made, accepted & there)
        if sheets:
            self._keep(layer, sheets)

    def toggle(self, layer: Labels, plane: Plane, label: int) -> bool | None:
        """Accept an object, or take that back; None if it is not in a refined plane."""
        sheet = self._sheets.get(layer, {}).get(plane)
        if sheet is None or not (np.asarray(layer.data[plane.index]) == label).any():
            return None
        sheet.accepted ^= {label}
        self._forget(layer)
        return label in sheet.accepted

    def layers(self) -> list[Labels]:
        """The listed layers with sheets, the oldest first."""
        return [x for x in list(self._sheets) if is_listed(self._viewer, x)]

    def coarse(self, layer: Labels, plane: Plane) -> npt.NDArray[Any] | None:
        """A plane's labels before the first refinement, None if there was none."""
        sheet = self._sheets.get(layer, {}).get(plane)
        shape = tuple(array_shape(layer)[axis] for axis in plane.axes)
        return None if sheet is None or sheet.coarse.shape != shape else sheet.coarse

    def sheets(self, layer: Labels) -> dict[Plane, Sheet]:
        """The layer's sheets whose image is still there and whose shape is the same."""
        return {
            plane: sheet
            for plane, sheet in self._fitting(layer).items()
            if _can_be_read(self._viewer, sheet.image(), layer)
        }

    def _fitting(self, layer: Labels) -> dict[Plane, Sheet]:
        """The layer's sheets of its shape, whether their image is there or not."""
        shape = array_shape(layer)
        return {
            plane: sheet
            for plane, sheet in self._sheets.get(layer, {}).items()
            if plane.ndim == len(shape)
            and tuple(shape[axis] for axis in plane.axes) == sheet.made.shape
        }

    def standings(self, layer: Labels) -> dict[Plane, Standing]:
        """How the labels of each sheet stand; no image is needed for that.

        napari tells of much that changes no pixel, such as a slider that moves; a
        checksum is far quicker than looking at all objects again.
        """
        sheets, known = self._fitting(layer), self._known.setdefault(layer, {})
        for plane, sheet in sheets.items():
            if layer not in self._stale and plane in known:
                continue
            now = np.ascontiguousarray(layer.data[plane.index])
            checksum = zlib.crc32(now.data)
            if plane not in known or known[plane][0] != checksum:
                known[plane] = checksum, sheet.standing(now)
        self._stale.discard(layer)
        return {plane: known[plane][1] for plane in sheets}

    def accepted(self, layer: Labels) -> set[tuple[Plane, int]]:
        """The planes and labels of a layer that are accepted."""
        standings = self.standings(layer) if self.knows(layer) else {}
        return {
            (plane, label) for plane, one in standings.items() for label in one.accepted
        }

    def count_marked(self, layer: Labels) -> int:
        """How many objects of a layer are accepted or edited."""
        standings = self.standings(layer).values() if self.knows(layer) else ()
        return sum(len(one.accepted | one.edited) for one in standings)

    def count(self) -> Tally:
        """Count the objects of all layers, and tell the marks in their features."""
        n_others = 0
        for layer in self.layers():
            standings = self.standings(layer)
            if layer.visible:
                planes = self.sheets(layer)
                n_others += sum(len(standings[plane].others) for plane in planes)
            write_marks(layer, _told(standings.values()))
        n_corrected = sum(len(ids) for _, _, _, ids in self._corrected())
        return Tally(n_corrected, n_others)

    def collect(self) -> list[Correction]:
        """The corrected objects of all layers, as they are at this moment."""
        found = []
        for layer, plane, sheet, ids in self._corrected():
            image: Any = sheet.image()  # it is listed
            found.append(
                Correction(
                    # read in the worker, when its turn comes
                    image=partial(
                        plane_reader(image, layer, plane, sheet.channel).read, plane
                    ),
                    coarse=sheet.coarse.copy(),
                    fine=np.array(layer.data[plane.index]),
                    ids=tuple(sorted(ids)),
                    name=image.name,
                )
            )
        return found

    def close(self) -> None:
        """Hear no more of the layers."""
        self._ledger.close()
        for layer in list(self._sheets):
            for event in _events(layer):
                event.disconnect(self._on_event)

    def _corrected(self) -> list[tuple[Labels, Plane, Sheet, frozenset[int]]]:
        """Corrected labels by sheet, the newest layer first.

        An object that was refined twice counts in the newest layer alone: it must not
        be learnt from there and be held back here.
        """
        found: list[tuple[Labels, Plane, Sheet, frozenset[int]]] = []
        for layer in reversed(self.layers()):
            sheets = self.sheets(layer)
            standings = self.standings(layer)
            for plane, sheet in sheets.items():
                ids = standings[plane].corrected
                for _, other_plane, newer, taken in found:
                    if other_plane == plane and newer.image() is sheet.image():
                        ids = ids - sheet.same_coarse(newer, ids & taken)
                if ids:
                    found.append((layer, plane, sheet, ids))
        return found

    def _sheet(
        self, layer: Labels, part: Part, image: ImageGiver | None, channel: int | None
    ) -> Sheet | None:
        """The sheet of the part's plane, a new one if need be."""
        known = self._sheets.get(layer, {}).get(part.plane)
        if part.coarse is None or image is None:
            return known
        if known is not None and known.coarse.shape == part.coarse.shape:
            known.add_coarse(part.coarse)
            known.image, known.channel = image, channel
            return known
        coarse = part.coarse
        new = Sheet(image, channel, coarse.copy(), coarse.copy())
        self._keep(layer, {part.plane: new})
        return new

    def _keep(self, layer: Labels, sheets: dict[Plane, Sheet]) -> None:
        """Know these sheets of the layer, beside those that there are."""
        if layer not in self._sheets:
            self._sheets[layer] = {}
            for event in _events(layer):
                event.connect(self._on_event)
        self._sheets[layer].update(sheets)

    def _image(self, origin: Origin) -> ImageGiver:
        """Gives the listed image that a run has looked at, as it was when found."""
        known: list[tuple[Callable[[], Image | None], ImageGiver]] = []

        def image() -> Image | None:
            if not known or not is_listed(self._viewer, known[0][0]()):
                found = find_layer(self._viewer, origin.image_id, origin.image)
                if found is None or not is_image(found):
                    return None
                known[:] = [(weakref.ref(found), as_it_is(found))]
            return known[0][1]()

        return image

    def _on_event(self, event: Any) -> None:
        self._stale.add(event.source)
        self._on_change()

    def _forget(self, layer: Labels) -> None:
        """What was found out of the layer is out of date."""
        self._known.pop(layer, None)
        self._on_change()


def _can_be_read(viewer: ViewerModel, image: Image | None, layer: Labels) -> bool:
    """Whether the image is still there and belongs to the labels."""
    return image is not None and is_listed(viewer, image) and fits(image, layer)


def _events(layer: Labels) -> tuple[Any, ...]:
    """Painting; undo, redo and much else; what is hidden has no others."""
    return layer.events.paint, layer.events.set_data, layer.events.visible


def _put(layer: Labels, changes: Sequence[Change]) -> None:
    for change in changes:
        change.put()


def _told(standings: Collection[Standing]) -> dict[int, str]:
    """The word for each label; an object of several planes that is accepted in one."""
    told: dict[int, str] = {}
    for standing in standings:
        told |= dict.fromkeys(standing.edited, EDITED)
    for standing in standings:
        told |= dict.fromkeys(standing.accepted, ACCEPTED)
    return told
