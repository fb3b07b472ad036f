"""Processes that train one network together, as torchrun starts them."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from napari_segrefiner.core.device import choose_device
from napari_segrefiner.errors import DeviceError, OptionError

if TYPE_CHECKING:
    from napari_segrefiner.network import DenoisingUNet
    from napari_segrefiner.options import Device

#: While the first process validates, the others wait; longer than that ever takes.
PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Team:
    """The processes of one training; alone, every method is the identity.

    Attributes
    ----------
    rank : int
        Of this process, from 0; the first one writes and decides.
    size : int
    device : torch.device
        Of this process.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and decides for all."""
        return self.rank == 0

    def share(self, batch_size: int) -> int:
        """Samples of a batch for each process.

        Raises
        ------
        OptionError
            If they cannot be dealt out evenly.
        """
        if batch_size % self.size:
            message = (
                f"--batch-size is {batch_size}; a multiple of the {self.size} "
                "processes is expected."
            )
            raise OptionError(message)
        return batch_size // self.size

    def join(self, network: DenoisingUNet) -> torch.nn.Module:
        """The network as it has to be called so that gradients are averaged."""
        if self.size == 1:
            return network
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids)

    def mean(self, values: Tensor) -> Tensor:
        """Mean of equally long vectors over the processes."""
        if self.size > 1:
            distributed.all_reduce(values)
            values /= self.size
        return values

    def agree(self, value: float) -> float:
        """What the first process says."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64)
        distributed.broadcast(told, 0)
        return float(told.item())

    def any(self, flag: bool) -> bool:
        """Whether it is true in any process."""
        if self.size == 1:
            return flag
        count = torch.tensor([float(flag)])
        distributed.all_reduce(count)
        return bool(count.item() > 0)

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.any(False)  # what the first one says may pass before the last one hears it


@contextmanager
def assembled(device: Device) -> Iterator[Team]:
    """The team that torchrun has started, or this process alone.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "mps"}
        With several GPUs, each process takes the one of its local number.

    Raises
    ------
    DeviceError
        If the device is missing, or there are more processes than GPUs.
    """
    chosen = choose_device(device)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(0, 1, chosen)
        return
    if chosen.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            message = (
                f"This machine has {torch.cuda.device_count()} GPUs but process "
                f"{local + 1} was started; give torchrun fewer --nproc-per-node."
            )
            raise DeviceError(message)
        chosen = torch.device("cuda", local)
        torch.cuda.set_device(chosen)
    backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Team(distributed.get_rank(), size, chosen)
    finally:
        # What still holds the group would end its threads too late, with an abort.
        gc.collect()
        distributed.destroy_process_group()
