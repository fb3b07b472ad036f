"""Where a model's weights and card lie on the disk; readable without torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import SafetensorError, safe_open

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.card import ModelCard

SUFFIX = ".safetensors"
#: The model of a training's folder that counts.
BEST = "best.safetensors"


def find_weights(path: Path) -> Path:
    """The weight file: `path` itself, or the only one in the folder `path`.

    Of the folder of a training it is the best model so far.

    Raises
    ------
    ModelError
        If there is none, or more than one.
    """
    if path.is_dir():
        found = sorted(path.glob("*" + SUFFIX))
        if path / BEST in found:
            return path / BEST
        if len(found) != 1:
            message = (
                f"The folder {path} holds {len(found)} {SUFFIX} files; exactly one is "
                "expected. Name the file itself."
            )
            raise ModelError(message)
        return found[0]
    if path.suffix != SUFFIX or not path.is_file():
        message = (
            f"{path} is no model; a {SUFFIX} file or a folder with one is expected. "
            "Import other checkpoints first: napari-segrefiner models import FILE."
        )
        raise ModelError(message)
    return path


def model_files(model: str) -> list[Path]:
    """Files that a model would be read from, which nothing written may replace.

    They need not be there, as where the model is named as it is in the list of models.
    A name that the system refuses has none; whoever loads it is told so.
    """
    path = Path(model)
    try:
        weights = list(path.glob("*" + SUFFIX)) if path.is_dir() else [path]
    except OSError:  # such as a name that is too long, or a closed folder
        return []
    return [file for one in weights for file in (one, one.with_suffix(".json"))]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits; the file is never in memory whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(weights: Path, card: ModelCard) -> str:
    """The SHA-256 of a weight file.

    Raises
    ------
    ModelError
        If `card` states another one.
    """
    sha256 = file_sha256(weights)
    if card.sha256 not in ("", sha256):
        message = (
            f"{weights} has the checksum {sha256[:12]}..., its card says "
            f"{card.sha256[:12]}...; install the model again."
        )
        raise ModelError(message)
    return sha256


def read_card(weights: Path) -> ModelCard:
    """The card of a weight file; see :func:`find_card`.

    Raises
    ------
    ModelError
        If there is none, or it cannot be read.
    """
    card = find_card(weights)
    if card is None:
        message = (
            f"{weights} holds no card, so its network is unknown; put the card's JSON "
            f"beside it as {weights.with_suffix('.json').name}."
        )
        raise ModelError(message)
    return card


def find_card(weights: Path) -> ModelCard | None:
    """The card beside a weight file, else the one in its metadata, else None.

    The card beside it can say more (checksum, measured figures) than the one inside.

    Raises
    ------
    ModelError
        If it cannot be read, or `weights` is no safetensors file.
    """
    card = find_card_beside(weights)
    if card is not None:
        return card
    try:
        with safe_open(weights, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        message = f"{weights} is no complete safetensors file ({error}); get it again."
        raise ModelError(message) from error
    return _card(weights, metadata["card"]) if "card" in metadata else None


def find_card_beside(weights: Path) -> ModelCard | None:
    """The card in the JSON file of the same name; None if there is no such file.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    beside = weights.with_suffix(".json")
    if not beside.is_file():
        return None
    try:
        text = beside.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"The card {beside} cannot be read ({error}); put it right."
        raise ModelError(message) from error
    return _card(beside, text)


def _card(path: Path, text: str) -> ModelCard:
    """The card in `text`; the error names the file that it is from."""
    try:
        return ModelCard.from_json(text)
    except ModelError as error:
        message = f"{path}: {error}"
        raise ModelError(message) from error
