"""Runs from the press of a button to pixels in a layer; it needs no window."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_segrefiner.errors import SegRefinerError
from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.engine import Engine
from napari_segrefiner.plugin.frames import Frame
from napari_segrefiner.plugin.layers import (
    check_labels,
    is_labels,
    is_listed,
    unwrap,
)
from napari_segrefiner.plugin.loader import Loader
from napari_segrefiner.plugin.marks import Marks
from napari_segrefiner.plugin.planes import displayed_plane
from napari_segrefiner.plugin.preview import Preview
from napari_segrefiner.plugin.results import Results
from napari_segrefiner.plugin.review import Review
from napari_segrefiner.plugin.run import (
    Others,
    Run,
    Single,
    find_others,
    plan_others,
    plan_run,
)
from napari_segrefiner.plugin.run_writer import RunWriter
from napari_segrefiner.plugin.stroke import StrokeWatch
from napari_segrefiner.plugin.teacher import Teacher
from napari_segrefiner.plugin.view import Choices, Job, Tone, View
from napari_segrefiner.plugin.windows_layer import WindowsLayer
from napari_segrefiner.plugin.worker import (
    Failed,
    PlaneDone,
    Progress,
    Runner,
    Windows,
    WorkerEvent,
    refine_planes,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels


class Controller:
    """Starts, stops and finishes runs; one at a time.

    Parameters
    ----------
    viewer : napari viewer or ViewerModel
    view : View
        The dock.
    engine : Engine
        The refiner.
    runner : Runner
        Where work is done.
    """

    def __init__(
        self, viewer: ViewerModel, view: View, engine: Engine, runner: Runner
    ) -> None:
        self._viewer = viewer
        self._view = view
        self._engine = engine
        self._runner = runner
        self._run: Run | None = None
        self._waiting: deque[Single | Others] = deque()
        #: Why some of it could not begin; told with what comes next.
        self._missed: list[str] = []
        self._is_closed = False
        #: Where the cursor was when "Next" moved the picture, and what it went to.
        self._shown: tuple[tuple[float, ...], Labels, int] | None = None
        self.preview = Preview(viewer)
        self.windows = WindowsLayer(viewer)
        self.results = Results(viewer)
        self.marks = Marks(viewer, self._count_soon)
        self.review = Review(viewer, self.results, self.marks, self._on_undone)
        self._writer = RunWriter(viewer, self.results, self.review, self.marks)
        self.loader = Loader(view, engine, runner, lambda: self.is_running)
        self.teacher = Teacher(view, engine, runner, self.marks, self._on_taught)
        self._link_results()
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.inserted.connect(self._on_inserted)

    # ---- what the buttons and keys do

    @property
    def is_running(self) -> bool:
        """Whether a run is at work, or a model learns."""
        return self.job is not None

    @property
    def job(self) -> Job | None:
        """What is at work."""
        if self._run is not None:
            return "objects" if self._run.label is None else "object"
        return "learning" if self.teacher.is_teaching else None

    def warm(self) -> None:
        """Load the chosen model in the background."""
        self.loader.warm()

    def add_model(self, path: str) -> None:
        """Put a weight file into the user's models and choose it."""
        self.loader.add(path)

    def refine(self) -> None:
        """Refine all objects of the chosen labels."""
        if self.is_running:
            self._say_busy()
            return
        self._say_why(self._start(None))

    def refine_others(self) -> None:
        """Refine the objects of all results that are neither accepted nor edited."""
        if self.is_running:
            self._say_busy()
            return
        self._waiting.extend(find_others(self.marks))
        if not self._waiting:
            self._view.show_message(messages.NO_OTHERS, "notice")
            return
        self._start_waiting()

    def learn(self) -> None:
        """Teach the chosen model what was corrected."""
        if self.is_running:
            self._say_busy()
            return
        choices = self._view.read()
        self.teacher.start(choices.model, choices.options)
        if self.teacher.is_teaching:
            self.loader.hush()

    def refine_selected(self) -> None:
        """Refine the selected label."""
        self.refine_selected_of(self.operand())

    def refine_selected_of(self, layer: Labels | None) -> None:
        """Refine the selected label of a layer."""
        if layer is None:
            self._view.show_message(messages.NO_LABELS, "notice")
        elif not layer.selected_label:
            self._view.show_message(messages.NO_SELECTION, "notice")
        else:
            self.refine_object(layer, int(layer.selected_label))

    def refine_under_cursor(self) -> None:
        """Refine the object under the cursor."""
        layer = self.operand()
        label = None if layer is None else self.label_under_cursor(layer)
        if layer is None:
            self._view.show_message(messages.NO_LABELS, "notice")
        elif label is None:
            self._view.show_message(self._why_no_object(layer), "notice")
        else:
            self.refine_object(layer, label)

    def _why_no_object(self, layer: Labels) -> str:
        """Why there is no object under the cursor, and what to do."""
        try:
            check_labels(layer)
            displayed_plane(self._viewer, layer)
        except SegRefinerError as error:
            return str(error)
        return messages.NO_OBJECT if layer.visible else messages.hidden(layer.name)

    def refine_object(self, layer: Labels, label: int) -> None:
        """Refine one object of the displayed plane, after those that are at work."""
        if self.job in ("objects", "learning"):
            self._say_busy()
            return
        try:
            check_labels(layer)
            single = Single(layer, displayed_plane(self._viewer, layer), label)
        except SegRefinerError as error:
            self._view.show_message(str(error), "notice")
            return
        if self._run is None:
            self._say_why(self._start(single))
        elif not self._run.is_for(single) and single not in self._waiting:
            self._waiting.append(single)

    def stop(self) -> None:
        """Stop the run, or the learning, at its next step."""
        self._waiting.clear()
        self.teacher.stop()
        run = self._run
        if run is not None and run.has_ended:
            self._finish(run, waits=False)
        elif run is not None and run.handle is not None:
            run.is_stopped = True
            run.handle.cancel()
            self._view.show_message(messages.STOPPING, "busy")

    def next_object(self) -> None:
        """Go to the next object that needs a look."""
        layer = self.review.reviewed(self.operand())
        text, tone = self.review.go_to_next(layer)
        if layer is not None and tone == "done":
            position = tuple(self._viewer.cursor.position)
            self._shown = position, layer, int(layer.selected_label)
        self._view.show_message(text, tone)

    def accept_object(self) -> None:
        """Accept the selected object of a result, or take that back."""
        self._view.show_message(*self.review.accept(self.operand()))

    def count_corrections(self) -> None:
        """Show how many objects there are to learn from, and how many others."""
        if not self._is_closed:
            self._view.show_counts(*self.marks.count())

    def _on_undone(self, layer: Labels, is_done: bool) -> None:
        """What was said of a run is not so any more, or again."""
        if not self.is_running and not self._is_closed:
            self._view.show_message(
                messages.undone(layer.name, is_done=is_done), "done"
            )

    def _count_soon(self) -> None:
        if not self._is_closed:
            self._view.count_soon()

    def restore_object(self) -> None:
        """Give the object under the cursor, or the selected one, its coarse mask."""
        layer = self.operand()
        shown = self.review.reviewed(layer) or layer
        self._restore(layer, None if shown is None else self.label_under_cursor(shown))

    def restore_selected(self) -> None:
        """Give the selected object its coarse mask, wherever the cursor was last."""
        self._restore(self.operand(), None)

    def _restore(self, layer: Labels | None, label: int | None) -> None:
        if self._run is not None:
            self._say_busy()
            return
        self._view.show_message(*self.review.restore(layer, label))

    def show_source(self, is_shown: bool) -> None:
        """Show the coarse labels instead of the refined ones, or go back."""
        if not is_shown:
            self.review.show_result()
            return
        sentence = self.review.show_source(self.operand())
        if sentence:
            self._view.show_message(sentence, "notice")

    def _say_busy(self) -> None:
        self._view.show_message(messages.busy(self.job), "notice")

    def tick(self) -> None:
        """Called some ten times a second while a run is at work."""
        self.preview.show()
        self.windows.show()
        if self._run is not None and self._run.has_ended:
            self._finish(self._run)

    def rest(self) -> None:
        """Called when nothing has been going on for a while."""
        if self._run is None:
            self.preview.remove()

    def close(self, *, is_viewer_alive: bool) -> None:
        """Stop everything and let go of the viewer."""
        if self._is_closed:
            return
        self._is_closed = True
        self._waiting.clear()
        run, self._run = self._run, None
        if run is not None:
            if run.handle is not None:
                run.handle.cancel()
            if run.stroke is not None:
                run.stroke.close()
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.loader.close()
        self.teacher.close()
        self.review.close()
        self.marks.close()
        if is_viewer_alive:
            self.review.show_result()
            self.preview.remove()

    # ---- which layer and object is meant

    def operand(self) -> Labels | None:
        """The layer whose objects are meant: the active result, else the chosen one.

        Where that is hidden behind its result, as after a run, it is what is seen.
        """
        active = unwrap(self._viewer.layers.selection.active)
        if active is not None and is_labels(active) and self.results.is_result(active):
            return active
        chosen = self._view.read().labels
        if chosen is None or chosen.visible or chosen is active:
            return chosen
        shown = self.review.reviewed(chosen)
        return shown if shown is not None and shown.visible else chosen

    def label_under_cursor(self, layer: Labels) -> int | None:
        """The label of `layer` under the cursor, None over the background.

        Where "Next" has moved the picture under a resting cursor, it is what was shown.
        """
        if layer.multiscale:
            return None
        if self._shown is not None:
            position, shown, label = self._shown
            is_meant = layer in (shown, self.results.source_of(shown))
            if is_meant and tuple(self._viewer.cursor.position) == position:
                return label
        value = layer.get_value(self._viewer.cursor.position, world=True)
        return int(value) if value else None

    # ---- a run

    def _start(self, wanted: Single | Others | None) -> str:
        """Begin with it, None: all chosen labels; a sentence if it cannot be."""
        choices = self._view.read()
        try:
            if isinstance(wanted, Others):
                run = plan_others(self.marks, choices, wanted)
            else:
                run = plan_run(self._viewer, self.results, choices, wanted)
        except SegRefinerError as error:
            return str(error)
        self._begin(choices, run)
        return ""

    def _say_why(self, sentence: str) -> None:
        if sentence:
            self._view.show_message(sentence, "notice")

    def _begin(self, choices: Choices, run: Run) -> None:
        self.preview.begin(run.source)
        self.windows.begin(run.source if choices.show_windows else None)
        self._run = run
        self.loader.hush()
        hidden = [] if run.destination else self.results.results_of(run.source)
        run.stroke = StrokeWatch(run.destination or run.source, run.source, *hidden)
        self._view.show_job(self.job)
        self._view.show_progress(None, "")
        self._view.show_message(run.text, "busy")
        run.handle = self._runner.start(
            partial(refine_planes, self._engine, run.request),
            partial(self._on_event, run),
            partial(self._on_end, run),
        )

    def _on_event(self, run: Run, event: WorkerEvent) -> None:
        if self._is_closed or run is not self._run:
            return
        match event:
            case Frame():
                self.preview.push(event)
            case Progress(share=share):
                run.share = share
                elapsed = time.monotonic() - run.started
                self._view.show_progress(share, messages.remaining(share, elapsed))
                if share < 1 and not run.is_stopped and run.number != run.told:
                    run.told = run.number
                    self._view.show_message(run.text, "busy")
            case Windows():
                self.windows.push(event)
            case PlaneDone():
                run.done.append(event)
            case Failed(text=text):
                run.failed = text

    def _on_end(self, run: Run) -> None:
        if self._is_closed or run is not self._run:
            return
        run.has_ended = True
        self._finish(run)

    def _finish(self, run: Run, *, waits: bool = True) -> None:
        """Write what is done, unless the user is in the midst of a stroke."""
        is_painting = run.stroke is not None and run.stroke.is_painting
        if waits and is_painting and not run.is_void:
            # Now, it would cut the stroke's undo step in two; tick() asks again.
            self._view.show_message(messages.PAINTING, "busy")
            return
        if run.stroke is not None:
            run.stroke.close()
        self._run = None
        text: str = messages.DISTURBED
        tone: Tone = "notice"
        try:
            text, tone = self._writer.write(run)
        except SegRefinerError as error:
            text = str(error)
        finally:
            if self._missed:
                text, tone = " ".join([text, *self._missed]), "notice"
                self._missed.clear()
            # Also if a listener of another plugin fails: the dock is free again.
            self._view.show_job(None)
            self._view.show_review(self.review.has_results)
            self._view.show_message(text, tone)
            self.windows.finish()
            if run.label is None:
                self.preview.remove()
            else:
                self.preview.hide()
            if self._waiting:
                self._start_waiting()
            self.loader.catch_up()

    def _start_waiting(self) -> None:
        """Begin with what was asked for meanwhile, but for what cannot be any more."""
        while self._waiting and self._run is None:
            wanted = self._waiting.popleft()
            if is_listed(self._viewer, wanted.layer):
                sentence = self._start(wanted)
                if sentence:
                    self._missed.append(sentence)
        if self._run is None:
            self._say_why(" ".join(self._missed))
            self._missed.clear()

    def _link_results(self) -> None:
        """Find the sources of results of an earlier dock, and take up their marks."""
        for result, source in self.results.link():
            self.marks.adopt(result, source)

    def _on_inserted(self, event: Any) -> None:
        """A layer has come: an earlier result perhaps, or the source of one."""
        if self._is_closed:
            return
        self._link_results()
        self._view.show_review(self.review.has_results)
        self._count_soon()

    def _on_removed(self, event: Any) -> None:
        """A layer was deleted."""
        if self._is_closed:
            # The widget was freed by another listener of this very event.
            return
        layer = event.value
        if self._shown is not None and self._shown[1] is layer:
            self._shown = None  # it would be kept alive
        run = self._run
        if run is not None and (run.writes(layer) or run.reads(layer)):
            run.is_void = run.is_void or run.writes(layer)
            run.failed = messages.removed(layer.name)
            self._waiting.clear()
            if run.handle is not None:
                run.handle.cancel()
        self._view.show_review(self.review.has_results)
        self._count_soon()

    def _on_taught(self, name: str, text: str, tone: Tone) -> None:
        """A model has learnt: its name, empty if there is none, and what to say."""
        if self._is_closed:
            return
        self._view.show_job(None)
        self._view.show_message(text, tone)
        if name:
            self.loader.introduce(name, text, tone)
        self.loader.catch_up()
