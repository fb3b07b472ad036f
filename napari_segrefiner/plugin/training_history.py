"""What a training has told so far: the rows behind its curves and its table."""

from __future__ import annotations

import csv
import dataclasses
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_segrefiner.training.charts import Chart
from napari_segrefiner.training.curves import loss_chart, validation_chart
from napari_segrefiner.training.events import MEAN, Progress, SetScore, Validated
from napari_segrefiner.training.progress import finite_mean
from napari_segrefiner.training.run_state import LOG, VALIDATION, RunFolder

logger = logging.getLogger(__name__)

#: More rows of the loss are drawn together two by two: no screen shows more.
MOST_ROWS = 400
LOSSES = ("bce", "texture")


class History:
    """Rows of losses and of validations, from a run's folder and then its events."""

    def __init__(self) -> None:
        self.log: list[dict[str, Any]] = []
        self.scores: list[dict[str, Any]] = []
        self.newest: tuple[SetScore, ...] = ()
        self.best = -1
        self._together = 1
        self._waiting: list[Progress] = []

    @classmethod
    def of_run(cls, folder: Path) -> History:
        """What the folder of a stopped run holds; empty without a run.

        Raises
        ------
        InputError
            If its checkpoint is damaged.
        """
        run, history = RunFolder(folder), cls()
        if run.has_state:
            counters = run.read_counters()
            for name in (LOG, VALIDATION):
                # A killed run has gone on beyond its checkpoint; that is done again.
                rows = [r for r in _rows(run, name) if _at(r) <= counters.iteration]
                if name == LOG:
                    history.log = rows
                else:
                    history.scores = rows
            history.best = counters.best_iteration
            history.newest = _newest(history.scores)
        return history

    def add(self, event: Progress | Validated) -> None:
        """Take the next event of the run."""
        if isinstance(event, Validated):
            if event.is_best:
                self.best = event.iteration
            if event.scores:
                self.newest = event.scores
            self.scores += [
                {"iteration": event.iteration, **dataclasses.asdict(one)}
                for one in event.scores
            ]
            return
        self._waiting.append(event)
        if len(self._waiting) < self._together:
            return
        rows = [{name: getattr(one, name) for name in LOSSES} for one in self._waiting]
        self.log.append({"iteration": event.iteration, **_mean(rows)})
        self._waiting.clear()
        if len(self.log) > MOST_ROWS:
            self._halve()

    def charts(self) -> tuple[Chart, Chart]:
        """The losses, and the validations of the mean over sets."""
        of_mean = [row for row in self.scores if row["name"] == MEAN]
        return loss_chart(self.log), validation_chart(of_mean, self.best)

    def _halve(self) -> None:
        pairs = zip(self.log[::2], self.log[1::2], strict=False)
        self.log = [
            {"iteration": second["iteration"], **_mean([first, second])}
            for first, second in pairs
        ]
        self._together *= 2


def _rows(run: RunFolder, name: str) -> list[dict[str, Any]]:
    """A table of the run; without it, its curves only begin later."""
    try:
        return run.rows(name)
    except (OSError, ValueError, csv.Error) as error:
        logger.warning("%s cannot be read: %s", run.path / name, error)
        return []


def _mean(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {name: finite_mean(float(row[name]) for row in rows) for name in LOSSES}


def _at(row: Mapping[str, Any]) -> float:
    """The iteration of a row; beyond all others if a kill has cut it off."""
    try:
        return int(row["iteration"])
    except (KeyError, TypeError, ValueError):
        return math.inf


def _newest(rows: list[dict[str, Any]]) -> tuple[SetScore, ...]:
    """The scores of the last validation among rows of text."""
    last = [row for row in rows if row["iteration"] == rows[-1]["iteration"]]
    kinds = {"name": str, "n_windows": int}
    try:
        return tuple(
            SetScore(
                **{
                    one.name: kinds.get(one.name, float)(row[one.name])
                    for one in dataclasses.fields(SetScore)
                }
            )
            for row in last
        )
    except (KeyError, TypeError, ValueError):  # written by another version
        return ()
