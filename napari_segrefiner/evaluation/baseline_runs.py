"""Running a baseline as a model is run: same objects, same crops, same merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.coarse import CoarseLabels
from napari_segrefiner.core.compose import Canvas
from napari_segrefiner.core.draft import Draft, make_draft
from napari_segrefiner.core.guards import Guards
from napari_segrefiner.core.plan import Job, Plan, make_plan
from napari_segrefiner.core.settle import Settlement
from napari_segrefiner.core.strategy import crop_rule
from napari_segrefiner.errors import InputError
from napari_segrefiner.evaluation.baselines import Baseline, Settings, stretched
from napari_segrefiner.evaluation.scores import COARSE
from napari_segrefiner.io.picture import open_picture
from napari_segrefiner.io.stacks import planes
from napari_segrefiner.models.card import resolve
from napari_segrefiner.options import RefineOptions, known

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.folders import Loaded
    from napari_segrefiner.evaluation.tuning import Tuned
    from napari_segrefiner.models.card import ModelCard

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Shown:
    """One object as the network would see it.

    ``image`` is (C, S, S) in [0, 1], ``seen`` the coarse mask on the grid (S, S).
    """

    job: Job
    coarse: Mask
    image: Plane
    seen: Mask


@dataclass(frozen=True)
class BaselineResult:
    """New labels, and in how many objects the method had no answer (coarse kept)."""

    labels: npt.NDArray[Any]
    n_failed: int


def plan_as(
    card: ModelCard,
    options: RefineOptions,
    image: npt.NDArray[Any],
    labels: npt.NDArray[Any],
) -> Plan:
    """The plan that a model with this card would follow, windows excepted."""
    return _plan(card, options, image, CoarseLabels(labels))


def _plan(
    card: ModelCard,
    options: RefineOptions,
    image: npt.NDArray[Any],
    coarse: CoarseLabels,
) -> Plan:
    chosen = resolve(options, card)
    picture = open_picture(
        image,
        coarse.shape,
        channel_axis=chosen.channel_axis,
        channels=chosen.channels,
    )
    return make_plan(
        picture,
        coarse,
        crop_rule(chosen, card),
        lambda crop: "objects",
        ids=chosen.ids,
        min_area=known(chosen.min_area),
        labels_are=chosen.labels_are,
    )


def show(plan: Plan, job: Job) -> Shown:
    """What a baseline sees of an object."""
    images, seen = plan.show([job])
    return Shown(job, plan.mask(job), stretched(images[0]), seen[0])


def answer(baseline: Baseline, settings: Settings, shown: Shown) -> Draft | None:
    """A baseline's mask of an object at the image's pixels; None if it has none."""
    if not shown.seen.any():
        return None
    probability = baseline.method(shown.image, shown.seen, settings)
    if probability is None:
        return None
    return make_draft(
        shown.job.crop,
        shown.coarse,
        shown.seen,
        probability.astype(np.float32),
        np.zeros_like(shown.image[0]),
    )


def baseline_layers(
    set_name: str,
    found: Loaded,
    baselines: Sequence[Baseline],
    tuned: Tuned,
    card: ModelCard,
) -> dict[str, npt.NDArray[Any]]:
    """The coarse labels of a picture refined by every baseline, plane by plane.

    Parameters
    ----------
    set_name : str
        Chooses the settings.
    found : Loaded
        With its image.
    baselines : sequence of Baseline
    tuned : Tuned
        Their settings.
    card : ModelCard
        Of the model to compare with, see :func:`refine_with`.

    Returns
    -------
    dict of str to array
        Labels by the name of the baseline, as large as the coarse ones.

    Raises
    ------
    InputError
        If there is no image, or it cannot be refined.
    """
    if found.image is None:
        msg = "Baselines look at images, but there is none; give one."
        raise InputError(msg)
    coarse = found.layers[COARSE]
    layers = {one.name: coarse.copy() for one in baselines}
    for plane in planes(found.image, coarse):
        options = RefineOptions(channel_axis=plane.channel_axis)
        for one in baselines:
            layers[one.name][plane.index] = refine_with(
                one,
                tuned.settings(one.name, set_name),
                plane.image,
                plane.labels,
                card=card,
                options=options,
            ).labels
    return layers


def refine_with(
    baseline: Baseline,
    settings: Settings,
    image: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    *,
    card: ModelCard,
    options: RefineOptions,
) -> BaselineResult:
    """Refine all objects of a label image by a baseline.

    Parameters
    ----------
    baseline : Baseline
    settings : mapping
        Its settings.
    image : (Y, X), (Y, X, C) or (C, Y, X) array
    labels : (Y, X) integer or bool array
        Coarse labels.
    card : ModelCard
        Of the model to compare with: crops, grids and merge are as for it.
    options : RefineOptions
        As for it; its guards are its own.
    """
    coarse = CoarseLabels(labels)
    plan = _plan(card, options, image, coarse)
    canvas = Canvas.of(coarse, plan)
    settlement = Settlement(plan, Guards(), canvas)
    n_failed = 0
    for job in plan.jobs:
        shown = show(plan, job)
        draft = answer(baseline, settings, shown)
        if draft is None:
            n_failed += 1
            sure = shown.coarse.astype(np.float32)
            none = np.zeros_like(shown.image[0])
            draft = Draft(
                job.crop, shown.coarse, shown.coarse, sure, none, was_asked=False
            )
        settlement.settle(job, draft)
    settlement.finish(closes_gaps=bool(resolve(options, card).close_gaps))
    return BaselineResult(canvas.labels.view(labels.dtype), n_failed)
