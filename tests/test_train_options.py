"""Presets fill in what is not given; contradictions are one sentence."""

from __future__ import annotations

import dataclasses

import pytest

from napari_segrefiner.core.strategy import crop_rule
from napari_segrefiner.errors import OptionError
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.network_config import NetworkConfig
from napari_segrefiner.options import RefineOptions, known
from napari_segrefiner.train_options import TRAIN_PRESETS, TrainOptions


@pytest.mark.parametrize("preset", TRAIN_PRESETS)
def test_a_resolved_preset_leaves_nothing_open(preset) -> None:
    filled = TrainOptions(preset=preset, init="none").resolved()
    assert all(v is not None for v in dataclasses.asdict(filled).values())
    assert filled.resolved() == filled


def test_paper_lr_has_the_numbers_of_the_paper() -> None:
    lr = TrainOptions(preset="paper-lr").resolved()
    assert (lr.iterations, lr.batch_size, lr.window) == (120_000, 64, 256)
    assert (lr.learning_rate, lr.weight_decay) == (4e-4, 0)
    assert lr.milestones == (80_000, 100_000)
    assert (lr.warm_up, lr.clip, lr.ema, lr.own_share, lr.map_dropout) == (0,) * 5
    assert lr.uniform_index
    assert (lr.crops, lr.simulator, lr.precision) == ("objects", "published", "float32")
    assert (lr.init, lr.network, lr.keep) == ("none", "published", (80_000,))


def test_paper_hr_has_the_numbers_of_the_paper() -> None:
    hr = TrainOptions(preset="paper-hr", init="run").resolved()
    assert (hr.iterations, hr.milestones) == (40_000, (20_000, 35_000))
    assert (hr.batch_size, hr.crops) == (128, "patches")
    assert hr.learning_rate == 4e-4


def test_the_rate_of_custom_follows_the_root_of_the_batch() -> None:
    rates = [
        TrainOptions(preset="custom", batch_size=n).resolved().learning_rate
        for n in (8, 32, 128)
    ]
    assert rates == pytest.approx([1.5e-4, 3e-4, 6e-4])
    given = TrainOptions(batch_size=8, learning_rate=0.01).resolved()
    assert given.learning_rate == 0.01


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"preset": "paper-hr"}, "--init RUN"),
        ({"preset": "paper-lr", "simulator": "mixed"}, "published simulator alone"),
        ({"preset": "paper-hr", "init": "a", "batch_size": 3}, "an even number"),
    ],
)
def test_contradictions_are_refused(options, sentence) -> None:
    with pytest.raises(OptionError, match=sentence):
        TrainOptions(**options).resolved()


def test_options_that_are_not_resolved_are_noticed() -> None:
    with pytest.raises(OptionError, match="not resolved"):
        known(TrainOptions().window)
    card = ModelCard("a", "", "", NetworkConfig())
    with pytest.raises(OptionError, match="not resolved"):
        crop_rule(RefineOptions(), card)
