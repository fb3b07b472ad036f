"""What a model is tested with before and after it learns from corrections."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Generator, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from napari_segrefiner.core.device import choose_device
from napari_segrefiner.core.events import RunDone
from napari_segrefiner.core.objects import find_objects
from napari_segrefiner.core.refiner import Refiner
from napari_segrefiner.metrics import iou
from napari_segrefiner.training.correction_data import (
    Correction,
    Subject,
    training_pairs,
)
from napari_segrefiner.training.events import LearningEvent, LearningTest
from napari_segrefiner.training.samples import SampleOptions, Samples
from napari_segrefiner.training.validate import Windows, draw_windows, validate

if TYPE_CHECKING:
    from napari_segrefiner.geometry import Box
    from napari_segrefiner.models.card import ModelCard
    from napari_segrefiner.models.checkpoint import Model
    from napari_segrefiner.options import RefineOptions

Labels = npt.NDArray[Any]

#: Made-up objects that are tested for what was forgotten.
GENERAL_WINDOWS = 64
#: Of these, tested between two moments at which it can be stopped.
AT_ONCE = 16


class Exam:
    """The same questions for every model: corrected objects, and made-up ones.

    Parameters
    ----------
    corrections : sequence of Correction
    subjects : sequence of Subject
        All objects to learn from.
    options : RefineOptions
        How objects are refined, except for their ids.
    card : ModelCard
        Of the model that is to learn.
    seed : int
    """

    def __init__(
        self,
        corrections: Sequence[Correction],
        subjects: Sequence[Subject],
        options: RefineOptions,
        card: ModelCard,
        seed: int,
    ) -> None:
        self.corrections = corrections
        self.subjects = subjects
        self.options = options
        self.card = card
        self.seed = seed

    def refined(
        self, model: Model, subjects: Collection[Subject]
    ) -> Generator[LearningEvent, None, dict[Subject, float]]:
        """IoU with its correction of each object, refined by `model`."""
        found: dict[Subject, float] = {}
        for number, one in enumerate(self.corrections):
            ids = tuple(s.label for s in subjects if s.image == number)
            if not ids:
                continue
            options = dataclasses.replace(self.options, ids=ids)
            for event in Refiner(model, options).steps(one.image, one.coarse):
                yield LearningTest()
                if isinstance(event, RunDone):
                    refined = event.result.labels
            overlap = _ious(refined, one.fine, ids)
            found |= {Subject(number, label): overlap[label] for label in ids}
        return found

    @cached_property
    def windows(self) -> Windows:
        """Made-up objects; the user's pictures lend no more than textures."""
        card = self.card
        pairs = training_pairs(
            self.corrections,
            self.subjects,
            channel_axis=self.options.channel_axis,
            channels=self.options.channels,
        )
        samples = Samples(
            [("general", pairs)],
            seed=self.seed + 1,
            window=card.grids.base,
            options=SampleOptions(composite_share=1.0),
        )
        return draw_windows(
            "general", samples, GENERAL_WINDOWS, self.seed, card.normalisation, shown=0
        )

    def general(self, model: Model) -> Generator[LearningEvent, None, float]:
        """Mean IoU of made-up objects of all kinds, refined by `model`."""
        device = choose_device(self.options.device)
        network = model.network.to(device)
        defaults = model.card.defaults
        total = 0.0
        for start in range(0, GENERAL_WINDOWS, AT_ONCE):
            part = self.windows.part(start, start + AT_ONCE)
            found = validate(
                network,
                [part],
                device=device,
                steps=defaults.steps,
                last=defaults.last,
                threshold=defaults.threshold,
            )
            total += found.scores[0].refined * len(part.fine)
            yield LearningTest()
        return total / GENERAL_WINDOWS


def _ious(labels: Labels, truth: Labels, ids: Iterable[int]) -> dict[int, float]:
    """IoU of each object with the true one, looked at in its box alone."""
    boxes: dict[int, Box] = {}
    for thing in [*find_objects(labels), *find_objects(truth)]:
        boxes[thing.id] = thing.box.union(boxes.get(thing.id, thing.box))
    found = {}
    for label in ids:
        where = boxes[label].slices
        found[label] = iou(labels[where] == label, truth[where] == label)
    return found
