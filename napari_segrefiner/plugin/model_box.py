"""The choice of a model: known names, or a file of one's own."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_segrefiner.models.catalogue import DEFAULT, entries
from napari_segrefiner.plugin.controls import SteadyComboBox

BROWSE = "Choose a file…"


class ModelBox(SteadyComboBox):
    """A combo box of model names; its last entry asks for a file."""

    chosen = Signal()

    def __init__(self, remembered: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.addItem(DEFAULT, DEFAULT)
        for entry in entries():
            if entry.name != DEFAULT:
                self.addItem(entry.name, entry.name)
        self.addItem(BROWSE, None)
        if remembered and self.findData(remembered) < 0 and Path(remembered).exists():
            self._add_file(remembered)
        self.setCurrentIndex(max(self.findData(remembered), 0))
        self._last = self.currentIndex()
        self.currentIndexChanged.connect(self._on_index)

    @property
    def model(self) -> str:
        """The chosen name or path."""
        return str(self.itemData(self._last))

    def choose_file(self, path: str) -> None:
        """Offer a file and choose it."""
        if self.findData(path) < 0:
            self._add_file(path)
        self.setCurrentIndex(self.findData(path))

    def _add_file(self, path: str) -> None:
        self.insertItem(self.count() - 1, Path(path).name, path)

    def _on_index(self, index: int) -> None:
        if index < 0 or index == self._last:
            return
        if self.itemData(index) is None:
            # Back to the last model first: the dialog may be cancelled.
            self.setCurrentIndex(self._last)
            path, _ = QFileDialog.getOpenFileName(
                self, "Choose a model", "", "Models (*.safetensors);;All files (*)"
            )
            if path:
                self.choose_file(path)
            return
        self._last = index
        self.chosen.emit()
