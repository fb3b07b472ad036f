"""The training dock in a window, with a fake training and with a real one."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt, QThreadPool

from napari_segrefiner.models.catalogue import FOLDER_VARIABLE, entries
from napari_segrefiner.plugin import training_messages as messages
from napari_segrefiner.plugin.settings import Settings
from napari_segrefiner.plugin.training_dock import TrainingDock
from napari_segrefiner.plugin.training_folder import look_at
from napari_segrefiner.plugin.training_process import TrainingProcess
from napari_segrefiner.train_options import TRAIN_PRESETS
from napari_segrefiner.training.run_state import RunFolder
from tests.cells import FEW, write_cells
from tests.plugin.fake_training import BCE, LAST
from tests.plugin.stage import SteppedRunner, squares
from tests.plugin.test_training_process import fake

pytestmark = pytest.mark.gui


@pytest.fixture
def launched() -> list[TrainingProcess]:
    """All processes that a test has started."""
    return []


@pytest.fixture
def make_training(
    make_napari_viewer: Any,
    tmp_path: Path,
    monkeypatch: Any,
    qtbot: Any,
    launched: list[TrainingProcess],
) -> Iterator[Callable[..., Any]]:
    """Makes a viewer with the dock in it; no process may be left at the end."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    docks = []

    def make(
        viewer: Any = None,
        start: Any = fake,
        is_shown: bool = False,
        runner: Any = None,
    ) -> Any:
        viewer = viewer if viewer is not None else make_napari_viewer(show=is_shown)

        def launch(command: Any) -> TrainingProcess:
            launched.append(start(command))
            return launched[-1]

        settings = Settings(tmp_path / "dock.json")
        runs = tmp_path / "runs"
        dock = TrainingDock(viewer, launch, runner, settings=settings, runs=runs)
        viewer.window.add_dock_widget(dock, name="SegRefiner training")
        docks.append(dock)
        return viewer, dock

    yield make
    for dock in docks:
        dock.controller.close()
    docks.clear()
    assert QThreadPool.globalInstance().waitForDone(5000)
    for process in launched:
        process.kill()
        qtbot.waitUntil(lambda process=process: process.has_ended, timeout=10_000)


def choose_folder(dock: Any, path: Path | str) -> None:
    dock.form.source_box.setCurrentIndex(dock.form.source_box.findData("folder"))
    dock.form.folder_field.set_path(path)


