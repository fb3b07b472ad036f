"""The dock in a real window: what is pressed, and what is in the layers then."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_model.types import KeyBinding
from qtpy.QtCore import Qt

from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.dock import SegRefinerDock
from napari_segrefiner.plugin.keys import KEYS
from napari_segrefiner.plugin.layers import is_preview, unwrap
from napari_segrefiner.plugin.settings import Settings
from tests.plugin.fake_engine import STEPS, FakeEngine, expected
from tests.plugin.stage import squares

pytestmark = pytest.mark.gui


def add_squares(viewer: Any, name: str = "", **place: Any) -> tuple[Any, Any]:
    data = squares()
    image = viewer.add_image((data > 0) * np.uint8(200), name=f"picture{name}", **place)
    return image, viewer.add_labels(data, name=f"cells{name}", **place)


def press(dock: Any, button: Any, qtbot: Any) -> None:
    """Click a button and wait for the run to end."""
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    until_idle(dock, qtbot)


def until_idle(dock: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not dock.controller.is_running, timeout=10_000)


def key(viewer: Any, name: str) -> Any:
    """Press a key as the canvas does; gives what ends it on release."""
    action = viewer.keymap[KeyBinding.validate(KEYS[name])]
    return action(viewer)


def axis_name(viewer: Any) -> str:
    """The first axis as its slider names it."""
    return f"axis {viewer.dims.axis_labels[0]}"


def message(dock: Any) -> str:
    return str(dock.message_label.text())


def test_refine_button_makes_the_result(make_dock: Any, qtbot: Any) -> None:
    viewer, dock = make_dock()
    _, labels = add_squares(viewer, scale=(0.5, 0.5), translate=(3, 4))
    before = labels.data.copy()
    press(dock, dock.refine_button, qtbot)
    result = viewer.layers["cells refined"]
    np.testing.assert_array_equal(result.data, expected(before))
    np.testing.assert_array_equal(labels.data, before)
    np.testing.assert_array_equal(result.scale, labels.scale)
    np.testing.assert_array_equal(result.translate, labels.translate)
    assert not labels.visible
    assert message(dock) == "✓ 3 refined"
    assert dock.progress_bar.isHidden()
    assert dock.next_button.isEnabled()


def test_the_keyboard_alone_will_do_and_a_click_leaves_it_to_the_canvas(
    make_dock: Any, engine: FakeEngine, qtbot: Any
) -> None:
    engine.gate = threading.Semaphore(0)
    viewer, dock = make_dock(is_shown=True)
    add_squares(viewer)
    qtbot.wait(20)
    press_tab = (Qt.Key.Key_Tab, Qt.KeyboardModifier.NoModifier)
    dock.form.target_box.setFocus()
    assert dock.focusWidget() is dock.form.target_box
    qtbot.keyClick(dock.form.target_box, *press_tab)
    assert dock.focusWidget() is dock.form.advanced.button
    qtbot.keyClick(dock.form.advanced.button, *press_tab)
    assert dock.focusWidget() is dock.refine_button
    qtbot.keyClick(dock.refine_button, Qt.Key.Key_Space)
    assert dock.controller.is_running
    assert dock.focusWidget() is dock.stop_button
    qtbot.keyClick(dock.stop_button, Qt.Key.Key_Space)
    engine.gate.release(100)
    until_idle(dock, qtbot)
    assert message(dock) == f"⚠ {messages.STOPPED}"
    dock.form.target_box.setFocus()
    qtbot.mouseClick(dock.selected_button, Qt.MouseButton.LeftButton)
    assert dock.focusWidget() is not dock.selected_button
    until_idle(dock, qtbot)


def test_preview_runs_and_goes(make_dock: Any, engine: FakeEngine, qtbot: Any) -> None:
    engine.gate = threading.Semaphore(0)
    viewer, dock = make_dock()
    add_squares(viewer)
    qtbot.mouseClick(dock.refine_button, Qt.MouseButton.LeftButton)
    engine.gate.release(2)

    def shown() -> Any:
        return [layer for layer in viewer.layers if is_preview(layer)]

    qtbot.waitUntil(lambda: bool(shown()) and 2 in shown()[0].data, timeout=5000)
    assert dock.form.labels_box.layer is unwrap(viewer.layers["cells"])
    assert not dock.refine_button.isEnabled()
    assert dock.stop_button.isEnabled()
    engine.gate.release(100)
    until_idle(dock, qtbot)
    assert not shown()
    assert not dock.tick_timer.isActive()


def begun(make_dock: Any, engine: FakeEngine, qtbot: Any) -> tuple[Any, Any]:
    """A viewer and its dock in the midst of a run, the preview shown."""
    engine.gate = threading.Semaphore(2)
    viewer, dock = make_dock()
    add_squares(viewer)
    qtbot.mouseClick(dock.refine_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=5000)
    return viewer, dock


def test_a_look_at_the_preview_layer_keeps_no_result_back(
    make_dock: Any, engine: FakeEngine, qtbot: Any
) -> None:
    viewer, dock = begun(make_dock, engine, qtbot)
    (preview,) = (layer for layer in viewer.layers if is_preview(layer))
    viewer.layers.selection.active = preview
    engine.gate.release(100)
    until_idle(dock, qtbot)
    assert viewer.layers.selection.active.name == "cells refined"


def test_one_label_with_many_parts_hints_at_classes(make_dock: Any, qtbot: Any) -> None:
    viewer, dock = make_dock()
    mask = np.zeros((120, 120), np.uint8)
    for y in range(5, 105, 20):
        for x in range(5, 105, 20):
            mask[y : y + 4, x : x + 4] = 1
    viewer.add_image(mask * 200, name="picture")
    labels = viewer.add_labels(mask, name="binary")
    hint = messages.many_parts(1, 25)
    press(dock, dock.refine_button, qtbot)
    assert message(dock) == "⚠ 1 refined" + hint
    viewer.layers.selection.active = labels
    press(dock, dock.selected_button, qtbot)
    assert message(dock).endswith(hint)

    def last_words(data: Any) -> str:
        labels.data = data
        viewer.layers.selection.active = labels
        press(dock, dock.refine_button, qtbot)
        return message(dock)

    few = mask.copy()
    few[:25] = 0  # 20 parts
    assert last_words(few) == "✓ 1 refined"
    two = mask.copy()
    two[5:9, 5:9] = 2
    assert last_words(two) == "✓ 2 refined"
    box = dock.form.option_form.widgets["labels_are"]
    box.setCurrentIndex(box.findData("classes"))
    assert last_words(mask) == "✓ 1 refined"


@pytest.mark.parametrize("n_steps", [0, 1, STEPS])
def test_stop_button_leaves_everything_as_it_was(
    make_dock: Any, engine: FakeEngine, qtbot: Any, n_steps: int
) -> None:
    engine.gate = threading.Semaphore(n_steps)
    viewer, dock = make_dock()
    _, labels = add_squares(viewer)
    before = labels.data.copy()
    qtbot.mouseClick(dock.refine_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(engine.calls) == 1)
    qtbot.mouseClick(dock.stop_button, Qt.MouseButton.LeftButton)
    engine.gate.release(100)
    until_idle(dock, qtbot)
    assert [layer.name for layer in viewer.layers] == ["picture", "cells"]
    np.testing.assert_array_equal(labels.data, before)
    assert message(dock) == "⚠ " + messages.STOPPED
    assert engine.n_closed == 1


def test_a_layer_deleted_during_the_run_ends_it_calmly(
    make_dock: Any, engine: FakeEngine, qtbot: Any
) -> None:
    engine.gate = threading.Semaphore(2)
    viewer, dock = make_dock()
    _, labels = add_squares(viewer)
    qtbot.mouseClick(dock.refine_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3)  # the preview
    viewer.layers.remove(labels)
    engine.gate.release(100)
    until_idle(dock, qtbot)
    assert [layer.name for layer in viewer.layers] == ["picture"]
    assert message(dock) == "⚠ " + messages.removed("cells")
    press(dock, dock.refine_button, qtbot)
    assert message(dock) == "⚠ " + messages.NO_LABELS


@pytest.mark.parametrize("error", [RuntimeError("cuda"), ValueError("bad")])
def test_an_exception_in_the_worker_frees_the_dock(
    make_dock: Any, engine: FakeEngine, qtbot: Any, error: Exception
) -> None:
    viewer, dock = make_dock()
    add_squares(viewer)
    engine.error = error
    press(dock, dock.refine_button, qtbot)
    assert type(error).__name__ in message(dock)
    assert dock.refine_button.isEnabled()


def test_selected_label_then_undo(make_dock: Any, qtbot: Any) -> None:
    viewer, dock = make_dock()
    _, labels = add_squares(viewer)
    coarse = labels.data.copy()
    labels.selected_label = 5
    press(dock, dock.selected_button, qtbot)
    result = viewer.layers["cells refined"]
    result.selected_label = 9
    press(dock, dock.selected_button, qtbot)
    np.testing.assert_array_equal(result.data, expected(coarse, (5, 9)))
    result.undo()
    np.testing.assert_array_equal(result.data, expected(coarse, (5,)))
    assert dock.form.labels_box.layer is unwrap(labels)


def test_keys_do_what_their_buttons_say(make_dock: Any, qtbot: Any) -> None:
    viewer, dock = make_dock()
    _, labels = add_squares(viewer)
    coarse = labels.data.copy()
    for name, button in dock.key_buttons():
        assert f"({KEYS[name]})" in button.text()
    viewer.cursor.position = (25, 55)
    key(viewer, "refine_object")
    until_idle(dock, qtbot)
    result = viewer.layers["cells refined"]
    np.testing.assert_array_equal(result.data, expected(coarse, (9,)))
    holding = key(viewer, "hold_source")
    next(holding)
    assert (labels.visible, result.visible) == (True, False)
    assert next(holding, None) is None
    assert (labels.visible, result.visible) == (False, True)
    key(viewer, "next_object")
    assert result.selected_label == 9
    key(viewer, "restore_object")
    np.testing.assert_array_equal(result.data, coarse)


def test_restore_button_takes_the_selected_object(make_dock: Any, qtbot: Any) -> None:
    viewer, dock = make_dock()
    _, labels = add_squares(viewer)
    coarse = labels.data.copy()
    dock.refine_button.click()
    until_idle(dock, qtbot)
    result = viewer.layers["cells refined"]
    # Where the mouse left the canvas, on its way to the button.
    viewer.cursor.position = (25, 55)
    result.selected_label = 5
    dock.restore_button.click()
    np.testing.assert_array_equal(result.data, expected(coarse, (2, 9)))


def test_real_key_presses_reach_the_dock(make_dock: Any, qtbot: Any) -> None:
    viewer, dock = make_dock(is_shown=True)
    add_squares(viewer)
    qtbot.wait(50)
    canvas = viewer.window._qt_viewer.canvas
    canvas.native.setFocus()
    viewer.cursor.position = (25, 55)
    qtbot.keyClick(canvas.native, Qt.Key.Key_R)
    until_idle(dock, qtbot)
    result = viewer.layers["cells refined"]
    assert list(result.features["index"]) == [9]
    qtbot.keyPress(canvas.native, Qt.Key.Key_H)
    assert not result.visible
    qtbot.keyRelease(canvas.native, Qt.Key.Key_H)
    assert result.visible
    qtbot.keyClick(canvas.native, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    assert list(result.features["status"]) == ["restored"]


def test_source_button_works_as_long_as_it_is_held(make_dock: Any, qtbot: Any) -> None:
    viewer, dock = make_dock()
    _, labels = add_squares(viewer)
    press(dock, dock.refine_button, qtbot)
    qtbot.mousePress(dock.source_button, Qt.MouseButton.LeftButton)
    assert labels.visible
    qtbot.mouseRelease(dock.source_button, Qt.MouseButton.LeftButton)
    assert not labels.visible


def test_boxes_follow_the_viewer(make_dock: Any) -> None:
    viewer, dock = make_dock()
    assert dock.form.labels_box.layer is None
    assert dock.form.labels_box.currentIndex() == -1
    image, labels = add_squares(viewer)
    small = viewer.add_labels(np.ones((7, 9), int), name="small")
    assert dock.form.labels_box.layer is unwrap(small)
    viewer.layers.selection.active = labels
    assert dock.form.labels_box.layer is unwrap(labels)
    viewer.layers.selection.active = image
    assert dock.form.labels_box.layer is unwrap(labels)
    labels.name = "nuclei"
    assert dock.form.labels_box.currentText() == "nuclei"
    other = viewer.add_image(np.ones((7, 9)), name="other")
    assert dock.form.image_box.layer is unwrap(image)
    viewer.layers.selection.active = small
    assert dock.form.image_box.layer is unwrap(other)
    viewer.layers.remove(small)
    assert dock.form.labels_box.layer is unwrap(labels)
    assert dock.form.image_box.layer is unwrap(image)


def test_each_labels_layer_is_refined_on_its_own_image(
    make_dock: Any, qtbot: Any
) -> None:
    viewer, dock = make_dock()
    for name in (" one", " two"):
        add_squares(viewer, name)
    for name in ("one", "two"):
        viewer.layers.selection.active = viewer.layers[f"cells {name}"]
        press(dock, dock.refine_button, qtbot)
        record = viewer.layers[f"cells {name} refined"].metadata["segrefiner"]
        assert record["runs"][0]["image"] == f"picture {name}"
        # Nor does the result change that, though chosen itself.
        dock.form.labels_box.choose(viewer.layers[f"cells {name} refined"])
        assert dock.form.image_box.currentText() == f"picture {name}"


def test_long_names_leave_the_dock_as_wide_and_show_both_ends(make_dock: Any) -> None:
    viewer, dock = make_dock(is_shown=True)
    names = [f"{'20261128_experiment_position_012_' * 2}{end}.tif" for end in "ab"]
    for name in names:
        viewer.add_image(squares(), name=name)
    width = dock.minimumSizeHint().width()
    dock.show_message(messages.refining(f"'{names[0]}'", 1, 1), "busy")
    assert dock.minimumSizeHint().width() == width
    assert message(dock).startswith("Refining '20261128_")
    assert message(dock).endswith("_012_a.tif'…")
    assert names[0] in dock.message_label.toolTip()
    looks = []
    for name in names:
        dock.form.image_box.choose(viewer.layers[name])
        assert dock.form.image_box.currentText() == name
        looks.append(dock.form.image_box.grab().toImage())
    assert looks[0] != looks[1]


def test_channel_and_plane_boxes_follow_data_that_are_set_anew(make_dock: Any) -> None:
    viewer, dock = make_dock()
    add_squares(viewer)
    image, labels = viewer.layers["picture"], viewer.layers["cells"]
    image.data = np.zeros((7, *squares().shape), np.uint8)
    assert not dock.form.channel_box.isHidden()
    assert dock.form.channel_box.count() == 8
    labels.data = np.stack([squares()] * 7)
    assert dock.form.channel_box.isHidden()
    assert not dock.form.planes_box.isHidden()
    labels.data = squares()
    assert dock.form.planes_box.isHidden()
    assert not dock.form.channel_box.isHidden()


def test_channels_of_a_deleted_image_are_not_offered_again(make_dock: Any) -> None:
    viewer, dock = make_dock()
    add_squares(viewer)
    viewer.layers["picture"].data = np.zeros((7, *squares().shape), np.uint8)
    assert not dock.form.channel_box.isHidden()
    viewer.layers.remove("picture")
    viewer.layers["cells"].data = squares()[:, ::-1].copy()
    assert dock.form.channel_box.isHidden()


def test_channel_and_plane_boxes_appear_when_needed(
    make_dock: Any, engine: FakeEngine, qtbot: Any
) -> None:
    viewer, dock = make_dock()
    add_squares(viewer)
    assert dock.form.channel_box.isHidden()
    assert dock.form.planes_box.isHidden()
    data = np.random.default_rng(0).random((6, *squares().shape))
    viewer.add_image(data, name="six")
    viewer.dims.set_current_step(0, 4)
    dock.form.image_box.choose(viewer.layers["six"])
    assert not dock.form.channel_box.isHidden()
    assert dock.form.channel_box.currentText() == "displayed channel"
    press(dock, dock.refine_button, qtbot)
    np.testing.assert_array_equal(engine.calls[0][2], data[4])
    # Sliders count the steps of all layers.
    other = viewer.add_image(
        np.zeros((9, 9, 9)), scale=(0.5, 1, 1), translate=(-1, 0, 0)
    )
    viewer.dims.set_point(0, 3)
    dock.form.image_box.choose(viewer.layers["six"])
    assert dock.form.channel_box.channel == 3
    other.data = np.zeros((2, 9, 9, 9))
    viewer.dims.set_point(1, 2)
    assert dock.form.channel_box.channel == 2
    viewer.layers.clear()
    stack = np.stack([squares()] * 3)
    viewer.add_image(stack.astype(np.uint8))
    labels = viewer.add_labels(stack, name="stack")
    assert dock.form.channel_box.isHidden()
    assert not dock.form.planes_box.isHidden()
    dock.form.planes_box.setCurrentIndex(1)
    assert dock.form.planes_box.currentText() == f"all 3 along {axis_name(viewer)}"
    press(dock, dock.refine_button, qtbot)
    np.testing.assert_array_equal(
        viewer.layers["stack refined"].data, np.stack([expected(squares())] * 3)
    )
    viewer.dims.ndisplay = 3
    assert dock.form.planes_box.isHidden()
    viewer.layers.selection.active = labels
    press(dock, dock.refine_button, qtbot)
    assert "2D display" in message(dock)


def test_write_target_is_remembered(
    make_dock: Any, qtbot: Any, tmp_path: Path, engine: FakeEngine
) -> None:
    viewer, dock = make_dock()
    _, labels = add_squares(viewer)
    before = labels.data.copy()
    dock.form.target_box.setCurrentIndex(1)
    dock.form.device_box.setCurrentIndex(1)
    press(dock, dock.refine_button, qtbot)
    assert len(viewer.layers) == 2
    np.testing.assert_array_equal(labels.data, expected(before))
    labels.undo()
    np.testing.assert_array_equal(labels.data, before)
    assert engine.calls[0][1].device == "cpu"
    _, again = make_dock(viewer, settings=Settings(tmp_path / "dock.json"))
    assert again.read().target == "into this layer"
    assert again.read().options.device == "cpu"


def test_advanced_options_are_folded_and_reach_the_engine(
    make_dock: Any, qtbot: Any, engine: FakeEngine
) -> None:
    viewer, dock = make_dock()
    add_squares(viewer)
    qtbot.waitUntil(lambda: engine.n_warmed == 1 and message(dock) == "✓ Ready.")
    assert not dock.form.advanced.is_open
    qtbot.mouseClick(dock.form.advanced.button, Qt.MouseButton.LeftButton)
    assert dock.form.advanced.is_open
    steps = dock.form.option_form.widgets["steps"]
    assert steps.text() == f"from model ({STEPS})"
    steps.setValue(1)
    dock.form.option_form.widgets["seed"].setValue(11)
    press(dock, dock.refine_button, qtbot)
    options = engine.calls[0][1]
    assert (options.steps, options.seed, options.padding) == (1, 11, None)
    qtbot.mouseClick(dock.form.reset_button, Qt.MouseButton.LeftButton)
    assert dock.read().options.steps is None
    dock.form.option_form.widgets["preset"].setCurrentIndex(1)
    qtbot.waitUntil(lambda: engine.n_warmed == 2)  # other values behind "from model"
    dock.form.direction_box.setCurrentIndex(1)
    qtbot.waitUntil(lambda: engine.n_warmed == 3)
    assert dock.read().options.direction == "grow"


def test_mode_and_windows_are_chosen_and_remembered(
    make_dock: Any, engine: FakeEngine, qtbot: Any, tmp_path: Path
) -> None:
    viewer, dock = make_dock()
    add_squares(viewer)
    assert dock.read().options.mode == "objects"
    dock.form.mode_box.setCurrentIndex(dock.form.mode_box.findData("auto"))
    dock.form.windows_box.setChecked(True)
    press(dock, dock.refine_button, qtbot)
    assert engine.calls[0][1].mode == "auto"
    assert "auto took 1 as a whole, 2 in crops; 6 windows" in message(dock)
    assert len(viewer.layers["SegRefiner windows"].data) == 6
    viewer.window.remove_dock_widget(dock)
    assert "SegRefiner windows" not in viewer.layers
    _, again = make_dock(viewer, settings=Settings(tmp_path / "dock.json"))
    assert again.read().options.mode == "auto"
    assert again.read().show_windows
    qtbot.waitUntil(lambda: engine.n_warmed == 2)


def test_cancelling_the_file_dialog_changes_nothing(
    make_dock: Any, qtbot: Any, engine: FakeEngine, monkeypatch: Any
) -> None:
    from napari_segrefiner.plugin import model_box

    _, dock = make_dock()
    qtbot.waitUntil(lambda: engine.n_warmed == 1)
    monkeypatch.setattr(
        model_box.QFileDialog, "getOpenFileName", lambda *args: ("", "")
    )
    dock.form.model_box.setCurrentIndex(dock.form.model_box.count() - 1)
    assert dock.read().model == dock.form.model_box.currentText() == "default"
    assert engine.n_warmed == 1


def test_without_torch_one_sentence_tells_the_remedy(
    make_dock: Any, qtbot: Any, monkeypatch: Any
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    viewer, dock = make_dock(engine=None)
    add_squares(viewer)
    qtbot.waitUntil(lambda: "pip install torch" in message(dock), timeout=5000)
    dock.show_message("", "done")
    press(dock, dock.refine_button, qtbot)
    assert "pip install torch" in message(dock)
    assert dock.refine_button.isEnabled()


def test_everything_has_a_tooltip_and_fits_its_text(make_dock: Any, qtbot: Any) -> None:
    from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QPushButton

    viewer, dock = make_dock(is_shown=True)
    add_squares(viewer)
    dock.form.advanced.set_open(True)
    qtbot.wait(50)
    found = [
        w
        for kind in (QPushButton, QComboBox, QAbstractSpinBox)
        for w in dock.findChildren(kind)
        if w.isVisible()
    ]
    assert len(found) > 20
    for widget in found:
        text = getattr(widget, "text", getattr(widget, "currentText", None))()
        assert widget.toolTip(), text
        if isinstance(widget, QPushButton):
            needed = widget.fontMetrics().horizontalAdvance(text)
            assert widget.width() >= needed, text
    qtbot.waitUntil(lambda: dock.minimumSizeHint().width() < 350)


# ---- the end


def test_keys_timers_and_preview_go_when_the_dock_is_removed(
    make_dock: Any, engine: FakeEngine, qtbot: Any
) -> None:
    viewer, dock = begun(make_dock, engine, qtbot)
    viewer.window.remove_dock_widget(dock)
    engine.gate.release(100)
    assert not viewer.keymap
    until_idle(dock, qtbot)
    assert [layer.name for layer in viewer.layers] == ["picture", "cells"]
    viewer.window.add_dock_widget(dock, name="again")
    assert len(viewer.keymap) == len(KEYS)
    press(dock, dock.refine_button, qtbot)
    assert "cells refined" in viewer.layers
    viewer.window.remove_dock_widget(dock)


def test_a_removed_dock_is_freed_and_hears_nothing_more(
    make_napari_viewer: Any, engine: FakeEngine, qtbot: Any, tmp_path: Path
) -> None:
    viewer = make_napari_viewer()
    n_before = len(viewer.layers.events.inserted.callbacks)
    dock = SegRefinerDock(viewer, engine=engine, settings=Settings(None))
    viewer.window.add_dock_widget(dock, name="SegRefiner")
    add_squares(viewer)
    qtbot.waitUntil(lambda: engine.n_warmed == 1)
    qtbot.wait(20)
    gone = [weakref.ref(dock), weakref.ref(dock.controller)]
    viewer.window.remove_dock_widget(dock)
    del dock
    for _ in range(2):  # Qt's part of it, and then what that has held
        qtbot.wait(20)
        gc.collect()
    assert [one() for one in gone] == [None, None]
    assert len(viewer.layers.events.inserted.callbacks) == n_before
    viewer.add_labels(squares())
    viewer.dims.ndisplay = 3


def test_closing_the_viewer_during_a_run_ends_it(
    make_napari_viewer: Any, engine: FakeEngine, qtbot: Any
) -> None:
    from qtpy.QtCore import QThreadPool

    engine.pause_s = 0.02
    viewer = make_napari_viewer()
    dock = SegRefinerDock(viewer, engine=engine, settings=Settings(None))
    viewer.window.add_dock_widget(dock, name="SegRefiner")
    add_squares(viewer)
    qtbot.mouseClick(dock.refine_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(engine.calls) == 1)
    controller = dock.controller
    del dock
    viewer.close()
    gc.collect()
    qtbot.wait(50)
    started = time.monotonic()
    assert QThreadPool.globalInstance().waitForDone(5000)
    assert time.monotonic() - started < 4
    assert not controller.is_running
    assert engine.n_closed == 1


def test_a_key_that_is_taken_is_not_promised(make_dock: Any, make_napari_viewer: Any):
    viewer = make_napari_viewer()

    def theirs(viewer: Any) -> None: ...

    viewer.bind_key("N", theirs)
    _, dock = make_dock(viewer)
    assert dock.next_button.text() == "Next"
    viewer.window.remove_dock_widget(dock)
    assert viewer.keymap[KeyBinding.validate("N")] is theirs
