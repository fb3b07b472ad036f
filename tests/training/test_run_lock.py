"""Two processes never train in one folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from napari_segrefiner.errors import InputError, ModelError, OptionError
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training import loop
from napari_segrefiner.training.run_lock import alone_in
from napari_segrefiner.training.run_state import CONFIG, RunFolder


def test_a_folder_is_held_until_the_block_ends(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with alone_in(run):
        with pytest.raises(OptionError, match="by another process"), alone_in(run):
            pass
        with alone_in(RunFolder(tmp_path, writes=False)):  # of the same team
            pass
    with alone_in(run):
        pass


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="cannot be written"),
        alone_in(RunFolder(tmp_path / "missing")),
    ):
        pass


def test_a_run_that_goes_on_elsewhere_is_left_alone(
    set_folder: Path, tmp_path: Path, tiny_options: TrainOptions
) -> None:
    run = RunFolder(tmp_path / "run")
    events = loop.train(set_folder, run.path, tiny_options)
    for _ in range(2):  # started, and one iteration
        next(events)
    with pytest.raises(OptionError, match="by another process"):
        next(loop.train(set_folder, run.path, TrainOptions(), resume=True))
    events.close()
    assert run.read_counters().iteration == 1
    list(loop.train(set_folder, run.path, TrainOptions(), resume=True))
    assert run.read_counters().is_finished


def test_a_refused_training_leaves_the_configuration_of_the_one_at_work(
    set_folder: Path, tmp_path: Path, tiny_options: TrainOptions
) -> None:
    run = RunFolder(tmp_path / "run")
    events = loop.train(set_folder, run.path, tiny_options)
    next(events)  # started, and no checkpoint yet
    config = (run.path / CONFIG).read_bytes()
    with pytest.raises(OptionError, match="by another process"):
        next(loop.train(tmp_path / "other", run.path, TrainOptions(), resume=True))
    assert (run.path / CONFIG).read_bytes() == config
    events.close()


def test_a_training_that_cannot_start_leaves_no_folder(
    set_folder: Path, tmp_path: Path, tiny_options: TrainOptions
) -> None:
    options = dataclasses.replace(tiny_options, preset="custom", init="no-such-model")
    with pytest.raises(ModelError, match="no-such-model"):
        next(loop.train(set_folder, tmp_path / "run", options))
    assert not (tmp_path / "run").exists()
