"""A finished run into its layers: pixels, features, the record, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_segrefiner.core.events import outcome, passes_text
from napari_segrefiner.metrics import iou
from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.edits import Edit, write_undoable
from napari_segrefiner.plugin.findings import (
    Finding,
    count,
    count_consensus,
    count_modes,
    finding,
    merge,
)
from napari_segrefiner.plugin.images import same_place
from napari_segrefiner.plugin.layer_record import (
    read_rows,
    read_runs,
    write_features,
    write_record,
)
from napari_segrefiner.plugin.layers import is_preview
from napari_segrefiner.plugin.marks import Marks, Part
from napari_segrefiner.plugin.planes import array_shape, place_text
from napari_segrefiner.plugin.results import Results
from napari_segrefiner.plugin.review import Review, Told
from napari_segrefiner.plugin.run import Run
from napari_segrefiner.plugin.view import Tone

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

#: A single label with more parts than this is hardly one object.
MANY_PARTS = 20


class RunWriter:
    """Writes what a run has found, and tells review and marks of it.

    Parameters
    ----------
    viewer : napari viewer or ViewerModel
    results : Results
        Makes the result layers.
    review : Review
    marks : Marks
    """

    def __init__(
        self, viewer: ViewerModel, results: Results, review: Review, marks: Marks
    ) -> None:
        self._viewer = viewer
        self._results = results
        self._review = review
        self._marks = marks

    def write(self, run: Run) -> tuple[str, Tone]:
        """Write the finished planes; returns the sentence to show and its tone.

        Raises
        ------
        SegRefinerError
            If the layer cannot be written.
        """
        if run.is_void or not run.done:
            is_stopped = messages.STOPPED if run.is_stopped else ""
            return run.failed or is_stopped or messages.NO_LABELS, "notice"
        if array_shape(run.destination or run.source) != run.shape:
            return messages.RESHAPED, "notice"
        if run.replaced is not None:
            return messages.source_changed(run.replaced.name), "notice"
        found = [
            finding(done.plane, report) for done in run.done for report in done.report
        ]
        findings = merge(found)
        if all(f.status == "skipped" for f in findings.values()):
            return outcome(count(findings)), "notice"
        before: Told = {}
        parts = self._parts(run)
        if run.destination is None:
            layer, written = self._results.make(run.source, run.edits)
            edits = []  # nothing that could be undone
        else:
            layer = run.destination
            before = self._review.told(layer, findings)
            edits = _sparing(run, parts)
            written = write_undoable(layer, edits)
        is_told = run.label is not None and not written and _has_row(layer, run.label)
        if not is_told:  # else nothing is new, and a mark stays
            self._tell(run, layer, self._since_coarse(run, layer, found))
            if run.destination is not None:
                self._review.note(layer, edits, before)
            channel = run.request.image.channel
            self._marks.note(layer, edits, parts, run.looked_at, channel)
        self._results.note_written(layer)
        notices = self._bring_forward(run, layer)
        return _sentence(run, findings, run.n_pixels - written, notices)

    def _tell(self, run: Run, layer: Labels, found: Sequence[Finding]) -> None:
        """Put the findings into the layer's record and features, and up for review."""
        write_record(layer, run.image, run.request.image.channel, run.done)
        # Whoever asks for a single object is looking at it.
        findings = self._review.add(layer, found, look_again=run.label is None)
        has_modes = run.request.options.mode != "objects"
        write_features(layer, findings, has_modes=has_modes)

    def _since_coarse(
        self, run: Run, layer: Labels, found: Sequence[Finding]
    ) -> Sequence[Finding]:
        """The change of one object counted from its first mask, not from its last."""
        if run.label is None:
            return found
        (one,) = found
        coarse = self._marks.coarse(layer, one.plane)
        if coarse is None or not (coarse == one.label).any():
            return found
        now = np.asarray(layer.data[one.plane.index]) == one.label
        change = 1.0 - iou(coarse == one.label, now)
        return [replace(one, change=change)]

    def _parts(self, run: Run) -> list[Part]:
        """What is going to be written, plane by plane.

        Without others that were accepted or edited during the run. All of a new layer
        is the plugin's work.
        """
        request = run.request
        if run.destination is None:
            return [Part(done.plane, None, done.coarse) for done in run.done]
        if request.others is None:
            return [
                Part(done.plane, request.chosen(done.plane), done.coarse)
                for done in run.done
            ]
        now = self._marks.standings(run.destination)
        return [
            Part(
                done.plane,
                request.others[done.plane] & now[done.plane].others
                if done.plane in now
                else frozenset(),
            )
            for done in run.done
        ]

    def _bring_forward(self, run: Run, layer: Labels) -> str:
        """Show the result instead of its source, unless the user is elsewhere now.

        Older results go out of sight with the source when a new one comes: they would
        show through it. Returns what is to be said of those that were corrected.
        """
        if layer is run.source:
            return ""
        self._review.forget_look()
        selection = self._viewer.layers.selection
        active = selection.active
        replaced = [run.source]
        if run.destination is None:
            replaced += [
                other
                for other in self._results.results_of(run.source)
                if other is not layer
            ]
        mode = active.mode if active in replaced else run.source.mode
        if not layer.visible:
            layer.visible = True
        notices = ""
        for other in replaced:
            if other.visible:
                other.visible = False
                n_planes = len(read_runs(other).keys() - set(run.request.planes))
                n_corrected = self._marks.count_marked(other)
                notices += messages.put_aside(other.name, n_planes, n_corrected)
        is_ours = active is None or is_preview(active)  # looked at, not worked in
        if is_ours or active in (*replaced, run.image):
            layer.mode = mode  # first: napari may fail to show the status of the other
            selection.active = layer
        return notices


