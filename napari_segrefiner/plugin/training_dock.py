"""The dock "SegRefiner training": choices, a training to watch, a model at its end."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout

from napari_segrefiner.plugin.controls import Fold
from napari_segrefiner.plugin.dock import SegRefinerDock
from napari_segrefiner.plugin.settings import Settings
from napari_segrefiner.plugin.training_controller import Launch, TrainingController
from napari_segrefiner.plugin.training_folder import RunLook
from napari_segrefiner.plugin.training_form import TrainingForm
from napari_segrefiner.plugin.training_history import History
from napari_segrefiner.plugin.training_live import Live
from napari_segrefiner.plugin.training_process import TrainingProcess
from napari_segrefiner.plugin.training_view import TrainChoices
from napari_segrefiner.plugin.view import Tone
from napari_segrefiner.plugin.widgets import (
    Docked,
    Scroll,
    Sentence,
    emphasised,
    progress_bar,
    quiet_button,
    show_share,
    side_by_side,
)
from napari_segrefiner.plugin.worker import Runner, ThreadRunner
from napari_segrefiner.training.examples import Example

if TYPE_CHECKING:
    import napari.viewer

#: Milliseconds between two looks at what the training has told.
TICK_MS = 200
#: Pixels in which all options, the table, three tiles and the title can be read.
MIN_WIDTH = 350
STOP, STOP_NOW = "Stop", "End now"
STOP_TIP = "Stop after a checkpoint: the best model is kept, and Resume goes on."
STOP_NOW_TIP = "End the process at once; what came after its last checkpoint is lost."


class TrainingDock(Docked):
    """Train a model on a folder or on open layers.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        napari passes it in.
    launch : callable, optional
        Starts the process of a training.
    runner : Runner, optional
        Where layers are written; by default in napari's worker threads.
    settings : Settings, optional
        What is remembered; by default a file beside napari's settings.
    runs : Path, optional
        Where new run folders are proposed; by default in the user's home.
    """

    def __init__(
        self,
        napari_viewer: napari.viewer.Viewer,
        launch: Launch = TrainingProcess,
        runner: Runner | None = None,
        settings: Settings | None = None,
        runs: Path | None = None,
    ) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._settings = Settings.of_napari() if settings is None else settings
        # The controller outlives the widget by a moment, and must not keep it alive.
        self.controller = TrainingController(
            weakref.proxy(self),
            self._settings,
            ThreadRunner() if runner is None else runner,
            launch,
        )
        runs = Path.home() / "napari-segrefiner" if runs is None else runs
        self.form = TrainingForm(napari_viewer, self._settings, runs)
        self.live = Live()
        self._make_controls()
        self._lay_out()
        self.tick_timer = QTimer(self)
        self.tick_timer.setInterval(TICK_MS)
        self.tick_timer.timeout.connect(self.controller.tick)
        self.start_button.clicked.connect(self.controller.start)
        self.stop_button.clicked.connect(self.controller.stop)
        self.left.connect(self.controller.leave)
        self.form.run_changed.connect(self.controller.look)
        self.form.failed.connect(partial(self.show_message, tone="notice"))
        self.show_running(False)
        self.controller.look()
        # Without self in it: a bound method of a deleted widget is never called. The
        # signal tells when Qt deletes the widget, as with its window; when Python does
        # it, PyQt swallows the signal.
        form = self.form
        boxes = form.image_box, form.labels_box, form.coarse_box, form.channel_box
        release = partial(_release, self.controller, boxes)
        self.destroyed.connect(release)
        weakref.finalize(self, release).atexit = False

    # ---- what the controller asks of its view

    def folder(self) -> Path | None:
        """The chosen run folder."""
        return self.form.run_field.path

    def read(self) -> TrainChoices:
        """The other choices."""
        return self.form.choices()

    def show_running(self, is_running: bool) -> None:
        """Switch between ready and at work."""
        self.stop_button.setEnabled(is_running)
        self.start_button.setEnabled(not is_running)
        self.stop_button.setText(STOP)
        self.stop_button.setToolTip(STOP_TIP)
        self.form.setEnabled(not is_running)
        self.choices.set_open(not is_running)
        self.progress_bar.setVisible(is_running)
        if is_running:
            self.live_scroll.setVisible(True)
            self.tick_timer.start()
        else:
            self.tick_timer.stop()

    def show_stopping(self) -> None:
        """Tell on the button that the next press ends the process."""
        self.stop_button.setText(STOP_NOW)
        self.stop_button.setToolTip(STOP_NOW_TIP)

    def show_run(self, look: RunLook | None) -> None:
        """Offer what can be done with the chosen run folder."""
        state = "free" if look is None else look.state
        self.start_button.setText("Resume" if state == "unfinished" else "Start")
        self.start_button.setToolTip(
            "Go on with the training in the run folder, where it stopped."
            if state == "unfinished"
            else "Train a model, in a process of its own; napari can be used meanwhile."
        )
        self.form.show_run(look)
        self.live_scroll.setVisible(state != "free" or self.controller.is_running)

    def show_progress(self, share: float | None, text: str) -> None:
        """Show the share that is done; without one, only that work goes on."""
        show_share(self.progress_bar, share, text)

    def show_message(self, text: str, tone: Tone) -> None:
        """Show one sentence."""
        self.message_label.say(text, tone)

    def show_history(self, history: History) -> None:
        """Show curves and table."""
        self.live.show_history(history)

    def show_examples(self, examples: Sequence[tuple[str, Example]]) -> None:
        """Show the newest validation windows."""
        self.live.show_examples(examples)

    def show_notes(self, notes: Sequence[str]) -> None:
        """List what the training has noticed."""
        self.live.show_notes(notes)

    def hand_over(self, model: str) -> None:
        """Choose a new model in the refine dock, now or when it is opened."""
        self._settings.set("model", model)
        self.form.start_box.refresh()
        for widget in self._viewer.window.dock_widgets.values():
            if isinstance(widget, SegRefinerDock):
                widget.show_model(model)

    # ---- the widgets

    def _make_controls(self) -> None:
        self.start_button = emphasised(quiet_button("Start", ""))
        self.stop_button = quiet_button(STOP, STOP_TIP)
        self.progress_bar = progress_bar(
            "Iterations done, and the time that is left.", keeps_room=False
        )
        self.message_label = Sentence()

    def _lay_out(self) -> None:
        self.choices = Fold("Settings", self.form)
        self.choices.button.setToolTip("What to learn from, and how.")
        self.live_scroll = Scroll(self.live, fills=True)
        self.keep_aligned(self.form.align)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 8, 6, 8)
        layout.setSpacing(6)
        layout.addWidget(Scroll(self.choices))
        layout.addLayout(side_by_side((self.start_button, 3), (self.stop_button, 1)))
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.message_label)
        layout.addWidget(self.live_scroll, 1)
        layout.addStretch(0)
        self.setMinimumWidth(MIN_WIDTH)


def _release(controller: TrainingController, boxes: tuple[Any, ...]) -> None:
    """Let go of the viewer when the widget is gone; a training saves and stops."""
    controller.close()
    for box in boxes:
        box.disconnect_viewer()
