"""A cheap look at how well a network refines, on the same windows every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_segrefiner.core.preprocessing import normalise
from napari_segrefiner.diffusion import Network, reverse_steps, visit_indices
from napari_segrefiner.metrics import BETTER, WORSE
from napari_segrefiner.training.events import MEAN, SetScore
from napari_segrefiner.training.examples import Example
from napari_segrefiner.training.losses import mask_iou

if TYPE_CHECKING:
    from napari_segrefiner.models.card import Normalisation
    from napari_segrefiner.options import Last
    from napari_segrefiner.training.batches import SampleSource

#: Windows of each set that are shown in pictures.
SHOWN = 4
#: Coarse masks above this IoU are no good examples: there is nothing to refine.
NEARLY_RIGHT = 0.92


class Windows(NamedTuple):
    """Windows of one validation set.

    ``image`` (N, 3, S, S) float32, normalised; ``fine``, ``coarse``, ``noise``
    (N, 1, S, S): bool masks, and float32 uniforms in [0, 1). ``pictures``: (n, S, S, 3)
    uint8, of the windows with the numbers ``examples``.
    """

    name: str
    image: Tensor
    fine: Tensor
    coarse: Tensor
    noise: Tensor
    pictures: npt.NDArray[np.uint8]
    examples: tuple[int, ...]

    def part(self, start: int, stop: int) -> Windows:
        """Some of the windows, without examples."""
        return self._replace(
            image=self.image[start:stop],
            fine=self.fine[start:stop],
            coarse=self.coarse[start:stop],
            noise=self.noise[start:stop],
            pictures=self.pictures[:0],
            examples=(),
        )


class _Way(NamedTuple):
    """How windows are refined: which indices, the end, and where it is cut."""

    indices: tuple[int, ...]
    last: Last
    threshold: float


class Validation(NamedTuple):
    """Scores of each set, the mean over sets last, and examples by set."""

    scores: tuple[SetScore, ...]
    examples: dict[str, list[Example]]


def draw_windows(
    name: str,
    samples: SampleSource,
    n: int,
    seed: int,
    normalisation: Normalisation = "window",
    shown: int = SHOWN,
) -> Windows:
    """The first `n` windows of a set, with their noise; `shown` of them as pictures."""
    images, fines, coarses = zip(*map(samples.sample, range(n)), strict=True)
    rng = np.random.default_rng(seed)
    noise = rng.random((n, 1, *fines[0].shape), dtype=np.float32)
    image = torch.from_numpy(np.stack(images))
    fine = torch.from_numpy(np.stack(fines)[:, None])
    coarse = torch.from_numpy(np.stack(coarses)[:, None])
    overlap = mask_iou(coarse, fine)
    order = sorted(range(n), key=lambda i: (bool(overlap[i] > NEARLY_RIGHT), i))
    examples = tuple(order[:shown])
    pictures = (image[list(examples)] * 255).round().to(torch.uint8)
    return Windows(
        name=name,
        image=normalise(image, normalisation),
        fine=fine,
        coarse=coarse,
        noise=torch.from_numpy(noise),
        pictures=pictures.permute(0, 2, 3, 1).numpy(),
        examples=examples,
    )


@torch.no_grad()
def validate(
    network: Network,
    sets: Sequence[Windows],
    *,
    device: torch.device,
    steps: int = 2,
    last: Last = "soft",
    threshold: float = 0.5,
    batch_size: int = 32,
) -> Validation:
    """Mean IoU of each set before and after refinement, and what it looks like.

    What the network says is what is scored: no guard holds anything back.

    Parameters
    ----------
    network : callable
        ``(x, index) -> logits``, as in :mod:`napari_segrefiner.diffusion`.
    sets : sequence of Windows
    device : torch.device
        Of the network.
    steps : int
        Of the refinement, beside that of one step.
    last : {"soft", "sampled", "mean"}
        Its end, as for :func:`napari_segrefiner.diffusion.reverse_steps`.
    threshold : float
        Probability from which a pixel belongs to its object, in (0, 1).
    batch_size : int
        Windows at once.

    Returns
    -------
    Validation
        Without scores if there are no sets.
    """
    scores, examples = [], {}
    for windows in sets:
        way = _Way(visit_indices(steps), last, threshold)
        one_step, refined = _refine(network, windows, device, way, batch_size)
        scores.append(_score(windows, one_step, refined))
        examples[windows.name] = _examples(windows, refined)
    return Validation((*scores, _mean(scores)) if scores else (), examples)


def _refine(
    network: Network,
    windows: Windows,
    device: torch.device,
    way: _Way,
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    """Masks (N, 1, S, S) bool after one step alone, and after all indices of `way`."""
    one_step, refined = [], []
    for start in range(0, len(windows.fine), batch_size):
        image, coarse, noise = (
            part[start : start + batch_size].to(device)
            for part in (windows.image, windows.coarse, windows.noise)
        )
        steps = list(
            reverse_steps(
                network,
                image,
                coarse.float(),
                indices=way.indices,
                noise=lambda _, noise=noise: noise,  # type: ignore[misc]
                last=way.last,
            )
        )
        first, end = steps[0].probability, steps[-1]
        one_step.append((first >= way.threshold).cpu())
        # As drafts are cut (core/draft.py): what was drawn against P stays as it is.
        mask = end.mask > 0
        follows = mask == (end.probability >= 0.5)
        mask = torch.where(follows, end.probability >= way.threshold, mask)
        refined.append(mask.cpu())
    return torch.cat(one_step), torch.cat(refined)


def _score(windows: Windows, one_step: Tensor, refined: Tensor) -> SetScore:
    before = mask_iou(windows.coarse, windows.fine)
    after = mask_iou(refined, windows.fine)
    return SetScore(
        name=windows.name,
        n_windows=len(windows.fine),
        coarse=before.mean().item(),
        one_step=mask_iou(one_step, windows.fine).mean().item(),
        refined=after.mean().item(),
        worse=(after < before - WORSE).float().mean().item(),
        better=(after > before + BETTER).float().mean().item(),
    )


def _mean(scores: Sequence[SetScore]) -> SetScore:
    def mean(name: str) -> float:
        return float(np.mean([getattr(score, name) for score in scores]))

    return SetScore(
        name=MEAN,
        n_windows=sum(score.n_windows for score in scores),
        coarse=mean("coarse"),
        one_step=mean("one_step"),
        refined=mean("refined"),
        worse=mean("worse"),
        better=mean("better"),
    )


def _examples(windows: Windows, refined: Tensor) -> list[Example]:
    return [
        Example(
            picture=picture,
            coarse=windows.coarse[i, 0].numpy(),
            refined=refined[i, 0].numpy(),
            fine=windows.fine[i, 0].numpy(),
        )
        for picture, i in zip(windows.pictures, windows.examples, strict=True)
    ]
