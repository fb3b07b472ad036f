"""Where the network runs, in which arithmetic, and what goes wrong there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from napari_segrefiner.errors import DeviceError, ModelError

if TYPE_CHECKING:
    from napari_segrefiner.options import Device

#: Grid pixels that are worked on at once, as far as `batch_size` allows. On CPUs larger
#: batches are not faster; on GPUs they fill the machine.
BATCH_PIXELS = {"cpu": 2**18, "mps": 2**19, "cuda": 2**21}


class OutOfMemory(DeviceError):
    """A batch did not fit into the device's memory; a smaller one may."""


def is_available(name: str) -> bool:
    """Whether this machine has the device "cpu", "cuda" or "mps"."""
    if name == "cuda":
        return torch.cuda.is_available()
    return name == "cpu" or torch.backends.mps.is_available()


def choose_device(name: Device = "auto") -> torch.device:
    """The device of that name; "auto" takes cuda, then mps, then cpu.

    Raises
    ------
    DeviceError
        If the machine has no such device.
    """
    if name == "auto":
        name = next(known for known in ("cuda", "mps", "cpu") if is_available(known))
    elif not is_available(name):
        message = (
            f"The device {name} is not there, or this build of torch cannot use it; "
            "choose auto or cpu, or install torch for your device."
        )
        raise DeviceError(message)
    return torch.device(name)


def threads_beside_a_window() -> int:
    """Torch's number of threads, or fewer, so that one core is left to a window.

    Torch's threads wait for each other after every layer of the network: where drawing
    takes the core of one of them, all are slower than one fewer would be.
    """
    return min(torch.get_num_threads(), max(1, (os.cpu_count() or 1) - 1))


@contextmanager
def translated_errors(doing: str) -> Iterator[None]:
    """Turn torch's RuntimeErrors into this package's own, which name what was done.

    Parameters
    ----------
    doing : str
        Such as "refining 8 crops of 64 x 64 px".

    Raises
    ------
    OutOfMemory
        If memory ran out.
    ModelError
        For everything else that torch refuses.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error).strip().partition("\n")[0]
        if _is_out_of_memory(error):
            message = (
                f"Memory ran out while {doing}. Close other programs that use the "
                "device, or choose a smaller batch size or the device cpu."
            )
            raise OutOfMemory(message) from error
        message = f"The model failed while {doing} ({text})."
        raise ModelError(message) from error


def free_memory(device: torch.device) -> None:
    """Give back what torch keeps for later, after memory ran out."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()  # mps and the CPU's allocator have no class of their own
    return "out of memory" in text or "allocate memory" in text
