"""Validation measures what the reverse process makes of fixed windows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_segrefiner.training.validate import draw_windows, validate
from tests.training.conftest import Discs

CPU = torch.device("cpu")


def test_an_oracle_scores_one_and_an_idle_network_like_the_coarse_masks(
    discs: Discs,
) -> None:
    windows = draw_windows("discs", discs, 5, seed=1)

    def oracle(x: Tensor, _: Tensor) -> Tensor:
        return (windows.fine[: len(x)].float() * 2 - 1) * 40

    score, mean = validate(oracle, [windows], device=CPU)
    assert (score.n_windows, mean.name) == (5, "mean")
    assert score.one_step == pytest.approx(1, abs=1e-4)
    assert score.two_steps == pytest.approx(1, abs=1e-4)

    def idle(x: Tensor, _: Tensor) -> Tensor:
        return (x[:, 3:] * 2 - 1) * 40

    idle_score, _ = validate(idle, [windows], device=CPU, batch_size=2)
    assert idle_score.one_step == pytest.approx(idle_score.coarse)
    assert idle_score.two_steps == pytest.approx(idle_score.coarse)
    assert 0.5 < idle_score.coarse < 0.95


def test_the_mean_weighs_sets_alike_and_no_sets_give_no_scores(discs: Discs) -> None:
    sets = [draw_windows(f"{n}", discs, n, seed=1) for n in (1, 6)]

    def all_inside(x: Tensor, _: Tensor) -> Tensor:
        return torch.ones_like(x[:, :1])

    *scores, mean = validate(all_inside, sets, device=CPU)
    assert mean.one_step == pytest.approx(sum(s.one_step for s in scores) / 2)
    assert validate(all_inside, [], device=CPU) == ()
