"""Models as files: a round trip, and files that must be refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.card import Defaults, ModelCard, resolve
from napari_segrefiner.models.catalogue import FOLDER_VARIABLE, entries, load_model
from napari_segrefiner.models.checkpoint import read_model, save_model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import NetworkConfig
from napari_segrefiner.options import PUBLISHED, RefineOptions

TINY = NetworkConfig(
    widths=(8, 16), blocks_down=1, blocks_up=1, attention_strides=(), groups=4
)


@pytest.fixture
def card() -> ModelCard:
    return ModelCard(
        name="tiny",
        description="A network for tests.",
        licence="BSD-3-Clause",
        network=TINY,
        data=[{"set": "none"}],
    )


@pytest.fixture
def network() -> DenoisingUNet:
    torch.manual_seed(3)
    return DenoisingUNet(TINY).eval()


def test_a_saved_model_is_read_back(tmp_path, network, card):
    path = tmp_path / "tiny.safetensors"
    sha256 = save_model(path, network.state_dict(), card, half=False)
    model = read_model(path)
    assert model.card == card
    assert model.sha256 == sha256
    x, index = torch.rand(1, 4, 16, 16), torch.tensor([5])
    with torch.inference_mode():
        torch.testing.assert_close(model.network(x, index), network(x, index))
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_a_model_may_be_read_by_whom_other_files_may_be_read(tmp_path, network, card):
    plain, path = tmp_path / "plain", tmp_path / "tiny.safetensors"
    plain.touch()
    save_model(path, network.state_dict(), card)
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("steps", [0, 99, "x", 2.5, None])
def test_defaults_that_are_no_options_are_refused(card, steps):
    entries = json.loads(card.to_json())
    entries["defaults"]["steps"] = steps
    with pytest.raises(ModelError, match="steps"):
        ModelCard.from_json(json.dumps(entries))


def test_half_precision_is_half_the_size_and_nearly_the_same(tmp_path, network, card):
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_model(full, network.state_dict(), card, half=False)
    save_model(half, network.state_dict(), card)
    assert half.stat().st_size < 0.75 * full.stat().st_size
    x, index = torch.rand(1, 4, 16, 16), torch.tensor([5])
    with torch.inference_mode():
        torch.testing.assert_close(
            read_model(half).network(x, index), network(x, index), atol=1e-2, rtol=0
        )


def test_a_folder_with_one_model_is_a_model(tmp_path, network, card):
    save_model(tmp_path / "tiny.safetensors", network.state_dict(), card)
    assert read_model(tmp_path).name == "tiny"


def test_a_folder_with_two_models_is_refused(tmp_path, network, card):
    for name in ("a", "b"):
        save_model(tmp_path / f"{name}.safetensors", network.state_dict(), card)
    with pytest.raises(ModelError, match="holds 2"):
        read_model(tmp_path)


def test_the_folder_of_a_training_is_its_best_model(tmp_path, network, card):
    for name in ("best", "state"):
        one = dataclasses.replace(card, name=name)
        save_model(tmp_path / f"{name}.safetensors", network.state_dict(), one)
    assert read_model(tmp_path).name == "best"


def test_the_card_beside_the_weights_is_preferred_and_its_checksum_kept(
    tmp_path, network, card
):
    path = tmp_path / "tiny.safetensors"
    sha256 = save_model(path, network.state_dict(), card)
    known = dataclasses.replace(card, sha256=sha256, metrics={"iou": 0.5})
    path.with_suffix(".json").write_text(known.to_json())
    assert read_model(path).card.metrics == {"iou": 0.5}
    changed = dataclasses.replace(known, sha256="0" * 64)
    path.with_suffix(".json").write_text(changed.to_json())
    with pytest.raises(ModelError, match="install the model again"):
        read_model(path)


def test_a_cut_file_is_refused(tmp_path, network, card):
    path = tmp_path / "tiny.safetensors"
    save_model(path, network.state_dict(), card)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="no complete safetensors file"):
        read_model(path)


def test_a_file_without_card_is_refused(tmp_path, network):
    path = tmp_path / "tiny.safetensors"
    save_file(network.state_dict(), path)
    with pytest.raises(ModelError, match="no card"):
        read_model(path)


def spoiled(network: DenoisingUNet, how: str) -> dict[str, torch.Tensor]:
    """Weights of `network` with one fault."""
    weights = {k: v.clone() for k, v in network.state_dict().items()}
    if how == "missing":
        del weights["out.2.bias"]
    elif how == "surplus":
        weights["zzz"] = torch.zeros(1)
    elif how == "shape":
        weights["out.2.weight"] = torch.zeros(1, 8, 5, 5)
    elif how == "nan":
        weights["out.2.bias"][0] = np.nan
    return weights


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "out.2.bias has the shape none"),
        ("surplus", "zzz"),
        ("shape", r"out.2.weight has the shape \(1, 8, 5, 5\), \(1, 8, 3, 3\)"),
        ("nan", "out.2.bias holds NaN"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, network, card, how, message):
    path = tmp_path / "tiny.safetensors"
    save_model(path, spoiled(network, how), card)
    with pytest.raises(ModelError, match=message):
        read_model(path)


def test_whole_numbers_as_weights_are_refused(tmp_path, network, card):
    path = tmp_path / "tiny.safetensors"
    weights = {k: v.int().contiguous() for k, v in network.state_dict().items()}
    save_file(weights, path, metadata={"card": card.to_json()})
    with pytest.raises(ModelError, match="floats are expected"):
        read_model(path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"name": "x"}', '{"network": {"widths": [1e99]}}']
)
def test_cards_that_are_none_are_refused(text):
    with pytest.raises(ModelError):
        ModelCard.from_json(text)


def test_a_card_survives_json(card):
    assert ModelCard.from_json(card.to_json()) == card
    assert json.loads(card.to_json())["network"]["widths"] == [8, 16]


def test_what_a_card_says_cannot_drive_a_terminal(card):
    told = dataclasses.replace(
        card,
        description="clear \x1b[2J, bell \x07, C1 \x9b31m, line\n\tand Zellen µ",
        data=[{"set\x1b]0;title": "\x1b[31m"}],
    )
    read = ModelCard.from_json(told.to_json())
    assert read.description == "clear ?[2J, bell ?, C1 ?31m, line\n\tand Zellen µ"
    assert read.data == [{"set?]0;title": "?[31m"}]


def test_unset_options_come_from_the_card_and_set_ones_stay(card):
    options = resolve(RefineOptions(steps=4), card)
    assert options.steps == 4
    assert options.padding == card.defaults.padding
    assert options.grid is None


def test_preset_published_overrides_the_card(card):
    options = resolve(RefineOptions(preset="published"), card)
    assert {name: getattr(options, name) for name in PUBLISHED} == PUBLISHED


def test_own_models_are_known_by_name(tmp_path, monkeypatch, network, card):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    save_model(tmp_path / "mine.safetensors", network.state_dict(), card)
    assert "mine" in {entry.name for entry in entries()}
    assert load_model("mine").name == "tiny"


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(ModelError, match="no model 'nonsense'; choose"):
        load_model("nonsense")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 3},
        {"licence": None},
        {"normalisation": "surprise"},
        {"grids": {"base": 0}},
        {"grids": {"largest": 10**9}},
        {"grids": {"largest": 2048}},
        {"grids": {"largest": 1024, "multiple": 512}},
        {"grids": {"enlarge": 0.0}},
        {"network": {"groups": 7}},
    ],
)
def test_cards_with_unusable_values_are_refused(card, wrong):
    entries = json.loads(card.to_json())
    for name, value in wrong.items():
        entries[name] = entries[name] | value if isinstance(value, dict) else value
    with pytest.raises(ModelError, match="expected"):
        ModelCard.from_json(json.dumps(entries))


def test_a_card_nested_without_end_is_refused():
    with pytest.raises(ModelError, match="cannot be read"):
        ModelCard.from_json("[" * 200_000)


@pytest.mark.parametrize("mode", ["whole", "auto"])
def test_modes_about_windows_have_them_whatever_the_card_says(card, mode):
    plain = dataclasses.replace(card, defaults=Defaults(windows=False))
    assert resolve(RefineOptions(), plain).windows is False
    assert resolve(RefineOptions(mode=mode), plain).windows is True
    assert resolve(RefineOptions(mode=mode, windows=False), plain).windows is False
