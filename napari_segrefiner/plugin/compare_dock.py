"""The dock "Compare with the truth": which layers, and how well they agree."""

from __future__ import annotations

import threading
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_segrefiner.errors import SegRefinerError
from napari_segrefiner.plugin.compare import (
    Compared,
    Rows,
    compare,
    gain_layer,
    objects_of,
    read_layers,
    summary,
    table_lines,
    write_scores,
)
from napari_segrefiner.plugin.controls import SteadyComboBox, form_layout
from napari_segrefiner.plugin.layer_box import LayerBox
from napari_segrefiner.plugin.layer_list import LayerList
from napari_segrefiner.plugin.layers import (
    KEY,
    insert_above,
    is_image,
    is_labels,
    is_listed,
    sounds_true,
    unwrap,
)
from napari_segrefiner.plugin.worker import Failed, Runner, ThreadRunner

if TYPE_CHECKING:
    from collections.abc import Iterator

    import napari.viewer
    from napari.components import ViewerModel
    from napari.layers import Labels

PAIRINGS = {
    "auto": "automatic",
    "id": "by id",
    "overlap": "by overlap",
}


class CompareDock(QWidget):
    """Score labels of the viewer against true ones.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        napari passes it in.
    runner : Runner, optional
        Where work is done; by default in napari's worker threads.
    """

    def __init__(
        self, napari_viewer: napari.viewer.Viewer, runner: Runner | None = None
    ) -> None:
        super().__init__()
        self._viewer = cast("ViewerModel", unwrap(napari_viewer))
        self._runner = ThreadRunner() if runner is None else runner
        self.compared: Compared | None = None
        self._chosen: dict[str, weakref.ref[Labels]] = {}
        self.is_running = False
        self._make_choices()
        self._make_results()
        self._lay_out()
        self.truth_box.chosen.connect(self._hide_chosen)
        self.coarse_box.chosen.connect(self._hide_chosen)
        for box in (self.truth_box, self.coarse_box):
            box.offered.connect(self._guess_again)
        self._guess()
        self._hide_chosen()
        boxes = (self.truth_box, self.coarse_box, self.image_box, self.refined_list)
        # Without self in it: a bound method of a deleted widget is never called.
        self._gone = threading.Event()
        release = partial(_release, boxes, self._gone)
        self.destroyed.connect(release)
        weakref.finalize(self, release).atexit = False

    def compare(self) -> None:
        """Score what is chosen, in a worker; the table follows."""
        if self.is_running:
            return
        truth, coarse = self.truth_box.layer, self.coarse_box.layer
        # Whatever else is ticked: those two stand above already.
        refined = [
            one for one in self.refined_list.layers if one not in (truth, coarse)
        ]
        try:
            request = read_layers(
                truth,
                coarse,
                refined,
                self.image_box.layer,
                self.pairing_box.currentData(),
            )
        except SegRefinerError as error:
            self.show_message(f"⚠ {error}")
            return
        names = list(request.layers)
        self._chosen = {
            name: weakref.ref(layer)
            for name, layer in zip(names, (coarse, *refined), strict=True)
        }
        self._show_running(True)
        self.show_message("Comparing…")

        def work(cancelled: threading.Event) -> Iterator[Any]:
            yield compare(request)

        self._start(work)

    def show_message(self, text: str) -> None:
        """Show a sentence."""
        self.message_label.setText(text)

    def copy_table(self) -> None:
        """Put the table into the clipboard, to be pasted into a sheet."""
        QApplication.clipboard().setText(self.table_text())
        self.show_message("✓ The table is in the clipboard.")

    def table_text(self) -> str:
        """The table with tabs between its columns."""
        table = self.table
        columns = range(table.columnCount())
        lines = [[table.horizontalHeaderItem(k).text() for k in columns]]
        for row in range(table.rowCount()):
            lines.append([table.item(row, k).text() for k in columns])
        return "\n".join("\t".join(line) for line in lines) + "\n"

    def save_json(self, path: str = "") -> None:
        """Write all scores; asks where if it is not told."""
        self._save("Scores (*.json)", ".json", path)

    def save_page(self, path: str = "") -> None:
        """Write the report; asks where if it is not told."""
        self._save("Report (*.html)", ".html", path)

    # ---- the work and its answers

    def _start(self, work: Any) -> None:
        """Begin; a dock that is gone when the work ends hears nothing of it."""
        gone, ref = self._gone, weakref.ref(self)

        def take(event: Any) -> None:
            if not gone.is_set() and (dock := ref()) is not None:
                dock._take(event)

        def end() -> None:
            if not gone.is_set() and (dock := ref()) is not None:
                dock._end()

        self._runner.start(work, take, end)

    def _take(self, event: Any) -> None:
        if isinstance(event, Failed):
            self.show_message(f"⚠ {event.text}")
            return
        self.compared = event
        self._show_table(event)
        left = self._show_on_layers(event)
        self.show_message(" ".join([f"✓ {summary(event)}", *left]))

    def _end(self) -> None:
        self._show_running(False)

    def _show_running(self, is_running: bool) -> None:
        self.is_running = is_running
        self.compare_button.setEnabled(not is_running)
        self._enable_results()

    def _enable_results(self) -> None:
        has_results = self.compared is not None and not self.is_running
        for button in (self.copy_button, self.json_button, self.page_button):
            button.setEnabled(has_results)

    def _show_table(self, compared: Compared) -> None:
        lines = list(table_lines(compared))
        layers = list(compared.totals)
        table = self.table
        table.setRowCount(len(lines))
        table.setColumnCount(1 + len(layers))
        table.setHorizontalHeaderLabels(["", *layers])
        for column, name in enumerate(layers, start=1):
            table.horizontalHeaderItem(column).setToolTip(name)
        for row, line in enumerate(lines):
            for column, text in enumerate((line.title, *line.texts)):
                item = QTableWidgetItem(text)
                item.setToolTip(line.tip)
                if column:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                font = item.font()
                font.setBold(column - 1 in line.best)
                item.setFont(font)
                table.setItem(row, column, item)
        header = table.horizontalHeader()
        stretch, fit = (
            QHeaderView.ResizeMode.Stretch,
            QHeaderView.ResizeMode.ResizeToContents,
        )
        header.setSectionResizeMode(stretch)
        header.setSectionResizeMode(0, fit)
        table.resizeRowsToContents()
        table.setVisible(True)

    def _show_on_layers(self, compared: Compared) -> list[str]:
        """Scores as features, gains as colours; returns what was not possible."""
        refused = []
        for name, ref in self._chosen.items():
            layer = ref()
            if layer is None or not is_listed(self._viewer, layer):
                continue
            rows = objects_of(compared, name)
            if not write_scores(layer, rows):
                refused.append(f"The features of '{layer.name}' were left alone.")
            if name != "coarse" and self.gain_check.isChecked():
                self._show_gain(layer, compared.arrays.layers[name], rows)
        return refused

    def _show_gain(self, layer: Labels, data: Any, rows: Rows) -> None:
        """Put the gains of a layer on top, in place of older ones of it."""
        layers = self._viewer.layers
        gains = [one for one in layers if "gain_of" in one.metadata.get(KEY, {})]
        for one in gains:
            # One picture of gains at a time: they would hide each other.
            one.visible = False
            if one.metadata[KEY]["gain_of"] == layer.name:
                layers.remove(one)
        insert_above(self._viewer, gain_layer(layer, data, rows), layers[-1])

    def _save(self, kind: str, ending: str, path: str) -> None:
        if self.compared is None:
            return
        if not path:
            path, _ = QFileDialog.getSaveFileName(self, "Save", f"scores{ending}", kind)
        if not path:
            return
        from napari_segrefiner.io.atomic import write_text

        file = Path(path)
        file = file if file.suffix else file.with_suffix(ending)
        is_page = ending == ".html"
        try:
            text = self.compared.page() if is_page else self.compared.json()
            # The dialog has asked whether to replace it.
            write_text(file, text, overwrite=True)
        except SegRefinerError as error:
            self.show_message(f"⚠ {error}")
            return
        self.show_message(f"✓ Written to {file}")

    # ---- how it is built

    def _make_choices(self) -> None:
        none = "no labels yet"
        self.truth_box = LayerBox(self._viewer, is_labels, none)
        self.truth_box.set_tip("The true labels, as an expert drew them.")
        self.coarse_box = LayerBox(self._viewer, is_labels, none)
        self.coarse_box.set_tip("The labels before refinement; they decide the pairs.")
        self.refined_list = LayerList(self._viewer)
        self.refined_list.setToolTip(
            "Labels after refinement, with the ids of the coarse ones; tick any number."
        )
        self.image_box = LayerBox(self._viewer, is_image, "no image")
        self.image_box.set_tip("For the pictures of the report.")
        self.pairing_box = SteadyComboBox()
        for name, text in PAIRINGS.items():
            self.pairing_box.addItem(text, name)
        self.pairing_box.setToolTip(
            "How coarse objects find their true ones; automatic: by id if both layers "
            "hold the same ids, else by overlap."
        )
        self.gain_check = QCheckBox("Colour objects by gain")
        self.gain_check.setChecked(True)
        self.gain_check.setToolTip(
            "Adds a layer: blue objects gained IoU, orange ones lost, grey ones did "
            "neither."
        )
        self.compare_button = QPushButton("Compare")
        self.compare_button.setToolTip(
            "Score the coarse and the ticked labels against the truth; labels stay."
        )
        self.compare_button.clicked.connect(lambda: self.compare())

    def _make_results(self) -> None:
        self.message_label = QLabel(
            "Scores go into the table and into the features of the layers."
        )
        self.message_label.setWordWrap(True)
        self.table = QTableWidget()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.verticalHeader().setVisible(False)
        # As high as its rows; in a low window it scrolls.
        self.table.setSizeAdjustPolicy(
            QAbstractItemView.SizeAdjustPolicy.AdjustToContents
        )
        policy = QSizePolicy.Policy
        self.table.setSizePolicy(policy.Preferred, policy.Maximum)
        self.table.horizontalHeader().setTextElideMode(Qt.TextElideMode.ElideRight)
        self.table.setVisible(False)
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("The table, to be pasted into a sheet.")
        self.copy_button.clicked.connect(lambda: self.copy_table())
        self.json_button = QPushButton("Save scores…")
        self.json_button.setToolTip("All scores of all objects, as JSON.")
        self.json_button.clicked.connect(lambda: self.save_json())
        self.page_button = QPushButton("Save report…")
        self.page_button.setToolTip("A page with charts and pictures, as HTML.")
        self.page_button.clicked.connect(lambda: self.save_page())
        self._enable_results()

    def _lay_out(self) -> None:
        form_parent = QWidget()
        form = form_layout(form_parent)
        form.addRow("Truth", self.truth_box)
        form.addRow("Coarse", self.coarse_box)
        form.addRow("Refined", self.refined_list)
        form.addRow("Image", self.image_box)
        form.addRow("Pairs", self.pairing_box)
        buttons = QHBoxLayout()
        for button in (self.copy_button, self.json_button, self.page_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 8, 6, 8)
        layout.setSpacing(6)
        for widget in (
            form_parent,
            self.gain_check,
            self.compare_button,
            self.message_label,
        ):
            layout.addWidget(widget)
        layout.addWidget(self.table)
        layout.addLayout(buttons)
        layout.addStretch(1)

    def _hide_chosen(self) -> None:
        """The truth and the coarse labels are no refined ones."""
        self.refined_list.hide_layers(self.truth_box.layer, self.coarse_box.layer)

    def _guess_again(self) -> None:
        """Layers came or went: one that stands in both boxes was nobody's choice."""
        if self.truth_box.layer is self.coarse_box.layer:
            self._guess()

    def _guess(self) -> None:
        """Choose by name what is likely meant."""
        layers = self.truth_box.layers
        true = [layer for layer in layers if sounds_true(layer)]
        ours = self.refined_list.layers
        if true:
            self.truth_box.choose(true[0])
        rest = [one for one in layers if one not in ours and one not in true[:1]]
        if rest:
            self.coarse_box.choose(rest[-1])


def _release(boxes: tuple[Any, ...], gone: threading.Event) -> None:
    """Hear no more of the viewer."""
    gone.set()
    for box in boxes:
        box.disconnect_viewer()
