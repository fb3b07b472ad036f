"""Undo and redo: the features and the review's findings follow the pixels."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.plugin.fake_engine import expected
from tests.plugin.stage import Stage


def refine_label(stage: Stage, label: int) -> None:
    stage.labels.selected_label = label
    active = stage.viewer.layers.selection.active
    if active is not None and active is not stage.labels:
        active.selected_label = label
    stage.controller.refine_selected()
    stage.work.finish()


def test_undo_takes_the_row_away_and_redo_brings_it_back(stage: Stage) -> None:
    refine_label(stage, 5)
    refine_label(stage, 9)
    result = stage.result
    both = result.features.copy()
    assert list(both["index"]) == [5, 9]
    result.undo()
    assert list(result.features["index"]) == [5]
    assert set(stage.controller.review._queues[result].planes) == {5}
    result.redo()
    pd.testing.assert_frame_equal(result.features, both)
    assert set(stage.controller.review._queues[result].planes) == {5, 9}


def test_undo_of_a_restored_object_tells_its_change_again(stage: Stage) -> None:
    stage.run()
    result = stage.result
    before = result.features.copy()
    stage.point_at(35, 15)
    stage.controller.restore_object()
    assert list(result.features["status"]) == ["refined", "restored", "refined"]
    result.refresh()
    assert "restored" in list(result.features["status"])
    result.undo()
    pd.testing.assert_frame_equal(result.features, before)
    assert stage.controller.review._queues[result].of([5])[5].status == "refined"


def test_undo_of_a_users_stroke_leaves_the_rows(stage: Stage) -> None:
    stage.run()
    result = stage.result
    stage.point_at(35, 15)
    stage.controller.restore_object()
    restored = result.features.copy()
    # Over everything that the restoring has changed.
    box = np.nonzero(expected(stage.labels.data) == 5)
    result.data_setitem(box, 7)
    result.undo()
    pd.testing.assert_frame_equal(result.features, restored)
    result.undo()
    assert list(result.features["status"]) == ["refined"] * 3


def test_a_step_after_an_undo_cannot_bring_old_rows_back(stage: Stage) -> None:
    refine_label(stage, 5)
    refine_label(stage, 9)
    result = stage.result
    result.undo()
    refine_label(stage, 2)
    assert list(result.features["index"]) == [2, 5]
    result.undo()
    result.redo()
    assert list(result.features["index"]) == [2, 5]


def test_users_columns_and_rows_survive_undo(stage: Stage) -> None:
    stage.choose(target="into this layer")
    stage.labels.features = pd.DataFrame({"index": [5, 7], "kind": ["a", "b"]})
    refine_label(stage, 5)
    stage.labels.undo()
    table = stage.labels.features.set_index("index")
    assert list(table["kind"]) == ["a", "b"]
    assert pd.isna(table.loc[5, "status"]) if "status" in table else True


def test_labels_of_another_shape_are_no_undo(stage: Stage) -> None:
    stage.choose(target="into this layer")
    refine_label(stage, 5)
    before = stage.labels.features.copy()
    stage.labels.data = np.zeros((3, 3), np.uint16)
    pd.testing.assert_frame_equal(stage.labels.features, before)
