"""Changes of pixels: what they write, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_segrefiner.plugin.edits import (
    object_edit,
    plane_edit,
    restoring_edit,
    write_directly,
    write_undoable,
)
from napari_segrefiner.plugin.planes import Plane

YX = Plane((0, 1), (0, 0))


def line(text: str) -> np.ndarray:
    """Labels of one row, a digit per pixel."""
    return np.array([[int(c) for c in text]], np.uint8)


def written(target: np.ndarray, edit: object) -> str:
    out = target.copy()
    write_directly(out, [edit])
    return "".join(map(str, out[0]))


def test_plane_edit_holds_exactly_the_difference() -> None:
    coarse, refined = line("0110220"), line("1110020")
    edit = plane_edit(YX, coarse, refined)
    assert edit.size == 2
    assert written(coarse, edit) == "1110020"


def test_an_object_goes_into_another_result_without_touching_its_objects() -> None:
    coarse = line("0011002200")
    refined = line("0111102200")
    # 2 was refined before and has grown to where 1 wants to go now.
    result = line("0011222200")
    edit = object_edit(YX, 1, coarse, refined, result)
    assert written(result, edit) == "0111222200"


def test_an_object_refined_again_gives_up_what_it_had_taken() -> None:
    coarse, earlier, now = line("001100"), line("011110"), line("001110")
    edit = object_edit(YX, 1, coarse, now, earlier)
    assert written(earlier, edit) == "001110"


def test_restoring_takes_back_only_the_pixels_of_either_mask() -> None:
    source, result = line("0111022"), line("1110222")
    edit = restoring_edit(YX, 1, source, result)
    assert written(result, edit) == "0111222"


def test_pixels_painted_meanwhile_are_left() -> None:
    coarse, refined = line("001100"), line("011110")
    edit = plane_edit(YX, coarse, refined)
    painted = line("071100")
    assert written(painted, edit) == "071110"


def test_edits_of_many_planes_are_one_undo_step() -> None:
    data = np.zeros((3, 4, 5), np.int32)
    data[:, 1, 1] = 7
    layer = Labels(data.copy())
    edits = []
    for at in range(3):
        plane = Plane((1, 2), (at, 0, 0))
        refined = data[at].copy()
        refined[2, 2] = 7
        edits.append(plane_edit(plane, data[at], refined))
    assert write_undoable(layer, edits) == 3
    assert (layer.data[:, 2, 2] == 7).all()
    layer.undo()
    np.testing.assert_array_equal(layer.data, data)
    layer.redo()
    assert (layer.data[:, 2, 2] == 7).all()


def test_nothing_to_write_leaves_the_undo_history_alone() -> None:
    layer = Labels(line("0110"))
    layer.data_setitem((np.array([0]), np.array([0])), 5)
    edit = plane_edit(YX, layer.data, layer.data.copy())
    assert write_undoable(layer, [edit]) == 0
    layer.undo()
    assert layer.data[0, 0] == 0


def test_a_hidden_layer_is_written_into_where_napari_slices_in_the_background(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer = ViewerModel()
    layer = Labels(np.zeros((3, 4, 5), np.uint8), visible=False)
    viewer.layers.append(layer)
    viewer.dims.set_current_step(0, 2)
    monkeypatch.setattr(layer, "refresh", lambda *_, **__: None)
    plane = Plane((1, 2), (2, 0, 0))
    edit = plane_edit(plane, layer.data[2], np.full((4, 5), 7, np.uint8))
    assert write_undoable(layer, [edit]) == 20
    assert (layer.data[2] == 7).all()
    assert not layer.visible
    layer.undo()
    assert not layer.data.any()
