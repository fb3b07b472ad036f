"""What the picture says of the mask it was given: maps that the network sees beside it.

Computed anew at every step from the mask of that step, without learning and without
gradient: so the network adapts at run time to kinds of pictures it was not trained on.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_LOG_RATIO = 3.0
MIN_VARIANCE_SHARE = 0.01  # of the colours; a component with less says nothing

BINS = 24  # of each colour histogram, over +-SPAN standard deviations
SPAN = 3.0
PRIOR = 2.0  # pixels added to each bin, so that rare colours say little

CELL = (
    4  # px; local statistics are gathered on squares of this side and their neighbours
)
LOCAL_PRIOR = 0.4  # weight of the whole window beside a place that is all in the region
MIN_VARIANCE = 0.1  # of a standardised component; even places differ by this much


@torch.no_grad()
def likelihood_maps(image: Tensor, mask: Tensor, *, is_local: bool) -> Tensor:
    """How likely each pixel's colour is inside the mask, against outside of it.

    Parameters
    ----------
    image : (N, 3, H, W) float tensor
        In any normalisation: gain and offset of the colours do not matter.
    mask : (N, 1, H, W) float tensor in [0, 1]
    is_local : bool
        Add the map of local statistics.

    Returns
    -------
    (N, 1 or 2, H, W) float32 tensor in [-3, 3]
        :func:`window_likelihood`, then :func:`local_likelihood`; positive where the
        colour speaks for the inside.
    """
    with torch.autocast(image.device.type, enabled=False):
        components, is_used = _principal_components(image.float())
        maps = [window_likelihood(components, is_used, mask.float())]
        if is_local:
            maps.append(local_likelihood(components, is_used, mask.float()))
        return torch.cat(maps, dim=1)


def window_likelihood(components: Tensor, is_used: Tensor, mask: Tensor) -> Tensor:
    """Log ratio of colour histograms inside and outside, of the whole window.

    Parameters
    ----------
    components : (N, 3, H, W) float32 tensor
        Standardised principal components of the colours.
    is_used : (N, 3) float32 tensor
        1 for each component that counts.
    mask : (N, 1, H, W) float32 tensor in [0, 1]

    Returns
    -------
    (N, 1, H, W) float32 tensor in [-3, 3]
        Sum over the components, as if they were independent (naive Bayes).
    """
    n, _, height, width = components.shape
    values = components.flatten(2)
    position = ((values + SPAN) * (BINS / (2 * SPAN)) - 0.5).clamp_(0, BINS - 1)
    low = position.floor().clamp_(max=BINS - 2)
    share = position - low  # of the upper of the two nearest bins
    row = torch.arange(3 * n, device=values.device).reshape(n, 3, 1) * BINS
    low_bin = (low.long() + row).flatten()
    inside = mask.flatten(2).expand_as(share)
    counts = torch.stack(
        [
            _histogram(low_bin, share, inside, 3 * n),
            _histogram(low_bin, share, 1 - inside, 3 * n),
        ]
    )
    smooth = F.conv1d(
        F.pad(counts, (1, 1), mode="replicate").reshape(-1, 1, BINS + 2),
        counts.new_tensor([[[0.25, 0.5, 0.25]]]),
    ).reshape(counts.shape)
    density = smooth + PRIOR
    density = density / density.sum(dim=2, keepdim=True)
    log_ratio = (density[0].log() - density[1].log()) * is_used.reshape(-1, 1)
    table = log_ratio.flatten()
    lower, upper = table[low_bin], table[low_bin + 1]
    per_component = lower.lerp(upper, share.flatten()).reshape(n, 3, -1)
    total = per_component.sum(dim=1).clamp_(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    return total.reshape(n, 1, height, width)


def local_likelihood(components: Tensor, is_used: Tensor, mask: Tensor) -> Tensor:
    """Log ratio of Gaussians fitted to the colours inside and outside nearby.

    Objects and backgrounds of several colours are told apart where the whole window's
    histograms overlap; far from a region its statistics fade into the window's.
    Parameters and result as in :func:`window_likelihood`.
    """
    inside = _mismatch(components, is_used, mask)
    outside = _mismatch(components, is_used, 1 - mask)
    return (0.5 * (outside - inside)).clamp_(-MAX_LOG_RATIO, MAX_LOG_RATIO)


def _mismatch(components: Tensor, is_used: Tensor, region: Tensor) -> Tensor:
    """-2 log density of each pixel's colour in the region near it, up to a constant.

    Shapes as in :func:`window_likelihood`; (N, 1, H, W) out.
    """
    weighted = region * components
    moments = torch.cat([region, weighted, weighted * components], dim=1)
    # An empty region has the statistics of all pixels: mean 0, variance 1.
    unknown = components.new_tensor([1.0, 0, 0, 0, 1, 1, 1]).reshape(1, -1, 1, 1) * 1e-4
    whole = moments.mean(dim=(2, 3), keepdim=True) + unknown
    near = F.avg_pool2d(moments, CELL)
    near = F.avg_pool2d(near, 3, stride=1, padding=1, count_include_pad=False)
    near = near + LOCAL_PRIOR * whole / whole[:, :1]
    near = F.interpolate(near / near[:, :1], size=components.shape[2:], mode="bilinear")
    mean = near[:, 1:4]
    variance = (near[:, 4:] - mean**2).clamp_min(MIN_VARIANCE)
    score = (components - mean) ** 2 / variance + variance.log()
    return (score * is_used[:, :, None, None]).sum(dim=1, keepdim=True)


def _principal_components(image: Tensor) -> tuple[Tensor, Tensor]:
    """Standardised principal components of colours, both (N, 3, H, W), and which count.

    The second value, (N, 3), is 1 for a component with at least 1 % of the variance, so
    that the noise between the equal channels of a grey picture says nothing.
    """
    colours = image.flatten(2)
    centred = colours - colours.mean(dim=2, keepdim=True)
    covariance = centred @ centred.transpose(1, 2) / colours.shape[2]
    # 3 x 3 matrices: on the CPU, since not every device can decompose them
    variance, axes = torch.linalg.eigh(covariance.cpu())
    variance, axes = variance.to(colours.device), axes.to(colours.device)
    is_used = variance > MIN_VARIANCE_SHARE * variance.sum(dim=1, keepdim=True)
    scale = torch.where(is_used, variance.clamp_min(1e-12).rsqrt(), 0.0)
    components = (axes * scale[:, None, :]).transpose(1, 2) @ centred
    return components.reshape(image.shape), is_used.float()


def _histogram(low_bin: Tensor, share: Tensor, weight: Tensor, rows: int) -> Tensor:
    """Soft histograms (rows, BINS): a value is split between its two nearest bins."""
    counts = torch.zeros(rows * BINS, dtype=share.dtype, device=share.device)
    upper = (share * weight).flatten()
    counts.scatter_add_(0, low_bin, weight.flatten() - upper)
    counts.scatter_add_(0, low_bin + 1, upper)
    return counts.reshape(rows, BINS)
