"""The diffusion process: golden values, and the laws it must obey."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from napari_segrefiner import diffusion
from napari_segrefiner.errors import OptionError
from tests import golden

TOLERANCE = 2e-6


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    return golden.load("process")


def toy_network(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The golden files' stand-in: a smoothed mask plus some colour."""
    box = F.avg_pool2d(x[:, 3:], 3, stride=1, padding=1)
    level = index.float()[:, None, None, None]
    return (
        4 * (box - 0.5)
        + 1.5 * x[:, 0:1]
        - 0.5 * x[:, 1:2]
        + 0.25 * (level - 2.5) * x[:, 2:3]
    )


def test_schedule_is_the_published_one(stored):
    keep_fine = stored["betas_cumprod"]
    golden.check("process: schedule", diffusion.KEEP_FINE, keep_fine, 1e-15)


@pytest.mark.parametrize("steps", range(1, 7))
def test_visited_indices_fall_from_all_coarse(stored, steps):
    assert diffusion.visit_indices(steps) == tuple(stored[f"sub_K{steps}_t"])


@pytest.mark.parametrize("steps", [0, 7])
def test_step_counts_out_of_bounds_are_refused(steps):
    with pytest.raises(OptionError, match="from 1 to 6"):
        diffusion.visit_indices(steps)


def test_forward_samples_are_the_golden_ones(stored):
    fine, coarse = golden.as_float(stored["fine"]), golden.as_float(stored["coarse"])
    noise = golden.uniforms(stored["q_noise_k"])
    for index, expected in zip(
        stored["q_sample_t"], stored["q_sample_out"], strict=True
    ):
        level = torch.full((2,), int(index))
        mask = diffusion.forward_sample(fine, coarse, level, noise)
        golden.check("process: forward samples", mask, expected)
    mixed = torch.from_numpy(stored["q_sample_mixed_t"])
    mask = diffusion.forward_sample(fine, coarse, mixed, noise)
    golden.check("process: forward samples", mask, stored["q_sample_mixed_out"])


def test_single_steps_are_the_golden_ones(stored):
    coarse = golden.as_float(stored["coarse"])
    logits = golden.as_float(stored["p_logits"])
    noise = golden.uniforms(stored["p_noise_k"])
    for index in range(6):
        (step,) = diffusion.reverse_steps(
            lambda x, index: logits,
            torch.zeros(2, 3, 20, 20),
            coarse,
            indices=[index],
            noise=lambda step: noise,
            last="sampled",
            ends_fine=False,
            fine_probability=golden.as_float(stored["p_fine_in"]),
        )
        fine, mask = stored["p_fine_out"][index], stored["p_x_out"][index]
        golden.check("process: steps, fine", step.fine_probability, fine, TOLERANCE)
        golden.check("process: steps, masks", step.mask, mask)


@pytest.mark.parametrize(
    "run", ["toy6", "toy6_sampled_end", "toy_trunc3", "toy_global5", "toy_local1_init"]
)
def test_toy_runs_are_the_golden_ones(stored, run):
    noise = golden.uniforms(stored["toy_noise_k"])
    is_sampled = run == "toy6_sampled_end"
    starts = stored["p_fine_in"] if run == "toy_local1_init" else None
    steps = list(
        diffusion.reverse_steps(
            toy_network,
            golden.as_float(stored["toy_image"]),
            golden.as_float(stored["coarse"]),
            indices=[int(i) for i in stored[f"{run}_indices"]],
            noise=lambda step: noise[step],
            last="sampled" if is_sampled else "soft",
            ends_fine=False,
            fine_probability=None if starts is None else golden.as_float(starts),
        )
    )
    for k, step in enumerate(steps):
        golden.check("process: toy runs, masks", step.mask_in, stored[f"{run}_m_in"][k])
        for name, value in (("logits", step.logits), ("fine", step.fine_probability)):
            expected = stored[f"{run}_{name}"][k]
            golden.check(f"process: toy runs, {name}", value, expected, TOLERANCE)
    final = steps[-1].mask if is_sampled else steps[-1].probability
    golden.check("process: toy runs, end", final, stored[f"{run}_final"], TOLERANCE)
    final = steps[-1].fine_probability
    expected = stored[f"{run}_final_fine"]
    golden.check("process: toy runs, fine", final, expected, TOLERANCE)


@pytest.mark.parametrize("steps", range(1, 7))
def test_fewer_steps_end_at_the_confidence(stored, steps):
    logits = golden.as_float(stored["p_logits"])
    run = list(
        diffusion.reverse_steps(
            lambda x, index: logits,
            torch.zeros(2, 3, 20, 20),
            golden.as_float(stored["coarse"]),
            indices=diffusion.visit_indices(steps),
            noise=lambda step: torch.rand(2, 1, 20, 20),
        )
    )
    for step, expected in zip(run, stored[f"sub_K{steps}_fine"], strict=True):
        golden.check("process: fewer steps", step.fine_probability, expected, 1e-6)
    confidence = 2 * (torch.sigmoid(logits) - 0.5).abs()
    torch.testing.assert_close(run[-1].fine_probability, confidence, atol=1e-6, rtol=0)


