"""``perturb`` and ``validate`` from files."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_segrefiner.cli.main import main
from napari_segrefiner.core import refiner
from napari_segrefiner.evaluation.coarse_sets import coarse_sets
from napari_segrefiner.evaluation.tuning import find_baselines
from napari_segrefiner.io.labels import read_labels, write_labels
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.checkpoint import save_model
from tests.core.stubs import TINY, disk, tiny_network


@pytest.fixture
def data(tmp_path):
    """Two sets of one picture with two objects."""
    labels = np.zeros((70, 120), np.uint8)
    labels[disk(labels.shape, 35, 32, 14)] = 1
    labels[disk(labels.shape, 35, 85, 17)] = 2
    for name in ("cells", "things"):
        for part, values in (("images", 20 + 90 * labels), ("labels", labels)):
            folder = tmp_path / "data" / name / "val" / part
            folder.mkdir(parents=True)
            write_labels(folder / "a.png", values)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model with random weights."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    card = ModelCard(name="tiny", description="-", licence="none", network=TINY)
    save_model(path, tiny_network().state_dict(), card)
    return path


def test_perturb_writes_labels_that_evaluate_takes(data, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["perturb", str(data), "-o", str(out), "--kinds", "eroded,wobble"]
    assert main([*command, "--exclude", "things"]) == 0
    truth = read_labels(out / "wobble/cells/truth/a.tif")
    coarse = read_labels(out / "wobble/cells/coarse/a.tif")
    assert set(np.unique(truth)) == set(np.unique(coarse)) == {0, 1, 2}
    assert not np.array_equal(truth, coarse)
    assert "wobble" in capsys.readouterr().out
    assert not (out / "wobble/things").exists()


def test_a_kind_that_is_named_twice_is_made_once(data, tmp_path, capsys):
    command = ["perturb", str(data), "-o", str(tmp_path / "out")]
    assert main([*command, "--kinds", "eroded,eroded"]) == 0
    assert capsys.readouterr().out.count("eroded ") == 2  # of two sets
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert record["kinds"] == ["eroded"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--kinds", "eroded,soft"], "no kind soft"),
        (["--limit", "0"], "limit is 0"),
        (["--exclude", "dogs"], "dogs"),
    ],
)
def test_perturb_refuses_and_writes_nothing(data, tmp_path, capsys, words, complaint):
    out = tmp_path / "out"
    assert main(["perturb", str(data), "-o", str(out), *words]) == 2
    assert complaint in capsys.readouterr().err
    assert not out.exists()


def test_masks_of_other_data_under_the_same_relative_name_are_not_taken(
    data, tmp_path, monkeypatch, capsys
):
    out = str(tmp_path / "out")
    (tmp_path / "other" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert main(["perturb", "data", "-o", out]) == 0
    assert main(["perturb", str(data), "-o", out]) == 0  # the same, told otherwise
    monkeypatch.chdir(tmp_path / "other")
    assert main(["perturb", "data", "-o", out]) == 2
    assert "not made with these settings" in capsys.readouterr().err


def test_validate_prints_a_line_per_set_and_the_means(data, model, tmp_path, capsys):
    scores = tmp_path / "scores.json"
    command = ["validate", str(data), "--model", str(model), "--steps", "1,2"]
    command += ["--left-out", "things", "--json", str(scores)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Model tiny")
    starts = [line[:26].rstrip() for line in lines[3:-2]]
    assert starts == [
        "mixed/cells",
        "mixed/things *",
        "mean of sets, all",
        "mean of sets, seen",
        "mean of sets, left out",
        "* left out of the training",
    ]
    content = json.loads(scores.read_text())
    assert list(content)[:2] == ["model", "means"]
    assert content["runs"]["2"]["steps"] == 2
    assert content["means"]["all"]["2"]["iou"]["n"] == 2
    assert [entry["set"] for entry in content["sets"]] == ["cells", "things"]
    assert main(command) == 2  # the scores are there already


def test_validate_keeps_the_masks_where_it_is_told(data, model, tmp_path, capsys):
    cache = tmp_path / "cache"
    command = ["validate", str(data), "--model", str(model), "--steps", "1"]
    command += ["--kinds", "accurate", "-o", str(cache)]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert (cache / "accurate/cells/coarse/a.tif").exists()
    assert main([*command, "--set-option", "min_area=9999", "close-gaps=false"]) == 0
    *_, untouched, verdict = capsys.readouterr().out.splitlines()
    assert verdict == "1 step: 0 of 2 worse than their input"
    untouched = untouched.split()
    assert untouched[5:7] == untouched[7:9]  # too small to be refined
    assert first.splitlines()[-2].split()[5:7] == untouched[5:7]
    assert main([*command, "--seed", "5"]) == 2
    assert "not made with these settings" in capsys.readouterr().err


def test_validate_goes_on_from_its_file_and_writes_tables(
    data, model, tmp_path, capsys, monkeypatch
):
    scores, tables = tmp_path / "scores.json", tmp_path / "tables.md"
    command = ["validate", str(data), "--model", str(model), "--steps", "1"]
    command += ["--kinds", "accurate,eroded", "--baselines", "smooth"]
    command += ["--ways", "plain,flips", "--json", str(scores), "--resume"]
    command += ["--markdown", str(tables)]
    assert main(command) == 0
    first, text = capsys.readouterr().out, tables.read_text()
    for title in ("1 step", "1 step flips", "smooth"):
        assert f"\n| {title} | ." in text
    content = json.loads(scores.read_text())
    del content["sets"][2:]  # as if it had been interrupted
    scores.write_text(json.dumps(content))
    run = []

    def refine(image, labels, **given):
        run.append(given["options"].flips)
        return real(image, labels, **given)

    real = refiner.refine
    monkeypatch.setattr(refiner, "refine", refine)
    assert main(command) == 0
    assert capsys.readouterr().out == first
    assert run == [None, True] * 2  # two of the four were there
    assert main([*command, "--left-out", "things"]) == 0
    assert len(run) == 4
    assert main([*command, "--seed", "3"]) == 2
    assert "other settings (plan)" in capsys.readouterr().err
    os.utime(data / "cells/val/labels/a.png", (1, 1))  # written anew
    assert main(command) == 2
    assert "The data have changed since" in capsys.readouterr().err


def test_tables_are_replaced_only_where_there_is_a_file_to_go_on_from(
    data, tmp_path, capsys
):
    scores, notes = tmp_path / "scores.json", tmp_path / "notes.md"
    notes.write_text("mine")
    command = ["validate", str(data), "--json", str(scores), "--resume"]
    assert main([*command, "--markdown", str(notes)]) == 2
    assert "notes.md exists already" in capsys.readouterr().err
    assert notes.read_text() == "mine"
    tuned = ["--tuned", str(notes), "--markdown", str(notes), "--overwrite"]
    notes.write_text('{"choices": []}')
    assert main([*command[:2], *tuned]) == 2
    assert "notes.md" in capsys.readouterr().err
    assert notes.read_text() == '{"choices": []}'


@pytest.mark.parametrize("command", ["validate", "tune"])
def test_annotations_are_not_replaced(tmp_path, capsys, command):
    path = tmp_path / "annotations" / "a.json"
    path.parent.mkdir()
    path.write_text('{"images": [], "annotations": []}')
    flag = "--json" if command == "validate" else "-o"
    words = [command, str(tmp_path), flag, str(path), "--overwrite"]
    assert main(words) == 2
    assert "a.json is one of the inputs" in capsys.readouterr().err
    assert path.read_text() == '{"images": [], "annotations": []}'


@pytest.mark.parametrize("command", ["validate", "tune"])
@pytest.mark.parametrize("name", ["labels/a.png", "groups.json"])
def test_files_of_the_data_are_not_replaced(tmp_path, capsys, command, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    flag = "--json" if command == "validate" else "-o"
    assert main([command, str(tmp_path), flag, str(path), "--overwrite"]) == 2
    assert f"{path.name} is one of the inputs" in capsys.readouterr().err
    assert path.read_text() == "mine"


def test_masks_and_annotations_give_coarse_masks_too(tmp_path, capsys):
    folder = tmp_path / "d"
    mask = disk((60, 80), 30, 40, 18)
    for part in ("im", "gt", "coco/images/deep"):
        (folder / part).mkdir(parents=True)
    write_labels(folder / "im/a.b.png", np.where(mask, 200, 30).astype(np.uint8))
    write_labels(folder / "gt/a.b.png", 255 * mask.astype(np.uint8))
    write_labels(
        folder / "coco/images/deep/x.png", np.where(mask, 200, 30).astype(np.uint8)
    )
    outline = {
        "images": [{"id": 1, "file_name": "deep/x.png", "height": 60, "width": 80}],
        "annotations": [
            {"id": 7, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 600,
             "segmentation": [[20, 10, 60, 10, 60, 25, 20, 25]]},
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }  # fmt: skip
    (folder / "coco/all.json").write_text(json.dumps(outline))
    for source, name, area in (
        (folder, "d/truth/a.b", mask.sum()),
        (folder / "coco", "all/truth/deep%2Fx", 600),
    ):
        out = tmp_path / f"out{area}"
        command = ["perturb", str(source), "-o", str(out), "--kinds", "eroded"]
        assert main(command) == 0
        truth = read_labels(out / f"eroded/{name}.tif")
        assert (set(np.unique(truth)), np.count_nonzero(truth)) == ({0, 1}, area)
        coarse_set = coarse_sets(out)[0]
        image, coarse = coarse_set.read(coarse_set.stems[0])
        assert image.shape == truth.shape
        assert 0 < np.count_nonzero(coarse.labels) < area


def test_a_picture_of_another_size_is_told_and_left_out(data, tmp_path, caplog):
    write_labels(data / "cells/val/images/b.png", np.zeros((9, 9), np.uint8))
    write_labels(data / "cells/val/labels/b.png", np.ones((20, 20), np.uint8))
    assert main(["perturb", str(data), "-o", str(tmp_path / "out")]) == 0
    assert "b.png is 20 x 20 but" in caplog.text
    assert not (tmp_path / "out/mixed/cells/truth/b.tif").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--steps", "0"], "--steps is 0"),
        (["--ways", "up"], "no way up"),
        (["--resume"], "--resume needs --json"),
        (["--steps", ""], "--steps is empty"),
        (["--set-option", "doubt"], "NAME=VALUE"),
        (["--set-option", "speed=1"], "not understood"),
        (["--set-option", "doubt=7"], "doubt is 7"),
        (["--set-option", "steps=3"], "name the steps by --steps"),
        (["--set-option", "flips=maybe"], "true or false"),
        (["--threads", "-4"], "--threads is -4"),
        (["--model", "nowhere.safetensors"], "no model"),
    ],
)
def test_validate_refuses_in_one_sentence(data, capsys, words, complaint):
    assert main(["validate", str(data), *words]) in (1, 2)
    err = capsys.readouterr().err
    assert complaint in err
    assert err.count("\n") == 1


def test_a_set_left_out_that_is_not_there_is_told(data, model, capsys):
    command = ["validate", str(data), "--model", str(model), "--steps", "1"]
    assert main([*command, "--left-out", "dogs"]) == 0
    told = capsys.readouterr()
    assert told.err == "--left-out names dogs, which was not scored.\n"
    assert "* left out" not in told.out


def test_tuning_nothing_is_refused(data, tmp_path, capsys):
    out = tmp_path / "tuned.json"
    assert main(["tune", str(data), "-o", str(out), "--baselines", ""]) == 2
    assert "--baselines is empty" in capsys.readouterr().err
    assert not out.exists()


def test_all_baselines_can_be_named_among_others():
    every = [one.name for one in find_baselines(["all"])]
    found = [one.name for one in find_baselines(["nothing", "all", "smooth"])]
    assert found == [*every, "nothing"]
    assert "smooth" in every


def test_a_folder_that_cannot_be_written_is_one_sentence(
    data, tmp_path, monkeypatch, capsys
):
    (tmp_path / "out").write_text("mine")
    assert main(["perturb", str(data), "-o", str(tmp_path / "out")]) == 2
    assert "cannot be made (File exists)" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"

    def fill_the_disk(source, copy):
        Path(copy).write_bytes(b"half of")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fill_the_disk)
    assert main(["perturb", str(data), "-o", str(tmp_path / "new")]) == 1
    assert "cannot be written (No space left" in capsys.readouterr().err
    assert not list((tmp_path / "new").iterdir())
