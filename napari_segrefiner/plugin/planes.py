"""The (Y, X) planes of n-D layers: the displayed one, and those along a slider."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError
from napari_segrefiner.geometry import Box

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

Index = tuple[npt.NDArray[np.intp], ...]


@dataclass(frozen=True)
class Plane:
    """One plane of an n-D array.

    ``axes`` are the two axes that span it, rising, whatever order the viewer shows
    them in: a transposed display refines the same pixels. ``position`` holds an index
    per axis of the array; its entries at `axes` mean nothing and are 0.
    """

    axes: tuple[int, int]
    position: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """Dimensions of the array."""
        return len(self.position)

    @property
    def index(self) -> tuple[Any, ...]:
        """Index that takes the (Y, X) plane out of the array."""
        return tuple(
            slice(None) if axis in self.axes else at
            for axis, at in enumerate(self.position)
        )

    def lies_in(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape has the plane."""
        return len(shape) == self.ndim and all(
            0 <= at < n for at, n in zip(self.position, shape, strict=True)
        )

    def pixels(self, ys: npt.NDArray[np.intp], xs: npt.NDArray[np.intp]) -> Index:
        """Index arrays of the plane's pixels (ys, xs) in the n-D array."""
        index = [np.full(ys.shape, at, dtype=np.intp) for at in self.position]
        index[self.axes[0]], index[self.axes[1]] = ys, xs
        return tuple(index)

    def point(self, y: float, x: float) -> tuple[float, ...]:
        """The n-D data coordinates of the plane's point (y, x)."""
        point = [float(at) for at in self.position]
        point[self.axes[0]], point[self.axes[1]] = y, x
        return tuple(point)

    def start(self, box: Box) -> tuple[float, ...]:
        """The n-D data coordinates of the first pixel of `box`."""
        return self.point(box.y0, box.x0)

    def moved(self, axis: int, at: int) -> Plane:
        """The parallel plane at index `at` of `axis`."""
        position = list(self.position)
        position[axis] = at
        return Plane(self.axes, tuple(position))


@dataclass(frozen=True)
class Slider:
    """An axis of a layer that is not displayed: `n_planes` planes lie along it."""

    axis: int
    n_planes: int
    name: str


def displayed_plane(viewer: ViewerModel, layer: Layer) -> Plane:
    """The plane of `layer` that the viewer shows.

    Raises
    ------
    InputError
        In 3-D display, when the sliders stand outside of the layer, or when the layer
        has no extent along a displayed axis.
    """
    if viewer.dims.ndisplay != 2:
        message = (
            "Refining works on planes: switch to the 2D display (Ctrl+Y), then refine."
        )
        raise InputError(message)
    shape = array_shape(layer)
    axes = displayed_axes(viewer, len(shape))
    if axes is None:
        message = (
            f"'{layer.name}' has no extent along a displayed axis; reset the order of "
            "the axes with the home button."
        )
        raise InputError(message)
    # napari rounds the sliders' world coordinates the same way when it slices.
    coords = np.asarray(layer.world_to_data(viewer.dims.point))
    position = [0] * len(shape)
    for axis in range(len(shape)):
        if axis in axes:
            continue
        at = int(np.round(coords[axis]))
        if not 0 <= at < shape[axis]:
            message = (
                f"The slider stands outside of '{layer.name}'; move it to a plane "
                "that the layer has."
            )
            raise InputError(message)
        position[axis] = at
    return Plane(axes, tuple(position))


def displayed_axes(viewer: ViewerModel, ndim: int) -> tuple[int, int] | None:
    """The displayed axes as axes of a layer with `ndim` dimensions, rising.

    None if the layer lacks one of them: layers share the viewer's last axes.
    """
    missing = viewer.dims.ndim - ndim
    first, second = sorted(axis - missing for axis in viewer.dims.displayed[-2:])
    return (first, second) if first >= 0 else None


def sliders(viewer: ViewerModel, layer: Layer) -> tuple[Slider, ...]:
    """The axes of `layer` with a slider, the one moved last first."""
    shape = array_shape(layer)
    if viewer.dims.ndisplay != 2 or len(shape) <= 2:
        return ()
    axes = displayed_axes(viewer, len(shape))
    if axes is None:
        return ()
    missing = viewer.dims.ndim - len(shape)
    found = [
        Slider(axis, n, _axis_name(viewer.dims.axis_labels, axis + missing))
        for axis, n in enumerate(shape)
        if axis not in axes and n > 1
    ]
    last = viewer.dims.last_used
    return tuple(sorted(found, key=lambda slider: slider.axis + missing != last))


def planes_along(plane: Plane, slider: Slider) -> tuple[Plane, ...]:
    """All planes parallel to `plane` along the slider's axis."""
    return tuple(plane.moved(slider.axis, at) for at in range(slider.n_planes))


def count_planes(plane: Plane, shape: tuple[int, ...]) -> int:
    """How many planes parallel to `plane` an array of this shape has.

    Examples
    --------
    >>> count_planes(Plane((1, 2), (3, 0, 0)), (10, 512, 640))
    10
    """
    return math.prod(n for axis, n in enumerate(shape) if axis not in plane.axes)


def array_shape(layer: Layer) -> tuple[int, ...]:
    """Shape of the layer's data; of its finest level if it is multiscale."""
    data = layer.data[0] if layer.multiscale else layer.data
    return tuple(int(n) for n in data.shape)


def place_text(plane: Plane, shape: tuple[int, ...]) -> str:
    """Where a plane is in an array, counted from 1; empty if it is the only one.

    Examples
    --------
    >>> place_text(Plane((1, 2), (3, 0, 0)), (10, 512, 640))
    '4 of 10'
    """
    return ", ".join(
        f"{plane.position[axis] + 1} of {n}"
        for axis, n in enumerate(shape)
        if axis not in plane.axes and n > 1
    )


def _axis_name(labels: Sequence[str], axis: int) -> str:
    """The axis's label, or its number if the viewer has only made one up."""
    name = labels[axis] if axis < len(labels) else str(axis)
    return f"axis {name}" if name.lstrip("-").isdigit() else name
