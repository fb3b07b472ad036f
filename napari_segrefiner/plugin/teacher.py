"""Learning from corrections, from the press of a button to a new model."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from napari_segrefiner.options import RefineOptions
from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.engine import Engine, Learnt
from napari_segrefiner.plugin.marks import Marks
from napari_segrefiner.plugin.view import Tone, View
from napari_segrefiner.plugin.worker import (
    Failed,
    Handle,
    Progress,
    Runner,
    WorkerEvent,
    learn,
)
from napari_segrefiner.training.correction_data import LEAST_OBJECTS


class Teacher:
    """Starts, stops and finishes a learning; one at a time.

    Parameters
    ----------
    view : View
    engine : Engine
    runner : Runner
        Where it is done.
    marks : Marks
        What was corrected.
    on_end : callable
        ``on_end(name, text, tone)``: the name of the new model, empty if there is none,
        and the sentence to show. It is called for every learning that was started.
    """

    def __init__(
        self,
        view: View,
        engine: Engine,
        runner: Runner,
        marks: Marks,
        on_end: Callable[[str, str, Tone], None],
    ) -> None:
        self._view = view
        self._engine = engine
        self._runner = runner
        self._marks = marks
        self._tell = on_end
        self._handle: Handle | None = None
        self._outcome: Learnt | Failed | None = None
        self.is_teaching = False

    def start(self, model: str, options: RefineOptions) -> None:
        """Teach `model` the corrected objects, or say how many are missing."""
        corrected = self._marks.collect()
        n_objects = sum(len(one.ids) for one in corrected)
        if n_objects < LEAST_OBJECTS:
            text = messages.too_few(n_objects, LEAST_OBJECTS)
            self._view.show_message(text, "notice")
            return
        self.is_teaching, self._outcome = True, None
        self._view.show_job("learning")
        self._view.show_progress(None, "")
        self._view.show_message(messages.learning(n_objects), "busy")
        self._handle = self._runner.start(
            partial(learn, self._engine, model, options, corrected),
            self._on_event,
            self._on_end,
        )

    def stop(self) -> None:
        """Stop at the next step; no model comes of it."""
        if self.is_teaching and self._handle is not None:
            self._handle.cancel()
            self._view.show_message(messages.STOPPING, "busy")

    def close(self) -> None:
        """Stop, and say nothing more."""
        if self._handle is not None:
            self._handle.cancel()
        self.is_teaching = False

    def _on_event(self, event: WorkerEvent) -> None:
        if not self.is_teaching:
            return
        match event:
            case Progress(share=share, remaining=remaining):
                if not math.isnan(remaining):  # tests in between do not know
                    self._view.show_progress(share, messages.time_left(remaining))
            case Learnt() | Failed():
                self._outcome = event

    def _on_end(self) -> None:
        if not self.is_teaching:
            return
        self.is_teaching, self._handle = False, None
        match self._outcome:
            case Learnt(name=name, sentence=sentence):
                text = messages.learnt(sentence, name, self._marks.count().n_others)
                self._tell(name, text, "done" if name else "notice")
            case Failed(text=text):
                self._tell("", text, "notice")
            case _:
                self._tell("", messages.NOT_LEARNT, "notice")