def press(button: Any, qtbot: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def until_idle(dock: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not dock.controller.is_running, timeout=60_000)


def message(dock: Any) -> str:
    return str(dock.message_label.text())


def words_of(dock: Any) -> list[str]:
    """What the fake was started with."""
    return json.loads((dock.folder() / "words.json").read_text())


def few(dock: Any, iterations: int) -> None:
    """The options of a tiny training, in their widgets."""
    form = dock.form
    for flag, value in zip(FEW[::2], FEW[1::2], strict=True):
        name = flag[2:].replace("-", "_")
        if name == "preset":
            form.preset_box.setCurrentIndex(form.preset_box.findData(value))
            continue
        widget = form.option_form.widgets[name]
        if hasattr(widget, "findData"):
            widget.setCurrentIndex(widget.findData(value))
        else:
            widget.setValue(int(value))
    form.option_form.widgets["iterations"].setValue(iterations)


def test_a_training_is_watched_to_its_end(
    make_training: Any, qtbot: Any, tmp_path: Path
) -> None:
    _, dock = make_training()
    choose_folder(dock, "good")
    assert dock.folder().name == "good"
    press(dock.start_button, qtbot)
    assert not dock.start_button.isEnabled()
    assert dock.stop_button.isEnabled()
    assert not dock.choices.is_open
    assert message(dock) == messages.STARTING
    until_idle(dock, qtbot)
    loss, validation = dock.live.loss.chart, dock.live.validation.chart
    assert list(loss.lines[0].x) == list(range(1, LAST + 1))
    assert set(loss.lines[0].y) == {BCE}
    assert list(validation.lines[2].y) == [0.7, 0.74]
    table = dock.live.table.text()
    for part in ("cells", "0.700", "0.740", "12 %", "50 %"):
        assert part in table
    assert "mean" not in table  # of a single set
    assert "&lt;a&gt;.png has no labels." in dock.live.note_text.text()
    assert dock.live.notes.is_open
    assert message(dock) == (
        "✓ Done after 4 iterations; the model 'cells' is ready in the SegRefiner dock."
    )
    # For the refine dock, which is not open.
    assert Settings(tmp_path / "dock.json").get("model", "") == "cells"
    assert dock.progress_bar.value() == 1000
    assert dock.progress_bar.isHidden()
    assert dock.choices.is_open


def test_the_chosen_options_are_what_the_process_gets(
    make_training: Any, qtbot: Any
) -> None:
    _, dock = make_training()
    form = dock.form
    choose_folder(dock, "good")
    form.preset_box.setCurrentIndex(form.preset_box.findData("custom"))
    form.minutes_box.setValue(7.5)
    form.start_box.setCurrentIndex(form.start_box.findData("none"))
    form.option_form.widgets["learning_rate"].setValue(0.00025)
    form.option_form.widgets["keep"].setText("3, 9")
    press(dock.start_button, qtbot)
    until_idle(dock, qtbot)
    assert words_of(dock)[:4] == ["good", "--output", str(dock.folder()), "--events"]
    assert set(words_of(dock)[4:]) == {
        "--init=none",
        "--minutes=7.5",
        "--learning-rate=0.00025",
        "--keep=3,9",
    }


@pytest.mark.parametrize("preset", TRAIN_PRESETS)
def test_what_a_preset_says_stands_in_the_form(make_training: Any, preset: str) -> None:
    _, dock = make_training()
    form = dock.form
    form.preset_box.setCurrentIndex(form.preset_box.findData(preset))
    values, widgets = TRAIN_PRESETS[preset], form.option_form.widgets
    assert widgets["batch_size"].text() == f"preset ({values['batch_size']})"
    assert widgets["crops"].currentText() == f"preset ({values['crops']})"
    assert form.minutes_box.text() == f"preset ({values['minutes']:g})"
    init = {"none": "fresh weights", None: "choose one"}
    expected = init.get(values["init"], values["init"])
    assert form.start_box.currentText() == f"preset ({expected})"
    assert form.choices().options.preset == preset


def test_the_tooltip_of_threads_tells_of_the_core_that_napari_keeps(
    make_training: Any,
) -> None:
    _, dock = make_training()
    assert "one core is left" in dock.form.option_form.widgets["threads"].toolTip()


def test_stop_saves_and_the_second_press_ends_at_once(
    make_training: Any, qtbot: Any
) -> None:
    _, dock = make_training()
    choose_folder(dock, "waits")
    press(dock.start_button, qtbot)
    qtbot.waitUntil((dock.folder() / "alive").exists, timeout=30_000)
    press(dock.stop_button, qtbot)
    assert dock.stop_button.text() == "End now"
    assert message(dock) == messages.STOPPING
    until_idle(dock, qtbot)
    assert (dock.folder() / "saved").exists()
    assert "Stopped at iteration 2; Resume goes on." in message(dock)
    assert dock.stop_button.text() == "Stop"
    choose_folder(dock, "deaf")
    press(dock.start_button, qtbot)
    qtbot.waitUntil((dock.folder() / "alive").exists, timeout=30_000)
    press(dock.stop_button, qtbot)
    press(dock.stop_button, qtbot)
    until_idle(dock, qtbot)
    assert "Ended at once, before the first checkpoint." in message(dock)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("bad", "No pairs in bad; use “Start from”."),
        ("silent", "The training process ended with code 7."),
        ("waits", "ended from outside (signal 9), perhaps for want of memory"),
    ],
)
def test_a_process_that_fails_is_one_sentence(
    make_training: Any,
    qtbot: Any,
    launched: list[TrainingProcess],
    kind: str,
    sentence: str,
) -> None:
    _, dock = make_training()
    choose_folder(dock, kind)
    press(dock.start_button, qtbot)
    if kind == "waits":
        qtbot.waitUntil((dock.folder() / "alive").exists, timeout=30_000)
        os.kill(launched[0]._process.pid, signal.SIGKILL)
    until_idle(dock, qtbot)
    assert sentence in message(dock)
    assert message(dock).startswith("⚠")
    assert dock.start_button.isEnabled()


