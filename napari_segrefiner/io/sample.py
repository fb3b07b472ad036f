"""The sample: photographed coins, a truth to measure against, and coarse masks.

The photograph comes with scikit-image (Brooklyn Museum, no known copyright
restrictions). The truth is a classical segmentation, good to about a pixel and not
drawn by hand: a watershed of the Sobel gradient, grown from what is surely background
or surely coin. The coarse masks are what somebody in a hurry draws: seven clicks around
each coin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

#: Grey values below are surely background, above surely coin; between, edges decide.
SURE_BACKGROUND, SURE_COIN = 30, 150
#: Radius in pixels of the opening that removes specks and spikes of the watershed.
OPENING = 3
#: Clicks around a coin, and how far each may miss the edge, as a share of the radius.
CLICKS, MISS = 7, 0.16
#: How far in pixels a whole outline is off, along each axis.
SHIFT = 2.5


@dataclass(frozen=True)
class Sample:
    """An image with coarse labels and the truth.

    Attributes
    ----------
    image : (Y, X) uint8 array
        Grey values.
    coarse, truth : (Y, X) uint16 array
        Labels with the same ids; 0 is background.
    """

    image: npt.NDArray[np.uint8]
    coarse: npt.NDArray[np.uint16]
    truth: npt.NDArray[np.uint16]


def coins(seed: int = 0) -> Sample:
    """Make the sample; the same seed makes the same coarse masks.

    Parameters
    ----------
    seed : int
        Of the clicks.

    Examples
    --------
    >>> sample = coins()
    >>> sample.image.shape, int(sample.truth.max())
    ((303, 384), 24)
    """
    from skimage import data

    image = data.coins()
    truth = outline_coins(image)
    return Sample(image, draw_in_a_hurry(truth, seed), truth)


def outline_coins(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Label the coins of a photograph by a watershed of its gradient.

    Parameters
    ----------
    image : (Y, X) uint8 array
        Bright coins on a dark ground that is lit unevenly.

    Returns
    -------
    (Y, X) uint16 array
        Labels 1..n in reading order of their first pixels.
    """
    from scipy import ndimage
    from skimage import filters, measure, segmentation
    from skimage.morphology import disk

    markers = np.zeros(image.shape, np.int32)
    markers[image < SURE_BACKGROUND] = 1
    markers[image > SURE_COIN] = 2
    coin = segmentation.watershed(filters.sobel(image), markers) == 2
    coin = ndimage.binary_fill_holes(coin)
    coin = ndimage.binary_opening(coin, disk(OPENING))
    labels: npt.NDArray[Any] = measure.label(coin, connectivity=1)
    return labels.astype(np.uint16)


def draw_in_a_hurry(truth: npt.NDArray[np.uint16], seed: int) -> npt.NDArray[np.uint16]:
    """Draw every object again as a polygon of few, badly placed clicks.

    Parameters
    ----------
    truth : (Y, X) uint16 array
        Labels of round objects.
    seed : int
        An object's polygon depends on the seed and its label alone.

    Returns
    -------
    (Y, X) uint16 array
        The same labels; where polygons meet, the lower label stays.
    """
    from skimage import draw, measure

    coarse = np.zeros_like(truth)
    for region in measure.regionprops(truth):
        random = np.random.Generator(np.random.Philox(key=[seed, region.label]))
        radius = region.equivalent_diameter_area / 2
        # Clicks are spread around the coin, each anywhere within its own sector.
        turns = (np.arange(CLICKS) + random.uniform(0.15, 0.85, CLICKS)) / CLICKS
        angles = 2 * np.pi * turns
        reach = radius * (1 + random.uniform(-MISS, MISS, CLICKS))
        centre = np.array(region.centroid) + random.uniform(-SHIFT, SHIFT, 2)
        rows, columns = draw.polygon(
            centre[0] + reach * np.sin(angles),
            centre[1] + reach * np.cos(angles),
            truth.shape,
        )
        free = coarse[rows, columns] == 0
        coarse[rows[free], columns[free]] = region.label
    return coarse
