"""The paper's numbers beside ours: where they come from, and when they compare."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from napari_segrefiner.errors import OptionError

ROWS = Path(__file__).with_name("published_rows.json")
#: Coarse scores that differ by more are those of other coarse masks, in per cent.
SAME_COARSE = 0.05
#: Names of the metrics in tables.
HEADS = {"iou_agg": "IoU", "mba": "mBA"}


@dataclass(frozen=True)
class Row:
    """A published row: scores in per cent before and after refinement.

    ``spread`` is what the paper prints behind refined scores: least, most.
    """

    table: str
    name: str
    source: str
    what: str
    coarse: Mapping[str, float]
    refined: Mapping[str, float]
    remark: str = ""
    spread: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Our scores, in per cent, with the row that they are compared with.

    Attributes
    ----------
    coarse, refined : mapping of metric to value
        NaN or absent where undefined.
    n : str
        What our numbers stand on, such as "3 images".
    row : Row or None
    notes : tuple of str
        Why the two may differ.
    """

    coarse: Mapping[str, float]
    refined: Mapping[str, float]
    n: str
    row: Row | None = None
    notes: tuple[str, ...] = field(default=())


@cache
def _content() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(ROWS.read_text(encoding="utf-8"))
    return content


def row_names(data: str, part: str = "") -> list[str]:
    """Names of the published rows of "big", "dis5k" (with the set) or "coco"."""
    return list(_rows(data, part))


def find_row(data: str, name: str, part: str = "") -> Row | None:
    """A published row by name; None if `name` is empty.

    Raises
    ------
    OptionError
        If there is no such row.
    """
    if not name:
        return None
    rows, content = _rows(data, part), _content()[data]
    if name not in rows:
        msg = (
            f"There is no published row {name!r}; choose from "
            f"{', '.join(rows) or 'none: the set is unknown'}."
        )
        raise OptionError(msg)
    metrics = content.get("metrics")
    scores = {
        side: dict(zip(metrics, rows[name][side], strict=True))
        if metrics
        else rows[name][side]
        for side in ("coarse", "refined")
    }
    return Row(
        table=f"{data} {part}".strip(),
        name=name,
        source=content["source"],
        what=content["what"],
        coarse=scores["coarse"],
        refined=scores["refined"],
        remark=content.get("remark", ""),
        spread=content.get("spread", {}),
    )


def _rows(data: str, part: str) -> dict[str, Any]:
    content = _content()[data]
    rows: dict[str, Any] = content["sets"].get(part, {}) if part else content["rows"]
    return rows


def notes_on(
    row: Row | None,
    coarse: Mapping[str, float],
    *,
    model: str,
    official: str,
    preset: str,
    n: int,
    n_published: int | None,
) -> tuple[str, ...]:
    """Sentences on how our run differs from the paper's.

    Parameters
    ----------
    row : Row or None
    coarse : mapping
        Our scores of the coarse masks, in per cent.
    model, official : str
        The model that was run, and the one of the paper.
    preset : str
        The settings; the paper's are "published".
    n, n_published : int
        Images scored, and those of the paper where it says so.
    """
    notes = []
    if model != official:
        notes.append(
            f"Other weights: {model} was run, the paper's are {official} (see "
            "napari-segrefiner models)."
        )
    if preset != "published":
        notes.append(f"Other settings: preset {preset}, the paper's is published.")
    if n_published is not None and n != n_published:
        notes.append(f"Another selection: {n} of the paper's {n_published} images.")
    if row is not None:
        far = [
            HEADS.get(metric, metric)
            for metric, value in row.coarse.items()
            if abs(coarse.get(metric, math.nan) - value) > SAME_COARSE
        ]
        if far:
            notes.append(
                f"Other coarse masks: theirs score otherwise in {', '.join(far)}."
            )
        if row.remark:
            notes.append(row.remark)
    return tuple(notes)


def format_comparison(found: Comparison) -> str:
    """Ours and the paper's, a line per metric, with the differences."""
    row = found.row
    metrics: Sequence[str] = list(row.coarse) if row else list(found.coarse)
    extra = [metric for metric in found.coarse if metric not in metrics]
    lines = [
        f"{'':8}{'coarse':^26}  {'refined':^26}".rstrip(),
        f"{'':8}" + "  ".join([f"{'ours':>8} {'paper':>8} {'diff':>8}"] * 2),
    ]
    for metric in (*metrics, *extra):
        cells = []
        for side in ("coarse", "refined"):
            ours = getattr(found, side).get(metric, math.nan)
            paper = getattr(row, side).get(metric, math.nan) if row else math.nan
            cells.append(f"{_cell(ours)} {_cell(paper)} {_cell(ours - paper, '+8.2f')}")
        lines.append(f"{HEADS.get(metric, metric):8}" + "  ".join(cells))
    lines.append(f"Ours: {found.n}, in per cent.")
    if row:
        lines.append(f"Paper: {row.name}, {row.what}; {row.source}.")
        if row.spread:
            spreads = ", ".join(
                f"{HEADS.get(metric, metric)} +-{low:.2f} to +-{high:.2f}"
                for metric, (low, high) in row.spread.items()
            )
            lines.append(f"Its printed spread (of what is not said): {spreads}.")
    lines += found.notes
    return "\n".join(lines)


def _cell(value: float, form: str = "8.2f") -> str:
    return f"{value:{form}}" if math.isfinite(value) else f"{'-':>8}"


def comparison_json(found: Comparison) -> dict[str, Any]:
    """The same as entries of a JSON file."""
    return {
        "ours": {"coarse": dict(found.coarse), "refined": dict(found.refined)},
        "n": found.n,
        "published": asdict(found.row) if found.row else None,
        "notes": list(found.notes),
    }
