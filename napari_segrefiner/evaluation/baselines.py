"""Simple ways to refine a mask, to compare a model with: what each does, how it is set.

Every method sees what the network sees: a crop of the image and of one coarse mask, on
the network's grid (see :mod:`napari_segrefiner.evaluation.baseline_runs`).
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from skimage.morphology import disk, skeletonize
from skimage.segmentation import random_walker as skimage_random_walker
from skimage.segmentation import watershed

from napari_segrefiner.evaluation import cascade_psp
from napari_segrefiner.evaluation.cascade_psp import cascade_psp as run_cascade_psp

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]
Settings = Mapping[str, float]
Method = Callable[[Plane, Mask, Settings], Plane | None]

#: Shares of an object's size that the band around its boundary reaches, to be tuned.
BANDS = (0.05, 0.1, 0.2)
#: Least reach of the band in pixels.
LEAST_BAND = 3
#: Percentiles that a crop is stretched between, as the network's input is normalised.
STRETCH = (0.5, 99.5)
#: Capacities of the graph are whole numbers of this fraction.
CAPACITY = 1000
#: Least certainty of a hard decision.
EPSILON = 1e-3


class Band(NamedTuple):
    """Where a method may decide, (S, S) bool each."""

    fore: Mask
    back: Mask
    unknown: Mask
    reach: int


@dataclass(frozen=True)
class Baseline:
    """A method with the values that its settings may take.

    Attributes
    ----------
    name : str
    method : callable
        From image (C, S, S) in [0, 1], coarse mask (S, S) and settings to the object's
        probability (S, S) in [0, 1], or None where the method cannot be used.
    grids : tuple of mappings
        Each a full grid to tune on: setting to its values.
    default : mapping
        Settings for who has nothing to tune on.
    """

    name: str
    method: Method
    grids: tuple[Mapping[str, Sequence[float]], ...]
    default: Settings

    def candidates(self) -> list[dict[str, float]]:
        """Every combination of settings, the default first."""
        found = [
            dict(zip(grid, values, strict=True))
            for grid in self.grids
            for values in itertools.product(*grid.values())
        ]
        return sorted(found, key=lambda settings: settings != self.default)


def stretched(image: Plane) -> Plane:
    """A crop stretched to [0, 1], all channels alike."""
    low, high = np.percentile(image, STRETCH)
    if low >= high:
        return image
    wide: Plane = ((image - low) / (high - low)).clip(0, 1).astype(np.float32)
    return wide


def band_of(mask: Mask, share: float) -> Band | None:
    """The band around a mask's boundary, and what is sure on both sides of it.

    An object thinner than the band keeps its skeleton. None if one side is empty.

    Parameters
    ----------
    mask : (S, S) bool array
    share : float
        Reach of the band as a share of the square root of the mask's area.
    """
    reach = max(LEAST_BAND, round(share * math.sqrt(np.count_nonzero(mask))))
    fore = mask & (ndimage.distance_transform_edt(mask) > reach)
    back = ~mask & (ndimage.distance_transform_edt(~mask) > reach)
    if not fore.any():
        fore = skeletonize(mask)
    if not fore.any() or not back.any():
        return None
    return Band(fore, back, ~fore & ~back, reach)


def nothing(image: Plane, mask: Mask, settings: Settings) -> Plane:
    """The coarse mask itself, through the same crops and the same merge."""
    return mask.astype(np.float32)


def smooth(image: Plane, mask: Mask, settings: Settings) -> Plane:
    """Gaussian smoothing by ``sigma`` px, or opening then closing by ``radius`` px.

    The picture is not looked at.
    """
    if "sigma" in settings:
        blurred: Plane = ndimage.gaussian_filter(
            mask.astype(np.float32), settings["sigma"], mode="nearest"
        )
        return blurred
    radius = int(settings["radius"])
    wide = np.pad(mask, radius, mode="edge")
    closed = ndimage.binary_closing(
        ndimage.binary_opening(wide, disk(radius)), disk(radius)
    )
    inner: Plane = closed[radius:-radius, radius:-radius].astype(np.float32)
    return inner


def graph_cut(image: Plane, mask: Mask, settings: Settings) -> Plane | None:
    """The cheapest cut through the band: colour models against contrast.

    Costs of a pixel: minus the logarithm of its colour's share among the pixels inside
    and outside of the coarse mask (histograms of ``bins`` per channel, .5 added).
    Costs of a cut between neighbours: ``weight`` x exp(-D / (2 mean D)), D the squared
    colour difference. ``band``: see :func:`band_of`.
    """
    band = band_of(mask, settings["band"])
    if band is None:
        return None
    fore_cost, back_cost = colour_costs(image, mask, int(settings["bins"]))
    is_fore = cut(image, band, fore_cost, back_cost, settings["weight"])
    likely = 1 / (1 + np.exp((fore_cost - back_cost).clip(-30, 30)))
    return _decided(is_fore, likely, band)


def colour_costs(image: Plane, mask: Mask, bins: int) -> tuple[Plane, Plane]:
    """Costs (S, S) of each pixel's colour inside and outside of a mask."""
    places = np.minimum((image * bins).astype(np.int64), bins - 1)
    code = np.zeros(mask.shape, np.int64)
    for plane in places:
        code = code * bins + plane
    n = bins ** len(places)
    inside = np.bincount(code[mask], minlength=n) + 0.5
    outside = np.bincount(code[~mask], minlength=n) + 0.5
    costs = [-np.log(counts / counts.sum()) for counts in (inside, outside)]
    return costs[0][code].astype(np.float32), costs[1][code].astype(np.float32)


