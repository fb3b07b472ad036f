"""Fair settings of baselines: one choice per data set, on a training split alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.evaluation.baseline_runs import Shown, answer, plan_as, show
from napari_segrefiner.evaluation.baselines import BASELINES, Baseline, Settings
from napari_segrefiner.io.atomic import write_text
from napari_segrefiner.metrics import boundary_f, iou
from napari_segrefiner.wording import json_text

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_segrefiner.evaluation.coarse_sets import CoarseSet
    from napari_segrefiner.models.card import ModelCard
    from napari_segrefiner.options import RefineOptions

#: Most objects that settings are chosen on, per set.
TUNING_OBJECTS = 60
#: Tolerance in pixels of the boundary F that is half of the criterion.
TOLERANCE = 2


@dataclass(frozen=True)
class Choice:
    """The settings chosen for one set.

    ``score`` is the mean of IoU and boundary F (2 px) over `n` training objects,
    ``coarse`` the same of the coarse masks.
    """

    baseline: str
    set_name: str
    settings: dict[str, float]
    score: float
    coarse: float
    n: int


@dataclass(frozen=True)
class Tuned:
    """Frozen choices of several baselines and sets, and what they were made on."""

    choices: tuple[Choice, ...] = ()
    made_on: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, baseline: str, set_name: str) -> Settings:
        """The settings for a set; of an unknown set the most frequent choice."""
        own = [one for one in self.choices if one.baseline == baseline]
        for one in own:
            if one.set_name == set_name:
                return one.settings
        if not own:
            return BASELINES[baseline].default
        texts = [json.dumps(one.settings, sort_keys=True) for one in own]
        common: dict[str, float] = json.loads(max(texts, key=texts.count))
        return common


def find_baselines(words: Sequence[str]) -> tuple[Baseline, ...]:
    """Baselines by name, "all" among them for those that can be run.

    Raises
    ------
    OptionError
        If a name is unknown, or its package is not there.
    """
    from napari_segrefiner.evaluation import cascade_psp
    from napari_segrefiner.evaluation.baselines import available

    if "all" in words:
        every = [name for name in available() if name != "nothing"]
        words = [*every, *(word for word in words if word not in (*every, "all"))]
    unknown = [word for word in words if word not in BASELINES]
    if unknown:
        msg = (
            f"There is no baseline {', '.join(unknown)}; choose from "
            f"{', '.join(BASELINES)}, or all."
        )
        raise OptionError(msg)
    absent = cascade_psp.why_absent()
    if "cascade_psp" in words and absent:
        raise OptionError(absent)
    return tuple(BASELINES[word] for word in words)


def tune(
    sets: Iterable[CoarseSet],
    baselines: Sequence[Baseline],
    card: ModelCard,
    options: RefineOptions,
    *,
    limit: int = TUNING_OBJECTS,
) -> Iterator[Choice]:
    """Choose settings for each set by a full grid.

    Parameters
    ----------
    sets : iterable of CoarseSet
        Of a training split; sets of several kinds count as one by their name.
    baselines : sequence of Baseline
    card, options
        Of the model to compare with, see
        :func:`napari_segrefiner.evaluation.baseline_runs.refine_with`.
    limit : int
        Most objects per set.

    Yields
    ------
    Choice

    Raises
    ------
    InputError
        Beginning with the file, if an image cannot be used, as one without values.
    """
    by_name: dict[str, list[CoarseSet]] = {}
    for one in sets:
        by_name.setdefault(one.name, []).append(one)
    for name, group in by_name.items():
        seen = [pair for one in group for pair in _objects(one, card, options)]
        # Evenly over all kinds and images.
        step = max(1, -(-len(seen) // limit))
        seen = seen[::step]
        if not seen:
            continue
        coarse = float(np.mean([_score(shown.coarse, truth) for shown, truth in seen]))
        for baseline in baselines:
            scores = [
                _mean_score(baseline, settings, seen)
                for settings in baseline.candidates()
            ]
            best = int(np.argmax(scores))
            yield Choice(
                baseline.name,
                name,
                baseline.candidates()[best],
                scores[best],
                coarse,
                len(seen),
            )


def _objects(
    one: CoarseSet, card: ModelCard, options: RefineOptions
) -> Iterator[tuple[Shown, npt.NDArray[np.bool_]]]:
    """Every object of a set as a baseline sees it, with its true mask in the crop."""
    for stem in one.stems:
        image, coarse = one.read(stem)
        with one.naming(stem):
            plan = plan_as(card, options, image, coarse.labels)
        for job in plan.jobs:
            truth = coarse.truth[job.crop.inside.slices] == job.target.id
            yield show(plan, job), truth


def _mean_score(
    baseline: Baseline,
    settings: Settings,
    seen: Sequence[tuple[Shown, npt.NDArray[np.bool_]]],
) -> float:
    scores = []
    for shown, truth in seen:
        draft = answer(baseline, settings, shown)
        mask = shown.coarse if draft is None or not draft.mask.any() else draft.mask
        scores.append(_score(mask, truth))
    return float(np.mean(scores))


def _score(mask: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    """The criterion: mean of IoU and boundary F at 2 px."""
    return (iou(truth, mask) + boundary_f(truth, mask, TOLERANCE)) / 2


def write_tuned(path: Path, tuned: Tuned, *, overwrite: bool = False) -> None:
    """Freeze choices in a JSON file."""
    content = {
        "made_on": dict(tuned.made_on),
        "choices": [asdict(one) for one in tuned.choices],
    }
    write_text(path, json_text(content), overwrite=overwrite)


def read_tuned(path: Path) -> Tuned:
    """Read frozen choices.

    Raises
    ------
    InputError
        If the file is not there or not such a file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        choices = tuple(_choice(one) for one in content["choices"])
        return Tuned(choices, content["made_on"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        msg = (
            f"{path} holds no tuned baselines ({error}); make it with "
            "napari-segrefiner tune."
        )
        raise InputError(msg) from error


def _choice(entry: dict[str, Any]) -> Choice:
    """A choice as it was written; ValueError if its baseline has no such settings."""
    choice = Choice(**entry)
    grids = BASELINES[choice.baseline].grids
    is_known = any(set(choice.settings) == set(grid) for grid in grids)
    if not is_known or not all(
        isinstance(value, int | float) for value in dict(choice.settings).values()
    ):
        message = f"{choice.baseline} has no settings {choice.settings}"
        raise ValueError(message)
    return choice
