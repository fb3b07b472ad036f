"""Which plane of an n-D layer is meant."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_segrefiner.errors import InputError
from napari_segrefiner.geometry import Box
from napari_segrefiner.plugin.planes import (
    Plane,
    displayed_plane,
    planes_along,
    sliders,
)


def viewer_of(*shapes: tuple[int, ...], **layer: object) -> ViewerModel:
    viewer = ViewerModel()
    for shape in shapes:
        viewer.layers.append(Labels(np.zeros(shape, np.uint8), **layer))
    return viewer


def test_plane_takes_its_pixels_out_of_the_array() -> None:
    data = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    plane = Plane((1, 3), (1, 0, 2, 0))
    np.testing.assert_array_equal(data[plane.index], data[1, :, 2, :])
    ys, xs = np.array([0, 2]), np.array([4, 1])
    np.testing.assert_array_equal(data[plane.pixels(ys, xs)], data[1, :, 2, :][ys, xs])
    assert plane.start(Box(1, 3, 2, 5)) == (1.0, 1.0, 2.0, 3.0)


def test_displayed_plane_follows_the_sliders_through_scale_and_translate() -> None:
    viewer = viewer_of((6, 7, 8, 9), scale=(2, 3, 1, 1), translate=(10, 0, 0, 0))
    viewer.dims.set_point(0, 10 + 2 * 4)
    viewer.dims.set_point(1, 3 * 5)
    assert displayed_plane(viewer, viewer.layers[0]) == Plane((2, 3), (4, 5, 0, 0))


def test_a_transposed_display_shows_the_same_plane() -> None:
    viewer = viewer_of((4, 5, 6))
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_current_step(1, 3)
    assert displayed_plane(viewer, viewer.layers[0]) == Plane((0, 2), (0, 3, 0))


def test_layers_share_the_last_axes() -> None:
    viewer = viewer_of((5, 6), (3, 5, 6))
    assert displayed_plane(viewer, viewer.layers[0]) == Plane((0, 1), (0, 0))


def test_three_dimensional_display_is_refused_with_the_way_back() -> None:
    viewer = viewer_of((4, 5, 6))
    viewer.dims.ndisplay = 3
    with pytest.raises(InputError, match="2D display"):
        displayed_plane(viewer, viewer.layers[0])
    assert sliders(viewer, viewer.layers[0]) == ()


def test_a_layer_without_the_displayed_axis_is_refused() -> None:
    viewer = viewer_of((5, 6), (3, 5, 6))
    viewer.dims.order = (1, 0, 2)
    with pytest.raises(InputError, match="no extent along a displayed axis"):
        displayed_plane(viewer, viewer.layers[0])


def test_a_slider_outside_of_the_layer_is_refused() -> None:
    viewer = viewer_of((3, 5, 6), (9, 5, 6))
    viewer.dims.set_current_step(0, 7)
    with pytest.raises(InputError, match="outside"):
        displayed_plane(viewer, viewer.layers[0])


def test_the_slider_moved_last_comes_first() -> None:
    viewer = viewer_of((4, 5, 6, 7))
    viewer.dims.last_used = 1
    found = sliders(viewer, viewer.layers[0])
    assert [(s.axis, s.n_planes) for s in found] == [(1, 5), (0, 4)]
    plane = displayed_plane(viewer, viewer.layers[0])
    planes = planes_along(plane, found[0])
    assert [p.position[1] for p in planes] == [0, 1, 2, 3, 4]
    assert {p.position[0] for p in planes} == {plane.position[0]}


def test_planes_of_two_dimensional_labels_have_no_slider() -> None:
    viewer = viewer_of((5, 6))
    assert sliders(viewer, viewer.layers[0]) == ()
