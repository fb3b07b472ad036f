"""Coarse labels from true ones, by a generator that no model was trained with."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from napari_segrefiner.core.objects import find_objects
from napari_segrefiner.errors import OptionError
from napari_segrefiner.evaluation.defects import DEFECTS, Mask, Object, Random
from napari_segrefiner.metrics import assign, iou, overlaps
from napari_segrefiner.training.simulate_published import simulate_published

#: A defect drawn for each object.
MIXED = "mixed"
#: The defect that swallows neighbours.
MERGED = "merged"
#: As the published training makes them; no part of `mixed`: some models know them.
PUBLISHED = "published"
#: Threshold and watershed of the picture.
WATERSHED = "watershed"
#: Kinds that are made here.
KINDS = (MIXED, *DEFECTS, PUBLISHED, WATERSHED)

#: A mask with less IoU with its truth is no coarse mask of it any more.
LEAST_IOU = 0.3
#: The same for objects that a watershed happens to find.
LEAST_IOU_FOUND = 0.4
#: How often a defect is drawn anew when its mask is none.
TRIES = 5


class Coarse(NamedTuple):
    """Coarse labels with the truth of the same objects: (Y, X), equal ids."""

    truth: npt.NDArray[Any]
    labels: npt.NDArray[Any]


def perturb(
    image: npt.NDArray[Any],
    truth: npt.NDArray[Any],
    kind: str,
    *,
    ids: Iterable[int],
    seed: int = 0,
    name: str = "",
) -> Coarse:
    """Make coarse labels of some objects.

    Parameters
    ----------
    image : (Y, X) or (Y, X, C) array
        Only looked at by kind "watershed".
    truth : (Y, X) integer array
        All true objects: those not chosen are neighbours.
    kind : str
        One of KINDS.
    ids : iterable of int
        Objects to make coarse labels of.
    seed, name : int, str
        With an object's id they decide all that is random, whatever the other objects.

    Returns
    -------
    Coarse
        Labels without overlaps, all of IoU > .3 with their truth. Objects that this
        kind cannot have (no neighbour to merge with, not found by the watershed) or
        that were merged into a neighbour are missing in both arrays.

    Raises
    ------
    OptionError
        If the kind is unknown.
    """
    if kind == WATERSHED:
        return _segmented(image, truth, ids)
    if kind not in KINDS:
        msg = f"There is no kind {kind!r} of coarse masks; choose {', '.join(KINDS)}."
        raise OptionError(msg)
    drawn = [
        one
        for i, window in _windows(truth, ids)
        if (one := _draw(truth[window], i, window, kind, f"{seed}/{name}/{i}"))
    ]
    canvas = np.zeros_like(truth)
    for one in _survivors(drawn):
        here, part = canvas[one.window], truth[one.window]
        # Contested pixels stay with whom they truly belong to, else with the first.
        here[one.mask & ((here == 0) | (part == one.id))] = one.id
    return _usable(truth, canvas, LEAST_IOU)


def random_for(text: str) -> Random:
    """A generator of random numbers that `text` alone decides."""
    digest = hashlib.sha256(os.fsencode(text)).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))


@dataclass(frozen=True)
class _Drawn:
    """A coarse mask in its window, and the neighbours merged into it."""

    id: int
    window: tuple[slice, slice]
    mask: Mask
    merged: frozenset[int]


def _windows(
    truth: npt.NDArray[Any], ids: Iterable[int]
) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Every id that is there, with its box and as much again on each side."""
    boxes = {found.id: found.box for found in find_objects(truth)}
    height, width = truth.shape
    for i in ids:
        if i in boxes:
            room = max(12, *boxes[i].shape)
            yield i, boxes[i].expand(room).clip((height, width)).slices


def _draw(
    part: npt.NDArray[Any], i: int, window: tuple[slice, slice], kind: str, name: str
) -> _Drawn | None:
    """Draw a coarse mask of object `i`; None if this kind cannot be had."""
    fine = part == i
    one = Object(fine, np.where(fine, 0, part))
    rng = random_for(f"{kind}/{name}")
    for _ in range(TRIES):
        chosen = str(rng.choice(list(DEFECTS))) if kind == MIXED else kind
        if chosen == PUBLISHED:
            mask = simulate_published(rng, fine).mask
        else:
            mask = DEFECTS[chosen](one, rng)
        if iou(fine, mask) <= LEAST_IOU:
            continue
        merged = _mostly_covered(one.others, mask) if chosen == MERGED else ()
        return _Drawn(i, window, mask, frozenset(merged))
    return None


