"""The dock "SegRefiner": what a person sees and presses."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFrame, QPushButton, QVBoxLayout

from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.controller import Controller
from napari_segrefiner.plugin.engine import Engine, ModelFacts, PackagedEngine
from napari_segrefiner.plugin.keys import KEYS, Keys
from napari_segrefiner.plugin.refine_form import RefineForm
from napari_segrefiner.plugin.settings import Settings
from napari_segrefiner.plugin.view import Choices, Job, Tone
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

if TYPE_CHECKING:
    import napari.viewer

#: Milliseconds between two looks for a new preview frame.
TICK_MS = 66
#: Milliseconds of rest after which the hidden preview layer is removed.
REST_MS = 20_000
#: Milliseconds after which what was painted is counted; strokes come in quick rows.
COUNT_MS = 200


class SegRefinerDock(Docked):
    """Refine labels of the viewer.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        napari passes it in.
    engine : Engine, optional
        The refiner; by default the package's own, loaded in a worker.
    runner : Runner, optional
        Where work is done; by default in napari's worker threads.
    settings : Settings, optional
        What is remembered; by default a file beside napari's settings.
    """

    def __init__(
        self,
        napari_viewer: napari.viewer.Viewer,
        engine: Engine | None = None,
        runner: Runner | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__()
        self._settings = Settings.of_napari() if settings is None else settings
        # The controller outlives the widget by a moment, and must not keep it alive.
        self.controller = Controller(
            napari_viewer,
            weakref.proxy(self),
            PackagedEngine() if engine is None else engine,
            ThreadRunner() if runner is None else runner,
        )
        self._keys = Keys(napari_viewer)
        self.form = RefineForm(napari_viewer, self._settings, self.controller.results)
        self._make_buttons()
        self._lay_out()
        self._connect()
        self.count_timer = QTimer(self)
        self.count_timer.setInterval(COUNT_MS)
        self.count_timer.setSingleShot(True)
        self.count_timer.timeout.connect(self.controller.count_corrections)
        self.tick_timer = QTimer(self)
        self.tick_timer.setInterval(TICK_MS)
        self.tick_timer.timeout.connect(self.controller.tick)
        self.rest_timer = QTimer(self)
        self.rest_timer.setInterval(REST_MS)
        self.rest_timer.setSingleShot(True)
        self.rest_timer.timeout.connect(self.controller.rest)
        self.show_job(None)
        self.show_review(self.controller.review.has_results)
        self.count_soon()
        self._enter()
        # Without self in it: a bound method of a deleted widget is never called. The
        # signal tells when Qt deletes the widget, as with its window; when Python does
        # it, PyQt swallows the signal.
        release = partial(_release, self.controller, self._keys, self.form.boxes)
        self.destroyed.connect(release)
        weakref.finalize(self, release).atexit = False
        self.controller.warm()

    # ---- what the controller asks of its view

    def read(self) -> Choices:
        """The choices at this moment."""
        return self.form.choices()

    def show_job(self, job: Job | None) -> None:
        """Switch between ready and at work; the buttons say why they have to wait."""
        waiting = [self.refine_button, self.learn_button, self.others_button]
        if job != "object":  # while it is, further objects wait for their turn
            waiting.append(self.selected_button)
        # First, as the focus goes on to it from a button that is disabled.
        self.stop_button.setEnabled(True)
        for button in self._starters():
            is_waiting = job is not None and button in waiting
            button.setEnabled(not is_waiting)
            reason = f"\n{messages.busy(job)}" if is_waiting else ""
            button.setToolTip(str(button.property("tip")) + reason)
        self.stop_button.setEnabled(job is not None)
        self.progress_bar.setVisible(job is not None)
        if job is not None:
            self.rest_timer.stop()
            self.tick_timer.start()
        else:
            self.tick_timer.stop()
            self.rest_timer.start()

    def show_progress(self, share: float | None, text: str) -> None:
        """Show the share that is done; without one, only that work goes on."""
        show_share(self.progress_bar, share, text)

    def show_message(self, text: str, tone: Tone) -> None:
        """Show one sentence."""
        self.message_label.say(text, tone)

    def show_facts(self, facts: ModelFacts) -> None:
        """Show what the model gives to options that are left to it."""
        self.form.option_form.show_defaults(facts.defaults)

    def show_model(self, name: str) -> None:
        """Offer a new model and choose it."""
        self.form.model_box.select(name)

    def show_review(self, can_review: bool) -> None:
        """Offer or withhold what needs a result."""
        for button in (
            self.next_button,
            self.restore_button,
            self.source_button,
            self.accept_button,
        ):
            button.setEnabled(can_review)

    def count_soon(self) -> None:
        """Have the controller count the corrected objects after a moment."""
        self.count_timer.start()

    def show_counts(self, n_corrected: int, n_others: int) -> None:
        """Show how many objects are corrected, and how many could be refined again."""
        self.learn_button.setText(f"Learn from my corrections ({n_corrected:,})")
        self.others_button.setText(f"Refine the {n_others:,} others")
        self.others_button.setVisible(n_corrected > 0 and n_others > 0)

    # ---- the widgets

    def _make_buttons(self) -> None:
        """Buttons, progress and the sentence."""
        self.refine_button = emphasised(
            _button("Refine", "Refine all objects of the chosen labels.")
        )
        self.stop_button = _button(
            "Stop",
            "Stop the run at its next step; the labels stay as they were, but for\n"
            "planes that are done.",
        )
        self.selected_button = _button(
            "Refine selected label",
            "Refine the selected label alone, as one undo step in the result layer.\n"
            "The key refines the object under the cursor.",
        )
        self.next_button = _button(
            "Next",
            "Go to the next object most in need of a look: uncertain, or much changed.",
        )
        self.restore_button = _button(
            "Restore",
            "Give the selected object its coarse mask back, as one undo step.\n"
            "The key takes the object under the cursor first.",
        )
        self.source_button = _button(
            "Source", "Hold to see the coarse labels instead of the refined ones."
        )
        self.accept_button = _button(
            "Accept",
            "Mark the selected object as right, or take that back.\n"
            "Objects edited by hand count as corrected by themselves.",
        )
        self.learn_button = _button(
            "Learn from my corrections (0)",
            "Teach the chosen model the objects that you accepted or edited by hand "
            "after a\nrefinement, in about two minutes. Some are held back to see "
            "whether it helps;\nif it does not, the model stays as it was.",
        )
        self.others_button = _button(
            "Refine the others",
            "Refine all objects that are neither accepted nor edited with the chosen "
            "model,\nfrom their coarse masks, as one undo step per layer.",
        )
        self.others_button.hide()
        self.progress_bar = progress_bar(
            "What is done, and the time that is left.\n"
            "In the preview yellow pixels are gained, orange ones given up.",
            keeps_room=True,
        )
        self.message_label = Sentence(messages.READY)

    def _lay_out(self) -> None:
        """Put everything in its place."""
        self.keep_aligned(self.form.align)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 8, 6, 8)
        layout.setSpacing(6)
        layout.addWidget(Scroll(self.form))
        layout.addLayout(side_by_side((self.refine_button, 3), (self.stop_button, 1)))
        layout.addWidget(self.selected_button)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.message_label)
        layout.addWidget(_line())
        layout.addLayout(side_by_side((self.next_button, 1), (self.accept_button, 1)))
        layout.addLayout(
            side_by_side((self.source_button, 3), (self.restore_button, 5))
        )
        layout.addWidget(_line())
        layout.addWidget(self.learn_button)
        layout.addWidget(self.others_button)

    def _connect(self) -> None:
        """Signals to actions."""
        control = self.controller
        self.refine_button.clicked.connect(control.refine)
        self.selected_button.clicked.connect(control.refine_selected)
        self.stop_button.clicked.connect(control.stop)
        self.next_button.clicked.connect(control.next_object)
        self.restore_button.clicked.connect(control.restore_selected)
        self.accept_button.clicked.connect(control.accept_object)
        self.learn_button.clicked.connect(control.learn)
        self.others_button.clicked.connect(control.refine_others)
        self.source_button.pressed.connect(partial(control.show_source, True))
        self.source_button.released.connect(partial(control.show_source, False))
        self.form.model_changed.connect(control.warm)
        self.form.model_box.file_given.connect(control.add_model)
        self.entered.connect(self._enter)
        self.left.connect(self._leave)

    # ---- coming and going

    def _enter(self) -> None:
        """Bind the keys, and say on the buttons which ones they are."""
        self._keys.bind(_key_actions(self.controller))
        for name, button in self.key_buttons():
            text = str(button.property("text_without_key"))
            if name in self._keys.bound:
                text += f"  ({KEYS[name]})"
            button.setText(text)

    def _leave(self) -> None:
        """Give the keys back and end what is going on."""
        self._keys.unbind()
        self.controller.stop()
        self.controller.show_source(False)
        self.controller.preview.remove()
        self.controller.windows.begin(None)
        self.rest_timer.stop()
        self.count_timer.stop()

    def _starters(self) -> tuple[QPushButton, ...]:
        """The buttons that begin something that takes a while."""
        return (
            self.refine_button,
            self.selected_button,
            self.learn_button,
            self.others_button,
        )

    def key_buttons(self) -> Iterator[tuple[str, QPushButton]]:
        """The buttons that have a key, with the names of their actions."""
        yield "refine_object", self.selected_button
        yield "next_object", self.next_button
        yield "accept_object", self.accept_button
        yield "restore_object", self.restore_button
        yield "hold_source", self.source_button


def _release(controller: Controller, keys: Keys, boxes: tuple[Any, ...]) -> None:
    """Let go of the viewer when the widget is gone."""
    keys.unbind()
    controller.close(is_viewer_alive=False)
    for box in boxes:
        box.disconnect_viewer()


def _key_actions(controller: Controller) -> dict[str, Callable[[Any], Any]]:
    """What each key does; they know the controller alone, not the widget."""

    def hold_source(_: Any) -> Iterator[None]:
        controller.show_source(True)
        yield
        controller.show_source(False)

    return {
        "refine_object": lambda _: controller.refine_under_cursor(),
        "restore_object": lambda _: controller.restore_object(),
        "accept_object": lambda _: controller.accept_object(),
        "next_object": lambda _: controller.next_object(),
        "hold_source": hold_source,
    }


def _button(text: str, tip: str) -> QPushButton:
    """A button whose text may get the name of its key, and its tip a reason to wait."""
    made = quiet_button(text, tip)
    made.setProperty("text_without_key", text)
    made.setProperty("tip", tip)
    return made


def _line() -> QFrame:
    """A thin line between two groups."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Sunken)
    return line
