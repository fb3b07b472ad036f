"""Where the time of a run goes, and how much arithmetic it is."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from napari_segrefiner.core.refiner import Refiner
    from napari_segrefiner.models.checkpoint import Model

#: Stages of a run: the functions of the core, as file and name, that make them up.
STAGES: dict[str, tuple[tuple[str, str], ...]] = {
    "plan": (("refiner.py", "plan"), ("coarse.py", "__init__")),
    "crop": (("plan.py", "show"), ("window_pass.py", "_show")),
    "network": (("denoiser.py", "__call__"),),
    "paste": (
        ("draft.py", "make_draft"),
        ("blend.py", "add"),
        ("blend.py", "finish"),
    ),
    "compose": (("settle.py", "settle"), ("settle.py", "finish")),
}
#: Sides of the matrices that the machine's peak is measured with, and how often.
PEAK_SIDE, PEAK_SIDE_CPU, PEAK_REPEATS = 8192, 1024, 10


@dataclass(frozen=True)
class Stages:
    """Shares of a run's time in [0, 1] by stage; "other" makes them one.

    On a GPU the network's time is where its results are waited for, which is part of
    "other".
    """

    shares: dict[str, float]
    seconds: float


def profile(
    refiner: Refiner, image: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> Stages:
    """Run once under Python's profiler."""
    profiler = cProfile.Profile()
    start = time.perf_counter()
    profiler.enable()
    for _ in refiner.steps(image, labels):
        pass
    profiler.disable()
    seconds = time.perf_counter() - start
    spent = dict(_cumulative(profiler))
    shares = {
        stage: sum(spent.get(part, 0.0) for part in parts) / seconds
        for stage, parts in STAGES.items()
    }
    shares["other"] = max(0.0, 1 - sum(shares.values()))
    return Stages(shares, seconds)


def _cumulative(profiler: cProfile.Profile) -> Iterator[tuple[tuple[str, str], float]]:
    """Seconds in every function of the core, what it calls included."""
    stats: dict[Any, Any] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    for (file, _, name), (_, _, _, cumulative, _) in stats.items():
        path = Path(file)
        if path.parent.name == "core":
            yield (path.name, name), cumulative


def network_flops(model: Model, side: int) -> int:
    """Floating-point operations of one step on one crop of `side` x `side` px.

    A multiplication with an addition counts as two, as is usual.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    device = next(model.network.parameters()).device
    x = torch.zeros(1, 4, side, side, device=device)
    index = torch.zeros(1, dtype=torch.int64, device=device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.network(x, index)
    return int(counter.get_total_flops())


def matrix_peak(device: torch.device, precision: str) -> float:
    """Operations per second of large matrix products, as fast as the machine gets."""
    import torch

    is_cuda = device.type == "cuda"
    side = PEAK_SIDE if is_cuda else PEAK_SIDE_CPU
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a = torch.ones(side, side, device=device, dtype=kind)
    best = float("inf")
    for _ in range(PEAK_REPEATS):
        if is_cuda:
            torch.cuda.synchronize()
        start = time.perf_counter()
        a @ a
        if is_cuda:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best
