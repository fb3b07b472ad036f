"""An object's noise depends on the seed and its id alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_segrefiner.core.noise import GivenNoise, SeededNoise, check_noise
from napari_segrefiner.errors import InputError


def test_noise_of_an_object_is_the_same_in_every_batch_and_order() -> None:
    alone = SeededNoise(7, [12], 32)
    among = SeededNoise(7, [3, 2**64 - 1, 12], 32)
    for step in range(3):
        np.testing.assert_array_equal(alone(step)[0], among(step)[2])


def test_seeds_ids_and_steps_have_noise_of_their_own() -> None:
    noise = SeededNoise(7, [1, 2], 32)
    fields = [*noise(0), *noise(1), *SeededNoise(8, [1, 2**63], 32)(0)]
    for k, first in enumerate(fields):
        for second in fields[:k]:
            assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.2


def test_noise_is_uniform_float32_below_one() -> None:
    field = SeededNoise(2**70, [5], 256)(0)
    assert field.shape == (1, 1, 256, 256)
    assert field.dtype == np.float32
    assert field.min() >= 0
    assert field.max() < 1
    assert abs(field.mean() - 0.5) < 4 * np.sqrt(1 / 12 / field.size)


def test_the_noise_of_a_seed_stays_what_it_is() -> None:
    first = SeededNoise(0, [1], 4)(0)[0, 0, 0]
    np.testing.assert_array_equal(
        first, np.random.Generator(np.random.Philox(key=[0, 1])).random(4, np.float32)
    )


def test_given_noise_is_handed_out_by_step() -> None:
    fields = np.random.default_rng(0).random((2, 3, 4, 4))
    noise = GivenNoise(fields)
    np.testing.assert_array_equal(noise(2), fields[:, 2, None].astype(np.float32))


GOOD = np.zeros((3, 5, 64, 64), np.float32)


@pytest.mark.parametrize(
    ("noise", "grids", "words"),
    [
        (GOOD[:2], {64}, r"\(3, 5, 64, 64\)"),
        (GOOD[:, :4], {64}, r"\(3, 5, 64, 64\)"),
        (GOOD, {32}, r"\(3, 5, 32, 32\)"),
        (GOOD, {64, 80}, "64, 80"),
        (GOOD + 1, {64}, "0, 1"),
        (GOOD - 0.1, {64}, "0, 1"),
        (GOOD * np.nan, {64}, "0, 1"),
        (GOOD.astype(np.uint8), {64}, "0, 1"),
    ],
)
def test_noise_that_does_not_serve_is_refused(
    noise: np.ndarray[Any, Any], grids: set[int], words: str
) -> None:
    check_noise(GOOD, 3, 5, {64})
    with pytest.raises(InputError, match=words):
        check_noise(noise, 3, 5, grids)
