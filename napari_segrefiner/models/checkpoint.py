"""Models as files: safetensors with the card in its metadata. Nothing is executed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.files import find_weights, read_card
from napari_segrefiner.network import DenoisingUNet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_segrefiner.models.card import ModelCard

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Model:
    """A network with its weights and its card.

    ``sha256`` identifies the weight file; it is empty for a network that was never one.
    """

    network: DenoisingUNet
    card: ModelCard
    sha256: str = ""

    @property
    def name(self) -> str:
        """The card's name."""
        return self.card.name


def read_model(path: Path) -> Model:
    """Read a .safetensors file, or a folder that holds one.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Model
        The network in float32, ready for inference, on the CPU.

    Raises
    ------
    ModelError
        If the file is missing, damaged, changed since its card was written, has no
        card, or its tensors are not exactly those of the card's network.
    """
    weights = find_weights(path)
    card = read_card(weights)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    if card.sha256 and card.sha256 != sha256:
        message = (
            f"{weights} has the checksum {sha256[:12]}..., its card says "
            f"{card.sha256[:12]}...; install the model again."
        )
        raise ModelError(message)
    # On the meta device a card that lies about its size costs no memory.
    with torch.device("meta"):
        network = DenoisingUNet(card.network)
    tensors = _read_tensors(weights, dict(network.named_shapes()))
    network.load_state_dict(tensors, assign=True)
    return Model(network.eval().requires_grad_(False), card, sha256)


def save_model(
    path: Path, weights: Mapping[str, Tensor], card: ModelCard, *, half: bool = True
) -> str:
    """Write a model whole or not at all; returns the file's sha256.

    Parameters
    ----------
    path : Path
        A .safetensors file; an existing one is replaced.
    weights : mapping of name to tensor
        State dict of a :class:`DenoisingUNet` of the card's configuration.
    card : ModelCard
        Goes into the file's metadata.
    half : bool
        Store float16: half the size, rounded at the fourth digit.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {
        name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in weights.items()
    }
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, metadata={"card": card.to_json()})
    part.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_tensors(
    weights: Path, expected: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """The file's tensors as float32, if they are exactly the expected ones."""
    try:
        with safe_open(weights, framework="pt") as file:
            shapes = {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()}  # noqa: SIM118
            _check_shapes(weights, shapes, expected)
            tensors = {name: file.get_tensor(name) for name in shapes}
    except (SafetensorError, OSError) as error:
        message = f"{weights} is no complete safetensors file ({error})."
        raise ModelError(message) from error
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            message = f"{weights}: {name} holds {tensor.dtype}; floats are expected."
            raise ModelError(message)
        if not torch.isfinite(tensor).all():
            message = f"{weights}: {name} holds NaN or infinite values; train it again."
            raise ModelError(message)
    return {name: tensor.float() for name, tensor in tensors.items()}


def _check_shapes(
    weights: Path,
    shapes: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
) -> None:
    """Raise ModelError at the first tensor that is missing, surplus or misshapen."""
    for name in sorted(shapes.keys() | expected.keys()):
        if shapes.get(name) != expected.get(name):
            message = (
                f"{weights} does not fit its card: {name} has the shape "
                f"{shapes.get(name, 'none')}, {expected.get(name, 'none')} is expected."
            )
            raise ModelError(message)
