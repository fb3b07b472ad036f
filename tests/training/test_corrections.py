"""Learning from corrections is tested on objects held back, and kept only if useful."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_segrefiner.core.refiner import refine
from napari_segrefiner.errors import CollapseError, InputError, OptionError
from napari_segrefiner.models.card import Defaults, Grids, ModelCard
from napari_segrefiner.models.checkpoint import Model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.options import RefineOptions
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training import correction_exam, corrections
from napari_segrefiner.training.augment import AugmentOptions
from napari_segrefiner.training.batches import Draws, TrainingBatches
from napari_segrefiner.training.correction_verdict import describe, is_worth_keeping
from napari_segrefiner.training.corrections import learn
from napari_segrefiner.training.events import (
    HeldBack,
    LearningDone,
    LearningProgress,
    LearningStarted,
)
from napari_segrefiner.training.learner import Learner
from napari_segrefiner.training.samples import SampleOptions
from tests.training.test_correction_data import grid_of_discs
from tests.training.test_learner import CONFIG


@pytest.fixture
def model() -> Model:
    """An untrained network, which spoils every mask."""
    torch.manual_seed(1)
    network = DenoisingUNet(CONFIG).eval().requires_grad_(False)
    grids = Grids(base=32, largest=32, multiple=16, enlarge=1.0)
    card = ModelCard(
        "cells",
        "d",
        "MIT",
        CONFIG,
        grids=grids,
        defaults=Defaults(steps=1),
        limits="It sees discs only.",
    )
    return Model(network, card, "1234")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction_exam, "GENERAL_WINDOWS", 6)
    monkeypatch.setattr(corrections, "BATCH_SIZE", 8)
    monkeypatch.setattr(corrections, "LEARNING_RATE", 5e-3)


def _iterations(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    monkeypatch.setattr(corrections._Lesson, "_affordable", lambda *_: n)


def test_a_model_learns_what_its_user_corrects(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    _iterations(monkeypatch, 60)
    one = grid_of_discs(12)
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    events = list(learn([one, one], model, name="mine"))
    (started,) = (e for e in events if isinstance(e, LearningStarted))
    assert started == LearningStarted(24, 8, 1)
    shares = [e.share for e in events if isinstance(e, LearningProgress)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    done = events[-1]
    assert isinstance(done, LearningDone)
    assert len(done.held_back) == 8
    assert done.after > done.before + 0.2
    assert "8 corrected objects, held back" in done.sentence
    assert "Few objects" in done.sentence
    # what is handed over is what was tested
    learnt = done.model
    assert learnt.card.name == "mine"
    assert learnt.card.grids == model.card.grids
    assert learnt.card.limits == "Of cells, before it was taught: It sees discs only."
    assert learnt.card.metrics["after"] == pytest.approx(done.after, abs=1e-4)
    first_ones = [held for held in done.held_back if held.image == 0]
    ids = tuple(held.label for held in first_ones)
    result = refine(one.image, one.coarse, model=learnt, ids=ids)
    for held in first_ones:
        first, second = result.labels == held.label, one.fine == held.label
        overlap = (first & second).sum() / (first | second).sum()
        assert overlap == pytest.approx(held.after)
    # and the old model is as it was
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not any(p.requires_grad for p in model.network.parameters())


def test_few_objects_are_each_held_back_once_and_all_are_learnt_in_the_end(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    _iterations(monkeypatch, 8)
    taught: list[int] = []
    samples = corrections.Samples

    def counted(sets: Any, **options: Any) -> Any:
        made = samples(sets, **options)
        if sets[0][0] == "corrections":
            taught.append(made.counts["corrections"]["objects"])
        return made

    monkeypatch.setattr(corrections, "Samples", counted)
    events = list(learn([grid_of_discs(5)], model))
    assert LearningStarted(5, 5, 2) in events
    assert taught == [2, 3, 5]
    done = events[-1]
    assert isinstance(done, LearningDone)
    assert {held.label for held in done.held_back} == set(range(1000, 1005))
    assert "5 corrected objects, each held back once" in done.sentence
    assert sum(isinstance(e, LearningProgress) for e in events) == 24


def test_own_masks_and_hidden_maps_are_as_in_the_quick_training(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    _iterations(monkeypatch, 1)
    given: list[Draws] = []

    def noted(samples: Any, draws: Draws) -> TrainingBatches:
        given.append(draws)
        return TrainingBatches(samples, draws)

    monkeypatch.setattr(corrections, "TrainingBatches", noted)
    list(learn([grid_of_discs(5)], model))
    quick = TrainOptions(preset="quick").resolved()
    assert {draws.own_share for draws in given} == {quick.own_share}
    assert {draws.map_dropout for draws in given} == {quick.map_dropout}


def test_a_lesson_shows_no_picture_filtered_and_no_window_stretched(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    _iterations(monkeypatch, 4)
    given: list[SampleOptions] = []
    samples = corrections.Samples

    def noted(sets: Any, *, options: SampleOptions, **others: Any) -> Any:
        given.append(options)
        return samples(sets, options=options, **others)

    monkeypatch.setattr(corrections, "Samples", noted)
    list(learn([grid_of_discs(5)], model))
    assert {options.colour.random_filter for options in given} == {0.0}
    assert {options.windows.stretched for options in given} == {0.0}
    assert {options.colour.noise for options in given} == {AugmentOptions().noise}


def test_the_same_seed_learns_the_same(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    _iterations(monkeypatch, 6)
    first, second = (list(learn([grid_of_discs(10)], model))[-1] for _ in range(2))
    assert isinstance(first, LearningDone)
    assert isinstance(second, LearningDone)
    assert first.held_back == second.held_back
    assert first.general_after == second.general_after


def test_parts_of_one_object_are_learnt_and_tested_each_for_itself(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    _iterations(monkeypatch, 2)
    objects, parts = (
        list(learn([grid_of_discs(8)], model, options=options))[-1]
        for options in (RefineOptions(), RefineOptions(labels_are="parts"))
    )
    assert isinstance(objects, LearningDone)
    assert isinstance(parts, LearningDone)
    assert parts.held_back == objects.held_back


def test_what_is_learnt_from_is_seen_in_the_chosen_channel(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    _iterations(monkeypatch, 2)
    plain = grid_of_discs(8)
    planes = np.stack([plain.image[::-1], plain.image, *[plain.image * 0] * 3])
    options = RefineOptions(channel_axis="first", channels=(1,))
    first = list(learn([plain], model))[-1]
    second = list(learn([plain._replace(image=planes)], model, options=options))[-1]
    assert isinstance(first, LearningDone)
    assert isinstance(second, LearningDone)
    assert second.held_back == first.held_back
    assert second.general_before == first.general_before
    assert second.general_after == first.general_after


def test_a_model_that_is_too_slow_or_too_little_time_is_said(model: Model) -> None:
    with pytest.raises(OptionError, match="give it more minutes"):
        list(learn([grid_of_discs(10)], model, minutes=1e-6))
    with pytest.raises(OptionError, match="above 0"):
        list(learn([grid_of_discs(10)], model, minutes=0))
    with pytest.raises(InputError, match="Accept or correct 2 more"):
        list(learn([grid_of_discs(3)], model))


def test_a_busy_machine_gets_more_time_within_reason(model: Model) -> None:
    lesson = corrections._Lesson(
        [grid_of_discs(5)], model, RefineOptions(device="cpu"), "float32", 0
    )
    assert lesson._affordable(100.0, 0.5) == 200
    assert lesson._affordable(100.0, 9.0) == corrections.FEWEST
    with pytest.raises(OptionError, match="leaves 9 steps"):
        lesson._affordable(100.0, 11.0)


def test_a_loss_that_is_not_finite_ends_it(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> object:
        class Result:
            is_sound = False

        return Result()

    monkeypatch.setattr(Learner, "learn", fails)
    with pytest.raises(CollapseError, match="stays as it was"):
        list(learn([grid_of_discs(10)], model))


def test_nothing_is_learnt_from_what_the_model_gets_right(model: Model) -> None:
    one = grid_of_discs(8)
    right = refine(one.image, one.coarse, model=model).labels
    events = []
    with pytest.raises(InputError, match="there is nothing to learn"):
        events.extend(learn([one._replace(fine=right)], model))
    one.coarse[:] = 0
    with pytest.raises(InputError, match="has a coarse mask"):
        list(learn([one], model))


def _done(
    changes: list[float], general: float = 0.0, right: tuple[float, ...] = ()
) -> LearningDone:
    """Objects that were wrong and changed so, and right ones with their IoU after."""
    held = [HeldBack(0, k, 0.7, 0.7 + change) for k, change in enumerate(changes)]
    held += [HeldBack(1, k, 1.0, after) for k, after in enumerate(right)]
    return LearningDone(None, tuple(held), 0.8, 0.8 + general, "")


@pytest.mark.parametrize(
    ("done", "is_kept"),
    [
        (_done([0.01, 0.02, 0.0]), True),
        (_done([0.0, 0.0]), True),
        (_done([-0.01, -0.01, 0.01]), False),
        (_done([0.03, 0.03, 0.03, -0.06]), False),  # one harmed, none helped
        (_done([0.1, 0.03, 0.03, -0.06]), True),
        (_done([0.1, 0.1], general=-0.02), False),
        (_done([0.1, 0.1], general=-0.005), True),
        (_done([0.01, 0.0], right=(0.96, 0.97, 0.955)), True),  # nearly as accepted
        (_done([0.01, 0.0], right=(0.93,)), False),
        (_done([0.06, 0.06], right=(0.88, 0.88)), False),
    ],
)
def test_only_what_is_no_worse_is_kept(done: LearningDone, is_kept: bool) -> None:
    assert is_worth_keeping(done) == is_kept
    sentence = describe(done, is_better=is_kept, is_folded=False)
    assert ("is kept" in sentence) == is_kept
    assert ("stays as it was" in sentence) != is_kept
    assert ("forgotten" in sentence) == (done.general_after < 0.785)


def test_figures_are_those_of_objects_that_were_wrong() -> None:
    done = _done([0.1, 0.3], right=(0.9, 0.98))
    assert done.before == pytest.approx(0.7)
    assert done.after == pytest.approx(0.9)
    sentence = describe(done, is_better=True, is_folded=True)
    assert sentence == (
        "2 corrected objects, each held back once: IoU 0.700 before, 0.900 after; "
        "those it had right (2) are at 0.940 now. The new model is kept. Few objects: "
        "take it as a hint."
    )
