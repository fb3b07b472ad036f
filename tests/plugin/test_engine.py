"""The package's own refiner behind the dock."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_segrefiner.core.events import RunDone, RunStarted, StepDone
from napari_segrefiner.core.refiner import refine
from napari_segrefiner.errors import MissingExtraError
from napari_segrefiner.options import RefineOptions
from napari_segrefiner.plugin.engine import PackagedEngine, check_torch, spared_core
from napari_segrefiner.plugin.settings import Settings
from tests.core.stubs import bright, disk, stub_model


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PackagedEngine:
    """The engine with a network that finds what is bright; loads are counted."""
    from napari_segrefiner.models import catalogue

    loads: list[str] = []

    def load(name: str) -> Any:
        loads.append(name)
        return stub_model(bright, steps=3)

    weights = tmp_path / "stub.safetensors"
    weights.touch()
    monkeypatch.setattr(catalogue, "find_model", lambda name: weights)
    monkeypatch.setattr(catalogue, "load_model", load)
    engine = PackagedEngine()
    engine.loads = loads  # type: ignore[attr-defined]
    return engine


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture with two bright disks, their truth, and labels that are off."""
    shape = (90, 120)
    truth = np.zeros(shape, np.uint8)
    coarse = np.zeros(shape, np.uint8)
    for label, (y, x) in {3: (30, 30), 8: (55, 85)}.items():
        truth[disk(shape, y, x, 14)] = label
        coarse[disk(shape, y + 2, x - 2, 11)] = label
    return np.where(truth > 0, 210, 40).astype(np.uint8), truth, coarse


def test_events_are_those_of_the_refiner(packaged: PackagedEngine) -> None:
    image, truth, coarse = scene()
    events = list(packaged.steps("default", RefineOptions(), image, coarse))
    assert isinstance(events[0], RunStarted)
    assert sum(isinstance(e, StepDone) for e in events) == 3
    assert isinstance(events[-1], RunDone)
    assert (events[-1].result.labels != truth).mean() < 0.003


def test_warming_loads_once_and_tells_the_models_values(packaged: Any) -> None:
    facts = packaged.warm("default", RefineOptions())
    assert facts.name == "stub"
    assert facts.defaults["steps"] == 3
    image, _, coarse = scene()
    list(packaged.steps("default", RefineOptions(), image, coarse))
    assert packaged.loads == ["default"]
    growing = packaged.warm("default", RefineOptions(direction="grow"))
    assert growing.defaults["threshold"] < facts.defaults["threshold"]
    published = packaged.warm("default", RefineOptions(preset="published"))
    assert published.defaults["steps"] == 6


def test_a_core_is_left_to_the_window(packaged: PackagedEngine) -> None:
    image, _, coarse = scene()
    before = torch.get_num_threads()
    events = packaged.steps("default", RefineOptions(), image, coarse)
    next(events)
    assert 1 <= torch.get_num_threads() <= max(1, (os.cpu_count() or 1) - 1)
    events.close()
    assert torch.get_num_threads() == before


def test_the_last_one_to_leave_gives_the_core_back(packaged: PackagedEngine) -> None:
    before = torch.get_num_threads()
    first, second = spared_core(), spared_core()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.get_num_threads() == min(before, max(1, (os.cpu_count() or 1) - 1))
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == before


def test_two_workers_never_use_one_model_at_once(packaged: PackagedEngine) -> None:
    image, _, coarse = scene()
    first = packaged.steps("default", RefineOptions(), image, coarse)
    next(first)
    ended: list[int] = []

    def work() -> None:
        events = packaged.steps("default", RefineOptions(), image, coarse)
        ended.append(len(list(events)))

    other = threading.Thread(target=work)
    other.start()
    other.join(0.2)
    assert other.is_alive()
    first.close()
    other.join(20)
    assert ended


def test_torch_that_is_missing_is_named_with_the_remedy(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match="pip install torch"):
        check_torch()


@pytest.mark.gui
def test_the_dock_refines_with_the_package(
    make_dock: Any, packaged: PackagedEngine, qtbot: Any
) -> None:
    from qtpy.QtCore import Qt

    image, truth, coarse = scene()
    viewer, dock = make_dock(engine=packaged, settings=Settings(None))
    viewer.add_image(np.stack([image] * 3, axis=-1), name="colours")
    viewer.add_labels(coarse, name="disks")
    qtbot.mouseClick(dock.refine_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dock.controller.is_running, timeout=20_000)
    result = viewer.layers["disks refined"]
    wanted = refine(image, coarse, model=stub_model(bright, steps=3)).labels
    np.testing.assert_array_equal(result.data, wanted)
    assert (result.data != truth).mean() < 0.003
    assert dock.message_label.text() == "✓ 2 refined"
    record = result.metadata["segrefiner"]["record"]
    assert record["model"]["name"] == "stub"


@pytest.mark.gui
def test_the_dock_tells_of_an_image_without_values(
    make_dock: Any, packaged: PackagedEngine, qtbot: Any
) -> None:
    from qtpy.QtCore import Qt

    image, _, coarse = scene()
    viewer, dock = make_dock(engine=packaged, settings=Settings(None))
    viewer.add_image(np.full(image.shape, np.nan), name="dark", contrast_limits=(0, 1))
    viewer.add_labels(coarse, name="disks")
    qtbot.mouseClick(dock.refine_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dock.controller.is_running, timeout=20_000)
    assert "NaN or infinite everywhere" in dock.message_label.text()
    assert "disks refined" not in viewer.layers
    np.testing.assert_array_equal(viewer.layers["disks"].data, coarse)


@pytest.mark.gui
@pytest.mark.parametrize("mode", ["objects", "auto"])
def test_large_objects_are_refined_as_the_package_does_it(
    make_dock: Any, packaged: PackagedEngine, qtbot: Any, mode: Any
) -> None:
    from qtpy.QtCore import Qt

    shape = (300, 400)
    truth, coarse = np.zeros((2, *shape), np.uint8)
    truth[disk(shape, 150, 130, 110)], coarse[disk(shape, 153, 127, 106)] = 1, 1
    truth[disk(shape, 150, 330, 14)], coarse[disk(shape, 151, 329, 12)] = 2, 2
    image = np.where(truth > 0, 210, 40).astype(np.uint8)
    viewer, dock = make_dock(engine=packaged, settings=Settings(None))
    viewer.add_image(image, name="disks")
    viewer.add_labels(coarse, name="coarse")
    dock.form.mode_box.setCurrentIndex(dock.form.mode_box.findData(mode))
    dock.form.windows_box.setChecked(True)
    qtbot.mouseClick(dock.refine_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dock.controller.is_running, timeout=60_000)
    wanted = refine(image, coarse, model=stub_model(bright, steps=3), mode=mode)
    result = viewer.layers["coarse refined"]
    np.testing.assert_array_equal(result.data, wanted.labels)
    n_windows = [item.n_windows for item in wanted.report]
    text = dock.message_label.text()
    if mode == "auto":
        assert "2 refined; auto took 1 as a whole, 1 in crops" in text
        assert list(result.features["mode"]) == ["whole", "objects"]
        assert list(result.features["windows"]) == n_windows
    else:
        assert text == f"✓ 2 refined; {sum(n_windows)} windows"
        rows = viewer.layers["SegRefiner windows"].features
        assert set(rows["label"]) == {1}
