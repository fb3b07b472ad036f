"""The last sentence of a training says what its scores cannot tell."""

from __future__ import annotations

from pathlib import Path

from napari_segrefiner.plugin import training_messages
from napari_segrefiner.training.events import SetScore, TrainDone, Validated


def test_the_report_ends_with_the_limits_of_the_scores() -> None:
    done = TrainDone(9, Path("best"), "mine", 8, is_early=False)
    plain = training_messages.done(done)
    assert plain.endswith("ready in the SegRefiner dock.")
    limited = TrainDone(
        9, Path("best"), "mine", 8, False, "No validation was possible."
    )
    assert training_messages.done(limited) == f"{plain} No validation was possible."


def test_a_model_that_does_harm_is_told_though_it_is_the_best_so_far() -> None:
    def told(refined: float) -> str:
        score = SetScore("cells", 9, 0.816, 0.8, refined, 0.1, 0.1)
        return training_messages.validated(Validated(500, (score, score), True))

    assert told(0.793).endswith("; the best so far, not yet a gain.")
    assert told(0.85).endswith("; the best so far.")
