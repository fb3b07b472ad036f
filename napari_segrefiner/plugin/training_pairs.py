"""The list of images and labels that a training learns from."""

from __future__ import annotations

from qtpy.QtWidgets import QListWidget, QVBoxLayout, QWidget

from napari_segrefiner.plugin.training_data import LayerPair
from napari_segrefiner.plugin.widgets import quiet_button, side_by_side

#: Pixels for three rows.
HEIGHT = 58


class PairList(QWidget):
    """Pairs that were added; empty at first."""

    def __init__(self) -> None:
        super().__init__()
        self._pairs: list[LayerPair] = []
        self.list = QListWidget()
        self.list.setFixedHeight(HEIGHT)
        self.setToolTip("With two or more images, some are kept for validation.")
        self.add_button = quiet_button(
            "Add pair",
            "Learn from the image and labels above, as they are now, and from others;\n"
            "without a list they are taken alone, and validate as well.",
        )
        self.remove_button = quiet_button(
            "Remove", "Take the selected pair out of the list."
        )
        self.remove_button.clicked.connect(self._remove)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.list)
        column.addLayout(side_by_side((self.add_button, 1), (self.remove_button, 1)))
        self._show()

    @property
    def pairs(self) -> tuple[LayerPair, ...]:
        """What was added, in order."""
        return tuple(self._pairs)

    def add(self, pair: LayerPair) -> None:
        """List another pair; one that is listed already is taken as it is now."""
        coarse = "" if pair.coarse is None else ", with coarse masks"
        text = f"{pair.name} + {pair.labels_name}{coarse}"
        for at, listed in enumerate(self._pairs):
            if pair.replaces(listed):
                # Twice in the list, it would teach and validate itself.
                self._pairs[at] = pair
                self.list.item(at).setText(text)
                self.list.setCurrentRow(at)
                return
        self._pairs.append(pair)
        self.list.addItem(text)
        self._show()

    def _remove(self) -> None:
        at = self.list.currentRow()
        if at >= 0:
            self.list.takeItem(at)
            del self._pairs[at]
            self._show()

    def _show(self) -> None:
        """The list takes no room while it is empty."""
        for part in (self.list, self.remove_button):
            part.setVisible(bool(self._pairs))
