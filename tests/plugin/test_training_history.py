"""Curves grow with the events, and go on after a stop."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from napari_segrefiner.plugin.training_history import MOST_ROWS, History
from napari_segrefiner.training.events import Progress, SetScore, Validated
from napari_segrefiner.training.run_state import LOG, VALIDATION, Counters, RunFolder
from tests.training.test_learner import make_learner

ONE = SetScore("cells", 8, 0.7, 0.75, 0.8, 0.125, 0.5)
MEAN = SetScore("mean", 8, 0.7, 0.75, 0.8, 0.125, 0.5)


def step(iteration: int, bce: float = 0.25) -> Progress:
    return Progress(iteration, 0, bce, 0.5, 0.1, 1e-3, 1.0, 1.0)


def test_the_first_iteration_is_a_point_and_the_mean_is_drawn() -> None:
    history = History()
    history.add(step(1))
    history.add(Validated(0, (ONE, MEAN), True))
    loss, validation = history.charts()
    assert [(list(line.x), list(line.y)) for line in loss.lines[:2]] == [
        ([1.0], [0.25]),
        ([1.0], [0.25]),
    ]
    coarse, one_step, refined = validation.lines
    assert [list(line.y) for line in (coarse, one_step, refined)] == [
        [0.7],
        [0.75],
        [0.8],
    ]
    assert list(refined.x) == [0.0]
    assert validation.mark == (0, "kept model")
    assert history.newest == (ONE, MEAN)


def test_a_long_run_keeps_its_mean_in_few_rows() -> None:
    history = History()
    n = 5 * MOST_ROWS
    for iteration in range(1, n + 1):
        history.add(step(iteration, bce=iteration))
    assert MOST_ROWS // 2 <= len(history.log) <= MOST_ROWS
    at = [row["iteration"] for row in history.log]
    assert at == sorted(at)
    mean = sum(row["bce"] for row in history.log) / len(history.log)
    assert mean == pytest.approx(n / 2, rel=0.02)


def test_a_step_that_was_left_out_leaves_no_gap() -> None:
    history = History()
    for iteration in range(1, MOST_ROWS + 2):
        history.add(step(iteration, bce=math.nan if iteration == 3 else 2.0))
    assert [row["bce"] for row in history.log] == [2.0] * len(history.log)


def test_a_stopped_run_is_read_up_to_its_checkpoint(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert History.of_run(tmp_path).log == []
    run.save(make_learner(), Counters(iteration=40, best_iteration=20))
    for iteration in (20, 40, 60):
        run.append(LOG, {"iteration": iteration, "bce": "0.5", "texture": "0.25"})
        run.append(VALIDATION, {"iteration": iteration, **vars(ONE)})
        run.append(VALIDATION, {"iteration": iteration, **vars(MEAN)})
    history = History.of_run(tmp_path)
    loss, validation = history.charts()
    assert list(loss.lines[0].x) == list(validation.lines[2].x) == [20.0, 40.0]
    assert validation.mark == (20, "kept model")
    assert history.newest == (ONE, MEAN)
    history.add(step(41))
    assert list(history.charts()[0].lines[0].x) == [20.0, 40.0, 41.0]
