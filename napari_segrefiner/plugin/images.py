"""What the network looks at: the image of a plane, read when the plane's turn comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError
from napari_segrefiner.options import ChannelAxis
from napari_segrefiner.plugin.planes import Plane, array_shape
from napari_segrefiner.wording import size_text

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
    axes : tuple of int or None
        As `matching_axes` gives them, for the axes without the colours.
    channel_axis : int, optional
        The one of `array` that holds channels.
    channel : int, optional
        The one channel to read; None reads all.
    """

    array: Any
    is_rgb: bool
    axes: tuple[int | None, ...]
    channel_axis: int | None
    channel: int | None

    def read(self, plane: Plane) -> npt.NDArray[Any]:
        """The image of a plane of the labels: (Y, X), (C, Y, X), or RGB (Y, X, C)."""
        return self.read_at(plane.index)

    def read_at(self, at: Sequence[Any]) -> npt.NDArray[Any]:
        """The image where `at` is of the labels, channels first or colours last.

        ``at`` holds an integer or a slice for each axis of the labels.
        """
        index = [0 if axis is None else at[axis] for axis in self.axes]
        if self.channel_axis is not None:
            channel = slice(None) if self.channel is None else self.channel
            index[self.channel_axis] = channel
        if self.is_rgb:
            index.append(slice(None))
        image = np.asarray(self.array[tuple(index)])
        if self.channel_axis is not None and self.channel is None:
            # Axes before the channels that an integer index removed are gone by now.
            before = sum(isinstance(i, slice) for i in index[: self.channel_axis])
            image = np.moveaxis(image, before, 0)
        return image

    @property
    def kind(self) -> ChannelAxis:
        """Where the channels are in what `read` gives."""
        if self.is_rgb:
            return "last"
        has_channels = self.channel_axis is not None and self.channel is None
        return "first" if has_channels else "none"


def matching_axes(
    image: tuple[int, ...], labels: tuple[int, ...]
) -> tuple[int | None, ...] | None:
    """For each axis of the image the labels' axis that it is, None for one they lack.

    Parameters
    ----------
    image, labels : tuple of int
        Shapes, without colours. The image may have axes of one plane that the labels
        lack, and one of more, its channels; else the labels may have further axes in
        front, for all of which the image is the same.

    Returns
    -------
    tuple of int or None, or None
        None if the labels cannot have been drawn on the image.

    Examples
    --------
    >>> matching_axes((5, 3, 40, 50), (5, 40, 50))
    (0, None, 1, 2)
    >>> matching_axes((1, 1, 40, 50), (40, 50))
    (None, None, 0, 1)
    >>> matching_axes((40, 50), (5, 40, 50))
    (1, 2)
    """
    found: list[int | None] = []
    left = len(labels)
    for extent in reversed(image):
        is_same = left > 0 and labels[left - 1] == extent
        left -= is_same
        found.insert(0, left if is_same else None)
    lacking = [n for n, axis in zip(image, found, strict=True) if axis is None]
    n_channels = sum(n != 1 for n in lacking)
    if n_channels > 1 or len(found) - len(lacking) < 2:
        return None
    if lacking and any(n != 1 for n in labels[:left]):
        return None
    return tuple(found)


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
    shape = _spatial_shape(image)
    for axis, own in enumerate(_axes(image, labels) or ()):
        if own is None and shape[axis] > 1:
            return Channels(axis, shape[axis])
    return None


def fits(image: Layer, labels: Layer) -> bool:
    """Whether the labels can have been drawn on the image, by their shapes."""
    return _axes(image, labels) is not None


def same_place(image: Layer, labels: Layer) -> bool:
    """Whether both lie in the same place of the window, to half a pixel.

    In the last two axes, and without those of the image that the labels lack.

    Examples
    --------
    >>> import numpy as np
    >>> from napari.layers import Image, Labels
    >>> labels = Labels(np.zeros((5, 6), int), translate=(0, 6))
    >>> same_place(Image(np.zeros((5, 6))), labels)
    False
    """
    axes = _axes(image, labels) or ()
    lacking = [axis for axis, own in enumerate(axes) if own is None]
    extent = np.delete(image.extent.world, lacking, axis=1)
    apart = np.abs(extent[:, -2:] - labels.extent.world[:, -2:])
    return bool((apart <= np.abs(np.asarray(labels.scale)[-2:]) / 2).all())


def image_reader(image: Image, labels: Layer, channel: int | None) -> ImageReader:
    """A reader of what belongs to `labels`.

    Raises
    ------
    InputError
        If the shapes do not match, or the image has no such channel.
    """
    axes = _axes(image, labels)
    if axes is None:
        message = (
            f"The labels '{labels.name}' are {size_text(array_shape(labels))} but the "
            f"image '{image.name}' is {size_text(_spatial_shape(image))}; choose the "
            "image that the labels were drawn on."
        )
        raise InputError(message)
    channels = find_channels(image, labels)
    if channels is not None and channel is not None and channel >= channels.count:
        message = f"'{image.name}' has {channels.count} channels; choose one of them."
        raise InputError(message)
    return ImageReader(
        array=image.data[0] if image.multiscale else image.data,
        is_rgb=bool(image.rgb),
        axes=axes,
        channel_axis=None if channels is None else channels.axis,
        channel=channel if channels is not None else None,
    )


def plane_reader(
    image: Image, labels: Layer, plane: Plane, channel: int | None
) -> ImageReader:
    """A reader of the planes of `image` that belong to planes of `labels`.

    Raises
    ------
    InputError
        As `image_reader`, and if the image has no extent in `plane`.
    """
    reader = image_reader(image, labels, channel)
    if not set(plane.axes) <= set(reader.axes):
        message = (
            f"The image '{image.name}' has no extent along a displayed axis; show the "
            "axes that it has."
        )
        raise InputError(message)
    return reader


def _axes(image: Layer, labels: Layer) -> tuple[int | None, ...] | None:
    """The matching axes of two layers; colours are channels, beside no others."""
    shape = _spatial_shape(image)
    axes = matching_axes(shape, array_shape(labels))
    if axes is None or not getattr(image, "rgb", False):
        return axes
    is_more = any(own is None and n > 1 for n, own in zip(shape, axes, strict=True))
    return None if is_more else axes


def _spatial_shape(image: Layer) -> tuple[int, ...]:
    """The image's shape without its colour axis."""
    shape = array_shape(image)
    return shape[:-1] if getattr(image, "rgb", False) else shape
