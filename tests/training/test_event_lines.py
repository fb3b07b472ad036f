"""Events survive the way through a line of text."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from napari_segrefiner.training.event_lines import Noted, from_line, to_line
from napari_segrefiner.training.events import Progress as Step
from napari_segrefiner.training.events import (
    Saved,
    SetScore,
    Stopped,
    TrainDone,
    TrainStarted,
    Validated,
)

SCORE = SetScore("cells", 4, 0.5, 0.6, 0.7, 0.0, 1.0)


@pytest.mark.parametrize(
    "event",
    [
        TrainStarted(("a", "b"), 0, 0, "float32", Path("runs/x"), 2),
        Step(3, 9, 0.5, 0.25, 0.125, 1e-3, 2.0, 4.0),
        Validated(3, (SCORE, SCORE), True),
        Validated(3, (), True),
        Saved(3),
        TrainDone(9, Path("x/best.safetensors"), "x", 3, False),
        Stopped(4),
        Noted("1 pair cannot be used:\n  ä.png has no labels."),
    ],
)
def test_an_event_comes_back_from_its_line(event) -> None:
    line = to_line(event)
    assert "\n" not in line
    assert line.isascii()
    assert from_line(line) == event


def test_unknown_numbers_are_null_and_come_back_as_nan() -> None:
    line = to_line(Step(1, 0, 0.5, 0.5, math.nan, 1e-3, 1.0, math.inf))
    entries = json.loads(line)
    assert entries["gain"] is entries["remaining"] is None
    back = from_line(line)
    assert isinstance(back, Step)
    assert math.isnan(back.gain)


@pytest.mark.parametrize(
    "line", ["", "Downloading...", "3", "[]", '{"event": "New"}', '{"event": "Saved"}']
)
def test_other_lines_are_no_events(line: str) -> None:
    assert from_line(line) is None
