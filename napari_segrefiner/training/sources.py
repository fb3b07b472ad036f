"""Where the windows of a training come from, for learning and for validation."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.datasets import ImageSet, find_sets
from napari_segrefiner.train_options import TrainOptions, known
from napari_segrefiner.training.augment import AugmentOptions
from napari_segrefiner.training.batches import SampleSource
from napari_segrefiner.training.published_samples import PublishedSamples
from napari_segrefiner.training.samples import SampleOptions, Samples
from napari_segrefiner.training.validate import SHOWN, Windows, draw_windows
from napari_segrefiner.training.windows import WindowOptions
from napari_segrefiner.wording import listed

if TYPE_CHECKING:
    from napari_segrefiner.training.distributed import Team
    from napari_segrefiner.training.run_state import RunConfig

logger = logging.getLogger(__name__)

#: How often preset default-model draws a set, relative to the others; 1 for those not
#: named (method 11). Any other training draws alike: a user's set may have such a name.
SET_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "davis": 2.2,
        "dsb2018_fluo": 1.2,
        "dsb2018_stained": 1.0,
        "nuinsseg_oesophagus": 0.6,
        "axons": 0.9,
        "wbc": 0.8,
        "yeast": 0.5,
        "plant_cells": 0.8,
        "camvid": 0.8,
        "examples": 0.6,
    }
)
#: Seed of validation windows: the same in every run, other than any training's.
VALIDATION_SEED = 715_517
#: Folder of a run with made coarse masks that are used again.
CACHE = "coarse"
#: Rows of examples that a sheet has if there are only a few sets.
SHEET_ROWS = 6
#: What can be said of a model without any scores.
UNVALIDATED = (
    "No validation was possible: no labelled images can be used beside those that were "
    "learnt from. For a figure of how good the model is, some have to be held back."
)
#: What is said if none were wanted.
NOT_ASKED = "The model was not validated, because no validation windows were asked for."
#: Cores left to the process that drives a GPU; workers that are enough for any.
SPARED, MOST_WORKERS = 2, 16
#: Validation pictures keep their colours and shapes: on such the model will work.
_NO_COLOUR = AugmentOptions(
    **{item.name: 0.0 for item in dataclasses.fields(AugmentOptions)}
)


class CountedSource(SampleSource, Protocol):
    """Samples that know what they are drawn from."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sets."""

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Images and objects of each set, as far as they are known."""


def training_samples(
    sets: Sequence[ImageSet], options: TrainOptions, folder: Path, told: set[str]
) -> CountedSource:
    """The samples to learn from.

    Parameters
    ----------
    sets : sequence of ImageSet
    options : TrainOptions
        Resolved.
    folder : Path
        Of the run; it keeps what is expensive to make.
    told : set of str
        Problems that the user has read; others are logged, and added (in place).
    """
    if options.crops == "windows":
        return Samples(
            sets,
            seed=options.seed,
            window=known(options.window),
            weights=SET_WEIGHTS if options.preset == "default-model" else None,
            options=SampleOptions(simulator_kind=known(options.simulator)),
            told=told,
        )
    return PublishedSamples(
        sets,
        seed=options.seed,
        side=known(options.window),
        has_patches=options.crops == "patches",
        told=told,
        cache=folder / CACHE / "train",
    )


class Held(NamedTuple):
    """What a training is validated with, and what its scores therefore cannot tell.

    ``windows`` are empty if none are wanted or there are no validation data; ``limits``
    are sentences for the user, empty if every score is of pictures held back.
    """

    windows: list[Windows]
    limits: str


def held_back(
    data: Path,
    learnt: Sequence[ImageSet],
    config: RunConfig,
    folder: Path,
    told: set[str],
) -> Held:
    """Fixed windows of every set's validation side, left-out sets included.

    What is wrong with them is logged.

    Parameters
    ----------
    data : Path
    learnt : sequence of ImageSet
        What is learnt from.
    config : RunConfig
    folder : Path
        Of the run; it keeps what is expensive to make.
    told : set of str
        Problems that the user has read; others are logged, and added (in place).
    """
    options = config.options
    if not options.validation_windows:
        return Held([], NOT_ASKED)
    try:
        found = find_sets(data, "val")
    except InputError as error:
        logger.warning("The training goes without validation: %s", error)
        return Held([], UNVALIDATED)
    limits = _limits(learnt, found)
    if limits:
        logger.warning("%s", limits)
    n = max(1, options.validation_windows // len(found))
    windows = []
    for one in found:
        try:
            source = _validation_source(one, options, folder, told)
            drawn = draw_windows(
                one.name,
                source,
                n,
                VALIDATION_SEED,
                config.card.normalisation,
                shown=SHOWN * max(1, SHEET_ROWS // len(found)),
            )
        except InputError as error:
            logger.warning("Set %s is not validated: %s", one.name, error)
            continue
        windows.append(drawn)
    return Held(windows, limits if windows else UNVALIDATED)


def _limits(learnt: Sequence[ImageSet], found: Sequence[ImageSet]) -> str:
    """Which sets are validated with the very images that they are learnt from."""
    items = {one.name: one.items for one in learnt}
    names = [one.name for one in found if one.items == items.get(one.name)]
    if not names:
        return ""
    of_set = f" of {listed(names)}" if len(found) > 1 else ""
    return (
        f"No validation{of_set} was possible: there is a single labelled image, or "
        "group of images, so the scores are those of pictures that were learnt from. "
        "For an honest figure a second labelled image is needed."
    )


def _validation_source(
    one: ImageSet, options: TrainOptions, folder: Path, told: set[str]
) -> SampleSource:
    if options.crops == "windows":
        return Samples(
            [one],
            seed=VALIDATION_SEED,
            window=known(options.window),
            options=SampleOptions(
                composite_share=0.0,
                simulator_kind=known(options.simulator),
                windows=WindowOptions(stretched=0.0),
                colour=_NO_COLOUR,
            ),
            told=told,
        )
    return PublishedSamples(
        [one],
        seed=VALIDATION_SEED,
        side=known(options.window),
        has_patches=options.crops == "patches",
        told=told,
        cache=folder / CACHE / one.name,
    )


def count_workers(workers: int, team: Team) -> int:
    """Processes that prepare windows for one process of the team.

    Parameters
    ----------
    workers : int
        As in TrainOptions. On a CPU one is enough, as the network takes far longer than
        its windows; a GPU waits for all that there are.
    team : Team
        Its processes share the cores.

    Returns
    -------
    int
        No more than cores.
    """
    cores = max(1, _cores() // team.size)
    if workers < 0:
        spare = min(max(1, cores - SPARED), MOST_WORKERS)
        workers = 1 if team.device.type == "cpu" else spare
    return min(workers, cores) if workers > 1 else workers


def _cores() -> int:
    """Cores that this process may use; on shared machines not all that there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
