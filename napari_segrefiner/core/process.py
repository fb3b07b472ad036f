"""The reverse process with a model, on its device: from crops to probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_segrefiner.core.denoiser import (
    Denoiser,
    choose_precision,
    without_gradients,
)
from napari_segrefiner.core.device import choose_device
from napari_segrefiner.core.preprocessing import normalise
from napari_segrefiner.diffusion import Step, reverse_steps
from napari_segrefiner.errors import ModelError

if TYPE_CHECKING:
    from napari_segrefiner.core.noise import GivenNoise, SeededNoise
    from napari_segrefiner.models.checkpoint import Model
    from napari_segrefiner.options import Last, RefineOptions, Transition

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Chain:
    """The way of one pass through the levels.

    Attributes
    ----------
    indices : tuple of int
        Step indices, falling.
    transition, last, ends_fine
        As for :func:`napari_segrefiner.diffusion.reverse_steps`.
    """

    indices: tuple[int, ...]
    transition: Transition = "marginal"
    last: Last = "soft"
    ends_fine: bool = True

    @property
    def n_steps(self) -> int:
        """Calls of the network."""
        return len(self.indices)

    @property
    def n_fields(self) -> int:
        """Fields of noise that are drawn: only a sampled end draws one."""
        return len(self.indices) - (self.last != "sampled")

    def values(self, step: Step) -> Tensor:
        """What a step shows: its mask; its probabilities at an end that draws none."""
        is_end = step.step == len(self.indices) - 1
        return step.probability if is_end and self.last != "sampled" else step.mask


class Process:
    """A model at work.

    Parameters
    ----------
    model : Model
        Its network is moved to the device.
    options : RefineOptions
        Resolved.

    Attributes
    ----------
    device : torch.device
    precision : {"float32", "bfloat16", "float16"}

    Raises
    ------
    DeviceError
        If the machine lacks the device.
    """

    def __init__(self, model: Model, options: RefineOptions) -> None:
        self._model = model
        self.device = choose_device(options.device)
        self.precision = choose_precision(
            options.precision,
            model.network,
            self.device,
            is_exact=options.preset == "published",
        )
        self._denoiser = Denoiser(
            model.network, self.device, self.precision, flips=bool(options.flips)
        )

    def run(
        self,
        images: Plane,
        seen: Mask,
        chain: Chain,
        noise: SeededNoise | GivenNoise,
        *,
        fine: Plane | None = None,
        pinned: Mask | None = None,
        what: str = "crops",
    ) -> Iterator[Step]:
        """Take a batch through a chain and yield every step.

        Parameters
        ----------
        images : (N, 1 or 3, S, S) float32 array in [0, 1]
        seen : (N, S, S) bool array
            Their coarse masks.
        chain : Chain
        noise : callable
            ``noise(step)`` gives (N, 1, S, S) float32 uniforms.
        fine : (N, S, S) float32 array in [0, 1], optional
            Start of the fine probability f; 0 if not given.
        pinned : (N, S, S) bool array, optional
            Pixels that show their coarse value in every mask.
        what : str
            What the batch holds, for messages.

        Raises
        ------
        OutOfMemory
            If the batch is too large for the device.
        ModelError
            If the network fails or answers what are no numbers.
        """
        side = seen.shape[-1]
        place = f"{side} x {side} px on {self.device.type}"
        doing = f"refining {len(seen)} {what} of {place}"
        steps = self._reverse(images, seen, chain, noise, fine, pinned)
        for step in without_gradients(steps, doing):
            is_last = step.step == chain.n_steps - 1
            if is_last and not bool(torch.isfinite(step.probability).all()):
                message = (
                    f"The model {self._model.name} gave values that are no numbers; "
                    "choose another model, or the precision float32."
                )
                raise ModelError(message)
            yield step

    def _reverse(
        self,
        images: Plane,
        seen: Mask,
        chain: Chain,
        noise: SeededNoise | GivenNoise,
        fine: Plane | None,
        pinned: Mask | None,
    ) -> Iterator[Step]:
        """The reverse process, from arrays to tensors on the device."""
        pictures = self._tensor(images).expand(-1, 3, -1, -1)
        yield from reverse_steps(
            self._denoiser,
            normalise(pictures, self._model.card.normalisation),
            self._tensor(seen)[:, None].float(),
            indices=chain.indices,
            noise=lambda step: self._tensor(noise(step)),
            transition=chain.transition,
            last=chain.last,
            ends_fine=chain.ends_fine,
            fine_probability=None if fine is None else self._tensor(fine)[:, None],
            pinned=None if pinned is None else self._tensor(pinned)[:, None],
        )

    def _tensor(self, array: npt.NDArray[np.float32] | Mask) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def to_numpy(values: Tensor) -> Plane:
    """(..., 1, S, S) float tensor on any device to a (..., S, S) array."""
    array: Plane = values.squeeze(-3).float().cpu().numpy()
    return array
