"""Validation measures what the reverse process makes of fixed windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_segrefiner.training.validate import SHOWN, draw_windows, validate
from tests.training.conftest import Discs

CPU = torch.device("cpu")


def test_an_oracle_scores_one_and_an_idle_network_like_the_coarse_masks(
    discs: Discs,
) -> None:
    windows = draw_windows("discs", discs, 5, seed=1)

    def oracle(x: Tensor, _: Tensor) -> Tensor:
        return (windows.fine[: len(x)].float() * 2 - 1) * 40

    found = validate(oracle, [windows], device=CPU)
    score, mean = found.scores
    assert (score.n_windows, mean.name) == (5, "mean")
    assert score.one_step == pytest.approx(1, abs=1e-4)
    assert score.refined == pytest.approx(1, abs=1e-4)

    def idle(x: Tensor, _: Tensor) -> Tensor:
        return (x[:, 3:] * 2 - 1) * 40

    (idle_score, _), _ = validate(idle, [windows], device=CPU, batch_size=2)
    assert idle_score.one_step == pytest.approx(idle_score.coarse)
    assert idle_score.refined == pytest.approx(idle_score.coarse)
    assert 0.5 < idle_score.coarse < 0.95
    assert (score.worse, score.better) == (0, 1)
    assert (idle_score.worse, idle_score.better) == (0, 0)

    examples = found.examples["discs"]
    assert len(examples) == SHOWN
    for one in examples:
        assert one.picture.shape == (16, 16, 3)
        assert np.array_equal(one.refined, one.fine)
        # bright inside: the picture belongs to these masks
        assert one.picture[one.fine].mean() > 100 + one.picture[~one.fine].mean()


def test_harm_is_the_share_of_windows_that_lost(discs: Discs) -> None:
    windows = draw_windows("discs", discs, 8, seed=1)

    def spoils_half(x: Tensor, _: Tensor) -> Tensor:
        logits = (windows.fine.float() * 2 - 1) * 40
        logits[::2] = -40
        return logits

    score = validate(spoils_half, [windows], device=CPU).scores[0]
    assert (score.worse, score.better) == (0.5, 0.5)


def test_indices_follow_the_number_of_steps(discs: Discs) -> None:
    windows = draw_windows("discs", discs, 2, seed=1)
    seen = []

    def network(x: Tensor, index: Tensor) -> Tensor:
        seen.append(int(index[0]))
        return x[:, 3:]

    validate(network, [windows], device=CPU, steps=6)
    assert seen == [5, 4, 3, 2, 1, 0]


def test_the_end_is_the_one_that_is_asked_for(discs: Discs) -> None:
    windows = draw_windows("discs", discs, 3, seed=1)

    def changes_its_mind(x: Tensor, index: Tensor) -> Tensor:
        right = (windows.fine.float() * 2 - 1) * 40
        is_first = int(index[0]) == 5
        # The later step sees its picture mirrored, where the end is a mean.
        return right if is_first else -right.flip(3) / 4

    ends = [
        validate(changes_its_mind, [windows], device=CPU, last=last).scores[0].refined
        for last in ("soft", "mean")
    ]
    assert ends[0] < 0.5
    assert ends[1] > 0.99


def test_masks_are_cut_at_the_threshold_that_is_asked_for(discs: Discs) -> None:
    windows = draw_windows("discs", discs, 3, seed=1)

    def hesitates(x: Tensor, _: Tensor) -> Tensor:
        return torch.where(windows.fine, torch.logit(torch.tensor(0.45)), -40)

    def scores(threshold: float) -> tuple[float, float]:
        found = validate(hesitates, [windows], device=CPU, threshold=threshold)
        return found.scores[0].one_step, found.scores[0].refined

    assert scores(0.5) == (0, 0)
    assert scores(0.4) == pytest.approx((1, 1), abs=1e-4)


def test_the_mean_weighs_sets_alike_and_no_sets_give_no_scores(discs: Discs) -> None:
    sets = [draw_windows(f"{n}", discs, n, seed=1) for n in (1, 6)]

    def all_inside(x: Tensor, _: Tensor) -> Tensor:
        return torch.ones_like(x[:, :1])

    *scores, mean = validate(all_inside, sets, device=CPU).scores
    assert mean.one_step == pytest.approx(sum(s.one_step for s in scores) / 2)
    assert validate(all_inside, [], device=CPU).scores == ()


def test_parts_score_as_they_do_in_the_whole(discs: Discs) -> None:
    windows = draw_windows("discs", discs, 5, seed=1)

    def by_colour(x: Tensor, _: Tensor) -> Tensor:
        return x[:, :1] + x[:, 3:] - 1

    whole = validate(by_colour, [windows], device=CPU, steps=6).scores[0]
    parts = [
        validate(by_colour, [windows.part(*ends)], device=CPU, steps=6).scores[0]
        for ends in ((0, 3), (3, 6))
    ]
    assert [part.n_windows for part in parts] == [3, 2]
    mean = (3 * parts[0].refined + 2 * parts[1].refined) / 5
    assert mean == pytest.approx(whole.refined)
    assert mean != pytest.approx(whole.coarse)
