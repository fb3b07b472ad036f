"""The curves of a run as one picture, made from the tables in its folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_segrefiner.io.atomic import write_whole
from napari_segrefiner.training.charts import (
    COLOURS,
    FAINT,
    GREEN,
    ORANGE,
    PINK,
    SKY,
    Chart,
    Line,
    draw_charts,
)
from napari_segrefiner.training.events import MEAN
from napari_segrefiner.training.progress import finite_mean
from napari_segrefiner.training.run_state import LOG, VALIDATION, RunFolder

CURVES = "curves.png"
#: Rows of the log that a smoothed point covers; few at the ends.
SMOOTHED = 9


def draw_curves(run: RunFolder, subtitle: str = "", best: int = -1) -> Path:
    """Draw or redraw the curves; returns the picture's path.

    Parameters
    ----------
    run : RunFolder
    subtitle : str
        Such as the sets and the state of the run.
    best : int
        Iteration of the kept model, -1 for none.

    Raises
    ------
    SegRefinerError
        If the picture cannot be written.
    """
    log, scores = run.rows(LOG), run.rows(VALIDATION)
    by_set: dict[str, list[Mapping[str, Any]]] = {}
    for row in scores:
        by_set.setdefault(row["name"], []).append(row)
    charts = [
        loss_chart(log),
        _training_gain(log),
        validation_chart(by_set.get(MEAN, []), best),
        _changed(by_set.get(MEAN, []), best),
        _gains({name: rows for name, rows in by_set.items() if name != MEAN}),
        _rate(log),
    ]
    picture = draw_charts(
        charts, title=f"Training {run.path.resolve().name}", subtitle=subtitle
    )
    path = run.path / CURVES
    with write_whole(path, overwrite=True) as part:
        picture.save(part, format="PNG", optimize=True)
    return path


def loss_chart(log: Sequence[Mapping[str, Any]]) -> Chart:
    """Both parts of the loss over the iterations, from rows of the log."""
    x = _column(log, "iteration")
    lines = []
    for name, title, colour in (
        ("bce", "cross-entropy", SKY),
        ("texture", "texture", ORANGE),
    ):
        y = _column(log, name)
        lines.append(Line(title, x, y, colour, is_faint=True))
        lines.append(Line(title, x, _smooth(y), colour))
    return Chart("Loss in training", lines, floor=0.0)


def _training_gain(log: Sequence[Mapping[str, Any]]) -> Chart:
    x, y = _column(log, "iteration"), _column(log, "gain")
    lines = [
        Line("", x, y, GREEN, is_faint=True),
        Line(
            "IoU of the prediction minus that of the coarse mask", x, _smooth(y), GREEN
        ),
    ]
    return Chart("Gain in training (first step)", lines, level=0.0)


def validation_chart(rows: Sequence[Mapping[str, Any]], best: int) -> Chart:
    """IoU over the iterations, from rows of one set; `best` is marked, -1 is none."""
    x = _column(rows, "iteration")
    lines = [
        Line("coarse", x, _column(rows, "coarse"), ORANGE, is_dashed=True),
        Line("one step", x, _column(rows, "one_step"), GREEN),
        Line("refined", x, _column(rows, "refined"), SKY),
    ]
    return Chart("Validation: IoU, mean over sets", lines, mark=_mark(best))


def _changed(rows: Sequence[Mapping[str, Any]], best: int) -> Chart:
    x = _column(rows, "iteration")
    lines = [
        Line("better by > .02", x, _column(rows, "better"), SKY),
        Line("worse by > .05", x, _column(rows, "worse"), PINK),
    ]
    title = "Validation: share of windows, mean over sets"
    return Chart(title, lines, floor=0.0, level=0.0, mark=_mark(best))


def _gains(by_set: Mapping[str, Sequence[Mapping[str, Any]]]) -> Chart:
    lines = []
    for place, (name, rows) in enumerate(by_set.items()):
        gain = np.subtract(_column(rows, "refined"), _column(rows, "coarse")).tolist()
        colour = COLOURS[place % len(COLOURS)]
        is_second = place >= len(COLOURS)
        x = _column(rows, "iteration")
        lines.append(Line(name, x, gain, colour, is_dashed=is_second))
    return Chart("Validation by set: gain in IoU, refined", lines, level=0.0)


def _rate(log: Sequence[Mapping[str, Any]]) -> Chart:
    line = Line(
        "learning rate",
        _column(log, "iteration"),
        _column(log, "learning_rate"),
        FAINT,
    )
    return Chart("Learning rate", [line], floor=0.0)


def _mark(best: int) -> tuple[float, str] | None:
    return (best, "kept model") if best >= 0 else None


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """A column as numbers; NaN where a row has none."""
    values = []
    for row in rows:
        try:
            values.append(float(row.get(name, "nan")))
        except (TypeError, ValueError):
            values.append(math.nan)
    return values


def _smooth(values: Sequence[float]) -> list[float]:
    """Running mean over SMOOTHED values that leaves NaN out."""
    half, last = SMOOTHED // 2, len(values) - 1
    reaches = (min(half, i, last - i) for i in range(len(values)))
    return [finite_mean(values[i - r : i + r + 1]) for i, r in enumerate(reaches)]
