"""``models info``: a model's card as a page for the terminal.

A card's data, recipe and metrics are free JSON: what has not the usual shape is shown
as plainly as it goes.
"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Columns that the names of facts take.
INDENT = 15
#: Facts are not wrapped narrower than this.
NARROWEST = 40


def page(facts: Iterable[tuple[str, str | list[str]]], width: int) -> Iterator[str]:
    """The lines of a page.

    Parameters
    ----------
    facts : iterable of (str, str or list of str)
        Names and values; an empty value is left out. A text is wrapped, of a list each
        line is, with what follows set in.
    width : int
        Columns of the terminal.
    """
    room = max(width, NARROWEST) - INDENT
    for name, value in facts:
        indent, start = ("  ", value) if isinstance(value, list) else ("", [value])
        lines: list[str] = []
        for text in start:
            lines += textwrap.wrap(
                one_line(text),
                room,
                subsequent_indent=indent,
                break_long_words=False,  # paths and check sums are copied whole
                break_on_hyphens=False,
            )
        for k, line in enumerate(lines):
            yield f"{name + ':' if k == 0 else '':<{INDENT}}{line}"


def one_line(text: str) -> str:
    """`text` without line breaks and what else a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text).rstrip()


def pairs(value: Any) -> list[str]:
    """Free JSON in lines: ``name value`` for each entry."""
    if isinstance(value, dict):
        return [f"{name} {_plain(entry)}" for name, entry in value.items()]
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return [] if value is None else [_plain(value)]


def data_lines(data: Any) -> list[str]:
    """A line for every set of a card's data."""
    if not isinstance(data, list):
        return pairs(data)
    usual = {"set", "what", "licence"}
    return [
        f"{one['set']}: {one['what']} ({one['licence']})"
        if isinstance(one, dict) and one.keys() == usual
        else _plain(one)
        for one in data
    ]


def metric_lines(metrics: Any) -> list[str]:
    """A card's metrics: the means as a table, and how they were measured."""
    if not _has_means(metrics):
        return pairs(metrics)
    others = {k: v for k, v in metrics.items() if k not in ("means", "sets")}
    return [*table(metrics["means"]), *pairs(others)]


def table(means: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """The means of metrics, a row for each group and number of steps.

    Examples
    --------
    >>> means = {"all": {"2": {"iou": 0.85}, "coarse": {"iou": 0.79}}}
    >>> for line in table(means):
    ...     print(line)
                   iou
    all, coarse  0.790
    all, 2 steps 0.850
    """
    rows: dict[str, dict[str, float]] = {}
    for group, runs in means.items():
        for run in sorted(runs, key=lambda name: name != "coarse"):
            what = f"{run} steps" if run.isdecimal() else run
            rows[one_line(f"{group}, {what}")] = runs[run]
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    first = max(map(len, rows), default=0)
    widths = [max(len(one_line(name)), 5) for name in names]
    cells = [[" " * first, *map(one_line, names)]]
    for label, row in rows.items():
        numbers = [f"{row[name]:.3f}" if name in row else "-" for name in names]
        cells.append([label.ljust(first), *numbers])
    return [
        " ".join(
            [line[0], *(c.rjust(w) for c, w in zip(line[1:], widths, strict=True))]
        )
        for line in cells
    ]


def _has_means(metrics: Any) -> bool:
    """Whether there are means of metrics by group and number of steps."""
    means = metrics.get("means") if isinstance(metrics, dict) else None
    if not means or not isinstance(means, dict):
        return False
    groups = [*means.values()]
    if not all(isinstance(group, dict) for group in groups):
        return False
    runs = [run for group in groups for run in group.values()]
    return all(
        isinstance(run, dict) and all(isinstance(v, int | float) for v in run.values())
        for run in runs
    )


def _plain(value: Any) -> str:
    """A value as it is written, texts without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
