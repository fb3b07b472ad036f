"""What a running refinement tells: typed events, in the order in which they happen.

``RunStarted``, then for every batch a ``StepDone`` per diffusion step and one
``BatchDone``, at the end ``RunDone``. A large object's windows come before the
``BatchDone`` of its batch: ``WindowsPlanned`` and their ``StepDone`` events, for every
zoom. Stopping is no event: whoever drains the generator closes it, and nothing was
written. No torch here: the dock imports this.
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
#: How an object was refined: in its crop, large ones then in windows along all of their
#: boundary, or as a whole and then in windows where the network is unsure.
ObjectMode = Literal["objects", "whole"]
Consensus = Literal["none", "small", "large", "right"]


@dataclass(frozen=True)
class ObjectReport:
    """What happened to one object.

    ``status``: refined; unchanged (the result equals the coarse mask, also if it would
    hardly have changed); held (the guard ``doubt`` kept the coarse mask); kept (it
    would have vanished); skipped (not chosen or too small). ``area_before``,
    ``area_after`` in pixels, ``iou`` of coarse and refined mask in [0, 1],
    ``uncertainty`` and ``undecided_share`` in [0, 1] (method 4; NaN when skipped),
    ``box`` of the coarse object (half-open y0, x0, y1, x1). ``mode``: what mode
    ``auto`` chose for it, else the mode of the run. ``n_windows`` that were planned
    for it. ``consensus``: what all other objects say of its mask, that it is too small,
    too large or right (method 7).
    """

    id: int
    status: Status
    area_before: int
    area_after: int
    iou: float
    uncertainty: float
    undecided_share: float
    box: Box
    mode: ObjectMode = "objects"
    n_windows: int = 0
    consensus: Consensus = "none"


@dataclass(frozen=True)
class RunStarted:
    """The run is planned: `n_objects` to refine; `record` lacks only the results."""

    n_objects: int
    n_steps: int
    record: dict[str, Any]


@dataclass(frozen=True)
class WindowsPlanned:
    """Windows of one zoom are going to follow the boundary of a large object.

    Attributes
    ----------
    id : int
        Label of the object.
    boxes : tuple of Box
        The windows, inside the image.
    level, n_levels : int
        0 for the coarsest zoom, ``n_levels - 1`` for the image's own resolution.
    """

    id: int
    boxes: tuple[Box, ...]
    level: int
    n_levels: int


@dataclass(frozen=True)
class StepDone:
    """One diffusion step of one batch, of crops or of one object's windows.

    Attributes
    ----------
    step : int
        0 for the first step visited.
    index : int
        Step index i, 5 (all coarse) to 0.
    n_steps : int
        Steps of this batch.
    ids : tuple of int
        Labels of the batch.
    boxes : tuple of Box
        Where each object's mask lies in the image (already inside of it).
    mask : callable
        ``mask(k)`` gives the bool (h, w) mask of object ``ids[k]`` in ``boxes[k]``
        after this step; computed when asked, so that nobody pays for what is
        not shown. To be asked before the next event.
    progress : float
        Share of the whole run that is done, [0, 1].
    windows : tuple of Box
        The windows of the batch, inside the image; the one box holds all of them. Empty
        where whole crops are refined.
    """

    step: int
    index: int
    n_steps: int
    ids: tuple[int, ...]
    boxes: tuple[Box, ...]
    mask: Callable[[int], npt.NDArray[np.bool_]] = field(repr=False, compare=False)
    progress: float
    windows: tuple[Box, ...] = ()


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
class MasksResult:
    """A finished refinement of masks that may overlap.

    Attributes
    ----------
    masks : (n, Y, X) array, or list of dict
        As the coarse masks were given: an array of their type and with the value that
        each had inside, or run-length codes.
    report : tuple of ObjectReport
        One per mask that was not empty; the first mask has the id 1.
    record : dict
        JSON-ready; all that is needed to make the result again.
    """

    masks: Any
    report: tuple[ObjectReport, ...]
    record: dict[str, Any]


@dataclass(frozen=True)
class RunDone:
    """The run is complete."""

    result: RefineResult


Event = RunStarted | WindowsPlanned | StepDone | BatchDone | RunDone


def outcome(counts: Mapping[str, int]) -> str:
    """How many objects had which fate, in words.

    Examples
    --------
    >>> outcome({"refined": 212, "held": 9, "skipped": 3})
    '212 refined, 9 held, 3 skipped'
    """
    parts = [f"{counts[s]:,} {s}" for s in get_args(Status) if counts.get(s)]
    return ", ".join(parts) or "nothing to refine"


#: How mode ``auto`` refines objects, in words.
MODE_TEXTS: dict[ObjectMode, str] = {"whole": "as a whole", "objects": "in crops"}


def passes_text(
    modes: Mapping[str, int] | None,
    consensus: Mapping[str, int],
    n_windows: int,
) -> str:
    """What mode auto has chosen, of whom the others said what, and how many windows.

    Parameters
    ----------
    modes : dict of str to int, optional
        How many objects were refined in which; None where the user has told it.
    consensus : dict of str to int
        Of how many refined ones the others said what.
    n_windows : int

    Examples
    --------
    >>> passes_text({"whole": 1, "objects": 23}, {}, 40)
    '; auto took 1 as a whole, 23 in crops; 40 windows'
    >>> passes_text(None, {"none": 3, "small": 24}, 0)
    '; 24 cut wider, as most masks seem too small'
    """
    text = ""
    if modes is not None:
        parts = [f"{modes[m]:,} {MODE_TEXTS[m]}" for m in MODE_TEXTS if modes.get(m)]
        text += f"; auto took {', '.join(parts)}" if parts else ""
    for said, how in (("small", "wider"), ("large", "closer")):
        if n_objects := consensus.get(said, 0):
            text += f"; {n_objects:,} cut {how}, as most masks seem too {said}"
    if n_windows:
        text += f"; {n_windows:,} window{'s' if n_windows > 1 else ''}"
    return text
