"""Models as files: safetensors with the card in its metadata. Nothing is executed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from napari_segrefiner.errors import ModelError
from napari_segrefiner.io.atomic import whole_file
from napari_segrefiner.models.files import (
    check_sha256,
    file_sha256,
    find_weights,
    read_card,
)
from napari_segrefiner.network import DenoisingUNet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_segrefiner.models.card import ModelCard
    from napari_segrefiner.network_config import NetworkConfig

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

    @property
    def origin(self) -> str:
        """Name and, if it has one, the start of its file's hash, for other cards."""
        return f"{self.name} ({self.sha256[:12]})" if self.sha256 else self.name


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
    sha256 = check_sha256(weights, card)
    network = empty_network(card.network)
    tensors = read_tensors(weights)
    what = f"{weights} does not fit its card"
    check_shapes(what, shapes_of(tensors), dict(network.named_shapes()))
    network.load_state_dict(as_float32(weights, tensors), assign=True)
    return Model(network.eval().requires_grad_(False), card, sha256)


def save_model(
    path: Path,
    weights: Mapping[str, Tensor],
    card: ModelCard,
    *,
    half: bool = True,
    is_only_writer: bool = False,
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
    is_only_writer : bool
        As of :func:`napari_segrefiner.io.atomic.whole_file`.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {
        name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in weights.items()
    }
    with whole_file(path, is_only_writer=is_only_writer) as part:
        write_tensors(part, tensors, {"card": card.to_json()})
    return file_sha256(path)


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]
) -> None:
    """Write a safetensors file with the rights that new files have here.

    The library makes files that their owner alone can read; models are shared.
    """
    path.touch()
    rights = path.stat().st_mode
    save_file(dict(tensors), path, metadata=metadata)
    path.chmod(rights)


def empty_network(config: NetworkConfig) -> DenoisingUNet:
    """A network without weights: a configuration that lies costs no memory."""
    with torch.device("meta"):
        return DenoisingUNet(config)


def read_tensors(weights: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, as they are stored.

    Raises
    ------
    ModelError
        If the file is damaged.
    """
    try:
        with safe_open(weights, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        message = f"{weights} is no complete safetensors file ({error}); get it again."
        raise ModelError(message) from error


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def check_shapes(
    what: str,
    shapes: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
) -> None:
    """Raise ModelError at the first tensor that is missing, surplus or misshapen.

    `what` begins the message, such as "X does not fit its card".
    """
    for name in sorted(shapes.keys() | expected.keys()):
        if shapes.get(name) != expected.get(name):
            message = (
                f"{what}: {name} has the shape {shapes.get(name, 'none')}, "
                f"{expected.get(name, 'none')} is expected."
            )
            raise ModelError(message)


def as_float32(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `path` as float32, if they are finite floats.

    Raises
    ------
    ModelError
        If one holds anything else.
    """
    converted = {}
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            message = f"{path}: {name} holds {tensor.dtype}; floats are expected."
            raise ModelError(message)
        converted[name] = tensor.float()
        # After the conversion: float64 reaches further than float32.
        if not torch.isfinite(converted[name]).all():
            message = (
                f"{path}: {name} holds NaN or infinite values; choose other weights."
            )
            raise ModelError(message)
    return converted
