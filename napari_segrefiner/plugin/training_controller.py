"""A training from the press of Start to a model; it needs no window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_segrefiner.errors import InputError, SegRefinerError
from napari_segrefiner.plugin import training_messages as messages
from napari_segrefiner.plugin.settings import Settings
from napari_segrefiner.plugin.training_data import LayerPair, write_pairs
from napari_segrefiner.plugin.training_folder import LAST_RUN, RunLook, look_at
from napari_segrefiner.plugin.training_history import History
from napari_segrefiner.plugin.training_process import (
    TrainingProcess,
    training_command,
)
from napari_segrefiner.plugin.training_view import TrainView
from napari_segrefiner.plugin.worker import Failed, Runner
from napari_segrefiner.train_options import TrainOptions, known
from napari_segrefiner.training.event_lines import LineEvent, Noted
from napari_segrefiner.training.events import (
    Progress,
    Stopped,
    TrainDone,
    TrainStarted,
    Validated,
)
from napari_segrefiner.training.examples import EXAMPLES, read_examples
from napari_segrefiner.training.run_state import RunFolder

Launch = Callable[[Sequence[str]], TrainingProcess]


class TrainingController:
    """Starts, watches and stops one training at a time.

    Parameters
    ----------
    view : TrainView
        The dock.
    settings : Settings
        Where the last run is remembered.
    runner : Runner
        Where layers are written.
    launch : callable, optional
        Starts the process of a command; tests start others.
    """

    def __init__(
        self,
        view: TrainView,
        settings: Settings,
        runner: Runner,
        launch: Launch = TrainingProcess,
    ) -> None:
        self._view = view
        self._settings = settings
        self._runner = runner
        self._launch = launch
        self._process: TrainingProcess | None = None
        self._is_writing = False
        self._is_cancelled = False
        self._is_closed = False
        self._folder = Path()
        self._minutes = 0.0
        self._history = History()
        self._notes: list[str] = []
        self._last: LineEvent | None = None

    @property
    def is_running(self) -> bool:
        """Whether a training is at work, or is being prepared."""
        return self._process is not None or self._is_writing

    # ---- what the buttons do

    def look(self) -> None:
        """Show what the chosen run folder holds."""
        if self.is_running:
            return
        folder = self._view.folder()
        try:
            look = None if folder is None else look_at(folder)
            history = History() if folder is None else History.of_run(folder)
        except SegRefinerError as error:
            self._view.show_run(None)
            self._view.show_message(str(error), "notice")
            return
        self._view.show_run(look)
        self._view.show_history(history)
        self._view.show_examples(
            [] if folder is None else read_examples(folder / EXAMPLES)
        )
        self._view.show_notes(())
        self._view.show_message(*messages.offer(look))

    def start(self) -> None:
        """Begin a training in the chosen folder, or go on with the one in it."""
        if self.is_running:
            return
        try:
            self._start()
        except SegRefinerError as error:
            self._view.show_message(messages.in_words(str(error)), "notice")

    def stop(self) -> None:
        """Ask the training to stop after a checkpoint; the second time, end it.

        While layers are still written, there is none yet, and none will begin.
        """
        if self._is_writing:
            self._is_cancelled = True
            self._view.show_message(messages.CANCELLING, "busy")
        if self._process is None:
            return
        if self._process.is_stopping:
            self._process.kill()
            return
        self._process.stop()
        self._view.show_stopping()
        self._view.show_message(messages.STOPPING, "busy")

    def leave(self) -> None:
        """The dock is hidden for good, though alive: as Stop, but never at once."""
        if self._process is None or not self._process.is_stopping:
            self.stop()

    def close(self) -> None:
        """Nobody looks any more: a training stops by itself after a checkpoint."""
        self._is_closed = True
        if self._process is not None:
            self._process.stop()
            self._process = None

    def tick(self) -> None:
        """Take what the process has told meanwhile."""
        process = self._process
        if process is None:
            return
        # Asked first: what it has told by then is all there is.
        has_ended = process.has_ended
        events = process.take()
        for event in events:
            self._take(event)
        steps = [event for event in events if isinstance(event, Progress)]
        if steps:
            share, text = messages.progress(steps[-1], self._minutes)
            self._view.show_progress(share, text)
        if steps or any(isinstance(event, Validated) for event in events):
            self._view.show_history(self._history)
        if has_ended:
            self._end(process)

    # ---- beginning

    def _start(self) -> None:
        folder = self._view.folder()
        if folder is None:
            raise InputError(messages.NO_RUN)
        look = look_at(folder)
        if look.state == "finished":
            raise InputError(messages.finished(folder, look.iteration))
        if look.state == "unfinished" and look.config is not None:
            config = look.config
            self._minutes = known(config.options.minutes)
            self._run(Path(config.data), folder, TrainOptions(), is_used=True)
            return
        choices = self._view.read()
        self._minutes = known(choices.options.resolved().minutes)
        if choices.pairs is not None:
            self._write(folder, choices.pairs, choices.options, look.is_begun)
        elif choices.data is None:
            raise InputError(messages.NO_FOLDER)
        else:
            self._run(choices.data, folder, choices.options, is_used=look.is_begun)

    def _write(
        self,
        folder: Path,
        pairs: tuple[LayerPair, ...],
        options: TrainOptions,
        is_used: bool,
    ) -> None:
        """Write the layers in the background, then run."""
        written: list[Path] = []
        failed: list[str] = []

        def work(_: Any) -> Any:
            written.append(write_pairs(folder, pairs))
            yield from ()

        def take(event: Any) -> None:
            if isinstance(event, Failed):
                failed.append(event.text)

        def end() -> None:
            self._is_writing = False
            if self._is_closed:
                return
            try:
                if failed:
                    raise InputError(failed[0])
                if self._is_cancelled:
                    self._view.show_running(False)
                    self.look()
                    self._view.show_message(messages.CANCELLED, "notice")
                    return
                self._run(written[0], folder, options, is_used=is_used)
            except SegRefinerError as error:
                self._view.show_running(False)
                self._view.show_message(messages.in_words(str(error)), "notice")

        self._is_writing, self._is_cancelled = True, False
        self._view.show_running(True)
        self._view.show_progress(None, "")
        self._view.show_message(messages.WRITING, "busy")
        self._runner.start(work, take, end)

    def _run(
        self, data: Path, folder: Path, options: TrainOptions, *, is_used: bool
    ) -> None:
        command = training_command(data, folder, options, resume=is_used)
        self._history = History.of_run(folder)
        self._process = self._launch(command)
        self._folder = folder
        self._settings.set(LAST_RUN, str(folder.resolve()))
        self._notes, self._last = [], None
        self._view.show_running(True)
        self._view.show_progress(None, "")
        self._view.show_notes(())
        self._view.show_history(self._history)
        self._view.show_message(messages.STARTING, "busy")

    # ---- while it runs

    def _take(self, event: LineEvent) -> None:
        match event:
            case Progress():
                self._history.add(event)
            case Validated():
                self._history.add(event)
                self._view.show_examples(read_examples(self._folder / EXAMPLES))
                self._say(messages.validated(event))
            case TrainStarted():
                self._say(messages.learning(event))
            case Noted():
                self._notes.append(event.text)
                self._view.show_notes(self._notes)
            case TrainDone() | Stopped():
                self._last = event

    def _say(self, text: str) -> None:
        # What Stop has said stays.
        if self._process is not None and not self._process.is_stopping:
            self._view.show_message(text, "busy")

    def _end(self, process: TrainingProcess) -> None:
        self._process = None
        self._view.show_running(False)
        try:
            look = look_at(self._folder)
        except SegRefinerError:  # the sentence on the failure says more
            look = RunLook(self._folder, "free")
        self._view.show_run(look)
        can_resume = look.state == "unfinished"
        match self._last:
            case TrainDone() as done:
                self._view.show_message(messages.done(done), "done")
                if done.name:
                    self._view.hand_over(done.name)
            case Stopped() as stopped:
                best = RunFolder(self._folder).best
                self._view.show_message(messages.stopped(stopped, best), "notice")
            case _ if process.is_killed:
                at = look.iteration if can_resume else None
                self._view.show_message(messages.killed(at), "notice")
            case _:
                text = messages.failed(process.code, process.complaint, can_resume)
                self._view.show_message(text, "notice")
