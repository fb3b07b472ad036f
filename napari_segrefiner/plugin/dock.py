"""The dock "SegRefiner": what a person sees and presses."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_segrefiner.options import RefineOptions, specs
from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.axis_boxes import ChannelBox, PlanesBox
from napari_segrefiner.plugin.controller import Controller
from napari_segrefiner.plugin.controls import (
    Fold,
    OptionForm,
    SteadyComboBox,
    form_layout,
    option_widget,
    tooltip,
)
from napari_segrefiner.plugin.engine import Engine, ModelFacts, PackagedEngine
from napari_segrefiner.plugin.images import fits
from napari_segrefiner.plugin.keys import KEYS, Keys
from napari_segrefiner.plugin.layer_box import LayerBox
from napari_segrefiner.plugin.layers import is_image, is_labels
from napari_segrefiner.plugin.model_box import ModelBox
from napari_segrefiner.plugin.settings import Settings
from napari_segrefiner.plugin.view import Choices, Target, Tone
from napari_segrefiner.plugin.widgets import (
    Scroll,
    choose,
    quiet_button,
    show_share,
    side_by_side,
)
from napari_segrefiner.plugin.worker import Runner, ThreadRunner

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Layer

#: Milliseconds between two looks for a new preview frame.
TICK_MS = 66
#: Milliseconds of rest after which the hidden preview layer is removed.
REST_MS = 20_000
#: Milliseconds after which what was painted is counted; strokes come in quick rows.
COUNT_MS = 200
#: Pixels beside the text of a combo box in napari's style.
ROOM_FOR_ARROW = 46
#: Options with a place of their own, or without a choice to make here.
ELSEWHERE = {"mode", "ids", "channel_axis", "channels", "device"}
MARKS: dict[Tone, str] = {"busy": "", "done": "✓ ", "notice": "⚠ "}


class SegRefinerDock(QWidget):
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
        self._make_choices(napari_viewer)
        self._make_buttons()
        self._lay_out()
        self._connect()
        self._is_docked = False
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
        self.show_running(False)
        self.show_review(False)
        self._enter()
        # Without self in it: a bound method of a deleted widget is never called. The
        # signal tells when Qt deletes the widget, as with its window; when Python does
        # it, PyQt swallows the signal.
        boxes = (self.image_box, self.labels_box, self.planes_box)
        release = partial(_release, self.controller, self._keys, boxes)
        self.destroyed.connect(release)
        weakref.finalize(self, release).atexit = False
        self.controller.warm()

    # ---- what the controller asks of its view

    def read(self) -> Choices:
        """The choices at this moment."""
        values = self.option_form.values()
        values["device"] = self.device_box.currentData()
        values["mode"] = self.mode_box.currentData()
        return Choices(
            image=self.image_box.layer,
            labels=self.labels_box.layer,
            channel=self.channel_box.channel,
            slider=self.planes_box.slider,
            model=self.model_box.model,
            options=RefineOptions(**values),
            target=self.target_box.currentData(),
            show_windows=self.windows_box.isChecked(),
        )

    def show_running(self, is_running: bool) -> None:
        """Switch between ready and at work."""
        for button in (self.refine_button, self.learn_button, self.others_button):
            button.setEnabled(not is_running)
        self.stop_button.setEnabled(is_running)
        self.progress_bar.setVisible(is_running)
        if is_running:
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
        self.message_label.setText(MARKS[tone] + text)
        self.message_label.setToolTip(text)

    def show_facts(self, facts: ModelFacts) -> None:
        """Show what the model gives to options that are left to it."""
        self.option_form.show_defaults(facts.defaults)

    def show_model(self, name: str) -> None:
        """Offer a new model and choose it."""
        self.model_box.select(name)

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

    def _make_choices(self, viewer: napari.viewer.Viewer) -> None:
        """Rows of the form."""
        results = self.controller.results

        def follows(active: Layer, chosen: Layer | None) -> bool:
            # The result of a run becomes active; a second run is to begin from the same
            # source all the same.
            return not results.is_result(active) or (
                chosen is None or results.source_of(active) is not chosen
            )

        self.image_box = LayerBox(viewer, is_image, "no image yet")
        self.labels_box = LayerBox(viewer, is_labels, "no labels yet", follows)
        self.channel_box = ChannelBox(viewer)
        self.planes_box = PlanesBox(viewer)
        self.model_box = ModelBox(self._settings.get("model", ""))
        options = {spec.name: spec for spec in specs(RefineOptions)}
        self.device_box: Any = option_widget(options["device"])
        choose(self.device_box, self._settings.get("device", ""))
        self.mode_box: Any = option_widget(options["mode"])
        choose(self.mode_box, self._settings.get("mode", ""))
        self.mode_box.setMinimumContentsLength(5)
        self.windows_box = QCheckBox("boxes")
        self.windows_box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.windows_box.setChecked(self._settings.get("windows", "") == "shown")
        self.target_box = SteadyComboBox()
        target: Target
        for target, text in TARGETS.items():
            self.target_box.addItem(text, target)
        choose(self.target_box, self._settings.get("target", ""))
        shown = [spec for name, spec in options.items() if name not in ELSEWHERE]
        self.option_form = OptionForm(shown)
        self.advanced = Fold("Advanced", self._advanced_content())
        self.image_box.set_tip("The image that the network looks at.")
        self.labels_box.set_tip(
            "The coarse labels; the Labels layer that is active is taken."
        )
        self.channel_box.setToolTip(
            "The image has an axis that the labels lack: which channel to look at."
        )
        self.planes_box.setToolTip(
            "The displayed plane alone, or all planes along a slider, one by one."
        )
        self.device_box.setToolTip(tooltip(options["device"]))
        self.mode_box.setToolTip(tooltip(options["mode"]))
        self.windows_box.setToolTip(
            "Show in a Shapes layer where the windows of large objects lie."
        )
        self.target_box.setToolTip(
            "new layer: the result is a new layer, the source is hidden, not touched.\n"
            "this layer: the labels themselves change; one Ctrl+Z takes it back."
        )
        self.advanced.button.setToolTip(
            "Options of the refinement; the defaults suit the model."
        )

    def _advanced_content(self) -> QWidget:
        """The option form with a button that resets it."""
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.option_form)
        self.reset_button = _button("Reset", "Set all of these back to their defaults.")
        layout.addWidget(self.reset_button)
        return content

    def _make_buttons(self) -> None:
        """Buttons, progress and the sentence."""
        self.refine_button = _button(
            "Refine", "Refine all objects of the chosen labels."
        )
        font = self.refine_button.font()
        font.setBold(True)
        self.refine_button.setFont(font)
        self.stop_button = _button(
            "Stop", "Stop the run at its next step; nothing is lost."
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
        self.progress_bar = QProgressBar()
        self.progress_bar.setTextVisible(True)
        self.progress_bar.setToolTip(
            "What is done, and the time that is left.\n"
            "In the preview yellow pixels are gained, orange ones given up."
        )
        policy = self.progress_bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress_bar.setSizePolicy(policy)
        self.message_label = QLabel(messages.READY)
        self.message_label.setWordWrap(True)
        self.message_label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
        )

    def _mode_row(self) -> QWidget:
        """The mode, and beside it whether its windows are shown."""
        row = QWidget()
        row.setToolTip(self.mode_box.toolTip())
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.mode_box, 1)
        layout.addWidget(self.windows_box)
        return row

    def _lay_out(self) -> None:
        """Put everything in its place."""
        top = QWidget()
        form = form_layout(top)
        form.addRow("Image", self.image_box)
        form.addRow("Channel", self.channel_box)
        form.addRow("Labels", self.labels_box)
        form.addRow("Planes", self.planes_box)
        form.addRow("Model", self.model_box)
        form.addRow("Mode", self._mode_row())
        form.addRow("Device", self.device_box)
        form.addRow("Result", self.target_box)
        self._form = form
        for row in range(form.rowCount()):
            field = form.itemAt(row, QFormLayout.ItemRole.FieldRole).widget()
            form.labelForField(field).setToolTip(field.toolTip())

        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(top)
        column.addWidget(self.advanced)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 8, 6, 8)
        layout.setSpacing(6)
        layout.addWidget(Scroll(inside))
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

    def showEvent(self, event: Any) -> None:
        """Align the fields, now that napari's style sheet has set the fonts."""
        super().showEvent(event)
        self._align()

    def changeEvent(self, event: Any) -> None:
        """Align them again when another style has come."""
        super().changeEvent(event)
        # Only when shown: while the widget is being made there is nothing to align.
        if event.type() == QEvent.Type.StyleChange and self.isVisible():
            QTimer.singleShot(0, self._align)

    def _align(self) -> None:
        """One left edge for all fields, and room for the longest choice."""
        forms = (self._form, self.option_form.layout())
        labels = [
            form.itemAt(row, QFormLayout.ItemRole.LabelRole).widget()
            for form in forms
            for row in range(form.rowCount())
        ]
        for label in labels:
            label.ensurePolished()
        width = max(label.sizeHint().width() for label in labels)
        for label in labels:
            label.setMinimumWidth(width)
        self.target_box.ensurePolished()
        text = self.target_box.fontMetrics().horizontalAdvance(
            max(TARGETS.values(), key=len)
        )
        self.target_box.setMinimumWidth(text + ROOM_FOR_ARROW)

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
        self.reset_button.clicked.connect(self.option_form.reset)
        self.image_box.chosen.connect(self._on_image)
        self.labels_box.chosen.connect(self._on_labels)
        self.planes_box.offered.connect(self._on_planes)
        self.model_box.chosen.connect(self._on_model)
        self.model_box.file_given.connect(control.add_model)
        self.device_box.currentIndexChanged.connect(self._on_device)
        self.mode_box.currentIndexChanged.connect(self._on_mode)
        self.windows_box.toggled.connect(self._on_windows)
        self.target_box.currentIndexChanged.connect(self._on_target)
        # Its values stand behind "from model" in the other options.
        preset: Any = self.option_form.widgets["preset"]
        preset.currentIndexChanged.connect(control.warm)
        self._on_labels()

    # ---- what changes when something is chosen

    def _on_labels(self) -> None:
        """Take an image that fits the labels, unless the chosen one does."""
        labels, image = self.labels_box.layer, self.image_box.layer
        if labels is not None and (image is None or not fits(image, labels)):
            fitting = [i for i in self.image_box.layers if fits(i, labels)]
            if fitting:
                self.image_box.choose(fitting[0])
        self.planes_box.update_for(labels)
        self._on_image()

    def _on_planes(self) -> None:
        self._show_row(self.planes_box, self.planes_box.is_needed)

    def _on_image(self) -> None:
        self.channel_box.update_for(self.image_box.layer, self.labels_box.layer)
        self._show_row(self.channel_box, self.channel_box.is_needed)

    def _on_model(self) -> None:
        self._settings.set("model", self.model_box.model)
        self.controller.warm()

    def _on_device(self) -> None:
        self._settings.set("device", str(self.device_box.currentData()))
        self.controller.warm()

    def _on_mode(self) -> None:
        self._settings.set("mode", str(self.mode_box.currentData()))

    def _on_windows(self, is_shown: bool) -> None:
        self._settings.set("windows", "shown" if is_shown else "hidden")

    def _on_target(self) -> None:
        self._settings.set("target", str(self.target_box.currentData()))

    def _show_row(self, field: QWidget, is_shown: bool) -> None:
        """Show or hide a row of the form."""
        self._form.setRowVisible(field, is_shown)

    # ---- coming and going

    def event(self, event: QEvent) -> bool:
        """Notice when napari takes the widget out of its dock; no closeEvent tells."""
        if event.type() == QEvent.Type.ParentChange:
            is_docked = self.parent() is not None
            if self._is_docked and not is_docked:
                self._leave()
            elif is_docked and not self._is_docked:
                self._enter()
            self._is_docked = is_docked
        return bool(super().event(event))

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
        self.rest_timer.stop()
        self.count_timer.stop()

    def key_buttons(self) -> Iterator[tuple[str, QPushButton]]:
        """The buttons that have a key, with the names of their actions."""
        yield "refine_object", self.selected_button
        yield "next_object", self.next_button
        yield "accept_object", self.accept_button
        yield "restore_object", self.restore_button
        yield "hold_source", self.source_button


TARGETS: dict[Target, str] = {
    "new layer": "new layer",
    "into this layer": "this layer, one undo step",
}


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
    """A button whose text may get the name of its key."""
    made = quiet_button(text, tip)
    made.setProperty("text_without_key", text)
    return made


def _line() -> QFrame:
    """A thin line between two groups."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Sunken)
    return line
