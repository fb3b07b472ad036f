"""Layers against the truth: the same scores as from files, shown on the layers."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Labels

from napari_segrefiner.cli.main import main
from napari_segrefiner.errors import InputError
from napari_segrefiner.io.labels import write_labels
from napari_segrefiner.metrics import iou
from napari_segrefiner.plugin.compare import (
    Compared,
    Request,
    compare,
    read_layers,
    summary,
)
from napari_segrefiner.plugin.compare_dock import CompareDock
from napari_segrefiner.plugin.compare_scores import (
    FELL,
    ROSE,
    SAME,
    colour_of,
    gain_layer,
    write_scores,
)
from napari_segrefiner.plugin.compare_table import table_lines
from napari_segrefiner.plugin.layers import is_labels, sounds_true
from napari_segrefiner.plugin.worker import Progress
from tests.plugin.stage import SteppedRunner, squares


def worse(labels: np.ndarray) -> np.ndarray:
    """Every object without its first two rows."""
    return np.where(np.roll(labels, 2, 0) == labels, labels, 0)


def layers(**more: Any) -> tuple[Labels, Labels, Labels]:
    """Truth; coarse labels; and refined ones, right but for object 9, which is gone."""
    truth = squares()
    refined = np.where(truth == 9, 0, truth)
    return (
        Labels(truth, name="truth", **more),
        Labels(worse(truth), name="cells", **more),
        Labels(refined, name="cells refined", **more),
    )


def scored(request: Request) -> Compared:
    """The comparison itself, the last of what is told of it."""
    *_, last = compare(request, threading.Event())
    assert isinstance(last, Compared)
    return last


def compared(*refined: Labels) -> Compared:
    truth, coarse, right = layers()
    return scored(read_layers(truth, coarse, refined or [right]))


def test_objects_get_their_scores_and_what_they_gained() -> None:
    truth = squares()
    rows = compared().objects["cells refined"]
    before = iou(truth == 2, worse(truth) == 2)
    assert rows[2] == {
        "truth": 2,
        "iou": 1,
        "boundary_iou": 1,
        "gain": pytest.approx(1 - before),
    }
    assert rows[9]["gain"] == pytest.approx(-iou(truth == 9, worse(truth) == 9))
    assert compared().objects["coarse"][2]["iou"] == pytest.approx(before)
    assert "gain" not in compared().objects["coarse"][2]


def test_scores_join_the_features_that_are_there() -> None:
    _, _, refined = layers()
    refined.features = pd.DataFrame({"index": [2, 7], "status": ["held", "kept"]})
    assert write_scores(refined, compared().objects["cells refined"])
    table = refined.features.set_index("index")
    assert list(table.index) == [2, 5, 7, 9]
    assert table.loc[2, "status"] == "held"
    assert (table.loc[2, "iou"], table.loc[9, "iou"]) == (1, 0)
    assert np.isnan(table.loc[7, "iou"])


def test_a_table_that_is_not_one_of_labels_is_left_alone() -> None:
    _, _, refined = layers()
    refined.features = pd.DataFrame({"mine": [1, 2]})
    assert not write_scores(refined, compared().objects["cells refined"])
    assert list(refined.features.columns) == ["mine"]


def test_what_is_painted_afterwards_does_not_count() -> None:
    truth, coarse, refined = layers()
    request = read_layers(truth, coarse, [refined])
    refined.data[:] = 0
    rows = scored(request).objects["cells refined"]
    assert rows[2]["iou"] == 1


def test_stacks_are_scored_plane_by_plane() -> None:
    truth = np.stack([squares(), np.zeros_like(squares()), squares()])
    coarse = truth.copy()
    coarse[2] = worse(truth[2])
    request = read_layers(Labels(truth, name="t"), Labels(coarse, name="c"), [])
    found = scored(request)
    assert [image.name for image in found.images] == ["t[0]", "t[2]"]
    half = (1 + iou(truth[2] == 5, coarse[2] == 5)) / 2
    assert found.objects["coarse"][5]["iou"] == pytest.approx(half)
    assert summary(found) == "6 true objects in 2 planes."


def test_what_the_totals_do_not_hold_is_told() -> None:
    truth, coarse, _ = layers()
    coarse.data[coarse.data == 5] = 0
    coarse.data[0, 0] = 77
    text = summary(scored(read_layers(truth, coarse, [])))
    assert text == (
        "3 true objects, 1 without a coarse one (counted as 0). "
        "Coarse labels without truth: 77."
    )


def test_the_table_has_a_line_per_metric_and_marks_the_best() -> None:
    lines = {line.title: line for line in table_lines(compared())}
    assert lines["IoU"].texts[1] == "0.667"
    assert lines["IoU"].best == {0}
    assert lines["Better by .02"].texts == ("", "66.7 %")
    assert lines["Lost"].texts == ("", "33.3 %")
    truth, coarse, refined = layers()
    kept = Labels(coarse.data, name="s")
    both = scored(read_layers(truth, coarse, [refined, kept]))
    lost = next(line for line in table_lines(both) if line.title == "Lost")
    assert (lost.texts, lost.best) == (("", "33.3 %", "0.0 %"), {2})  # less is better
    same = scored(read_layers(truth, coarse, [kept]))
    assert not any(line.best for line in table_lines(same))  # nobody wins
    alone = scored(read_layers(truth, coarse, []))
    assert "Lost" not in {line.title for line in table_lines(alone)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, c, r: (None, c, []), "Choose the layer"),
        (lambda t, c, r: (t, t, []), "'truth' is chosen twice"),
        (lambda t, c, r: (t, c, [c]), "'cells' is chosen twice"),
        (lambda t, c, r: (t, c, [Labels(r.data[:30], name="half")]),
         "60 x 80 but 'half' is 30 x 80"),
    ],
)  # fmt: skip
def test_layers_that_do_not_belong_together_are_refused(
    change: Any, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read_layers(*change(*layers()))


def test_a_truth_without_objects_is_refused() -> None:
    truth, coarse, _ = layers()
    truth.data[:] = 0
    with pytest.raises(InputError, match="holds no object"):
        scored(read_layers(truth, coarse, []))


def test_a_layer_called_coarse_is_not_mistaken_for_the_coarse_one() -> None:
    _, _, refined = layers()
    refined.name = "coarse"
    found = compared(refined)
    assert list(found.totals) == ["coarse", "coarse (refined)"]


def test_gains_are_blue_and_losses_orange() -> None:
    assert colour_of(0.9) == (*ROSE, 1)
    assert colour_of(-0.9) == (*FELL, 1)
    assert colour_of(0.004) == (*SAME, 1)
    near, far = colour_of(0.05), colour_of(0.15)
    assert SAME[0] > near[0] > far[0] > ROSE[0]


def test_the_layer_of_gains_lies_where_its_source_lies_and_is_not_to_be_refined() -> (
    None
):
    _, _, refined = layers(scale=(2, 3), translate=(5, 7))
    rows = compared().objects["cells refined"]
    shown = gain_layer(refined, refined.data, rows)
    assert (list(shown.scale), list(shown.translate)) == ([2, 3], [5, 7])
    np.testing.assert_allclose(shown.get_color(2), colour_of(rows[2]["gain"]))
    assert shown.get_color(4)[3] == 0  # has no partner
    assert not is_labels(shown)


@pytest.fixture
def opened(make_napari_viewer: Any) -> Any:
    """A viewer with an image, the truth, coarse and refined labels, and the dock."""
    viewer = make_napari_viewer()
    truth, coarse, refined = layers()
    refined.metadata["segrefiner"] = {"source": "cells"}
    picture = Image((squares() > 0) * np.uint8(200), name="picture")
    viewer.layers.extend([picture, truth, coarse, refined])
    dock = CompareDock(viewer, runner=SteppedRunner(is_eager=True))
    viewer.window.add_dock_widget(dock)
    return viewer, dock


@pytest.mark.gui
def test_the_dock_guesses_who_is_who_and_keeps_pace(opened: Any) -> None:
    viewer, dock = opened
    assert dock.form.truth_box.layer is viewer.layers["truth"]
    assert dock.form.coarse_box.layer is viewer.layers["cells"]
    assert dock.form.refined_list.layers == [viewer.layers["cells refined"]]
    more = viewer.add_labels(squares(), name="other")
    assert dock.form.refined_list.layers == [viewer.layers["cells refined"]]
    dock.form.refined_list.tick(more)
    shown = [not dock.form.refined_list.isRowHidden(row) for row in range(4)]
    assert shown == [True, True, False, False]  # not the truth and the coarse labels
    viewer.layers.move(0, 2)
    viewer.layers["cells refined"].name = "best"
    assert [one.name for one in dock.form.refined_list.layers] == ["best", "other"]
    dock.form.coarse_box.choose(more)  # who is coarse is not refined as well
    assert [one.name for one in dock.form.refined_list.layers] == ["best"]
    viewer.layers.remove("best")
    assert dock.form.refined_list.layers == []


@pytest.mark.gui
def test_a_truth_that_comes_later_takes_its_box(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    dock = CompareDock(viewer, runner=SteppedRunner(is_eager=True))
    viewer.window.add_dock_widget(dock)
    truth, coarse, _ = layers()
    viewer.layers.append(coarse)
    assert (dock.form.truth_box.layer, dock.form.coarse_box.layer) == (None, coarse)
    viewer.layers.append(truth)
    assert (dock.form.truth_box.layer, dock.form.coarse_box.layer) == (truth, coarse)
    # A choice is not guessed over.
    dock.form.truth_box.choose(coarse)
    dock.form.coarse_box.choose(truth)
    viewer.add_labels(squares(), name="ground truth")
    assert (dock.form.truth_box.layer, dock.form.coarse_box.layer) == (coarse, truth)


@pytest.mark.gui
def test_a_result_is_no_truth(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    truth, coarse, refined = layers()
    refined.metadata["segrefiner"] = {"source": "cells"}
    viewer.layers.extend([coarse, refined])
    dock = CompareDock(viewer, runner=SteppedRunner(is_eager=True))
    viewer.window.add_dock_widget(dock)
    assert dock.form.truth_box.layer is None
    assert dock.form.coarse_box.layer is coarse
    assert dock.form.refined_list.layers == [refined]
    dock.compare()
    assert dock.message_label.text().startswith("⚠")
    viewer.layers.append(truth)
    assert dock.form.truth_box.layer is truth
    assert dock.form.coarse_box.layer is coarse


@pytest.mark.gui
def test_in_a_low_window_the_table_scrolls(opened: Any, qtbot: Any) -> None:
    _, dock = opened
    closed = dock.minimumSizeHint().height()
    dock.compare()
    rows = sum(dock.table.rowHeight(row) for row in range(dock.table.rowCount()))
    qtbot.waitUntil(lambda: dock.table.maximumHeight() >= rows)
    assert dock.minimumSizeHint().height() < closed + rows / 2
    assert dock.compare_button.toolTip()


@pytest.mark.gui
def test_a_comparison_fills_table_features_and_colours(opened: Any) -> None:
    viewer, dock = opened
    viewer.layers.selection.active = viewer.layers["cells"]
    dock.compare_button.click()
    assert dock.message_label.text() == "✓ 3 true objects."
    lines = dock.table.text().splitlines()
    assert lines[0].split("\t") == ["", "coarse", "cells refined"]
    assert lines[1].split("\t")[::2] == ["IoU", "0.667"]
    assert dock.table.item(0, 1).font().bold()
    assert not dock.table.item(0, 2).font().bold()
    assert list(viewer.layers["cells"].features.columns)[1:] == [
        "truth", "iou", "boundary_iou",
    ]  # fmt: skip
    assert "gain" in viewer.layers["cells refined"].features
    assert viewer.layers[-1].name == "cells refined gain"
    assert viewer.layers.selection.active is viewer.layers["cells refined gain"]
    shown = [one.name for one in viewer.layers if one.visible]
    assert shown == ["picture", "cells refined gain"]
    cells = viewer.layers["cells"]
    cells.visible, viewer.layers.selection.active, cells.mode = True, cells, "paint"
    dock.compare_button.click()  # nothing is taken from under the brush
    assert cells.visible
    assert viewer.layers.selection.active is cells
    cells.mode = "pan_zoom"
    dock.compare_button.click()  # again: no second layer of gains
    assert len(viewer.layers) == 5
    dock.gain_check.setChecked(False)
    viewer.layers.remove("cells refined gain")
    dock.compare()
    assert len(viewer.layers) == 4


@pytest.mark.gui
def test_what_cannot_be_compared_is_said_and_nothing_changes(opened: Any) -> None:
    viewer, dock = opened
    assert not dock.json_button.isEnabled()
    viewer.layers["truth"].data = squares()[:30]
    dock.compare()
    assert dock.message_label.text().startswith("⚠ 'truth' is 30 x 80 but")
    viewer.layers["truth"].data = np.zeros((60, 80), int)
    dock.compare()
    assert dock.message_label.text() == "⚠ The truth holds no object."
    assert dock.compared is None
    assert dock.compare_button.isEnabled()
    assert len(viewer.layers) == 4


@pytest.mark.gui
def test_saved_scores_are_those_of_the_command_line(
    opened: Any, tmp_path: Path, capsys: Any
) -> None:
    viewer, dock = opened
    dock.compare()
    dock.save_json(str(tmp_path / "dock.json"))
    dock.save_page(str(tmp_path / "report"))  # the ending is added
    assert dock.message_label.text() == f"✓ Written to {tmp_path / 'report.html'}"
    page = (tmp_path / "report.html").read_text()
    assert "cells refined" in page
    assert "data:image" in page
    command = ["evaluate", "--json", str(tmp_path / "files.json")]
    for flag, name in (("truth", "truth"), ("coarse", "cells"),
                       ("refined", "cells refined")):  # fmt: skip
        (tmp_path / name).mkdir()
        write_labels(tmp_path / name / "truth.tif", viewer.layers[name].data)
        command += [f"--{flag}", str(tmp_path / name)]
    assert main(command) == 0
    files, own = (
        json.loads((tmp_path / f"{name}.json").read_text())
        for name in ("files", "dock")
    )
    assert own == files
    dock.save_json(str(tmp_path / "nowhere" / "dock.json"))
    assert dock.message_label.text().startswith("⚠ The folder")


@pytest.mark.gui
def test_the_dock_works_in_a_thread_and_may_be_closed_meanwhile(
    make_napari_viewer: Any, qtbot: Any
) -> None:
    from qtpy.QtCore import QThreadPool

    viewer = make_napari_viewer()
    viewer.layers.extend(layers())
    dock = viewer.window.add_plugin_dock_widget(
        "napari-segrefiner", "Compare with the truth"
    )[1]
    dock.compare()
    assert not dock.compare_button.isEnabled()
    assert dock.stop_button.isEnabled()
    qtbot.waitUntil(lambda: not dock.is_running, timeout=10_000)
    assert dock.compared is not None
    dock.compare()
    viewer.window.remove_dock_widget("all")
    assert QThreadPool.globalInstance().waitForDone(5000)
    qtbot.wait(20)


def stacks() -> tuple[Labels, Labels]:
    """Truth and coarse labels of three planes."""
    truth = np.stack([squares()] * 3)
    coarse = np.stack([worse(plane) for plane in truth])
    return Labels(truth, name="truth"), Labels(coarse, name="cells")


def test_every_plane_is_told_and_after_a_stop_no_further_one_is_scored() -> None:
    truth, coarse = stacks()
    request = read_layers(truth, coarse, [])
    told = [e.share for e in compare(request, threading.Event()) if type(e) is Progress]
    assert told == [1 / 3, 2 / 3, 1]
    cancelled = threading.Event()
    events = compare(request, cancelled)
    next(events)
    cancelled.set()
    assert list(events) == []


@pytest.fixture
def stepped(make_napari_viewer: Any) -> Any:
    """A viewer with stacks, the dock, and its work, done step by step."""
    viewer = make_napari_viewer()
    viewer.layers.extend(stacks())
    runner = SteppedRunner()
    dock = CompareDock(viewer, runner=runner)
    viewer.window.add_dock_widget(dock)
    return viewer, dock, runner


@pytest.mark.gui
def test_a_comparison_shows_how_far_it_is_and_can_be_stopped(stepped: Any) -> None:
    viewer, dock, runner = stepped
    assert not dock.stop_button.isEnabled()
    dock.compare_button.click()
    assert not dock.progress_bar.isHidden()
    runner.works[-1].step()
    assert dock.progress_bar.value() == 333
    dock.stop_button.click()
    runner.works[-1].finish()
    assert dock.message_label.text() == "⚠ Stopped; all is as it was."
    assert dock.compared is None
    assert dock.progress_bar.isHidden()
    assert dock.compare_button.isEnabled()
    assert not dock.json_button.isEnabled()
    assert len(viewer.layers["cells"].features.columns) == 0


@pytest.mark.gui
def test_files_are_made_by_the_worker_and_not_after_a_stop(
    stepped: Any, tmp_path: Path
) -> None:
    _, dock, runner = stepped
    dock.compare()
    runner.works[-1].finish()
    page, scores = tmp_path / "report.html", tmp_path / "scores.json"
    dock.save_page(str(page))
    assert not page.exists()  # so far nothing was asked of the worker
    assert dock.message_label.text() == "Writing report.html…"
    assert not dock.page_button.isEnabled()
    dock.compare()  # one thing at a time
    assert len(runner.works) == 2
    runner.works[-1].finish()
    assert page.exists()
    assert dock.page_button.isEnabled()
    dock.save_json(str(scores))
    dock.stop_button.click()
    runner.works[-1].finish()
    assert not scores.exists()
    assert "Stopped" in dock.message_label.text()
    assert dock.compared is not None


@pytest.mark.gui
def test_no_layer_takes_the_place_of_a_deleted_one(stepped: Any) -> None:
    viewer, dock, runner = stepped
    other = viewer.add_labels(np.stack([squares()] * 3), name="other")
    dock.compare()
    viewer.layers.remove("truth")
    assert dock.form.truth_box.layer is None
    assert dock.form.truth_box.currentIndex() == -1
    runner.works[-1].finish()  # it has its own copy
    assert dock.message_label.text() == (
        "⚠ 9 true objects in 3 planes. 'truth' was deleted; choose another layer in "
        "its place."
    )
    viewer.layers.remove("cells")
    assert dock.form.coarse_box.layer is None
    assert dock.message_label.text().startswith("⚠ 'cells' was deleted")
    dock.compare()
    assert dock.message_label.text().startswith("⚠ Choose the layer of the truth")
    dock.form.truth_box.choose(other)
    viewer.add_labels(squares(), name="yet another")
    assert dock.form.coarse_box.layer is None
    viewer.layers.clear()
    viewer.layers.extend(stacks())  # a new start, so there are guesses again
    assert dock.form.truth_box.layer is viewer.layers["truth"]
    assert dock.form.coarse_box.layer is viewer.layers["cells"]


@pytest.mark.gui
def test_no_name_takes_the_place_of_a_deleted_truth(stepped: Any) -> None:
    viewer, dock, _ = stepped
    viewer.add_labels(squares(), name="manual labels")
    viewer.layers.remove("truth")
    assert dock.form.truth_box.layer is None
    viewer.add_labels(squares(), name="ground truth")
    assert dock.form.truth_box.layer is None


@pytest.mark.parametrize(
    ("name", "is_true"),
    [
        ("GT", True),
        ("cells_truth", True),
        ("ground-truth 2", True),
        ("length", False),
        ("background", False),
        ("manually drawn", False),
    ],
)
def test_words_of_the_truth(name: str, is_true: bool) -> None:
    assert sounds_true(Labels(squares(), name=name)) == is_true


@pytest.mark.gui
def test_a_dock_that_is_taken_out_stops_its_work(stepped: Any) -> None:
    viewer, dock, runner = stepped
    dock.compare()
    viewer.window.remove_dock_widget(dock)
    assert runner.works[-1].cancelled.is_set()
