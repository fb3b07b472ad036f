"""Settling: from the network's answers to labels and reports, guards included."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.compose import Canvas
from napari_segrefiner.core.events import ObjectReport, Status
from napari_segrefiner.core.gaps import close_gaps
from napari_segrefiner.core.report import (
    Uncertainty,
    measure_uncertainty,
    overlap,
)

if TYPE_CHECKING:
    from napari_segrefiner.core.draft import Draft
    from napari_segrefiner.core.guards import Guards
    from napari_segrefiner.core.objects import LabelledObject
    from napari_segrefiner.core.plan import Job, Plan

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is kept of one object's answer."""

    job: Job
    uncertainty: Uncertainty
    is_held: bool
    n_windows: int


class Settlement:
    """Takes the answers of a run, in any order, and ends in labels and reports.

    Parameters
    ----------
    plan : Plan
    guards : Guards

    Attributes
    ----------
    canvas : Canvas
        Its ``labels`` are the result once :meth:`finish` was called.
    """

    def __init__(self, plan: Plan, guards: Guards) -> None:
        self._plan = plan
        self._guards = guards
        self._outcomes: dict[int, Outcome] = {}
        self.canvas = Canvas(
            plan.coarse,
            [job.target for job in plan.jobs],
            protects=len(plan.jobs) < len(plan.objects),
        )

    def settle(self, job: Job, draft: Draft) -> None:
        """Ask the guards about an object's last draft, and paint it."""
        refined, certain = draft.mask, draft.probability
        uncertainty = measure_uncertainty(draft.coarse, refined, certain)
        refined = self._guards.limit(refined, draft.coarse, certain)
        is_held = not draft.was_asked or (
            bool(refined.any()) and self._guards.holds(uncertainty.mean)
        )
        if is_held:
            self.canvas.hold(job.target)
        else:
            self.canvas.paint(job.target.id, job.crop.inside, refined, certain)
        self._outcomes[job.target.id] = Outcome(
            job, uncertainty, is_held, draft.n_windows
        )

    def finish(self, *, closes_gaps: bool) -> tuple[ObjectReport, ...]:
        """Settle what only the whole image can, and report on every object, by id."""
        kept = self.canvas.hold_vanished(
            (outcome.job.target, outcome.job.crop.inside)
            for outcome in self._outcomes.values()
            # The published code lets objects vanish.
            if not outcome.job.crop.is_published
        )
        if closes_gaps:
            self._close_gaps()
        return tuple(
            self._report(self._outcomes[found.id], is_kept=found.id in kept)
            if found.id in self._outcomes
            else _report_skipped(found)
            for found in self._plan.objects
        )

    def _close_gaps(self) -> None:
        """Close gaps where objects were refined, and nowhere else."""
        boxes = [outcome.job.target.box for outcome in self._outcomes.values()]
        if not boxes:
            return
        whole = boxes[0]
        for box in boxes[1:]:
            whole = whole.union(box)
        height, width = self._plan.coarse.shape
        around = whole.expand(1).clip((height, width)).slices
        close_gaps(self._plan.coarse[around], self.canvas.labels[around])

    def _report(self, outcome: Outcome, *, is_kept: bool) -> ObjectReport:
        job, target = outcome.job, outcome.job.target
        coarse = self._plan.mask(job)
        refined = self.canvas.mask(target.id, job.crop.inside)
        iou = overlap(coarse, refined)
        status: Status = "unchanged" if iou == 1.0 else "refined"
        if is_kept:
            status = "kept"
        elif outcome.is_held:
            status = "held"
        return ObjectReport(
            id=target.id,
            status=status,
            area_before=target.area,
            area_after=int(np.count_nonzero(refined)),
            iou=iou,
            uncertainty=outcome.uncertainty.mean,
            undecided_share=outcome.uncertainty.undecided_share,
            box=target.box,
            mode=job.mode,
            n_windows=outcome.n_windows,
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
