"""A dock that is opened again: results of an earlier one are what they were."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt

from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.layer_record import read_findings, read_runs
from napari_segrefiner.plugin.layers import KEY, unwrap
from napari_segrefiner.plugin.planes import Plane
from tests.plugin.fake_engine import FakeEngine, expected
from tests.plugin.stage import Stage, squares
from tests.plugin.test_dock import add_squares, key, message, press, until_idle


def names(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers]


def reopened(make_dock: Any, viewer: Any, dock: Any, qtbot: Any) -> Any:
    """Another dock instead of `dock`, in the same viewer."""
    viewer.window.remove_dock_widget(dock)
    dock.controller.close(is_viewer_alive=True)
    _, new = make_dock(viewer)
    qtbot.wait(20)
    return new


def refined(make_dock: Any, qtbot: Any) -> tuple[Any, Any, Any, Any]:
    """A viewer, a dock that has refined all, the coarse layer and the result."""
    viewer, dock = make_dock()
    _, labels = add_squares(viewer)
    press(dock, dock.refine_button, qtbot)
    return viewer, dock, unwrap(labels), unwrap(viewer.layers["cells refined"])


def as_from_a_file(layer: Labels, data: Any = None) -> Labels:
    """The layer as napari would make it out of what was saved of it."""
    metadata = json.loads(json.dumps(layer.metadata, default=str))
    return Labels(
        copy.deepcopy(layer.data) if data is None else data,
        name=layer.name,
        metadata=metadata,
        features=layer.features.copy(),
    )


@pytest.mark.gui
def test_keys_work_on_the_result_of_an_earlier_dock(
    make_dock: Any, engine: FakeEngine, qtbot: Any
) -> None:
    viewer, dock, labels, result = refined(make_dock, qtbot)
    coarse = labels.data.copy()
    labels.name = "renamed"
    dock = reopened(make_dock, viewer, dock, qtbot)
    assert dock.next_button.isEnabled()
    # The source is chosen, as after a run, and the active result is meant.
    assert unwrap(viewer.layers.selection.active) is result
    assert dock.form.labels_box.layer is labels

    key(viewer, "next_object")
    assert message(dock).startswith("✓ 1 of 3: label 9 refined, ")
    assert result.selected_label == 9
    key(viewer, "next_object")
    assert result.selected_label == 5

    hold = key(viewer, "hold_source")
    next(hold)
    assert (labels.visible, result.visible) == (True, False)
    next(hold, None)
    assert (labels.visible, result.visible) == (False, True)

    viewer.cursor.position = (35, 15)
    key(viewer, "restore_object")
    np.testing.assert_array_equal(result.data, expected(coarse, (2, 9)))
    assert result.features.set_index("index").loc[5, "status"] == "restored"
    result.undo()
    np.testing.assert_array_equal(result.data, expected(coarse))

    before = result.data.copy()
    key(viewer, "refine_object")
    until_idle(dock, qtbot)
    assert names(viewer)[:3] == ["picture", "renamed", "cells refined"]
    np.testing.assert_array_equal(engine.calls[-1][3], before)
    assert (result.data == 5).sum() > (before == 5).sum()
    result.undo()
    np.testing.assert_array_equal(result.data, before)
    assert len(result.metadata[KEY]["runs"]) == 2


@pytest.mark.gui
def test_marks_of_an_earlier_dock_count(make_dock: Any, qtbot: Any) -> None:
    viewer, dock, labels, result = refined(make_dock, qtbot)
    result.selected_label = 5
    key(viewer, "accept_object")
    result.data_setitem((np.array([50]), np.array([70])), 9)
    dock.controller.count_corrections()
    marks = {5: "accepted", 9: "edited", 2: ""}
    assert dict(
        zip(result.features["index"], result.features["mark"], strict=True)
    ) == (marks)
    dock = reopened(make_dock, viewer, dock, qtbot)
    qtbot.waitUntil(lambda: "(2)" in dock.learn_button.text(), timeout=5000)
    assert "1 others" in dock.others_button.text()
    viewer.layers.selection.active = result
    result.selected_label = 2
    qtbot.mouseClick(dock.accept_button, Qt.MouseButton.LeftButton)
    assert message(dock) == "✓ " + messages.accepted(2, 3, 5)
    (one,) = dock.controller.marks.collect()
    assert (one.ids, one.name) == ((2, 5, 9), "picture")
    np.testing.assert_array_equal(one.coarse, labels.data)
    dock.controller.count_corrections()
    marks[2] = "accepted"
    assert dict(
        zip(result.features["index"], result.features["mark"], strict=True)
    ) == (marks)


@pytest.mark.gui
def test_layers_of_an_earlier_napari_are_linked_by_name(
    make_dock: Any, qtbot: Any
) -> None:
    viewer, dock, labels, result = refined(make_dock, qtbot)
    image = unwrap(viewer.layers["picture"])
    loaded, source = as_from_a_file(result), as_from_a_file(labels)
    viewer.layers.clear()
    viewer.layers.append(image)
    viewer.layers.append(loaded)
    viewer.layers.selection.active = loaded
    list(key(viewer, "hold_source"))
    assert message(dock) == "⚠ " + messages.source_gone("cells refined", "cells")
    loaded.selected_label = 9
    for button in (dock.restore_button, dock.accept_button):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert message(dock) == "⚠ " + messages.source_gone("cells refined", "cells")
    viewer.layers.append(source)
    viewer.layers.selection.active = loaded
    loaded.selected_label = 9
    qtbot.mouseClick(dock.restore_button, Qt.MouseButton.LeftButton)
    np.testing.assert_array_equal(loaded.data, expected(squares(), (2, 5)))
    qtbot.mouseClick(dock.accept_button, Qt.MouseButton.LeftButton)
    assert message(dock) == "✓ " + messages.accepted(9, 1, 5)
    # From the source the loaded result is meant.
    viewer.layers.selection.active = source
    source.selected_label = 9
    press(dock, dock.selected_button, qtbot)
    assert names(viewer)[:3] == ["picture", "cells refined", "cells"]
    np.testing.assert_array_equal(loaded.data, expected(squares()))


@pytest.mark.gui
def test_a_duplicated_result_is_one(make_dock: Any, qtbot: Any) -> None:
    viewer, dock, _, result = refined(make_dock, qtbot)
    data, state, _ = result.as_layer_data_tuple()
    twin = Labels(data.copy(), **{**state, "name": "twin"})
    viewer.layers.append(twin)
    viewer.layers.selection.active = twin
    twin.selected_label = 5
    qtbot.mouseClick(dock.restore_button, Qt.MouseButton.LeftButton)
    np.testing.assert_array_equal(twin.data, expected(squares(), (2, 9)))
    press(dock, dock.selected_button, qtbot)
    assert names(viewer)[:4] == ["picture", "cells", "cells refined", "twin"]
    assert len(twin.metadata[KEY]["runs"]) == 2
    assert len(result.metadata[KEY]["runs"]) == 1


def test_other_labels_of_that_name_are_no_source(stage: Stage) -> None:
    """The next picture's labels often have the last one's name, and its shape."""
    stage.run()
    result = stage.result
    before = result.data.copy()
    stage.viewer.layers.remove(stage.labels)
    other = Labels(np.roll(squares(), 25, axis=1), name="cells")
    stage.viewer.layers.append(other)
    assert stage.controller.results.source_of(result) is None
    stage.choose(labels=other)
    stage.viewer.layers.selection.active = other
    other.selected_label = 5
    stage.controller.refine_selected()
    stage.work.finish()
    np.testing.assert_array_equal(result.data, before)
    stage.viewer.layers.remove(other)
    stage.viewer.layers.append(Labels(squares(), name="cells"))
    assert stage.controller.results.source_of(result).name == "cells"


def test_objects_of_a_stack_are_found_where_they_are_largest() -> None:
    labels = np.zeros((4, *squares().shape), np.uint16)
    labels[1] = labels[2] = squares()
    labels[1][:34] = 0
    stage = Stage((labels > 0) * np.uint8(9), labels)
    stage.choose(slider=0)
    stage.run()
    result = stage.result
    loaded = as_from_a_file(result)
    found = read_findings(loaded)
    assert {n: one.plane for n, one in found.items()} == dict.fromkeys(
        (2, 5, 9), Plane((1, 2), (2, 0, 0))
    )
    rows, columns = np.nonzero(result.data[2] == 9)
    box = found[9].box
    assert (box.y0, box.x0) == (rows.min(), columns.min())
    assert (box.y1, box.x1) == (rows.max() + 1, columns.max() + 1)


@pytest.mark.parametrize(
    "entry",
    [
        "text",
        {"runs": "text", "source": 3},
        {"source": "cells", "runs": ["text", {}, {"axes": [0], "position": [0, 0]}]},
        {"source": "cells", "runs": [{"axes": [0, 5], "position": [0, 0]}]},
        {"source": "cells", "runs": [{"axes": [0, 1], "position": [0, 99]}]},
    ],
)
def test_metadata_that_says_nonsense_is_left_out(stage: Stage, entry: Any) -> None:
    layer = Labels(squares(), name="odd", metadata={KEY: entry})
    stage.viewer.layers.append(layer)
    assert read_runs(layer) == {}
    stage.viewer.layers.selection.active = layer
    stage.choose(labels=layer)
    stage.controller.next_object()
    assert stage.message == messages.NO_RESULT


@pytest.mark.gui
def test_undo_of_what_an_earlier_dock_has_done_is_no_edit(
    make_dock: Any, engine: FakeEngine, qtbot: Any
) -> None:
    viewer, dock = make_dock()
    _, labels = add_squares(viewer)
    for label in (2, 5):
        dock.controller.refine_object(unwrap(labels), label)
        until_idle(dock, qtbot)
    result = unwrap(viewer.layers["cells refined"])
    dock = reopened(make_dock, viewer, dock, qtbot)
    result.undo()
    np.testing.assert_array_equal(result.data == 5, labels.data == 5)
    dock.controller.count_corrections()
    assert dock.learn_button.text() == "Learn from my corrections (0)"
    result.redo()
    result.data_setitem((np.array([45]), np.array([30])), 5)
    dock.controller.count_corrections()
    assert dock.learn_button.text() == "Learn from my corrections (1)"