def test_what_cannot_be_started_is_one_sentence(
    make_training: Any, qtbot: Any, tmp_path: Path, launched: list[TrainingProcess]
) -> None:
    viewer, dock = make_training()
    form = dock.form

    def said() -> str:
        press(dock.start_button, qtbot)
        until_idle(dock, qtbot)
        return message(dock)

    assert said() == f"⚠ {messages.NO_FOLDER}"
    form.source_box.setCurrentIndex(form.source_box.findData("layers"))
    assert "There is no image" in said()
    viewer.add_image(np.ones((60, 80), np.uint8), name="picture")
    assert "'picture' has no labels" in said()
    viewer.add_labels(np.zeros((60, 80), int))
    assert "have no objects" in said()
    choose_folder(dock, "good")
    form.preset_box.setCurrentIndex(form.preset_box.findData("paper-hr"))
    assert "name its folder with “Start from”" in said()
    form.option_form.widgets["keep"].setText("soon")
    assert "Keep is 'soon'; whole numbers" in said()
    form.run_field.set_path("")
    assert said() == f"⚠ {messages.NO_RUN}"
    (tmp_path / "file").write_text("")
    form.run_field.set_path(tmp_path / "file")
    assert "is a file; name a folder" in said()
    form.run_field.set_path("/" + 300 * "long")
    assert "cannot be read" in said()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "state.safetensors").write_bytes(b"no")
    form.run_field.set_path(damaged)
    assert "is not the checkpoint of this training" in said()
    assert launched == []


def test_open_layers_are_written_and_learnt_from(
    make_training: Any, qtbot: Any
) -> None:
    viewer, dock = make_training()
    form = dock.form
    labels = squares()
    for k in range(2):
        viewer.add_image((labels > 0) * np.uint8(200), name=f"picture {k}")
    viewer.add_labels(labels, name="cells")
    form.source_box.setCurrentIndex(form.source_box.findData("layers"))
    assert form.labels_box.layer.name == "cells"
    assert form.coarse_box.layer is None
    viewer.add_labels(np.roll(labels, 1, axis=0), name="hurried")
    assert form.labels_box.layer.name == "cells"
    form.coarse_box.choose(viewer.layers["hurried"])
    assert form.coarse_box.layer.name == form.coarse_box.currentText() == "hurried"
    for k in range(2):
        form.image_box.choose(viewer.layers[f"picture {k}"])
        press(form.pair_list.add_button, qtbot)
    assert len(form.pair_list.pairs) == 2
    form.pair_list.list.setCurrentRow(1)
    press(form.pair_list.remove_button, qtbot)
    press(dock.start_button, qtbot)
    until_idle(dock, qtbot)
    data = dock.folder() / "layers"
    assert words_of(dock)[0] == str(data)
    for part, name in (
        ("images", "001_picture_0.npy"),
        ("coarse", "001_picture_0.tif"),
    ):
        assert [path.name for path in (data / part).iterdir()] == [name]
    assert message(dock).startswith("✓ Done")


@pytest.mark.parametrize("is_left", [False, True])
def test_no_training_begins_after_stop_while_layers_are_written(
    make_training: Any, qtbot: Any, launched: list[TrainingProcess], is_left: bool
) -> None:
    runner = SteppedRunner()
    viewer, dock = make_training(runner=runner)
    viewer.add_image((squares() > 0) * np.uint8(200), name="picture")
    viewer.add_labels(squares(), name="cells")
    form = dock.form
    form.source_box.setCurrentIndex(form.source_box.findData("layers"))
    press(dock.start_button, qtbot)
    if is_left:
        dock.left.emit()
    else:
        press(dock.stop_button, qtbot)
    assert message(dock) == messages.CANCELLING
    assert not dock.start_button.isEnabled()
    runner.works[-1].finish()
    assert launched == []
    assert message(dock) == f"⚠ {messages.CANCELLED}"
    assert dock.start_button.isEnabled()
    assert not dock.stop_button.isEnabled()
    press(dock.start_button, qtbot)
    runner.works[-1].finish()
    until_idle(dock, qtbot)
    assert message(dock).startswith("✓ Done")


