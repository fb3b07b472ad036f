"""The windows of large objects: their rectangles, their steps, and what is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_segrefiner.geometry import Box
from napari_segrefiner.options import Mode, RefineOptions
from napari_segrefiner.plugin import windows_layer
from napari_segrefiner.plugin.planes import Plane
from napari_segrefiner.plugin.windows_layer import NAME, rectangle
from tests.plugin.fake_engine import box_of, expected
from tests.plugin.stage import Stage, squares


def choose_mode(stage: Stage, mode: Mode, *, show_windows: bool = True) -> None:
    options = replace(stage.choices.options, mode=mode)
    stage.choose(options=options, show_windows=show_windows)


def inside(corners: np.ndarray) -> Box:
    """The box whose pixels lie between four corners."""
    low, high = corners[:, -2:].min(0) + 0.5, corners[:, -2:].max(0) + 0.5
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def test_rectangles_lie_where_the_windows_lie() -> None:
    labels = squares()
    stage = Stage(labels.astype(np.uint8), labels, scale=(2, 3), translate=(7, 0))
    choose_mode(stage, "whole")
    stage.controller.refine()
    while stage.controller.is_running:
        stage.work.step()
        stage.controller.tick()
    layer = stage.viewer.layers[NAME]
    boxes = [inside(np.asarray(corners)) for corners in layer.data]
    assert len(boxes) == 6
    whole = [boxes[k].union(boxes[k + 1]) for k in (0, 2, 4)]
    assert whole == [box_of(labels == label, labels.shape) for label in (2, 5, 9)]
    assert list(layer.features["label"]) == [2, 2, 5, 5, 9, 9]
    assert set(layer.shape_type) == {"rectangle"}
    np.testing.assert_array_equal(layer.scale, (2, 3))
    np.testing.assert_array_equal(layer.translate, (7, 0))
    assert stage.viewer.layers.selection.active is stage.result
    np.testing.assert_array_equal(stage.result.data, expected(labels))


def test_in_a_stack_rectangles_lie_in_their_plane() -> None:
    plane = Plane((0, 2), (0, 4, 0))
    corners = rectangle(plane, Box(1, 2, 3, 6))
    assert set(corners[:, 1]) == {4}
    assert (corners[:, 0].min(), corners[:, 0].max()) == (0.5, 2.5)
    assert (corners[:, 2].min(), corners[:, 2].max()) == (1.5, 5.5)


def test_windows_are_not_shown_unless_asked_for(stage: Stage) -> None:
    choose_mode(stage, "whole", show_windows=False)
    stage.run()
    assert NAME not in stage.viewer.layers


def test_the_next_run_begins_without_old_rectangles(stage: Stage) -> None:
    choose_mode(stage, "whole")
    stage.run()
    assert len(stage.viewer.layers[NAME].data) == 6
    choose_mode(stage, "objects")
    stage.run()
    assert NAME not in stage.viewer.layers


def test_rectangles_deleted_during_the_run_stay_away(stage: Stage) -> None:
    choose_mode(stage, "whole")
    stage.controller.refine()
    while NAME not in stage.viewer.layers:
        stage.work.step()
        stage.controller.tick()
    stage.viewer.layers.remove(NAME)
    stage.work.finish()
    assert NAME not in stage.viewer.layers
    np.testing.assert_array_equal(stage.result.data, expected(squares()))


def test_only_the_newest_zoom_is_shown_while_a_run_is_at_work(stage: Stage) -> None:
    choose_mode(stage, "whole")
    stage.controller.refine()
    seen = []
    while stage.controller.is_running:
        stage.work.step()
        stage.controller.windows._rests_until = 0.0
        stage.controller.tick()
        if stage.controller.windows.layer is not None:
            seen.append(list(stage.controller.windows.layer.features["label"]))
    assert [2, 2] in seen
    assert [9, 9] in seen
    assert seen[-1] == [2, 2, 5, 5, 9, 9]


def test_only_the_newest_rectangles_are_kept(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_layer, "MOST_BOXES", 3)
    choose_mode(stage, "whole")
    stage.run()
    assert list(stage.viewer.layers[NAME].features["label"]) == [5, 9, 9]


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("objects", "3 refined"),
        ("whole", "3 refined; 6 windows"),
        ("auto", "3 refined; auto took 1 as a whole, 2 in crops; 6 windows"),
    ],
)
def test_the_sentence_tells_what_was_chosen(
    stage: Stage, mode: Mode, sentence: str
) -> None:
    choose_mode(stage, mode)
    stage.run()
    assert stage.message == sentence
    table = stage.result.features
    assert ("mode" in table) == (mode != "objects")
    if mode == "auto":
        assert list(table["mode"]) == ["objects", "objects", "whole"]
        assert list(table["windows"]) == [2, 2, 2]


def test_one_object_takes_the_mode_too(stage: Stage) -> None:
    choose_mode(stage, "auto")
    stage.labels.selected_label = 9
    stage.controller.refine_selected()
    stage.work.finish()
    assert "changed; auto took 1 as a whole; 2 windows" in stage.message
    assert stage.engine.calls[0][1] == RefineOptions(
        mode="auto", ids=(9,), channel_axis="none"
    )


def test_planes_are_counted_while_they_are_refined() -> None:
    labels = np.stack([squares()] * 3)
    stage = Stage((labels > 0) * np.uint8(9), labels)
    stage.choose(slider=0)
    stage.controller.refine()
    seen = set()
    while stage.controller.is_running:
        stage.work.step()
        seen.add(stage.message)
    assert {f"Refining 'cells'… plane {n} of 3" for n in (1, 2, 3)} < seen
    assert stage.message == "3 refined in 3 planes"
