"""Any image as the network sees it: three channels in [0, 1], read box by box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.wording import size_text

if TYPE_CHECKING:
    from napari_segrefiner.geometry import Box
    from napari_segrefiner.options import ChannelAxis

Limits = tuple[float, float]

#: Of the pixels below and above the stretched range, in percent: few enough to keep
#: small bright objects apart, enough that hot and dead pixels do not set the range.
PERCENTILES = (0.1, 99.9)
#: Pixels looked at to find them; a regular sub-grid of larger images.
SAMPLE_PIXELS = 2**20

#: Value ranges that are kept as they are.
FIXED_LIMITS: dict[str, Limits] = {
    "bool": (0.0, 1.0),
    "uint8": (0.0, 255.0),
    "int8": (-128.0, 127.0),
}


@dataclass(frozen=True)
class Picture:
    """An image of any kind, with all that is needed to show it to the network.

    Attributes
    ----------
    image : (Y, X), (Y, X, C) or (C, Y, X) array
        As it came; never copied as a whole.
    channel_axis : int or None
    channels : tuple of int
        Those to look at; (0,) for an image without channels.
    limits : tuple of (float, float)
        For each of them the values that become 0 and 1.
    """

    image: npt.NDArray[Any]
    channel_axis: int | None
    channels: tuple[int, ...]
    limits: tuple[Limits, ...]

    @property
    def n_planes(self) -> int:
        """Planes that :meth:`read` gives: 1 for grey, else 3."""
        return 3 if len(self.channels) in (2, 3) else 1

    @property
    def has_values(self) -> bool:
        """Whether one of the channels holds a finite number; a few rows are enough."""
        return any(
            np.isfinite(row).any()
            for channel in self.channels
            for row in self._plane(channel)
        )

    def read(self, box: Box) -> npt.NDArray[np.float32]:
        """The pixels of a box inside the image, (1 or 3, h, w) float32 in [0, 1].

        Two channels are joined by their mean as the third; more than three are mixed to
        one grey plane.
        """
        planes: npt.NDArray[np.float32] = np.stack(
            [
                _stretch(self._plane(channel)[box.slices], low, high)
                for channel, (low, high) in zip(self.channels, self.limits, strict=True)
            ]
        )
        if len(planes) == 2:
            return np.concatenate([planes, planes.mean(axis=0, keepdims=True)])
        if len(planes) > 3:
            planes = planes.mean(axis=0, keepdims=True)
        return planes

    def _plane(self, channel: int) -> npt.NDArray[Any]:
        """One channel as a (Y, X) view."""
        return _plane(self.image, self.channel_axis, channel)


def open_picture(
    image: npt.NDArray[Any],
    shape: tuple[int, int],
    *,
    channel_axis: ChannelAxis = "auto",
    channels: Sequence[int] = (),
) -> Picture:
    """Find an image's channels and its intensity limits.

    Parameters
    ----------
    image : (Y, X), (Y, X, C) or (C, Y, X) array
        Of bool, integers or floats. Four channels at the end are RGBA, without its A.
    shape : (int, int)
        Height and width of the labels.
    channel_axis : {"auto", "none", "first", "last"}
    channels : sequence of int
        One to three channels to look at; none given: all.

    Raises
    ------
    InputError
        If the image holds no plain numbers or does not fit the labels.
    OptionError
        If the image lacks one of the channels.

    Notes
    -----
    Values of 8 bits are kept, v / 255; all others are stretched between two percentiles
    of each channel, found here once, so that every crop sees the same stretch.
    """
    if image.dtype.kind not in "buif":
        message = (
            f"The image holds values of type {image.dtype}; "
            "bool, integers or floats are expected."
        )
        raise InputError(message)
    axis = _find_channel_axis(image.shape, shape, channel_axis)
    chosen = _choose_channels(image.shape, axis, tuple(channels))
    limits = tuple(find_limits(_plane(image, axis, channel)) for channel in chosen)
    return Picture(image, axis, chosen, limits)


def plane_shape(
    image_shape: tuple[int, ...], channel_axis: ChannelAxis = "auto"
) -> tuple[int, int]:
    """Height and width of an image where no labels tell them.

    Raises
    ------
    InputError
        If it is no plane with its channels on the given axis.

    Examples
    --------
    >>> plane_shape((40, 50, 3)), plane_shape((3, 40, 50))  # auto: the shorter end
    ((40, 50), (40, 50))
    """
    if len(image_shape) == 2 and channel_axis in ("auto", "none"):
        return image_shape[0], image_shape[1]
    if len(image_shape) != 3 or channel_axis == "none":
        message = (
            f"The image has the shape {image_shape}"
            f"{'' if channel_axis == 'auto' else f', channel axis {channel_axis!r}'}; "
            "one plane (Y, X), with or without channels, is expected."
        )
        raise InputError(message)
    first, second, third = image_shape
    is_first = channel_axis == "first" or (channel_axis == "auto" and first < third)
    return (second, third) if is_first else (first, second)


def find_limits(plane: npt.NDArray[Any]) -> Limits:
    """The values of a (Y, X) plane that become 0 and 1.

    Examples
    --------
    >>> find_limits(np.array([[3, 250]], dtype=np.uint8))
    (0.0, 255.0)
    >>> find_limits(np.full((4, 4), 7.5))  # constant: black
    (7.5, 15.0)
    """
    fixed = FIXED_LIMITS.get(plane.dtype.name)
    if fixed is not None:
        return fixed
    stride = max(1, int(np.ceil(np.sqrt(plane.size / SAMPLE_PIXELS))))
    sample = plane[::stride, ::stride].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if sample.size:
        low, high = (_tame(v) for v in np.percentile(sample, PERCENTILES))
        if low < high:
            return low, high
    low, high = _extremes(plane)  # maybe there are small objects on an even ground
    return (low, high) if low < high else (low, low + max(1.0, abs(low)))


def _plane(
    image: npt.NDArray[Any], channel_axis: int | None, channel: int
) -> npt.NDArray[Any]:
    if channel_axis is None:
        return image
    return image[channel] if channel_axis == 0 else image[..., channel]


def _stretch(
    values: npt.NDArray[Any], low: float, high: float
) -> npt.NDArray[np.float32]:
    """Values from `low`..`high` to 0..1; what lies beyond is clipped, NaN becomes 0."""
    # 32-bit integers and doubles lose digits in float32 before the offset is taken off.
    precise = np.float32 if values.dtype.itemsize <= 2 else np.float64
    # Clipped first, for the infinities, and afterwards, for the last digit.
    clipped = np.clip(values.astype(precise), low, high)
    stretched: npt.NDArray[np.float32] = ((clipped - low) / (high - low)).astype(
        np.float32
    )
    np.clip(stretched, 0.0, 1.0, out=stretched)
    if values.dtype.kind == "f":
        np.nan_to_num(stretched, copy=False, nan=0.0)
    return stretched


def _extremes(plane: npt.NDArray[Any]) -> Limits:
    """The smallest and the largest finite value; (0, 0) if there is none."""
    is_finite = np.isfinite(plane)
    if not is_finite.any():
        return 0.0, 0.0
    first: Any = plane.flat[is_finite.argmax()]
    low = np.min(plane, where=is_finite, initial=first)
    high = np.max(plane, where=is_finite, initial=first)
    return _tame(low), _tame(high)


def _tame(value: Any) -> float:
    """A value within float32's range, such that differences of two stay finite."""
    largest = float(np.finfo(np.float32).max)
    return min(max(float(value), -largest), largest)


