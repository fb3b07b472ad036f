"""Golden files and the weights they were made with (formula, not stored)."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_segrefiner.core.preprocessing import normalise
from napari_segrefiner.network import DenoisingUNet, NetworkConfig

DATA = Path(__file__).parent / "data"

#: What was compared so far: its largest deviation, and the allowed one.
DEVIATIONS: dict[str, tuple[float, float]] = {}

#: The reduced network of the golden files.
REDUCED = NetworkConfig(
    widths=(32, 32, 64, 64), blocks_down=1, blocks_up=2, attention_strides=(4, 8)
)


def check(what: str, found: Any, expected: Any, allowed: float = 0.0) -> None:
    """Compare with golden values; ``pytest --deviations`` tells how far they are off.

    Parameters
    ----------
    what : str
        The golden file, and what of it.
    found, expected : array-likes or tensors
        Of one shape.
    allowed : float
        Largest absolute deviation.
    """
    off = np.asarray(found, np.float64) - np.asarray(expected, np.float64)
    assert off.shape == np.shape(expected), f"{what}: a shape is broadcast"
    worst = float(np.abs(off).max(initial=0.0))
    so_far, _ = DEVIATIONS.get(what, (0.0, 0.0))
    DEVIATIONS[what] = max(so_far, worst), allowed
    assert worst <= allowed, f"{what} is off by {worst:g}; {allowed:g} is allowed"


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


def unet_input(side: int) -> torch.Tensor:
    """The input of the large golden forward pass, (1, 4, side, side), not stored."""
    y, x = np.mgrid[:side, :side].astype(np.float64)
    channels = [
        128
        + 60 * np.sin(0.11 * x + 0.3 * c)
        + 50 * np.cos(0.07 * y * (c + 1))
        + 15 * (2 * formula_uniform(f"unet256{c}", (side, side)) - 1)
        for c in range(3)
    ]
    image = np.rint(np.stack(channels)).clip(0, 255).astype(np.float32)
    mask = ((x - 0.55 * side) / (0.3 * side)) ** 2
    mask = mask + ((y - 0.45 * side) / (0.25 * side)) ** 2 <= 1
    picture = normalise(torch.from_numpy(image)[None] / 255, "imagenet")
    return torch.cat([picture, torch.from_numpy(mask)[None, None].float()], dim=1)
