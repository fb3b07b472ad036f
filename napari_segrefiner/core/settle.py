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
from napari_segrefiner.core.resampling import from_grid, transfer

if TYPE_CHECKING:
    from napari_segrefiner.core.guards import Guards
    from napari_segrefiner.core.objects import LabelledObject
    from napari_segrefiner.core.plan import Job, Plan

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is kept of one object's answer."""

    job: Job
    uncertainty: Uncertainty
    is_held: bool


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

    def settle(
        self,
        job: Job,
        probability: Plane,
        seen: Mask,
        *,
        sampled: Plane | None = None,
    ) -> None:
        """Bring one answer back to the pixels, ask the guards, and paint.

        Parameters
        ----------
        job : Job
        probability : (grid, grid) float32 array in [0, 1]
            The answer.
        seen : (grid, grid) bool array
            The coarse mask that the network was given.
        sampled : (grid, grid) float32 array, 0 or 1, optional
            The mask where the end was sampled; else `probability` decides.
        """
        coarse = self._plan.mask(job)
        if sampled is None:
            refined, certain = transfer(probability, seen, coarse, job.crop)
        else:
            refined, _ = transfer(sampled, seen, coarse, job.crop)
            certain = from_grid(probability, job.crop)
        uncertainty = measure_uncertainty(coarse, refined, certain)
        refined = self._guards.limit(refined, coarse, certain)
        # A mask too thin to be seen on the grid was no question to the network.
        was_asked = bool(seen.any()) or job.crop.is_published
        is_held = not was_asked or (
            bool(refined.any()) and self._guards.holds(uncertainty.mean)
        )
        if is_held:
            self.canvas.hold(job.target)
        else:
            self.canvas.paint(job.target.id, job.crop.inside, refined, certain)
        self._outcomes[job.target.id] = Outcome(job, uncertainty, is_held)

    def finish(self, *, closes_gaps: bool) -> tuple[ObjectReport, ...]:
        """Settle what only the whole image can, and report on every object, by id."""
        kept = self.canvas.hold_vanished(
            (outcome.job.target, outcome.job.crop.inside)
            for outcome in self._outcomes.values()
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
