"""Steps kept for a replay."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segrefiner.geometry import Box
from napari_segrefiner.plugin.frames import Frame, History, PackedMask
from napari_segrefiner.plugin.planes import Plane

YX = Plane((0, 1), (0, 0))


def frame(step: int, label: int = 1, side: int = 16) -> Frame:
    box = Box(0, 0, side, side)
    mask = np.zeros(box.shape, bool)
    mask[: step + 1] = True
    coarse = PackedMask.pack(box, np.zeros(box.shape, bool))
    return Frame(YX, step, 3, (label,), (PackedMask.pack(box, mask),), (coarse,))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (13, 7)])
def test_masks_come_back_as_they_were(shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random(shape) > 0.5
    box = Box(4, 5, 4 + shape[0], 5 + shape[1])
    packed = PackedMask.pack(box, mask)
    np.testing.assert_array_equal(packed.unpack(), mask)
    assert packed.bits.nbytes == -(-mask.size // 8)


def test_history_gives_the_steps_of_one_object_in_order() -> None:
    history = History()
    for label in (1, 2):
        for step in range(3):
            history.add(frame(step, label))
    areas = [int(m.unpack().sum()) for m in history.steps_of(2, YX)]
    assert areas == [16, 32, 48]
    assert list(history.steps_of(3, YX)) == []


def test_history_drops_the_oldest_beyond_its_memory() -> None:
    history = History(most_bytes=3 * 32)
    for step in range(5):
        history.add(frame(step + 1))
    assert [f.step for f in history.frames] == [3, 4, 5]
    assert history.n_bytes == 96
    history.clear()
    assert history.n_bytes == 0
