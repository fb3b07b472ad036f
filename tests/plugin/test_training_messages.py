"""The last sentence of a training says what its scores cannot tell."""

from __future__ import annotations

from pathlib import Path

from napari_segrefiner.plugin import training_messages
from napari_segrefiner.training.events import TrainDone


def test_the_report_ends_with_the_limits_of_the_scores() -> None:
    done = TrainDone(9, Path("best"), "mine", 8, is_early=False)
    plain = training_messages.done(done)
    assert plain.endswith("ready in the SegRefiner dock.")
    limited = TrainDone(
        9, Path("best"), "mine", 8, False, "No validation was possible."
    )
    assert training_messages.done(limited) == f"{plain} No validation was possible."
