"""The choice of a model: those of the catalogue, or a file that is to join them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.catalogue import DEFAULT, Entry, entries
from napari_segrefiner.models.published import Published, published
from napari_segrefiner.plugin.controls import SteadyComboBox

ADD = "Add model…"
ADD_TIP = (
    "Checks a weight file (.safetensors, or a checkpoint of the published code) and "
    "copies it to your models; nothing in it is executed."
)
FILES = "Models (*.safetensors *.pth *.pt *.ckpt);;All files (*)"


class ModelBox(SteadyComboBox):
    """A combo box of model names; its last entry asks for a file.

    ``chosen`` is emitted for another model, ``file_given`` with the path of a file that
    the user wants to add.

    Parameters
    ----------
    remembered : str
        The name to begin with, if it is there.
    first : mapping, optional
        Choices before the models: value and text.
    ask, ask_tip : str
        The last entry.
    """

    chosen = Signal()
    file_given = Signal(str)

    def __init__(
        self,
        remembered: str,
        parent: QWidget | None = None,
        *,
        first: Mapping[str, str] | None = None,
        ask: str = ADD,
        ask_tip: str = ADD_TIP,
    ) -> None:
        super().__init__(parent)
        self._first = dict(first or {})
        self._ask, self._ask_tip = ask, ask_tip
        self._model = next(iter(self._first), DEFAULT)
        self._offered: tuple[Entry, ...] = ()
        self._fill(entries())
        self._show(remembered)
        self.currentIndexChanged.connect(self._on_index)

    @property
    def model(self) -> str:
        """The chosen name."""
        return self._model

    def select(self, name: str) -> None:
        """Choose a model that may be new."""
        self.refresh()
        self.setCurrentIndex(max(self.findData(name), 0))

    def offer(self, path: str) -> None:
        """Offer a file as it is, and choose it."""
        self._first[path] = Path(path).name
        self._fill(self._offered)
        self._show(self._model)
        self.setCurrentIndex(self.findData(path))

    def rename(self, value: str, text: str) -> None:
        """Call one of the first choices something else."""
        self._first[value] = text
        self.setItemText(self.findData(value), text)

    def refresh(self) -> None:
        """Offer what is installed now; if the chosen one is gone, the default."""
        found = entries()
        if found != self._offered:
            self._fill(found)
            if self._model != self._show(self._model):
                self.chosen.emit()
        self._tell()

    def showPopup(self) -> None:
        """Offer what is installed now: commands may have added or removed models."""
        self.refresh()
        super().showPopup()

    def _fill(self, found: tuple[Entry, ...]) -> None:
        """An entry for each model and one for files; signals wait."""
        self._offered = found
        blocked = self.blockSignals(True)
        self.clear()
        for value, text in self._first.items():
            self.addItem(text, value)
        # First and always there: what is wrong with it is told when it is loaded.
        names = [DEFAULT, *(e.name for e in found if e.name != DEFAULT)]
        for name in names:
            self.addItem(name, name)
        for model in published().values():
            if model.name not in names:
                self._name_only(model)
        self.insertSeparator(self.count())
        self.addItem(self._ask, None)
        tip_role = Qt.ItemDataRole.ToolTipRole
        self.setItemData(self.count() - 1, self._ask_tip, tip_role)
        self.blockSignals(blocked)

    def _name_only(self, model: Published) -> None:
        """A published model that cannot be chosen yet; its tooltip says how to get it.

        A download of half a gigabyte is better done where it can be watched.
        """
        self.addItem(f"{model.name} (not installed)", None)
        parts = (
            model.description,
            f"To fetch it: napari-segrefiner models fetch {model.name}",
            f"By hand: {model.by_hand}",
        )
        text = "".join(f"<p>{html.escape(part)}</p>" for part in parts)
        self.setItemData(self.count() - 1, text, Qt.ItemDataRole.ToolTipRole)
        items: Any = super().model()
        items.item(self.count() - 1).setEnabled(False)

    def _show(self, name: str) -> str:
        """Choose without a signal; gives what is chosen now."""
        blocked = self.blockSignals(True)
        self.setCurrentIndex(max(self.findData(name), 0))
        self.blockSignals(blocked)
        self._model = str(self.currentData())
        self._tell()
        return self._model

    def _tell(self) -> None:
        """The models' cards as tooltips."""
        for entry in self._offered:
            index = self.findData(entry.name)
            self.setItemData(index, tip(entry), Qt.ItemDataRole.ToolTipRole)
        own = self.itemData(self.currentIndex(), Qt.ItemDataRole.ToolTipRole)
        self.setToolTip(own or "The network.")

    def _on_index(self, index: int) -> None:
        name = self.itemData(index)
        if name is not None:
            if name != self._model:
                self._model = name
                self._tell()
                self.chosen.emit()
            return
        # Back to the last model first: the dialog may be cancelled.
        self._show(self._model)
        path, _ = QFileDialog.getOpenFileName(self, "Add a model", "", FILES)
        if path:
            self.file_given.emit(path)


def tip(entry: Entry) -> str:
    """What the card says of a model, as rich text: only that is wrapped."""
    try:
        card = entry.card
    except ModelError as error:
        return f"<p>{html.escape(str(error))}</p>"
    parts = [f"<b>{html.escape(entry.name)}</b>: {html.escape(card.description)}"]
    if card.limits:
        parts.append(f"Limits: {html.escape(card.limits)}")
    parts.append(f"Licence: {html.escape(card.licence)}")
    return "".join(f"<p>{part}</p>" for part in parts)
