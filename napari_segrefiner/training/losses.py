"""The training loss: binary cross-entropy plus five times the texture difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

#: Weight of the texture difference beside the cross-entropy (method 9).
TEXTURE_WEIGHT = 5.0
#: Under the root, so that flat areas have a gradient (method 9).
TEXTURE_FLOOR = 1e-4
#: In the denominator of the logged IoU (method 9).
IOU_FLOOR = 1e-3


class Losses(NamedTuple):
    """Scalar tensors: both parts (texture with its weight) and their sum."""

    bce: Tensor
    texture: Tensor
    total: Tensor


def texture(mask: Tensor) -> Tensor:
    """Edge strength of a soft mask: Sobel gradient of its 3x3 mean.

    Zeros surround the mask, so one that is cut by the border has an edge there.

    Parameters
    ----------
    mask : (N, 1, H, W) float32 tensor in [0, 1]

    Returns
    -------
    (N, 1, H, W) float32 tensor
        At least .01, the value of flat areas.

    Notes
    -----
    Method 9. Both Sobel filters are separable; sums of shifted slices are faster than
    convolutions of a single channel, forwards and backwards.

    Examples
    --------
    >>> import torch
    >>> round(texture(torch.zeros(1, 1, 4, 4)).max().item(), 6)
    0.01
    """
    smooth = functional.avg_pool2d(mask, 3, stride=1, padding=1)
    padded = functional.pad(smooth, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    columns = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    gradient_x = (rows[..., :-2] - rows[..., 2:]) / 4
    gradient_y = (columns[..., :-2, :] - columns[..., 2:, :]) / 4
    return (gradient_x.square() + gradient_y.square() + TEXTURE_FLOOR).sqrt()


def losses(logits: Tensor, fine: Tensor) -> Losses:
    """Loss of predicted logits against the fine mask (method 9).

    Parameters
    ----------
    logits : (N, 1, H, W) float32 tensor
    fine : (N, 1, H, W) float32 tensor
        The truth, 0 or 1.

    Returns
    -------
    Losses
    """
    bce = functional.binary_cross_entropy_with_logits(logits, fine)
    difference = (texture(logits.sigmoid()) - texture(fine)).abs()
    weighted = TEXTURE_WEIGHT * difference.mean()
    return Losses(bce, weighted, bce + weighted)


def mask_iou(predicted: Tensor, fine: Tensor) -> Tensor:
    """IoU of each mask of a batch, as logged in training.

    Parameters
    ----------
    predicted, fine : (N, 1, H, W) bool tensors

    Returns
    -------
    (N,) float32 tensor
        In [0, 1); two empty masks give 0.
    """
    common = (predicted & fine).sum(dim=(1, 2, 3))
    either = (predicted | fine).sum(dim=(1, 2, 3))
    return common / (either + IOU_FLOOR)
