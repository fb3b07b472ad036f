"""What the network is shown of an image."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_segrefiner.errors import InputError
from napari_segrefiner.plugin.images import (
    Channels,
    find_channels,
    fits,
    matching_axes,
    plane_reader,
    same_place,
)
from napari_segrefiner.plugin.planes import Plane

YX = Plane((0, 1), (0, 0))
rng = np.random.default_rng(1)


def noise(*shape: int) -> np.ndarray:
    return rng.integers(0, 255, shape).astype(np.uint8)


def labels(*shape: int) -> Labels:
    return Labels(np.zeros(shape, np.uint8), name="cells")


def test_grey_and_rgb_images_are_read_as_they_are() -> None:
    grey, colour = noise(20, 30), noise(20, 30, 3)
    reader = plane_reader(Image(grey), labels(20, 30), YX, None)
    np.testing.assert_array_equal(reader.read(YX), grey)
    assert reader.kind == "none"
    reader = plane_reader(Image(colour, rgb=True), labels(20, 30), YX, None)
    np.testing.assert_array_equal(reader.read(YX), colour)
    assert reader.kind == "last"


def test_channels_come_first_whatever_axis_they_have() -> None:
    data = noise(4, 20, 30)
    reader = plane_reader(Image(data), labels(20, 30), YX, None)
    np.testing.assert_array_equal(reader.read(YX), data)
    assert reader.kind == "first"
    last = Image(np.moveaxis(data, 0, -1), rgb=False)
    assert find_channels(last, labels(20, 30)) == Channels(2, 4)
    reader = plane_reader(last, labels(20, 30), YX, None)
    np.testing.assert_array_equal(reader.read(YX), data)


@pytest.mark.parametrize("axis", [0, 1])
def test_channels_of_a_stack_are_read_plane_by_plane(axis: int) -> None:
    data = noise(5, 2, 20, 30)  # planes, channels
    image = Image(np.moveaxis(data, 1, axis))
    plane = Plane((1, 2), (3, 0, 0))
    reader = plane_reader(image, labels(5, 20, 30), plane, None)
    np.testing.assert_array_equal(reader.read(plane), data[3])
    reader = plane_reader(image, labels(5, 20, 30), plane, 1)
    np.testing.assert_array_equal(reader.read(plane), data[3, 1])
    assert reader.kind == "none"


def test_one_image_serves_all_planes_of_the_labels() -> None:
    data = noise(20, 30)
    plane = Plane((1, 2), (3, 0, 0))
    reader = plane_reader(Image(data), labels(5, 20, 30), plane, None)
    np.testing.assert_array_equal(reader.read(plane), data)
    with pytest.raises(InputError, match="displayed axis"):
        plane_reader(Image(data), labels(5, 20, 30), Plane((0, 2), (0, 3, 0)), None)


def test_a_plane_of_a_stack_in_any_direction() -> None:
    data = noise(5, 20, 30)
    plane = Plane((0, 2), (0, 7, 0))
    reader = plane_reader(Image(data), labels(5, 20, 30), plane, None)
    np.testing.assert_array_equal(reader.read(plane), data[:, 7])


def test_the_finest_level_of_a_multiscale_image_is_read() -> None:
    data = noise(20, 30)
    image = Image([data, data[::2, ::2]], multiscale=True)
    reader = plane_reader(image, labels(20, 30), YX, None)
    np.testing.assert_array_equal(reader.read(YX), data)


def test_shapes_that_differ_are_told_with_the_remedy() -> None:
    image = Image(noise(10, 30), name="other")
    assert not fits(image, labels(20, 30))
    with pytest.raises(
        InputError, match=r"20 x 30 .*'other' is 10 x 30; choose the im"
    ):
        plane_reader(image, labels(20, 30), YX, None)


def test_a_channel_that_the_image_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="3 channels"):
        plane_reader(Image(noise(3, 20, 30)), labels(20, 30), YX, 3)


@pytest.mark.parametrize(
    ("image", "wanted", "axes"),
    [
        ((1, 1, 20, 30), (20, 30), (None, None, 0, 1)),
        ((1, 3, 5, 20, 30), (5, 20, 30), (None, None, 0, 1, 2)),
        ((5, 1, 20, 30), (5, 20, 30), (0, None, 1, 2)),
        ((1, 3, 20, 30), (1, 1, 20, 30), (1, None, 2, 3)),
        ((3, 20, 30), (1, 20, 30), (None, 1, 2)),
        ((20, 30), (1, 5, 20, 30), (2, 3)),
        ((20, 20), (20, 20, 20), (1, 2)),
        ((2, 3, 20, 30), (20, 30), None),  # which of both are channels?
        ((3, 20, 30), (5, 20, 30), None),
        ((1, 20, 30), (5, 20, 30), None),  # one plane of five
        ((5, 20, 30), (5, 1, 20, 30), None),  # they lie apart in the window
        ((1, 30), (20, 30), None),
    ],
)
def test_axes_of_one_plane_do_not_count(
    image: tuple[int, ...],
    wanted: tuple[int, ...],
    axes: tuple[int | None, ...] | None,
) -> None:
    assert matching_axes(image, wanted) == axes
    assert fits(Image(noise(*image)), labels(*wanted)) == (axes is not None)


def test_what_has_axes_of_one_plane_is_read_and_lies_in_its_place() -> None:
    data = noise(1, 3, 5, 20, 30)
    plane = Plane((1, 2), (4, 0, 0))
    image, masks = Image(data), labels(5, 20, 30)
    reader = plane_reader(image, masks, plane, None)
    np.testing.assert_array_equal(reader.read(plane), data[0, :, 4])
    assert find_channels(image, masks) == Channels(1, 3)
    assert same_place(image, masks)
    colour = Image(noise(1, 20, 30, 3), rgb=True)
    reader = plane_reader(colour, labels(20, 30), YX, None)
    np.testing.assert_array_equal(reader.read(YX), colour.data[0])
    assert find_channels(colour, labels(20, 30)) is None
    assert not fits(Image(noise(4, 20, 30, 3), rgb=True), labels(20, 30))
