"""What a model gains on coarse sets, as Markdown: means, what got worse, every figure.

A figure of a set and kind is worse than its input if it is lower in the third decimal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from napari_segrefiner.evaluation.scores import COARSE, Total, mean_of
from napari_segrefiner.evaluation.validation import Row, Totals, is_run, title

#: Scores that must not fall, and what they are called.
SCORES = {"iou": "IoU", "boundary_iou": "boundary IoU"}
#: Largest share of objects of a set and kind that may get worse by more than .05.
MOST_WORSE = 0.03
WORSE = "▼"


class Worse(NamedTuple):
    """A set and kind that a layer made worse, and by how much, by score."""

    kind: str
    name: str
    by: dict[str, float]


def worse_cells(rows: Sequence[Row], layer: str) -> list[Worse]:
    """Sets and kinds of which `layer` has a lower score than the coarse masks."""
    found = []
    for row in rows:
        by = {
            score: change
            for score in SCORES
            if (change := _change(row.totals, layer, score)) < 0
        }
        if by:
            found.append(Worse(row.kind, row.name, by))
    return found


def harmed_cells(rows: Sequence[Row], layer: str) -> list[Row]:
    """Those of which more than MOST_WORSE of the objects fell by more than .05."""
    return [
        row for row in rows if row.totals[layer]["worse_05"].value > MOST_WORSE + 1e-9
    ]


def worse_line(rows: Sequence[Row], layer: str) -> str:
    """One line about a layer: which sets and kinds it made worse.

    For baselines only how many: there they are many, and nobody's fault.
    """
    worse = worse_cells(rows, layer)
    listed = "; ".join(
        f"{one.kind}/{one.name} "
        + ", ".join(f"{SCORES[score]} {by:+.3f}" for score, by in one.by.items())
        for one in worse
    )
    head = f"{title(layer)}: {len(worse)} of {len(rows)} worse than their input"
    return f"{head}: {listed}" if listed and is_run(layer) else head


def to_markdown(rows: Sequence[Row], left_out: Sequence[str] = ()) -> str:
    """All tables.

    Parameters
    ----------
    rows : sequence of Row
        With the same layers.
    left_out : sequence of str
        Sets that the model has not learnt from; marked with a star.
    """
    layers = [layer for layer in rows[0].totals if layer != COARSE]
    kinds = list(dict.fromkeys(row.kind for row in rows))
    names = list(dict.fromkeys(row.name for row in rows))
    marked = {name: f"{name} \\*" if name in left_out else name for name in names}
    parts = ["## Means", _means(rows, layers)]
    unseen = [row for row in rows if row.name in left_out]
    if unseen and len(unseen) < len(rows):
        parts += ["### Sets left out of the training (\\*)", _means(unseen, layers)]
    parts += ["### By set", _cells(rows, layers, marked)]
    parts.append("## Worse than their input")
    parts.append("\n".join(f"- {worse_line(rows, layer)}" for layer in layers))
    for layer in layers:
        if is_run(layer):
            parts.append(f"### {title(layer)}: change of IoU / boundary IoU, in .001")
            parts.append(_changes(rows, layer, kinds, marked))
    parts.append("## Every kind")
    for kind in kinds:
        own = [row for row in rows if row.kind == kind]
        parts += [f"### {kind}", _cells(own, layers, marked)]
    legend = (
        "Figures of a cell: IoU / boundary IoU (2 px), share of objects better by more "
        f"than .02, share worse by more than .05; {WORSE}: below the input."
    )
    return "\n\n".join([legend, *parts]) + "\n"


def _means(rows: Sequence[Row], layers: Sequence[str]) -> str:
    """A line per layer: means over all rows, and how many rows it made worse."""
    mean = mean_of([row.totals for row in rows])
    head = [
        "", "IoU", "boundary IoU", "better", "worse", "lower in IoU",
        "lower in boundary IoU", f"over {MOST_WORSE:.0%} worse", "ms per object",
        "no answer",
    ]  # fmt: skip
    lines = []
    for layer in (COARSE, *layers):
        line = [title(layer), *(_score(mean[layer][score]) for score in SCORES)]
        if layer == COARSE:
            lines.append([*line, *[""] * (len(head) - len(line))])
            continue
        worse = worse_cells(rows, layer)
        line += [_share(mean[layer][key]) for key in ("improved_02", "worse_05")]
        line += [str(sum(score in one.by for one in worse)) for score in SCORES]
        line += [str(len(harmed_cells(rows, layer))), _milliseconds(rows, layer)]
        failed = [row.failed[layer] for row in rows if layer in row.failed]
        line.append(str(sum(failed)) if failed else "")
        lines.append(line)
    return f"{_table(head, lines)}\n\nMeans of {len(rows)} sets and kinds."


def _milliseconds(rows: Sequence[Row], layer: str) -> str:
    timed = [row for row in rows if layer in row.seconds]
    n = sum(row.n for row in timed)
    return f"{1000 * sum(row.seconds[layer] for row in timed) / n:.0f}" if n else "-"


def _changes(
    rows: Sequence[Row], layer: str, kinds: Sequence[str], marked: Mapping[str, str]
) -> str:
    """Sets by kinds: what a layer changes."""
    by_place = {(row.name, row.kind): row for row in rows}
    lines = []
    for name, shown in marked.items():
        line = [shown]
        for kind in kinds:
            row = by_place.get((name, kind))
            if row is None:
                line.append("")
                continue
            changes = [_change(row.totals, layer, score) for score in SCORES]
            texts = [
                f"{1000 * by:+.0f}{WORSE if by < 0 else ''}" if by else "0"
                for by in changes
            ]
            line.append(" / ".join(texts))
        lines.append(line)
    return _table(["", *kinds], lines)


def _cells(
    rows: Sequence[Row], layers: Sequence[str], marked: Mapping[str, str]
) -> str:
    """Layers by sets, the mean last; what several rows share is their mean."""
    columns: dict[str, list[Totals]] = {}
    for row in rows:
        columns.setdefault(marked[row.name], []).append(row.totals)
    means = {name: mean_of(group) for name, group in columns.items()}
    if len(means) > 1:
        means["**mean**"] = mean_of([row.totals for row in rows])
    lines = [
        [title(layer), *(_cell(one, layer) for one in means.values())]
        for layer in (COARSE, *layers)
    ]
    return _table(["", *means], lines)


def _cell(one: Totals, layer: str) -> str:
    """IoU / boundary IoU, better, worse."""
    scores = [
        _score(one[layer][score])
        + (WORSE if layer != COARSE and _change(one, layer, score) < 0 else "")
        for score in SCORES
    ]
    text = " / ".join(scores)
    if layer == COARSE:
        return text
    shares = (_share(one[layer][key]) for key in ("improved_02", "worse_05"))
    return ", ".join([text, *shares])


def _change(one: Totals, layer: str, score: str) -> float:
    """How much a score rose, between values rounded as they are printed."""
    before, after = one[COARSE][score].value, one[layer][score].value
    return round(round(after, 3) - round(before, 3), 3)


def _score(total: Total) -> str:
    return f"{total.value:.3f}".lstrip("0") if math.isfinite(total.value) else "-"


def _share(total: Total) -> str:
    return f"{100 * total.value:.1f} %" if math.isfinite(total.value) else "-"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))
