"""The card of a model: its facts, and the options that suit it."""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from napari_segrefiner.errors import ModelError, OptionError
from napari_segrefiner.network_config import NetworkConfig
from napari_segrefiner.options import (
    PUBLISHED,
    PUBLISHED_WHOLE,
    Direction,
    Last,
    RefineOptions,
    Transition,
    threshold_bounds,
)

Normalisation = Literal["imagenet", "window"]

#: Largest side in pixels that a card may ask of the network's grid, as of option
#: ``grid``, and the largest step between sides: every crop is rounded up to it.
MAX_GRID, MAX_MULTIPLE = 1024, 256


@dataclass(frozen=True)
class Grids:
    """How an object's crop meets the network's grid (method 5).

    Crops of side S <= `base` px are enlarged by min(base / S, enlarge) onto `base`; up
    to `largest` they are taken as they are, the side rounded up to a multiple of
    `multiple`; larger ones are area-reduced to `largest`.
    """

    base: int = 64
    largest: int = 128
    multiple: int = 16
    enlarge: float = 2.0

    def __post_init__(self) -> None:
        sides = (self.base, self.largest, self.multiple)
        is_usable = (
            all(isinstance(side, int) and 1 <= side <= MAX_GRID for side in sides)
            and self.multiple <= MAX_MULTIPLE
            and isinstance(self.enlarge, int | float)
            and 1 <= self.enlarge <= MAX_GRID
        )
        if not is_usable:
            msg = (
                f"{self} cannot be used; sides from 1 to {MAX_GRID} px and a multiple "
                f"up to {MAX_MULTIPLE} px are expected."
            )
            raise ModelError(msg)


@dataclass(frozen=True)
class Defaults:
    """What preset ``default`` stands for with this model; names as in RefineOptions."""

    steps: int = 2
    windows: bool = True
    local_steps: int = 1
    local_index: int = 4
    padding: float = 0.35
    min_padding: int = 2
    min_area: int = 1
    transition: Transition = "marginal"
    last: Last = "mean"
    flips: bool = False
    threshold: float = 0.5
    consensus: float = 1.0
    pixel_doubt: float = 0.0
    doubt: float = 1.0
    band: float = 0.0
    least_change: float = 0.0
    least_piece: float = 0.0
    close_gaps: bool = True

    def __post_init__(self) -> None:
        values = dataclasses.asdict(self)
        try:
            RefineOptions(**values)
        except OptionError as error:
            msg = f"The card's defaults cannot be used: {error}"
            raise ModelError(msg) from error
        if None in values.values():
            msg = f"{self} leaves something open; a value for each is expected."
            raise ModelError(msg)


@dataclass(frozen=True)
class ModelCard:
    """Facts of a model; stored as JSON in the weight file's metadata and beside it.

    ``normalisation`` is ``imagenet`` or ``window`` (method 5). ``data``,
    ``recipe`` and ``metrics`` are free JSON for readers. ``sha256`` of the weight file
    is known only to the JSON beside it. ``source`` says where the weights come from,
    ``citation`` what to cite.
    """

    name: str
    description: str
    licence: str
    network: NetworkConfig
    normalisation: Normalisation = "window"
    grids: Grids = field(default_factory=Grids)
    defaults: Defaults = field(default_factory=Defaults)
    data: Any = None
    recipe: Any = None
    metrics: Any = None
    limits: str = ""
    source: str = ""
    citation: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        texts = ("name", "description", "licence", "limits", "source", "citation")
        for name in (*texts, "sha256"):
            if not isinstance(getattr(self, name), str):
                msg = (
                    f"The card's {name} is {getattr(self, name)!r}; a text is expected."
                )
                raise ModelError(msg)
        known = get_args(Normalisation)
        if self.normalisation not in known:
            msg = (
                f"The card's normalisation is {self.normalisation!r}; one of "
                f"{', '.join(known)} is expected."
            )
            raise ModelError(msg)

    def to_json(self) -> str:
        """JSON text with sorted keys."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card; unknown or missing entries raise ModelError.

        Control characters, which could drive the terminal that shows the card, become
        question marks.
        """
        try:
            entries = _shown(json.loads(text))
            entries["network"] = NetworkConfig(**as_tuples(entries["network"]))
            entries["grids"] = Grids(**entries.get("grids", {}))
            entries["defaults"] = Defaults(**entries.get("defaults", {}))
            return cls(**entries)
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,  # brackets nested by the thousand
        ) as error:
            msg = (
                f"The model's card cannot be read ({error}); a card as JSON with name, "
                "description, licence and network is expected."
            )
            raise ModelError(msg) from error


def _shown(value: Any) -> Any:
    """JSON whose texts hold nothing that a terminal would obey."""
    if isinstance(value, str):
        return "".join(
            "?" if unicodedata.category(c) == "Cc" and c not in "\n\t" else c
            for c in value
        )
    if isinstance(value, list):
        return [_shown(part) for part in value]
    if isinstance(value, dict):
        return {_shown(key): _shown(part) for key, part in value.items()}
    return value


def without_run(recipe: Any) -> Any:
    """A card's recipe for another model: a run knows its own by its id there."""
    if not isinstance(recipe, dict):
        return recipe
    return {name: value for name, value in recipe.items() if name != "run"}


def as_tuples(entries: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that frozen dataclasses hold."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in entries.items()}


def resolve(options: RefineOptions, card: ModelCard) -> RefineOptions:
    """Fill in every None of `options` from its preset.

    ``grid`` stays None with preset ``default``: it depends on each object's size.
    """
    if options.preset == "published":
        preset = PUBLISHED | (PUBLISHED_WHOLE if options.mode == "whole" else {})
    else:
        preset = dataclasses.asdict(card.defaults)
        if options.mode != "objects":  # windows are what the other modes are about
            preset["windows"] = True
        if options.direction != "both":
            preset |= _bolder(preset, options.direction)
    missing = {
        name: value for name, value in preset.items() if getattr(options, name) is None
    }
    return dataclasses.replace(options, **missing)


def _bolder(preset: dict[str, Any], direction: Direction) -> dict[str, Any]:
    """What is different where masks can change in one direction alone (method 7)."""
    lowest, highest = threshold_bounds(preset["threshold"])
    return {
        "threshold": lowest if direction == "grow" else highest,
        "doubt": min(1.0, 1.25 * preset["doubt"]),
        "consensus": 1.0,
    }