def test_a_pair_that_is_added_again_takes_its_own_place(
    make_training: Any, qtbot: Any
) -> None:
    viewer, dock = make_training()
    form, labels = dock.form, squares()
    viewer.add_image((labels > 0) * np.uint8(200), name="picture")
    for name in ("cells", "others"):
        viewer.add_labels(labels.copy(), name=name)
        form.labels_box.choose(viewer.layers[name])
        press(form.pair_list.add_button, qtbot)
    texts = ["picture + cells", "picture + others"]
    items = form.pair_list.list
    assert [items.item(k).text() for k in range(items.count())] == texts
    viewer.layers["cells"].data[0, 0] = 77
    form.labels_box.choose(viewer.layers["cells"])
    press(form.pair_list.add_button, qtbot)
    assert [items.item(k).text() for k in range(items.count())] == texts
    assert items.currentRow() == 0
    assert [pair.labels[0, 0] for pair in form.pair_list.pairs] == [77, 0]
    # Another image of the same name is another image.
    viewer.layers.remove("picture")
    viewer.add_image((labels > 0) * np.uint8(100), name="picture")
    press(form.pair_list.add_button, qtbot)
    assert len(form.pair_list.pairs) == 3


def test_true_labels_are_guessed_by_name_until_somebody_chooses(
    make_training: Any,
) -> None:
    viewer, dock = make_training()
    box = dock.form.labels_box
    viewer.add_labels(squares(), name="coarse")
    assert box.layer.name == "coarse"
    viewer.add_labels(squares(), name="Truth")
    viewer.add_labels(squares(), name="another")
    assert box.layer.name == "Truth"
    box.choose(viewer.layers["another"])
    viewer.add_labels(squares(), name="ground truth")
    assert box.layer.name == "another"


def test_a_run_folder_is_proposed_and_follows_the_data(
    make_training: Any, tmp_path: Path
) -> None:
    viewer, dock = make_training()
    (tmp_path / "runs" / "my-cells").mkdir(parents=True)
    choose_folder(dock, "/data/my cells")
    assert dock.folder() == tmp_path / "runs" / "my-cells-2"
    viewer.add_image(np.ones((9, 9)), name="picture")
    dock.form.source_box.setCurrentIndex(dock.form.source_box.findData("layers"))
    assert dock.folder() == tmp_path / "runs" / "picture"
    dock.form.run_field.set_path("/elsewhere/mine")
    choose_folder(dock, "/data/other")
    assert dock.folder() == Path("/elsewhere/mine")


def test_data_may_be_a_folder_or_an_annotation_file(
    make_training: Any, monkeypatch: Any
) -> None:
    _, dock = make_training()
    field = dock.form.folder_field
    names = [action.text() for action in field.menu.actions()]
    assert names == ["Folder…", "Annotation file…"]
    monkeypatch.setattr(
        "napari_segrefiner.plugin.widgets.QFileDialog.getOpenFileName",
        lambda *_: ("/data/my lvis.json", ""),
    )
    monkeypatch.setattr(
        "napari_segrefiner.plugin.widgets.QFileDialog.getExistingDirectory",
        lambda *_: "/data/cells",
    )
    field.menu.actions()[1].trigger()
    assert field.path == Path("/data/my lvis.json")
    assert dock.form.choices().data == field.path
    assert dock.folder().name == "my-lvis"
    field.menu.actions()[0].trigger()
    assert field.path == Path("/data/cells")
    # A run is always a folder.
    dock.form.run_field.button.click()
    assert dock.folder() == Path("/data/cells")


