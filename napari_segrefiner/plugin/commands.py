"""The menu's actions, and what other plugins may call with or without arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari
from napari import Viewer
from napari.layers import Labels

from napari_segrefiner.errors import InputError
from napari_segrefiner.plugin.layers import is_labels, is_listed, is_preview, unwrap

if TYPE_CHECKING:
    from napari_segrefiner.plugin.dock import SegRefinerDock

PLUGIN, DOCK = "napari-segrefiner", "SegRefiner"


def refine(viewer: Viewer | None = None, layer: Labels | None = None) -> None:
    """Refine a whole layer, with the options of the dock, which is opened.

    It returns at once; the run goes on in the background.

    Parameters
    ----------
    viewer : napari.Viewer, optional
        By default the current one.
    layer : napari.layers.Labels, optional
        By default the active Labels layer, else the one chosen in the dock.
    """
    dock = open_dock(viewer, _meant(layer))
    dock.controller.refine()


def refine_selected(viewer: Viewer | None = None, layer: Labels | None = None) -> None:
    """Refine the selected label of a layer, with the options of the dock.

    Parameters
    ----------
    viewer : napari.Viewer, optional
        By default the current one.
    layer : napari.layers.Labels, optional
        By default the active Labels layer, else the one chosen in the dock.
    """
    dock, layer = open_dock(viewer, None), _meant(layer)
    if layer is None:
        dock.controller.refine_selected()
        return
    # The menu hands over what is active, a result perhaps: the dock's choice stays.
    viewer, chosen = viewer or napari.current_viewer(), unwrap(layer)
    if not is_labels(chosen) or not is_listed(viewer, chosen):
        raise InputError(_no_labels(layer))
    dock.controller.refine_selected_of(chosen)


def open_dock(viewer: Viewer | None, layer: Labels | None) -> SegRefinerDock:
    """The dock of a viewer, opened if it is not, with `layer` chosen in it.

    Raises
    ------
    InputError
        If there is no viewer, or the layer is not one of its labels.
    """
    viewer = viewer or napari.current_viewer()
    if viewer is None:
        message = "There is no napari window; open one, or pass the viewer."
        raise InputError(message)
    wrapper, dock = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    wrapper.show()
    wrapper.raise_()
    if layer is not None:
        dock.form.labels_box.choose(layer)
        if dock.form.labels_box.layer != layer and dock.controller.operand() != layer:
            raise InputError(_no_labels(layer))
    return dock


def _meant(layer: Labels | None) -> Labels | None:
    """None for what only shows something, such as gains: the menu hands that over."""
    return None if layer is None or is_preview(unwrap(layer)) else layer


def _no_labels(layer: Labels) -> str:
    return f"'{layer.name}' is no Labels layer of this viewer; add it first."
