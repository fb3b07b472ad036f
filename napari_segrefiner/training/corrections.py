"""Learning from the objects that a user has just corrected, in about two minutes."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from napari_segrefiner.core.device import choose_device, translated_errors
from napari_segrefiner.errors import CollapseError, InputError, OptionError
from napari_segrefiner.models.checkpoint import Model
from napari_segrefiner.options import RefineOptions
from napari_segrefiner.train_options import TRAIN_PRESETS
from napari_segrefiner.training.augment import AugmentOptions
from napari_segrefiner.training.batches import Draws, TrainingBatches
from napari_segrefiner.training.correction_data import (
    Correction,
    Subject,
    able_subjects,
    as_integers,
    find_subjects,
    split_subjects,
    training_pairs,
    whole_objects,
    without,
)
from napari_segrefiner.training.correction_exam import Exam
from napari_segrefiner.training.correction_verdict import describe, is_worth_keeping
from napari_segrefiner.training.events import (
    RIGHT,
    HeldBack,
    LearningDone,
    LearningEvent,
    LearningProgress,
    LearningStarted,
)
from napari_segrefiner.training.learner import Learner, rate_at
from napari_segrefiner.training.samples import SampleOptions, Samples
from napari_segrefiner.training.windows import WindowOptions

if TYPE_CHECKING:
    from napari_segrefiner.core.denoiser import Arithmetic
    from napari_segrefiner.models.card import ModelCard
    from napari_segrefiner.options import Device

#: What the network learns from: made-up objects against forgetting, and the user's.
COMPOSITE_SHARE, REAL_COARSE = 0.35, 0.5
#: The lesson is about these very objects: none is seen as one of another kind.
COLOUR, WINDOWS = AugmentOptions(random_filter=0.0), WindowOptions(stretched=0.0)
BATCH_SIZE, LEARNING_RATE, WARM_UP, EMA = 16, 4e-4, 10, 0.99
#: All else is as in any other short training.
QUICK = TRAIN_PRESETS["quick"]
#: Share of the time for each of two folds; the rest is for the result and for tests.
FOLD_SHARE, WHOLE_SHARE = 0.28, 0.85
#: Iterations after which the pace is known, and the fewest that are worth their time.
PACE_AFTER, FEWEST = 6, 30
#: How many times longer than it should the learning may take on a busy machine.
PATIENCE = 3
NOTHING_COARSE = (
    "None of the corrected objects has a coarse mask to be refined again; correct some "
    "objects that were refined."
)
NOTHING_WRONG = (
    "The model refines all of these objects as they are accepted; there is nothing to "
    "learn. Correct some that it gets wrong."
)


def learn(
    corrections: Sequence[Correction],
    model: Model,
    *,
    minutes: float = 2.0,
    name: str = "",
    options: RefineOptions | None = None,
    device: Device = "auto",
    precision: Arithmetic = "float32",
    seed: int = 0,
) -> Generator[LearningEvent, None, None]:
    """Teach a model a user's corrections, and test honestly whether that helped.

    Some objects are held back and refined by the model before and after; below
    FOLDED_BELOW objects all of them are, each by a model that has learnt from the other
    half. Made-up objects of all kinds are learnt again beside the user's, and tested,
    so that nothing is forgotten.

    Parameters
    ----------
    corrections : sequence of Correction
        Or of (image, coarse, fine, ids).
    model : Model
        Stays as it is.
    minutes : float
        About how long it may take.
    name : str
        Of the new model; by default that of the old one and "-corrected".
    options : RefineOptions, optional
        How held-back objects are refined, except for their ids. What is corrected are
        objects: where labels are parts, each is learnt and tested for itself.
    device, precision, seed
        As in TrainOptions.

    Yields
    ------
    LearningStarted, then LearningTest and LearningProgress, at last LearningDone
        Closing the generator stops; nothing is written anywhere.

    Raises
    ------
    InputError
        If there are fewer than LEAST_OBJECTS objects, or arrays do not fit.
    OptionError
        If the time is too short for this model and machine.
    CollapseError
        If the loss is not finite any more.
    DeviceError, ModelError
        If the device or the model fails.
    """
    if not minutes > 0:
        message = f"minutes is {minutes}; a number above 0 is expected."
        raise OptionError(message)
    options = dataclasses.replace(options or RefineOptions(), device=device)
    if options.labels_are == "parts":  # as one object, no label could be told apart
        options = dataclasses.replace(options, labels_are="objects")
    with translated_errors("learning from corrections"):
        lesson = _Lesson(
            as_integers([Correction(*one) for one in corrections]),
            model,
            options,
            precision,
            seed,
        )
        yield from lesson.events(minutes * 60, name)


class _Lesson:
    """One learning, with all that stays the same during it."""

    def __init__(
        self,
        corrections: Sequence[Correction],
        model: Model,
        options: RefineOptions,
        precision: Arithmetic,
        seed: int,
    ) -> None:
        self.corrections = corrections
        self.model = model
        self.options = options
        self.device = choose_device(options.device)
        self.precision: Arithmetic = precision
        self.seed = seed
        self.subjects = find_subjects(corrections)
        self.exam = Exam(corrections, self.subjects, options, model.card, seed)
        self.started = time.monotonic()
        self.iterations = 0

    def events(self, seconds: float, name: str) -> Generator[LearningEvent, None, None]:
        """The whole of it."""
        able = able_subjects(self.subjects, self.corrections)
        before = yield from self.exam.refined(self.model, able)
        if all(iou >= RIGHT for iou in before.values()):
            raise InputError(NOTHING_WRONG if able else NOTHING_COARSE)
        whole = whole_objects(self.subjects, self.corrections)
        parts = split_subjects(before, whole, self.seed)
        is_folded = len(parts) > 1
        held = [subject for part in parts for subject in part]
        yield LearningStarted(len(self.subjects), len(held), len(parts))
        general_before = yield from self.exam.general(self.model)

        after: dict[Subject, float] = {}
        share = FOLD_SHARE if is_folded else WHOLE_SHARE
        n_rounds = len(parts) + 1 if is_folded else 1
        learnt = self.model
        for number, part in enumerate(parts):
            chosen = without(whole, part)
            learnt = yield from self._teach(
                chosen, seconds, share, number / n_rounds, 1 / n_rounds
            )
            after |= yield from self.exam.refined(learnt, part)
        if is_folded:
            learnt = yield from self._teach(
                self.subjects, seconds, share, len(parts) / n_rounds, 1 / n_rounds
            )
        general_after = yield from self.exam.general(learnt)
        objects = tuple(HeldBack(s.image, s.label, before[s], after[s]) for s in held)
        done = LearningDone(None, objects, general_before, general_after, "")
        is_better = is_worth_keeping(done)
        sentence = describe(done, is_better=is_better, is_folded=is_folded)
        kept = self._named(learnt, name, done) if is_better else None
        yield dataclasses.replace(done, model=kept, sentence=sentence)

    def _teach(
        self,
        chosen: Sequence[Subject],
        seconds: float,
        share: float,
        begun: float,
        part: float,
    ) -> Generator[LearningEvent, None, Model]:
        """Learn from the chosen objects; the same number of iterations every time."""
        batches, learner = self._batches(chosen), self._learner()
        started = warm = time.monotonic()
        iteration = 0
        while not self.iterations or iteration < self.iterations:
            if iteration == 1:
                warm = time.monotonic()  # the first one is slower than the others
            if iteration == PACE_AFTER and not self.iterations:
                pace = (time.monotonic() - warm) / (PACE_AFTER - 1)
                self.iterations = self._affordable(seconds * share, pace)
            rate = rate_at(
                iteration,
                self.iterations,
                highest=LEARNING_RATE,
                final=QUICK["final_rate"],
                warm_up=WARM_UP,
            )
            result = learner.learn(batches[iteration], iteration, rate)
            if not result.is_sound:
                message = (
                    "The loss is not a finite number any more; the model has learnt "
                    "nothing and stays as it was."
                )
                raise CollapseError(message)
            iteration += 1
            passed = time.monotonic() - started
            whole = passed / iteration * self.iterations if self.iterations else 0.0
            yield LearningProgress(
                share=begun + (part * iteration / self.iterations if whole else 0.0),
                remaining=(1 - begun) / part * whole - passed if whole else seconds,
                bce=result.bce,
                texture=result.texture,
            )
        return Model(learner.mean_network, self.model.card)

    def _batches(self, chosen: Sequence[Subject]) -> TrainingBatches:
        """Windows around the chosen objects."""
        card = self.model.card
        pairs = training_pairs(
            self.corrections,
            chosen,
            channel_axis=self.options.channel_axis,
            channels=self.options.channels,
        )
        samples = Samples(
            [("corrections", pairs)],
            seed=self.seed,
            window=card.grids.base,
            options=SampleOptions(
                composite_share=COMPOSITE_SHARE,
                real_coarse=REAL_COARSE,
                windows=WINDOWS,
                colour=COLOUR,
            ),
        )
        draws = Draws(
            self.seed,
            BATCH_SIZE,
            QUICK["own_share"],
            own_after=QUICK["own_after"],
            map_dropout=QUICK["map_dropout"],
            normalisation=card.normalisation,
        )
        return TrainingBatches(samples, draws)

    def _learner(self) -> Learner:
        """A copy of the network that can learn."""
        network = copy.deepcopy(self.model.network).requires_grad_(True)
        return Learner(
            network.to(self.device),
            weight_decay=QUICK["weight_decay"],
            clip=QUICK["clip"],
            ema=EMA,
            precision=self.precision,
        )

    def _affordable(self, seconds: float, pace: float) -> int:
        """Iterations that fit into the time, or the fewest on a machine that is busy.

        Raises
        ------
        OptionError
            If these take more than PATIENCE times as long.
        """
        n = int(seconds / pace)
        if FEWEST * pace > PATIENCE * seconds:
            message = (
                f"This model takes {pace:.0f} s for one step of learning here, which "
                f"leaves {n} steps; give it more minutes, or choose a smaller model."
            )
            raise OptionError(message)
        return max(n, FEWEST)

    def _named(self, learnt: Model, name: str, done: LearningDone) -> Model:
        old = self.model.card
        card: ModelCard = dataclasses.replace(
            old,
            name=name or f"{old.name}-corrected",
            description=f"{old.name} with {len(self.subjects)} corrected objects.",
            data={"objects": len(self.subjects), "images": len(self.corrections)},
            recipe={
                "iterations": self.iterations,
                "batch_size": BATCH_SIZE,
                "learning_rate": LEARNING_RATE,
                "composite_share": COMPOSITE_SHARE,
                "seed": self.seed,
                "from": self.model.sha256 or old.name,
            },
            metrics={
                "what": "mean IoU with the corrections of objects held back",
                "objects": len(done.held_back),
                "before": round(done.before, 4),
                "after": round(done.after, 4),
            },
            limits=f"Of {old.name}, before it was taught: {old.limits}"
            if old.limits
            else "",
            source=f"Learnt from corrections. {old.source}".strip(),
            sha256="",
        )
        network = learnt.network.cpu().eval().requires_grad_(False)
        return Model(network, card)
