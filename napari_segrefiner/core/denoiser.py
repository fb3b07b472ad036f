"""The network as the reverse process calls it: placed, mirrored, in its precision."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from napari_segrefiner.core.device import translated_errors
from napari_segrefiner.diffusion import MIRRORINGS, mirrored

if TYPE_CHECKING:
    from napari_segrefiner.diffusion import Step
    from napari_segrefiner.options import Precision

Arithmetic = Literal["float32", "bfloat16", "float16"]

#: Crops on which both kinds of arithmetic are timed: some 0.2 s with the default model.
TRIAL_SHAPE = (8, 4, 64, 64)
N_TRIALS = 2


class Denoiser:
    """Logits of the fine mask, (N, 4, S, S) and (N,) to (N, 1, S, S) float32.

    Parameters
    ----------
    network : callable
        A module is moved to the device and set to inference.
    device : torch.device
    precision : {"float32", "bfloat16", "float16"}
    flips : bool
        Whether the answer is the mean over four mirrorings.
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor], Tensor],
        device: torch.device,
        precision: Arithmetic = "float32",
        *,
        flips: bool = False,
    ) -> None:
        if isinstance(network, nn.Module):
            # 1.9 times faster than the default layout on CPUs.
            network = network.to(device).eval()
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = network
        self._device = device
        self._precision = precision
        self._mirrorings = MIRRORINGS if flips else MIRRORINGS[:1]

    def __call__(self, x: Tensor, index: Tensor) -> Tensor:
        """The network's answer, or the mean of its mirrored answers."""
        answers = [mirrored(self._answer, x, index, axes) for axes in self._mirrorings]
        return answers[0] if len(answers) == 1 else torch.stack(answers).mean(dim=0)

    def _answer(self, x: Tensor, index: Tensor) -> Tensor:
        with self._arithmetic():
            x = x.contiguous(memory_format=torch.channels_last)
            return self._network(x, index).float()

    def _arithmetic(self) -> AbstractContextManager[object]:
        if self._precision != "float32":
            return autocast(self._device, self._precision)
        return _full_mantissas() if self._device.type == "cuda" else nullcontext()


def autocast(
    device: torch.device, precision: Arithmetic
) -> AbstractContextManager[object]:
    """Where a network's layers compute in `precision`, as far as they bear it."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))


@contextmanager
def _full_mantissas() -> Iterator[None]:
    """On NVIDIA devices float32 convolutions drop 13 bits unless told otherwise."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def without_gradients(steps: Iterator[Step], doing: str) -> Iterator[Step]:
    """Run a generator of steps in inference mode, with torch's errors translated.

    Parameters
    ----------
    steps : iterator of Step
    doing : str
        For the messages, see :func:`translated_errors`.

    Notes
    -----
    The mode belongs to the thread: a generator that kept it while it waits would hand
    it to whoever drains it.
    """
    while True:
        with torch.inference_mode(), translated_errors(doing):
            step = next(steps, None)
        if step is None:
            return
        yield step


def choose_precision(
    wanted: Precision,
    network: Callable[[Tensor, Tensor], Tensor],
    device: torch.device,
    *,
    is_exact: bool,
) -> Arithmetic:
    """The arithmetic of a run.

    Parameters
    ----------
    wanted : {"auto", "float32", "bfloat16", "float16"}
    network : callable
    device : torch.device
    is_exact : bool
        Whether "auto" is float32 in any case, as for the published preset.
    """
    if wanted != "auto":
        return wanted
    if is_exact or not isinstance(network, nn.Module):
        return "float32"
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if device.type == "cpu" and _has_native_bfloat16():
        kind = getattr(network, "config", type(network))
        if kind not in _measured:
            _measured[kind] = _faster_arithmetic(network)
        return _measured[kind]
    return "float32"


#: What :func:`_faster_arithmetic` found, by the network's configuration: measured once
#: per process, so that all its runs use the same.
_measured: dict[Any, Arithmetic] = {}


def _has_native_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself; where it does not, it is slower."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def _faster_arithmetic(network: nn.Module) -> Arithmetic:
    """Time a few crops in both; on some CPUs bfloat16 is faster, on others slower."""
    cpu = torch.device("cpu")
    own = torch.Generator().manual_seed(0)  # the user's random numbers stay theirs
    x = torch.rand(TRIAL_SHAPE, generator=own).round_()
    index = torch.zeros(len(x), dtype=torch.int64)
    seconds: dict[Arithmetic, float] = {}
    with torch.inference_mode():
        for precision in ("float32", "bfloat16"):
            denoiser = Denoiser(network, cpu, precision)
            denoiser(x, index)  # the first call also prepares
            trials = []
            for _ in range(N_TRIALS):
                start = time.perf_counter()
                denoiser(x, index)
                trials.append(time.perf_counter() - start)
            seconds[precision] = min(trials)
    return min(seconds, key=lambda precision: seconds[precision])
