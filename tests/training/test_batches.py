"""Batches depend on the seed and their number alone, and are drawn as intended."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from napari_segrefiner.errors import InputError
from napari_segrefiner.training.batches import (
    ALL_COARSE,
    INDEX_WEIGHTS,
    THREAD_LIMITS,
    Draws,
    TrainingBatches,
    iterate_batches,
)
from tests.training.conftest import Discs

DRAWS = Draws(seed=3, batch_size=4, own_share=0.4, own_after=5, map_dropout=0.25)


def test_a_batch_depends_on_its_number_alone(discs: Discs) -> None:
    forwards = [TrainingBatches(discs, DRAWS)[i] for i in (0, 1, 2)]
    again = TrainingBatches(discs, DRAWS)[2]
    for first, second in zip(forwards[2], again, strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(forwards[0].noise, forwards[1].noise)


def test_a_sample_is_the_same_in_batches_of_another_size(discs: Discs) -> None:
    small = TrainingBatches(discs, DRAWS)[1]
    draws = dataclasses.replace(DRAWS, batch_size=8)
    large = TrainingBatches(discs, draws)[0]
    for part_small, part_large in zip(small[:5], large[:5], strict=True):
        # the picture's mean is summed in another order
        torch.testing.assert_close(part_small, part_large[4:], rtol=1e-5, atol=1e-6)


def test_indices_own_masks_and_hidden_maps_have_their_shares(discs: Discs) -> None:
    draws = dataclasses.replace(DRAWS, batch_size=4000)
    batch = TrainingBatches(discs, draws)[5]
    n = draws.batch_size
    shares = np.bincount(batch.step_index.numpy(), minlength=6) / n
    for share, weight in zip(shares, INDEX_WEIGHTS, strict=True):
        assert abs(share - weight) < 4 * np.sqrt(weight * (1 - weight) / n)
    later = batch.step_index < ALL_COARSE
    own = batch.is_own[later].float().mean().item()
    assert abs(own - 0.4) < 4 * np.sqrt(0.24 / later.sum().item())
    assert not batch.is_own[~later].any()
    hidden = 1 - batch.map_scale.mean().item()
    assert abs(hidden - 0.25) < 4 * np.sqrt(0.1875 / n)
    assert 0 <= batch.noise.min() < 0.001 < 0.999 < batch.noise.max() < 1


def test_own_masks_begin_when_asked(discs: Discs) -> None:
    draws = dataclasses.replace(DRAWS, batch_size=64)
    batches = TrainingBatches(discs, draws)
    assert not batches[4].is_own.any()
    assert batches[5].is_own.any()


class GrowingDiscs(Discs):
    """Discs that come in twice the size, too."""

    def enlarged(self) -> Discs:
        large = GrowingDiscs()
        large.side = 2 * self.side
        return large


def test_large_windows_come_in_every_other_batch_a_quarter_as_many() -> None:
    draws = dataclasses.replace(DRAWS, batch_size=8, large_share=0.5)
    batches = TrainingBatches(GrowingDiscs(), draws)
    shapes = [tuple(batches[i].fine.shape) for i in range(4)]
    small = tuple(TrainingBatches(GrowingDiscs(), DRAWS)[0].fine.shape[2:])
    assert shapes[0] == shapes[2] == (8, 1, *small)
    assert shapes[1] == shapes[3] == (2, 1, 2 * small[0], 2 * small[1])
    for part in batches[1]:
        assert len(part) == 2


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_number_of_workers_makes_the_same_batches_in_order(
    discs: Discs, workers: int
) -> None:
    batches = TrainingBatches(discs, DRAWS)
    stream = iterate_batches(batches, first=3, workers=workers)
    try:
        for number in range(3, 9):
            for made, expected in zip(next(stream), batches[number], strict=True):
                assert torch.equal(made, expected)
    finally:
        stream.close()


class _Refusing:
    """Has no samples."""

    def sample(self, index: int) -> NoReturn:
        message = "No usable object."
        raise InputError(message)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_sample_refuses_is_told_in_the_same_words_by_a_worker(
    workers: int,
) -> None:
    stream = iterate_batches(TrainingBatches(_Refusing(), DRAWS), 0, workers)
    with pytest.raises(InputError) as caught:
        next(stream)
    assert str(caught.value) == "No usable object."
    assert not multiprocessing.active_children()  # though the exception is still held


_ABANDONED = """
from tests.training.test_batches import DRAWS, Discs, TrainingBatches, iterate_batches

if __name__ == "__main__":
    stream = iterate_batches(TrainingBatches(Discs(), DRAWS), first=0, workers=1)
    next(stream)
"""


@pytest.mark.slow
def test_a_script_that_leaves_the_batches_half_way_ends(tmp_path: Path) -> None:
    script = tmp_path / "abandoned.py"
    script.write_text(_ABANDONED)
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, script],
        env=os.environ | {"PYTHONPATH": str(root)},
        check=True,
        timeout=120,
    )


class _Ending:
    """Ends the process that asks for a sample."""

    def sample(self, index: int) -> NoReturn:
        os._exit(3)


@pytest.mark.slow
def test_the_end_of_a_worker_is_noticed() -> None:
    stream = iterate_batches(TrainingBatches(_Ending(), DRAWS), first=0, workers=1)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        next(stream)


@pytest.mark.slow
def test_how_workers_end_is_all_one(
    discs: Discs, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_asked = 0

    def shut_down(loader: Any) -> None:
        nonlocal n_asked
        n_asked += 1
        original(loader)
        if n_asked == 1:  # as torch's handler of signals does meanwhile
            message = "DataLoader worker is killed by signal: Aborted."
            raise RuntimeError(message)

    original = _MultiProcessingDataLoaderIter._shutdown_workers
    stream = iterate_batches(TrainingBatches(discs, DRAWS), first=0, workers=1)
    next(stream)
    with monkeypatch.context() as patched:
        patched.setattr(_MultiProcessingDataLoaderIter, "_shutdown_workers", shut_down)
        stream.close()
    assert n_asked
    assert not multiprocessing.active_children()


class _Limits:
    """Images that are 1 where this process may start one thread only, else 0."""

    def sample(
        self, index: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        is_one = all(os.environ.get(name) == "1" for name in THREAD_LIMITS)
        mask = np.ones((16, 16), bool)
        return np.full((3, 16, 16), is_one, np.float32), mask, mask


@pytest.mark.slow
def test_workers_compute_with_one_thread_each_and_leave_the_parent_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(THREAD_LIMITS[0], "3")
    monkeypatch.delenv(THREAD_LIMITS[1], raising=False)
    draws = dataclasses.replace(DRAWS, normalisation="imagenet")
    stream = iterate_batches(TrainingBatches(_Limits(), draws), first=0, workers=1)
    made_by_worker = next(stream).image
    stream.close()
    here = TrainingBatches(_Limits(), draws)[0].image
    assert os.environ[THREAD_LIMITS[0]] == "3"
    assert THREAD_LIMITS[1] not in os.environ
    assert (made_by_worker > here).all()
