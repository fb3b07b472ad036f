"""Settling: from the network's answers to labels and reports, guards included."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.consensus import CALM, agree, agreed_threshold, vote
from napari_segrefiner.core.draft import Draft
from napari_segrefiner.core.events import Consensus, ObjectReport, Status
from napari_segrefiner.core.report import (
    Uncertainty,
    mean_uncertainty,
    measure_uncertainty,
)
from napari_segrefiner.geometry import Box
from napari_segrefiner.metrics import iou

if TYPE_CHECKING:
    from napari_segrefiner.core.guards import Guards
    from napari_segrefiner.core.objects import LabelledObject
    from napari_segrefiner.core.plan import Job, Plan

Mask = npt.NDArray[np.bool_]

#: P = 1 in the 16 bits that it is kept in.
MOST = np.float32(np.iinfo(np.uint16).max)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is kept of the answer to an object or a part of one."""

    job: Job
    uncertainty: Uncertainty
    is_held: bool
    n_windows: int
    consensus: Consensus


class Answer(NamedTuple):
    """A last draft until all others are known, in three bytes a pixel, and its vote."""

    job: Job
    mask: Mask
    probability: npt.NDArray[np.uint16]
    was_asked: bool
    n_windows: int
    vote: float
    stays: bool

    @classmethod
    def of(cls, job: Job, draft: Draft, *, stays: bool) -> Answer:
        """What is kept of a draft; it may be let go of."""
        return cls(
            job,
            draft.mask,
            np.rint(draft.probability * MOST).astype(np.uint16),
            draft.was_asked,
            draft.n_windows,
            vote(draft.coarse, draft.mask),
            stays,
        )

    def draft(self, coarse: Mask) -> Draft:
        """The draft again, without what only further passes need."""
        probability = self.probability.astype(np.float32) / MOST
        draft = Draft(self.job.crop, coarse, self.mask, probability, probability)
        draft.was_asked, draft.n_windows = self.was_asked, self.n_windows
        return draft


class Surface(Protocol):
    """What refined objects are painted on."""

    def paint(
        self, id: int, box: Box, mask: Mask, probability: npt.NDArray[np.float32]
    ) -> None:
        """Claim the pixels of a mask in a box for an object."""

    def hold(self, found: LabelledObject, own: Mask | None = None) -> None:
        """Give an object, or a part of it, exactly its coarse mask."""

    def hold_vanished(self, painted: Iterable[tuple[LabelledObject, Box]]) -> set[int]:
        """Hold objects that have no pixel left in their boxes; returns their ids."""

    def close_gaps(self, box: Box) -> None:
        """Let objects that touched in a box touch again."""

    def mask(self, id: int, box: Box) -> Mask:
        """Where an object stands now, (h, w) bool."""


