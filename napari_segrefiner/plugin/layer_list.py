"""A list of the viewer's Labels layers, of which any number can be ticked."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from napari_segrefiner.plugin.layers import entry, is_labels, unwrap

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

#: Height in rows; further ones are scrolled to.
ROWS = 3


class LayerList(QListWidget):
    """Labels layers to tick; it keeps pace with the viewer's list.

    A layer that the plugin has made is ticked when it appears.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._layers: list[weakref.ref[Labels]] = []
        self._seen: weakref.WeakSet[Labels] = weakref.WeakSet()
        self._hidden: tuple[Labels | None, ...] = ()
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setMaximumHeight(ROWS * self.fontMetrics().height() * 3 // 2)
        for event in self._events():
            event.connect(self.refresh)
        self.refresh()

    @property
    def layers(self) -> list[Labels]:
        """The ticked layers, the topmost last."""
        ticked = []
        for row, ref in enumerate(self._layers):
            layer = ref()
            item = self.item(row)
            is_ticked = item.checkState() == Qt.CheckState.Checked
            if layer is not None and is_ticked and layer not in self._hidden:
                ticked.append(layer)
        return ticked[::-1]

    def tick(self, layer: Labels, is_ticked: bool = True) -> None:
        """Tick a layer, or not."""
        state = Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked
        for row, ref in enumerate(self._layers):
            if ref() is unwrap(layer):
                self.item(row).setCheckState(state)

    def hide_layers(self, *layers: Labels | None) -> None:
        """Do not offer these; they are chosen elsewhere."""
        self._hidden = layers
        for row, ref in enumerate(self._layers):
            self.setRowHidden(row, ref() in layers)

    def refresh(self, event: Any = None) -> None:
        """Follow the viewer's list; ticks stay."""
        before = self.layers
        layers = [unwrap(layer) for layer in reversed(self._viewer.layers)]
        layers = [layer for layer in layers if is_labels(layer)]
        self.clear()
        self._layers = [weakref.ref(layer) for layer in layers]
        for layer in layers:
            is_new = layer not in self._seen
            is_ours = is_new and "source" in entry(layer)
            item = QListWidgetItem(layer.name)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(
                Qt.CheckState.Checked
                if layer in before or is_ours
                else Qt.CheckState.Unchecked
            )
            self.addItem(item)
            self._seen.add(layer)
        self.hide_layers(*self._hidden)

    def disconnect_viewer(self) -> None:
        """Hear no more of the viewer."""
        for event in self._events():
            event.disconnect(self.refresh)

    def _events(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered, events.renamed
