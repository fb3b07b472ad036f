"""The network is placed, mirrored, and leaves no mode behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from napari_segrefiner.core import denoiser
from napari_segrefiner.core.denoiser import (
    Denoiser,
    choose_precision,
    without_gradients,
)
from napari_segrefiner.errors import ModelError
from tests.core.stubs import oracle, tiny_network

CPU = torch.device("cpu")


def crops(n: int = 2) -> tuple[Tensor, Tensor]:
    x = torch.rand(n, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    return x, torch.full((n,), 3)


def test_the_layout_in_memory_does_not_change_the_answer() -> None:
    x, index = crops()
    expected = tiny_network()(x, index)
    torch.testing.assert_close(Denoiser(tiny_network(), CPU)(x, index), expected)


def test_flips_average_the_answers_to_four_mirrored_pictures() -> None:
    network = tiny_network()
    x, index = crops()
    flipped = Denoiser(network, CPU, flips=True)
    expected = sum(
        network(x.flip(axes), index).flip(axes) for axes in [(), (2,), (3,), (2, 3)]
    )
    torch.testing.assert_close(flipped(x, index), expected / 4, rtol=1e-4, atol=1e-5)
    mirrored = flipped(x.flip(3), index).flip(3)
    torch.testing.assert_close(flipped(x, index), mirrored, rtol=1e-4, atol=1e-5)


def test_half_precision_is_used_when_asked_for_and_answers_in_float32() -> None:
    x, index = crops()
    exact = Denoiser(tiny_network(), CPU)(x, index)
    errors = []
    for precision in ("bfloat16", "float16"):
        rough = Denoiser(tiny_network(), CPU, precision)(x, index)  # type: ignore[arg-type]
        assert rough.dtype == torch.float32
        errors.append((rough - exact).abs().max().item())
    assert 0 < errors[1] < errors[0] / 3  # three more bits
    assert errors[0] < 0.1


def test_precision_is_exact_where_it_must_be_and_measured_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[object] = []

    def faster(network: object) -> str:
        measured.append(network)
        return "bfloat16"

    monkeypatch.setattr(denoiser, "_measured", {})
    monkeypatch.setattr(denoiser, "_faster_arithmetic", faster)
    monkeypatch.setattr(denoiser, "_has_native_bfloat16", lambda: True)
    network = tiny_network()
    assert choose_precision("float32", network, CPU, is_exact=False) == "float32"
    assert choose_precision("auto", network, CPU, is_exact=True) == "float32"
    assert choose_precision("auto", oracle, CPU, is_exact=False) == "float32"
    assert not measured
    for _ in range(2):
        chosen = choose_precision("auto", tiny_network(), CPU, is_exact=False)
        assert chosen == "bfloat16"
    assert len(measured) == 1


def test_a_measurement_names_one_of_the_two() -> None:
    state = torch.get_rng_state()
    assert denoiser._faster_arithmetic(tiny_network()) in ("float32", "bfloat16")
    assert torch.equal(torch.get_rng_state(), state)  # the user's own random numbers


def test_inference_mode_holds_inside_the_steps_and_not_between_them() -> None:
    inside = []

    def steps() -> Iterator[int]:
        for k in range(2):
            inside.append(torch.is_inference_mode_enabled())
            yield k

    between = [
        torch.is_inference_mode_enabled()
        for _ in without_gradients(steps(), "testing")  # type: ignore[arg-type]
    ]
    assert inside == [True, True]
    assert between == [False, False]


def test_failures_inside_the_steps_are_translated() -> None:
    def steps() -> Iterator[int]:
        yield 0
        torch.zeros(2) @ torch.zeros(3)

    running = without_gradients(steps(), "testing this")  # type: ignore[arg-type]
    next(running)
    with pytest.raises(ModelError, match="testing this"):
        next(running)