class Settlement:
    """Takes the answers of a run, in any order, and ends in masks and reports.

    Parameters
    ----------
    plan : Plan
    guards : Guards
    surface : Surface
        Shows the result once :meth:`finish` was called.
    threshold : float
        Probability from which a pixel belongs to its object (method 2).
    consensus : float
        Mean vote of all others from which it moves (method 7); 1: each object is
        settled at once.
    """

    def __init__(
        self,
        plan: Plan,
        guards: Guards,
        surface: Surface,
        *,
        threshold: float = 0.5,
        consensus: float = 1.0,
    ) -> None:
        self._plan = plan
        self._guards = guards
        self._surface = surface
        self._threshold = threshold
        self._consensus = consensus
        #: By object and the rank of its part, as the outcomes below.
        self._answers: dict[tuple[int, int], Answer] = {}
        #: By object, then by the rank of its parts: a batch that begins anew settles
        #: its first ones again.
        self._outcomes: dict[int, dict[int, Outcome]] = {}

    def doubts(self, draft: Draft) -> bool:
        """Whether the guard of whole objects holds a draft."""
        if not draft.was_asked or not draft.mask.any() or self._guards.doubt >= 1:
            return False
        found = measure_uncertainty(draft.coarse, draft.mask, draft.probability)
        return self._guards.holds(found.mean)

    def settle(self, job: Job, draft: Draft) -> None:
        """Settle an object's last draft, at once or when all objects have voted."""
        if self._consensus < 1:
            stays = self._guards.leaves(draft.mask, draft.coarse, draft.probability)
            self._answers[job.target.id, job.rank] = Answer.of(job, draft, stays=stays)
        else:
            self._settle(job, draft, "none")

    def _settle_answers(self) -> None:
        """Settle what was put off, as all answers agree."""
        asked = [key for key, answer in self._answers.items() if answer.was_asked]
        votes = [self._answers[key].vote for key in asked]
        stays = [self._answers[key].stays for key in asked]
        said = dict(zip(asked, agree(votes, stays, self._consensus), strict=True))
        while self._answers:
            key, answer = self._answers.popitem()
            draft = answer.draft(self._plan.mask(answer.job))
            self._settle(answer.job, draft, said.get(key, "none"))

    def _settle(self, job: Job, draft: Draft, consensus: Consensus) -> None:
        """Ask the guards about an object's last draft, and paint it."""
        uncertainty = measure_uncertainty(draft.coarse, draft.mask, draft.probability)
        refined = draft.coarse
        guards = self._guards.calmed(CALM) if consensus == "right" else self._guards
        cut = draft.cut(agreed_threshold(self._threshold, consensus))
        is_led = consensus in ("small", "large") or guards.direction != "both"
        # Whether there is a change at all is decided at one half, not at the threshold,
        # unless the user or all others say that there must be one.
        asked = cut if is_led else draft.mask
        stays = guards.leaves(asked, draft.coarse, draft.probability)
        if not stays:
            refined = guards.limit(cut, draft.coarse, draft.probability)
        inside = job.crop.inside
        if job.own is not None:
            # About the pixels of other parts their own crops decide.
            refined = refined & ~(draft.coarse & ~job.own.within(inside))
        is_held = not draft.was_asked
        if not draft.n_windows:  # else the guard was asked before them
            is_held |= bool(refined.any()) and guards.holds(uncertainty.mean)
        if stays or is_held:  # what is right already gives nothing to its neighbours
            self._surface.hold(job.target, self._plan.own(job))
        else:
            if guards.direction == "grow":  # no neighbour takes what it has
                self._surface.hold(job.target, self._plan.own(job))
            self._surface.paint(job.target.id, inside, refined, draft.probability)
        outcome = Outcome(job, uncertainty, is_held, draft.n_windows, consensus)
        self._outcomes.setdefault(job.target.id, {})[job.rank] = outcome

    def finish(self, *, closes_gaps: bool) -> tuple[ObjectReport, ...]:
        """Settle what only the whole image can, and report on every object, by id."""
        self._settle_answers()
        refined = [o for o in self._plan.coarse.objects if o.id in self._outcomes]
        regions = {o.id: self._region(o.id) for o in refined}
        # The published code lets objects vanish.
        may_vanish = any(job.crop.is_published for job in self._plan.jobs)
        kept = set[int]()
        if not may_vanish:
            kept = self._surface.hold_vanished((o, regions[o.id]) for o in refined)
        if closes_gaps and refined:
            whole = reduce(Box.union, (found.box for found in refined))
            self._surface.close_gaps(whole.expand(1).clip(self._plan.coarse.shape))
        return tuple(
            self._report(found, regions[found.id], is_kept=found.id in kept)
            if found.id in self._outcomes
            else _report_skipped(found)
            for found in self._plan.coarse.objects
        )

    def _region(self, id: int) -> Box:
        """The box that holds all crops of an object."""
        crops = (outcome.job.crop.inside for outcome in self._outcomes[id].values())
        return reduce(Box.union, crops)

    def _report(
        self, found: LabelledObject, region: Box, *, is_kept: bool
    ) -> ObjectReport:
        outcomes = self._outcomes[found.id].values()
        coarse = self._plan.coarse.mask(found.id, region)
        refined = self._surface.mask(found.id, region)
        agreement = iou(coarse, refined)
        is_held = all(outcome.is_held for outcome in outcomes)
        status: Status = "unchanged" if agreement == 1.0 else "refined"
        if is_kept:
            status = "kept"
        elif is_held:
            status = "held"
        uncertainty = mean_uncertainty([outcome.uncertainty for outcome in outcomes])
        is_whole = any(outcome.job.mode == "whole" for outcome in outcomes)
        said = {outcome.consensus for outcome in outcomes} - {"none"}
        return ObjectReport(
            id=found.id,
            status=status,
            area_before=found.area,
            area_after=int(np.count_nonzero(refined)),
            iou=agreement,
            uncertainty=uncertainty.mean,
            undecided_share=uncertainty.undecided_share,
            box=found.box,
            mode="whole" if is_whole else "objects",
            n_windows=sum(outcome.n_windows for outcome in outcomes),
            consensus=said.pop() if len(said) == 1 else "none",
        )


def _report_skipped(found: LabelledObject) -> ObjectReport:
    return ObjectReport(
        id=found.id,
        status="skipped",
        area_before=found.area,
        area_after=found.area,
        iou=1.0,
        uncertainty=math.nan,
        undecided_share=math.nan,
        box=found.box,
    )
