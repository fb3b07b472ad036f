"""One step of learning: what the network is shown, and what a step leaves behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_segrefiner.core.denoiser import Arithmetic
from napari_segrefiner.diffusion import KEEP_FINE, forward_sample
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import NetworkConfig
from napari_segrefiner.training.batches import Batch, Draws, TrainingBatches
from napari_segrefiner.training.learner import (
    LEAST_SCALE,
    Learner,
    measure_precision,
    rate_at,
)
from tests.training.conftest import Discs

CONFIG = NetworkConfig(
    widths=(8, 16),
    blocks_down=1,
    blocks_up=1,
    attention_strides=(),
    middle_attention=False,
    groups=4,
    embedding=16,
    stem="colour_likelihood",
)


def make_learner(
    ema: float = 0.9, clip: float = 1, precision: Arithmetic = "float32"
) -> Learner:
    torch.manual_seed(0)
    network = DenoisingUNet(CONFIG)
    return Learner(network, weight_decay=0, clip=clip, ema=ema, precision=precision)


@pytest.fixture
def batch(discs: Discs) -> Batch:
    draws = Draws(seed=0, batch_size=16, own_share=0.5, own_after=0, map_dropout=0.1)
    return TrainingBatches(discs, draws)[0]


def test_masks_mix_truth_or_own_prediction_with_the_coarse_mask(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = make_learner()

    def predict(_: object, part: Batch, mask: Tensor, index: Tensor) -> Tensor:
        assert torch.equal(mask, part.coarse)
        assert (index == 5).all()
        # sure of the coarse mask's complement above, undecided below
        logits = (1 - 2 * part.coarse) * 40
        logits[:, :, 8:] = 0
        return logits

    monkeypatch.setattr(learner, "predict", predict)
    masks = learner.masks_at_index(batch)
    truth = forward_sample(batch.fine, batch.coarse, batch.step_index, batch.noise)
    own = batch.is_own
    assert 0 < own.sum() < len(own)
    assert torch.equal(masks[~own], truth[~own])
    keep = torch.tensor(KEEP_FINE)[batch.step_index][:, None, None, None]
    flipped = torch.where(batch.noise < keep, 1 - batch.coarse, batch.coarse)
    assert torch.equal(masks[own][:, :, :8], flipped[own][:, :, :8])
    assert torch.equal(masks[own][:, :, 8:], batch.coarse[own][:, :, 8:])


def test_learning_lowers_the_loss_and_refines(discs: Discs) -> None:
    learner = make_learner()
    draws = Draws(seed=0, batch_size=16, own_share=0.4, own_after=20, map_dropout=0.1)
    batches = TrainingBatches(discs, draws)
    results = [learner.learn(batches[i], i, 5e-3) for i in range(40)]
    assert results[-1].bce < 0.3 * results[0].bce
    late = results[-10:]
    assert sum(r.iou for r in late) > sum(r.coarse_iou for r in late)
    assert learner.steps_taken == 40


def test_the_mean_network_follows_slowly(batch: Batch) -> None:
    learner = make_learner(ema=0.5)
    before = [p.clone() for p in learner.mean_network.parameters()]
    learner.learn(batch, 1000, 1e-3)
    means, weights = learner.mean_network.parameters(), learner.network.parameters()
    for old, mean, weight in zip(before, means, weights, strict=True):
        torch.testing.assert_close(mean, (old + weight.detach()) / 2)


def test_a_step_that_is_not_finite_changes_nothing(batch: Batch) -> None:
    learner = make_learner()
    before = [p.clone() for p in learner.network.parameters()]
    broken = batch._replace(fine=torch.full_like(batch.fine, torch.nan))
    assert not learner.learn(broken, 0, 1e-3).is_finite
    for old, new in zip(before, learner.network.parameters(), strict=True):
        assert torch.equal(old, new)


def test_half_precision_learns_what_float32_learns(discs: Discs) -> None:
    draws = Draws(seed=0, batch_size=4, own_share=0.5, own_after=2, map_dropout=0.1)
    batches = [TrainingBatches(discs, draws)[i] for i in range(6)]
    losses = {}
    for precision in ("float32", "bfloat16", "float16"):
        learner = make_learner(precision=precision)  # type: ignore[arg-type]
        losses[precision] = [
            learner.learn(batch, i, 5e-3).bce for i, batch in enumerate(batches)
        ]
    assert losses["float32"][-1] < 0.8 * losses["float32"][0]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["float16"] == pytest.approx(losses["float32"], rel=0.01)
    assert losses["float16"] != losses["float32"]


def test_float16_clips_the_gradient_of_the_loss_itself(batch: Batch) -> None:
    norms, steps = [], []
    for precision in ("float32", "float16"):
        learner = make_learner(ema=0, clip=1e-3, precision=precision)  # type: ignore[arg-type]
        learner.optimizer = torch.optim.SGD(learner.network.parameters())
        before = [p.clone() for p in learner.network.parameters()]
        norms.append(learner.learn(batch, 0, 1.0).gradient)
        after = list(learner.network.parameters())
        steps.append(
            torch.cat([(a - b).flatten() for a, b in zip(after, before, strict=True)])
        )
    assert norms[1] == pytest.approx(norms[0], rel=0.01)
    for step in steps:
        # without clipping it would be as long as the gradient, which is far longer
        assert step.norm().item() == pytest.approx(1e-3, rel=0.01)
    assert (steps[0] - steps[1]).norm() < 0.05e-3


def test_float16_leaves_out_what_overflows_and_halves_the_scale(batch: Batch) -> None:
    learner = make_learner(precision="float16")
    first = learner.learn(batch, 0, 1e-3)
    assert first.scale == learner.scaler.get_scale() > LEAST_SCALE
    learner.scaler.update(2.0**60)
    weights = [*learner.network.parameters(), *learner.mean_network.parameters()]
    before = [p.clone() for p in weights]
    result = learner.learn(batch, 1, 1e-3)
    assert not result.is_finite
    assert result.is_sound
    assert result.scale == 2.0**59
    for old, new in zip(before, weights, strict=True):
        assert torch.equal(old, new)
    assert learner.steps_taken == 1
    learner.scaler.update(first.scale)
    assert learner.learn(batch, 2, 1e-3).is_finite
    assert learner.steps_taken == 2


def test_the_scale_of_float16_falls_until_nothing_can_be_done(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = make_learner(precision="float16")

    def overflowed(part: Batch) -> Tensor:
        # their loss is infinite, while their gradients are not
        logits = Learner._logits(learner, part)
        return torch.where(part.fine > 0, -torch.inf, logits)

    monkeypatch.setattr(learner, "_logits", overflowed)
    learner.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    results = [learner.learn(batch, i, 1e-3) for i in range(3)]
    assert [result.scale for result in results] == [2, 1, 0.5]
    assert [result.is_sound for result in results] == [True, True, False]


def test_the_rate_rises_then_falls_to_its_share() -> None:
    rates = [rate_at(i, 100, highest=1.0, final=0.02, warm_up=10) for i in range(101)]
    assert rates[:2] == [0.1, 0.2]
    assert max(rates) == rates[9] == rates[10] == 1
    assert rates[55] == pytest.approx(0.51)
    assert rates[100] == pytest.approx(0.02)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rate_at(50, 0, highest=1.0, final=0.02, warm_up=10) == 1


def test_measuring_precision_leaves_the_network_alone(batch: Batch) -> None:
    network = DenoisingUNet(CONFIG)
    before = [p.clone() for p in network.parameters()]
    assert measure_precision(network, batch) in ("float32", "bfloat16")
    for old, new in zip(before, network.parameters(), strict=True):
        assert torch.equal(old, new)
