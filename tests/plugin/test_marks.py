"""Accepted and edited objects: what counts, through undo, runs and strange layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_segrefiner.metrics import iou
from napari_segrefiner.options import RefineOptions
from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.layers import KEY
from napari_segrefiner.plugin.sheet import Sheet
from tests.plugin.fake_engine import expected
from tests.plugin.stage import Stage, squares


def accept(stage: Stage, *labels: int, layer: Labels | None = None) -> None:
    for label in labels:
        (layer or stage.result).selected_label = label
        stage.controller.accept_object()


def paint(layer: Labels, label: int, *points: tuple[int, ...]) -> None:
    """A stroke over some pixels, as one undo step with its event."""
    layer.data_setitem(
        tuple(np.array(axis) for axis in zip(*points, strict=True)), label
    )


def counts(stage: Stage) -> tuple[int, int]:
    """Objects to learn from, and the others, as the view is told."""
    stage.controller.count_corrections()
    return stage.view.show_counts.call_args.args


def marks(layer: Labels) -> dict[int, str]:
    table = layer.features
    if "mark" not in table.columns:
        return {}
    told = zip(table["index"], table["mark"], strict=True)
    return {label: mark for label, mark in told if mark}


# ---- accepting


def test_k_accepts_the_selected_object_and_takes_it_back(stage: Stage) -> None:
    stage.run()
    assert counts(stage) == (0, 3)
    accept(stage, 5)
    assert stage.message == "Label 5 accepted; 1 of the 5 objects that learning needs"
    assert stage.tone == "done"
    assert counts(stage) == (1, 2)
    assert marks(stage.result) == {5: "accepted"}
    accept(stage, 9, 5)
    assert stage.message == "Label 5 is not accepted any more"
    assert counts(stage) == (1, 2)
    assert marks(stage.result) == {9: "accepted"}


def test_there_must_be_something_to_accept(stage: Stage) -> None:
    stage.controller.accept_object()
    assert (stage.message, stage.tone) == (messages.NO_ACCEPT, "notice")
    stage.run()
    accept(stage, 0)
    assert stage.message == messages.NO_ACCEPT
    accept(stage, 77)
    assert stage.message == messages.not_there(77)
    stage.choose(labels=None)
    stage.viewer.layers.selection.active = stage.image
    stage.controller.accept_object()
    assert stage.message == messages.NO_ACCEPT
    assert counts(stage) == (0, 3)


def test_from_the_source_the_selected_object_of_its_result_is_meant(
    stage: Stage,
) -> None:
    stage.run()
    stage.result.selected_label = 9
    stage.viewer.layers.selection.active = stage.labels
    stage.controller.accept_object()
    assert marks(stage.result) == {9: "accepted"}


def test_an_accepted_object_needs_no_look(stage: Stage) -> None:
    stage.run()
    accept(stage, 9)
    stage.controller.next_object()
    assert stage.result.selected_label == 5


def test_in_place_objects_are_accepted_in_the_layer_itself(stage: Stage) -> None:
    coarse = stage.labels.data.copy()
    stage.choose(target="into this layer")
    stage.run()
    accept(stage, 2, layer=stage.labels)
    paint(stage.labels, 5, (45, 30))
    assert counts(stage) == (2, 1)
    (one,) = stage.controller.marks.collect()
    np.testing.assert_array_equal(one.coarse, coarse)
    np.testing.assert_array_equal(one.fine, stage.labels.data)
    for _ in range(2):
        stage.labels.undo()
    assert counts(stage) == (0, 3)


# ---- editing


def test_what_is_painted_or_erased_counts_until_it_is_undone(stage: Stage) -> None:
    stage.run()
    paint(stage.result, 5, (45, 30), (46, 30))
    assert marks(stage.result) == {}
    assert counts(stage) == (1, 2)
    assert marks(stage.result) == {5: "edited"}
    paint(stage.result, 0, (25, 55))
    assert counts(stage) == (2, 1)
    assert marks(stage.result) == {5: "edited", 9: "edited"}
    stage.result.undo()
    assert counts(stage) == (1, 2)
    stage.result.redo()
    assert counts(stage) == (2, 1)
    for _ in range(2):
        stage.result.undo()
    assert counts(stage) == (0, 3)
    assert marks(stage.result) == {}


def test_an_object_that_only_gave_way_is_not_edited(stage: Stage) -> None:
    stage.run()
    paint(stage.result, 5, (25, 55))  # inside of 9
    counts(stage)
    assert marks(stage.result) == {5: "edited"}


def test_accepting_an_edited_object_and_not_any_more(stage: Stage) -> None:
    stage.run()
    paint(stage.result, 5, (45, 30))
    accept(stage, 5)
    assert marks(stage.result) == {5: "accepted"}
    accept(stage, 5)
    assert stage.message == messages.not_accepted(5, is_edited=True)
    assert marks(stage.result) == {5: "edited"}
    assert counts(stage) == (1, 2)


def test_erased_and_tiny_objects_are_not_learnt_from(stage: Stage) -> None:
    stage.run()
    accept(stage, 9)
    everything = np.nonzero(stage.result.data == 9)
    stage.result.data_setitem(everything, 0)
    assert counts(stage) == (0, 2)
    paint(stage.result, 30, (1, 1), (1, 2))
    assert counts(stage) == (0, 2)
    assert marks(stage.result) == {30: "edited"}


def test_a_new_object_is_learnt_from(stage: Stage) -> None:
    stage.run()
    paint(stage.result, 30, *[(50, x) for x in range(40, 60)])
    assert counts(stage) == (1, 3)
    (one,) = stage.controller.marks.collect()
    assert one.ids == (30,)


def test_a_new_object_that_was_refined_has_a_coarse_mask(stage: Stage) -> None:
    stage.run()
    paint(stage.result, 30, *[(y, x) for y in range(44, 52) for x in range(40, 60)])
    stage.viewer.layers.selection.active = stage.result
    stage.controller.refine_object(stage.result, 30)
    stage.work.finish()
    counts(stage)
    assert marks(stage.result) == {}
    accept(stage, 30)
    (one,) = stage.controller.marks.collect()
    assert (one.coarse == 30).sum() == 8 * 20
    np.testing.assert_array_equal(one.coarse == 9, squares() == 9)
    assert (one.fine == 30).sum() > 8 * 20


# ---- undo of what the plugin did


def test_restoring_is_no_edit_and_takes_the_mark_until_undone(stage: Stage) -> None:
    stage.run()
    accept(stage, 5, 9)
    stage.point_at(35, 15)
    stage.controller.restore_object()
    counts(stage)
    assert marks(stage.result) == {9: "accepted"}
    stage.result.undo()
    counts(stage)
    assert marks(stage.result) == {5: "accepted", 9: "accepted"}
    stage.result.redo()
    counts(stage)
    assert marks(stage.result) == {9: "accepted"}


def test_refining_an_object_again_is_no_edit_and_neither_is_its_undo(
    stage: Stage,
) -> None:
    stage.controller.refine_object(stage.labels, 5)
    stage.work.finish()
    accept(stage, 5)
    paint(stage.result, 5, (45, 30))
    for _ in range(2):
        stage.controller.refine_object(stage.result, 5)
        stage.work.finish()
    counts(stage)
    assert marks(stage.result) == {}
    stage.result.undo()
    assert counts(stage)[0] == 0
    stage.result.undo()
    counts(stage)
    assert marks(stage.result) == {5: "accepted"}
    stage.result.undo()  # the stroke
    counts(stage)
    assert marks(stage.result) == {5: "accepted"}


def test_refining_without_any_change_leaves_mark_and_figures(stage: Stage) -> None:
    stage.run()
    accept(stage, 5)
    paint(stage.result, 9, (45, 30))
    assert counts(stage) == (2, 1)
    before = stage.result.features.copy()
    stage.engine.by = 0
    for label in (5, 9):
        stage.controller.refine_object(stage.result, label)
        stage.work.finish()
    assert counts(stage) == (2, 1)
    assert marks(stage.result) == {5: "accepted", 9: "edited"}
    assert stage.result.features.equals(before)


def test_the_change_is_counted_from_the_coarse_mask_however_often_refined(
    stage: Stage,
) -> None:
    stage.controller.refine_object(stage.labels, 5)
    stage.work.finish()
    stage.controller.refine_object(stage.result, 5)
    stage.work.finish()
    row = stage.result.features.set_index("index").loc[5]
    agreement = iou(stage.labels.data == 5, stage.result.data == 5)
    assert row["change"] == pytest.approx(1 - agreement)
    stage.result.undo()
    row = stage.result.features.set_index("index").loc[5]
    agreement = iou(stage.labels.data == 5, stage.result.data == 5)
    assert row["change"] == pytest.approx(1 - agreement)


def test_what_is_painted_over_an_object_counts_after_that_was_refined_again(
    stage: Stage,
) -> None:
    stage.run()
    paint(stage.result, 5, (25, 55), (26, 55))  # inside of 9
    stage.controller.refine_object(stage.result, 9)
    stage.work.finish()
    counts(stage)
    assert stage.result.data[25, 55] == 5
    assert marks(stage.result) == {5: "edited"}
    stage.result.undo()
    counts(stage)
    assert marks(stage.result) == {5: "edited"}


def test_an_object_that_gives_pixels_back_in_restoring_is_no_edit(
    stage: Stage,
) -> None:
    stage.labels.data[30:40, 20:30] = 7  # touches 5
    stage.run()
    paint(stage.result, 5, (35, 22), (35, 23))
    stage.controller.refine_object(stage.result, 5)
    stage.work.finish()
    stage.controller.review.restore(stage.result, 5)
    assert stage.result.data[35, 22] == 7
    counts(stage)
    assert marks(stage.result) == {}


def test_accepting_another_object_survives_the_undo_of_a_run(stage: Stage) -> None:
    stage.run()
    stage.controller.refine_object(stage.result, 5)
    stage.work.finish()
    accept(stage, 9)
    stage.result.undo()
    counts(stage)
    assert marks(stage.result) == {9: "accepted"}


# ---- layers come and go


def test_marks_survive_renaming_and_the_loss_of_the_source(stage: Stage) -> None:
    stage.run()
    accept(stage, 5)
    stage.result.name = "my refined nuclei"
    stage.labels.name = "other"
    stage.viewer.layers.remove(stage.labels)
    assert counts(stage) == (1, 2)
    (one,) = stage.controller.marks.collect()
    np.testing.assert_array_equal(one.coarse, squares())
    assert KEY in stage.result.metadata


def test_without_its_image_a_layer_does_not_count(stage: Stage) -> None:
    stage.run()
    accept(stage, 5)
    stage.viewer.layers.remove(stage.image)
    assert counts(stage) == (0, 0)
    assert list(stage.result.features["mark"]) == ["", "accepted", ""]
    assert stage.controller.marks.collect() == []
    stage.viewer.layers.append(stage.image)
    assert counts(stage) == (1, 2)
    stage.viewer.layers.remove(stage.result)
    assert counts(stage) == (0, 0)


def test_masks_of_another_picture_in_the_same_layer_do_not_count(stage: Stage) -> None:
    stage.run()
    accept(stage, 5)
    assert counts(stage) == (1, 2)
    picture = stage.image.data
    stage.image.data = 255 - picture
    assert counts(stage) == (0, 0)
    assert stage.controller.marks.collect() == []
    stage.image.data = picture
    assert counts(stage) == (1, 2)


def test_masks_do_not_count_for_a_picture_that_came_during_the_run(
    stage: Stage,
) -> None:
    picture = stage.image.data
    stage.controller.refine()
    stage.work.step(2)
    stage.image.data = 255 - picture
    stage.work.finish()
    accept(stage, 5)
    assert stage.controller.marks.collect() == []
    stage.image.data = picture
    assert counts(stage) == (1, 2)


def test_an_object_refined_twice_counts_once_in_the_newer_layer(stage: Stage) -> None:
    stage.run()
    older = stage.result
    accept(stage, 2, 5, layer=older)
    stage.viewer.layers.selection.active = stage.labels
    stage.controller.refine()
    stage.work.finish()
    newer = stage.viewer.layers[-1]
    assert newer is not older
    stage.viewer.layers.selection.active = newer
    accept(stage, 5, 9, layer=newer)
    assert counts(stage)[0] == 3
    assert [one.ids for one in stage.controller.marks.collect()] == [(5, 9), (2,)]


def test_which_coarse_masks_are_the_same(stage: Stage) -> None:
    labels = squares()
    moved = np.where(labels == 5, 0, labels)
    moved[31:41, 10:20] = 5
    moved[0, 0] = 7
    one, other = (Sheet(lambda: None, None, x, x.copy()) for x in (labels, moved))
    assert one.same_coarse(other, (2, 5, 7, 9)) == {2, 9}
    assert other.same_coarse(one, (5, 9)) == {9}


def test_same_numbers_of_other_objects_do_not_collide(stage: Stage) -> None:
    stage.run()
    accept(stage, 5)
    first = stage.result
    other = Labels(np.roll(squares(), 9, axis=1), name="moved")
    stage.viewer.layers.append(other)
    stage.choose(labels=other)
    stage.run()
    second = stage.viewer.layers["moved refined"]
    stage.viewer.layers.selection.active = second
    accept(stage, 5, layer=second)
    assert marks(first) == marks(second) == {5: "accepted"}
    assert counts(stage)[0] == 2


def test_labels_of_another_shape_do_not_count(stage: Stage) -> None:
    stage.run()
    accept(stage, 5)
    stage.result.data = np.ones((9, 9), np.uint16)
    assert counts(stage) == (0, 0)


def test_objects_of_a_stack_are_accepted_plane_by_plane() -> None:
    labels = np.stack([np.roll(squares(), 2 * at, axis=1) for at in range(3)])
    image = np.random.default_rng(0).integers(0, 255, labels.shape).astype(np.uint8)
    stage = Stage(image, labels)
    stage.choose(slider=0)
    stage.run()
    assert counts(stage) == (0, 9)
    stage.viewer.dims.set_current_step(0, 2)
    accept(stage, 5)
    paint(stage.result, 9, (0, 59, 0))
    assert counts(stage) == (2, 7)
    first, second = stage.controller.marks.collect()
    assert (first.ids, second.ids) == ((9,), (5,))
    assert callable(second.image)  # it is read in the worker
    np.testing.assert_array_equal(second.image(), image[2])
    np.testing.assert_array_equal(second.coarse, labels[2])
    np.testing.assert_array_equal(second.fine, expected(labels[2]))
    assert second.name == "picture"


def test_what_changes_no_pixel_costs_no_look_at_the_objects(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    look = Sheet.standing

    def counted(sheet: Sheet, now: Any) -> Any:
        looks.append(1)
        return look(sheet, now)

    monkeypatch.setattr(Sheet, "standing", counted)
    stage.run()
    for change in (
        lambda: None,
        stage.result.refresh,
        lambda: setattr(stage.result, "contour", 1),
    ):
        change()
        assert counts(stage) == (0, 3)
    assert len(looks) == 1
    paint(stage.result, 5, (45, 30))
    assert counts(stage) == (1, 2)
    assert len(looks) == 2


@pytest.mark.parametrize("channel", [None, 1])
def test_the_channels_are_those_that_were_looked_at(channel: Any) -> None:
    labels = squares()
    image = np.random.default_rng(0).integers(0, 255, (3, *labels.shape))
    stage = Stage(image.astype(np.uint8), labels)
    stage.choose(channel=channel)
    stage.run()
    accept(stage, 5)
    (one,) = stage.controller.marks.collect()
    wanted = image if channel is None else image[channel]
    np.testing.assert_array_equal(one.image(), wanted)


@pytest.mark.parametrize(
    "table",
    [
        {"kind": ["a"] * 4},
        {"index": ["a", "b"], "kind": ["x", "y"]},
        {"index": [2, np.nan]},
        {"index": [2.5, 5]},
        {"index": [2, 2, 5], "frame": [0, 1, 0]},
    ],
)
def test_the_users_own_table_is_left_alone(stage: Stage, table: dict[str, Any]) -> None:
    import pandas as pd

    plain = pd.DataFrame(table)
    stage.choose(target="into this layer")
    stage.labels.features = plain
    stage.run()
    accept(stage, 5, layer=stage.labels)
    assert counts(stage)[0] == 1
    pd.testing.assert_frame_equal(stage.labels.features, plain)


# ---- refining the others


def test_the_others_are_refined_as_one_undo_step_and_the_corrected_stay(
    stage: Stage,
) -> None:
    stage.run()
    result = stage.result
    # 5 is accepted, 9 edited, 2 changed by the machine from its coarse mask again.
    accept(stage, 5)
    paint(result, 0, *[(y, 66) for y in range(17, 35)])
    before = result.data.copy()
    stage.engine.by = 1
    stage.controller.refine_others()
    assert stage.message == "Refining 1 other of 'cells refined'…"
    stage.work.finish()
    wanted = before.copy()
    wanted[before == 2] = 0
    wanted[expected(squares(), (2,), by=1) == 2] = 2
    np.testing.assert_array_equal(result.data, wanted)
    assert stage.message == "1 refined"
    _, options, _, seen = stage.engine.calls[-1]
    assert options.ids == (2,)
    assert (seen[before == 9] == 9).all()
    np.testing.assert_array_equal(seen == 2, squares() == 2)
    counts(stage)
    assert marks(result) == {5: "accepted", 9: "edited"}
    result.undo()
    np.testing.assert_array_equal(result.data, before)
    counts(stage)
    assert marks(result) == {5: "accepted", 9: "edited"}


def test_an_erased_object_does_not_come_back(stage: Stage) -> None:
    stage.run()
    stage.result.data_setitem(np.nonzero(stage.result.data == 2), 0)
    stage.controller.refine_others()
    stage.work.finish()
    assert stage.engine.calls[-1][1].ids == (5, 9)
    assert 2 not in stage.result.data


def test_what_is_accepted_or_painted_during_that_run_stays(stage: Stage) -> None:
    stage.run()
    result = stage.result
    stage.engine.by = 1
    stage.controller.refine_others()
    stage.work.step(3)
    accept(stage, 5)
    paint(result, 9, (25, 75))
    before = result.data.copy()
    stage.work.finish()
    for label in (5, 9):
        np.testing.assert_array_equal(result.data == label, before == label)
    assert (result.data == 2).sum() < (before == 2).sum()
    counts(stage)
    assert marks(result) == {5: "accepted", 9: "edited"}


def test_others_that_were_parts_of_one_object_are_refined_each_for_itself(
    stage: Stage,
) -> None:
    stage.choose(options=RefineOptions(labels_are="parts"))
    stage.run()
    stage.controller.refine_others()
    stage.work.finish()
    refined, again = (call[1].labels_are for call in stage.engine.calls)
    assert (refined, again) == ("parts", "objects")


def test_the_others_of_several_layers_come_one_after_the_other(stage: Stage) -> None:
    image = Image(np.full((20, 30), 7, np.uint8), name="small")
    labels = Labels(np.zeros((20, 30), np.uint16), name="dots")
    labels.data[4:9, 4:9] = 3
    stage.run()
    stage.viewer.layers.extend([image, labels])
    stage.choose(image=image, labels=labels)
    stage.run()
    stage.controller.refine_others()
    while not all(work.has_ended for work in stage.runner.works):
        stage.work.step()
    assert [call[1].ids for call in stage.engine.calls[2:]] == [(2, 5, 9), (3,)]
    assert stage.engine.calls[-1][2].shape == (20, 30)


def test_hidden_layers_have_no_others(stage: Stage) -> None:
    stage.run()
    older = stage.result
    kept = older.data.copy()
    stage.run()
    newer = stage.viewer.layers["cells refined [1]"]
    assert (older.visible, newer.visible) == (False, True)
    assert counts(stage) == (0, 3)
    stage.engine.by = 1
    stage.controller.refine_others()
    stage.work.finish()
    np.testing.assert_array_equal(older.data, kept)
    np.testing.assert_array_equal(newer.data, expected(squares(), by=1))
    stage.view.count_soon.reset_mock()
    newer.visible = False
    stage.view.count_soon.assert_called()
    assert counts(stage) == (0, 0)


def test_the_others_of_each_plane_are_refined_with_what_it_was_refined_with() -> None:
    labels = np.stack([squares()] * 3)
    stage = Stage(np.zeros(labels.shape, np.uint8), labels)
    second = Image(np.ones(labels.shape, np.uint8), name="second")
    stage.viewer.layers.append(second)
    for at, image in enumerate((stage.image, second, stage.image)):
        stage.viewer.dims.set_point(0, at)
        stage.choose(image=image)
        stage.run()
    assert counts(stage) == (0, 9)
    n_calls = len(stage.engine.calls)
    stage.controller.refine_others()
    while not all(work.has_ended for work in stage.runner.works):
        stage.work.step()
    assert [call[2].max() for call in stage.engine.calls[n_calls:]] == [0, 0, 1]


def test_no_others_is_said(stage: Stage) -> None:
    stage.controller.refine_others()
    assert (stage.message, stage.tone) == (messages.NO_OTHERS, "notice")
    stage.run()
    accept(stage, 2, 5, 9)
    stage.controller.refine_others()
    assert stage.message == messages.NO_OTHERS
    assert len(stage.runner.works) == 1


def test_after_closing_no_layer_is_listened_to(stage: Stage) -> None:
    stage.run()
    layer = stage.result
    accept(stage, 5)
    stage.controller.close(is_viewer_alive=True)
    stage.view.reset_mock()
    paint(layer, 5, (45, 30))
    assert not stage.view.mock_calls
