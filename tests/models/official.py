"""Checkpoints as the published code writes them, small ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import NetworkConfig
from tests.golden import formula_weight

#: The smallest network of the published kind with everything in it.
TINY = NetworkConfig(
    widths=(8, 16, 16), blocks_down=1, blocks_up=2, attention_strides=(4,)
)

PREFIX = "denoise_model."


def weights_of(config: NetworkConfig = TINY) -> dict[str, torch.Tensor]:
    """Formula weights of a network, float32."""
    with torch.device("meta"):
        network = DenoisingUNet(config)
    return {
        name: torch.from_numpy(formula_weight(name, shape))
        for name, shape in network.named_shapes()
    }


def published_content(
    weights: dict[str, torch.Tensor], prefix: str = PREFIX
) -> dict[str, torch.Tensor]:
    """What a published file holds: prefixed weights and the loss's two constants."""
    content = {prefix + name: tensor for name, tensor in weights.items()}
    for axis in ("x", "y"):
        content[f"loss_texture.sobel.conv_{axis}.weight"] = torch.ones(1, 1, 3, 3)
    return content


def training_state(weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """What a training with the published code leaves behind."""
    content = published_content(weights, "module." + PREFIX)
    moments = {"step": 7, "exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3)}
    return {
        "meta": {"epoch": 1, "iter": 40000, "config": "model = dict()", "time": "Fri"},
        "state_dict": content,
        "optimizer": {"state": {0: moments}, "param_groups": [{"lr": 4e-4}]},
    }


def save(path: Path, content: object, **options: Any) -> Path:
    """Write `content` as torch does; returns `path`."""
    torch.save(content, path, **options)
    return path
