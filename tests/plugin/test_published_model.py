"""A file as the authors publish it, from download folder to result, by both doors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_segrefiner.cli.main import main
from napari_segrefiner.models.catalogue import FOLDER_VARIABLE
from napari_segrefiner.network_config import NetworkConfig
from napari_segrefiner.options import RefineOptions, specs
from napari_segrefiner.plugin import model_box
from napari_segrefiner.plugin.controls import write
from napari_segrefiner.plugin.engine import PackagedEngine
from napari_segrefiner.plugin.settings import Settings
from tests.core.stubs import disk
from tests.models.official import published_content, save, weights_of

pytestmark = [pytest.mark.slow, pytest.mark.gui, pytest.mark.timeout(1200)]

#: What the dock and the command line are asked for: steps are few, each takes seconds.
MODES: dict[str, dict[str, Any]] = {
    "objects": {"preset": "published", "mode": "objects", "steps": 2},
    "whole": {"preset": "published", "mode": "whole", "steps": 1},
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published network with golden weights as a .pth, a photograph, its labels."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    content = published_content(weights_of(NetworkConfig()))
    save(tmp_path / "segrefiner_lr_latest.pth", content)
    shape = (270, 300)
    labels = disk(shape, 140, 150, 70).astype(np.uint8)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    light = 90 + 60 * np.sin(rows / 17) * np.cos(columns / 23)
    image = np.stack([light, light + 50 * labels, 255 - light], axis=-1)
    Image.fromarray(image.astype(np.uint8)).save(tmp_path / "photo.png")
    Image.fromarray(labels).save(tmp_path / "mask.png")
    return tmp_path


def by_command(files: Path, options: dict[str, Any]) -> np.ndarray[Any, Any]:
    """What ``refine`` writes."""
    paths = [str(files / name) for name in ("photo.png", "mask.png")]
    output = files / f"{options['mode']}.png"
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = ["refine", *paths, "-o", str(output), "--model", "segrefiner-lr", *flags]
    assert main(command) == 0
    return np.asarray(Image.open(output))


def choose(dock: Any, options: dict[str, Any]) -> None:
    """Set options in the dock."""
    dock.form.mode_box.setCurrentIndex(dock.form.mode_box.findData(options["mode"]))
    for spec in specs(RefineOptions):
        if spec.name in options and spec.name != "mode":
            write(spec, dock.form.option_form.widgets[spec.name], options[spec.name])


def test_an_imported_file_gives_the_same_masks_in_the_dock_and_by_command(
    files: Path, make_dock: Any, qtbot: Any, monkeypatch: Any, capsys: Any
) -> None:
    checkpoint = files / "segrefiner_lr_latest.pth"
    assert main(["models", "import", str(checkpoint)]) == 0
    assert "Imported segrefiner-lr" in capsys.readouterr().out
    assert main(["models", "list"]) == 0
    assert "segrefiner-lr  own" in capsys.readouterr().out
    expected = {mode: by_command(files, MODES[mode]) for mode in MODES}
    coarse = np.asarray(Image.open(files / "mask.png"))
    assert all((mask != coarse).any() for mask in expected.values())
    assert main(["models", "remove", "segrefiner-lr"]) == 0

    settings = Settings(None)
    viewer, dock = make_dock(engine=PackagedEngine(), settings=settings, is_shown=True)
    viewer.add_image(np.asarray(Image.open(files / "photo.png")), name="photo")
    viewer.add_labels(coarse, name="mask")
    dialog = model_box.QFileDialog
    monkeypatch.setattr(dialog, "getOpenFileName", lambda *args: (str(checkpoint), ""))
    dock.form.model_box.setCurrentIndex(dock.form.model_box.findText(model_box.ADD))
    qtbot.waitUntil(lambda: dock.read().model == "segrefiner-lr", timeout=300_000)
    dock.form.windows_box.setChecked(True)
    for mode, options in MODES.items():
        known = set(viewer.layers)
        viewer.layers.selection.active = viewer.layers["mask"]
        choose(dock, options)
        dock.refine_button.click()
        qtbot.waitUntil(lambda: not dock.controller.is_running, timeout=600_000)
        (result,) = (
            layer for layer in set(viewer.layers) - known if "refined" in layer.name
        )
        # To look at, after a run with --basetemp.
        viewer.screenshot(str(files / f"{mode}_dock.png"), canvas_only=False)
        # The dock leaves a core to its window, which sums in another order.
        off = np.count_nonzero(result.data != expected[mode])
        assert off <= 2e-3 * np.count_nonzero(expected[mode])
