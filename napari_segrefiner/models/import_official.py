"""Checkpoints of the published code, read without running anything in them."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.pickles import foreign_name

#: First bytes of what torch.save writes: now, and before torch 1.6.
ARCHIVE_START = b"PK\x03\x04"
LEGACY_START = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."

#: Bounds of an archive. A training state of the published network has 1,400 tensors
#: and a quarter of a megabyte beside them.
MAX_MEMBERS = 20_000
MAX_PICKLE = 16 * 2**20

#: Pickles at the start of an old file: number, version, machine, content, storages.
LEGACY_PICKLES = 5

MAX_NAME = 200
WRAPPERS = ("module.", "denoise_model.")
#: Constants of the loss, stored with the published weights.
LOSS = "loss_texture."

_UNNAMED = (
    "{what} is of type {kind}; tensors by name are expected, alone or as state_dict."
)


def read_official(path: Path) -> dict[str, Tensor]:
    """The network's tensors of a file that torch.save wrote.

    Accepted are the tensors by name, alone or as ``state_dict`` of a training state,
    with the prefixes ``module.`` and ``denoise_model.`` or without. Optimiser and
    constants of the loss are left aside.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict of name to tensor
        Names as in :class:`~napari_segrefiner.network.DenoisingUNet`, dtypes as stored.
        Whether they fit a network is not checked.

    Raises
    ------
    ModelError
        If the file is damaged, would run code, unpacks to more than it is, or holds
        anything else than named tensors.
    """
    tensors = network_tensors(path, _load(path))
    _check_claims(path, tensors)
    # Copies, since several names may be views of one buffer of the file.
    return {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def network_tensors(path: Path, content: object) -> dict[str, Tensor]:
    """Named tensors of the network, taken out of what a checkpoint holds.

    Raises
    ------
    ModelError
        If `content` is anything else than named tensors, or has one twice.
    """
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise ModelError(_UNNAMED.format(what=path, kind=type(content).__name__))
    tensors: dict[str, Tensor] = {}
    for key, value in content.items():
        if not isinstance(key, str) or not key.isprintable() or len(key) > MAX_NAME:
            message = f"{path} holds something that has no tensor's name; get it again."
            raise ModelError(message)
        name = key
        for prefix in WRAPPERS:
            name = name.removeprefix(prefix)
        if name.startswith(LOSS):
            continue
        if not isinstance(value, Tensor):
            what = f"{path}: {key}"
            raise ModelError(_UNNAMED.format(what=what, kind=type(value).__name__))
        if name in tensors:
            message = f"{path} holds {name} under two prefixes; keep the right one."
            raise ModelError(message)
        tensors[name] = value
    return tensors


def _load(path: Path) -> Any:
    """What the file holds: tensors, plain values and containers of them."""
    with path.open("rb") as file:
        is_archive = file.read(len(ARCHIVE_START)) == ARCHIVE_START
    try:
        if is_archive:
            _check_archive(path)
        else:
            _check_legacy(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except ModelError:
        raise
    except pickle.UnpicklingError as error:
        # torch's own words are an advice to switch the protection off
        message = f"{path} holds a pickle that torch does not accept; get it again."
        raise ModelError(message) from error
    # A file made to be broken can fail anywhere in zip, pickle and torch.
    except Exception as error:
        reason = str(error).strip().split("\n", 1)[0][:160] or type(error).__name__
        message = f"{path} is no complete checkpoint ({reason}); get it again."
        raise ModelError(message) from error


def _check_archive(path: Path) -> None:
    """Refuse an archive that would grow when unpacked, or asks for more than weights.

    torch stores its members, it never compresses them.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        is_packed = any(
            member.compress_type != zipfile.ZIP_STORED
            or member.file_size != member.compress_size
            for member in members
        )
        unpacked = sum(member.file_size for member in members)
        if is_packed or unpacked > size or len(members) > MAX_MEMBERS:
            message = (
                f"{path} has {size:,} bytes and unpacks to {unpacked:,} in "
                f"{len(members):,} members; a checkpoint is expected, never packed."
            )
            raise ModelError(message)
        pickles = [member for member in members if member.filename.endswith(".pkl")]
        if not pickles:
            message = (
                f"{path} is an archive without a checkpoint in it; unpack it first."
            )
            raise ModelError(message)
        for member in pickles:
            if member.file_size > MAX_PICKLE:
                message = (
                    f"{path}: {member.filename} has {member.file_size:,} bytes beside "
                    f"the tensors; up to {MAX_PICKLE:,} are expected."
                )
                raise ModelError(message)
            _check_pickle(path, io.BytesIO(archive.read(member)))


def _check_legacy(path: Path) -> None:
    """Refuse a file of old torch that asks for more than weights do."""
    with path.open("rb") as file:
        for _ in range(LEGACY_PICKLES):
            _check_pickle(path, file)


def _check_pickle(path: Path, stream: BinaryIO) -> None:
    name = foreign_name(stream)
    if name is not None:
        message = (
            f"{path} asks for {name}, which weights do not need; nothing was executed. "
            "Ask for the weights as tensors alone, or as .safetensors."
        )
        raise ModelError(message)


def _check_claims(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are more than the file: they would fill the memory."""
    size = path.stat().st_size
    claimed = sum(tensor.nbytes for tensor in tensors.values())
    if claimed > size:
        message = (
            f"{path} has {size:,} bytes, its tensors claim {claimed:,}; get it again."
        )
        raise ModelError(message)
