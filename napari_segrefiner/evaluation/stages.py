"""Where the time of a run goes, and how much arithmetic it is."""

from __future__ import annotations

import cProfile
import inspect
import pstats
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_segrefiner.core.blend import Blend
from napari_segrefiner.core.coarse import CoarseLabels
from napari_segrefiner.core.denoiser import Denoiser
from napari_segrefiner.core.draft import make_draft
from napari_segrefiner.core.plan import Plan
from napari_segrefiner.core.refiner import Refiner
from napari_segrefiner.core.settle import Settlement
from napari_segrefiner.core.window_pass import WindowPass

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from napari_segrefiner.models.checkpoint import Model

#: Stages of a run: the functions that make them up, none of which calls another.
STAGES: dict[str, tuple[Callable[..., Any], ...]] = {
    "plan": (CoarseLabels.__init__, Refiner.plan),
    "crop": (Plan.show, WindowPass.show),
    "network": (Denoiser.__call__,),
    "paste": (make_draft, Blend.add, Blend.finish),
    "compose": (Settlement.settle, Settlement.finish),
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
    stats: dict[Any, Any] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    shares = {
        stage: sum(_seconds_in(part, stats) for part in parts) / seconds
        for stage, parts in STAGES.items()
    }
    shares["other"] = max(0.0, 1 - sum(shares.values()))
    return Stages(shares, seconds)


def _seconds_in(function: Callable[..., Any], stats: dict[Any, Any]) -> float:
    """Seconds in a function, what it calls included; 0 if it was not called."""
    code = inspect.unwrap(function).__code__
    place = (code.co_filename, code.co_firstlineno, code.co_name)
    if place not in stats:
        return 0.0
    _, _, _, cumulative, _ = stats[place]
    return float(cumulative)


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
    kind = getattr(torch, precision)
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
