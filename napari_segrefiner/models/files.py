"""Where a model's weights and card lie on the disk; readable without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.card import ModelCard

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".safetensors"


def find_weights(path: Path) -> Path:
    """The weight file: `path` itself, or the only one in the folder `path`.

    Raises
    ------
    ModelError
        If there is none, or more than one.
    """
    if path.is_dir():
        found = sorted(path.glob("*" + SUFFIX))
        if len(found) != 1:
            message = (
                f"The folder {path} holds {len(found)} {SUFFIX} files; exactly one is "
                "expected. Name the file itself."
            )
            raise ModelError(message)
        return found[0]
    if path.suffix != SUFFIX or not path.is_file():
        message = f"{path} is no model; a {SUFFIX} file or a folder with one is asked."
        raise ModelError(message)
    return path


def read_card(weights: Path) -> ModelCard:
    """The card beside a weight file, else the one in its metadata.

    The card beside it can say more (checksum, measured figures) than one that is inside.

    Raises
    ------
    ModelError
        If there is none, or it cannot be read.
    """
    beside = weights.with_suffix(".json")
    if beside.is_file():
        try:
            return ModelCard.from_json(beside.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            message = f"The card {beside} cannot be read ({error})."
            raise ModelError(message) from error
    try:
        with safe_open(weights, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        message = f"{weights} is no complete safetensors file ({error})."
        raise ModelError(message) from error
    if "card" not in metadata:
        message = (
            f"{weights} holds no card, so its network is unknown; put the card's JSON "
            f"beside it as {beside.name}."
        )
        raise ModelError(message)
    return ModelCard.from_json(metadata["card"])
