"""What is held back, and how many processes prepare windows."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_segrefiner.io.datasets import ImageSet, Item, find_sets
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.train_options import (
    TRAIN_PRESETS,
    TrainOptions,
    TrainPreset,
    known,
)
from napari_segrefiner.training import sources
from napari_segrefiner.training.distributed import Team
from napari_segrefiner.training.run_state import RunConfig
from napari_segrefiner.training.samples import Samples
from napari_segrefiner.training.sources import (
    NOT_ASKED,
    UNVALIDATED,
    _limits,
    count_workers,
    held_back,
    training_samples,
)
from tests.training.test_learner import CONFIG

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("cores", "processes", "device", "workers"),
    [
        (16, 1, CUDA, 14),
        (64, 1, CUDA, 16),
        (64, 4, CUDA, 14),
        (2, 1, CUDA, 1),
        (4, 8, CUDA, 1),
        (64, 1, CPU, 1),
        (1, 1, CPU, 1),
    ],
)
@pytest.mark.parametrize("preset", TRAIN_PRESETS)
def test_a_gpu_gets_all_workers_that_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    processes: int,
    device: torch.device,
    workers: int,
    preset: str,
) -> None:
    monkeypatch.setattr(sources, "_cores", lambda: cores)
    options = TrainOptions(preset=preset, init="none").resolved()  # type: ignore[arg-type]
    found = count_workers(known(options.workers), Team(0, processes, device))
    assert found == workers


def test_a_number_that_is_given_holds_as_far_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "_cores", lambda: 8)
    for device in (CPU, CUDA):
        given = [count_workers(n, Team(0, 2, device)) for n in (0, 1, 3, 9)]
        assert given == [0, 1, 3, 4]


@pytest.mark.parametrize("preset", ["custom", "quick", "default-model"])
def test_only_the_default_model_draws_sets_by_their_names(
    set_folder: Path, tmp_path: Path, preset: TrainPreset
) -> None:
    for name in ("davis", "mine"):
        shutil.copytree(set_folder, tmp_path / "data" / name)
    sets = find_sets(tmp_path / "data", "train")
    options = TrainOptions(preset=preset).resolved()
    samples = training_samples(sets, options, tmp_path, set())
    assert isinstance(samples, Samples)
    weight = 2.2 if preset == "default-model" else 1.0
    assert samples.share == pytest.approx([weight / (1 + weight), 1 / (1 + weight)])


def _set(name: str, *stems: str) -> ImageSet:
    return ImageSet(name, tuple(Item(s, Path(name, s), Path(name, s)) for s in stems))


@pytest.mark.parametrize(
    ("learnt", "validated", "said"),
    [
        ([_set("a", "1", "2")], [_set("a", "3")], ""),
        ([_set("a", "1")], [_set("a", "1")], "No validation was possible: there is a"),
        # images of one group stay together, however many there are
        ([_set("a", "1", "2")], [_set("a", "1", "2")], "No validation was possible"),
        (
            [_set("a", "1"), _set("b", "1", "2"), _set("c", "1")],
            [_set("a", "1"), _set("b", "3"), _set("c", "1")],
            "No validation of a and c was possible",
        ),
        # a set that is left out is not learnt from
        ([_set("b", "1", "2")], [_set("a", "1"), _set("b", "3")], ""),
    ],
)
def test_scores_of_learnt_pictures_are_said_to_be_such(
    learnt: list[ImageSet], validated: list[ImageSet], said: str
) -> None:
    found = _limits(learnt, validated)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_a_set_without_a_window_to_validate_with_is_left_out(
    set_folder: Path,
    tmp_path: Path,
    tiny_options: TrainOptions,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("cells", "full"):
        shutil.copytree(set_folder, tmp_path / "data" / name)
    for path in (tmp_path / "data" / "full" / "labels").iterdir():
        Image.fromarray(np.ones((64, 64), np.uint8)).save(path)
    options = dataclasses.replace(tiny_options, validation_windows=4).resolved()
    config = RunConfig("", options, ModelCard("", "", "", CONFIG))
    learnt = find_sets(tmp_path / "data", "train")
    held = held_back(tmp_path / "data", learnt, config, tmp_path, set())
    assert [one.name for one in held.windows] == ["cells"]
    assert "Set full is not validated: 100 windows in a row" in caplog.text


def test_a_training_without_anything_to_validate_with_says_so(
    set_folder: Path, tmp_path: Path, tiny_options: TrainOptions
) -> None:
    whole = tmp_path / "cells"
    shutil.copytree(set_folder, whole / "train")
    learnt = find_sets(whole, "train")
    asked = dataclasses.replace(tiny_options, validation_windows=2).resolved()
    unasked = dataclasses.replace(tiny_options, validation_windows=0).resolved()
    limits = []
    for options in (asked, unasked):
        config = RunConfig("", options, ModelCard("", "", "", CONFIG))
        held = held_back(whole, learnt, config, tmp_path, set())
        assert not held.windows
        limits.append(held.limits)
    assert limits == [UNVALIDATED, NOT_ASKED]
