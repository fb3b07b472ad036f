"""How messages and files put what is not text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def size_text(shape: Sequence[int]) -> str:
    """A shape for people.

    Examples
    --------
    >>> size_text((512, 640))
    '512 x 640'
    """
    return " x ".join(map(str, shape))


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    Examples
    --------
    >>> listed(["axons", "cells", "nuclei"])
    'axons, cells and nuclei'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def shortened(lines: Iterable[str], most: int = 10) -> list[str]:
    """The first lines, and how many more there are.

    Examples
    --------
    >>> shortened(["a", "b", "c"], most=1)
    ['a', '... and 2 more.']
    """
    lines = list(lines)
    more = len(lines) - most
    return lines[:most] + ([f"... and {more} more."] if more > 0 else [])


def json_ready(value: Any) -> Any:
    """`value` with what JSON can hold: null for NaN and infinities, paths as text.

    Examples
    --------
    >>> json_ready({"iou": (0.9, float("nan"))})
    {'iou': [0.9, None]}
    """
    if isinstance(value, dict):
        return {name: json_ready(entry) for name, entry in value.items()}
    if isinstance(value, tuple | list):
        return [json_ready(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def json_text(value: Any) -> str:
    """`value` as the text of a JSON file.

    Examples
    --------
    >>> print(json_text({"mba": float("nan")}), end="")
    {
     "mba": null
    }
    """
    return json.dumps(json_ready(value), indent=1, allow_nan=False) + "\n"
