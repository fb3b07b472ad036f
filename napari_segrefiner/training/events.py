"""What a running training tells: typed events, in the order in which they happen.

``TrainStarted``, then a ``Progress`` per iteration with a ``Validated`` and ``Saved``
now and then, at the end ``TrainDone``. Closing the generator stops after a checkpoint.
No torch here: docks and commands import this.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainStarted:
    """The data were found and the network is ready.

    ``sets`` are names of training sets; ``iteration`` is above 0 for a resumed run;
    ``iterations`` is 0 while it is not known (converted from minutes later).
    """

    sets: tuple[str, ...]
    iteration: int
    iterations: int
    precision: str
    folder: Path


@dataclass(frozen=True)
class Progress:
    """One iteration is done.

    Attributes
    ----------
    iteration, iterations : int
        Done so far, and planned (0: not known yet).
    bce, texture : float
        The two parts of the loss (texture with its weight), of this batch.
    gain : float
        IoU of the predictions minus IoU of the coarse masks, of this batch's samples at
        the all-coarse step; NaN if it had none.
    learning_rate : float
    seconds : float
        Time of the run so far, over all of its parts.
    remaining : float
        Expected seconds to the end; NaN while not known.
    """

    iteration: int
    iterations: int
    bce: float
    texture: float
    gain: float
    learning_rate: float
    seconds: float
    remaining: float


@dataclass(frozen=True)
class SetScore:
    """Mean IoU of a set's validation windows: coarse, and after one and two steps."""

    name: str
    n_windows: int
    coarse: float
    one_step: float
    two_steps: float


@dataclass(frozen=True)
class Validated:
    """A validation is done; the last score, named ``mean``, is the mean over sets."""

    iteration: int
    scores: tuple[SetScore, ...]

    @property
    def mean(self) -> SetScore:
        """Mean over sets."""
        return self.scores[-1]


@dataclass(frozen=True)
class Saved:
    """A checkpoint lies in the run folder; the run can be resumed from it."""

    iteration: int


@dataclass(frozen=True)
class TrainDone:
    """The planned iterations are done; `model` is the file to refine with."""

    iterations: int
    model: Path


Event = TrainStarted | Progress | Validated | Saved | TrainDone
