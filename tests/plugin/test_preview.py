"""The layer that shows a run at work."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_segrefiner.geometry import Box
from napari_segrefiner.plugin import preview as module
from napari_segrefiner.plugin.frames import Frame, PackedMask
from napari_segrefiner.plugin.planes import Plane
from napari_segrefiner.plugin.preview import GAINED, GIVEN_UP, KEPT, Preview

YX = Plane((0, 1), (0, 0))


def frame(
    box: Box,
    coarse: np.ndarray,
    mask: np.ndarray,
    *,
    label: int = 1,
    step: int = 0,
    plane: Plane = YX,
    windows: tuple[Box, ...] = (),
) -> Frame:
    return Frame(
        plane,
        step,
        2,
        (label,),
        (PackedMask.pack(box, mask),),
        (PackedMask.pack(box, coarse),),
        windows,
    )


def bar(width: int, *on: int) -> np.ndarray:
    """A mask of one row."""
    mask = np.zeros((1, width), bool)
    mask[0, list(on)] = True
    return mask


def setting(shape: tuple[int, ...], **layer: object) -> tuple[ViewerModel, Labels]:
    viewer = ViewerModel()
    viewer.layers.append(Labels(np.zeros(shape, np.int32), name="cells", **layer))
    return viewer, viewer.layers[0]


def test_colours_tell_kept_gained_and_given_up() -> None:
    viewer, source = setting((4, 8))
    preview = Preview(viewer)
    preview.begin(source)
    assert len(viewer.layers) == 1  # nothing before the first frame
    box = Box(2, 1, 3, 6)
    preview.push(frame(box, bar(5, 0, 1), bar(5, 1, 2)))
    preview.show()
    assert preview.layer is not None
    assert preview.layer.data.dtype == np.uint8
    row = np.zeros((4, 8), np.uint8)
    row[2, 1:4] = GIVEN_UP, KEPT, GAINED
    np.testing.assert_array_equal(preview.layer.data, row)


def test_only_the_newest_step_is_drawn_and_earlier_batches_stay() -> None:
    viewer, source = setting((4, 8))
    preview = Preview(viewer)
    preview.begin(source)
    first, second = Box(0, 0, 1, 4), Box(0, 2, 1, 8)
    preview.push(frame(first, bar(4, 0), bar(4, 0, 1, 2)))
    preview.show()
    preview.push(frame(first, bar(4, 0), bar(4, 0, 1), step=1))
    preview.push(frame(second, bar(6, 2), bar(6, 2, 3), label=2))
    preview.show()
    assert preview.layer is not None
    row = [KEPT, GAINED, 0, 0, KEPT, GAINED, 0, 0]
    np.testing.assert_array_equal(preview.layer.data[0], row)


def test_the_layer_leaves_selection_and_choices_alone() -> None:
    viewer, source = setting((4, 8))
    viewer.layers.selection.active = source
    preview = Preview(viewer)
    preview.begin(source)
    preview.push(frame(Box(0, 0, 1, 4), bar(4, 0), bar(4, 1)))
    preview.show()
    assert viewer.layers.selection.active is source
    assert set(viewer.layers.selection) == {source}
    preview.hide()
    assert preview.layer is not None
    assert not preview.layer.visible
    preview.remove()
    assert list(viewer.layers) == [source]


GEOMETRY = {
    "scale": (3, 0.5, 0.25),
    "translate": (5, -2, 7),
    "rotate": 30,
    "affine": [[1, 0, 0, 4], [0, 2, 0.5, 1], [0, 0, 1, 0], [0, 0, 0, 1]],
    "units": ("um", "um", "um"),
}


@pytest.mark.parametrize("is_large", [False, True])
def test_pixels_lie_where_the_source_has_them(
    is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, source = setting((3, 20, 30), **GEOMETRY)
    if is_large:
        monkeypatch.setattr(module, "MOST_PIXELS", 100)
    preview = Preview(viewer)
    preview.begin(source)
    plane = Plane((1, 2), (2, 0, 0))
    for step, box in enumerate([Box(5, 11, 6, 16), Box(9, 2, 10, 7)]):
        mask = bar(5, 0)
        preview.push(frame(box, mask, mask, plane=plane, label=step + 1))
        preview.show()
        layer = preview.layer
        assert layer is not None
        assert layer.units == source.units
        if is_large:
            assert layer.data.shape == (1, 1, 5)
        spots = np.argwhere(layer.data == KEPT)
        world = [layer.data_to_world(spot) for spot in spots]
        wanted = source.data_to_world((2, box.y0, box.x0))
        assert any(np.allclose(w, wanted) for w in world)


def test_a_preview_that_the_user_deletes_stays_away_until_the_next_run() -> None:
    viewer, source = setting((4, 8))
    preview = Preview(viewer)
    one = frame(Box(0, 0, 1, 4), bar(4, 0), bar(4, 1))
    preview.begin(source)
    preview.push(one)
    preview.show()
    viewer.layers.remove(preview.layer)
    preview.push(one)
    preview.show()
    assert preview.layer is None
    preview.begin(source)
    preview.push(one)
    preview.show()
    assert preview.layer is not None


def test_the_layer_is_used_again_for_the_next_run() -> None:
    viewer, source = setting((4, 8))
    preview = Preview(viewer)
    one = frame(Box(0, 0, 1, 4), bar(4, 0), bar(4, 1))
    layers = []
    for _ in range(2):
        preview.begin(source)
        preview.push(one)
        preview.show()
        layers.append(preview.layer)
        preview.hide()
    assert layers[0] is layers[1]
    assert layers[0] is not None
    preview.show()  # a late tick brings nothing back
    assert not layers[0].visible


def test_a_step_in_windows_leaves_the_rest_of_its_object() -> None:
    viewer, source = setting((1, 8))
    preview = Preview(viewer)
    preview.begin(source)
    preview.push(frame(Box(0, 0, 1, 8), bar(8, 1, 2, 5, 6), bar(8, 0, 1, 2, 5, 6)))
    preview.show()
    left, right = Box(0, 0, 1, 3), Box(0, 5, 1, 8)
    preview.push(frame(left, bar(3, 1, 2), bar(3, 2), step=1, windows=(left,)))
    preview.show()
    preview.push(frame(right, bar(3, 0, 1), bar(3, 0, 1, 2), windows=(right,)))
    preview.show()
    assert preview.layer is not None
    shown = preview.layer.data[0].tolist()
    assert shown == [0, GIVEN_UP, KEPT, 0, 0, KEPT, KEPT, GAINED]


def test_windows_do_not_move_the_layer_of_a_large_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_PIXELS", 16)
    viewer, source = setting((2, 40))
    preview = Preview(viewer)
    preview.begin(source)
    whole = Box(0, 10, 1, 18)
    preview.push(frame(whole, bar(8, 0, 1, 6), bar(8, 1, 6)))
    preview.show()
    window = Box(0, 15, 1, 18)
    preview.push(frame(window, bar(3, 1), bar(3, 1, 2), windows=(window,)))
    preview.show()
    assert preview.layer is not None
    np.testing.assert_array_equal(preview.layer.translate, (0, 10))
    shown = preview.layer.data[0].tolist()
    assert shown == [GIVEN_UP, KEPT, 0, 0, 0, 0, KEPT, GAINED]


def test_a_large_object_is_shown_as_a_whole_with_every_nth_pixel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_PIXELS", 16)
    viewer, source = setting((40, 50), scale=(0.5, 0.25), translate=(5, -2))
    preview = Preview(viewer)
    preview.begin(source)
    coarse = np.zeros((11, 12), bool)
    coarse[2:, 1:] = True
    box = Box(20, 30, 31, 42)
    preview.push(frame(box, coarse, coarse))
    preview.show()
    layer = preview.layer
    assert layer is not None
    assert layer.data.shape == (4, 4)  # every third one
    np.testing.assert_array_equal(layer.data == KEPT, coarse[::3, ::3])
    # Each of its pixels covers three by three of the source's.
    for corner, own in (((-0.5, -0.5), (19.5, 29.5)), ((3.5, 3.5), (31.5, 41.5))):
        np.testing.assert_allclose(
            layer.data_to_world(corner), source.data_to_world(own)
        )
    window = Box(23, 32, 28, 37)  # two of every third row and column
    nothing = np.zeros((5, 5), bool)
    preview.push(frame(window, nothing, nothing, windows=(window,)))
    preview.show()
    shown = coarse[::3, ::3].copy()
    shown[1:3, 1:3] = False
    np.testing.assert_array_equal(layer.data == KEPT, shown)
    preview.begin(source)
    preview.push(frame(Box(0, 0, 1, 4), bar(4, 0), bar(4, 0)))
    preview.show()
    np.testing.assert_array_equal(layer.scale, source.scale)