def transitions(transition: str, n_pixels: int = 100_000):
    """Per step: states before and after, c and f, at a constant confidence."""
    generator = torch.Generator().manual_seed(7)
    shape = (1, 1, 1, n_pixels)
    logits = torch.full(shape, 1.7)
    steps = diffusion.reverse_steps(
        lambda x, index: logits,
        torch.zeros(1, 3, 1, n_pixels),
        torch.zeros(shape),  # coarse 0, predicted 1: the mask shows the state
        indices=diffusion.visit_indices(6),
        noise=lambda step: torch.rand(shape, generator=generator),
        transition=transition,
        last="sampled",
    )
    confidence = float(2 * (torch.sigmoid(logits[0, 0, 0, 0]) - 0.5))
    for step in steps:
        level = diffusion.KEEP_FINE[step.index]
        before = 1.0 if step.index == 0 else diffusion.KEEP_FINE[step.index - 1]
        c = confidence * (before - level) / (1 - confidence * level)
        yield step.mask_in.bool(), step.mask.bool(), c, confidence * before


def test_absorbing_pixels_turn_fine_with_probability_c_and_stay():
    for was_fine, is_fine, c, _ in transitions("absorbing"):
        assert is_fine[was_fine].all()
        coarse = ~was_fine
        n = int(coarse.sum())
        share = float(is_fine[coarse].float().mean())
        assert abs(share - c) <= 4 * np.sqrt(c * (1 - c) / n)


@pytest.mark.parametrize("transition", ["marginal", "absorbing"])
def test_both_transitions_have_the_same_marginals(transition):
    for _, is_fine, _, f in transitions(transition):
        share = float(is_fine.float().mean())
        assert abs(share - f) <= 4 * np.sqrt(f * (1 - f) / is_fine.numel())


def test_marginal_pixels_fall_back_at_times():
    fell = [bool((was & ~now).any()) for was, now, _, _ in transitions("marginal")]
    assert fell[0] is False
    assert all(fell[1:])


def test_stopping_half_way_runs_no_further_step():
    calls = []

    def network(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        calls.append(int(index[0]))
        return x[:, 3:]

    steps = diffusion.reverse_steps(
        network,
        torch.zeros(1, 3, 8, 8),
        torch.ones(1, 1, 8, 8),
        indices=diffusion.visit_indices(6),
        noise=lambda step: torch.rand(1, 1, 8, 8),
    )
    next(steps)
    next(steps)
    steps.close()
    assert calls == [5, 4]


def test_the_mean_of_all_steps_is_taken_with_mirrored_views():
    image = torch.rand(2, 3, 6, 6)
    coarse = (torch.rand(2, 1, 6, 6) < 0.5).float()
    noise = torch.rand(6, 2, 1, 6, 6)
    place = torch.linspace(-1, 1, 36).reshape(1, 1, 6, 6)
    seen = []

    def network(x, index):
        seen.append(x)
        return x[:, :1] - 0.5 + place + index.reshape(-1, 1, 1, 1)

    def run(last):
        seen.clear()
        return list(
            diffusion.reverse_steps(
                network,
                image,
                coarse,
                indices=diffusion.visit_indices(6),
                noise=lambda step: noise[step],
                last=last,
            )
        )

    steps = run("mean")
    for x, step, axes in zip(seen, steps, [(), (3,), (2,), (2, 3)] * 2, strict=False):
        expected = torch.cat([image, step.mask_in], dim=1).flip(axes)
        torch.testing.assert_close(x, expected)
    # What the image adds is mirrored back; what the place adds is not the image's.
    places = [place.flip(axes) for axes in ([(), (3,), (2,), (2, 3)] * 2)[:6]]
    mean = image[:, :1] - 0.5 + torch.stack(places).mean(dim=0) + 2.5
    torch.testing.assert_close(steps[-1].logits, mean)
    torch.testing.assert_close(steps[-1].probability, mean.sigmoid())
    torch.testing.assert_close(steps[-1].mask, (mean >= 0).float())


def test_the_mean_of_one_step_is_its_answer():
    def run(last):
        (step,) = diffusion.reverse_steps(
            lambda x, index: x[:, :1] - x[:, 3:],
            torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1)),
            torch.eye(4)[None, None],
            indices=(5,),
            noise=lambda step: torch.rand(1, 1, 4, 4),
            last=last,
        )
        return step

    torch.testing.assert_close(run("mean").probability, run("soft").probability)
