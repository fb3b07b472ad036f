"""The choices of a training: data, run folder, and the options of the dataclass."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_segrefiner.errors import SegRefinerError
from napari_segrefiner.options import specs
from napari_segrefiner.plugin.axis_boxes import ChannelBox
from napari_segrefiner.plugin.controls import (
    FROM_PRESET,
    Fold,
    OptionForm,
    SteadyComboBox,
    align_labels,
    form_layout,
    name_default,
    option_widget,
    read,
    tooltip,
)
from napari_segrefiner.plugin.image_box import ImageBox
from napari_segrefiner.plugin.layer_box import LayerBox
from napari_segrefiner.plugin.layers import is_labels, sounds_true
from napari_segrefiner.plugin.model_box import ModelBox
from napari_segrefiner.plugin.settings import Settings
from napari_segrefiner.plugin.training_data import LayerPair, pair_of
from napari_segrefiner.plugin.training_folder import (
    LAST_RUN,
    RunLook,
    is_unfinished,
)
from napari_segrefiner.plugin.training_pairs import PairList
from napari_segrefiner.plugin.training_view import TrainChoices
from napari_segrefiner.plugin.widgets import (
    PathField,
    choose,
    quiet_button,
)
from napari_segrefiner.train_options import NONE, TRAIN_PRESETS, TrainOptions

if TYPE_CHECKING:
    import napari.viewer

FOLDER, LAYERS = "folder", "layers"
SOURCES = {FOLDER: "a folder", LAYERS: "open layers"}
#: Value of the starting model that is left to the preset.
BY_PRESET = ""
#: Options with a place of their own.
ELSEWHERE = ("preset", "init", "minutes")
#: Decimals of the options: learning rates need them.
DECIMALS = 5
MADE_UP = "made up"
FILE = "Model file…"
FILE_TIP = "A .safetensors file, such as one that a run has kept."


class TrainingForm(QWidget):
    """Rows of choices; ``run_changed`` is emitted for another run folder.

    Parameters
    ----------
    viewer : napari viewer
    settings : Settings
        What was chosen last.
    runs : Path
        Where new run folders are proposed.
    """

    run_changed = Signal()
    failed = Signal(str)

    def __init__(
        self, viewer: napari.viewer.Viewer, settings: Settings, runs: Path
    ) -> None:
        super().__init__()
        self._settings = settings
        self._runs = runs
        self._proposed = ""
        self._is_free = True
        self._make_data(viewer)
        self._make_options()
        self._lay_out()
        self._connect()
        self._on_source()
        self._on_preset()
        self._on_labels()
        last = settings.get(LAST_RUN, "")
        if last and is_unfinished(Path(last)):
            self.run_field.set_path(last)
        else:
            self.propose()

    # ---- what is chosen

    def choices(self) -> TrainChoices:
        """What is chosen beside the run folder.

        Raises
        ------
        OptionError, InputError
            If that cannot be.
        """
        values = self.option_form.values()
        values["preset"] = self.preset_box.currentData()
        values["minutes"] = read(self._specs["minutes"], self.minutes_box)
        values["init"] = self.start_box.model or None
        options = TrainOptions(**values)
        if self.source_box.currentData() == FOLDER:
            return TrainChoices(self.folder_field.path, None, options)
        pairs = self.pair_list.pairs or (self._pair(),)
        return TrainChoices(None, pairs, options)

    def show_run(self, look: RunLook | None) -> None:
        """A run that goes on has its data and options; these are not to be chosen."""
        self._is_free = look is None or look.state != "unfinished"
        self._show_rows()

    def propose(self) -> None:
        """Choose a run folder that is not there yet, named after the data."""
        name = (
            re.sub(r"[^\w.-]+", "-", self._data_name())[:60].strip("-._") or "training"
        )
        names = (name if n == 1 else f"{name}-{n}" for n in itertools.count(1))
        free = next(
            self._runs / one for one in names if not (self._runs / one).exists()
        )
        self._proposed = str(free)
        self.run_field.set_path(free)

    # ---- the widgets

    def _make_data(self, viewer: Any) -> None:
        self.source_box = SteadyComboBox()
        for value, text in SOURCES.items():
            self.source_box.addItem(text, value)
        self.source_box.setToolTip(
            "A folder with images/ and labels/, or images and labels open in napari."
        )
        self.folder_field = PathField(
            "folder with images/ and labels/",
            "The folder with the data, or its annotation file",
            ("Annotation file", "Annotations of COCO or LVIS (*.json);;All files (*)"),
        )
        self.folder_field.line.setToolTip(
            "One set (images/ and labels/, perhaps coarse/), several of them, images\n"
            "with one mask each, or a COCO or LVIS annotation file."
        )
        self.folder_field.set_path(self._settings.get("training_data", ""))
        self.image_box = ImageBox(viewer, "no image yet")
        self.image_box.set_tip("The image that the labels were drawn on.")
        self.channel_box = ChannelBox(viewer)
        self.channel_box.setToolTip("Which channel of the image to learn from.")
        self.labels_box = LayerBox(
            viewer, is_labels, "no labels yet", prefers=sounds_true
        )
        self.labels_box.set_tip("True masks: what the model is to learn.")
        self.coarse_box = LayerBox(viewer, is_labels, "", none=MADE_UP)
        self.coarse_box.set_tip(
            "Real coarse masks with the ids of the true ones, or made up from these."
        )
        self.pair_list = PairList()
        is_open = any(is_labels(layer) for layer in viewer.layers)
        default = FOLDER if self.folder_field.path or not is_open else LAYERS
        choose(self.source_box, self._settings.get("training_source", default))

    def _make_options(self) -> None:
        self._specs = {spec.name: spec for spec in specs(TrainOptions)}
        self.preset_box: Any = option_widget(self._specs["preset"])
        self.preset_box.setToolTip(tooltip(self._specs["preset"]))
        choose(self.preset_box, self._settings.get("training_preset", "quick"))
        self.start_box = ModelBox(
            BY_PRESET,
            first={BY_PRESET: FROM_PRESET, NONE: "fresh weights"},
            ask=FILE,
            ask_tip=FILE_TIP,
        )
        minutes = self._specs["minutes"]
        self.minutes_box: Any = option_widget(minutes, FROM_PRESET)
        self.minutes_box.setToolTip(tooltip(minutes, FROM_PRESET))
        self.minutes_box.setSingleStep(1)
        self.run_field = PathField("new folder for the run", "The folder of the run")
        self.run_field.line.setToolTip(
            "Checkpoint, curves, pictures and the best model are written there; the\n"
            "finished model gets its name. A stopped run goes on from there."
        )
        self.new_button = quiet_button("New", "Propose a folder that is not there yet.")
        self.run_field.layout().addWidget(self.new_button)
        shown = [s for name, s in self._specs.items() if name not in ELSEWHERE]
        self.option_form = OptionForm(shown, unset=FROM_PRESET, decimals=DECIMALS)
        threads = self.option_form.widgets["threads"]
        # Beside a window it is not all of them.
        threads.setToolTip(f"{threads.toolTip()}\nOf all, one core is left to napari.")
        self.reset_button = quiet_button(
            "Reset", "Set all of these back to the preset."
        )
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.option_form)
        column.addWidget(self.reset_button)
        self.more = Fold("More", content)
        self.more.button.setToolTip("Further options; the presets suit most data.")

    def _lay_out(self) -> None:
        top = QWidget()
        form = form_layout(top)
        form.addRow("Data", self.source_box)
        form.addRow("Folder", self.folder_field)
        form.addRow("Image", self.image_box)
        form.addRow("Channel", self.channel_box)
        form.addRow("True labels", self.labels_box)
        form.addRow("Coarse labels", self.coarse_box)
        form.addRow("Pairs", self.pair_list)
        form.addRow("Preset", self.preset_box)
        form.addRow("Start from", self.start_box)
        form.addRow("Minutes", self.minutes_box)
        form.addRow("Run folder", self.run_field)
        self.form = form
        fields = [
            form.itemAt(at, QFormLayout.ItemRole.FieldRole).widget()
            for at in range(form.rowCount())
        ]
        for field in fields:
            form.labelForField(field).setToolTip(field.toolTip())
        self._rows = [field for field in fields if field is not self.run_field]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(top)
        layout.addWidget(self.more)

    def align(self) -> None:
        """One left edge for all fields but those of "More", whose names are long."""
        align_labels(self.form)

    def _connect(self) -> None:
        self.source_box.currentIndexChanged.connect(self._on_source)
        self.folder_field.changed.connect(self._on_data)
        self.image_box.chosen.connect(self._on_image)
        self.labels_box.chosen.connect(self._on_labels)
        self.channel_box.offered.connect(self._show_rows)
        self.preset_box.currentIndexChanged.connect(self._on_preset)
        self.start_box.file_given.connect(self.start_box.offer)
        self.run_field.changed.connect(self.run_changed)
        self.new_button.clicked.connect(self.propose)
        self.pair_list.add_button.clicked.connect(self._add_pair)
        self.reset_button.clicked.connect(self.option_form.reset)

    # ---- what changes when something is chosen

    def _on_source(self) -> None:
        self._settings.set("training_source", str(self.source_box.currentData()))
        self._on_image()
        self._on_data()

    def _show_rows(self) -> None:
        """Show the rows in which there is something to choose."""
        is_folder = self.source_box.currentData() == FOLDER
        shown = dict.fromkeys(self._rows, True)
        shown[self.folder_field] = is_folder
        for part in (self.image_box, self.labels_box, self.coarse_box, self.pair_list):
            shown[part] = not is_folder
        shown[self.channel_box] = not is_folder and self.channel_box.is_needed
        for part, is_shown in shown.items():
            self.form.setRowVisible(part, is_shown and self._is_free)
        self.more.setVisible(self._is_free)

    def _on_data(self) -> None:
        """Follow with the proposed run folder, unless another one was chosen."""
        if self.folder_field.path is not None:
            self._settings.set("training_data", str(self.folder_field.path))
        if self.run_field.line.text() == self._proposed and self._proposed:
            self.propose()

    def _on_labels(self) -> None:
        """Follow to the image of the labels."""
        self.image_box.update_for(self.labels_box.layer)
        self._on_image()

    def _on_image(self) -> None:
        self.channel_box.update_for(self.image_box.layer, self.labels_box.layer)
        self._show_rows()
        # Layers come and go by themselves: a run at work, or to be resumed, stays.
        is_open = self.isEnabled() and self._is_free
        if is_open and self.source_box.currentData() != FOLDER:
            self._on_data()

    def _on_preset(self) -> None:
        preset = self.preset_box.currentData()
        self._settings.set("training_preset", str(preset))
        values = TRAIN_PRESETS[preset]
        self.option_form.show_defaults(values)
        name_default(self.minutes_box, values["minutes"], FROM_PRESET)
        init = {NONE: "fresh weights", None: "choose one"}.get(
            values["init"], values["init"]
        )
        self.start_box.rename(BY_PRESET, f"{FROM_PRESET} ({init})")

    def _add_pair(self) -> None:
        try:
            self.pair_list.add(self._pair())
        except SegRefinerError as error:
            self.failed.emit(str(error))

    def _pair(self) -> LayerPair:
        return pair_of(
            self.image_box.layer,
            self.labels_box.layer,
            self.coarse_box.layer,
            self.channel_box.channel,
        )

    def _data_name(self) -> str:
        if self.source_box.currentData() == FOLDER:
            path = self.folder_field.path
            return "" if path is None else path.stem
        image = self.image_box.layer
        return "" if image is None else str(image.name)
