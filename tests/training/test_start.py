"""What a run starts from: names, models, options that fit, or a sentence."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from napari_segrefiner.errors import InputError, ModelError, OptionError
from napari_segrefiner.models.card import Defaults, Grids, ModelCard
from napari_segrefiner.models.checkpoint import save_model
from napari_segrefiner.models.install import install_model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import SMALL, NetworkConfig
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training.distributed import Team
from napari_segrefiner.training.run_state import CONFIG as CONFIG_FILE
from napari_segrefiner.training.run_state import STATE, RunConfig, RunFolder
from napari_segrefiner.training.start import choose_name, device_of, start
from tests.training.test_learner import CONFIG

ALONE = Team(0, 1, torch.device("cpu"))
DATA = Path("data")


def _save(path: Path, **facts: object) -> DenoisingUNet:
    torch.manual_seed(3)
    network = DenoisingUNet(CONFIG)
    card = ModelCard("old", "d", "MIT", CONFIG, **facts)  # type: ignore[arg-type]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, network.state_dict(), card, half=False)
    return network


def _begin(folder: Path, options: TrainOptions) -> tuple[RunConfig, DenoisingUNet]:
    return start(RunFolder(folder), DATA, options, resume=False, team=ALONE)


def test_a_model_file_gives_weights_grids_and_defaults(tmp_path: Path) -> None:
    grids, defaults = Grids(base=48, largest=96), Defaults(steps=3)
    old = _save(tmp_path / "m.safetensors", grids=grids, defaults=defaults)
    options = TrainOptions(init=str(tmp_path / "m.safetensors"))
    config, network = _begin(tmp_path / "cells 2", options)
    for name, tensor in old.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])
    assert all(p.requires_grad for p in network.parameters())
    card = config.card
    assert (card.name, card.grids, card.defaults) == ("cells-2", grids, defaults)
    assert config.options.window == 48
    assert "old" in card.source
    assert "MIT" in card.licence
    assert RunFolder(tmp_path / "cells 2").read_config() == config


def test_fresh_networks_have_the_shape_and_the_card_that_was_asked_for(
    tmp_path: Path,
) -> None:
    ours, _ = _begin(tmp_path / "a", TrainOptions(preset="default-model"))
    assert (ours.card.network, ours.card.normalisation) == (SMALL, "window")
    small = TrainOptions(preset="paper-lr", network="reduced", window=64)
    reduced, network = _begin(tmp_path / "b", small)
    assert sum(p.numel() for p in network.parameters()) == 1_253_473
    card = reduced.card
    assert card.normalisation == "imagenet"
    assert (card.grids.base, card.grids.largest, card.defaults.steps) == (64, 64, 6)
    assert card.defaults.transition == "marginal"


def test_paper_hr_starts_from_the_kept_checkpoint_of_a_run(tmp_path: Path) -> None:
    run = tmp_path / "lr"
    _save(run / "best.safetensors")
    (run / CONFIG_FILE).write_text("{}")
    options = TrainOptions(preset="paper-hr", init=str(run), window=16)
    with pytest.raises(InputError, match=r"has kept no checkpoint \(it is at iter"):
        _begin(tmp_path / "hr", options)
    for iteration in (9, 10):
        _save(
            run / "kept" / f"{iteration}.safetensors", defaults=Defaults(iteration // 2)
        )
    assert _begin(tmp_path / "hr", options)[0].card.defaults.steps == 5
    best = TrainOptions(init=str(run), window=16)
    assert _begin(tmp_path / "custom", best)[0].card.defaults.steps == 2
    with pytest.raises(OptionError, match="--init RUN"):
        _begin(tmp_path / "none", TrainOptions(preset="paper-hr"))


def test_a_run_without_a_model_is_no_start(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text("{}")
    with pytest.raises(InputError, match="has no model yet"):
        _begin(tmp_path / "new", TrainOptions(init=str(tmp_path)))
    with pytest.raises(ModelError, match="There is no model 'nonsense'"):
        _begin(tmp_path / "new", TrainOptions(init="nonsense"))
    assert not (tmp_path / "new").exists()


def test_windows_must_fit_the_network(tmp_path: Path) -> None:
    options = TrainOptions(preset="paper-lr", window=80)
    with pytest.raises(OptionError, match="multiples of 32 px"):
        _begin(tmp_path / "run", dataclasses.replace(options, network="published"))


def test_a_resumed_run_keeps_its_options_and_says_what_cannot_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunFolder(tmp_path / "run")
    kept = {"workers": 3, "threads": 2, "device": "cpu"}
    options = TrainOptions(preset="default-model", learning_rate=0.01, **kept)  # type: ignore[arg-type]
    first, _ = _begin(run.path, options)
    (run.path / STATE).write_bytes(b"")

    def resumed(**changes: object) -> TrainOptions:
        new = TrainOptions(**changes)  # type: ignore[arg-type]
        return start(run, DATA, new, resume=True, team=ALONE)[0].options

    assert resumed() == first.options
    assert resumed(learning_rate=0.01) == first.options
    changed = dataclasses.replace(first.options, workers=0, iterations=5)
    assert resumed(workers=0, iterations=5) == changed
    on_machine = {"workers": -1, "threads": 0, "device": "auto"}
    asked = dataclasses.replace(first.options, **on_machine)  # type: ignore[arg-type]
    assert resumed(**on_machine) == asked
    assert device_of(run, TrainOptions()) == "cpu"
    assert device_of(run, TrainOptions(device="auto")) == "auto"
    assert device_of(RunFolder(tmp_path / "new"), TrainOptions()) == "auto"
    for name, value in (("learning_rate", 0.02), ("seed", 4), ("minutes", 3.0)):
        flag = "--" + name.replace("_", "-")
        with pytest.raises(OptionError, match=f"{flag} is {value} but the run was"):
            resumed(**{name: value})
    assert not caplog.records
    start(run, Path("moved"), TrainOptions(), resume=True, team=ALONE)
    assert "goes on with moved" in caplog.text


def test_names_follow_the_folder_unless_taken(tmp_path: Path) -> None:
    assert choose_name("", tmp_path / "My cells (new)") == "My-cells-new"
    assert choose_name("", tmp_path / "???") == "model"
    assert choose_name("", tmp_path / "default") == "default-2"
    assert choose_name("none", tmp_path / "default") == "default"
    card = ModelCard("mine", "", "", CONFIG)
    install_model(card, DenoisingUNet(CONFIG).state_dict(), half=True)
    assert choose_name("", tmp_path / "mine") == "mine-2"
    with pytest.raises(OptionError, match="There is a model 'mine' already"):
        choose_name("mine", tmp_path)
    with pytest.raises(OptionError, match="cannot be called"):
        choose_name("a b", tmp_path)


def test_a_run_of_the_first_version_is_read(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text(
        '{"data": "d", "options": {"preset": "default-model", "init": "none", '
        '"iterations": 5, "minutes": 0.0, "exclude": ["a"]}, '
        '"network": {"widths": [8, 16], "groups": 4, "attention_strides": [], '
        '"middle_attention": false}}'
    )
    config = RunFolder(tmp_path).read_config()
    assert config.options.iterations == 5
    assert config.options.milestones == ()
    assert config.card.network == NetworkConfig(
        widths=(8, 16), groups=4, attention_strides=(), middle_attention=False
    )
