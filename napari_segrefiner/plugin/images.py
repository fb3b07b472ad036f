"""What the network looks at: the image of a plane, read when the plane's turn comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError
from napari_segrefiner.options import ChannelAxis
from napari_segrefiner.plugin.planes import Plane, array_shape, shape_text

if TYPE_CHECKING:
    from napari.layers import Image, Layer

#: Up to so many channels are looked at together unless one is chosen.
MOST_CHANNELS = 4


@dataclass(frozen=True)
class Channels:
    """The channel axis of an image beside labels that lack it."""

    axis: int
    count: int

    @property
    def can_mix(self) -> bool:
        """Few enough channels to be looked at together."""
        return self.count <= MOST_CHANNELS


@dataclass(frozen=True)
class ImageReader:
    """Reads planes of an image layer's array; safe in a worker, it knows no layer.

    Attributes
    ----------
    array : array
        numpy, zarr or dask.
    is_rgb : bool
        The last axis holds colours.
    channel_axis : int, optional
        Axis of `array` that the labels lack.
    channel : int, optional
        The one channel to read; None reads all.
    """

    array: Any
    is_rgb: bool
    channel_axis: int | None
    channel: int | None

    def read(self, plane: Plane) -> npt.NDArray[Any]:
        """The image of a plane of the labels: (Y, X), (C, Y, X), or RGB (Y, X, C)."""
        n_spatial = self.array.ndim - self.is_rgb - (self.channel_axis is not None)
        # An image with fewer axes than the labels is the same for all their planes.
        index = list(plane.index)[plane.ndim - n_spatial :]
        if self.channel_axis is not None:
            channel = slice(None) if self.channel is None else self.channel
            index.insert(self.channel_axis, channel)
        if self.is_rgb:
            index.append(slice(None))
        image = np.asarray(self.array[tuple(index)])
        if self.channel_axis is not None and self.channel is None:
            # Axes before the channels that an integer index removed are gone by now.
            before = sum(isinstance(at, slice) for at in index[: self.channel_axis])
            image = np.moveaxis(image, before, 0)
        return image

    @property
    def kind(self) -> ChannelAxis:
        """Where the channels are in what `read` gives."""
        if self.is_rgb:
            return "last"
        has_channels = self.channel_axis is not None and self.channel is None
        return "first" if has_channels else "none"


def find_channels(image: Layer, labels: Layer) -> Channels | None:
    """The axis of `image` that `labels` lack, if they agree in all others.

    Examples
    --------
    >>> import numpy as np
    >>> from napari.layers import Image, Labels
    >>> labels = Labels(np.zeros((5, 6), int))
    >>> find_channels(Image(np.zeros((3, 5, 6)), rgb=False), labels)
    Channels(axis=0, count=3)
    """
    if getattr(image, "rgb", False):
        return None
    shape, wanted = array_shape(image), array_shape(labels)
    if len(shape) != len(wanted) + 1:
        return None
    for axis, count in enumerate(shape):
        if shape[:axis] + shape[axis + 1 :] == wanted:
            return Channels(axis, count)
    return None


def fits(image: Layer, labels: Layer) -> bool:
    """Whether the labels can have been drawn on the image, by their shapes."""
    shape, wanted = _spatial_shape(image), array_shape(labels)
    if find_channels(image, labels) is not None:
        return True
    return 2 <= len(shape) <= len(wanted) and wanted[-len(shape) :] == shape


def same_place(image: Layer, labels: Layer) -> bool:
    """Whether both lie in the same place of the window, to half a pixel.

    In the last two axes, and without the channels of the image.

    Examples
    --------
    >>> import numpy as np
    >>> from napari.layers import Image, Labels
    >>> labels = Labels(np.zeros((5, 6), int), translate=(0, 6))
    >>> same_place(Image(np.zeros((5, 6))), labels)
    False
    """
    channels, extent = find_channels(image, labels), image.extent.world
    if channels is not None:
        extent = np.delete(extent, channels.axis, axis=1)
    apart = np.abs(extent[:, -2:] - labels.extent.world[:, -2:])
    return bool((apart <= np.abs(np.asarray(labels.scale)[-2:]) / 2).all())


def check_fit(image: Layer, labels: Layer) -> None:
    """Refuse an image that the labels cannot have been drawn on.

    Raises
    ------
    InputError
        With both shapes.
    """
    if fits(image, labels):
        return
    shape, wanted = _spatial_shape(image), array_shape(labels)
    message = (
        f"The labels '{labels.name}' are {shape_text(wanted)} but the image "
        f"'{image.name}' is {shape_text(shape)}; choose the image that the labels were "
        "drawn on."
    )
    raise InputError(message)


def image_reader(
    image: Image, labels: Layer, plane: Plane, channel: int | None
) -> ImageReader:
    """A reader of the planes of `image` that belong to planes of `labels`.

    Raises
    ------
    InputError
        If the shapes do not match, or if the image has no extent in `plane`.
    """
    shape, wanted = _spatial_shape(image), array_shape(labels)
    check_fit(image, labels)
    channels = find_channels(image, labels)
    if channels is None and min(plane.axes) < len(wanted) - len(shape):
        message = (
            f"The image '{image.name}' has no extent along a displayed axis; show the "
            "axes that it has."
        )
        raise InputError(message)
    if channels is not None and channel is not None and channel >= channels.count:
        message = f"'{image.name}' has {channels.count} channels; choose one of them."
        raise InputError(message)
    return ImageReader(
        array=image.data[0] if image.multiscale else image.data,
        is_rgb=bool(image.rgb),
        channel_axis=None if channels is None else channels.axis,
        channel=channel if channels is not None else None,
    )


def _spatial_shape(image: Layer) -> tuple[int, ...]:
    """The image's shape without its colour axis."""
    shape = array_shape(image)
    return shape[:-1] if getattr(image, "rgb", False) else shape
