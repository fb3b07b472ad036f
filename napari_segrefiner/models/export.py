"""A model as files to hand on: weights, and a card that says what training cannot."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from napari_segrefiner.errors import InputError, ModelError, SegRefinerError
from napari_segrefiner.io.atomic import check_destinations, whole_file
from napari_segrefiner.models.card import Defaults, Grids, ModelCard
from napari_segrefiner.models.files import SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segrefiner.models.checkpoint import Model

#: Entries that follow from the weights; facts say nothing about them.
FIXED = ("network", "normalisation", "recipe", "sha256")


def export_model(
    model: Model, output: Path, facts: dict[str, Any], *, overwrite: bool = False
) -> ModelCard:
    """Write a model in half precision and its card beside it.

    Parameters
    ----------
    model : Model
    output : Path
        A .safetensors file; the card gets its name with .json.
    facts : dict
        Entries of the card to say instead, such as ``licence``, ``data``, ``metrics``
        or ``defaults``; those that follow from the weights are passed over, so that a
        former card can serve.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    ModelCard
        As it was written, with the checksum.

    Raises
    ------
    InputError
        If a file exists, or the name has another ending.
    ModelError
        If the facts are none of a card.
    SegRefinerError
        If writing fails, such as on a full disk.
    """
    from safetensors import SafetensorError

    from napari_segrefiner.models.checkpoint import save_model  # brings torch

    beside = output.with_suffix(".json")
    if output.suffix != SUFFIX:
        message = f"{output} does not end in {SUFFIX}; weights are written as such."
        raise InputError(message)
    check_destinations(output, beside, overwrite=overwrite)
    card = with_facts(model.card, facts)
    try:
        # Both or none: weights beside a card of others cannot be read.
        with whole_file(output) as part, whole_file(beside) as card_part:
            sha256 = save_model(part, model.network.state_dict(), card)
            card = dataclasses.replace(card, sha256=sha256)
            card_part.write_text(card.to_json() + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as error:
        message = f"{output} cannot be written ({error}); make room or write elsewhere."
        raise SegRefinerError(message) from error
    return card


def with_facts(card: ModelCard, facts: dict[str, Any]) -> ModelCard:
    """The card with other entries, and without a checksum, which was another file's."""
    chosen = {name: value for name, value in facts.items() if name not in FIXED}
    try:
        if "grids" in chosen:
            chosen["grids"] = Grids(**chosen["grids"])
        if "defaults" in chosen:
            chosen["defaults"] = Defaults(**chosen["defaults"])
        return dataclasses.replace(card, **chosen, sha256="")
    except TypeError as error:
        message = f"The facts do not fit a card ({error}); use the names of a card."
        raise ModelError(message) from error


def read_facts(path: Path) -> dict[str, Any]:
    """Facts from a JSON file.

    Raises
    ------
    InputError
        If it cannot be read, or holds no JSON object.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"The facts {path} cannot be read ({error}); JSON is expected."
        raise InputError(message) from error
    if not isinstance(facts, dict):
        message = f"{path} holds no JSON object; names and values are expected."
        raise InputError(message)
    return facts
