"""A deeper network that begins as a trained one, to train it further."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.card import without_run
from napari_segrefiner.models.checkpoint import Model
from napari_segrefiner.network import DenoisingUNet, ResBlock, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The same new blocks every time: means are taken of models that began alike.
SEED = 0


def deepen(model: Model, stage_depth: int) -> Model:
    """Put further residual blocks behind those that a network has.

    Parameters
    ----------
    model : Model
    stage_depth : int
        Residual blocks in a row wherever there would be one (NetworkConfig); at least
        those of the model. New ones add nothing yet, since their last convolutions are
        zero: the logits are those of the model.

    Returns
    -------
    Model
        With the model's card, whose source says so; nobody has measured it.

    Raises
    ------
    ModelError
        If the network would have fewer blocks, or more than a network can have.
    """
    old = model.card.network
    if stage_depth < old.stage_depth:
        message = (
            f"{model.name} has {old.stage_depth} residual blocks in a row; as many or "
            f"more are expected, not {stage_depth}."
        )
        raise ModelError(message)
    config = dataclasses.replace(old, stage_depth=stage_depth)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = DenoisingUNet(config)
    # Tensors outside of the stages have the same names in both.
    network.load_state_dict(_outside(model.network), strict=False)
    for shallow, deep in zip(_stages(model.network), _stages(network), strict=True):
        _fill(deep, shallow, old.stage_depth, stage_depth - old.stage_depth)
    source = f"{model.origin} with {stage_depth} residual blocks in a row. "
    card = dataclasses.replace(
        model.card,
        network=config,
        source=(source + model.card.source).strip(),
        recipe=without_run(model.card.recipe),
        metrics=None,
        sha256="",
    )
    return Model(network.eval().requires_grad_(False), card)


def _stages(network: DenoisingUNet) -> Iterator[Stage]:
    return (module for module in network.modules() if isinstance(module, Stage))


def _outside(network: DenoisingUNet) -> dict[str, torch.Tensor]:
    inside = tuple(
        f"{name}."
        for name, module in network.named_modules()
        if isinstance(module, Stage)
    )
    tensors = network.state_dict()
    return {name: tensors[name] for name in tensors if not name.startswith(inside)}


def _fill(deep: Stage, shallow: Stage, depth: int, n_new: int) -> None:
    """Copy a stage; behind `depth` residual blocks each come `n_new` silent ones."""
    n_blocks = 0
    layers: Iterator[Any] = iter(deep)
    for layer in shallow:
        next(layers).load_state_dict(layer.state_dict())
        n_blocks += isinstance(layer, ResBlock)
        if isinstance(layer, ResBlock) and n_blocks % depth == 0:
            for _ in range(n_new):
                for parameter in next(layers).out_layers[-1].parameters():
                    nn.init.zeros_(parameter)  # adds nothing to what goes past it
