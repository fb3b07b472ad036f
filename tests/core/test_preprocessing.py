"""Pictures are centred and scaled as the network learnt them."""

from __future__ import annotations

import numpy as np
import torch

from napari_segrefiner.core.preprocessing import normalise


def test_window_normalisation_uses_all_channels_of_each_crop_together() -> None:
    images = torch.rand(2, 3, 16, 16)
    images[1] = images[1] * 0.1 + 0.7
    images[1, 0, 0, 0] = 0
    values = images.numpy().astype(np.float64)
    for got, v in zip(normalise(images, "window").numpy(), values, strict=True):
        expected = np.clip((v - v.mean()) / (v.std() + 0.02), -4, 4)
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_imagenet_normalisation_is_the_published_one() -> None:
    images = torch.full((1, 3, 2, 2), 128 / 255)
    got = normalise(images, "imagenet")[0, :, 0, 0].numpy()
    expected = [
        (128 - 123.675) / 58.395,
        (128 - 116.28) / 57.12,
        (128 - 103.53) / 57.375,
    ]
    np.testing.assert_allclose(got, expected, atol=1e-6)
