"""What a running refinement tells: typed events, in the order in which they happen.

``RunStarted``, then for every batch a ``StepDone`` per diffusion step and one
``BatchDone``, at the end ``RunDone``. Stopping is no event: whoever drains the
generator closes it, and nothing was written. No torch here: the dock imports this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_segrefiner.geometry import Box

Status = Literal["refined", "unchanged", "held", "kept", "skipped"]


@dataclass(frozen=True)
class ObjectReport:
    """What happened to one object.

    ``status``: refined; unchanged (the result equals the coarse mask); held (a guard
    kept the coarse mask); kept (it would have vanished); skipped (not chosen or too
    small). ``area_before``, ``area_after`` in pixels, ``iou`` of coarse and refined
    mask in [0, 1], ``uncertainty`` and ``undecided_share`` in [0, 1] (SPEC 1.7; NaN
    when skipped), ``box`` of the coarse object (half-open y0, x0, y1, x1).
    """

    id: int
    status: Status
    area_before: int
    area_after: int
    iou: float
    uncertainty: float
    undecided_share: float
    box: Box


@dataclass(frozen=True)
class RunStarted:
    """The run is planned: `n_objects` to refine; `record` lacks only the results."""

    n_objects: int
    n_steps: int
    record: dict[str, Any]


@dataclass(frozen=True)
class StepDone:
    """One diffusion step of one batch.

    Attributes
    ----------
    step : int
        0 for the first step visited.
    index : int
        SPEC's code index i, 5 (all coarse) to 0.
    n_steps : int
        Steps of this run.
    ids : tuple of int
        Labels of the batch.
    boxes : tuple of Box
        Where each object's mask lies in the image (already inside of it).
    mask : callable
        ``mask(k)`` gives the bool (h, w) mask of object ``ids[k]`` in ``boxes[k]``
        after this step; computed when asked, so that nobody pays for what is
        not shown.
    progress : float
        Share of the whole run that is done, [0, 1].
    """

    step: int
    index: int
    n_steps: int
    ids: tuple[int, ...]
    boxes: tuple[Box, ...]
    mask: Callable[[int], npt.NDArray[np.bool_]] = field(repr=False, compare=False)
    progress: float


@dataclass(frozen=True)
class BatchDone:
    """A batch has its final probabilities; its objects are composed at the end."""

    ids: tuple[int, ...]
    progress: float


@dataclass(frozen=True)
class RefineResult:
    """A finished refinement.

    Attributes
    ----------
    labels : (Y, X) integer or bool array
        Same shape and dtype as the coarse labels.
    report : tuple of ObjectReport
        One per object of the coarse labels, by rising id.
    record : dict
        JSON-ready; all that is needed to make the result again.
    """

    labels: npt.NDArray[Any]
    report: tuple[ObjectReport, ...]
    record: dict[str, Any]


@dataclass(frozen=True)
class RunDone:
    """The run is complete."""

    result: RefineResult


Event = RunStarted | StepDone | BatchDone | RunDone


def outcome(counts: Mapping[str, int]) -> str:
    """How many objects had which fate, in words.

    Examples
    --------
    >>> outcome({"refined": 212, "held": 9, "skipped": 3})
    '212 refined, 9 held, 3 skipped'
    """
    parts = [f"{counts[s]:,} {s}" for s in get_args(Status) if counts.get(s)]
    return ", ".join(parts) or "nothing to refine"
