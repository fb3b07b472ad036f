"""The losses agree with the published ones on stored values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from napari_segrefiner.training.losses import losses, mask_iou, texture

DATA = Path(__file__).parents[1] / "data" / "losses.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, npt.NDArray[np.float32]]:
    with np.load(DATA) as stored:
        return dict(stored)


@pytest.mark.parametrize(
    ("part", "stored", "gradient"),
    [
        ("bce", "bce", "grad_bce"),
        ("texture", "texture_x5", "grad_texture_x5"),
        ("total", "total", "grad_total"),
    ],
)
def test_loss_and_gradient_equal_the_published_code(
    golden: dict[str, npt.NDArray[np.float32]], part: str, stored: str, gradient: str
) -> None:
    logits = torch.from_numpy(golden["logits"]).requires_grad_()
    fine = torch.from_numpy(golden["target"]).float()
    value = getattr(losses(logits, fine), part)
    assert value.item() == pytest.approx(float(golden[stored]), rel=1e-5)
    value.backward()
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad.numpy(), golden[gradient], rtol=0, atol=1e-8)


def test_texture_equals_the_published_filter(
    golden: dict[str, npt.NDArray[np.float32]],
) -> None:
    target = torch.from_numpy(golden["target"]).float()
    soft = torch.from_numpy(golden["logits"]).sigmoid()
    np.testing.assert_allclose(texture(target), golden["sobel_target"], atol=1e-6)
    np.testing.assert_allclose(texture(soft), golden["sobel_sigmoid"], atol=1e-6)


def test_logged_iou_equals_the_published_code(
    golden: dict[str, npt.NDArray[np.float32]],
) -> None:
    predicted = torch.from_numpy(golden["logits"]) >= 0
    fine = torch.from_numpy(golden["target"]) > 0
    np.testing.assert_allclose(
        mask_iou(predicted, fine), golden["iou"][:, 0], rtol=1e-5
    )


def test_perfect_logits_cost_nothing_and_inverted_ones_a_lot() -> None:
    fine = torch.zeros(1, 1, 16, 16)
    fine[..., 4:12, 4:12] = 1
    logits = (fine * 2 - 1) * 40
    assert losses(logits, fine).total.item() < 1e-6
    assert losses(-logits, fine).bce.item() > 30
