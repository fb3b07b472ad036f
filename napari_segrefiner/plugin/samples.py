"""The sample under File > Open Sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segrefiner.io import sample

if TYPE_CHECKING:
    from napari.types import LayerDataTuple


def coins() -> list[LayerDataTuple]:
    """Photographed coins with coarse masks drawn in a hurry."""
    made = sample.coins()
    return [
        (made.image, {"name": "coins", "colormap": "gray"}, "image"),
        (made.coarse, {"name": "coins coarse", "opacity": 0.6}, "labels"),
    ]
