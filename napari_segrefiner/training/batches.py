"""Batches for training: samples with their step index and noise, made by a worker.

Everything random about a sample depends on the seed and on its number in the whole run
alone, so that a resumed run sees the same batches as an uninterrupted one.
"""

from __future__ import annotations

import atexit
import itertools
import math
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from napari_segrefiner.core.preprocessing import normalise
from napari_segrefiner.errors import SegRefinerError

if TYPE_CHECKING:
    from napari_segrefiner.models.card import Normalisation

#: Chance of each step index 0..5; the first step of inference, 5, decides most.
INDEX_WEIGHTS = (0.10, 0.10, 0.10, 0.12, 0.18, 0.40)
#: As published (method 9).
UNIFORM_WEIGHTS = (1 / 6,) * 6
ALL_COARSE = len(INDEX_WEIGHTS) - 1

#: Batches that are ready ahead of time: of all workers together, and of each at least.
PREFETCH, LEAST_PREFETCH = 4, 2
#: What libraries read when they are loaded, to know how many threads they may start.
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class SampleSource(Protocol):
    """Training windows by number; :class:`training.samples.Samples` is one."""

    def sample(
        self, index: int, /
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Image (3, S, S) in [0, 1], fine and coarse mask (S, S), of that number."""


class ScaledSource(SampleSource, Protocol):
    """Windows of one size that can make larger ones of the same data."""

    def enlarged(self) -> SampleSource:
        """The same with windows of twice the side, of larger objects."""


class Batch(NamedTuple):
    """N samples, ready for the network.

    Attributes
    ----------
    image : (N, 3, S, S) float32 tensor
        Normalised as the model's card says.
    fine, coarse : (N, 1, S, S) float32 tensors, 0 or 1
    step_index : (N,) int64 tensor
        Step index of each sample, 0 to 5.
    noise : (N, 1, S, S) float32 tensor of uniforms in [0, 1)
    is_own : (N,) bool tensor
        Samples that start from the network's own mask instead of the fine one.
    map_scale : (N,) float32 tensor
        0 for samples that do without the maps of colours, else 1.
    """

    image: Tensor
    fine: Tensor
    coarse: Tensor
    step_index: Tensor
    noise: Tensor
    is_own: Tensor
    map_scale: Tensor


@dataclass(frozen=True)
class Draws:
    """How indices, own masks and hidden maps are drawn; names as in TrainOptions.

    A batch of large windows has a quarter as many, so that it takes as long. Of
    ``size`` processes, the one of ``rank`` makes its equal share of every batch.
    """

    seed: int
    batch_size: int
    own_share: float
    own_after: int
    map_dropout: float
    large_share: float = 0.0
    uniform_index: bool = False
    normalisation: Normalisation = "window"
    rank: int = 0
    size: int = 1


def large_batch(batch_size: int) -> int:
    """Windows of twice the side that take as long as a batch of `batch_size`."""
    return max(1, batch_size // 4)


class TrainingBatches(Dataset[Batch]):
    """Batch number i, of the samples i * N to i * N + N - 1, or a share of it."""

    def __init__(self, samples: SampleSource, draws: Draws) -> None:
        self.samples = samples
        self.draws = draws
        self.large: SampleSource | None = None
        if draws.large_share:
            self.large = cast("ScaledSource", samples).enlarged()

    def __getitem__(self, iteration: int) -> Batch:
        """Make batch number `iteration`."""
        draws = self.draws
        source, total = self.samples, draws.batch_size
        if self.large is not None and self._is_large(iteration):
            source, total = self.large, large_batch(total)
        n = total // draws.size
        first = iteration * draws.batch_size + draws.rank * n
        numbers = range(first, first + n)
        images, fines, coarses = zip(*map(source.sample, numbers), strict=True)
        side = fines[0].shape[0]
        noise = np.empty((n, 1, side, side), np.float32)
        chances = np.empty((n, 3))
        for k, number in enumerate(numbers):
            rng = self._generator(number)
            chances[k] = rng.random(3)
            noise[k, 0] = rng.random((side, side), dtype=np.float32)
        weights = UNIFORM_WEIGHTS if draws.uniform_index else INDEX_WEIGHTS
        bounds = np.cumsum(weights)[:-1]
        index = np.searchsorted(bounds, chances[:, 0], side="right")
        uses_own = iteration >= draws.own_after
        is_own = uses_own & (index < ALL_COARSE) & (chances[:, 1] < draws.own_share)
        map_scale = (chances[:, 2] >= draws.map_dropout).astype(np.float32)
        return Batch(
            image=normalise(torch.from_numpy(np.stack(images)), draws.normalisation),
            fine=torch.from_numpy(np.stack(fines)[:, None].astype(np.float32)),
            coarse=torch.from_numpy(np.stack(coarses)[:, None].astype(np.float32)),
            step_index=torch.from_numpy(index),
            noise=torch.from_numpy(noise),
            is_own=torch.from_numpy(is_own),
            map_scale=torch.from_numpy(map_scale),
        )

    def _is_large(self, iteration: int) -> bool:
        """Large batches are spread evenly over the others."""
        share = self.draws.large_share
        return math.floor((iteration + 1) * share) > math.floor(iteration * share)

    def _generator(self, number: int) -> np.random.Generator:
        # The samples draw from the same key with the counter at 0: far away from here.
        bits = np.random.Philox(key=[self.draws.seed, number], counter=[0, 0, 0, 1])
        return np.random.Generator(bits)


def iterate_batches(
    batches: TrainingBatches, first: int, workers: int
) -> Generator[Batch, None, None]:
    """Batches from number `first` on, without end, in order.

    Parameters
    ----------
    batches : TrainingBatches
    first : int
    workers : int
        Processes that make them ahead of time; 0 makes each when it is asked for. They
        are started afresh, not forked: a forked child of a process with threads can
        wait for ever.

    Raises
    ------
    SegRefinerError, OSError
        As making a batch raises them, whoever makes it.
    RuntimeError
        If a worker has ended; torch looks every few seconds, as long as it is given no
        time limit.
    """
    if workers == 0:
        for iteration in itertools.count(first):
            yield batches[iteration]
    loader = DataLoader(
        _ErrorsAsItems(batches),
        batch_size=None,
        sampler=itertools.count(first),
        num_workers=workers,
        prefetch_factor=max(LEAST_PREFETCH, PREFETCH // workers),
        worker_init_fn=_leave_signals_to_the_parent,
        multiprocessing_context="spawn",
    )
    with _one_thread_each():  # the workers start with the iterator
        stream = iter(loader)
    # The loader leaves it to the garbage collector, which an exception that is kept
    # puts off. At the end, Python would wait for ever for workers that ignore SIGTERM.
    end = partial(_end_workers, stream)
    atexit.register(end)
    try:
        for made in stream:
            if isinstance(made, Exception):
                raise made
            yield made
    finally:
        atexit.unregister(end)
        end()


def _end_workers(stream: Iterator[Any]) -> None:
    """Let them end; how they do it, as torch complains of at any moment, is all one."""
    with suppress(RuntimeError):
        cast("_Workers", stream)._shutdown_workers()


class _Workers(Protocol):
    """What torch's iterator over a loader with workers can do besides."""

    def _shutdown_workers(self) -> None: ...


class _ErrorsAsItems(Dataset[Batch | Exception]):
    """Hands on what a worker may well run into: torch would wrap it in a traceback."""

    def __init__(self, batches: TrainingBatches) -> None:
        self._batches = batches

    def __getitem__(self, iteration: int) -> Batch | Exception:
        try:
            return self._batches[iteration]
        except (SegRefinerError, OSError) as error:
            return error


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started meanwhile compute with one thread each.

    Otherwise every worker's matrix library starts a thread per core, which wait for
    their tiny products in busy loops and take the cores from the network.
    """
    before = {name: os.environ.get(name) for name in THREAD_LIMITS}
    os.environ.update(dict.fromkeys(THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _leave_signals_to_the_parent(_: int) -> None:
    # A terminal, and torchrun, send them to the whole group of processes; workers end
    # when the parent says so, or is gone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
