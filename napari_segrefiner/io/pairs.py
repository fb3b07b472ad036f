"""Pairs of 2-D image and labels as arrays, read and checked one by one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.datasets import ImageSet, Item, report
from napari_segrefiner.io.images import read_image
from napari_segrefiner.io.labels import read_labels
from napari_segrefiner.io.picture import open_picture
from napari_segrefiner.io.stacks import planes
from napari_segrefiner.wording import size_text

#: Labels above are renumbered: tables by label would not fit in memory.
MAX_LABEL = 65535
#: (..., Y, X), 0 for background.
Labels = npt.NDArray[np.unsignedinteger[Any]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """A 2-D image with its labels.

    Attributes
    ----------
    stem, group : str
        As in the item; a plane of a stack adds its number to the stem.
    image : (Y, X, 3) uint8 array
    labels : (Y, X) unsigned integer array
        Of the smallest type that holds the labels: all pairs stay in memory.
    coarse : tuple of (Y, X) unsigned integer arrays
        Real coarse masks with the ids of the labels.
    ids : tuple of int
        Labels that are true; the others are neighbours alone. None given: all.
    """

    stem: str
    group: str
    image: npt.NDArray[np.uint8]
    labels: Labels
    coarse: tuple[Labels, ...] = ()
    ids: tuple[int, ...] = ()


def read_sets(
    sets: Sequence[ImageSet], told: set[str] | None = None
) -> list[tuple[str, list[Pair]]]:
    """Read every pair of the sets; all bad ones are reported together.

    Parameters
    ----------
    sets : sequence of ImageSet
    told : set of str, optional
        Problems that were reported before, which are not again; new ones are added.

    Returns
    -------
    list of (set name, pairs)
        Sets without one usable pair are left out.

    Raises
    ------
    InputError
        If nothing at all can be used; the message lists the reasons. If only some
        pairs are bad, the list is logged as one warning.
    """
    problems = [text for one in sets for text in one.problems]
    read = []
    for one in sets:
        pairs: list[Pair] = []
        for item in one.items:
            try:
                pairs.extend(read_item(item))
            except InputError as error:
                problems.append(str(error))
        if pairs:
            read.append((one.name, pairs))
    new = [text for text in problems if told is None or text not in told]
    if told is not None:
        told.update(new)
    if not read:
        msg = f"No image with labels can be used. {report(new) if new else ''}"
        raise InputError(msg.strip())
    if new:
        logger.warning("%s", report(new))
    return read


def read_item(item: Item) -> list[Pair]:
    """Read an item: one pair, or for a stack one per plane that has objects.

    Raises
    ------
    InputError
        If a file cannot be read, sizes differ, or there is no object.
    """
    image = read_image(item.image)
    labels = read_truth(item, image.shape)
    if not labels.any():
        what = item.annotations or item.labels
        msg = f"{what} has no objects (all zero); draw some or remove the pair."
        raise InputError(msg)
    shown = _show(image, labels, item)
    coarse = [
        read_mask(path) if item.is_mask else read_labels(path, labels.shape)
        for path in item.coarse
    ]
    for path, mask in zip(item.coarse, coarse, strict=True):
        if mask.shape != labels.shape:
            msg = (
                f"{path} is {size_text(mask.shape)} but {item.labels} is "
                f"{size_text(labels.shape)}; give both the same size."
            )
            raise InputError(msg)
    labels, *coarse = _compact([labels, *coarse])
    return [
        Pair(
            "_".join([item.stem, *map(str, index)]),
            item.group or item.stem,
            np.ascontiguousarray(shown[index]),
            np.ascontiguousarray(labels[index]),
            tuple(np.ascontiguousarray(mask[index]) for mask in coarse),
        )
        for index in np.ndindex(labels.shape[:-2])
        if labels[index].any()
    ]


def read_truth(item: Item, like: tuple[int, ...] | None = None) -> npt.NDArray[Any]:
    """The true labels of an item, (..., Y, X) integers or bool.

    Parameters
    ----------
    item : Item
    like : tuple of int, optional
        Shape of its image, as for :func:`.labels.read_labels`.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    if item.annotations is not None:
        return item.annotations.labels()
    return read_mask(item.labels) if item.is_mask else read_labels(item.labels, like)


def read_mask(path: Path) -> npt.NDArray[np.uint8]:
    """A picture of one mask as labels, 1 for the object.

    Of two values, 0 and another one, the other is the object. Of more the object is
    where there is at least half of white, see :func:`white_of`.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    values = read_image(path)
    if values.ndim == 3 and values.shape[-1] in (2, 3, 4):
        values = values[..., 0]
    highest = values.max(initial=0)
    is_object: npt.NDArray[np.bool_] = values != 0
    if not np.all((values == 0) | (values == highest)):
        is_object = values.astype(np.float32) / white_of(values) >= 0.5
    return is_object.astype(np.uint8)


def white_of(values: npt.NDArray[Any]) -> int:
    """White in a picture, the first of these that no value exceeds.

    1, 255 and the highest value of the type; of floats and bool always 1.
    """
    if values.dtype.kind not in "iu":
        return 1
    limit = int(np.iinfo(values.dtype).max)
    highest = values.max(initial=0)
    return next(white for white in (1, min(255, limit), limit) if highest <= white)


def to_rgb(image: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """An image as 8-bit colours, each plane as a refinement shows it to the network.

    Parameters
    ----------
    image : array of any real dtype
        With the axes of `labels`, and perhaps one of channels: last, in front of the
        rows, or first.
    labels : (..., Y, X) integer or bool array

    Returns
    -------
    (..., Y, X, 3) uint8 array

    Raises
    ------
    InputError
        If the shapes do not fit; the message names the shapes alone.
    """
    shown = np.empty((*labels.shape, 3), np.uint8)
    for plane in planes(image, labels):
        height, width = plane.labels.shape
        picture = open_picture(
            plane.image, (height, width), channel_axis=plane.channel_axis
        )
        values = picture.read(Box(0, 0, height, width))
        shown[plane.index] = np.moveaxis(np.rint(values * 255), 0, -1)
    return shown


def _compact(masks: list[npt.NDArray[Any]]) -> list[Labels]:
    """Labels in the smallest type; very large ones are renumbered as in the first."""
    if int(masks[0].max()) > MAX_LABEL:
        ids = np.unique(masks[0])
        ids = ids[ids > 0]
        masks = [_renumbered(mask, ids) for mask in masks]
    return [mask.astype(np.min_scalar_type(int(mask.max()))) for mask in masks]


def _renumbered(mask: npt.NDArray[Any], ids: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The position of each label in the sorted `ids`, from 1; 0 for those not in it."""
    places = np.minimum(np.searchsorted(ids, mask), len(ids) - 1)
    return np.where(ids[places] == mask, places + 1, 0)


def _show(
    image: npt.NDArray[Any], labels: npt.NDArray[Any], item: Item
) -> npt.NDArray[np.uint8]:
    """The image as (..., Y, X, 3), its leading axes those of the labels."""
    try:
        return to_rgb(image, labels)
    except InputError as error:
        msg = (
            f"{item.labels} is {size_text(labels.shape)} but {item.image} is "
            f"{size_text(image.shape)}; choose the image that the labels were drawn on."
        )
        raise InputError(msg) from error
