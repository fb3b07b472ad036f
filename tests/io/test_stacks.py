"""Stacks plane by plane: the channel axis is found, wrong sizes are refused."""

import numpy as np
import pytest

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.picture import open_picture
from napari_segrefiner.io.stacks import planes

LABELS = np.zeros((5, 40, 50), np.uint8)


@pytest.mark.parametrize(
    ("shape", "channel_axis", "found_axis"),
    [
        ((5, 40, 50, 3), "auto", "last"),
        ((5, 3, 40, 50), "auto", "first"),
        ((3, 5, 40, 50), "auto", "first"),
        ((5, 3, 40, 50), "first", "first"),
        ((3, 5, 40, 50), "first", "first"),
        ((5, 40, 50, 3), "last", "last"),
    ],
)
def test_channels_come_first_or_last_wherever_they_were(
    shape, channel_axis, found_axis
):
    image = np.arange(np.prod(shape)).reshape(shape)
    axis = shape.index(3)
    found = list(planes(image, LABELS, channel_axis))
    assert [plane.index for plane in found] == [(z,) for z in range(5)]
    for plane in found:
        assert plane.channel_axis == found_axis
        last = plane.image if found_axis == "last" else np.moveaxis(plane.image, 0, -1)
        np.testing.assert_array_equal(last, np.moveaxis(image, axis, -1)[plane.index])


@pytest.mark.parametrize("shape", [(5, 4, 40, 50), (4, 5, 40, 50)])
def test_four_channels_in_front_are_no_rgba_in_a_stack_either(shape):
    plane = next(planes(np.zeros(shape), LABELS))
    picture = open_picture(plane.image, (40, 50), channel_axis=plane.channel_axis)
    assert picture.channels == (0, 1, 2, 3)


def test_stack_without_channels_gives_plain_planes():
    image = np.arange(LABELS.size).reshape(LABELS.shape)
    found = list(planes(image, LABELS))
    assert {plane.channel_axis for plane in found} == {"none"}
    np.testing.assert_array_equal(found[3].image, image[3])


def test_two_leading_axes_are_walked_in_order():
    labels = np.zeros((2, 3, 8, 9), np.uint8)
    image = np.zeros((2, 3, 8, 9, 2))
    found = [plane.index for plane in planes(image, labels)]
    assert found == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_labels_of_a_plane_are_a_view_into_the_stack():
    labels = LABELS.copy()
    next(planes(np.zeros(labels.shape), labels)).labels[:] = 7
    assert (labels[0] == 7).all()
    assert not labels[1:].any()


def test_single_plane_keeps_the_image_and_the_wanted_axis():
    image = np.zeros((3, 40, 50))
    (plane,) = planes(image, LABELS[0], "first")
    assert plane.image is image
    assert plane.index == ()
    assert plane.channel_axis == "first"


@pytest.mark.parametrize(
    ("shape", "channel_axis"),
    [
        ((40, 50), "auto"),
        ((5, 50, 40), "auto"),
        ((4, 40, 50), "auto"),
        ((5, 40, 50, 3), "none"),
        ((5, 40, 50, 3), "first"),
        ((5, 3, 40, 50), "last"),
        ((5, 40, 50), "last"),
        ((5, 2, 40, 50, 3), "auto"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(shape, channel_axis):
    with pytest.raises(InputError, match="The labels are 5 x 40 x 50 but the image is"):
        list(planes(np.zeros(shape), LABELS, channel_axis))
