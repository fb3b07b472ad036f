"""A cheap look at how well a network refines, on the same windows every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_segrefiner.core.preprocessing import normalise
from napari_segrefiner.diffusion import Network, reverse_steps, visit_indices
from napari_segrefiner.training.events import SetScore
from napari_segrefiner.training.losses import mask_iou

if TYPE_CHECKING:
    from napari_segrefiner.training.batches import SampleSource

MEAN = "mean"


class Windows(NamedTuple):
    """Windows of one validation set.

    ``image`` (N, 3, S, S) float32, normalised; ``fine``, ``coarse``, ``noise``
    (N, 1, S, S): bool masks, and float32 uniforms in [0, 1).
    """

    name: str
    image: Tensor
    fine: Tensor
    coarse: Tensor
    noise: Tensor


def draw_windows(name: str, samples: SampleSource, n: int, seed: int) -> Windows:
    """The first `n` windows of a set, with their noise."""
    images, fines, coarses = zip(*map(samples.sample, range(n)), strict=True)
    rng = np.random.default_rng(seed)
    noise = rng.random((n, 1, *fines[0].shape), dtype=np.float32)
    return Windows(
        name=name,
        image=normalise(torch.from_numpy(np.stack(images)), "window"),
        fine=torch.from_numpy(np.stack(fines)[:, None]),
        coarse=torch.from_numpy(np.stack(coarses)[:, None]),
        noise=torch.from_numpy(noise),
    )


@torch.no_grad()
def validate(
    network: Network,
    sets: Sequence[Windows],
    *,
    device: torch.device,
    batch_size: int = 32,
) -> tuple[SetScore, ...]:
    """Mean IoU of each set before and after refinement, the mean over sets last.

    Parameters
    ----------
    network : callable
        ``(x, index) -> logits``, as in :mod:`napari_segrefiner.diffusion`.
    sets : sequence of Windows
    device : torch.device
        Of the network.
    batch_size : int
        Windows at once.

    Returns
    -------
    tuple of SetScore
        Empty if there are no sets.
    """
    if not sets:
        return ()
    scores = [_score(network, windows, device, batch_size) for windows in sets]
    scores.append(
        SetScore(
            name=MEAN,
            n_windows=sum(score.n_windows for score in scores),
            coarse=float(np.mean([score.coarse for score in scores])),
            one_step=float(np.mean([score.one_step for score in scores])),
            two_steps=float(np.mean([score.two_steps for score in scores])),
        )
    )
    return tuple(scores)


def _score(
    network: Network, windows: Windows, device: torch.device, batch_size: int
) -> SetScore:
    one_step, two_steps = [], []
    for start in range(0, len(windows.fine), batch_size):
        image, fine, coarse, noise = (
            part[start : start + batch_size].to(device) for part in windows[1:]
        )
        steps = reverse_steps(
            network,
            image,
            coarse.float(),
            indices=visit_indices(2),
            noise=lambda _, noise=noise: noise,  # type: ignore[misc]
        )
        first, second = steps
        one_step.append(mask_iou(first.logits >= 0, fine))
        two_steps.append(mask_iou(second.mask > 0, fine))
    return SetScore(
        name=windows.name,
        n_windows=len(windows.fine),
        coarse=mask_iou(windows.coarse, windows.fine).mean().item(),
        one_step=torch.cat(one_step).mean().item(),
        two_steps=torch.cat(two_steps).mean().item(),
    )
