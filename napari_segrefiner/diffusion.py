"""The discrete diffusion: every pixel is fine or coarse, and moves from coarse to fine.

A pixel in the fine state shows the fine mask, one in the coarse state the coarse mask.
Step index i counts as in the published code: 5 is all coarse, 0 the last of inference.
Any callable ``(x, index) -> logits`` serves as the network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_segrefiner.errors import OptionError

if TYPE_CHECKING:
    from napari_segrefiner.options import Last, Transition

#: Chance that a pixel is fine at index i (``betas_cumprod`` of the published
#: configuration: linear from 0.8 to 0.0; supplement, settings).
KEEP_FINE: tuple[float, ...] = (0.80, 0.64, 0.48, 0.32, 0.16, 0.0)

N_LEVELS = len(KEEP_FINE)

#: Axes that are mirrored before the network and back after it.
MIRRORINGS: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))

Network = Callable[[Tensor, Tensor], Tensor]
Noise = Callable[[int], Tensor]


def visit_indices(steps: int, first: int = N_LEVELS - 1) -> tuple[int, ...]:
    """The indices that a run of `steps` steps visits, from `first` to the last.

    Sub-sampled over the chain, so that the network meets at each index the share of
    fine pixels that it was trained with; the published code cuts the chain off. A chain
    that is too short for so many steps begins earlier.

    Examples
    --------
    >>> visit_indices(6), visit_indices(3), visit_indices(1)
    ((5, 4, 3, 2, 1, 0), (5, 3, 0), (5,))
    >>> visit_indices(2, first=3), visit_indices(2, first=0)
    ((3, 0), (1, 0))
    """
    if not 1 <= steps <= N_LEVELS:
        message = f"steps is {steps}; a whole number from 1 to 6 is expected."
        raise OptionError(message)
    if steps == 1:
        return (first,)
    first = max(first, steps - 1)
    stride = first / (steps - 1)
    return tuple(math.floor(first - k * stride + 0.5) for k in range(steps))


def forward_sample(
    fine: Tensor, coarse: Tensor, index: Tensor, noise: Tensor
) -> Tensor:
    """The mask at level `index` (paper, eq. of the forward process in closed form).

    Parameters
    ----------
    fine, coarse : (N, 1, H, W) tensors
    index : (N,) int64 tensor
        Level of each sample; at 5 the result is the coarse mask.
    noise : (N, 1, H, W) float32 tensor of uniforms in [0, 1)

    Returns
    -------
    (N, 1, H, W) tensor
        The fine mask where ``noise < KEEP_FINE[index]``, else the coarse mask.
    """
    keep = torch.tensor(KEEP_FINE, dtype=torch.float32, device=noise.device)[index]
    return torch.where(noise < keep[:, None, None, None], fine, coarse)


def transition_probability(
    confidence: Tensor, keep_from: float, keep_to: float
) -> Tensor:
    """Probability c that a coarse pixel becomes fine in one reverse step.

    Bayes' rule on the forward matrices with the state x_0 replaced by the network's
    confidence p (paper, Algorithm 2): ``p (a_to - a_from) / (1 - p a_from)``.

    Parameters
    ----------
    confidence : float tensor in [0, 1]
    keep_from, keep_to : float
        Chance of a fine pixel before and after the step; ``keep_to`` is 1 at the end.
    """
    return confidence * (keep_to - keep_from) / (1.0 - confidence * keep_from)


@dataclass(frozen=True)
class Step:
    """State after one reverse step.

    Attributes
    ----------
    step : int
        Counts from 0.
    index : int
        Step index i that the network was given.
    mask_in : (N, 1, H, W) float tensor, 0 or 1
        The mask that the network was given.
    logits, probability : (N, 1, H, W) float tensors
        The network's answer and its sigmoid; at an end of kind ``mean``, the mean of
        the answers of all steps and its sigmoid.
    mask : (N, 1, H, W) float tensor, 0 or 1
        The mask after the step; ``probability >= 0.5`` at an end that draws nothing.
    fine_probability : (N, 1, H, W) float tensor in [0, 1]
        Probability f that a pixel is fine, accumulated over the steps.
    """

    step: int
    index: int
    mask_in: Tensor
    logits: Tensor
    probability: Tensor
    mask: Tensor
    fine_probability: Tensor


def reverse_steps(
    network: Network,
    image: Tensor,
    coarse: Tensor,
    *,
    indices: Sequence[int],
    noise: Noise,
    transition: Transition = "marginal",
    last: Last = "soft",
    ends_fine: bool = True,
    fine_probability: Tensor | None = None,
    pinned: Tensor | None = None,
) -> Iterator[Step]:
    """Run the reverse process and yield every step.

    Parameters
    ----------
    network : callable
        ``(x, index) -> logits``: (N, 4, H, W) and (N,) int64 to (N, 1, H, W).
    image : (N, 3, H, W) float32 tensor
        Normalised as the network expects.
    coarse : (N, 1, H, W) float32 tensor, 0 or 1
    indices : sequence of int
        Falling step indices, as from :func:`visit_indices`.
    noise : callable
        ``noise(step)`` gives the step's uniforms, (N, 1, H, W) float32 in [0, 1).
    transition : {"marginal", "absorbing"}
        ``marginal``: each state is drawn afresh from f, as in the published code.
        ``absorbing``: fine pixels stay fine and coarse ones turn with probability c, as
        the paper's Algorithm 2 is printed. Every step has the same marginals in both.
    last : {"soft", "sampled", "mean"}
        ``soft``: the last step draws nothing, its mask is ``probability >= 0.5``.
        ``mean``: the same with the mean of all steps' logits, where every step sees
        image and mask mirrored another way: their errors are less alike.
    ends_fine : bool
        Whether the last step leads to the all fine level. False cuts the chain off: the
        last step leads to the level before its own index, as the published code does.
    fine_probability : (N, 1, H, W) float32 tensor, optional
        Start of f; 0 if not given.
    pinned : (N, 1, H, W) bool tensor, optional
        Pixels that show `coarse` in the mask of every step.

    Yields
    ------
    Step
        The target of the coarse state is always `coarse`, never the mask before.
    """
    fine = torch.zeros_like(coarse) if fine_probability is None else fine_probability
    is_fine = torch.zeros_like(coarse, dtype=torch.bool)
    mask = coarse
    total = torch.zeros_like(coarse)
    for step, index in enumerate(indices):
        is_last = step == len(indices) - 1
        mask_in = mask
        batch_index = torch.full(
            (len(image),), index, dtype=torch.int64, device=image.device
        )
        axes = MIRRORINGS[step % len(MIRRORINGS)] if last == "mean" else ()
        x = torch.cat([image, mask_in], dim=1)
        logits = mirrored(network, x, batch_index, axes).float()
        if last == "mean":
            total += logits
            if is_last:
                logits = total / len(indices)
        probability = torch.sigmoid(logits)
        predicted = (logits >= 0).to(coarse.dtype)
        confidence = 2.0 * (probability - 0.5).abs()
        keep_to = _keep_after(index, None if is_last else indices[step + 1], ends_fine)
        chance = transition_probability(confidence, KEEP_FINE[index], keep_to)
        fine = fine + (1.0 - fine) * chance
        if is_last and last != "sampled":
            mask = (probability >= 0.5).to(coarse.dtype)
        else:
            uniform = noise(step)
            if transition == "marginal":
                is_fine = uniform < fine
            else:
                is_fine = is_fine | (uniform < chance)
            mask = torch.where(is_fine, predicted, coarse)
        if pinned is not None:
            mask = torch.where(pinned, coarse, mask)
        yield Step(step, index, mask_in, logits, probability, mask, fine)


def mirrored(
    network: Network, x: Tensor, index: Tensor, axes: tuple[int, ...]
) -> Tensor:
    """The network's answer to its mirrored input, mirrored back."""
    return network(x.flip(axes), index).flip(axes) if axes else network(x, index)


def _keep_after(index: int, next_index: int | None, ends_fine: bool) -> float:
    """Chance of a fine pixel at the level that a step leads to."""
    if next_index is not None:
        return KEEP_FINE[next_index]
    if ends_fine or index == 0:
        return 1.0
    return KEEP_FINE[index - 1]
