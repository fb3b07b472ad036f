"""How many processes prepare windows."""

from __future__ import annotations

import pytest
import torch

from napari_segrefiner.train_options import TRAIN_PRESETS, TrainOptions
from napari_segrefiner.training import sources
from napari_segrefiner.training.distributed import Team
from napari_segrefiner.training.sources import count_workers

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("cores", "processes", "device", "workers"),
    [
        (16, 1, CUDA, 14),
        (64, 1, CUDA, 16),
        (64, 4, CUDA, 14),
        (2, 1, CUDA, 1),
        (4, 8, CUDA, 1),
        (64, 1, CPU, 1),
        (1, 1, CPU, 1),
    ],
)
@pytest.mark.parametrize("preset", TRAIN_PRESETS)
def test_a_gpu_gets_all_workers_that_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    processes: int,
    device: torch.device,
    workers: int,
    preset: str,
) -> None:
    monkeypatch.setattr(sources, "_cores", lambda: cores)
    options = TrainOptions(preset=preset, init="none").resolved()  # type: ignore[arg-type]
    found = count_workers(options.workers, Team(0, processes, device))
    assert found == workers


def test_a_number_that_is_given_holds_as_far_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "_cores", lambda: 8)
    for device in (CPU, CUDA):
        given = [count_workers(n, Team(0, 2, device)) for n in (0, 1, 3, 9)]
        assert given == [0, 1, 3, 4]
