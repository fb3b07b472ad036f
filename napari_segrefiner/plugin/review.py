"""A look at the results: which object next, coarse instead of refined, and back."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segrefiner.errors import InputError
from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.edits import Edit, restoring_edit, write_undoable
from napari_segrefiner.plugin.findings import RESTORED, Finding, Queue
from napari_segrefiner.plugin.layer_record import (
    Row,
    put_rows,
    read_findings,
    read_rows,
    write_features,
)
from napari_segrefiner.plugin.layers import check_writable, entry, is_labels, is_listed
from napari_segrefiner.plugin.ledger import Ledger
from napari_segrefiner.plugin.marks import ACCEPTED, Marks, Part
from napari_segrefiner.plugin.planes import Plane, displayed_plane
from napari_segrefiner.plugin.results import Results
from napari_segrefiner.plugin.sheet import areas_of
from napari_segrefiner.plugin.view import Tone
from napari_segrefiner.training.correction_data import LEAST_OBJECTS

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

#: Of each label its findings and its row in the features table, None where it has none.
Told = dict[int, tuple[dict[Plane, Finding], Row | None]]

#: An object in review takes between these shares of what is in sight.
LEAST_SHARE, MOST_SHARE = 0.3, 0.7


class Review:
    """Findings of the result layers, and what a person does with them.

    Parameters
    ----------
    viewer : napari viewer or ViewerModel
    results : Results
    marks : Marks
    say_undone : callable
        ``say_undone(layer, is_done)`` hears that a step of ours was undone or redone.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        results: Results,
        marks: Marks,
        say_undone: Callable[[Labels, bool], None],
    ) -> None:
        self._viewer = viewer
        self._results = results
        self._marks = marks
        self._queues: weakref.WeakKeyDictionary[Labels, Queue] = (
            weakref.WeakKeyDictionary()
        )
        self._ledger: Ledger[Told] = Ledger(self._put, say_undone)
        # Both layers and whether they were visible before the look at the source.
        self._compared: tuple[Labels, bool, Labels, bool] | None = None

    @property
    def has_results(self) -> bool:
        """Whether a listed layer has findings."""
        refined = [*self._results.layers(), *self._queues]
        return any(is_listed(self._viewer, layer) for layer in refined)

    def add(
        self, layer: Labels, found: Sequence[Finding], *, look_again: bool
    ) -> Collection[Finding]:
        """Take what a run found that went into `layer`; what is known of these now."""
        source = self._results.source_of(layer)
        if source is not None and not self._results.is_result(source):
            # Whoever means it means the newest result, no older run in the source.
            self._queues.pop(source, None)
        queue = self._queues.setdefault(layer, Queue())
        queue.update(found, look_again=look_again)
        return queue.of({one.label for one in found}).values()

    def told(self, layer: Labels, labels: Iterable[int]) -> Told:
        """What is told of some objects of `layer` at this moment."""
        rows = read_rows(layer) or {}
        queue = self._queue(layer) or Queue()
        return {
            label: (dict(queue.planes.get(label, {})), copy.copy(rows.get(label)))
            for label in labels
        }

    def note(self, layer: Labels, edits: Sequence[Edit], before: Told) -> None:
        """Let what is told follow undo and redo of `edits`, just written."""
        self._ledger.note(layer, edits, before, self.told(layer, before))

    def close(self) -> None:
        """Let go of the layers."""
        self._ledger.close()

    def go_to_next(self, layer: Labels | None) -> tuple[str, Tone]:
        """Centre the next object that needs a look; returns a sentence."""
        layer = self.reviewed(layer)
        queue = None if layer is None else self._queue(layer)
        if layer is None or queue is None or not queue.planes:
            return messages.NO_RESULT, "notice"
        is_there, accepted = _Presence(layer), self._marks.accepted(layer)

        def is_accepted(label: int) -> bool:
            """Whether it is so in all planes in which it was refined."""
            return all((plane, label) in accepted for plane in queue.planes[label])

        found = queue.next(is_there, is_accepted)
        if found is None:
            there = [item.label for item in queue.ranked if is_there(item)]
            are_all = bool(there) and all(map(is_accepted, there))
            return messages.ALL_ACCEPTED if are_all else messages.ALL_SEEN, "notice"
        item, place, total = found
        layer.selected_label = item.label
        centre_on(self._viewer, layer, item)
        sentence = messages.look_at(
            item.label, place, total, item.status, item.change, item.uncertainty
        )
        return sentence, "done"

    def restore(self, layer: Labels | None, label: int | None) -> tuple[str, Tone]:
        """Give an object of the displayed plane its coarse mask back, as one undo step.

        Without `label` it is the selected one.
        """
        result = self._result(layer)
        if result is None:
            if layer is not None and layer in self._queues:
                return messages.IN_PLACE, "notice"
            return messages.NO_RESTORE, "notice"
        source = self._results.source_of(result)
        if source is None:
            return _gone(result), "notice"
        if source.data.shape != result.data.shape:
            return _gone(result), "notice"
        if not self._results.still_belongs(result):
            return messages.source_changed(source.name), "notice"
        label = label or int(result.selected_label)
        if not label:
            return messages.NO_RESTORE, "notice"
        try:
            check_writable(result)
            plane = displayed_plane(self._viewer, result)
        except InputError as error:
            return str(error), "notice"
        edit = restoring_edit(
            plane,
            label,
            np.asarray(source.data[plane.index]),
            np.asarray(result.data[plane.index]),
        )
        before = self.told(result, [label])
        if not write_undoable(result, [edit]):
            return messages.SAME, "notice"
        self._results.note_written(result)
        self._mark_restored(result, plane, label)
        self.note(result, [edit], before)
        self._marks.note(result, [edit], [Part(plane, frozenset((label,)))])
        active = self._viewer.layers.selection.active
        if not is_labels(active) or not active.visible:
            self._viewer.layers.selection.active = result  # else Ctrl+Z is for another
        return f"Label {label} is coarse again; Ctrl+Z takes that back", "done"

    def accept(self, layer: Labels | None) -> tuple[str, Tone]:
        """Accept the selected object of the displayed plane, or take that back."""
        if not self._marks.knows(layer):
            layer = self._result(layer)
        if layer is None or not layer.selected_label:
            return messages.NO_ACCEPT, "notice"
        if not self._marks.knows(layer):
            return _gone(layer), "notice"  # else the marks had adopted it
        label = int(layer.selected_label)
        try:
            plane = displayed_plane(self._viewer, layer)
        except InputError as error:
            return str(error), "notice"
        is_accepted = self._marks.toggle(layer, plane, label)
        if is_accepted is None:
            return messages.not_there(label), "notice"
        n_corrected, _ = self._marks.count()
        if is_accepted:
            queue = self._queue(layer)
            if queue is not None:
                queue.seen.add(label)
            return messages.accepted(label, n_corrected, LEAST_OBJECTS), "done"
        standing = self._marks.standings(layer).get(plane)
        is_edited = standing is not None and label in standing.edited
        return messages.not_accepted(label, is_edited=is_edited), "done"

    def show_source(self, layer: Labels | None) -> str:
        """Show the source instead of the result; returns a sentence if it cannot."""
        self.show_result()
        result = self._result(layer)
        if result is None:
            is_in_place = layer is not None and layer in self._queues
            return messages.IN_PLACE if is_in_place else messages.NO_RESULT
        source = self._results.source_of(result)
        if source is None:
            return _gone(result)
        self._compared = (result, result.visible, source, source.visible)
        # The source first: no moment without labels, which would be a flash.
        source.visible = True
        result.visible = False
        return ""

    def show_result(self) -> None:
        """Back to what was visible before the look at the source."""
        if self._compared is None:
            return
        result, result_was, source, source_was = self._compared
        self._compared = None
        if is_listed(self._viewer, result):
            result.visible = result_was
        if is_listed(self._viewer, source):
            source.visible = source_was

    def forget_look(self) -> None:
        """Other layers are shown now: there is nothing to go back to."""
        self._compared = None

    def _result(self, layer: Labels | None) -> Labels | None:
        """The result layer meant by `layer`: itself, or the one made from it."""
        if layer is None:
            return None
        if self._results.is_result(layer):
            return layer
        if layer in self._queues:
            return None  # refined itself since: what it is now is in no older result
        return self._results.result_of(layer)

    def reviewed(self, layer: Labels | None) -> Labels | None:
        """The layer with findings that is meant by `layer`."""
        if layer is not None and layer in self._queues:
            return layer
        return self._result(layer)

    def _queue(self, layer: Labels) -> Queue | None:
        """The layer's queue; of a result of an earlier dock, out of what it carries."""
        if layer not in self._queues and self._results.is_result(layer):
            rows = read_rows(layer) or {}
            seen = {label for label, row in rows.items() if row.get("mark") == ACCEPTED}
            queue = Queue(seen=seen)
            queue.update(read_findings(layer).values(), look_again=False)
            self._queues[layer] = queue
        return self._queues.get(layer)

    def _put(self, layer: Labels, told: Told) -> None:
        """Tell of objects what was told before, or again."""
        put_rows(layer, {label: row for label, (_, row) in told.items()})
        queue = self._queues.get(layer)
        if queue is None:
            return
        for label, (planes, _) in told.items():
            queue.planes[label] = dict(planes)
            if not planes:
                del queue.planes[label]

    def _mark_restored(self, layer: Labels, plane: Plane, label: int) -> None:
        queue = self._queues.get(layer)
        found = {} if queue is None else queue.planes.get(label, {})
        if queue is None or plane not in found:
            return
        found[plane] = replace(found[plane], status=RESTORED, change=0.0)
        (left,) = queue.of([label]).values()
        if left.status != RESTORED:
            queue.seen.discard(label)  # there is more of it in other planes
        write_features(layer, [left])


