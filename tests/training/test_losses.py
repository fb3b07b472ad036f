"""The losses agree with the published ones on stored values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_segrefiner.training.losses import losses, mask_iou, texture
from tests import golden

Golden = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def stored() -> Golden:
    return golden.load("losses")


@pytest.mark.parametrize(
    ("part", "name", "gradient"),
    [
        ("bce", "bce", "grad_bce"),
        ("texture", "texture_x5", "grad_texture_x5"),
        ("total", "total", "grad_total"),
    ],
)
def test_loss_and_gradient_equal_the_published_code(
    stored: Golden, part: str, name: str, gradient: str
) -> None:
    logits = torch.from_numpy(stored["logits"]).requires_grad_()
    fine = torch.from_numpy(stored["target"]).float()
    value = getattr(losses(logits, fine), part)
    golden.check("losses: values, relative", value.item() / stored[name], 1, 1e-5)
    value.backward()
    assert logits.grad is not None
    golden.check("losses: gradients", logits.grad, stored[gradient], 1e-8)


def test_texture_equals_the_published_filter(stored: Golden) -> None:
    target = torch.from_numpy(stored["target"]).float()
    soft = torch.from_numpy(stored["logits"]).sigmoid()
    golden.check("losses: texture", texture(target), stored["sobel_target"], 1e-6)
    golden.check("losses: texture", texture(soft), stored["sobel_sigmoid"], 1e-6)


def test_logged_iou_equals_the_published_code(stored: Golden) -> None:
    predicted = torch.from_numpy(stored["logits"]) >= 0
    fine = torch.from_numpy(stored["target"]) > 0
    golden.check("losses: iou", mask_iou(predicted, fine), stored["iou"][:, 0], 1e-5)


def test_perfect_logits_cost_nothing_and_inverted_ones_a_lot() -> None:
    fine = torch.zeros(1, 1, 16, 16)
    fine[..., 4:12, 4:12] = 1
    logits = (fine * 2 - 1) * 40
    assert losses(logits, fine).total.item() < 1e-6
    assert losses(-logits, fine).bce.item() > 30
