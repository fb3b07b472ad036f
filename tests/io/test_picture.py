"""Any image becomes channels in [0, 1], stretched once for all its crops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.picture import find_limits, open_picture

SHAPE = (6, 8)
WHOLE = Box(0, 0, 6, 8)
RNG = np.random.default_rng(5)


def read(image: np.ndarray[Any, Any], **options: Any) -> np.ndarray[Any, Any]:
    return open_picture(image, SHAPE, **options).read(WHOLE)


def test_grey_bytes_keep_their_values_whatever_their_range() -> None:
    image = RNG.integers(40, 60, SHAPE, dtype=np.uint8)
    np.testing.assert_allclose(read(image)[0], image / 255, atol=1e-7)


def test_bool_and_signed_bytes_keep_their_values() -> None:
    flags = RNG.random(SHAPE) < 0.5
    np.testing.assert_array_equal(read(flags)[0], flags)
    signed = np.full(SHAPE, -128, np.int8)
    signed[0, 0] = 127
    assert read(signed)[0, 0, 0] == 1
    assert read(signed)[0, 1:].max() == 0


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("first", [False, True])
def test_colours_are_read_from_either_end_and_alpha_is_dropped(
    channels: int, first: bool
) -> None:
    image = RNG.integers(0, 256, (*SHAPE, channels), dtype=np.uint8)
    colours = image[..., :3].transpose(2, 0, 1) / 255
    if first:
        if channels == 4:  # four channels in front are no RGBA but mixed
            colours = image.transpose(2, 0, 1).mean(axis=0, keepdims=True) / 255
        image = image.transpose(2, 0, 1)
    np.testing.assert_allclose(read(image), colours, atol=1e-6)


def test_one_two_and_three_channels_can_be_chosen() -> None:
    image = RNG.integers(0, 256, (5, *SHAPE), dtype=np.uint8)
    np.testing.assert_allclose(read(image, channels=(3,)), image[[3]] / 255, atol=1e-6)
    two = read(image, channels=(4, 1))
    np.testing.assert_allclose(two[:2], image[[4, 1]] / 255, atol=1e-6)
    np.testing.assert_allclose(two[2], two[:2].mean(axis=0), atol=1e-6)
    three = read(image, channels=(2, 0, 1))
    np.testing.assert_allclose(three, image[[2, 0, 1]] / 255, atol=1e-6)


def test_a_channel_axis_can_be_told_where_the_shape_leaves_it_open() -> None:
    image = RNG.integers(0, 256, (3, 3, 3), dtype=np.uint8)
    box = Box(0, 0, 3, 3)
    for axis in ("auto", "last"):
        planes = open_picture(image, (3, 3), channel_axis=axis).read(box)
        np.testing.assert_allclose(planes, image.transpose(2, 0, 1) / 255, atol=1e-6)
    planes = open_picture(image, (3, 3), channel_axis="first").read(box)
    np.testing.assert_allclose(planes, image / 255, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint16", ">u2", "int16", "u4", "i8", "<f4", "f8"])
def test_other_types_are_stretched_to_the_whole_range(dtype: str) -> None:
    image = np.arange(48).reshape(SHAPE).astype(dtype) + np.array(100, dtype)
    planes = read(image)
    assert planes.dtype == np.float32
    assert planes.min() == 0
    assert planes.max() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(planes[0, 3], np.arange(24, 32) / 47, atol=2e-3)


def test_a_large_offset_costs_no_digits() -> None:
    image = 3_000_000_000 + np.arange(48).reshape(SHAPE).astype(np.uint32)
    np.testing.assert_allclose(read(image)[0, 3], np.arange(24, 32) / 47, atol=2e-3)


def test_channels_are_stretched_apart() -> None:
    image = np.stack([np.arange(48).reshape(SHAPE) * k for k in (1, 50, 900)])
    planes = read(image.astype(np.uint16))
    np.testing.assert_allclose(planes[0], planes[2], atol=1e-6)


def test_crops_share_the_stretch_of_the_image() -> None:
    image = np.arange(48, dtype=np.uint16).reshape(SHAPE)
    picture = open_picture(image, SHAPE)
    part = picture.read(Box(2, 3, 4, 7))
    np.testing.assert_array_equal(part, picture.read(WHOLE)[:, 2:4, 3:7])


def test_hot_pixels_do_not_set_the_range() -> None:
    image = RNG.integers(100, 200, (100, 100)).astype(np.uint16)
    image[3, 4] = 65535
    low, high = find_limits(image)
    assert (low, high) == (100, 199)


def test_rare_objects_on_an_even_ground_are_not_lost() -> None:
    image = np.full((2000, 2000), 7, np.uint16)
    image[1001, 1001:1003] = 900
    assert find_limits(image) == (7, 900)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e30, np.nan])
def test_a_constant_image_is_black(value: float) -> None:
    np.testing.assert_array_equal(read(np.full(SHAPE, value)), 0)


def test_nan_and_infinities_become_the_ends_of_the_range() -> None:
    image = np.linspace(0, 1, 48).reshape(SHAPE)
    image[0, :3] = np.nan, np.inf, -np.inf
    image[0, 3] = -1e308
    planes = read(image)
    assert np.isfinite(planes).all()
    assert planes[0, 0, :3].tolist() == [0, 1, 0]
    assert planes[0, 5, 7] > 0.9


@pytest.mark.parametrize("dtype", ["complex64", "O", "M8[s]", "U3"])
def test_images_that_hold_no_plain_numbers_are_refused(dtype: str) -> None:
    with pytest.raises(InputError, match="type"):
        open_picture(np.zeros(SHAPE).astype("i8").astype(dtype), SHAPE)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((6, 9), "auto"),
        ((8, 6), "auto"),
        ((6, 8, 3), "none"),
        ((6, 8, 3), "first"),
        ((3, 6, 8), "last"),
        ((6, 8), "last"),
        ((2, 6, 8, 3), "auto"),
        ((6,), "auto"),
    ],
)
def test_images_that_do_not_fit_the_labels_are_refused(
    shape: tuple[int, ...], axis: Any
) -> None:
    with pytest.raises(InputError, match="6 x 8"):
        open_picture(np.zeros(shape, np.uint8), SHAPE, channel_axis=axis)


@pytest.mark.parametrize("channels", [(3,), (-1,), (0, 7)])
def test_channels_that_the_image_lacks_are_refused(channels: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="from 0 to 2"):
        read(np.zeros((*SHAPE, 3), np.uint8), channels=channels)
