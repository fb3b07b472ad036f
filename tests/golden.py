"""Golden files and the weights they were made with (formula, not stored)."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_segrefiner.network import DenoisingUNet, NetworkConfig

DATA = Path(__file__).parent / "data"

#: The reduced network of the golden files.
REDUCED = NetworkConfig(
    widths=(32, 32, 64, 64), blocks_down=1, blocks_up=2, attention_strides=(4, 8)
)


def load(name: str) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of one golden file."""
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def formula_uniform(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Uniforms in [0, 1) from a tensor's name, the same on every machine."""
    bits = np.random.PCG64(zlib.crc32(name.encode("utf-8")))
    raw = bits.random_raw(int(np.prod(shape)))
    return ((raw >> np.uint64(11)) * 2.0**-53).reshape(shape)


def formula_weight(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The tensor `name` of a network with formula weights, float32."""
    v = 2.0 * formula_uniform(name, shape) - 1.0
    if name == "time_embed.weight":
        value = 3.0 * v
    elif len(shape) == 1:
        value = 1.0 + 0.2 * v if name.endswith("weight") else 0.1 * v
    else:
        gain = 4.0 if name == "out.2.weight" else 1.0
        value = v * gain * np.sqrt(3.0 / np.prod(shape[1:]))
    return value.astype(np.float32)


def formula_network(config: NetworkConfig) -> DenoisingUNet:
    """A network with formula weights, ready to run."""
    network = DenoisingUNet(config)
    network.load_state_dict(
        {
            name: torch.from_numpy(formula_weight(name, shape))
            for name, shape in network.named_shapes()
        }
    )
    return network.eval()


def uniforms(k: np.ndarray[Any, Any]) -> torch.Tensor:
    """Noise stored as uint8 k: (k + 0.5) / 256, exact in float32."""
    return torch.from_numpy((k.astype(np.float32) + 0.5) / 256.0)


def as_float(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """A stored mask or image as a float32 tensor."""
    return torch.from_numpy(array.astype(np.float32))
