"""Looking at results: the next object, the source, and back to coarse."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.planes import Plane
from napari_segrefiner.plugin.review import camera_of, centre_on
from tests.plugin.fake_engine import expected
from tests.plugin.stage import Stage, squares


def test_next_goes_to_the_neediest_and_centres_it(stage: Stage) -> None:
    stage.run()
    stage.controller.next_object()
    # Uncertainty grows with the label in this engine.
    assert stage.result.selected_label == 9
    assert stage.message.startswith("1 of 3: label 9 refined, ")
    assert camera_of(stage.viewer).center == pytest.approx((0, 25.5, 56.5))
    for label in (5, 2):
        stage.controller.next_object()
        assert stage.result.selected_label == label
    stage.controller.next_object()
    assert stage.message == messages.ALL_SEEN


def test_next_leaves_out_what_was_erased_until_that_is_undone(stage: Stage) -> None:
    stage.run()
    erased = np.nonzero(stage.result.data == 9)
    stage.result.data_setitem(erased, 0)
    stage.controller.next_object()
    assert stage.result.selected_label == 5
    assert stage.message.startswith("1 of 2: label 5 refined, ")
    stage.result.undo()
    stage.controller.next_object()
    assert stage.message.startswith("1 of 3: label 9 refined, ")


def test_next_without_a_result_says_what_to_do(stage: Stage) -> None:
    stage.controller.next_object()
    assert (stage.message, stage.tone) == (messages.NO_RESULT, "notice")


def test_next_moves_the_slider_to_the_objects_plane() -> None:
    labels = np.zeros((4, *squares().shape), np.uint16)
    labels[2] = squares()
    stage = Stage((labels > 0) * np.uint8(9), labels, scale=(3, 1, 1))
    stage.choose(slider=0)
    stage.run()
    stage.viewer.dims.set_current_step(0, 0)
    stage.controller.next_object()
    assert stage.viewer.dims.point[0] == 3 * 2
    assert camera_of(stage.viewer).center[1:] == pytest.approx((25.5, 56.5))
    stage.viewer.dims.ndisplay = 3
    stage.controller.next_object()
    stage.controller.next_object()
    assert camera_of(stage.viewer).center == pytest.approx((3 * 2, 11.5, 12.5))


def test_zoom_changes_only_for_dots_and_giants(stage: Stage) -> None:
    stage.run()
    item = stage.controller.review._queues[stage.result].of([9])[9]  # 12 x 14 px
    for side, factor in ((40, 1.0), (1000, 0.3 / 0.014), (10, 0.7 / 1.4)):
        camera_of(stage.viewer).zoom = 1.0
        stage.result.corner_pixels = np.array([[0, 0], [side, side]])
        centre_on(stage.viewer, stage.result, item)
        assert camera_of(stage.viewer).zoom == pytest.approx(factor)


def test_restore_gives_one_object_back_in_one_undo_step(stage: Stage) -> None:
    coarse = stage.labels.data.copy()
    stage.run()
    refined = stage.result.data.copy()
    stage.point_at(35, 15)
    stage.controller.restore_object()
    np.testing.assert_array_equal(stage.result.data, expected(coarse, (2, 9)))
    table = stage.result.features.set_index("index")
    assert table.loc[5, "status"] == "restored"
    assert table.loc[5, "change"] == 0
    stage.controller.restore_object()
    assert stage.message == messages.SAME
    stage.result.undo()
    np.testing.assert_array_equal(stage.result.data, refined)


def test_restore_away_from_objects_takes_the_selected_one(stage: Stage) -> None:
    coarse = stage.labels.data.copy()
    stage.run()
    stage.point_at(0, 0)
    stage.result.selected_label = 9
    stage.controller.restore_object()
    np.testing.assert_array_equal(stage.result.data, expected(coarse, (2, 5)))
    stage.result.selected_label = 0
    stage.controller.restore_object()
    assert stage.message == messages.NO_RESTORE


def test_after_next_the_resting_cursor_means_the_selected_object(stage: Stage) -> None:
    stage.run()
    stage.point_at(35, 15)  # object 5
    stage.controller.next_object()
    assert stage.result.selected_label == 9
    stage.controller.restore_object()
    assert stage.message.startswith("Label 9 is coarse again")
    stage.controller.refine_under_cursor()
    stage.work.finish()
    assert stage.engine.calls[-1][1].ids == (9,)
    stage.point_at(35, 15.5)
    stage.controller.restore_object()
    assert stage.message.startswith("Label 5 is coarse again")


def test_after_next_from_the_source_the_object_that_it_went_to_is_meant(
    stage: Stage,
) -> None:
    stage.run()
    stage.viewer.layers.selection.active = stage.labels
    stage.labels.selected_label = 2
    stage.point_at(1, 1)
    stage.controller.next_object()
    stage.controller.refine_under_cursor()
    stage.work.finish()
    assert stage.engine.calls[-1][1].ids == (9,)


def test_next_that_goes_nowhere_leaves_the_cursor_its_meaning(stage: Stage) -> None:
    stage.labels.selected_label = 2
    stage.point_at(35, 15)
    stage.controller.next_object()
    assert stage.message == messages.NO_RESULT
    stage.controller.refine_under_cursor()
    stage.work.finish()
    assert stage.engine.calls[-1][1].ids == (5,)


def test_accepted_objects_do_not_come_again(stage: Stage) -> None:
    stage.run()
    for label in (9, 5):
        stage.controller.next_object()
        assert stage.result.selected_label == label
        stage.controller.accept_object()
    for _ in range(2):  # also after it has begun anew
        stage.controller.next_object()
        assert stage.result.selected_label == 2
        assert stage.message.startswith("3 of 3: label 2")
        stage.controller.next_object()
        assert stage.message == messages.ALL_SEEN
    stage.controller.next_object()
    stage.controller.accept_object()
    stage.controller.next_object()
    assert stage.message == messages.ALL_ACCEPTED
    stage.controller.accept_object()  # taken back
    stage.controller.next_object()
    assert stage.message.startswith("3 of 3: label 2")


def test_an_object_accepted_in_one_plane_is_shown_in_the_other() -> None:
    labels = np.stack([squares()] * 2)
    stage = Stage((labels > 0) * np.uint8(200), labels)
    for plane in (0, 1):
        stage.viewer.dims.set_current_step(0, plane)
        stage.viewer.layers.selection.active = stage.labels
        stage.run()
        if plane == 0:
            for label in (2, 5, 9):
                stage.result.selected_label = label
                stage.controller.accept_object()
    for _ in range(4):
        stage.controller.next_object()
    assert stage.message == messages.ALL_SEEN
    stage.controller.next_object()
    assert "label 9" in stage.message


def test_where_nothing_is_left_nothing_is_said_to_be_accepted(stage: Stage) -> None:
    stage.run()
    stage.result.data_setitem(np.nonzero(stage.result.data), 0)
    stage.controller.next_object()
    assert stage.message == messages.ALL_SEEN


def test_an_object_that_was_looked_at_and_refined_again_does_not_come_next(
    stage: Stage,
) -> None:
    stage.run()
    for label in (9, 5, 2):
        stage.controller.next_object()
        assert stage.result.selected_label == label
        stage.controller.refine_selected()
        stage.work.finish()
    stage.controller.next_object()
    assert stage.message == messages.ALL_SEEN


def test_a_deleted_result_is_freed_after_next(stage: Stage) -> None:
    stage.run()
    stage.controller.next_object()
    assert stage.controller._shown is not None
    stage.viewer.layers.remove(stage.result)
    assert stage.controller._shown is None


def test_what_was_painted_out_of_the_result_can_be_restored(stage: Stage) -> None:
    """The source is what it was, however much the result is changed by hand."""
    stage.run()
    result = stage.result
    result.data[result.data > 0] = 0
    result.selected_label = 5
    stage.controller.restore_selected()
    assert stage.message.startswith("Label 5 is coarse again")
    np.testing.assert_array_equal(result.data == 5, stage.labels.data == 5)


def test_a_result_that_comes_while_the_source_is_shown_is_shown_alone(
    stage: Stage,
) -> None:
    stage.run()
    old = stage.result
    stage.controller.refine()
    stage.controller.show_source(True)
    stage.work.finish()
    stage.controller.show_source(False)
    assert [x.visible for x in stage.viewer.layers if "cells" in x.name] == [
        False,
        False,
        True,
    ]
    assert not old.visible


def test_restored_objects_need_no_look(stage: Stage) -> None:
    stage.run()
    stage.point_at(25, 55)
    stage.controller.restore_object()
    stage.controller.next_object()
    assert stage.message.startswith("1 of 2: label 5")


def test_the_source_is_shown_as_long_as_asked(stage: Stage) -> None:
    stage.run()
    stage.controller.show_source(True)
    assert (stage.labels.visible, stage.result.visible) == (True, False)
    stage.controller.show_source(False)
    assert (stage.labels.visible, stage.result.visible) == (False, True)
    stage.controller.show_source(False)
    assert (stage.labels.visible, stage.result.visible) == (False, True)


def test_without_its_source_a_result_says_so(stage: Stage) -> None:
    stage.run()
    stage.controller.show_source(True)
    stage.viewer.layers.remove(stage.labels)
    stage.controller.show_source(False)
    assert stage.result.visible
    stage.controller.show_source(True)
    assert stage.message == messages.source_gone("cells refined", "cells")
    stage.point_at(35, 15)
    stage.controller.restore_object()
    assert stage.message == messages.source_gone("cells refined", "cells")


def test_in_place_the_coarse_labels_are_behind_undo(stage: Stage) -> None:
    stage.choose(target="into this layer")
    stage.run()
    stage.controller.show_source(True)
    assert stage.message == messages.IN_PLACE
    stage.controller.restore_object()
    assert stage.message == messages.IN_PLACE
    stage.controller.next_object()
    assert stage.labels.selected_label == 9


def test_after_a_run_in_place_older_results_are_left_alone(stage: Stage) -> None:
    stage.run()
    older = stage.result
    before = older.data.copy()
    stage.viewer.layers.selection.active = stage.labels
    stage.labels.visible = True
    stage.choose(target="into this layer")
    stage.run()
    stage.viewer.layers.selection.active = stage.labels
    stage.labels.selected_label = older.selected_label = 5
    stage.controller.restore_selected()
    assert stage.message == messages.IN_PLACE
    np.testing.assert_array_equal(older.data, before)
    # A newer result in a layer of its own is meant again.
    stage.choose(target="new layer")
    stage.run()
    newest = stage.viewer.layers.selection.active
    stage.viewer.layers.selection.active = stage.labels
    stage.controller.show_source(True)
    assert (stage.labels.visible, newest.visible) == (True, False)
    stage.controller.show_source(False)
    assert newest.visible


def test_with_the_image_active_the_object_under_the_cursor_is_restored(
    stage: Stage,
) -> None:
    stage.run()
    stage.labels.selected_label = 2
    stage.viewer.layers.selection.active = stage.image
    stage.point_at(25, 55)
    stage.controller.restore_object()
    assert stage.message.startswith("Label 9 is coarse again")
    active = stage.viewer.layers.selection.active
    assert active is stage.result  # whose Ctrl+Z takes it back
    active.undo()
    np.testing.assert_array_equal(active.data, expected(squares()))


def test_an_object_restored_in_one_plane_is_reviewed_in_the_others() -> None:
    labels = np.stack([squares()] * 2)
    stage = Stage((labels > 0) * np.uint8(200), labels)
    stage.choose(slider=0)
    stage.run()
    stage.viewer.dims.set_point(0, 0)
    stage.viewer.layers.selection.active = stage.result
    stage.result.selected_label = 9
    stage.controller.restore_selected()
    stage.controller.next_object()
    assert stage.message.startswith("1 of 3: label 9")
    assert stage.viewer.dims.point[0] == 1
    rows = dict(
        zip(*(stage.result.features[c] for c in ("index", "status")), strict=True)
    )
    assert rows[9] == "refined"


def test_planes_refined_one_by_one_are_all_reviewed() -> None:
    labels = np.stack([squares()] * 2)
    stage = Stage((labels > 0) * np.uint8(200), labels)
    for plane, label in ((0, 2), (1, 9)):
        stage.viewer.dims.set_point(0, plane)
        stage.controller.refine_object(stage.labels, label)
        stage.work.finish()
    stage.viewer.dims.set_point(0, 1)
    stage.controller.refine_object(stage.labels, 2)
    stage.work.finish()
    (found,) = stage.controller.review._queues[stage.result].of([2]).values()
    assert set(stage.controller.review._queues[stage.result].planes[2]) == {
        Plane((1, 2), (0, 0, 0)),
        Plane((1, 2), (1, 0, 0)),
    }
    assert found.label == 2


def test_a_source_of_another_shape_is_said(stage: Stage) -> None:
    stage.run()
    stage.labels.data = squares()[:50]
    stage.point_at(35, 15)
    stage.controller.restore_object()
    assert stage.message == messages.source_gone("cells refined", "cells")
