"""A run folder can be resumed whenever its process died, and says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from napari_segrefiner.core.denoiser import Arithmetic
from napari_segrefiner.errors import InputError
from napari_segrefiner.models.card import Grids, ModelCard
from napari_segrefiner.models.checkpoint import read_model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training.batches import Draws, TrainingBatches
from napari_segrefiner.training.run_state import (
    BEST,
    LOG,
    STATE,
    VALIDATION,
    Counters,
    RunConfig,
    RunFolder,
)
from tests.training.conftest import Discs
from tests.training.test_learner import CONFIG, make_learner

DRAWS = Draws(seed=0, batch_size=4, own_share=0.5, own_after=0, map_dropout=0.1)


def test_config_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "new" / "run")
    assert not run.is_used
    card = ModelCard("cells", "", "", CONFIG, grids=Grids(base=32))
    options = TrainOptions(exclude=("a", "b"), milestones=(3, 9)).resolved()
    config = RunConfig("data", options, card, "id")
    run.write_config(config)
    assert run.is_used
    assert not run.has_state
    assert run.read_config() == config


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_restored_learner_goes_on_exactly_as_the_saved_one(
    tmp_path: Path, discs: Discs, precision: Arithmetic
) -> None:
    run, batches = RunFolder(tmp_path), TrainingBatches(discs, DRAWS)
    first = make_learner(precision=precision)
    for i in range(3):
        first.learn(batches[i], i, 1e-2)
    first.scaler.update(512.0)
    counters = Counters(3, 9, 1.5, precision, 0.8)
    run.save(first, counters)
    second = make_learner(precision=precision)
    assert run.restore(second) == counters == run.read_counters()
    assert second.steps_taken == 3
    assert second.scaler.state_dict() == first.scaler.state_dict()
    for i in range(3, 5):
        assert first.learn(batches[i], i, 1e-2) == second.learn(batches[i], i, 1e-2)
    for ours, theirs in zip(
        first.mean_network.parameters(), second.mean_network.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_a_checkpoint_that_tells_of_no_validations_counts_as_validated(
    tmp_path: Path,
) -> None:
    run = RunFolder(tmp_path)
    run.save(make_learner(), Counters(iteration=7, iterations=7))
    assert not run.read_counters().is_complete
    with safe_open(tmp_path / STATE, "pt") as file:
        entries = json.loads(file.metadata()["counters"])
    del entries["validated"]
    tensors = load_file(tmp_path / STATE)
    save_file(tensors, tmp_path / STATE, {"counters": json.dumps(entries)})
    assert run.read_counters().is_complete


def test_a_save_that_was_cut_off_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.save(make_learner(), Counters(iteration=7))
    (tmp_path / (STATE + ".part")).write_bytes(b"half of it")
    assert run.read_counters().iteration == 7
    run.save(make_learner(), Counters(iteration=8))
    assert run.read_counters().iteration == 8
    assert sorted(p.name for p in tmp_path.iterdir()) == [STATE]


def test_a_model_that_was_cut_off_leaves_the_last_one(tmp_path: Path) -> None:
    run, learner = RunFolder(tmp_path), make_learner()
    card = ModelCard("cells", "", "", CONFIG)
    run.save_best(learner, card)
    (tmp_path / (BEST + ".part")).write_bytes(b"half of it")
    assert read_model(run.best).card == card
    run.save_best(learner, card)
    assert [p.name for p in tmp_path.iterdir()] == [BEST]


def test_a_configuration_that_cannot_be_placed_leaves_nothing_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.json").mkdir()
    config = RunConfig("data", TrainOptions(), ModelCard("", "", "", CONFIG))
    with pytest.raises(InputError, match="cannot be written"):
        RunFolder(tmp_path).write_config(config)
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]


def test_log_rows_beyond_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for iteration in (20, 40, 60):
        run.append(LOG, {"iteration": iteration, "bce": 0.1})
    with (tmp_path / LOG).open("a") as file:
        file.write("80")  # cut off by a kill
    run.trim(LOG, 40)
    run.append(LOG, {"iteration": 60, "bce": 0.2})
    assert (tmp_path / LOG).read_text().split() == [
        "iteration,bce",
        "20,0.1",
        "40,0.1",
        "60,0.2",
    ]


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\x08" + b"\0" * 40])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE).write_bytes(content)
    with pytest.raises(InputError, match="start a new run"):
        RunFolder(tmp_path).restore(make_learner())


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.save(make_learner(), Counters())
    other = make_learner()
    config = json.loads(json.dumps({"widths": (8, 24)}))
    other.network = DenoisingUNet(
        CONFIG.__class__(**{**CONFIG.__dict__, "widths": tuple(config["widths"])})
    )
    with pytest.raises(InputError, match="start a new run"):
        run.restore(other)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    run = RunFolder(tmp_path / "file" / "run")
    with pytest.raises(InputError, match="cannot be written"):
        run.write_config(
            RunConfig("data", TrainOptions(), ModelCard("", "", "", CONFIG))
        )
    with pytest.raises(InputError, match="cannot be written"):
        run.save(make_learner(), Counters())


def test_names_that_are_no_text_come_back_as_they_were(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for iteration in (1, 2, 3):
        row = {"iteration": iteration, "name": "zell\udce9 é"}
        run.append(VALIDATION, row)
    run.trim(VALIDATION, 2)
    assert [row["name"] for row in run.rows(VALIDATION)] == ["zell\udce9 é"] * 2