def cut(
    image: Plane, band: Band, fore_cost: Plane, back_cost: Plane, weight: float
) -> Mask:
    """The foreground of least cost, by maximal flow; only the band has nodes."""
    flat = np.arange(band.fore.size).reshape(band.fore.shape)
    squared = np.concatenate(
        [np.square(np.diff(image, axis=axis)).sum(0).ravel() for axis in (1, 2)]
    )
    first = np.concatenate([flat[:-1].ravel(), flat[:, :-1].ravel()])
    second = np.concatenate([flat[1:].ravel(), flat[:, 1:].ravel()])
    mean = float(squared.mean())
    contrast = np.exp(-squared / (2 * mean)) if mean > 0 else np.ones_like(squared)
    capacity = np.rint(weight * CAPACITY * contrast).astype(np.int32)
    n = int(np.count_nonzero(band.unknown))
    source, sink = n, n + 1
    # All that is sure is one node: the source stands for the object, the sink not.
    node = np.full(band.fore.size, sink)
    node[band.fore.ravel()] = source
    node[band.unknown.ravel()] = np.arange(n)
    rows, columns = node[first], node[second]
    differ = rows != columns
    rows, columns, capacity = rows[differ], columns[differ], capacity[differ]
    to_source = np.rint(CAPACITY * back_cost[band.unknown]).astype(np.int32)
    to_sink = np.rint(CAPACITY * fore_cost[band.unknown]).astype(np.int32)
    inner = np.arange(n)
    graph = coo_matrix(
        (
            np.concatenate([capacity, capacity, to_source, to_sink]),
            (
                np.concatenate([rows, columns, np.full(n, source), inner]),
                np.concatenate([columns, rows, inner, np.full(n, sink)]),
            ),
        ),
        (n + 2, n + 2),
        dtype=np.int32,
    ).tocsr()
    residual = graph - maximum_flow(graph, source, sink, method="dinic").flow
    residual.data[residual.data < 0] = 0
    residual.eliminate_zeros()
    reached = breadth_first_order(residual, source, return_predecessors=False)
    is_reached = np.zeros(n + 2, bool)
    is_reached[reached] = True
    found = band.fore.copy()
    found[band.unknown] = is_reached[:n]
    return found


def random_walker(image: Plane, mask: Mask, settings: Settings) -> Plane | None:
    """Whom a random walk that avoids edges meets first, with ``beta`` and ``band``."""
    band = band_of(mask, settings["band"])
    if band is None or not band.unknown.any():
        return None
    seeds = np.where(band.fore, 2, np.where(band.back, 1, 0))
    if np.ptp(image) == 0:
        return None
    with warnings.catch_warnings():
        # Its iterations may end outside of [0, 1]; that is clipped below.
        warnings.simplefilter("ignore", UserWarning)
        shares = skimage_random_walker(
            image.astype(np.float64),
            seeds,
            beta=settings["beta"],
            mode="cg_j",
            return_full_prob=True,
            channel_axis=0,
        )
    probability: Plane = np.asarray(shares[1], np.float32).clip(0, 1)
    return probability if np.isfinite(probability).all() else None


def edge_snap(image: Plane, mask: Mask, settings: Settings) -> Plane | None:
    """The boundary goes to the strongest edge in the band.

    Both sides flood the band over the gradient (of ``sigma`` px) and meet at its crest.
    """
    band = band_of(mask, settings["band"])
    if band is None:
        return None
    slopes = [
        ndimage.gaussian_gradient_magnitude(plane, settings["sigma"]) for plane in image
    ]
    markers = np.where(band.fore, 2, np.where(band.back, 1, 0))
    is_fore = watershed(np.max(slopes, axis=0), markers) == 2
    depth = ndimage.distance_transform_edt(is_fore)
    depth -= ndimage.distance_transform_edt(~is_fore)
    return _decided(is_fore, 0.5 + 0.5 * (depth / band.reach).clip(-1, 1), band)


def _decided(is_fore: Mask, likely: npt.NDArray[np.floating], band: Band) -> Plane:
    """A probability on the decided side of one half, as sure as `likely` is."""
    sided = np.where(
        is_fore, np.maximum(likely, 0.5 + EPSILON), np.minimum(likely, 0.5 - EPSILON)
    )
    sided = np.where(band.fore, 1.0, np.where(band.back, 0.0, sided))
    return sided.astype(np.float32)


#: All methods by name.
BASELINES: dict[str, Baseline] = {
    one.name: one
    for one in (
        Baseline("nothing", nothing, ({},), {}),
        Baseline(
            "smooth",
            smooth,
            ({"sigma": (1, 2, 3, 5)}, {"radius": (1, 2, 3)}),
            {"sigma": 2},
        ),
        Baseline(
            "graph_cut",
            graph_cut,
            ({"band": BANDS, "weight": (2, 5, 10, 20, 50), "bins": (8, 16)},),
            {"band": 0.1, "weight": 10, "bins": 8},
        ),
        Baseline(
            "random_walker",
            random_walker,
            ({"band": BANDS, "beta": (30, 130, 500, 2000)},),
            {"band": 0.1, "beta": 130},
        ),
        Baseline(
            "edge_snap",
            edge_snap,
            ({"band": BANDS, "sigma": (0.7, 1.0, 1.5, 2.5)},),
            {"band": 0.1, "sigma": 1.0},
        ),
        Baseline("cascade_psp", run_cascade_psp, ({},), {}),
    )
}


def available() -> tuple[str, ...]:
    """Names of the methods that this machine can run."""
    has_cascade = cascade_psp.why_absent() is None
    return tuple(n for n in BASELINES if n != "cascade_psp" or has_cascade)