def _has_row(layer: Labels, label: int) -> bool:
    """Whether the layer's features tell what has become of an object."""
    return "status" in (read_rows(layer) or {}).get(label, {})


def _sparing(run: Run, parts: Sequence[Part]) -> list[Edit]:
    """The edits without what is not to be written of others."""
    others = run.request.others
    if others is None:
        return run.edits
    return [
        edit.sparing(others[edit.plane] - (part.labels or set()))
        for edit, part in zip(run.edits, parts, strict=True)
    ]


def _sentence(
    run: Run, findings: Mapping[int, Finding], n_left: int, notices: str
) -> tuple[str, Tone]:
    """What has become of the objects; `n_left` pixels were painted meanwhile."""
    n_done, n_planes = len(run.done), len(run.request.planes)
    if run.failed:
        rest = f" {messages.planes_refined(n_done, n_planes)}." if n_planes > 1 else ""
        return run.failed + rest, "notice"
    if run.is_stopped and run.share < 1:
        return messages.stopped_at(n_done, n_planes), "notice"
    passes = passes_text(
        count_modes(findings) if run.request.options.mode == "auto" else None,
        count_consensus(findings),
        sum(item.n_windows for item in findings.values()),
    )
    if run.label is None:
        counts = count(findings)
        place = place_text(run.request.planes[0], run.shape)
        where = messages.in_planes(n_planes, place)
        sentence = messages.finished(counts, where, passes, n_left)
    else:
        one = findings[run.label]
        sentence = messages.one_finished(
            one.label, one.status, one.change, passes, n_left
        )
        if run.destination is None and one.status == "refined":
            sentence += messages.IN_NEW_LAYER
    if run.is_in_place and run.n_pixels > n_left:
        sentence += messages.into_itself(run.source.name)
    if not same_place(run.image, run.source):
        notices += messages.apart(run.source.name, run.image.name)
    n_parts = max(done.n_parts for done in run.done)
    if len(findings) == 1 and n_parts > MANY_PARTS:
        notices += messages.many_parts(next(iter(findings)), n_parts)
    return sentence + notices, "notice" if notices else "done"
