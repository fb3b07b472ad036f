"""The models that their authors publish, and the cards of models of their kind."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_segrefiner.models.card import Defaults, Grids, ModelCard, as_tuples
from napari_segrefiner.network_config import NetworkConfig
from napari_segrefiner.options import PUBLISHED as PUBLISHED_OPTIONS

CATALOGUE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True)
class Published:
    """What is known of a model that its authors publish.

    ``size`` is in bytes, 0 where unknown. ``sha256`` comes from a third party, as the
    authors state none: a file with another one deserves a note, not a refusal. Empty
    where unknown.
    """

    name: str
    description: str
    licence: str
    source: str
    citation: str
    file: str
    drive_id: str
    size: int
    sha256: str
    network: NetworkConfig

    @property
    def url(self) -> str:
        """Address of the file itself."""
        return (
            "https://drive.usercontent.google.com/download"
            f"?id={self.drive_id}&export=download&confirm=t"
        )

    @property
    def page(self) -> str:
        """Address of the page that offers the file in a browser."""
        return f"https://drive.google.com/file/d/{self.drive_id}/view"

    @property
    def by_hand(self) -> str:
        """The sentence that tells how to get it without a download by this program."""
        return (
            f"Download {self.file} in a browser from {self.page} and run: "
            f"napari-segrefiner models import {self.file} --name {self.name}"
        )

    def card(self, recipe: Any = None) -> ModelCard:
        """The card of the imported model; `recipe` says what it was made from."""
        return card_of_published_kind(
            self.name,
            self.network,
            description=self.description,
            licence=self.licence,
            source=self.source,
            citation=self.citation,
            recipe=recipe,
        )


def published() -> dict[str, Published]:
    """The published models by name."""
    entries = json.loads(CATALOGUE.read_text("utf-8"))
    return {name: _entry(name, facts) for name, facts in entries.items()}


def _entry(name: str, facts: dict[str, Any]) -> Published:
    network = NetworkConfig(**as_tuples(facts.pop("network")))
    return Published(name=name, network=network, **facts)


def card_of_published_kind(
    name: str, network: NetworkConfig, **facts: Any
) -> ModelCard:
    """The card of a model trained with the published code.

    Crops are always resized to one grid and colours normalised as in its training;
    preset ``default`` stands for the published options.

    Parameters
    ----------
    name : str
    network : NetworkConfig
    **facts
        Further entries of the card.
    """
    side = max(PUBLISHED_OPTIONS["grid"], network.multiple)
    defaults = {
        field.name: PUBLISHED_OPTIONS[field.name]
        for field in dataclasses.fields(Defaults)
        if field.name in PUBLISHED_OPTIONS
    }
    return ModelCard(
        name=name,
        network=network,
        normalisation="imagenet",
        # The published code enlarges without a limit.
        grids=Grids(
            base=side, largest=side, multiple=network.multiple, enlarge=float(side)
        ),
        defaults=Defaults(**defaults),
        **facts,
    )
