"""``perturb`` and ``validate`` from files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_segrefiner.cli.main import main
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


def test_validate_prints_a_line_per_set_and_the_means(data, model, tmp_path, capsys):
    scores = tmp_path / "scores.json"
    command = ["validate", str(data), "--model", str(model), "--steps", "1,2"]
    command += ["--left-out", "things", "--json", str(scores)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Model tiny")
    starts = [line[:26].rstrip() for line in lines[3:]]
    assert starts == [
        "mixed/cells",
        "mixed/things *",
        "mean of sets, all",
        "mean of sets, seen",
        "mean of sets, left out",
        "* left out of the training",
    ]
    content = json.loads(scores.read_text())
    assert list(content)[:3] == ["model", "options", "means"]
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
    untouched = capsys.readouterr().out.splitlines()[-1].split()
    assert untouched[5:7] == untouched[7:9]  # too small to be refined
    assert first.splitlines()[-1].split()[5:7] == untouched[5:7]
    assert main([*command, "--seed", "5"]) == 2
    assert "not made with these settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--steps", "0"], "--steps is 0"),
        (["--steps", ""], "--steps is empty"),
        (["--set-option", "doubt"], "NAME=VALUE"),
        (["--set-option", "speed=1"], "not understood"),
        (["--set-option", "doubt=7"], "doubt is 7"),
        (["--set-option", "flips=maybe"], "true or false"),
        (["--model", "nowhere.safetensors"], "no model"),
    ],
)
def test_validate_refuses_in_one_sentence(data, capsys, words, complaint):
    assert main(["validate", str(data), *words]) in (1, 2)
    err = capsys.readouterr().err
    assert complaint in err
    assert err.count("\n") == 1
