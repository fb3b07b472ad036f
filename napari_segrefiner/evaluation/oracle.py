"""An upper bound: what no method could better that stays within a band."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_segrefiner.evaluation.baselines import BANDS, LEAST_BAND
from napari_segrefiner.evaluation.pairing import Pairing, Pairs, pair_objects
from napari_segrefiner.geometry import Box
from napari_segrefiner.metrics import number

#: What it is called beside baselines.
ORACLE = "oracle_band"


def oracle_layer(
    truth: npt.NDArray[Any], coarse: npt.NDArray[Any], pairing: Pairing = "auto"
) -> npt.NDArray[Any]:
    """The upper bound of every plane, see :func:`oracle_band`.

    Parameters
    ----------
    truth, coarse : (..., Y, X) integer or bool array
        Any number of leading axes; objects are paired in all planes together.
    pairing : {"auto", "id", "overlap"}

    Returns
    -------
    (..., Y, X) array
        As `coarse`, with its ids.

    Raises
    ------
    InputError
        If the ids do not fit together, see
        :func:`napari_segrefiner.evaluation.pairing.pair_objects`.
    """
    pairs = pair_objects(truth, coarse, pairing)
    layer = coarse.copy()
    for index in np.ndindex(coarse.shape[:-2]):
        layer[index] = oracle_band(truth[index], coarse[index], pairs)
    return layer


def oracle_band(
    truth: npt.NDArray[Any],
    coarse: npt.NDArray[Any],
    pairs: Pairs,
    *,
    share: float = max(BANDS),
) -> npt.NDArray[Any]:
    """Coarse labels with the truth copied near every object's boundary.

    It knows the answer, and is no method: the gap to it is what is left to gain without
    reaching further, the gap from it to 1 are errors far from the boundary.

    Parameters
    ----------
    truth, coarse : (Y, X) integer or bool array
    pairs : Pairs
        Of the two; coarse objects without a true one stay as they are.
    share : float
        Reach of the band as a share of the square root of the object's area; the widest
        that the baselines are tuned on.

    Returns
    -------
    (Y, X) array
        As `coarse`, with its ids.
    """
    canvas = np.where(np.isin(coarse, pairs.surplus), coarse, 0).astype(coarse.dtype)
    ids, positions = number(coarse)
    boxes = ndimage.find_objects(positions + 1)
    true_ids = dict(
        zip(pairs.coarse_ids.tolist(), pairs.truth_ids.tolist(), strict=True)
    )
    near: list[tuple[tuple[slice, slice], npt.NDArray[np.bool_], int]] = []
    for i, (rows, columns) in zip(ids.tolist(), boxes, strict=True):
        if i not in true_ids:
            continue
        area = int(np.count_nonzero(coarse[rows, columns] == i))
        reach = max(LEAST_BAND, round(share * math.sqrt(area)))
        box = Box(rows.start, columns.start, rows.stop, columns.stop)
        view = box.expand(reach + 1).clip((coarse.shape[0], coarse.shape[1])).slices
        mask = coarse[view] == i
        is_near = _distance(mask) <= reach
        canvas[view][mask & ~is_near] = i
        near.append((view, is_near & (truth[view] == true_ids[i]), i))
    # What is true wins over what other objects wrongly keep far from their boundary.
    for view, mask, i in near:
        canvas[view][mask] = i
    return canvas


def _distance(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """How far each pixel is from the mask's boundary; the frame is none."""
    if mask.all():
        return np.full(mask.shape, np.inf)
    inside: npt.NDArray[np.float64] = ndimage.distance_transform_edt(mask)
    outside: npt.NDArray[np.float64] = ndimage.distance_transform_edt(~mask)
    return inside + outside
