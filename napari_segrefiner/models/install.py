"""The folder of the user's own models: put one in, or take one out."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.catalogue import (
    DEFAULT,
    FOLDER_VARIABLE,
    entries,
    user_folder,
)
from napari_segrefiner.models.files import SUFFIX

if TYPE_CHECKING:
    from torch import Tensor

    from napari_segrefiner.models.card import ModelCard

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

#: Unfinished work in the folder. A killed program may leave some; after a day it goes.
WORK_PREFIX = ".unfinished-"
ABANDONED_SECONDS = 24 * 3600


def check_name(name: str) -> None:
    """Raise ModelError unless a new model of the user's may take this name."""
    if NAME.fullmatch(name) is None:
        message = (
            f"A model cannot be called {name!r}; up to 64 letters, digits, dots, "
            "dashes and underscores are expected, the first a letter or a digit."
        )
        raise ModelError(message)
    known = {entry.name: entry for entry in entries()}
    if name == DEFAULT or (name in known and not known[name].is_own):
        message = (
            f"The name {name!r} is that of a model in the package; choose another one "
            "with --name."
        )
        raise ModelError(message)
    if name in known:
        message = (
            f"There is a model {name!r} already; choose another name with --name, or "
            f"remove it first: napari-segrefiner models remove {name}"
        )
        raise ModelError(message)


def install_model(
    card: ModelCard, tensors: Mapping[str, Tensor], *, half: bool
) -> Path:
    """Write a model and its card into the folder, whole or not at all.

    Parameters
    ----------
    card : ModelCard
        Its name becomes the file's.
    tensors : mapping of name to tensor
        Those of the card's network.
    half : bool
        Store float16.

    Returns
    -------
    Path
        The weight file.

    Raises
    ------
    ModelError
        If the name is taken or none, or the folder cannot be written.
    """
    from napari_segrefiner.models.checkpoint import save_model  # brings torch

    check_name(card.name)
    with working_folder() as work, writing_to_folder():
        part = work / (card.name + SUFFIX)
        card_part = work / (card.name + ".json")
        sha256 = save_model(part, tensors, card, half=half)
        text = dataclasses.replace(card, sha256=sha256).to_json()
        card_part.write_text(text + "\n", encoding="utf-8")
        # The weights last: only with them there is a model.
        card_part.replace(user_folder() / card_part.name)
        return part.replace(user_folder() / part.name)


def remove_model(name: str) -> Path:
    """Delete one of the user's models with its card; returns the deleted weight file.

    Raises
    ------
    ModelError
        If there is none of this name, or it belongs to the package.
    """
    entry = next((entry for entry in entries() if entry.name == name), None)
    if entry is None:
        own = [entry.name for entry in entries() if entry.is_own]
        message = (
            f"No model {name!r} is installed; yours are: {', '.join(own) or 'none'}."
        )
        raise ModelError(message)
    if not entry.is_own:
        message = f"The model {name!r} is a part of napari-segrefiner and stays."
        raise ModelError(message)
    with writing_to_folder():
        entry.weights.unlink()
        entry.weights.with_suffix(".json").unlink(missing_ok=True)
    return entry.weights


@contextlib.contextmanager
def working_folder() -> Iterator[Path]:
    """A folder for unfinished files, on the disk of the user's models; gone after."""
    folder = user_folder()
    with writing_to_folder():
        folder.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(folder)
        work = tempfile.TemporaryDirectory(
            prefix=WORK_PREFIX, dir=folder, ignore_cleanup_errors=True
        )
    with work:
        yield Path(work.name)


@contextlib.contextmanager
def writing_to_folder() -> Iterator[None]:
    """Turn what the disk refuses into a ModelError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        message = (
            f"The folder of models {user_folder()} cannot be written ({error}); make "
            f"room there, or name another folder in {FOLDER_VARIABLE}."
        )
        raise ModelError(message) from error


def _clear_abandoned(folder: Path) -> None:
    for work in folder.glob(WORK_PREFIX + "*"):
        with contextlib.suppress(FileNotFoundError):  # its program has just finished
            if time.time() - work.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(work, ignore_errors=True)
