"""From a controller without window to the dock in a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.plugin.fake_engine import FakeEngine
from tests.plugin.stage import Stage, squares


@pytest.fixture
def stage() -> Stage:
    """One image and one labels layer with three objects."""
    labels = squares()
    return Stage((labels > 0) * np.uint8(200), labels)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def make_dock(
    make_napari_viewer: Any, engine: FakeEngine, tmp_path: Path, qtbot: Any
) -> Iterator[Callable[..., Any]]:
    """Makes a viewer with the dock in it; nothing may be at work at the end."""
    from qtpy.QtCore import QThreadPool

    from napari_segrefiner.plugin.dock import SegRefinerDock
    from napari_segrefiner.plugin.settings import Settings

    docks = []

    def make(viewer: Any = None, is_shown: bool = False, **changes: Any) -> Any:
        viewer = viewer if viewer is not None else make_napari_viewer(show=is_shown)
        settings = Settings(tmp_path / "dock.json")
        arguments = {"engine": engine, "settings": settings, **changes}
        dock = SegRefinerDock(viewer, **arguments)
        viewer.window.add_dock_widget(dock, name="SegRefiner")
        docks.append(dock)
        return viewer, dock

    yield make
    for dock in docks:
        dock.controller.stop()
    assert QThreadPool.globalInstance().waitForDone(5000)
    qtbot.wait(20)  # the last signals of the workers
    for dock in docks:
        assert not dock.controller.is_running
        assert not dock.tick_timer.isActive()
    docks.clear()
