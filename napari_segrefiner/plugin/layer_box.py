"""A choice of layers that keeps pace with the viewer's list."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QStyle, QStyleOptionComboBox, QStylePainter, QWidget

from napari_segrefiner.plugin.controls import SteadyComboBox
from napari_segrefiner.plugin.layers import unwrap

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

#: Pixels that the style takes of a combo box beside its text.
MARGIN = 4


class LayerBox(SteadyComboBox):
    """A combo box of the layers of one kind, the topmost first.

    It stands for layers, not for names: renaming or moving one changes no choice.
    ``chosen`` is emitted for another layer, ``offered`` when layers may have changed,
    ``vacated`` with its name when the chosen layer was deleted and none took its place.

    Parameters
    ----------
    viewer : napari viewer or ViewerModel
    accepts : callable
        Which layers are offered.
    placeholder : str
        Shown when there is none.
    follows : callable, optional
        ``follows(active, chosen)``: whether to choose a layer that has become active.
    none : str, optional
        The first choice, of no layer.
    prefers : callable, optional
        Which layers are better guesses than the topmost, until the user chooses.
    is_refilled : bool
        Whether another layer takes the place of a deleted one; else the choice is empty
        until somebody chooses, or all layers were deleted.
    """

    chosen = Signal()
    offered = Signal()
    vacated = Signal(str)

    def __init__(
        self,
        viewer: ViewerModel,
        accepts: Callable[[Layer], bool],
        placeholder: str,
        follows: Callable[[Layer, Layer | None], bool] | None = None,
        parent: QWidget | None = None,
        *,
        none: str = "",
        prefers: Callable[[Layer], bool] | None = None,
        is_refilled: bool = True,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._accepts = accepts
        self._none = none
        self._prefers = prefers
        self._is_settled = prefers is None
        self._is_refilled = is_refilled
        self._follows = follows
        self._tip = ""
        self._layers: list[weakref.ref[Layer]] = []
        self.setPlaceholderText(placeholder)
        self.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        for event in self._events():
            event.connect(self.refresh)
        viewer.layers.selection.events.active.connect(self._on_active)
        self.currentIndexChanged.connect(self._on_index)
        self.activated.connect(self._settle)
        self.refresh()
        self._on_active()

    @property
    def layer(self) -> Any:
        """The chosen layer, None if there is none."""
        index = self.currentIndex() - bool(self._none)
        return self._layers[index]() if 0 <= index < len(self._layers) else None

    @property
    def layers(self) -> list[Layer]:
        """All layers to choose from."""
        return [layer for ref in self._layers if (layer := ref()) is not None]

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer; one that is not among the choices changes nothing."""
        layer = unwrap(layer)
        self._settle()
        for index, ref in enumerate(self._layers):
            if layer is not None and ref() is layer:
                self.setCurrentIndex(index + bool(self._none))

    def set_tip(self, text: str) -> None:
        """Explain the box; the name of the layer, which may not fit in, is added."""
        self._tip = text
        self.setToolTip(f"{text}\n{self.currentText()}".strip())

    def paintEvent(self, event: Any) -> None:
        """Show both ends of a name that does not fit in: many begin alike."""
        if self.currentIndex() < 0:
            super().paintEvent(event)
            return
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        option.currentText = self.shortened(field.width() - MARGIN)
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def shortened(self, width: int) -> str:
        """The name of the chosen layer as it is shown in so many pixels."""
        middle = Qt.TextElideMode.ElideMiddle
        return self.fontMetrics().elidedText(self.currentText(), middle, width)

    def refresh(self, event: Any = None) -> None:
        """Follow the viewer's list; the chosen layer stays chosen while it is there."""
        before = self.layer
        layers = [unwrap(layer) for layer in self._viewer.layers]
        layers = [layer for layer in reversed(layers) if self._accepts(layer)]
        # Of no layers the first that comes is a guess, among others it would not be.
        stays_empty = not self._is_refilled and bool(self._layers) and bool(layers)
        was_blocked = self.blockSignals(True)
        self.clear()
        self._layers = [weakref.ref(layer) for layer in layers]
        if self._none:
            self.addItem(self._none)
        for layer in layers:
            self.addItem(layer.name)
        guesses = [] if self._is_settled else list(filter(self._prefers, layers))
        if guesses and before not in guesses:
            self.setCurrentIndex(layers.index(guesses[0]) + bool(self._none))
        elif before in layers:
            self.setCurrentIndex(layers.index(before) + bool(self._none))
        else:
            self.setCurrentIndex(0 if self.count() and not stays_empty else -1)
        self.blockSignals(was_blocked)
        self.set_tip(self._tip)
        if self.layer is not before:
            self.chosen.emit()
        if self.layer is None and before is not None:
            self.vacated.emit(before.name)
        self.offered.emit()

    def disconnect_viewer(self) -> None:
        """Hear no more of the viewer."""
        for event in self._events():
            event.disconnect(self.refresh)
        self._viewer.layers.selection.events.active.disconnect(self._on_active)

    def _events(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered, events.renamed

    def _settle(self, index: int = 0) -> None:
        """From now on the choice is somebody's own."""
        self._is_settled = True

    def _on_index(self, index: int) -> None:
        self.set_tip(self._tip)
        self.chosen.emit()

    def _on_active(self, event: Any = None) -> None:
        active = unwrap(self._viewer.layers.selection.active)
        if (
            self._follows is not None
            and active is not None
            and self._accepts(active)
            and self._follows(active, self.layer)
        ):
            self.choose(active)