def _gone(result: Labels) -> str:
    """What is said if the source of `result` is not there."""
    return messages.source_gone(result.name, str(entry(result).get("source", "")))


class _Presence:
    """Tells whether objects still have pixels in their planes: people erase some."""

    def __init__(self, layer: Labels) -> None:
        self._layer = layer
        self._present: dict[Plane, set[int]] = {}

    def __call__(self, item: Finding) -> bool:
        plane = item.plane
        if plane not in self._present:
            now = np.asarray(self._layer.data[plane.index])
            self._present[plane] = set(areas_of(now)[0].tolist())
        return item.label in self._present[plane]


def centre_on(viewer: ViewerModel, layer: Labels, item: Finding) -> None:
    """Bring an object to the middle of the canvas, in its plane.

    The zoom changes only if the object would be a dot, or larger than what is in sight.
    """
    middle = item.plane.point(
        (item.box.y0 + item.box.y1 - 1) / 2, (item.box.x0 + item.box.x1 - 1) / 2
    )
    world = np.asarray(layer.data_to_world(middle))
    missing = viewer.dims.ndim - layer.ndim
    for axis in range(layer.ndim):
        if axis + missing not in viewer.dims.displayed:
            viewer.dims.set_point(axis + missing, float(world[axis]))
    shown = [axis - missing for axis in viewer.dims.displayed]
    if min(shown[-2:]) < 0:
        return
    camera = camera_of(viewer)
    # A layer may lack the depth of the 3-D display, and that display the depth.
    camera.center = tuple(
        float(world[axis]) if axis >= 0 else 0.0 for axis in [-1, *shown][-3:]
    )
    first, last = layer.corner_pixels[:, list(item.plane.axes)]
    sight = np.maximum(np.asarray(last) - np.asarray(first), 1)
    if sight.min() <= 1:
        return  # nothing is drawn yet, so there is no zoom to judge
    share = float((np.array(item.box.shape) / sight).max())
    if share < LEAST_SHARE:
        camera.zoom *= LEAST_SHARE / share
    elif share > MOST_SHARE:
        camera.zoom *= MOST_SHARE / share


def camera_of(viewer: ViewerModel) -> Any:
    """The viewer's camera; napari 0.9 has moved it."""
    return getattr(viewer, "scene", viewer).camera
