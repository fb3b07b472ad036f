"""Layers as the plugin meets them: which ones it may use, and faithful copies."""

from __future__ import annotations

import copy
import math
import re
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.memory import available_bytes
from napari_segrefiner.plugin.planes import array_shape

if TYPE_CHECKING:
    from napari.components import ViewerModel

#: Key of everything that this plugin puts into a layer's metadata.
KEY = "segrefiner"


def unwrap(layer: Any) -> Any:
    """The layer itself instead of the proxy that plugins get of it.

    A weak reference to a proxy dies with the proxy, at once.
    """
    return getattr(layer, "__wrapped__", layer)


def entry(layer: Layer) -> dict[str, Any]:
    """What this plugin has put into the layer's metadata; empty if it is not ours."""
    found = layer.metadata.get(KEY)
    return found if isinstance(found, dict) else {}


def is_preview(layer: Layer) -> bool:
    """Whether the layer only shows a run at work."""
    return bool(entry(layer).get("is_preview", False))


def is_image(layer: Layer) -> bool:
    """Whether the layer can be looked at by the network."""
    return isinstance(layer, Image)


def is_labels(layer: Layer) -> bool:
    """Whether the layer can be refined; the preview cannot."""
    return isinstance(layer, Labels) and not is_preview(layer)


#: Words in names by which a layer is taken for the truth.
TRUE_NAMES = {"truth", "true", "groundtruth", "gt", "expert", "manual"}


def sounds_true(layer: Layer) -> bool:
    """Whether the layer's name says that it holds true labels."""
    return not TRUE_NAMES.isdisjoint(re.findall(r"[^\W\d_]+", layer.name.lower()))


def array_of(layer: Layer) -> Callable[[], Any]:
    """Gives the array that the layer shows now, None when that is gone."""
    data = layer.data
    try:
        return weakref.ref(data)
    except TypeError:  # a kind of array that allows none
        return lambda: data


def is_listed(viewer: ViewerModel, layer: Layer | None) -> bool:
    """Whether the layer still belongs to the viewer."""
    return layer is not None and layer in viewer.layers


def id_of(layer: Layer) -> str:
    """What tells the layer from all others as long as napari runs, renamed or not."""
    return str(layer.unique_id)


def find_layer(viewer: ViewerModel, layer_id: str, name: str) -> Any:
    """The listed layer with this id, else the one with this name, else None."""
    layers = [unwrap(layer) for layer in viewer.layers]
    same = [layer for layer in layers if id_of(layer) == layer_id]
    named = [layer for layer in layers if layer.name == name]
    return next(iter(same + named), None)


def check_labels(layer: Labels) -> None:
    """Refuse what cannot be refined.

    Raises
    ------
    InputError
        For multiscale labels.
    """
    if layer.multiscale:
        message = (
            f"'{layer.name}' is multiscale, and napari cannot write such labels; add "
            "one of its levels as a layer: viewer.add_labels(layer.data[0])."
        )
        raise InputError(message)
    if len(array_shape(layer)) < 2:
        message = f"'{layer.name}' has one dimension; labels of a plane are expected."
        raise InputError(message)


def as_now(layer: Labels) -> Any:
    """The layer's array for a worker: a copy, for a person may paint on meanwhile.

    Of what lies on a disk there is none; it is read when it is needed.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    return data.copy() if isinstance(data, np.ndarray) else data


def check_room(layer: Labels) -> None:
    """Refuse to copy labels for which the memory is not there.

    Raises
    ------
    InputError
        Labels that are read piece by piece can be larger than any memory.
    """
    shape = array_shape(layer)
    needed = math.prod(shape) * np.dtype(layer.data.dtype).itemsize
    free = available_bytes()
    if free is not None and needed > free:
        message = (
            f"A copy of '{layer.name}' takes {needed / 2**30:.1f} GB but "
            f"{free / 2**30:.1f} GB of memory are free; refine a part of it, or write "
            "into this layer."
        )
        raise InputError(message)


def check_writable(layer: Labels) -> None:
    """Refuse to write into a layer that is locked or cannot be written pixel by pixel.

    Raises
    ------
    InputError
        With the way that works.
    """
    is_locked = isinstance(layer.data, np.ndarray) and not layer.data.flags.writeable
    if is_locked or getattr(layer.data, "read_only", False):
        message = (
            f"'{layer.name}' was opened for reading only and cannot be written into; "
            "write to a new layer instead."
        )
        raise InputError(message)
    if type(layer.data).__module__.split(".")[0] == "dask":
        message = (
            f"'{layer.name}' is computed by dask and cannot be written into; write to "
            "a new layer instead."
        )
        raise InputError(message)
    if not layer.editable:
        message = f"'{layer.name}' is not editable; unlock it, or write to a new layer."
        raise InputError(message)


def geometry(layer: Layer) -> dict[str, Any]:
    """All that places a layer in the world, as arguments of a layer's constructor.

    Units are among it because napari ignores all units once one layer lacks them.
    """
    return {
        "scale": np.array(layer.scale),
        "translate": np.array(layer.translate),
        "rotate": np.array(layer.rotate),
        "shear": np.array(layer.shear),
        "affine": np.array(layer.affine.affine_matrix),
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }


def copy_of(source: Labels, data: Any, name: str) -> Labels:
    """A new Labels layer that looks like `source` and lies where it lies."""
    layer = Labels(
        data,
        name=name,
        # A copy: layers write their selected label into their colormap.
        colormap=copy.deepcopy(source.colormap),
        opacity=source.opacity,
        blending=source.blending,
        **geometry(source),
    )
    layer.contour = source.contour
    layer.selected_label = source.selected_label
    layer.show_selected_label = source.show_selected_label
    layer.brush_size = source.brush_size
    layer.n_edit_dimensions = source.n_edit_dimensions
    layer.preserve_labels = source.preserve_labels
    return layer


def insert_above(viewer: ViewerModel, layer: Layer, below: Layer | None) -> None:
    """Add a layer right above another one, on top if there is none; select nothing.

    napari selects what is added; that would take the user's layer from under the brush.
    """
    layers, selection = viewer.layers, viewer.layers.selection
    selected, active = set(selection), selection.active
    at = layers.index(below) + 1 if below in layers else len(layers)
    layers.insert(at, layer)
    selection.clear()
    selection.update(selected)
    selection.active = active
