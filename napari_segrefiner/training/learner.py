"""One step of learning: the paper's Algorithm 1, with a running mean of the weights."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from napari_segrefiner.core.denoiser import Arithmetic, autocast
from napari_segrefiner.diffusion import KEEP_FINE, forward_sample
from napari_segrefiner.training.batches import ALL_COARSE, Batch
from napari_segrefiner.training.distributed import Team
from napari_segrefiner.training.losses import losses, mask_iou

if TYPE_CHECKING:
    from napari_segrefiner.network import DenoisingUNet

#: Of the learning rate at each milestone (method 10).
MILESTONE_FACTOR = 0.5
#: Of the loss in float16: below it, what overflows are no longer the gradients.
LEAST_SCALE = 1.0


@dataclass(frozen=True)
class StepResult:
    """Figures of one step.

    ``bce``, ``texture``: parts of the loss. ``gradient``: its norm before clipping.
    ``iou``, ``coarse_iou``: mean IoU with the truth of predictions and of coarse masks,
    over the samples at the all-coarse step (NaN if there are none). ``scale``: what the
    loss is multiplied by in float16 from now on, so that small gradients are not lost;
    0 in other arithmetic.
    """

    bce: float
    texture: float
    gradient: float
    iou: float
    coarse_iou: float
    scale: float = 0.0

    @property
    def is_finite(self) -> bool:
        """False if the step was left out because of NaN or infinity."""
        return math.isfinite(self.bce + self.texture + self.gradient)

    @property
    def is_sound(self) -> bool:
        """Whether the step was taken, or later ones have better chances.

        In float16 a scale that is too high overflows now and then; it is halved then.
        """
        return self.is_finite or self.scale >= LEAST_SCALE


class Learner:
    """A network that learns, its optimiser, and the mean of its weights.

    Parameters
    ----------
    network : DenoisingUNet
        Learns in place, on its device.
    weight_decay, clip, ema : float
        As in TrainOptions.
    precision : {"float32", "bfloat16", "float16"}
        Arithmetic of the network; weights, losses and optimiser are float32. With
        float16 the loss is scaled, and steps that overflow are left out.
    at_once : int
        Samples in memory at once; the gradients of a batch's parts are added up. 0:
        all.
    team : Team, optional
        Processes that learn together, each from its own equal share of every batch.
    """

    def __init__(
        self,
        network: DenoisingUNet,
        *,
        weight_decay: float,
        clip: float,
        ema: float,
        precision: Arithmetic,
        at_once: int = 0,
        team: Team | None = None,
    ) -> None:
        self.network = network.train()
        # The stubs of torch know this call only by keyword, without a memory format.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean_network = self.network
        if ema:
            self.mean_network = copy.deepcopy(self.network).eval()
            self.mean_network.requires_grad_(False)
        self.team = team or Team(0, 1, self.device)
        self.trained = self.team.join(self.network)
        self.at_once = at_once
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), weight_decay=weight_decay, fused=True
        )
        self.clip = clip or math.inf
        self.ema = ema
        self.precision: Arithmetic = precision
        #: Iterations that weights, mean and moments have gone through; None in a step.
        self.reached: int | None = 0
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=precision == "float16"
        )

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.time_embed.weight.device

    @property
    def steps_taken(self) -> int:
        """Steps of the optimiser; fewer than iterations where some were left out."""
        for state in self.optimizer.state.values():
            return int(state["step"].item())
        return 0

    def learn(self, batch: Batch, iteration: int, learning_rate: float) -> StepResult:
        """Take one optimiser step, unless the loss or its gradient is not finite.

        Parameters
        ----------
        batch : Batch
            On any device.
        iteration : int
            Counts from 0; the mean of the weights forgets faster at first.
        learning_rate : float
        """
        batch = Batch(*(part.to(self.device) for part in batch))
        self.optimizer.zero_grad(set_to_none=True)
        figures = self._add_gradients(batch)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        bce, texture, iou, coarse_iou, share = self.team.mean(figures).tolist()
        result = StepResult(
            bce=bce,
            texture=texture,
            gradient=norm.item(),
            iou=iou / share if share else math.nan,
            coarse_iou=coarse_iou / share if share else math.nan,
        )
        self.reached = None
        if result.is_finite:
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate
            self.optimizer.step()
            self._update_mean(iteration)
        scale = self._rescale(result)
        self.reached = iteration + 1
        return dataclasses.replace(result, scale=scale)

    def _rescale(self, result: StepResult) -> float:
        """Halve the scale of float16 after an overflow; returns it, 0 without one."""
        scaler = self.scaler
        if not scaler.is_enabled():
            return 0.0
        before = scaler.get_scale()
        scaler.update()
        if not result.is_finite and scaler.get_scale() >= before:
            # Logits that overflow leave finite gradients: torch takes no notice.
            scaler.update(before * scaler.get_backoff_factor())
        return scaler.get_scale()

    def _add_gradients(self, batch: Batch) -> Tensor:
        """Gradients of the batch's mean loss, part by part; returns its figures.

        Returns
        -------
        (5,) float32 tensor
            BCE and texture loss; over the samples at the all-coarse step, the sums of
            IoU and coarse IoU, and their number; all divided by the batch's size.
        """
        n = len(batch.fine)
        size = self.at_once or n
        figures = torch.zeros(5, device=self.device)
        for first in range(0, n, size):
            part = Batch(*(tensor[first : first + size] for tensor in batch))
            share = len(part.fine) / n
            is_last = first + size >= n
            with contextlib.nullcontext() if is_last else self._unsynchronised():
                logits = self._logits(part)
                loss = losses(logits, part.fine)
                self.scaler.scale(loss.total * share).backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                figures[0] += loss.bce * share
                figures[1] += loss.texture * share
                figures[2:] += _overlaps(logits.detach(), part) / n
        return figures

    def _logits(self, part: Batch) -> Tensor:
        """Logits of the network that learns."""
        mask = self.masks_at_index(part)
        return self.predict(self.trained, part, mask, part.step_index)

    def _unsynchronised(self) -> contextlib.AbstractContextManager[None]:
        """Where gradients stay in this process, to be averaged with later ones."""
        if isinstance(self.trained, DistributedDataParallel):
            return self.trained.no_sync()
        return contextlib.nullcontext()

    @torch.no_grad()
    def masks_at_index(self, batch: Batch) -> Tensor:
        """The masks that the network is shown, (N, 1, S, S) float32, 0 or 1.

        Fine pixels come from the truth, or for ``is_own`` samples from the mean
        network's own first prediction, as in the reverse process: with its confidence
        p, a pixel is fine with probability p a_i (method 11).
        """
        mask = forward_sample(batch.fine, batch.coarse, batch.step_index, batch.noise)
        own = batch.is_own.nonzero().squeeze(1)
        if len(own) == 0:
            return mask
        part = Batch(*(tensor[own] for tensor in batch))
        first = torch.full_like(part.step_index, ALL_COARSE)
        logits = self.predict(self.mean_network, part, part.coarse, first)
        confidence = (2 * logits.sigmoid() - 1).abs()
        keep = torch.tensor(KEEP_FINE, device=logits.device)[part.step_index]
        is_fine = part.noise < confidence * keep[:, None, None, None]
        predicted = (logits >= 0).to(mask.dtype)
        mask[own] = torch.where(is_fine, predicted, part.coarse)
        return mask

    def predict(
        self, network: nn.Module, batch: Batch, mask: Tensor, index: Tensor
    ) -> Tensor:
        """Logits (N, 1, S, S) float32 of `network` for the images and `mask`."""
        x = torch.cat([batch.image, mask], dim=1)
        x = x.contiguous(memory_format=torch.channels_last)
        with autocast(x.device, self.precision):
            logits: Tensor = network(x, index, batch.map_scale)
        return logits.float()

    @torch.no_grad()
    def _update_mean(self, iteration: int) -> None:
        if self.mean_network is self.network:
            return
        memory = min(self.ema, (1 + iteration) / (10 + iteration))
        means: list[Tensor] = list(self.mean_network.parameters())
        weights: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(means, weights, 1 - memory)


def _overlaps(logits: Tensor, batch: Batch) -> Tensor:
    """Sums of IoU and coarse IoU over samples at the all-coarse step; their number."""
    first = batch.step_index == ALL_COARSE
    fine = batch.fine[first] > 0
    return torch.stack(
        [
            mask_iou(logits[first] >= 0, fine).sum(),
            mask_iou(batch.coarse[first] > 0, fine).sum(),
            first.sum(),
        ]
    )


def rate_at(
    iteration: int,
    iterations: int,
    *,
    highest: float,
    final: float,
    warm_up: int,
    milestones: Sequence[int] = (),
) -> float:
    """Learning rate of an iteration: linear warm-up, then a cosine down to the end.

    With milestones, it halves at each of them instead.

    Parameters
    ----------
    iteration : int
        Counts from 0.
    iterations : int
        Planned in all; 0 if not known yet: no descent.
    highest : float
    final : float
        Rate at the end, as a share of `highest`.
    warm_up : int
    milestones : sequence of int
        Iterations, counted from 0, that are the first with half the rate.

    Examples
    --------
    >>> [rate_at(i, 9, highest=1.0, final=0, warm_up=0, milestones=[3]) for i in (2, 3)]
    [1.0, 0.5]
    >>> [rate_at(i, 101, highest=1.0, final=0.0, warm_up=1) for i in (0, 51, 101)]
    [1.0, 0.5, 0.0]
    """
    if iteration < warm_up:
        return highest * (iteration + 1) / warm_up
    if milestones:
        passed = sum(iteration >= milestone for milestone in milestones)
        return float(highest * MILESTONE_FACTOR**passed)
    if not iterations:
        return highest
    done = min((iteration - warm_up) / max(iterations - warm_up, 1), 1.0)
    return highest * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))


def measure_precision(
    network: DenoisingUNet, batch: Batch, at_once: int = 0
) -> Arithmetic:
    """Which arithmetic trains this network faster here, by a few trial steps.

    Not float16: a run should not need its scale where there is a choice.

    Parameters
    ----------
    network : DenoisingUNet
        Is left as it is.
    batch : Batch
    at_once : int
        Only so many samples are tried; 0: all.
    """
    if at_once:
        batch = Batch(*(part[:at_once] for part in batch))
    seconds: dict[Arithmetic, float] = {}
    for precision in ("float32", "bfloat16"):
        trial = Learner(
            copy.deepcopy(network), weight_decay=0, clip=1, ema=0, precision=precision
        )
        trial.learn(batch, 0, 1e-6)  # the first call prepares kernels
        times = []
        for _ in range(2):
            started = time.perf_counter()
            trial.learn(batch, 0, 1e-6)  # its figures wait for the device
            times.append(time.perf_counter() - started)
        seconds[precision] = min(times)
    return min(seconds, key=lambda precision: seconds[precision])
