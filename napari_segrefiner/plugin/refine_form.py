"""The choices of a refinement: layers, model, and the options of the dataclass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QVBoxLayout, QWidget

from napari_segrefiner.options import RefineOptions, specs
from napari_segrefiner.plugin.axis_boxes import ChannelBox, PlanesBox
from napari_segrefiner.plugin.controls import (
    Fold,
    OptionForm,
    SteadyComboBox,
    align_labels,
    form_layout,
    option_widget,
    tooltip,
)
from napari_segrefiner.plugin.image_box import ImageBox
from napari_segrefiner.plugin.layer_box import LayerBox
from napari_segrefiner.plugin.layers import is_labels
from napari_segrefiner.plugin.model_box import ModelBox
from napari_segrefiner.plugin.results import Results
from napari_segrefiner.plugin.settings import Settings
from napari_segrefiner.plugin.view import Choices, Target
from napari_segrefiner.plugin.widgets import choose, quiet_button

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Layer

#: Pixels beside the text of a combo box in napari's style.
ROOM_FOR_ARROW = 46
#: Options with a place of their own, or without a choice to make here.
ELSEWHERE = {"mode", "direction", "ids", "channel_axis", "channels", "device"}
TARGETS: dict[Target, str] = {
    "new layer": "new layer",
    "into this layer": "this layer, one undo step",
}


class RefineForm(QWidget):
    """Rows of choices.

    ``model_changed`` is emitted for another model, or for what decides on how it is
    loaded and on the values that it gives.

    Parameters
    ----------
    viewer : napari viewer
    settings : Settings
        What was chosen last.
    results : Results
        Which layers are results: these do not take the place of their sources.
    """

    model_changed = Signal()

    def __init__(
        self, viewer: napari.viewer.Viewer, settings: Settings, results: Results
    ) -> None:
        super().__init__()
        self._settings = settings
        self._results = results
        self._make_layers(viewer)
        self._make_options()
        self._lay_out()
        self._connect()
        self._on_labels()

    @property
    def boxes(self) -> tuple[LayerBox | PlanesBox | ChannelBox, ...]:
        """All that follows the viewer."""
        return self.image_box, self.labels_box, self.planes_box, self.channel_box

    def choices(self) -> Choices:
        """The choices at this moment."""
        values = self.option_form.values()
        values["device"] = self.device_box.currentData()
        values["mode"] = self.mode_box.currentData()
        values["direction"] = self.direction_box.currentData()
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

    # ---- the widgets

    def _make_layers(self, viewer: napari.viewer.Viewer) -> None:
        results = self._results

        def follows(active: Layer, chosen: Layer | None) -> bool:
            # The result of a run becomes active; a second run is to begin from the same
            # source all the same.
            return not results.is_result(active) or (
                chosen is None or results.source_of(active) is not chosen
            )

        self.image_box = ImageBox(viewer, "no image yet")
        self.labels_box = LayerBox(viewer, is_labels, "no labels yet", follows)
        first = self.labels_box.layer
        if first is not None:
            # The result of an earlier dock: as after its run, its source is chosen.
            self.labels_box.choose(results.source_of(first))
        self.channel_box = ChannelBox(viewer)
        self.planes_box = PlanesBox(viewer)
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

    def _make_options(self) -> None:
        self.model_box = ModelBox(self._settings.get("model", ""))
        options = {spec.name: spec for spec in specs(RefineOptions)}
        self.device_box: Any = option_widget(options["device"])
        choose(self.device_box, self._settings.get("device", ""))
        self.mode_box: Any = option_widget(options["mode"])
        choose(self.mode_box, self._settings.get("mode", ""))
        self.mode_box.setMinimumContentsLength(5)
        self.direction_box: Any = option_widget(options["direction"])
        self.windows_box = QCheckBox("boxes")
        self.windows_box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.windows_box.setChecked(self._settings.get("windows", "") == "shown")
        self.target_box = SteadyComboBox()
        target: Target
        for target, text in TARGETS.items():
            self.target_box.addItem(text, target)
        choose(self.target_box, self._settings.get("target", ""))
        shown = [spec for name, spec in options.items() if name not in ELSEWHERE]
        self.option_form = OptionForm(shown)
        self.advanced = Fold("Advanced", self._advanced_content())
        self.device_box.setToolTip(tooltip(options["device"]))
        self.mode_box.setToolTip(tooltip(options["mode"]))
        self.direction_box.setToolTip(tooltip(options["direction"]))
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
        self.reset_button = quiet_button(
            "Reset", "Set all of these back to their defaults."
        )
        layout.addWidget(self.reset_button)
        return content

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
        top = QWidget()
        form = form_layout(top)
        form.addRow("Image", self.image_box)
        form.addRow("Channel", self.channel_box)
        form.addRow("Labels", self.labels_box)
        form.addRow("Planes", self.planes_box)
        form.addRow("Model", self.model_box)
        form.addRow("Mode", self._mode_row())
        form.addRow("Direction", self.direction_box)
        form.addRow("Device", self.device_box)
        form.addRow("Result", self.target_box)
        self._form = form
        for row in range(form.rowCount()):
            field = form.itemAt(row, QFormLayout.ItemRole.FieldRole).widget()
            form.labelForField(field).setToolTip(field.toolTip())

        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(top)
        column.addWidget(self.advanced)

    def align(self) -> None:
        """One left edge for all fields, and room for the longest choice."""
        align_labels(self._form, self.option_form.layout())
        self.target_box.ensurePolished()
        text = self.target_box.fontMetrics().horizontalAdvance(
            max(TARGETS.values(), key=len)
        )
        self.target_box.setMinimumWidth(text + ROOM_FOR_ARROW)

    def _connect(self) -> None:
        self.reset_button.clicked.connect(self.option_form.reset)
        self.image_box.chosen.connect(self._on_image)
        self.labels_box.chosen.connect(self._on_labels)
        self.planes_box.offered.connect(self._on_planes)
        self.channel_box.offered.connect(self._on_channels)
        self.model_box.chosen.connect(self._on_model)
        self.device_box.currentIndexChanged.connect(self._on_device)
        self.mode_box.currentIndexChanged.connect(self._on_mode)
        self.windows_box.toggled.connect(self._on_windows)
        self.target_box.currentIndexChanged.connect(self._on_target)
        # Their values stand behind "from model" in the other options.
        preset_box: Any = self.option_form.widgets["preset"]
        for box in (preset_box, self.direction_box):
            box.currentIndexChanged.connect(self.model_changed)

    # ---- what changes when something is chosen

    def _on_labels(self) -> None:
        """Follow to the image and the planes of the labels."""
        labels = self.labels_box.layer
        # A result lies above other images than its source, but belongs to the same one.
        source = None if labels is None else self._results.source_of(labels)
        self.image_box.update_for(source or labels)
        self.planes_box.update_for(labels)
        self._on_image()

    def _on_planes(self) -> None:
        self._show_row(self.planes_box, self.planes_box.is_needed)

    def _on_image(self) -> None:
        self.channel_box.update_for(self.image_box.layer, self.labels_box.layer)
        self._on_channels()

    def _on_channels(self) -> None:
        self._show_row(self.channel_box, self.channel_box.is_needed)

    def _on_model(self) -> None:
        self._settings.set("model", self.model_box.model)
        self.model_changed.emit()

    def _on_device(self) -> None:
        self._settings.set("device", str(self.device_box.currentData()))
        self.model_changed.emit()

    def _on_mode(self) -> None:
        self._settings.set("mode", str(self.mode_box.currentData()))

    def _on_windows(self, is_shown: bool) -> None:
        self._settings.set("windows", "shown" if is_shown else "hidden")

    def _on_target(self) -> None:
        self._settings.set("target", str(self.target_box.currentData()))

    def _show_row(self, field: QWidget, is_shown: bool) -> None:
        """Show or hide a row of the form."""
        self._form.setRowVisible(field, is_shown)
