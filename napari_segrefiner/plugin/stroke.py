"""Whether the user is drawing on layers right now."""

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
    """Watches layers that a result goes into or hides.

    A result that is written during a stroke would cut its undo in two; one that hides
    a half-drawn polygon would lose it.
    """

    def __init__(self, *layers: Labels) -> None:
        self._layers = list(dict.fromkeys(map(unwrap, layers)))
        self._is_stroke = False
        self._callback = self._on_drag  # one object, so that it can be removed again
        for layer in self._layers:
            layer.mouse_drag_callbacks.append(self._callback)
            layer.events.paint.connect(self._on_paint)

    @property
    def is_painting(self) -> bool:
        """Whether a stroke or a polygon is under way."""
        return self._is_stroke or any(map(has_polygon, self._layers))

    def close(self) -> None:
        """Stop watching."""
        for layer in self._layers:
            if self._callback in layer.mouse_drag_callbacks:
                layer.mouse_drag_callbacks.remove(self._callback)
            layer.events.paint.disconnect(self._on_paint)
        self._layers.clear()
        self._is_stroke = False

    def _on_drag(self, layer: Labels, event: Any) -> Iterator[None]:
        """From press to release of a mouse button."""
        if str(layer.mode) not in ("paint", "erase"):
            return
        self._is_stroke = True
        yield
        while event.type == "mouse_move":
            yield
        if event.button != RIGHT:
            self._is_stroke = False

    def _on_paint(self) -> None:
        """A stroke has become an undo step."""
        self._is_stroke = False


def has_polygon(layer: Labels) -> bool:
    """Whether a polygon of the layer has corners already, and is not closed yet."""
    overlay = getattr(layer, "_overlays", {}).get("polygon")
    is_drawn = str(layer.mode) == "polygon" and bool(layer.visible)
    return is_drawn and bool(getattr(overlay, "points", ()))
