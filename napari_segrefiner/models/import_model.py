"""Weight files from elsewhere are checked, converted, installed; none is executed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.architecture import infer_config
from napari_segrefiner.models.catalogue import user_folder
from napari_segrefiner.models.checkpoint import (
    as_float32,
    check_shapes,
    empty_network,
    read_tensors,
    shapes_of,
)
from napari_segrefiner.models.checksums import Checksums
from napari_segrefiner.models.files import (
    SUFFIX,
    check_sha256,
    file_sha256,
    find_card,
    find_card_beside,
)
from napari_segrefiner.models.import_official import (
    ARCHIVE_START,
    LEGACY_START,
    network_tensors,
    read_official,
)
from napari_segrefiner.models.install import (
    check_name,
    install_model,
    writing_to_folder,
)
from napari_segrefiner.models.pages import read_page
from napari_segrefiner.models.published import (
    Published,
    card_of_published_kind,
    published,
)

if TYPE_CHECKING:
    from torch import Tensor

    from napari_segrefiner.models.card import ModelCard


@dataclass(frozen=True)
class Imported:
    """A model that was imported; ``notes`` are sentences that the user should read."""

    name: str
    weights: Path
    notes: tuple[str, ...] = ()


def import_model(path: str | Path, name: str | None = None) -> Imported:
    """Check a weight file and put it into the user's folder, whole or not at all.

    Parameters
    ----------
    path : str or Path
        A checkpoint of the published code (.pth, .pt, ...) or a .safetensors file, with
        or without a card inside or beside it. Its content decides which one it is.
    name : str, optional
        What it is called from now on; by default the card's name or the file's.

    Returns
    -------
    Imported

    Raises
    ------
    ModelError
        If the file cannot be read, is no model, holds NaN, or its tensors are not
        exactly those of its network; if the name is taken; if the folder is closed.
    DownloadError
        If another file was imported as this published model before.
    """
    path = Path(path)
    if name is not None:
        check_name(name)
    if _is_safetensors(path):
        return _import_safetensors(path, name)
    model = _published_model(path, name)
    if model is not None:
        return _import_published(path, model)
    return _import(path, name, read_official(path), find_card_beside(path))


def _is_safetensors(path: Path) -> bool:
    """True for a safetensors file, False for one of torch.save, by its first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
        page = read_page(path)
    except OSError as error:
        reason = error.strerror or error
        message = f"{path} cannot be read ({reason}); give the path of a weight file."
        raise ModelError(message) from error
    if page is not None:
        message = (
            f'{path} is a web page ("{page.title}") and no model; download the file '
            "itself."
        )
        raise ModelError(message)
    if start.startswith((ARCHIVE_START, LEGACY_START)):
        return False
    # Eight bytes with the length of a JSON object, then that object.
    if start[8:9] == b"{" or path.suffix == SUFFIX:
        return True
    message = (
        f"{path} is no weight file; a checkpoint that torch.save wrote or a {SUFFIX} "
        "file is expected."
    )
    raise ModelError(message)


def _published_model(path: Path, name: str | None) -> Published | None:
    """The published model that `path` should be: by the name given, or by its own."""
    if name is not None:
        return published().get(name)
    return next((m for m in published().values() if m.file == path.name), None)


def _import_published(path: Path, model: Published) -> Imported:
    """Import the authors' file: its tensors decide, its checksum is remembered."""
    check_name(model.name)
    sha256 = file_sha256(path)
    checksums = Checksums(user_folder())
    checksums.check(model, sha256)
    tensors = read_official(path)
    card = model.card(_origin(path, sha256))
    _check_fit(f"{path} is not {model.name}", tensors, card)
    weights = _install(path, card, tensors)
    with writing_to_folder():
        note = checksums.note(model, sha256)
    return Imported(model.name, weights, (note,) if note else ())


def _import_safetensors(path: Path, name: str | None) -> Imported:
    """Import a model of this project, or converted tensors without a card."""
    card = find_card(path)
    if card is None:
        return _import(path, name, network_tensors(path, read_tensors(path)), None)
    check_sha256(path, card)
    return _import(path, name, read_tensors(path), card)


def _import(
    path: Path, name: str | None, tensors: Mapping[str, Tensor], card: ModelCard | None
) -> Imported:
    """Import what is not the authors' own file, with the card found for it."""
    if card is None:
        card = card_of_published_kind(
            path.stem,
            infer_config(str(path), shapes_of(tensors)),
            description=f"Imported from {path.name}.",
            licence="unknown",
            recipe=_origin(path, file_sha256(path)),
        )
    name = name or as_name(card.name)
    check_name(name)
    if name in published() and card.network != published()[name].network:
        message = f"{path} is not {name}: its network differs; choose another --name."
        raise ModelError(message)
    card = dataclasses.replace(card, name=name, sha256="")
    _check_fit(f"{path} does not fit its network", tensors, card)
    return Imported(name, _install(path, card, tensors))


def _check_fit(what: str, tensors: Mapping[str, Tensor], card: ModelCard) -> None:
    """Raise ModelError, beginning with `what`, if the tensors are not the network's."""
    expected = dict(empty_network(card.network).named_shapes())
    check_shapes(what, shapes_of(tensors), expected)


def _install(path: Path, card: ModelCard, tensors: Mapping[str, Tensor]) -> Path:
    # Everything but float16 becomes float32, so that no value is rounded.
    half = all(tensor.dtype == torch.float16 for tensor in tensors.values())
    return install_model(card, as_float32(path, tensors), half=half)


def _origin(path: Path, sha256: str) -> dict[str, Any]:
    """What the card tells of the file that was imported."""
    return {"imported": {"file": path.name, "sha256": sha256}}


def as_name(text: str) -> str:
    """A model's name from any text: dashes for what a name may not have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64] or "model"
