"""How much better a model makes coarse sets, run in several ways."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_segrefiner.errors import OptionError
from napari_segrefiner.evaluation.oracle import ORACLE, oracle_band
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

_UNGUARDED = {
    "doubt": 1.0,
    "pixel_doubt": 0.0,
    "band": 0.0,
    "least_change": 0.0,
    "least_piece": 0.0,
}
#: Ways to run every number of steps: options that differ from those given.
WAYS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "flips": {"flips": True},
    "unguarded": _UNGUARDED,
    "flips+unguarded": {"flips": True, **_UNGUARDED},
}


@dataclass(frozen=True)
class Row:
    """Totals of one kind of one set.

    Layers are "coarse", the names of the runs, and those of baselines.
    ``seconds`` is what each took for all objects, ``failed`` for how many objects a
    baseline had no answer, so that they kept their coarse masks.
    """

    kind: str
    name: str
    totals: Totals
    seconds: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of objects."""
        return self.totals[COARSE]["iou"].n


def variants(
    options: RefineOptions, steps: Sequence[int], ways: Sequence[str] = ("plain",)
) -> dict[str, RefineOptions]:
    """The runs of a model: every way with every number of steps.

    Returns
    -------
    dict of str to RefineOptions
        Options by the name of the layer.

    Raises
    ------
    OptionError
        If a way is none of WAYS.

    Examples
    --------
    >>> from napari_segrefiner.options import RefineOptions
    >>> list(variants(RefineOptions(), (1, 2), ("plain", "flips")))
    ['1', '2', '1 flips', '2 flips']
    """
    unknown = [way for way in ways if way not in WAYS]
    if unknown or not ways:
        given = ", ".join(unknown) or "without a name"
        msg = f"There is no way {given}; choose from {', '.join(WAYS)}."
        raise OptionError(msg)
    return {
        str(n) if way == "plain" else f"{n} {way}": dataclasses.replace(
            options, steps=n, **WAYS[way]
        )
        for way in ways
        for n in steps
    }


def validate(
    sets: Iterable[CoarseSet],
    model: Model,
    runs: Mapping[str, RefineOptions],
    *,
    baselines: Sequence[Baseline] = (),
    tuned: Tuned | None = None,
    has_oracle: bool = False,
) -> Iterator[Row]:
    """Refine every set in every run and score it.

    Parameters
    ----------
    sets : iterable of CoarseSet
    model : Model
    runs : mapping of str to RefineOptions
        At least one, by the name of its layer, such as :func:`variants` gives.
    baselines : sequence of Baseline
        Scored beside the model, with the crops and the merge of its first run.
    tuned : Tuned, optional
        Their settings for each set; their defaults if not given.
    has_oracle : bool
        Whether to score what a band allows at best, see :mod:`.oracle`.

    Yields
    ------
    Row
        One per set.

    Raises
    ------
    InputError
        Beginning with the file, if an image cannot be refined, as one without values.
    """
    from napari_segrefiner.core.refiner import refine  # brings torch
    from napari_segrefiner.evaluation.baseline_runs import refine_with
    from napari_segrefiner.evaluation.tuning import Tuned

    frozen = tuned or Tuned()
    first = next(iter(runs.values()))
    for one in sets:
        images: list[ImageScores] = []
        failed = dict.fromkeys((baseline.name for baseline in baselines), 0)
        seconds = dict.fromkeys((*runs, *failed), 0.0)
        for stem in one.stems:
            image, coarse = one.read(stem)
            layers = {COARSE: coarse.labels}
            for name, options in runs.items():
                start = time.perf_counter()
                with one.naming(stem):
                    result = refine(image, coarse.labels, model=model, options=options)
                seconds[name] += time.perf_counter() - start
                layers[name] = result.labels
            for baseline in baselines:
                start = time.perf_counter()
                found = refine_with(
                    baseline,
                    frozen.settings(baseline.name, one.name),
                    image,
                    coarse.labels,
                    card=model.card,
                    options=first,
                )
                seconds[baseline.name] += time.perf_counter() - start
                failed[baseline.name] += found.n_failed
                layers[baseline.name] = found.labels
            pairs = pair_objects(coarse.truth, coarse.labels, "id")
            if has_oracle:
                layers[ORACLE] = oracle_band(coarse.truth, coarse.labels, pairs)
            images.append(score_image(stem, coarse.truth, layers, pairs))
        yield Row(one.kind, one.name, totals(images), seconds, failed)


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


def is_run(layer: str) -> bool:
    """Whether a layer is the model's: its name begins with the number of steps."""
    return layer[:1].isdigit()


def title(layer: str) -> str:
    """The name of a layer for readers.

    Examples
    --------
    >>> title("1"), title("2 flips"), title("graph_cut")
    ('1 step', '2 steps flips', 'graph cut')
    """
    first, _, rest = layer.partition(" ")
    if first.isdigit():
        return f"{first} step{'s' if first != '1' else ''} {rest}".strip()
    return layer.replace("_", " ")


def table_head(layers: Sequence[str]) -> str:
    """The two lines above a table of rows."""
    first = f"{'':<30}{'n':>6}  {'coarse':^11}"
    second = f"{'':<38}{'IoU':>5} {'bIoU':>5}"
    for layer in layers:
        first += f"   {title(layer):^25}"
        second += f"   {'IoU':>5} {'bIoU':>5} {'+.02':>6} {'-.05':>6}"
    return f"{first}\n{second}"


def table_line(name: str, n: int, row: Totals) -> str:
    """One line of the table: scores, and shares better by .02 and worse by .05."""
    line = f"{name:<30}{n:>6}  {_scores(row[COARSE])}"
    for layer in (layer for key, layer in row.items() if key != COARSE):
        shares = (layer["improved_02"].value, layer["worse_05"].value)
        line += f"   {_scores(layer)} " + " ".join(_percent(x) for x in shares)
    return line


def _scores(layer: Mapping[str, Total]) -> str:
    return " ".join(_number(layer[m].value) for m in ("iou", "boundary_iou"))


def _number(value: float) -> str:
    return f"{value:>5.3f}" if math.isfinite(value) else "    -"


def _percent(value: float) -> str:
    return f"{100 * value:>5.1f}%" if math.isfinite(value) else "     -"
