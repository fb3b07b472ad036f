"""The plugin as napari finds it: menu, commands for others, sample, dock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_segrefiner.errors import InputError
from napari_segrefiner.plugin import commands, samples
from napari_segrefiner.plugin.layers import KEY
from tests.plugin.fake_engine import FakeEngine, expected
from tests.plugin.stage import squares

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(
    make_napari_viewer: Any, monkeypatch: Any, tmp_path: Path, engine: FakeEngine
) -> Any:
    """A viewer in which the plugin's own dock opens, with the engine of the tests."""
    from napari_segrefiner.plugin import dock as module
    from napari_segrefiner.plugin.settings import Settings

    monkeypatch.setattr(module, "PackagedEngine", lambda: engine)
    monkeypatch.setattr(
        module.Settings, "of_napari", lambda: Settings(tmp_path / "dock.json")
    )
    viewer = make_napari_viewer()
    viewer.add_image((squares() > 0) * np.uint8(200), name="picture")
    viewer.add_labels(squares(), name="cells")
    return viewer


def finish(viewer: Any, qtbot: Any) -> Any:
    """Wait for the run in the dock to end."""
    from qtpy.QtCore import QThreadPool

    _, dock = viewer.window.add_plugin_dock_widget("napari-segrefiner", "SegRefiner")
    qtbot.waitUntil(lambda: not dock.controller.is_running, timeout=10_000)
    assert QThreadPool.globalInstance().waitForDone(5000)
    return dock


def test_commands_work_without_arguments(viewer: Any, qtbot: Any) -> None:
    commands.refine()
    finish(viewer, qtbot)
    np.testing.assert_array_equal(
        viewer.layers["cells refined"].data, expected(squares())
    )


def test_commands_take_viewer_and_layer(viewer: Any, qtbot: Any) -> None:
    other = viewer.add_labels(squares()[:, ::-1].copy(), name="other")
    cells = viewer.layers["cells"]
    cells.selected_label = 5
    assert viewer.layers.selection.active == other
    commands.refine_selected(viewer, cells)
    dock = finish(viewer, qtbot)
    np.testing.assert_array_equal(
        viewer.layers["cells refined"].data, expected(squares(), (5,))
    )
    commands.refine(viewer=viewer, layer=other)
    assert finish(viewer, qtbot) is dock  # one dock, however often it is asked for
    assert "other refined" in viewer.layers


def test_the_given_layer_is_meant_whatever_is_active(viewer: Any, qtbot: Any) -> None:
    commands.refine()
    finish(viewer, qtbot)
    refined = viewer.layers["cells refined"]
    viewer.layers.selection.active = refined
    refined.selected_label = 2
    other = viewer.add_labels(squares()[:, ::-1].copy(), name="other")
    other.selected_label = 5
    viewer.layers.selection.active = refined
    kept = refined.data.copy()
    commands.refine_selected(viewer, other)
    finish(viewer, qtbot)
    np.testing.assert_array_equal(refined.data, kept)
    np.testing.assert_array_equal(
        viewer.layers["other refined"].data, expected(other.data, (5,))
    )


def test_npe2_and_the_menu_reach_the_commands(viewer: Any, qtbot: Any) -> None:
    from npe2 import PluginManager

    manager = PluginManager.instance()
    manager.commands.execute("napari-segrefiner.refine")
    finish(viewer, qtbot)
    assert "cells refined" in viewer.layers


def test_the_selected_object_of_a_result_leaves_the_dock_at_its_source(
    viewer: Any, qtbot: Any
) -> None:
    commands.refine()
    dock = finish(viewer, qtbot)
    cells, refined = viewer.layers["cells"], viewer.layers["cells refined"]
    refined.selected_label = 5
    commands.refine_selected(viewer, refined)  # as the menu hands over what is active
    finish(viewer, qtbot)
    assert dock.form.labels_box.layer is cells
    assert "cells refined refined" not in viewer.layers


def test_a_layer_of_somewhere_else_is_refused(viewer: Any, qtbot: Any) -> None:
    from napari.layers import Labels

    for command in (commands.refine, commands.refine_selected):
        with pytest.raises(InputError, match="no Labels layer of this viewer"):
            command(viewer, Labels(squares(), name="stray"))
    finish(viewer, qtbot)


def test_without_a_window_the_command_says_so(monkeypatch: Any) -> None:
    monkeypatch.setattr(commands.napari, "current_viewer", lambda: None)
    with pytest.raises(InputError, match="no napari window"):
        commands.refine()


def test_the_sample_opens_ready_to_refine(viewer: Any, qtbot: Any) -> None:
    viewer.layers.clear()
    viewer.open_sample("napari-segrefiner", "coins")
    image, labels = viewer.layers
    assert image.data.shape == labels.data.shape == (303, 384)
    assert labels.data.max() == 24
    commands.refine()
    dock = finish(viewer, qtbot)
    assert dock.message_label.text() == "✓ 24 refined"
    assert [item[2] for item in samples.coins()] == ["image", "labels"]


def test_the_dock_is_imported_without_torch() -> None:
    code = (
        "import sys, napari_segrefiner.plugin.dock, napari_segrefiner.plugin.commands;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_only_shows_something_is_not_meant(viewer: Any, qtbot: Any) -> None:
    from napari.layers import Labels

    gain = Labels(squares(), name="gain", metadata={KEY: {"is_preview": True}})
    viewer.add_layer(gain)
    commands.refine(viewer, gain)  # as the menu hands over what is active
    finish(viewer, qtbot)
    assert "cells refined" in viewer.layers
    commands.refine_selected(viewer, gain)
    finish(viewer, qtbot)
