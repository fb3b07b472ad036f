"""Choices that appear only for images with channels and for labels with planes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_segrefiner.plugin.controls import SteadyComboBox
from napari_segrefiner.plugin.images import Channels, find_channels
from napari_segrefiner.plugin.planes import sliders

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

ALL, DISPLAYED = "all", "displayed"


class DataWatch:
    """Calls back when the array of a followed layer is replaced by another one."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._layers: list[weakref.ref[Layer]] = []

    def follow(self, *layers: Layer | None) -> None:
        """Follow these layers instead of those before."""
        for ref in self._layers:
            if (layer := ref()) is not None:
                layer.events.data.disconnect(self._callback)
        self._layers = [weakref.ref(layer) for layer in layers if layer is not None]
        for layer in layers:
            if layer is not None:
                layer.events.data.connect(self._callback)


class ChannelBox(SteadyComboBox):
    """Which channel of an image the network looks at.

    ``offered`` is emitted when the choices may have changed by themselves.
    """

    offered = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._channels: Channels | None = None
        self._image: Callable[[], Layer | None] = lambda: None
        self._labels: Callable[[], Layer | None] = lambda: None
        self._watch = DataWatch(self.refresh)

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to choose."""
        return self._channels is not None

    @property
    def channel(self) -> int | None:
        """The chosen channel, None for all of them."""
        if self._channels is None:
            return None
        choice = self.currentData()
        if choice == DISPLAYED:
            return self._displayed(self._channels)
        return None if choice == ALL else int(choice)

    def update_for(self, image: Layer | None, labels: Layer | None) -> None:
        """Offer the channels of `image` that `labels` lack."""
        channels = None
        self._watch.follow(image, labels)
        self._image = _ref(image)
        self._labels = _ref(labels)
        if image is not None and labels is not None:
            channels = find_channels(image, labels)
        if channels == self._channels and (channels is None or self.count()):
            return
        self._channels = channels
        self.clear()
        if channels is None or image is None:
            return
        if channels.can_mix:
            self.addItem("all channels", ALL)
        dims = self._viewer.dims
        if channels.axis + dims.ndim - image.ndim not in dims.displayed:
            self.addItem("displayed channel", DISPLAYED)
        for channel in range(channels.count):
            self.addItem(f"channel {channel}", channel)
        self.setCurrentIndex(0)

    def refresh(self, event: Any = None) -> None:
        """Offer the channels of what the layers hold now."""
        self.update_for(self._image(), self._labels())
        self.offered.emit()

    def disconnect_viewer(self) -> None:
        """Hear no more of the layers."""
        self._watch.follow()

    def _displayed(self, channels: Channels) -> int | None:
        """The channel that the image shows; sliders count steps of all layers."""
        image = self._image()
        if image is None:
            return None
        at = image.world_to_data(self._viewer.dims.point)[channels.axis]
        return min(max(int(np.round(at)), 0), channels.count - 1)


def _ref(layer: Layer | None) -> Callable[[], Layer | None]:
    return weakref.ref(layer) if layer is not None else lambda: None


class PlanesBox(SteadyComboBox):
    """Whether the displayed plane is refined, or all planes along a slider."""

    offered = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._labels: Layer | None = None
        self._watch = DataWatch(self.refresh)
        for event in self._events():
            event.connect(self.refresh)

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to choose."""
        return self.count() > 1

    @property
    def slider(self) -> int | None:
        """The axis along which all planes are refined, None for the displayed plane."""
        axis = self.currentData()
        return None if axis is None else int(axis)

    def update_for(self, labels: Layer | None) -> None:
        """Offer the sliders of `labels`."""
        self._labels = labels
        self._watch.follow(labels)
        self.refresh()

    def refresh(self, event: Any = None) -> None:
        """Offer what the viewer shows now; the choice stays if it still can."""
        before = self.slider
        found = () if self._labels is None else sliders(self._viewer, self._labels)
        self.clear()
        self.addItem("displayed plane", None)
        for slider in found:
            self.addItem(f"all {slider.n_planes} along {slider.name}", slider.axis)
        self.setCurrentIndex(max(self.findData(before), 0))
        self.offered.emit()

    def disconnect_viewer(self) -> None:
        """Hear no more of the viewer."""
        for event in self._events():
            event.disconnect(self.refresh)
        self._watch.follow()

    def _events(self) -> tuple[Any, ...]:
        events = self._viewer.dims.events
        return events.ndisplay, events.order, events.ndim, events.axis_labels
