"""Means of weights."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from napari_segrefiner.cli.main import main
from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.average import average_models
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.checkpoint import Model, read_model
from napari_segrefiner.models.export import export_model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import NetworkConfig

TINY = NetworkConfig(
    widths=(8, 16), blocks_down=1, blocks_up=1, attention_strides=(), groups=4
)


def make_model(name: str, seed: int, network: NetworkConfig = TINY) -> Model:
    torch.manual_seed(seed)
    card = ModelCard(name=name, description="b", licence="c", network=network)
    return Model(DenoisingUNet(network).eval(), card, sha256=str(seed) * 64)


def test_every_weight_is_the_mean_and_the_models_stay_as_they_were():
    models = [make_model("a", 1), make_model("b", 2), make_model("c", 3)]
    before = models[0].network.state_dict()["time_embed.weight"].clone()
    mean = average_models(models)
    states = [model.network.state_dict() for model in models]
    for name, tensor in mean.network.state_dict().items():
        expected = (states[0][name] + states[1][name] + states[2][name]) / 3
        torch.testing.assert_close(tensor, expected)
    assert torch.equal(states[0]["time_embed.weight"], before)
    assert "a (111111111111), b (222222222222), c (3" in mean.card.source
    assert mean.sha256 == mean.card.sha256 == ""


def test_a_model_of_no_file_is_named_without_a_hash():
    mean = average_models([make_model("a", 1), average_models([make_model("b", 2)])])
    assert mean.card.source.startswith("Mean of the weights of a (111111111111), b.")


def test_the_card_of_a_mean_has_all_licences_and_no_figures_of_others():
    models = [make_model("a", 1), make_model("b", 2), make_model("a", 1)]
    card = dataclasses.replace(models[0].card, licence="d", metrics={"iou": 0.9})
    models[0] = models[2] = dataclasses.replace(models[0], card=card)
    mean = average_models(models)
    assert mean.card.metrics is None
    assert mean.card.licence == "d; c"


def test_the_card_of_a_mean_tells_of_all_and_is_no_model_of_a_run():
    models = [make_model("a", 1), make_model("b", 2)]
    facts = (
        ("First.", {"name": "x"}, {"run": "1", "iteration": 3}, "Little."),
        ("Second.", {"name": "y"}, {"run": "2", "iteration": 3}, "None."),
    )
    models = [
        dataclasses.replace(
            model,
            card=dataclasses.replace(
                model.card, description=text, data=data, recipe=recipe, limits=limits
            ),
        )
        for model, (text, data, recipe, limits) in zip(models, facts, strict=True)
    ]
    card = average_models(models).card
    assert card.description == "Mean of 2 models. First. Second."
    assert card.data == [
        {"model": models[0].origin, "data": {"name": "x"}},
        {"model": models[1].origin, "data": {"name": "y"}},
    ]
    assert card.recipe == {"iteration": 3}  # the same of both but for the run
    assert card.limits == "Little. None."
    alike = average_models([models[0], models[0]]).card
    assert alike.description == "First."
    assert (alike.data, alike.limits) == ({"name": "x"}, "Little.")


@pytest.mark.parametrize("what", ["network", "normalisation"])
def test_models_of_different_kinds_have_no_mean(what):
    other = make_model("b", 2)
    if what == "network":
        other = make_model("b", 2, dataclasses.replace(TINY, widths=(8, 32)))
    else:
        card = dataclasses.replace(other.card, normalisation="imagenet")
        other = dataclasses.replace(other, card=card)
    with pytest.raises(ModelError, match=f"a and b differ in their {what}"):
        average_models([make_model("a", 1), other])


def test_the_command_line_exports_a_mean(tmp_path):
    models = [make_model("a", 1), make_model("b", 2)]
    paths = [tmp_path / f"{model.name}.safetensors" for model in models]
    for model, path in zip(models, paths, strict=True):
        export_model(model, path, {})
    output = tmp_path / "mean.safetensors"
    command = ["models", "export", str(paths[0]), "--average-with", str(paths[1])]
    assert main([*command, "-o", str(output)]) == 0
    found = read_model(output).network.state_dict()
    first, second = (read_model(path).network.state_dict() for path in paths)
    for name, tensor in found.items():
        middle = (first[name] + second[name]) / 2
        torch.testing.assert_close(tensor, middle, rtol=1e-3, atol=1e-4)
