"""Masks as packed bits."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segrefiner.geometry import Box
from napari_segrefiner.plugin.frames import PackedMask


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (13, 7)])
def test_masks_come_back_as_they_were(shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random(shape) > 0.5
    box = Box(4, 5, 4 + shape[0], 5 + shape[1])
    packed = PackedMask.pack(box, mask)
    np.testing.assert_array_equal(packed.unpack(), mask)
    assert packed.bits.nbytes == -(-mask.size // 8)
