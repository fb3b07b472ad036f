"""``napari-segrefiner simulate`` draws what training does to masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_segrefiner.cli.main import main
from napari_segrefiner.training.ingredients import INGREDIENTS


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    rows, columns = np.mgrid[:60, :60]
    disc = (np.hypot(rows - 30, columns - 28) < 14).astype(np.uint8)
    Image.fromarray(disc).save(tmp_path / "labels.png")
    Image.fromarray(disc * 100 + 30).save(tmp_path / "image.png")
    return tmp_path / "labels.png"


@pytest.mark.parametrize("with_image", [True, False])
def test_a_label_image_becomes_a_table_and_a_picture(
    labels: Path, capsys: pytest.CaptureFixture[str], with_image: bool
) -> None:
    out = labels.with_name("sheet.png")
    words = ["--image", str(labels.with_name("image.png"))] if with_image else []
    call = ["simulate", str(labels), "-o", str(out), "--masks", "2", "--window", "64"]
    assert main([*call, *words]) == 0
    said = capsys.readouterr().out
    for name in INGREDIENTS:
        assert f"\n  {name} " in said
    with Image.open(out) as sheet:
        assert sheet.height > 50 * len(INGREDIENTS)
    assert main([*call, *words]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_data_folder_is_taken_as_for_training(labels: Path, tmp_path: Path) -> None:
    for part, name in (("images", "image.png"), ("labels", "labels.png")):
        (tmp_path / "set" / part).mkdir(parents=True)
        (tmp_path / name).rename(tmp_path / "set" / part / "a.png")
    out = tmp_path / "sheet.png"
    call = ["simulate", str(tmp_path / "set"), "-o", str(out), "--masks", "1"]
    assert main([*call, "--window", "48"]) == 0
    assert out.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--masks", "0"], "--masks is at least 1"),
        (["--window", "8"], "--window is 8; a whole number from 16 to 512 px"),
        (["-o", "sheet.jpg"], "let it end with .png"),
    ],
)
def test_what_cannot_be_is_one_line(
    labels: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    out = str(labels.with_name("sheet.png"))
    assert main(["simulate", str(labels), "-o", out, *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_labels_without_a_usable_object_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dot = np.zeros((20, 20), np.uint8)
    dot[4, 4] = 1
    Image.fromarray(dot).save(tmp_path / "dot.png")
    out = str(tmp_path / "sheet.png")
    assert main(["simulate", str(tmp_path / "dot.png"), "-o", out]) == 2
    assert "has 16 pixels or more" in capsys.readouterr().err


@pytest.mark.parametrize("is_set", [True, False])
def test_what_is_read_is_not_replaced(
    labels: Path, capsys: pytest.CaptureFixture[str], is_set: bool
) -> None:
    data = path = labels
    if is_set:
        for part in ("images", "labels"):
            (labels.parent / part).mkdir()
            path = labels.parent / part / "a.png"
            path.write_bytes(labels.read_bytes())
        data = labels.parent
    before = path.read_bytes()
    assert main(["simulate", str(data), "-o", str(path), "--overwrite"]) == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_objects_that_no_window_shows_are_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = np.zeros((2000, 2000), np.uint8)
    line[1000] = 1
    np.save(tmp_path / "line.npy", line)
    out = tmp_path / "sheet.png"
    assert main(["simulate", str(tmp_path / "line.npy"), "-o", str(out)]) == 2
    assert "too thin" in capsys.readouterr().err
    assert not out.exists()
