"""Networks whose answers are known, and models made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from napari_segrefiner.core.events import ObjectReport, RefineResult
from napari_segrefiner.models.card import Defaults, Grids, ModelCard
from napari_segrefiner.models.checkpoint import Model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import NetworkConfig

#: Two levels, a few thousand parameters.
TINY = NetworkConfig(
    widths=(8, 8),
    blocks_down=1,
    blocks_up=1,
    attention_strides=(),
    middle_attention=False,
    groups=4,
    embedding=8,
    unshuffle=2,
    resampling="light",
    head="full_resolution",
)

Network = Callable[[Tensor, Tensor], Tensor]


def oracle(x: Tensor, index: Tensor) -> Tensor:
    """Answers the mask that it is given: whatever changes, the pipeline changed."""
    return (2 * x[:, 3:4] - 1) * 20


def bright(x: Tensor, index: Tensor) -> Tensor:
    """Answers where the picture is brighter than its mean."""
    return torch.where(x[:, :1] > 0, 20.0, -20.0)


def nothing(x: Tensor, index: Tensor) -> Tensor:
    """Answers that there is no object."""
    return torch.full_like(x[:, :1], -20.0)


def everything(x: Tensor, index: Tensor) -> Tensor:
    """Answers that all is object."""
    return torch.full_like(x[:, :1], 20.0)


def tiny_network(seed: int = 0) -> DenoisingUNet:
    """A real network with random weights: answers that depend on every input."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DenoisingUNet(TINY).requires_grad_(False).eval()


def stub_model(network: Network = oracle, **defaults: Any) -> Model:
    """A model whose card has the given defaults, with any callable as its network."""
    card = ModelCard(
        name="stub",
        description="for tests",
        licence="none",
        network=TINY,
        grids=Grids(),
        defaults=dataclasses.replace(Defaults(), **defaults),
    )
    return Model(cast("DenoisingUNet", network), card)


def disk(
    shape: tuple[int, int], y: float, x: float, radius: float
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Pixels of `shape` whose centres lie within `radius` of (y, x)."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def by_id(result: RefineResult) -> dict[int, ObjectReport]:
    """The report by label."""
    return {entry.id: entry for entry in result.report}
