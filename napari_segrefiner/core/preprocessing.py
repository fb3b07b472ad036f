"""Pictures as the network expects them: centred, and in units of their deviation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from napari_segrefiner.models.card import Normalisation

#: Of red, green, blue on 0..255 (published configuration).
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

#: Added to a window's standard deviation, so that noise in flat ones stays small.
WINDOW_SOFTENING = 0.02
WINDOW_LIMIT = 4.0


def normalise(images: Tensor, kind: Normalisation) -> Tensor:
    """Pictures as the network expects them.

    Parameters
    ----------
    images : (N, 3, H, W) float32 tensor in [0, 1]
    kind : {"window", "imagenet"}
        ``window``: each picture by its own mean and deviation, over all channels
        together, in [-4, 4]. ``imagenet``: by the published constants on 0..255.

    Returns
    -------
    (N, 3, H, W) float32 tensor
    """
    if kind == "imagenet":
        mean = images.new_tensor(IMAGENET_MEAN)[:, None, None]
        scale = 1.0 / images.new_tensor(IMAGENET_STD)[:, None, None]
        return (images * 255.0 - mean) * scale
    centred = images - images.mean(dim=(1, 2, 3), keepdim=True)
    # torch.std takes six times as long
    deviation = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return (centred / (deviation + WINDOW_SOFTENING)).clamp(-WINDOW_LIMIT, WINDOW_LIMIT)
