"""Models on their way into memory: the chosen one, and new ones with what they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from napari_segrefiner.options import RefineOptions
from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.engine import Added, Engine
from napari_segrefiner.plugin.view import Tone, View
from napari_segrefiner.plugin.worker import (
    Failed,
    Runner,
    Warmed,
    WorkerEvent,
    add_model,
    warm_model,
)


class Loader:
    """Loads the model that is chosen, and adds models.

    Parameters
    ----------
    view : View
    engine : Engine
    runner : Runner
        Where it is done.
    is_busy : callable
        Whether something else has the word in the view.
    """

    def __init__(
        self, view: View, engine: Engine, runner: Runner, is_busy: Callable[[], bool]
    ) -> None:
        self._view = view
        self._engine = engine
        self._runner = runner
        self._is_busy = is_busy
        self._is_closed = False
        self._is_hushed = False
        self._is_due = False
        self._warming: tuple[str, RefineOptions] | None = None
        # What to say once a new model is loaded, or "Ready." would be all that is seen.
        self._news: tuple[str, str, Tone] | None = None

    def warm(self, *, is_quiet: bool = False) -> None:
        """Load the chosen model in the background, once nothing else is at work.

        Until then it could only wait, and would keep a thread from everybody else.
        """
        self._is_due = self._is_busy()
        if self._is_due:
            return
        choices = self._view.read()
        options = choices.options
        # What decides on the values that the model gives, and on where it is put.
        wanted = RefineOptions(
            preset=options.preset,
            direction=options.direction,
            device=options.device,
            precision=options.precision,
        )
        if self._warming == (choices.model, wanted):
            return
        self._warming = (choices.model, wanted)
        self._is_hushed = is_quiet
        if not is_quiet:
            self._view.show_message(messages.LOADING, "busy")
        self._runner.start(
            lambda _: warm_model(self._engine, choices.model, wanted),
            partial(self._on_warm_event, self._warming),
            partial(self._on_warm_end, self._warming),
        )

    def catch_up(self) -> None:
        """Load what was chosen while something else was at work; say nothing of it."""
        if self._is_due and not self._is_closed:
            self.warm(is_quiet=True)

    def add(self, path: str) -> None:
        """Put a weight file into the user's models and choose it."""
        self._view.show_message(messages.adding(Path(path).name), "busy")
        self._runner.start(
            lambda _: add_model(self._engine, path), self._on_added, lambda: None
        )

    def introduce(self, name: str, text: str, tone: Tone) -> None:
        """Choose a new model, and say `text` once it is loaded."""
        self._news = (name, text, tone)
        self._view.show_model(name)

    def hush(self) -> None:
        """Something else is at work: its sentences stand, whichever ends first."""
        self._is_hushed = True

    def close(self) -> None:
        """Say nothing more."""
        self._is_closed = True

    def _on_warm_event(
        self, wanted: tuple[str, RefineOptions], event: WorkerEvent
    ) -> None:
        if self._is_closed or wanted != self._warming:
            return
        match event:
            case Warmed(facts=facts):
                self._view.show_facts(facts)
                news, self._news = self._news, None
                if news is not None and news[0] == wanted[0]:
                    self._view.show_message(*news[1:])
                elif not self._is_hushed:
                    self._view.show_message(messages.READY, "done")
            case Failed(text=text):
                if not self._is_busy():
                    self._view.show_message(text, "notice")

    def _on_warm_end(self, wanted: tuple[str, RefineOptions]) -> None:
        if wanted == self._warming:
            self._warming = None

    def _on_added(self, event: WorkerEvent) -> None:
        """A model has joined the others, or was refused."""
        if self._is_closed:
            return
        match event:
            case Added(name=name, notes=notes):
                text = messages.added(name, notes)
                self.introduce(name, text, "notice" if notes else "done")
            case Failed(text=text):
                self._view.show_message(text, "notice")
