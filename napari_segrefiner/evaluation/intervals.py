"""How sure totals are: confidence intervals by drawing images anew (bootstrap)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from napari_segrefiner.evaluation.scores import COARSE, ImageScores, image_sums

#: Draws, the share of them that an interval holds, and the seed.
DRAWS, LEVEL, SEED = 1000, 0.95, 0
#: Metrics whose gain over the coarse labels gets an interval of its own, as
#: ``gain_iou``: both sides change together, so that it is much narrower.
GAINS = ("iou", "boundary_iou", "boundary_iou_r02", "iou_agg", "mba")

Draws = dict[str, dict[str, npt.NDArray[np.float64]]]
Intervals = dict[str, dict[str, tuple[float, float]]]


def intervals(groups: Mapping[str, Sequence[ImageScores]]) -> Intervals:
    """Intervals of the totals over all images of all sets pooled.

    Images are drawn, not objects: those of one image are alike. Fewer than two images
    have no interval.

    Returns
    -------
    dict of layer to dict of metric to (low, high)
        The metrics of :func:`napari_segrefiner.evaluation.scores.totals`, and
        ``gain_<metric>`` of refined layers.
    """
    pooled = [image for images in groups.values() for image in images]
    return _limits(draw_totals(pooled))


def intervals_of_mean(groups: Mapping[str, Sequence[ImageScores]]) -> Intervals:
    """Intervals of the mean over sets; images are drawn within their sets."""
    drawn = [
        draw_totals(images, seed=SEED + k) for k, images in enumerate(groups.values())
    ]
    if not drawn or not all(drawn):
        return {}
    mean: Draws = {
        layer: {
            metric: np.nanmean([one[layer][metric] for one in drawn], axis=0)
            for metric, values in metrics.items()
            if all(np.isfinite(one[layer][metric]).any() for one in drawn)
        }
        for layer, metrics in drawn[0].items()
    }
    return _limits(mean)


def draw_totals(
    images: Sequence[ImageScores], *, n_draws: int = DRAWS, seed: int = SEED
) -> Draws:
    """Totals of images drawn with replacement: layer, metric, (n_draws,) values."""
    if len(images) < 2:
        return {}
    rng = np.random.default_rng(seed)
    n = len(images)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=n_draws).astype(float)
    sums = [image_sums(image) for image in images]
    drawn: Draws = {}
    for layer, metrics in sums[0].items():
        drawn[layer] = {}
        for metric in metrics:
            parts = np.array([one[layer][metric][:2] for one in sums], float)
            totals, counts = (weights @ parts).T
            drawn[layer][metric] = np.divide(
                totals, counts, out=np.full(n_draws, np.nan), where=counts > 0
            )
    for layer in drawn.keys() - {COARSE}:
        for metric in GAINS:
            gain = drawn[layer][metric] - drawn[COARSE][metric]
            drawn[layer][f"gain_{metric}"] = gain
    return drawn


def _limits(drawn: Draws) -> Intervals:
    tail = 100 * (1 - LEVEL) / 2
    found: Intervals = {}
    for layer, metrics in drawn.items():
        found[layer] = {}
        for metric, values in metrics.items():
            valid = values[np.isfinite(values)]
            if len(valid):
                low, high = np.percentile(valid, (tail, 100 - tail))
                found[layer][metric] = (float(low), float(high))
    return found