def _find_channel_axis(
    image_shape: tuple[int, ...], shape: tuple[int, int], wanted: ChannelAxis
) -> int | None:
    """Where the channels are: None, 0 or 2."""
    if len(image_shape) == 2 and wanted in ("auto", "none"):
        if image_shape == shape:
            return None
    elif len(image_shape) == 3 and wanted != "none":
        fits_last = image_shape[:2] == shape and wanted != "first"
        fits_first = image_shape[1:] == shape and wanted != "last"
        if fits_last and fits_first:  # such as 3 x 3 x 3: as most RGB images are stored
            return 2
        if fits_last or fits_first:
            return 2 if fits_last else 0
    message = (
        f"The labels are {size_text(shape)} but the image is {size_text(image_shape)}"
        f"{'' if wanted == 'auto' else f' with channel axis {wanted!r}'}. Choose the "
        "image the labels were drawn on, or resample one of them; channels are "
        "expected on the first or the last axis of the image."
    )
    raise InputError(message)


def _choose_channels(
    image_shape: tuple[int, ...], axis: int | None, wanted: tuple[int, ...]
) -> tuple[int, ...]:
    n_channels = 1 if axis is None else image_shape[axis]
    if not wanted:
        is_rgba = axis == 2 and n_channels == 4
        if n_channels == 0:
            message = "The image has no channels; at least one is expected."
            raise InputError(message)
        return tuple(range(3 if is_rgba else n_channels))
    if len(wanted) > 3:
        message = f"{len(wanted)} channels are chosen; one to three are expected."
        raise OptionError(message)
    for channel in wanted:
        if not 0 <= channel < n_channels:
            message = (
                f"Channel {channel} is chosen but the image has {n_channels}; "
                f"numbers from 0 to {n_channels - 1} are expected."
            )
            raise OptionError(message)
    return wanted
