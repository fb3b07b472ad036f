"""Adding a model from the dock, and a box that knows what is installed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.catalogue import FOLDER_VARIABLE
from napari_segrefiner.network_config import NetworkConfig
from napari_segrefiner.plugin import model_box
from napari_segrefiner.plugin.engine import Added, PackagedEngine
from napari_segrefiner.plugin.settings import Settings
from tests.plugin.fake_engine import FakeEngine

pytestmark = pytest.mark.gui


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: Any) -> Path:
    """An empty folder of the user's models."""
    own = tmp_path / "models"
    own.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(own))
    return own


def install(folder: Path, name: str, **facts: Any) -> None:
    """A model as far as a box of names sees it: a weight file and its card."""
    config = NetworkConfig(widths=(32, 64), steps=6)
    arguments = {"description": "A test.", "licence": "BSD-3-Clause", **facts}
    card = ModelCard(name=name, network=config, **arguments)
    (folder / f"{name}.json").write_text(card.to_json())
    (folder / f"{name}.safetensors").write_bytes(b"")


def give(dock: Any, path: Path, monkeypatch: Any) -> None:
    """Choose "Add model…" and a file in the dialog."""
    dialog = model_box.QFileDialog
    monkeypatch.setattr(dialog, "getOpenFileName", lambda *args: (str(path), ""))
    dock.form.model_box.setCurrentIndex(dock.form.model_box.findText(model_box.ADD))


def names(box: Any) -> list[str]:
    return [str(box.itemData(i)) for i in range(box.count()) if box.itemData(i)]


def test_an_added_model_is_chosen_warmed_and_remembered(
    make_dock: Any,
    qtbot: Any,
    engine: FakeEngine,
    folder: Path,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    viewer, dock = make_dock()
    qtbot.waitUntil(lambda: engine.n_warmed == 1)
    install(folder, "mine", description="Grows.", limits="Not for <thin> things.")
    engine.added = Added("mine", ("Its checksum is new.",))
    give(dock, tmp_path / "file.pth", monkeypatch)
    qtbot.waitUntil(lambda: "checksum is new" in dock.message_label.text())
    assert dock.read().model == dock.form.model_box.currentText() == "mine"
    assert engine.n_warmed == 2
    for part in ("Grows.", "Not for &lt;thin&gt; things.", "BSD-3-Clause"):
        assert part in dock.form.model_box.toolTip()
    _, again = make_dock(viewer, settings=Settings(tmp_path / "dock.json"))
    assert again.read().model == "mine"
    qtbot.waitUntil(lambda: engine.n_warmed == 3)


def test_a_refused_file_is_one_sentence_and_no_choice(
    make_dock: Any, qtbot: Any, engine: FakeEngine, tmp_path: Path, monkeypatch: Any
) -> None:
    _, dock = make_dock()
    qtbot.waitUntil(lambda: engine.n_warmed == 1)
    engine.add_error = ModelError("file.pth holds NaN; get another one.")
    give(dock, tmp_path / "file.pth", monkeypatch)
    qtbot.waitUntil(lambda: "holds NaN" in dock.message_label.text())
    assert dock.read().model == "default"
    assert engine.n_warmed == 1


def test_the_box_follows_what_is_installed(
    make_dock: Any, qtbot: Any, engine: FakeEngine, folder: Path
) -> None:
    _, dock = make_dock()
    box = dock.form.model_box
    assert names(box) == ["default"]
    install(folder, "mine")
    box.showPopup()
    box.hidePopup()
    assert names(box) == ["default", "mine"]
    box.setCurrentIndex(box.findData("mine"))
    qtbot.waitUntil(lambda: engine.n_warmed == 2)
    (folder / "mine.safetensors").unlink()
    box.refresh()
    assert names(box) == ["default"]
    assert dock.read().model == "default"
    qtbot.waitUntil(lambda: engine.n_warmed == 3)


def test_other_choices_and_files_as_they_are_come_first(
    folder: Path, qtbot: Any, tmp_path: Path
) -> None:
    install(folder, "mine")
    box = model_box.ModelBox("", first={"": "preset", "none": "fresh"}, ask="File…")
    qtbot.addWidget(box)
    assert (box.model, box.currentText()) == ("", "preset")
    box.setCurrentIndex(box.findData("mine"))
    file = str(tmp_path / "kept.safetensors")
    box.offer(file)
    assert (box.model, box.currentText()) == (file, "kept.safetensors")
    box.rename("", "preset (default)")
    box.refresh()
    install(folder, "other")
    box.refresh()
    assert [box.itemText(i) for i in range(3)] == [
        "preset (default)",
        "fresh",
        "kept.safetensors",
    ]
    assert box.model == file
    assert names(box) == ["none", file, "default", "mine", "other"]


def test_published_models_are_shown_with_the_way_to_get_them(
    make_dock: Any, qtbot: Any, engine: FakeEngine, folder: Path
) -> None:
    _, dock = make_dock()
    qtbot.waitUntil(lambda: engine.n_warmed == 1)
    box = dock.form.model_box
    index = box.findText("segrefiner-lr (not installed)")
    assert not box.view().model().item(index).isEnabled()
    told = box.itemData(index, Qt.ItemDataRole.ToolTipRole)
    assert "models fetch segrefiner-lr" in told
    assert "drive.google.com" in told
    install(folder, "segrefiner-lr")
    box.refresh()
    assert names(box) == ["default", "segrefiner-lr"]
    assert box.findText("segrefiner-lr (not installed)") == -1
    assert box.findText("segrefiner-hr (not installed)") != -1


def test_a_damaged_card_is_told_in_the_tooltip(
    make_dock: Any, qtbot: Any, engine: FakeEngine, folder: Path
) -> None:
    install(folder, "mine")
    (folder / "mine.json").write_text("{")
    _, dock = make_dock()
    qtbot.waitUntil(lambda: engine.n_warmed == 1)
    dock.form.model_box.select("mine")
    assert "cannot be read" in dock.form.model_box.toolTip()
    qtbot.waitUntil(lambda: engine.n_warmed == 2)


def test_the_engine_adds_a_file_under_a_free_name_and_uses_it(
    folder: Path, tmp_path: Path
) -> None:
    from napari_segrefiner.models.checkpoint import save_model
    from napari_segrefiner.network import DenoisingUNet

    config = NetworkConfig(widths=(8, 8), blocks_down=1, blocks_up=1)
    card = ModelCard(
        name="tiny", description="", licence="BSD-3-Clause", network=config
    )
    path = tmp_path / "tiny.safetensors"
    save_model(path, DenoisingUNet(config).state_dict(), card, half=False)
    engine = PackagedEngine()
    assert engine.add_model(str(path)) == Added("tiny")
    assert engine.add_model(str(path)) == Added("tiny-2")
    spaced = tmp_path / "other.safetensors"
    renamed = dataclasses.replace(card, name="my model")
    save_model(spaced, DenoisingUNet(config).state_dict(), renamed, half=False)
    added = [engine.add_model(str(spaced)).name for _ in range(2)]
    assert added == ["my-model", "my-model-2"]
    first = engine._loaded("tiny")
    assert engine._loaded("tiny") is first
    weights = folder / "tiny.safetensors"
    import os

    os.utime(weights, ns=(1, 1))
    assert engine._loaded("tiny") is not first
    (tmp_path / "bad.safetensors").write_bytes(np.arange(9, dtype=np.uint8).tobytes())
    with pytest.raises(ModelError, match=r"bad\.safetensors"):
        engine.add_model(str(tmp_path / "bad.safetensors"))
