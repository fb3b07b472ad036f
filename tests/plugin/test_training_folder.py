"""What the training dock finds in a run folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.catalogue import FOLDER_VARIABLE
from napari_segrefiner.models.install import install_model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.plugin.training_folder import look_at
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training.run_state import STATE, Counters, RunConfig, RunFolder
from tests.training.test_learner import CONFIG

CARD = ModelCard("cells", "", "", CONFIG, recipe={"run": "abc"})
DONE = Counters(iteration=4, iterations=4, validated=4, best_iteration=4)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run folder, and a catalogue without models of the user's."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    return RunFolder(tmp_path / "run")


def state(run: RunFolder, counters: Counters, name: str = "") -> str:
    """What is found in a folder with these counters."""
    run.write_config(RunConfig("data", TrainOptions(name=name).resolved(), CARD, "abc"))
    entries = dataclasses.asdict(counters) | {"steps": counters.iteration}
    metadata = {"counters": json.dumps(entries)}
    save_file({"none": np.zeros(1, np.float32)}, run.path / STATE, metadata)
    return look_at(run.path).state


def test_a_run_is_finished_once_its_model_is_installed(run: RunFolder) -> None:
    assert state(run, DONE) == "unfinished"
    install_model(CARD, DenoisingUNet(CONFIG).state_dict(), half=True)
    assert state(run, DONE) == "finished"
    assert state(run, dataclasses.replace(DONE, iteration=3)) == "unfinished"
    # Its last validation was cut off.
    assert state(run, dataclasses.replace(DONE, validated=2)) == "unfinished"


def test_a_run_without_a_model_to_install_is_finished(run: RunFolder) -> None:
    assert state(run, dataclasses.replace(DONE, best_iteration=0)) == "finished"
    assert state(run, DONE, name="none") == "finished"
