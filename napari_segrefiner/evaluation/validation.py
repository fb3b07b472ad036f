"""How much better a model makes coarse sets, for several numbers of steps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segrefiner.evaluation.pairing import pair_objects
from napari_segrefiner.evaluation.scores import (
    COARSE,
    ImageScores,
    Total,
    mean_of,
    score_image,
    totals,
)

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.baselines import Baseline
    from napari_segrefiner.evaluation.coarse_sets import CoarseSet
    from napari_segrefiner.evaluation.tuning import Tuned
    from napari_segrefiner.models.checkpoint import Model
    from napari_segrefiner.options import RefineOptions

Totals = Mapping[str, Mapping[str, Total]]


@dataclass(frozen=True)
class Row:
    """Totals of one kind of one set.

    Layers are "coarse", the numbers of steps, and the names of baselines.
    """

    kind: str
    name: str
    totals: Totals

    @property
    def n(self) -> int:
        """Number of objects."""
        return self.totals[COARSE]["iou"].n


def validate(
    sets: Iterable[CoarseSet],
    model: Model,
    options: RefineOptions,
    steps: Sequence[int],
    *,
    baselines: Sequence[Baseline] = (),
    tuned: Tuned | None = None,
) -> Iterator[Row]:
    """Refine every set with every number of steps and score it.

    Parameters
    ----------
    sets : iterable of CoarseSet
    model : Model
    options : RefineOptions
        All but the number of steps.
    steps : sequence of int
    baselines : sequence of Baseline
        Scored beside the model, with its crops and its merge.
    tuned : Tuned, optional
        Their settings for each set; their defaults if not given.

    Yields
    ------
    Row
        One per set.
    """
    from napari_segrefiner.core.refiner import refine  # brings torch
    from napari_segrefiner.evaluation.baseline_runs import refine_with
    from napari_segrefiner.evaluation.tuning import Tuned

    frozen = tuned or Tuned()
    for one in sets:
        images: list[ImageScores] = []
        for stem in one.stems:
            image, coarse = one.read(stem)
            layers = {COARSE: coarse.labels}
            for n in steps:
                chosen = dataclasses.replace(options, steps=n)
                result = refine(image, coarse.labels, model=model, options=chosen)
                layers[str(n)] = result.labels
            for baseline in baselines:
                settings = frozen.settings(baseline.name, one.name)
                layers[baseline.name] = refine_with(
                    baseline,
                    settings,
                    image,
                    coarse.labels,
                    card=model.card,
                    options=options,
                ).labels
            pairs = pair_objects(coarse.truth, coarse.labels, "id")
            images.append(score_image(stem, coarse.truth, layers, pairs))
        yield Row(one.kind, one.name, totals(images))


def means(
    rows: Sequence[Row], left_out: Sequence[str] = ()
) -> dict[str, tuple[int, Totals]]:
    """Means over sets, every row counting the same.

    Returns
    -------
    dict of str to (number of rows, totals)
        ``all``; then, where there are both, ``seen`` and ``left out`` as `left_out`
        names the sets; then each kind, where there are several.
    """
    if not rows:
        return {}
    unseen = [row for row in rows if row.name in left_out]
    seen = [row for row in rows if row.name not in left_out]
    groups = {"all": list(rows)}
    if unseen and seen:
        groups |= {"seen": seen, "left out": unseen}
    kinds = list(dict.fromkeys(row.kind for row in rows))
    if len(kinds) > 1:
        groups |= {kind: [row for row in rows if row.kind == kind] for kind in kinds}
    return {
        name: (len(group), mean_of([row.totals for row in group]))
        for name, group in groups.items()
    }


def table_head(steps: Sequence[int], baselines: Sequence[str] = ()) -> str:
    """The two lines above a table of rows; baselines come after the model."""
    first = f"{'':<30}{'n':>6}  {'coarse':^11}"
    second = f"{'':<38}{'IoU':>5} {'bIoU':>5}"
    titles = [f"{n} step{'s' if n > 1 else ''}" for n in steps]
    for title in (*titles, *baselines):
        first += f"   {title:^25}"
        second += f"   {'IoU':>5} {'bIoU':>5} {'+.02':>6} {'-.05':>6}"
    return f"{first}\n{second}"


def table_line(
    name: str,
    n: int,
    row: Totals,
    steps: Sequence[int],
    baselines: Sequence[str] = (),
) -> str:
    """One line of the table: scores, and shares better by .02 and worse by .05."""
    line = f"{name:<30}{n:>6}  {_scores(row[COARSE])}"
    for key in (*map(str, steps), *baselines):
        layer = row[key]
        shares = (layer["improved_02"].value, layer["worse_05"].value)
        line += f"   {_scores(layer)} " + " ".join(_percent(x) for x in shares)
    return line


def _scores(layer: Mapping[str, Total]) -> str:
    return " ".join(_number(layer[m].value) for m in ("iou", "boundary_iou"))


def _number(value: float) -> str:
    return f"{value:>5.3f}" if math.isfinite(value) else "    -"


def _percent(value: float) -> str:
    return f"{100 * value:>5.1f}%" if math.isfinite(value) else "     -"