def test_a_dock_that_is_gone_lets_the_training_save(
    make_training: Any, qtbot: Any, launched: list[TrainingProcess]
) -> None:
    viewer, dock = make_training()
    choose_folder(dock, "waits")
    press(dock.start_button, qtbot)
    folder = dock.folder()
    qtbot.waitUntil((folder / "alive").exists, timeout=30_000)
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: launched[0].has_ended, timeout=30_000)
    assert (folder / "saved").exists()


@pytest.mark.slow
def test_a_real_training_is_stopped_offered_again_and_stopped_by_closing(
    make_training: Any,
    make_napari_viewer: Any,
    qtbot: Any,
    tmp_path: Path,
    launched: list[TrainingProcess],
) -> None:
    _, dock = make_training(start=TrainingProcess)
    choose_folder(dock, write_cells(tmp_path / "cells"))
    few(dock, iterations=100_000)
    press(dock.start_button, qtbot)
    loss = dock.live.loss
    qtbot.waitUntil(lambda: len(loss.chart.lines[0].x) > 1, timeout=60_000)
    press(dock.stop_button, qtbot)
    until_idle(dock, qtbot)
    run = RunFolder(dock.folder())
    reached = run.read_counters().iteration
    assert f"Stopped at iteration {reached:,}" in message(dock)
    assert run.best.exists()

    viewer, again = make_training(start=TrainingProcess)
    assert again.folder() == run.path
    assert again.start_button.text() == "Resume"
    assert f"stopped at iteration {reached:,} of 100,000" in message(again)
    assert again.form.preset_box.isHidden()
    shown = again.live.loss.chart.lines[0].x
    assert max(shown) <= reached
    press(again.start_button, qtbot)
    loss = again.live.loss
    qtbot.waitUntil(lambda: max(loss.chart.lines[0].x) > reached + 1, timeout=60_000)
    assert not again.form.run_field.isHidden()
    viewer.close()
    qtbot.waitUntil(lambda: launched[1].has_ended, timeout=60_000)
    assert launched[1].code == 130
    assert run.read_counters().iteration > reached
    assert look_at(run.path).state == "unfinished"


def test_a_real_training_ends_with_its_model_in_the_refine_dock(
    make_training: Any, make_dock: Any, qtbot: Any, tmp_path: Path
) -> None:
    viewer, refine = make_dock()
    _, dock = make_training(viewer, start=TrainingProcess)
    choose_folder(dock, write_cells(tmp_path / "cells"))
    (tmp_path / "cells" / "labels" / "9.png").write_bytes(b"")
    few(dock, iterations=2)
    press(dock.start_button, qtbot)
    until_idle(dock, qtbot)
    assert "model 'cells' is ready" in message(dock)
    assert "cells" in [entry.name for entry in entries()]
    assert refine.read().model == "cells"
    assert Settings(tmp_path / "dock.json").get("model", "") == "cells"
    assert dock.form.start_box.findData("cells") > 0
    assert "9.png has no image" in dock.live.note_text.text()
    assert len(dock.live.pictures.examples) == 4
    press(dock.start_button, qtbot)
    assert "is complete (2 iterations); press New" in message(dock)
    press(dock.form.new_button, qtbot)
    assert dock.folder().name == "cells-2"
    assert dock.start_button.text() == "Start"


def test_a_layer_that_comes_during_a_training_leaves_its_folder(
    make_training: Any, qtbot: Any
) -> None:
    viewer, dock = make_training()
    choose_folder(dock, "waits")
    folder = dock.folder()
    press(dock.start_button, qtbot)
    qtbot.waitUntil((folder / "alive").exists, timeout=10_000)
    viewer.add_image(np.zeros((60, 80)), name="next picture")
    assert dock.folder() == folder
    press(dock.stop_button, qtbot)
    until_idle(dock, qtbot)
    assert dock.folder() == folder
    viewer.add_image(np.zeros((60, 80)), name="another")
    assert dock.folder() == folder
