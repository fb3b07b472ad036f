"""An image and its labels, taken apart plane by plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError
from napari_segrefiner.wording import size_text

if TYPE_CHECKING:
    from napari_segrefiner.options import ChannelAxis


@dataclass(frozen=True)
class Plane:
    """One plane of a stack.

    Attributes
    ----------
    index : tuple of int
        Its place along the leading axes of the labels; () if they have none.
    image : (Y, X), (Y, X, C) or (C, Y, X) array
        Of a stack; the whole image as given if the labels have no leading axes.
    labels : (Y, X) integer or bool array
        A view: what is written into it stands in the stack.
    channel_axis : {"auto", "none", "first", "last"}
        Where `image` has its channels.
    """

    index: tuple[int, ...]
    image: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    channel_axis: ChannelAxis


def planes(
    image: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    channel_axis: ChannelAxis = "auto",
) -> Iterator[Plane]:
    """Take a stack apart; labels without leading axes are one plane.

    Parameters
    ----------
    image : array
        With the axes of `labels`, and perhaps one of channels: last, in front of the
        rows, or first.
    labels : (..., Y, X) integer or bool array
        Any number of leading axes, such as time and depth.
    channel_axis : {"auto", "none", "first", "last"}
        ``first`` is in front of the rows, or of all axes; ``auto`` takes what fits.

    Raises
    ------
    InputError
        If the sizes do not fit together.

    Examples
    --------
    >>> image, labels = np.zeros((5, 3, 40, 50)), np.zeros((5, 40, 50), np.uint8)
    >>> [plane.image.shape for plane in planes(image, labels)][0]
    (3, 40, 50)
    """
    if labels.ndim == 2:
        yield Plane((), image, labels, channel_axis)
        return
    axis = _channel_axis_of(image.shape, labels.shape, channel_axis)
    found: ChannelAxis = "none"
    if axis == labels.ndim:
        found = "last"
    elif axis is not None:
        # Not last: four channels there would be taken for RGBA.
        image, found = np.moveaxis(image, axis, -3), "first"
    for index in np.ndindex(labels.shape[:-2]):
        yield Plane(index, image[index], labels[index], found)


def fits(image: tuple[int, ...], labels: tuple[int, ...]) -> bool:
    """Whether labels of this shape can belong to an image of that shape.

    Examples
    --------
    >>> fits((3, 40, 50), (3, 40, 50)), fits((40, 50, 3), (3, 40, 50))
    (True, False)
    """
    try:
        _channel_axis_of(image, labels, "auto")
    except InputError:
        return False
    return True


def _channel_axis_of(
    shape: tuple[int, ...], labels: tuple[int, ...], wanted: ChannelAxis
) -> int | None:
    """The image's channel axis, None if it has none; InputError if nothing fits."""
    if shape == labels and wanted in ("auto", "none"):
        return None
    n = len(labels)
    candidates = {"auto": (n, n - 2, 0), "first": (n - 2, 0), "last": (n,), "none": ()}
    for axis in candidates[wanted]:
        if len(shape) == n + 1 and shape[:axis] + shape[axis + 1 :] == labels:
            return axis
    channels = "" if wanted == "auto" else f" with channel axis {wanted}"
    msg = (
        f"The labels are {size_text(labels)} but the image is {size_text(shape)}"
        f"{channels}; choose the image that the labels were drawn on."
    )
    raise InputError(msg)