def _mostly_covered(others: npt.NDArray[Any], mask: Mask) -> Iterator[int]:
    """Ids of which `mask` covers more than half."""
    for i in np.unique(others[mask & (others != 0)]).tolist():
        own = others == i
        if 2 * np.count_nonzero(own & mask) > np.count_nonzero(own):
            yield i


def _survivors(drawn: Sequence[_Drawn]) -> list[_Drawn]:
    """Those that no other was merged with; nobody both merges and is merged."""
    gone: set[int] = set()
    mergers: set[int] = set()
    refused: set[int] = set()
    for one in drawn:
        if not one.merged or one.id in gone:
            continue
        if one.merged & (gone | mergers):
            refused.add(one.id)
            continue
        mergers.add(one.id)
        gone |= one.merged
    return [one for one in drawn if one.id not in gone | refused]


def _segmented(
    image: npt.NDArray[Any], truth: npt.NDArray[Any], ids: Iterable[int]
) -> Coarse:
    """Segment the picture with no knowledge of the truth, then match the objects.

    Whether objects are bright or dark is what a user would say: the better one counts.
    """
    wanted = sorted(ids)
    channel_axis = None
    if image.ndim == 3:
        channel_axis = -1 if image.shape[:2] == truth.shape else 0
    with np.errstate(invalid="ignore"):  # infinite in both ways in two channels
        grey = image.astype(float) if channel_axis is None else image.mean(channel_axis)
    nothing = Coarse(np.zeros_like(truth), np.zeros_like(truth))
    is_finite = np.isfinite(grey)
    if not is_finite.any():
        return nothing
    grey = np.where(is_finite, grey, grey[is_finite].min())
    smooth = ndimage.gaussian_filter(grey, 1.0)
    if np.ptp(smooth) == 0:
        return nothing
    threshold = threshold_otsu(smooth)
    bright, dark = (
        _matched(truth, _split(ndimage.binary_opening(foreground)), wanted)
        for foreground in (smooth > threshold, smooth < threshold)
    )
    n_bright, n_dark = (len(np.unique(one.truth)) for one in (bright, dark))
    return bright if n_bright >= n_dark else dark


def _split(foreground: Mask) -> npt.NDArray[np.int32]:
    """Cut a foreground at its necks."""
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(foreground), 1.0)
    # Peaks at least as far apart as bodies of middle depth are thick.
    typical = float(np.median(depth[foreground])) if foreground.any() else 0.0
    width = 2 * max(2, round(2 * typical)) + 1
    peaks = foreground & (depth == ndimage.maximum_filter(depth, width))
    seeds, _ = ndimage.label(peaks, np.ones((3, 3)))
    labels: npt.NDArray[np.int32] = watershed(-depth, seeds, mask=foreground)
    return labels


def _matched(
    truth: npt.NDArray[Any], labels: npt.NDArray[Any], wanted: Sequence[int]
) -> Coarse:
    """What fits a wanted object best, under that object's id."""
    found = overlaps(truth, labels)
    pairs = assign(found, found.iou)
    true_ids = found.truth_ids[found.rows[pairs]]
    own_ids = found.ids[found.columns[pairs]]
    is_wanted = np.isin(true_ids, wanted)
    table = np.zeros(int(labels.max(initial=0)) + 1, dtype=truth.dtype)
    table[own_ids[is_wanted]] = true_ids[is_wanted]
    return _usable(truth, table[labels], LEAST_IOU_FOUND)


def _usable(truth: npt.NDArray[Any], coarse: npt.NDArray[Any], least: float) -> Coarse:
    """The objects of `coarse` that still resemble their truth, in both arrays."""
    found = overlaps(truth, coarse)
    is_own = found.truth_ids[found.rows] == found.ids[found.columns]
    kept = found.truth_ids[found.rows[is_own & (found.iou > least)]]
    return Coarse(
        np.where(np.isin(truth, kept), truth, 0).astype(truth.dtype),
        np.where(np.isin(coarse, kept), coarse, 0).astype(truth.dtype),
    )
