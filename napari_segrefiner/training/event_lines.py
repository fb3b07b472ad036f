"""Events of a training as lines of text, for programs that start one and watch it.

A line is a JSON object: ``event``, the name of its kind, and the fields of
:mod:`.events`; numbers that are not known (NaN) are null.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_segrefiner.training.events import (
    Event,
    Progress,
    Saved,
    SetScore,
    Stopped,
    TrainDone,
    TrainStarted,
    Validated,
)
from napari_segrefiner.wording import json_ready


@dataclass(frozen=True)
class Noted:
    """What a training says beside its events, such as which pairs it leaves out."""

    text: str


LineEvent = Event | Noted
KINDS: dict[str, type[LineEvent]] = {
    kind.__name__: kind
    for kind in (TrainStarted, Progress, Validated, Saved, TrainDone, Stopped, Noted)
}


def to_line(event: LineEvent) -> str:
    """One line of ASCII, without its end.

    Examples
    --------
    >>> to_line(Saved(30))
    '{"event": "Saved", "iteration": 30}'
    """
    entries = {"event": type(event).__name__, **dataclasses.asdict(event)}
    return json.dumps(json_ready(entries), allow_nan=False)


def from_line(line: str) -> LineEvent | None:
    """The event of a line; None if it is something else, as a library may print.

    Examples
    --------
    >>> from_line('{"event": "Saved", "iteration": 30}')
    Saved(iteration=30)
    """
    try:
        entries = json.loads(line)
        kind = KINDS[entries.pop("event")]
        return kind(**{name: _field(name, value) for name, value in entries.items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _field(name: str, value: Any) -> Any:
    """A field's value as its class holds it."""
    match name:
        case "scores":
            return tuple(SetScore(**_known(entries)) for entries in value)
        case "sets":
            return tuple(value)
        case "folder" | "model":
            return Path(value)
    return math.nan if value is None else value


def _known(entries: dict[str, Any]) -> dict[str, Any]:
    return {name: math.nan if v is None else v for name, v in entries.items()}
