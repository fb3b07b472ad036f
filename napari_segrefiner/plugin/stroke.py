"""Whether the user is painting on a layer right now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from napari_segrefiner.plugin.layers import unwrap

if TYPE_CHECKING:
    from napari.layers import Labels

#: Qt's right button as napari's events number it: it begins a stroke that goes on
#: after the button is released, until its outline is closed.
RIGHT = 2


class StrokeWatch:
    """Watches one layer; a result written during a stroke would cut its undo in two."""

    def __init__(self, layer: Labels) -> None:
        self._layer = unwrap(layer)
        self.is_painting = False
        self._callback = self._on_drag  # one object, so that it can be removed again
        self._layer.mouse_drag_callbacks.append(self._callback)
        self._layer.events.paint.connect(self._on_paint)

    def close(self) -> None:
        """Stop watching."""
        if self._callback in self._layer.mouse_drag_callbacks:
            self._layer.mouse_drag_callbacks.remove(self._callback)
        self._layer.events.paint.disconnect(self._on_paint)
        self.is_painting = False

    def _on_drag(self, layer: Labels, event: Any) -> Iterator[None]:
        """From press to release of a mouse button."""
        if str(layer.mode) not in ("paint", "erase"):
            return
        self.is_painting = True
        yield
        while event.type == "mouse_move":
            yield
        if event.button != RIGHT:
            self.is_painting = False

    def _on_paint(self) -> None:
        """A stroke has become an undo step."""
        self.is_painting = False
