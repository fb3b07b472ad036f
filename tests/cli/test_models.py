"""The models command: what it prints, and what it does to the user's folder."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_segrefiner.cli import models
from napari_segrefiner.errors import DownloadError, InputError, ModelError
from napari_segrefiner.models.catalogue import FOLDER_VARIABLE, load_model
from napari_segrefiner.models.export import export_model
from tests.models.official import published_content, save, weights_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "models"
    monkeypatch.setenv(FOLDER_VARIABLE, str(path))
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return save(tmp_path / "run.pth", published_content(weights_of()))


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    models.add_arguments(parser)
    return models.run(parser.parse_args([str(argument) for argument in arguments]))


def test_the_list_shows_what_is_there_and_what_could_be(folder, checkpoint, capsys):
    assert run("import", checkpoint, "--name", "mine") == 0
    assert str(folder / "mine.safetensors") in capsys.readouterr().out
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "SIZE", "LICENCE", "DESCRIPTION"]
    rows = {line.split()[0]: line for line in lines[1:] if line}
    assert "own" in rows["mine"]
    assert "Imported from run.pth." in rows["mine"]
    cells = rows["segrefiner-lr"].split()
    assert cells[1:6] == ["to", "fetch", "474.6", "MB", "Apache-2.0"]
    assert rows["segrefiner-hr"].split()[1:4] == ["to", "fetch", "-"]
    assert str(folder) in lines[-1]


def test_a_damaged_model_does_not_hide_the_others(folder, checkpoint, capsys):
    run("import", checkpoint)
    (folder / "broken.safetensors").write_bytes(b"nothing")
    (folder / "moved.safetensors").symlink_to(folder / "elsewhere.safetensors")
    capsys.readouterr()
    run("list")
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("run ") for line in lines)
    (moved,) = [line for line in lines if line.startswith("moved ")]
    assert "No such file" in moved
    (damaged,) = [line for line in lines if line.startswith("broken ")]
    assert "damaged" in damaged
    assert "no complete safetensors file" in damaged


def test_info_of_an_installed_model_tells_its_origin(folder, checkpoint, capsys):
    run("import", checkpoint)
    capsys.readouterr()
    run("info", "run")
    text = capsys.readouterr().out
    assert "U-Net of widths 8-16-16, blocks per level 1 down and 2 up" in text
    assert "attention at strides 4 with 4 heads" in text
    assert load_model("run").sha256 in text
    assert "run.pth" in text
    assert "steps 6" in text


def test_info_of_a_file_tells_all_that_its_card_says(folder, tmp_path, capsys):
    facts = {"name": "mine", "data": {"sets": ["x"]}, "metrics": {"iou": 0.5}}
    path = tmp_path / "best.safetensors"
    export_model(load_model("default"), path, facts)
    run("info", path)
    lines = capsys.readouterr().out.splitlines()
    text = dict(line.split(maxsplit=1) for line in lines if line[0] != " ")
    assert text["name:"] == "mine"
    assert text["file:"] == str(path)
    assert text["data:"] == 'sets ["x"]'
    assert text["metrics:"] == "iou 0.5"


MEANS = {
    "all": {"2": {"iou": 0.85, "worse_05": 0.006}, "coarse": {"iou": 0.79}},
    "left out": {"2": {"iou": 0.8249}, "coarse": {"iou": 0.5}},
}


def test_info_is_a_page_for_people(folder, tmp_path, monkeypatch, capsys):
    data = [
        {"set": "a", "what": "cells", "licence": "CC0"},
        {"set": "b", "what": "coins", "licence": "MIT"},
    ]
    metrics = {"command": "validate DATA", "means": MEANS, "sets": {"a": {}}}
    limits = "words " * 40
    facts = {"name": "mine", "data": data, "metrics": metrics, "limits": limits}
    path = tmp_path / "best.safetensors"
    export_model(load_model("default"), path, facts)
    monkeypatch.setenv("COLUMNS", "90")
    assert run("info", path) == 0
    page = capsys.readouterr().out
    lines = page.splitlines()
    whole = str(path)  # is copied, so that it is not cut
    assert max(len(line) for line in lines if whole not in line) <= 90
    names = [line.split(":")[0] for line in lines if line[0] != " "]
    assert names[:4] == ["name", "description", "licence", "size"]
    assert names[-2:] == ["architecture", "recipe"]
    shown = [line[15:] for line in lines]
    at = shown.index("steps 2")
    assert shown[at + 1] == "windows true"
    at = shown.index("a: cells (CC0)")
    assert shown[at + 1] == "b: coins (MIT)"
    assert shown[at + 2 : at + 8] == [
        "                    iou worse_05",
        "all, coarse       0.790        -",
        "all, 2 steps      0.850    0.006",
        "left out, coarse  0.500        -",
        "left out, 2 steps 0.825        -",
        "command validate DATA",
    ]


@pytest.mark.parametrize(
    "metrics",
    [
        5,
        "good",
        ["good", {"iou": 1}],
        {"means": 5},
        {"means": {}},
        {"means": {"all": 5}},
        {"means": {"all": {"2": [1]}}},
        {"means": {"all": {"2": {"iou": "high"}}}},
    ],
)
def test_info_shows_metrics_and_data_of_any_shape(folder, tmp_path, metrics, capsys):
    path = tmp_path / "odd.safetensors"
    facts = {"data": metrics, "recipe": metrics, "metrics": metrics}
    export_model(load_model("default"), path, facts)
    assert run("info", path) == 0
    assert "metrics:" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["default", "segrefiner-lr"])
def test_info_for_programs_is_json_with_all_entries(folder, name, capsys):
    assert run("info", name, "--json") == 0
    entries = json.loads(capsys.readouterr().out)
    assert entries["name"] == name
    assert len(entries["sha256"]) == 64
    assert entries["size"] > 1e6
    if name == "default":
        card = load_model(name).card
        assert entries["metrics"] == card.metrics
        assert entries["defaults"]["steps"] == card.defaults.steps


def test_info_of_a_published_model_needs_no_installation(folder, capsys):
    run("info", "segrefiner-lr")
    text = capsys.readouterr().out
    for part in ("d5806a41a4bff6f1", "474,603,251 bytes", "NeurIPS 2023", "Apache-2.0"):
        assert part in text
    assert "128-128-256-256-512-512" in text
    assert not folder.exists()


def test_a_card_cannot_command_the_terminal(folder, checkpoint, capsys):
    run("import", checkpoint)
    card = folder / "run.json"
    card.write_text(card.read_text().replace("Imported", "\\u001b[2JImported"))
    capsys.readouterr()
    run("list")
    run("info", "run")
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nonsense", "."])
def test_info_of_what_is_no_model_is_an_error(folder, name):
    with pytest.raises(ModelError):
        run("info", name)


def test_remove_deletes_weights_and_card(folder, checkpoint, capsys):
    run("import", checkpoint)
    assert run("remove", "run") == 0
    assert list(folder.iterdir()) == []
    with pytest.raises(
        ModelError, match="No model 'run' is installed; yours are: none"
    ):
        run("remove", "run")


def test_what_belongs_to_the_package_is_not_removed(
    folder, checkpoint, tmp_path, monkeypatch
):
    run("import", checkpoint)
    monkeypatch.setattr(
        "napari_segrefiner.models.catalogue.PACKAGE_FOLDER", tmp_path / "package"
    )
    folder.rename(tmp_path / "package")
    with pytest.raises(ModelError, match="part of napari-segrefiner"):
        run("remove", "run")
    assert (tmp_path / "package" / "run.safetensors").exists()


def test_fetch_without_network_is_an_error_with_the_way_by_hand(folder):
    with pytest.raises(DownloadError, match="in a browser"):
        run("fetch", "segrefiner-lr", "--url", "nowhere")


def test_fetching_what_is_installed_says_so(folder, checkpoint, capsys):
    run("import", checkpoint, "--name", "mine")
    assert run("fetch", "mine") == 0
    assert "installed already" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["import"], ["surprise"]])
def test_wrong_usage_ends_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "action", ["list", "info run", "info segrefiner-lr", "remove run"]
)
def test_torch_is_not_loaded_to_look_around(folder, checkpoint, action):
    run("import", checkpoint)
    code = f"""
import argparse, sys
from napari_segrefiner.cli import models
parser = argparse.ArgumentParser()
models.add_arguments(parser)
models.run(parser.parse_args({action.split()}))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_facts_are_not_replaced_by_the_card(folder, tmp_path):
    facts = tmp_path / "mine.json"
    facts.write_text('{"licence": "CC0"}')
    with pytest.raises(InputError, match=r"mine\.json is one of the inputs"):
        run(
            "export",
            "default",
            "-o",
            facts.with_suffix(".safetensors"),
            "--facts",
            facts,
            "--overwrite",
        )
    assert facts.read_text() == '{"licence": "CC0"}'
