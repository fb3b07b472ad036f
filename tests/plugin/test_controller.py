"""Runs from press to pixels, without a window."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_segrefiner.errors import ModelError
from napari_segrefiner.options import RefineOptions
from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.layers import KEY, is_preview
from tests.plugin.fake_engine import STEPS, expected
from tests.plugin.stage import Stage, squares

GEOMETRY = {
    "scale": (0.5, 0.25),
    "translate": (5, -2),
    "rotate": 30,
    "shear": (0.1,),
    "affine": [[2, 0.5, 1], [0, 1, 0], [0, 0, 1]],
    "units": ("um", "um"),
    "axis_labels": ("down", "right"),
}


def stack_stage(n: int = 3) -> Stage:
    """A stack in whose planes the same objects lie at other places."""
    labels = np.stack([np.roll(squares(), 2 * at, axis=1) for at in range(n)])
    return Stage((labels > 0) * np.uint8(200), labels)


# ---- a whole layer


def test_refine_makes_a_new_layer_and_leaves_the_source_untouched(stage: Stage) -> None:
    before = stage.labels.data.copy()
    stage.run()
    result = stage.result
    np.testing.assert_array_equal(result.data, expected(before))
    assert result.data.dtype == before.dtype
    np.testing.assert_array_equal(stage.labels.data, before)
    assert not stage.labels.visible
    assert result.visible
    assert result.name == "cells refined"
    assert stage.viewer.layers.selection.active is result
    assert list(stage.viewer.layers) == [stage.image, stage.labels, result]
    assert (stage.message, stage.tone) == ("3 refined", "done")


def test_result_lies_and_looks_like_its_source() -> None:
    labels = squares()
    colours = DirectLabelColormap(color_dict={2: "red", 5: "blue", None: "green"})
    stage = Stage(labels.astype(np.uint8), labels, colormap=colours, **GEOMETRY)
    stage.labels.contour = 2
    stage.labels.selected_label = 5
    stage.run()
    result, source = stage.result, stage.labels
    for point in ((0, 0), (10, 3), (7, 40)):
        np.testing.assert_allclose(
            result.data_to_world(point), source.data_to_world(point)
        )
    for name in ("scale", "translate", "rotate", "shear"):
        np.testing.assert_allclose(getattr(result, name), getattr(source, name))
    assert result.units == source.units
    assert result.axis_labels == source.axis_labels
    assert (result.contour, result.opacity) == (2, source.opacity)
    for label in (2, 5, 9):
        np.testing.assert_array_equal(result.get_color(label), source.get_color(label))
    result.selected_label = 9
    result.show_selected_label = True
    assert source.selected_label == 5
    assert not source.colormap.use_selection


def test_labels_beside_their_image_are_told_of(stage: Stage) -> None:
    stage.labels.translate = (0, 3)
    stage.run()
    assert stage.message == "3 refined" + messages.apart("cells", "picture")
    assert stage.tone == "notice"
    stage.image.translate = (0, 3)
    stage.run()
    assert (stage.message, stage.tone) == ("3 refined", "done")
    data = np.stack([stage.image.data] * 3, axis=-1)
    channels = Image(data, name="channels", rgb=False, translate=(0, 3, 0))
    stage.viewer.layers.append(channels)
    stage.choose(image=channels)
    stage.run()
    assert stage.tone == "done"


def test_record_and_features_tell_what_happened(stage: Stage) -> None:
    stage.choose(options=RefineOptions(seed=3))
    stage.run()
    entry = stage.result.metadata[KEY]
    assert entry["record"] == {"seed": 3}
    assert entry["source"] == "cells"
    assert json.loads(json.dumps(entry))["runs"][0]["image"] == "picture"
    table = stage.result.features
    assert list(table.columns) == ["index", "change", "uncertainty", "status"]
    assert list(table["index"]) == [2, 5, 9]
    assert list(table["status"]) == ["refined"] * 3
    before, after = stage.labels.data == 9, stage.result.data == 9
    change = 1 - (before & after).sum() / (before | after).sum()
    assert table["change"][2] == pytest.approx(change)
    assert table["uncertainty"][2] == pytest.approx(0.9)
    assert not len(stage.labels.features.columns)


def test_a_second_run_starts_from_the_source_again(stage: Stage) -> None:
    stage.run()
    stage.run()
    newest = stage.viewer.layers[2]
    np.testing.assert_array_equal(newest.data, expected(stage.labels.data))
    assert len(stage.viewer.layers) == 4


def test_the_newest_result_lies_on_top_and_older_ones_are_out_of_sight(
    stage: Stage,
) -> None:
    stage.run()
    older = stage.result
    stage.run()
    newest = stage.viewer.layers.selection.active
    assert list(stage.viewer.layers) == [stage.image, stage.labels, older, newest]
    assert [layer.visible for layer in stage.viewer.layers] == [
        True,
        False,
        False,
        True,
    ]
    older.visible = True  # to compare them: that is left alone
    stage.controller.refine_object(newest, 5)
    stage.work.finish()
    assert older.visible


def test_into_this_layer_is_one_undo_step(stage: Stage) -> None:
    before = stage.labels.data.copy()
    stage.choose(target="into this layer")
    stage.run()
    assert len(stage.viewer.layers) == 2
    np.testing.assert_array_equal(stage.labels.data, expected(before))
    assert stage.labels.visible
    stage.labels.undo()
    np.testing.assert_array_equal(stage.labels.data, before)


def test_into_this_layer_keeps_the_users_own_features(stage: Stage) -> None:
    import pandas as pd

    stage.labels.features = pd.DataFrame({"index": [5, 7], "kind": ["a", "b"]})
    stage.choose(target="into this layer")
    stage.run()
    table = stage.labels.features.set_index("index")
    assert list(table.index) == [2, 5, 7, 9]
    assert table.loc[5, "kind"] == "a"
    assert table.loc[7, "kind"] == "b"
    assert table.loc[5, "status"] == "refined"
    plain = pd.DataFrame({"kind": ["a"] * 4})
    stage.labels.features = plain
    stage.run()
    pd.testing.assert_frame_equal(stage.labels.features, plain)


def test_a_new_layer_takes_along_what_others_have_told(stage: Stage) -> None:
    import pandas as pd

    stage.labels.metadata["mine"] = 1
    stage.labels.features = pd.DataFrame(
        {"index": [5, 9], "kind": ["a", "b"], "status": ["x", "y"]}
    )
    stage.run()
    assert stage.result.metadata["mine"] == 1
    table = stage.result.features.set_index("index")
    assert list(table.index) == [2, 5, 9]
    assert list(table["kind"][1:]) == ["a", "b"]
    assert list(table["status"]) == ["refined"] * 3
    assert list(stage.labels.features["status"]) == ["x", "y"]
    assert KEY not in stage.labels.metadata


# ---- single objects


def test_refine_selected_makes_a_result_first_then_writes_into_it(stage: Stage) -> None:
    coarse = stage.labels.data.copy()
    stage.labels.selected_label = 5
    stage.controller.refine_selected()
    stage.work.finish()
    result = stage.result
    np.testing.assert_array_equal(result.data, expected(coarse, (5,)))
    assert stage.message.startswith("Label 5 refined, ")
    result.selected_label = 9
    stage.controller.refine_selected()
    stage.work.finish()
    np.testing.assert_array_equal(stage.result.data, expected(coarse, (5, 9)))
    np.testing.assert_array_equal(stage.labels.data, coarse)
    assert list(result.features["index"]) == [5, 9]
    assert len(result.metadata[KEY]["runs"]) == 2
    result.undo()
    np.testing.assert_array_equal(result.data, expected(coarse, (5,)))


def test_the_object_under_the_cursor_is_refined() -> None:
    labels = squares()
    stage = Stage(labels.astype(np.uint8), labels, scale=(2, 2), translate=(100, 0))
    stage.point_at(100 + 2 * 25, 2 * 55)
    stage.controller.refine_under_cursor()
    stage.work.finish()
    np.testing.assert_array_equal(stage.result.data, expected(labels, (9,)))
    assert messages.IN_NEW_LAYER in stage.message
    stage.point_at(0, 0)
    stage.controller.refine_under_cursor()
    assert stage.message == messages.NO_OBJECT
    stage.viewer.layers.selection.active = stage.labels  # hidden by the run
    stage.controller.refine_under_cursor()
    assert stage.message == messages.hidden("cells")
    stage.viewer.layers.selection.active = stage.image
    stage.point_at(100 + 2 * 10, 2 * 10)
    stage.controller.refine_under_cursor()  # what is seen is the result
    stage.work.finish()
    np.testing.assert_array_equal(stage.result.data, expected(labels, (2, 9)))
    assert "new layer" not in stage.message
    stage.result.undo()
    assert stage.message == messages.undone(stage.result.name, is_done=False)
    stage.result.redo()
    assert stage.message == messages.undone(stage.result.name, is_done=True)
    stage.choose(labels=None)
    stage.controller.refine_under_cursor()
    assert stage.message == messages.NO_LABELS


def test_from_the_source_an_existing_result_is_written_into(stage: Stage) -> None:
    coarse = stage.labels.data.copy()
    for position in ((10, 10), (35, 15)):
        stage.viewer.layers.selection.active = stage.labels
        stage.labels.visible = True
        stage.point_at(*position)
        stage.controller.refine_under_cursor()
        stage.work.finish()
    np.testing.assert_array_equal(stage.result.data, expected(coarse, (2, 5)))
    assert not stage.labels.visible
    assert stage.viewer.layers.selection.active is stage.result


def test_objects_asked_for_meanwhile_wait_for_their_turn(stage: Stage) -> None:
    coarse = stage.labels.data.copy()
    for label in (2, 2, 5, 9, 5):
        stage.controller.refine_object(stage.labels, label)
    assert len(stage.runner.works) == 1
    while not all(work.has_ended for work in stage.runner.works):
        stage.work.step()
    assert len(stage.runner.works) == 3
    np.testing.assert_array_equal(stage.result.data, expected(coarse))
    for _ in range(2):
        stage.result.undo()
    np.testing.assert_array_equal(stage.result.data, expected(coarse, (2,)))


def finish_all(stage: Stage) -> None:
    while not all(work.has_ended for work in stage.runner.works):
        stage.work.step()


def test_a_waiting_object_is_that_of_the_plane_in_which_it_was_asked_for() -> None:
    labels = np.stack([squares()] * 2)
    stage = Stage(np.zeros(labels.shape, np.uint8), labels.copy())
    stage.choose(target="into this layer")
    stage.viewer.dims.set_point(0, 0)
    stage.controller.refine_object(stage.labels, 5)
    stage.controller.refine_object(stage.labels, 2)
    stage.viewer.dims.set_point(0, 1)
    stage.controller.refine_object(stage.labels, 5)
    finish_all(stage)
    first, second = stage.labels.data
    np.testing.assert_array_equal(first, expected(squares(), (2, 5)))
    np.testing.assert_array_equal(second, expected(squares(), (5,)))


def test_the_same_number_in_another_layer_waits_too(stage: Stage) -> None:
    other = Labels(squares(), name="other")
    stage.viewer.layers.append(other)
    stage.choose(target="into this layer")
    for layer in (stage.labels, other, other):
        stage.controller.refine_object(layer, 5)
    finish_all(stage)
    assert len(stage.runner.works) == 2
    for layer in (stage.labels, other):
        np.testing.assert_array_equal(layer.data, expected(squares(), (5,)))


def test_what_cannot_be_refined_any_more_holds_up_nothing(stage: Stage) -> None:
    others = [Labels(squares(), name=name) for name in ("locked", "gone", "free")]
    stage.viewer.layers.extend(others)
    stage.choose(target="into this layer")
    for layer in (stage.labels, *others):
        stage.controller.refine_object(layer, 5)
    others[0].editable = False
    stage.viewer.layers.remove(others[1])
    finish_all(stage)
    assert len(stage.runner.works) == 2
    np.testing.assert_array_equal(others[2].data, expected(squares(), (5,)))
    assert stage.message.startswith("Label 5")
    assert "'locked' is not editable" in stage.message
    assert stage.tone == "notice"
    stage.controller.refine_object(stage.labels, 9)
    finish_all(stage)
    assert len(stage.runner.works) == 3  # nothing begins unasked
    assert "locked" not in stage.message


def test_a_waiting_object_whose_plane_is_gone_is_told(stage: Stage) -> None:
    stack = np.stack([squares()] * 2)
    other = Labels(stack.copy(), name="stack")
    stage.viewer.layers.append(other)
    stage.choose(target="into this layer")
    stage.viewer.dims.set_point(0, 1)
    stage.controller.refine_object(stage.labels, 5)
    stage.controller.refine_object(other, 2)
    other.data = stack[:1]
    finish_all(stage)
    assert len(stage.runner.works) == 1
    assert stage.message == messages.RESHAPED


def test_nothing_is_left_to_begin_later(stage: Stage) -> None:
    stack = np.stack([squares()] * 2)
    stage = Stage(np.zeros(stack.shape, np.uint8), stack)
    stage.choose(target="into this layer")
    for label in (5, 2, 9):
        stage.controller.refine_object(stage.labels, label)
    stage.labels.editable = False
    stage.work.finish()
    assert "not editable" in stage.message
    assert not stage.controller.is_running
    stage.choose(target="new layer")
    stage.run()
    assert len(stage.runner.works) == 2


def test_selected_into_this_layer_is_one_undo_step(stage: Stage) -> None:
    before = stage.labels.data.copy()
    stage.choose(target="into this layer")
    stage.labels.selected_label = 9
    stage.controller.refine_selected()
    stage.work.finish()
    np.testing.assert_array_equal(stage.labels.data, expected(before, (9,)))
    stage.labels.undo()
    np.testing.assert_array_equal(stage.labels.data, before)


def test_the_drawing_mode_goes_on_in_the_result(stage: Stage) -> None:
    stage.viewer.layers.selection.active = stage.labels
    stage.labels.mode = "paint"
    stage.controller.refine_object(stage.labels, 5)
    stage.work.finish()
    assert stage.result.mode == "paint"


# ---- stopping, and what users do meanwhile


@pytest.mark.parametrize("n_events", range(0, 14, 3))
def test_stop_at_any_step_changes_nothing(stage: Stage, n_events: int) -> None:
    before = stage.labels.data.copy()
    stage.controller.refine()
    stage.work.step(n_events)
    stage.controller.tick()
    stage.controller.stop()
    stage.work.finish()
    assert list(stage.viewer.layers) == [stage.image, stage.labels]
    np.testing.assert_array_equal(stage.labels.data, before)
    assert stage.labels.visible
    assert (stage.message, stage.tone) == (messages.STOPPED, "notice")
    assert not stage.controller.is_running
    stage.view.show_job.assert_called_with(None)
    stage.run()
    np.testing.assert_array_equal(stage.result.data, expected(before))


def test_deleting_the_source_or_the_image_ends_the_run(stage: Stage) -> None:
    for layer in (stage.labels, stage.image):
        stage.controller.refine()
        stage.work.step(4)
        stage.controller.tick()
        stage.viewer.layers.remove(layer)
        stage.work.finish()
        assert not stage.controller.is_running
        assert stage.message == messages.removed(layer.name)
        assert not any("refined" in x.name for x in stage.viewer.layers)
        stage.viewer.layers.append(layer)


def test_deleting_the_result_during_a_run_into_it_is_calm(stage: Stage) -> None:
    stage.run()
    result = stage.result
    stage.controller.refine_object(result, 5)
    stage.work.step(2)
    stage.viewer.layers.remove(result)
    stage.work.finish()
    assert stage.message == messages.removed("cells refined")
    stage.view.show_review.assert_called_with(False)


def test_deleting_another_layer_disturbs_nothing(stage: Stage) -> None:
    other = Labels(np.zeros((3, 3), int))
    stage.viewer.layers.append(other)
    stage.controller.refine()
    stage.work.step(2)
    stage.viewer.layers.remove(other)
    stage.work.finish()
    assert stage.message == "3 refined"


def test_renamed_layers_are_still_the_same(stage: Stage) -> None:
    stage.controller.refine()
    stage.work.step(2)
    stage.labels.name = "nuclei"
    stage.work.finish()
    assert stage.result.name == "nuclei refined"


def test_strokes_during_the_run_win(stage: Stage) -> None:
    before = stage.labels.data.copy()
    stage.controller.refine()
    stage.work.step(3)
    # One pixel that the run will want, and a far one.
    stage.labels.data_setitem((np.array([18, 50]), np.array([12, 70])), 77)
    stage.work.finish()
    wanted = expected(before)
    assert wanted[18, 12] == 2
    wanted[18, 12] = wanted[50, 70] = 77
    np.testing.assert_array_equal(stage.result.data, wanted)
    assert stage.message == "3 refined; 1 pixel painted meanwhile stays as it is"


def test_labels_of_another_shape_after_the_run_are_left(stage: Stage) -> None:
    stage.controller.refine()
    stage.work.step(3)
    stage.labels.data = np.zeros((10, 10), np.uint16)
    stage.work.finish()
    assert stage.message == messages.RESHAPED
    assert len(stage.viewer.layers) == 2


def test_a_result_waits_for_the_end_of_a_stroke(stage: Stage) -> None:
    class Event:
        type, button = "mouse_press", 1

    stage.choose(target="into this layer")
    before = stage.labels.data.copy()
    stage.labels.mode = "paint"
    n_callbacks = len(stage.labels.mouse_drag_callbacks)
    stage.controller.refine()
    drag = stage.labels.mouse_drag_callbacks[-1](stage.labels, Event)
    next(drag)
    Event.type = "mouse_move"
    next(drag)
    stage.work.finish()
    assert stage.controller.is_running
    assert stage.message == messages.PAINTING
    stage.controller.tick()
    np.testing.assert_array_equal(stage.labels.data, before)
    Event.type = "mouse_release"
    assert next(drag, None) is None
    stage.controller.tick()
    np.testing.assert_array_equal(stage.labels.data, expected(before))
    assert not stage.controller.is_running
    assert len(stage.labels.mouse_drag_callbacks) == n_callbacks


def test_a_result_waits_for_the_end_of_a_polygon(stage: Stage) -> None:
    """Hiding the source in between would lose its corners."""
    stage.controller.refine()
    stage.labels.mode = "polygon"
    overlay = stage.labels._overlays["polygon"]
    overlay.points = [(40.0, 60.0), (50.0, 60.0), (50.0, 70.0)]
    stage.work.finish()
    assert stage.message == messages.PAINTING
    stage.controller.tick()
    assert stage.labels.visible
    assert not any("refined" in layer.name for layer in stage.viewer.layers)
    overlay.add_polygon_to_labels(stage.labels)
    stage.controller.tick()
    assert stage.result.data[45, 62] == stage.labels.selected_label
    assert not stage.controller.is_running


def begin_polygon(layer: Labels) -> None:
    layer.mode = "polygon"
    layer._overlays["polygon"].points = [(40.0, 60.0), (50.0, 60.0), (50.0, 70.0)]


def test_a_polygon_in_an_older_result_is_waited_for_too(stage: Stage) -> None:
    stage.run()
    old = stage.result
    begin_polygon(old)
    stage.controller.refine()
    stage.work.finish()
    assert stage.message == messages.PAINTING
    assert old.visible
    old.mode = "pan_zoom"
    stage.controller.tick()
    assert stage.message == "3 refined"


def test_stop_writes_what_waits_for_a_polygon(stage: Stage) -> None:
    stage.controller.refine()
    begin_polygon(stage.labels)
    stage.work.finish()
    stage.viewer.layers.remove(stage.image)  # not needed any more
    assert stage.message == messages.PAINTING
    stage.controller.stop()  # as when the dock is taken out
    assert stage.message == "3 refined"
    np.testing.assert_array_equal(stage.result.data, expected(stage.labels.data))


def test_the_tool_in_hand_stays_in_hand(stage: Stage) -> None:
    stage.run()
    stage.labels.mode = "fill"
    stage.result.mode = "pan_zoom"
    stage.controller.refine_object(stage.labels, 5)
    stage.work.finish()
    assert stage.viewer.layers.selection.active is stage.result
    assert stage.result.mode == "pan_zoom"
    stage.viewer.layers.selection.active = stage.labels
    stage.controller.refine_object(stage.labels, 9)
    stage.viewer.layers.selection.active = stage.result
    stage.result.mode = "paint"
    stage.work.finish()
    assert stage.result.mode == "paint"


def test_a_hidden_result_is_written_into_as_one_undo_step() -> None:
    """napari keeps no slice of hidden layers; the slider has moved since."""
    stage = stack_stage()
    stage.run()
    result = stage.result
    first = result.data.copy()
    result.visible = False
    stage.labels.visible = True
    stage.viewer.layers.selection.active = stage.labels
    stage.viewer.dims.set_current_step(0, 2)
    stage.run()
    assert stage.message == "3 refined in plane 3 of 3"
    assert stage.result is result
    assert result.visible
    np.testing.assert_array_equal(result.data[2], expected(stage.labels.data[2]))
    result.undo()
    np.testing.assert_array_equal(result.data, first)


def test_labels_hidden_behind_their_result_are_not_written_into(stage: Stage) -> None:
    before = stage.labels.data.copy()
    stage.run()
    result, refined = stage.result, stage.result.data.copy()
    stage.choose(target="into this layer")
    stage.controller.refine()
    assert stage.message == messages.behind("cells", result.name)
    np.testing.assert_array_equal(stage.labels.data, before)
    np.testing.assert_array_equal(result.data, refined)
    stage.labels.visible = True
    stage.run()
    np.testing.assert_array_equal(stage.labels.data, expected(before))


def test_with_the_image_active_the_selected_label_is_that_of_the_result(
    stage: Stage,
) -> None:
    stage.run()
    stage.labels.selected_label, stage.result.selected_label = 2, 5
    stage.viewer.layers.selection.active = stage.image
    stage.controller.refine_selected()
    stage.work.finish()
    assert stage.message.startswith("Label 5 ")


def test_a_corrected_result_that_a_new_one_hides_is_named(stage: Stage) -> None:
    stage.run()
    corrected = stage.result
    corrected.selected_label = 5
    stage.controller.accept_object()
    stage.run()
    assert not corrected.visible
    assert messages.put_aside(corrected.name, 0, 1) in stage.message


def test_hidden_labels_are_written_into_and_stay_hidden() -> None:
    stage = stack_stage()
    hidden = Labels(stage.labels.data.copy(), name="hidden", visible=False)
    before = hidden.data.copy()
    stage.viewer.layers.append(hidden)
    stage.viewer.dims.set_current_step(0, 1)
    stage.choose(labels=hidden, target="into this layer")
    stage.run()
    assert not hidden.visible
    np.testing.assert_array_equal(hidden.data[1], expected(before[1]))
    hidden.undo()
    np.testing.assert_array_equal(hidden.data, before)


def test_a_duplicate_put_aside_is_not_written_into(stage: Stage) -> None:
    stage.run()
    result = stage.result
    state = Labels(result.data.copy(), name="backup", metadata=dict(result.metadata))
    state.visible = False
    stage.viewer.layers.append(state)
    kept = state.data.copy()
    stage.engine.by = 1
    stage.controller.refine_object(stage.labels, 5)
    stage.work.finish()
    np.testing.assert_array_equal(state.data, kept)
    assert (result.data == 5).sum() < (kept == 5).sum()


def test_other_labels_in_the_source_get_a_result_of_their_own(stage: Stage) -> None:
    stage.run()
    old = stage.result
    kept = old.data.copy()
    stage.labels.data = np.roll(squares(), (20, 30), axis=(0, 1))
    stage.controller.refine_object(stage.labels, 5)
    stage.work.finish()
    new = stage.viewer.layers.selection.active
    assert new is not old
    np.testing.assert_array_equal(old.data, kept)
    np.testing.assert_array_equal(new.data, expected(stage.labels.data, (5,)))
    stage.controller.show_source(False)
    stage.viewer.layers.selection.active = old
    old.selected_label = 5
    stage.controller.restore_selected()
    assert stage.message == messages.source_changed("cells")
    np.testing.assert_array_equal(old.data, kept)


def test_the_user_who_moved_on_is_not_called_back(stage: Stage) -> None:
    other = Image(np.zeros((5, 5)), name="other")
    stage.viewer.layers.append(other)
    stage.controller.refine()
    stage.viewer.layers.selection.active = other
    stage.work.finish()
    assert stage.viewer.layers.selection.active is other
    assert not stage.labels.visible


def test_a_second_press_during_a_run_starts_nothing(stage: Stage) -> None:
    stage.controller.refine()
    for press in (stage.controller.refine, stage.controller.restore_object):
        press()
        assert stage.message == messages.busy("objects")
    stage.controller.refine_object(stage.labels, 5)
    assert stage.message == messages.busy("objects")
    assert len(stage.runner.works) == 1


def test_a_failure_is_told_and_the_next_run_works(stage: Stage) -> None:
    stage.engine.error = ModelError("The model is damaged; fetch it again.")
    stage.run()
    assert (stage.message, stage.tone) == (
        "The model is damaged; fetch it again.",
        "notice",
    )
    assert len(stage.viewer.layers) == 2
    stage.engine.error = None
    stage.run()
    assert stage.message == "3 refined"


# ---- what cannot be refined


def test_missing_layers_are_asked_for(stage: Stage) -> None:
    stage.choose(labels=None)
    stage.controller.refine()
    assert stage.message == messages.NO_LABELS
    stage.controller.refine_selected()
    assert stage.message == messages.NO_LABELS
    stage.choose(labels=stage.labels, image=None)
    stage.controller.refine()
    assert stage.message == messages.NO_IMAGE
    assert not stage.runner.works


def test_labels_without_any_object_are_told(stage: Stage) -> None:
    stage.labels.data = np.zeros_like(stage.labels.data)
    stage.run()
    assert "no label in this plane" in stage.message
    stage.labels.selected_label = 0
    stage.controller.refine_selected()
    assert stage.message == messages.NO_SELECTION
    stage.labels.selected_label = 3
    stage.controller.refine_selected()
    stage.work.finish()
    assert "Label 3 is not in this plane" in stage.message


def test_multiscale_labels_and_three_dimensions_are_refused(stage: Stage) -> None:
    data = squares()
    levels = Labels([data, data[::2, ::2]], name="levels", multiscale=True)
    stage.choose(labels=levels)
    stage.controller.refine()
    assert "multiscale" in stage.message
    stage.controller.refine_under_cursor()
    assert "multiscale" in stage.message
    stage = stack_stage()
    stage.viewer.dims.ndisplay = 3
    stage.controller.refine_under_cursor()
    assert "2D display" in stage.message
    stage.controller.refine()
    assert "2D display" in stage.message


def test_locked_layers_are_not_written_into(stage: Stage) -> None:
    stage.labels.editable = False
    stage.choose(target="into this layer")
    stage.controller.refine()
    assert "not editable" in stage.message
    stage.choose(target="new layer")
    stage.run()
    assert stage.message == "3 refined"


def test_labels_opened_for_reading_are_not_written_into(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", squares())
    labels = np.load(tmp_path / "labels.npy", mmap_mode="r")
    stage = Stage(np.zeros(labels.shape, np.uint8), labels)
    stage.choose(target="into this layer")
    stage.controller.refine()
    assert "'cells' was opened for reading only" in stage.message
    assert not stage.runner.works
    stage.choose(target="new layer")
    stage.run()
    assert stage.message == "3 refined"
    stage.result.data.setflags(write=False)
    stage.controller.restore_selected()
    assert "'cells refined' was opened for reading only" in stage.message


# ---- stacks


def test_the_displayed_plane_alone_is_refined() -> None:
    stage = stack_stage()
    stage.viewer.dims.set_current_step(0, 2)
    before = stage.labels.data.copy()
    stage.run()
    wanted = before.copy()
    wanted[2] = expected(before[2])
    np.testing.assert_array_equal(stage.result.data, wanted)
    assert stage.result.metadata[KEY]["runs"][0]["position"] == [2, 0, 0]


def test_planes_refined_one_after_the_other_go_into_one_result() -> None:
    stage = stack_stage()
    before = stage.labels.data.copy()
    wanted = before.copy()
    for at in (2, 0):
        stage.viewer.dims.set_current_step(0, at)
        stage.run()
        wanted[at] = expected(before[at])
        np.testing.assert_array_equal(stage.result.data, wanted)
    assert [run["position"][0] for run in stage.result.metadata[KEY]["runs"]] == [2, 0]
    stage.result.undo()
    wanted[0] = before[0]
    np.testing.assert_array_equal(stage.result.data, wanted)
    np.testing.assert_array_equal(stage.labels.data, before)


@pytest.mark.parametrize("is_painted", [True, False])
def test_a_plane_that_is_not_coarse_any_more_is_not_refined_over(
    is_painted: bool,
) -> None:
    stage = stack_stage()
    before = stage.labels.data.copy()
    stage.viewer.dims.set_current_step(0, 0)
    stage.run()
    older = stage.result
    if is_painted:  # by hand, in the result, before the plane was refined
        stage.viewer.dims.set_current_step(0, 1)
        older.data_setitem(tuple(np.array([[1], [0], [0]])), np.array([7]))
    was = older.data.copy()
    stage.run()
    newest = stage.viewer.layers.selection.active
    at = int(is_painted)
    np.testing.assert_array_equal(older.data, was)
    np.testing.assert_array_equal(newest.data[at], expected(before[at]))
    np.testing.assert_array_equal(newest.data[1 - at], before[1 - at])


def test_a_plane_refined_again_names_the_result_that_holds_the_others() -> None:
    stage = stack_stage()
    for plane in (0, 1, 1):
        stage.viewer.dims.set_current_step(0, plane)
        stage.viewer.layers.selection.active = stage.labels
        stage.run()
    first, second = stage.controller.results.layers()
    assert (first.visible, second.visible) == (False, True)
    assert messages.put_aside(first.name, 1, 0) in stage.message


def test_planes_painted_in_the_source_one_after_the_other_go_into_one_result() -> None:
    stage = stack_stage()
    painted = stage.labels.data.copy()
    stage.labels.data[1:] = 0
    for plane in range(3):
        stage.labels.data[plane] = painted[plane]
        stage.viewer.dims.set_current_step(0, plane)
        stage.viewer.layers.selection.active = stage.labels
        stage.run()
        assert stage.message == f"3 refined in plane {plane + 1} of 3"
    wanted = np.stack([expected(plane) for plane in painted])
    np.testing.assert_array_equal(stage.result.data, wanted)
    stage.result.undo()
    np.testing.assert_array_equal(stage.result.data[:2], wanted[:2])
    assert not stage.result.data[2].any()


def test_lazy_labels_larger_than_the_memory_are_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_segrefiner.plugin.layers.available_bytes", lambda: 60 * 80
    )
    stage.controller.refine()
    assert stage.message.startswith("A copy of 'cells' takes 0.0 GB but 0.0 GB")
    assert not stage.runner.works
    stage.choose(target="into this layer")
    stage.run()
    assert stage.message == "3 refined; written into 'cells' itself"


def test_all_planes_along_the_slider_keep_their_ids() -> None:
    stage = stack_stage()
    before = stage.labels.data.copy()
    stage.choose(slider=0)
    stage.run()
    wanted = np.stack([expected(plane) for plane in before])
    np.testing.assert_array_equal(stage.result.data, wanted)
    assert stage.message == "3 refined in 3 planes"
    assert list(stage.result.features["index"]) == [2, 5, 9]
    assert len(stage.result.metadata[KEY]["runs"]) == 3


def test_stop_within_a_stack_keeps_the_finished_planes() -> None:
    stage = stack_stage()
    before = stage.labels.data.copy()
    stage.choose(slider=0)
    stage.controller.refine()
    while len(stage.engine.calls) < 3:
        stage.work.step()
    stage.controller.stop()
    stage.work.finish()
    wanted = before.copy()
    wanted[:2] = [expected(plane) for plane in before[:2]]
    np.testing.assert_array_equal(stage.result.data, wanted)
    assert stage.message == messages.stopped_at(2, 3)


def test_a_stack_that_loses_its_image_tells_what_is_done() -> None:
    stage = stack_stage()
    stage.choose(slider=0)
    stage.controller.refine()
    while len(stage.engine.calls) < 3:
        stage.work.step()
    stage.viewer.layers.remove(stage.image)
    stage.work.finish()
    assert (stage.result.data != stage.labels.data).any()
    assert stage.message == (
        "'picture' was deleted, so the run was stopped. 2 of 3 planes are refined, the "
        "others as before."
    )


def test_all_planes_into_this_layer_are_one_undo_step() -> None:
    stage = stack_stage()
    before = stage.labels.data.copy()
    stage.choose(slider=0, target="into this layer")
    stage.run()
    assert (stage.labels.data != before).any(axis=(1, 2)).all()
    stage.labels.undo()
    np.testing.assert_array_equal(stage.labels.data, before)


def test_planes_of_a_rolled_display() -> None:
    stage = stack_stage()
    stage.viewer.dims.order = (1, 0, 2)
    stage.viewer.dims.set_current_step(1, 12)
    before = stage.labels.data.copy()
    stage.run()
    wanted = before.copy()
    wanted[:, 12] = expected(before[:, 12])
    np.testing.assert_array_equal(stage.result.data, wanted)


def test_channels_and_colours_reach_the_engine() -> None:
    labels = squares()
    colour = np.random.default_rng(0).integers(0, 255, (*labels.shape, 3), np.uint8)
    stage = Stage(colour, labels)
    stage.run()
    _, options, image, _ = stage.engine.calls[0]
    assert options.channel_axis == "last"
    np.testing.assert_array_equal(image, colour)
    stage = Stage(np.moveaxis(colour, -1, 0), labels)
    stage.choose(channel=1)
    stage.run()
    _, options, image, _ = stage.engine.calls[0]
    assert options.channel_axis == "none"
    np.testing.assert_array_equal(image, colour[..., 1])
    assert stage.result.metadata[KEY]["runs"][0]["channel"] == 1


# ---- preview


def test_steps_are_shown_while_it_runs(stage: Stage) -> None:
    stage.controller.refine()
    stage.work.step(4)
    stage.controller.tick()
    preview = stage.controller.preview.layer
    assert preview is not None
    assert set(np.unique(preview.data)) == {0, 1, 2}
    assert stage.viewer.layers.selection.active is stage.labels
    stage.work.finish()
    assert stage.controller.preview.layer is None


def test_the_preview_of_single_objects_rests_hidden_then_goes(stage: Stage) -> None:
    stage.controller.refine_object(stage.labels, 5)
    stage.work.step(3)
    stage.controller.tick()
    stage.work.finish()
    preview = stage.controller.preview.layer
    assert preview is not None
    assert not preview.visible
    stage.controller.rest()
    assert stage.controller.preview.layer is None


def test_progress_rises_to_one(stage: Stage) -> None:
    stage.run()
    shares = [call.args[0] for call in stage.view.show_progress.call_args_list]
    assert shares[0] is None
    assert shares[1:] == sorted(shares[1:])
    assert shares[-1] == 1.0


# ---- the model


def test_warming_shows_the_models_values_then_is_ready(stage: Stage) -> None:
    stage.controller.warm()
    assert stage.message == messages.LOADING
    stage.controller.warm()
    assert len(stage.runner.works) == 1
    stage.work.finish()
    assert stage.view.show_facts.call_args.args[0].defaults["steps"] == STEPS
    assert stage.message == messages.READY


def test_a_model_that_cannot_be_loaded_is_told(stage: Stage) -> None:
    stage.engine.warm_error = ModelError("There is no model 'x'.")
    stage.controller.warm()
    stage.work.finish()
    assert (stage.message, stage.tone) == ("There is no model 'x'.", "notice")


def test_warming_that_ends_last_leaves_the_runs_sentence(stage: Stage) -> None:
    stage.controller.warm()
    stage.controller.refine()
    warming, run = stage.runner.works
    run.finish()
    warming.finish()
    assert stage.message == "3 refined"
    stage.controller.warm()
    stage.work.finish()
    assert stage.message == messages.READY


def test_a_model_chosen_during_a_run_is_loaded_after_it(stage: Stage) -> None:
    """It could only wait, and would keep one of the few threads from others."""
    stage.controller.refine()
    run = stage.work
    stage.choose(model="another")
    stage.controller.warm()
    stage.controller.warm()
    assert stage.runner.works == [run]
    run.finish()
    assert len(stage.runner.works) == 2
    stage.work.finish()
    assert stage.engine.n_warmed == 1
    assert stage.message == "3 refined"
    stage.run()
    assert len(stage.runner.works) == 3


def test_warming_does_not_speak_over_a_run(stage: Stage) -> None:
    stage.controller.warm()
    warming = stage.work
    stage.controller.refine()
    warming.finish()
    assert stage.message.startswith("Refining")
    stage.work.finish()
    assert stage.message == "3 refined"


# ---- the end


def test_after_closing_nothing_is_heard_or_held(stage: Stage) -> None:
    stage.controller.refine()
    stage.work.step(3)
    stage.controller.tick()
    n_callbacks = len(stage.viewer.layers.events.removed.callbacks)
    stage.controller.close(is_viewer_alive=True)
    assert list(stage.viewer.layers) == [stage.image, stage.labels]
    assert len(stage.viewer.layers.events.removed.callbacks) < n_callbacks
    stage.view.reset_mock()
    stage.work.finish()
    stage.viewer.layers.remove(stage.labels)
    assert not stage.view.mock_calls
    stage.controller.close(is_viewer_alive=True)


@pytest.mark.parametrize("event", ["inserted", "removed"])
def test_another_plugin_that_fails_costs_no_result(stage: Stage, event: str) -> None:
    def fail(_: object) -> None:
        message = "another plugin"
        raise ValueError(message)

    coarse = stage.labels.data.copy()
    stage.controller.refine()
    stage.work.step(4)
    stage.controller.tick()
    assert len(stage.viewer.layers) == 3  # the preview, which is removed at the end
    emitter = getattr(stage.viewer.layers.events, event)
    emitter.connect(fail)
    with pytest.raises(ValueError, match="another plugin"):
        stage.work.finish()
    emitter.disconnect(fail)
    np.testing.assert_array_equal(stage.result.data, expected(coarse))
    assert not any(is_preview(layer) for layer in stage.viewer.layers)
    stage.view.show_job.assert_called_with(None)
    told = {"inserted": messages.DISTURBED, "removed": "3 refined"}
    assert stage.message == told[event]
    stage.run()
    assert stage.message == "3 refined"


def test_a_result_that_cannot_be_written_holds_up_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.controller.refine_object(stage.labels, 2)
    stage.controller.refine_object(stage.labels, 9)
    with monkeypatch.context() as patch:
        patch.setattr(
            stage.controller.results, "make", lambda *_: np.zeros(1)[stage.image.ndim]
        )
        with pytest.raises(IndexError):
            stage.work.finish()
    assert stage.controller.is_running
    stage.work.finish()
    assert stage.message.startswith("Label 9 refined")


def test_closed_in_the_midst_of_an_event_it_is_silent(stage: Stage) -> None:
    stage.run()
    controller, result = stage.controller, stage.result

    def close(_: object) -> None:
        controller.close(is_viewer_alive=False)

    # Python frees a widget whenever it likes, also between two listeners.
    stage.viewer.layers.events.removed.connect(close, position="first")
    result.events.paint.connect(close, position="first")
    stage.view.reset_mock()
    stage.viewer.layers.remove(result)
    result.paint((0, 0), 3)
    assert stage.view.mock_calls == []


def test_after_the_result_is_deleted_a_new_one_is_made(stage: Stage) -> None:
    coarse = stage.labels.data.copy()
    stage.controller.refine_object(stage.labels, 5)
    stage.work.finish()
    stage.viewer.layers.remove(stage.result)
    assert stage.controller.results.result_of(stage.labels) is None
    stage.controller.refine_object(stage.labels, 9)
    stage.work.finish()
    np.testing.assert_array_equal(stage.result.data, expected(coarse, (9,)))


@pytest.mark.parametrize("target", ["new layer", "this layer"])
def test_other_labels_that_came_during_the_run_are_left(
    stage: Stage, target: str
) -> None:
    stage.choose(target=target)
    stage.controller.refine()
    stage.work.step(3)
    others = np.roll(squares(), 15, 0)
    stage.labels.data = others.copy()
    stage.work.finish()
    assert stage.message == messages.source_changed("cells")
    np.testing.assert_array_equal(stage.labels.data, others)
    assert len(stage.viewer.layers) == 2
