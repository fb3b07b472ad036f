"""Deeper networks that begin as trained ones."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from napari_segrefiner.cli.main import main
from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.average import average_models
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.checkpoint import Model, read_model
from napari_segrefiner.models.deepen import deepen
from napari_segrefiner.models.export import export_model
from napari_segrefiner.network import DenoisingUNet, ResBlock
from napari_segrefiner.network_config import SMALL, NetworkConfig

TINY = NetworkConfig(
    widths=(8, 16), blocks_down=1, blocks_up=1, attention_strides=(), groups=4
)
REDUCED = NetworkConfig(
    widths=(32, 64), blocks_down=1, blocks_up=2, attention_strides=(2,)
)


def _model(network: NetworkConfig = TINY) -> Model:
    torch.manual_seed(1)
    card = ModelCard(
        name="a", description="b", licence="c", network=network, metrics={"iou": 0.9}
    )
    return Model(DenoisingUNet(network).eval(), card, sha256="1" * 64)


def _inputs() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(2, 4, 32, 32, generator=torch.Generator().manual_seed(2))
    x[:, 3] = (x[:, 3] > 0.5).float()
    return x, torch.tensor([5, 2])


def _n_blocks(model: Model) -> int:
    return sum(isinstance(module, ResBlock) for module in model.network.modules())


@pytest.mark.parametrize("network", [TINY, REDUCED, SMALL])
@pytest.mark.parametrize("depths", [(2,), (3,), (2, 3)])
def test_a_deeper_network_has_more_blocks_and_gives_the_same_logits(network, depths):
    model = _model(network)
    deeper = model
    for depth in depths:
        deeper = deepen(deeper, depth)
    assert _n_blocks(deeper) == depths[-1] * _n_blocks(model)
    with torch.no_grad():
        torch.testing.assert_close(
            deeper.network(*_inputs()), model.network(*_inputs()), rtol=0, atol=0
        )


def test_a_deeper_network_is_no_model_of_the_run():
    model = _model()
    card = dataclasses.replace(model.card, recipe={"run": "1", "seed": 4})
    deeper = deepen(dataclasses.replace(model, card=card), 2)
    assert deeper.card.recipe == {"seed": 4}


def test_new_blocks_begin_alike_and_learn():
    deeper, again = deepen(_model(), 2), deepen(_model(), 2)
    torch.manual_seed(3)
    for name, tensor in deepen(_model(), 2).network.state_dict().items():
        assert torch.equal(tensor, deeper.network.state_dict()[name])
    network = again.network.train().requires_grad_(True)
    network(*_inputs()).square().mean().backward()
    new = [
        block.out_layers[-1].weight
        for block in network.modules()
        if isinstance(block, ResBlock) and not block.out_layers[-1].weight.any()
    ]
    assert len(new) == _n_blocks(_model())
    assert all(weight.grad is not None and weight.grad.any() for weight in new)


def test_its_card_tells_where_it_is_from_and_claims_no_figures():
    card = deepen(_model(), 2).card
    assert card.network == dataclasses.replace(TINY, stage_depth=2)
    assert card.source.startswith("a (111111111111) with 2 residual blocks in a row.")
    assert card.metrics is None
    assert card.sha256 == ""
    again = deepen(deepen(_model(), 2), 3).card  # of a network that was never a file
    assert again.source.startswith("a with 3 residual blocks in a row. a (1111")


def test_it_cannot_become_shallower_or_endless():
    with pytest.raises(ModelError, match="a has 2 residual blocks in a row"):
        deepen(deepen(_model(), 2), 1)
    with pytest.raises(ModelError):
        deepen(_model(), 1000)


def test_the_command_line_exports_one_that_can_be_averaged(tmp_path, capsys):
    start, deep = tmp_path / "start.safetensors", tmp_path / "deep.safetensors"
    export_model(_model(), start, {})
    command = ["models", "export", str(start), "-o", str(deep), "--stage-depth", "2"]
    assert main(command) == 0
    found = read_model(deep)
    x, index = _inputs()
    with torch.no_grad():
        torch.testing.assert_close(
            found.network(x, index), read_model(start).network(x, index)
        )
    assert main(["models", "info", str(deep)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "1 down and 1 up, each 2 in a row" in told
    assert average_models([found, found]).card.network.stage_depth == 2
    with pytest.raises(ModelError, match="differ in their network"):
        average_models([found, read_model(start)])
