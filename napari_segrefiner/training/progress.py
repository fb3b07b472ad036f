"""What is known of a training while it runs: its clock, its log, its soundness."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_segrefiner.training.events import Progress
from napari_segrefiner.training.run_state import LOG

if TYPE_CHECKING:
    from napari_segrefiner.training.learner import StepResult
    from napari_segrefiner.training.run_state import Counters, RunFolder

#: Iterations after which ``minutes`` are converted into iterations.
MEASURED = 50
#: Share of ``minutes`` that iterations get; the rest is for validation and saving.
FOR_ITERATIONS = 0.93
#: Iterations that a row of the log covers; fewer before a checkpoint.
LOG_EVERY = 20
#: Seconds from the start to the first checkpoint.
FIRST_CHECKPOINT = 30.0
#: Predictions have collapsed if their mean IoU, over COLLAPSE_AFTER iterations, is
#: below this share of the coarse masks' IoU.
COLLAPSE_SHARE = 0.3
COLLAPSE_AFTER = 400


class Clock:
    """Time of a run: seconds so far, what remains, when to save."""

    def __init__(self, counters: Counters, checkpoint_minutes: float) -> None:
        self.counters = counters
        self.last = time.monotonic()
        self.first_iteration = counters.iteration
        self.first_seconds = counters.seconds
        self.checkpoint_seconds = checkpoint_minutes * 60
        self.next_save = self.last + min(FIRST_CHECKPOINT, self.checkpoint_seconds)

    def begin(self) -> None:
        """Everything is prepared: what follows are iterations."""
        self._pass()
        self.first_seconds = self.counters.seconds

    def tick(self) -> None:
        """An iteration is done."""
        self._pass()

    def iterations_in(self, minutes: float, most: int) -> int:
        """How many iterations fit into the run's whole time, `most` at most."""
        left = minutes * 60 * FOR_ITERATIONS - self.counters.seconds
        more = max(0, int(left / max(self._per_iteration(), 1e-9)))
        return min(self.counters.iteration + more, most)

    def remaining(self) -> float:
        """Expected seconds to the end; NaN while not known."""
        left = self.counters.iterations - self.counters.iteration
        return left * self._per_iteration() if self.counters.iterations else math.nan

    def is_checkpoint_due(self) -> bool:
        """True once whenever the time has come."""
        now = time.monotonic()
        if now < self.next_save:
            return False
        self.next_save = now + self.checkpoint_seconds
        return True

    def _pass(self) -> None:
        now = time.monotonic()
        self.counters.seconds += now - self.last
        self.last = now

    def _per_iteration(self) -> float:
        done = self.counters.iteration - self.first_iteration
        return (self.counters.seconds - self.first_seconds) / max(done, 1)


class Recorder:
    """Writes the log, and watches for predictions that have died."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.rows: list[Progress] = []
        self.overlaps: deque[tuple[float, float]] = deque(maxlen=COLLAPSE_AFTER)
        self.is_finite, self.scale = True, 0.0

    def progress(
        self, result: StepResult, counters: Counters, rate: float, clock: Clock
    ) -> Progress:
        """The event of an iteration; every LOG_EVERY of them make a row of the log."""
        event = Progress(
            iteration=counters.iteration,
            iterations=counters.iterations,
            bce=result.bce,
            texture=result.texture,
            gain=result.iou - result.coarse_iou,
            learning_rate=rate,
            seconds=counters.seconds,
            remaining=clock.remaining(),
        )
        self.rows.append(event)
        if counters.iteration % LOG_EVERY == 0:
            self.write_row()
        return event

    def is_sound(self, result: StepResult) -> bool:
        """False if the loss is not finite, or the predictions are dead for long.

        A step of float16 that overflowed is left out, as long as a smaller scale helps.
        """
        self.is_finite, self.scale = result.is_finite, result.scale
        if not result.is_finite:
            return result.is_sound
        if not math.isnan(result.iou):
            self.overlaps.append((result.iou, result.coarse_iou))
        if len(self.overlaps) < COLLAPSE_AFTER:
            return True
        iou, coarse = (sum(values) for values in zip(*self.overlaps, strict=True))
        return bool(iou >= COLLAPSE_SHARE * coarse)

    def complaint(self, folder: Path) -> str:
        """What has gone wrong, and what to do."""
        remedy = "a lower --learning-rate, a longer --warm-up or a larger --batch-size"
        what = "The loss or its gradient is not a finite number any more"
        if self.is_finite:
            what = "The predictions have collapsed: they hardly overlap with the truth"
        elif self.scale:
            what += ", however small the scale that float16 is given"
            remedy = f"--precision bfloat16 or float32, or {remedy}"
        return (
            f"{what}. The training was stopped; {folder} keeps its last checkpoint. "
            f"Start a new run with {remedy}."
        )

    def write_row(self) -> None:
        """Add the mean of the iterations since the last row to the log, if any."""
        rows, self.rows = self.rows, []
        if not rows:
            return
        last = rows[-1]
        self.run.append(
            LOG,
            {
                "iteration": last.iteration,
                "bce": f"{finite_mean(row.bce for row in rows):.5f}",
                "texture": f"{finite_mean(row.texture for row in rows):.5f}",
                "gain": f"{finite_mean(row.gain for row in rows):.5f}",
                "learning_rate": f"{last.learning_rate:.3e}",
                "seconds": f"{last.seconds:.1f}",
            },
        )


def finite_mean(values: Iterable[float]) -> float:
    """Mean of the finite ones: a step that was left out has no figures."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
