"""What a running training tells: typed events, in the order in which they happen.

``TrainStarted``, then a ``Progress`` per iteration with a ``Validated`` and ``Saved``
now and then, at the end ``TrainDone``, or ``Stopped`` if that was asked for. Closing
the generator stops as well, after a checkpoint. No torch here: docks and commands
import this.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Name of the mean over sets among the scores.
MEAN = "mean"


@dataclass(frozen=True)
class TrainStarted:
    """The data were found and the network is ready.

    ``sets`` are names of training sets; ``iteration`` is above 0 for a resumed run;
    ``iterations`` is 0 while it is not known (converted from minutes later).
    ``processes`` learn together.
    """

    sets: tuple[str, ...]
    iteration: int
    iterations: int
    precision: str
    folder: Path
    processes: int = 1


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
    """Scores of a set's validation windows.

    ``coarse``, ``one_step``, ``refined``: mean IoU of the coarse masks, after one step,
    and after the steps that the model's card names, both cut at its threshold; guards
    are left out. ``worse``, ``better``: share of windows whose IoU fell by more than
    .05, or rose by more than .02.
    """

    name: str
    n_windows: int
    coarse: float
    one_step: float
    refined: float
    worse: float
    better: float


@dataclass(frozen=True)
class Validated:
    """A validation is done; the last score, named MEAN, is the mean over sets.

    ``is_best``: it is the model that is kept, for now. At iteration 0 the model that
    the run starts from is scored. Without validation data there are no scores.
    """

    iteration: int
    scores: tuple[SetScore, ...]
    is_best: bool

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
    """The training is complete.

    ``model`` is the file to refine with, ``name`` its name in the user's catalogue,
    empty if it was not put there. ``best_iteration`` made it; 0: no validation was
    better than the model that the run started from. ``is_early``: validations had
    stopped to get better. ``limits``: sentences on what the scores cannot tell.
    """

    iterations: int
    model: Path
    name: str
    best_iteration: int
    is_early: bool
    limits: str = ""


@dataclass(frozen=True)
class Stopped:
    """The training was asked to stop and has saved its state; it can be resumed."""

    iteration: int


#: IoU with the correction above which the model had an object right: it was accepted
#: as it came, or next to that.
RIGHT = 0.99


@dataclass(frozen=True)
class LearningStarted:
    """Corrections were understood: so many objects, some of them held back.

    With ``n_folds`` of 2 every object is held back once; with 1, ``n_held_back`` are.
    """

    n_objects: int
    n_held_back: int
    n_folds: int


@dataclass(frozen=True)
class LearningProgress:
    """``share`` in [0, 1] of the learning is done; ``remaining`` in seconds."""

    share: float
    remaining: float
    bce: float
    texture: float


@dataclass(frozen=True)
class LearningTest:
    """A step of the tests before and after; there are many, so stopping is quick."""


@dataclass(frozen=True)
class HeldBack:
    """An object that was not learnt from: IoU with its correction.

    ``image`` is the number of the image, ``before`` the refinement by the model as it
    was, ``after`` by what was learnt.
    """

    image: int
    label: int
    before: float
    after: float

    @property
    def was_right(self) -> bool:
        """Whether there was nothing to learn from it."""
        return self.before >= RIGHT


@dataclass(frozen=True)
class LearningDone:
    """The model has learnt, for better or worse.

    Attributes
    ----------
    model : Model or None
        What was learnt (a ``models.checkpoint.Model``); None if it is no better.
    held_back : tuple of HeldBack
    general_before, general_after : float
        Mean IoU on made-up objects of all kinds: what could have been forgotten.
    sentence : str
        The result in words, for users.
    """

    model: Any
    held_back: tuple[HeldBack, ...]
    general_before: float
    general_after: float
    sentence: str

    @property
    def wrong(self) -> tuple[HeldBack, ...]:
        """The objects that the model as it was did not get right; there are some."""
        return tuple(one for one in self.held_back if not one.was_right)

    @property
    def right(self) -> tuple[HeldBack, ...]:
        """The others, which can only get worse."""
        return tuple(one for one in self.held_back if one.was_right)

    @property
    def before(self) -> float:
        """Mean IoU of the wrong ones with the model as it was."""
        return sum(one.before for one in self.wrong) / len(self.wrong)

    @property
    def after(self) -> float:
        """Mean IoU of the same with what was learnt."""
        return sum(one.after for one in self.wrong) / len(self.wrong)


LearningEvent = LearningStarted | LearningProgress | LearningTest | LearningDone
Event = TrainStarted | Progress | Validated | Saved | TrainDone | Stopped
