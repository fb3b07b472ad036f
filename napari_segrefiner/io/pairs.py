"""Pairs of 2-D image and labels as arrays, read and checked one by one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, UnidentifiedImageError

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.datasets import ImageSet, Item, report

_LOG = logging.getLogger(__name__)

#: Percentiles that become black and white when an image is not 8-bit.
STRETCH = (0.1, 99.9)


@dataclass(frozen=True)
class Pair:
    """A 2-D image with its labels.

    Attributes
    ----------
    stem, group : str
        As in the item; a plane of a stack adds its number to the stem.
    image : (Y, X, 3) uint8 array
    labels : (Y, X) int32 array
    coarse : tuple of (Y, X) int32 arrays
        Real coarse masks with the ids of the labels.
    """

    stem: str
    group: str
    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    coarse: tuple[npt.NDArray[np.int32], ...]


def read_sets(sets: Sequence[ImageSet]) -> list[tuple[str, list[Pair]]]:
    """Read every pair of the sets; all bad ones are reported together.

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
    if not read:
        raise InputError(f"No image with labels can be used. {report(problems)}")
    if problems:
        _LOG.warning("%s", report(problems))
    return read


def read_item(item: Item) -> list[Pair]:
    """Read an item: one pair, or for a stack one per plane that has objects.

    Raises
    ------
    InputError
        If a file cannot be read, sizes differ, or there is no object.
    """
    image, labels = _read(item.image), _read_labels(item.labels)
    if not labels.any():
        raise InputError(
            f"{item.labels} has no objects (all zero); draw some or remove the pair."
        )
    planes = _planes(image, labels, item)
    coarse = [_read_labels(path) for path in item.coarse]
    for path, mask in zip(item.coarse, coarse, strict=True):
        if mask.shape != labels.shape:
            raise InputError(
                f"{path} is {_size(mask)} but {item.labels} is {_size(labels)}; give both "
                "the same size."
            )
    pairs = []
    for index in np.ndindex(labels.shape[:-2]):
        if not labels[index].any():
            continue
        stem = "_".join([item.stem, *(str(i) for i in index)])
        plane_coarse = tuple(np.ascontiguousarray(mask[index]) for mask in coarse)
        pairs.append(
            Pair(
                stem,
                item.group or item.stem,
                np.ascontiguousarray(planes[index]),
                np.ascontiguousarray(labels[index]),
                plane_coarse,
            )
        )
    return pairs


def _read(path: Path) -> npt.NDArray[np.generic]:
    if not path.is_file():
        raise InputError(f"{path} does not exist.")
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            return np.asarray(tifffile.imread(path))
        with Image.open(path) as file:
            if file.mode == "P":
                return np.asarray(file.convert("RGB"))
            return np.asarray(file)
    except (
        OSError,
        ValueError,
        UnidentifiedImageError,
        tifffile.TiffFileError,
    ) as error:
        raise InputError(
            f"{path} cannot be read as an image ({error}); save it again as PNG or TIFF."
        ) from error


def _read_labels(path: Path) -> npt.NDArray[np.int32]:
    labels = _read(path)
    if labels.dtype == bool:
        return labels.astype(np.int32)
    if labels.dtype.kind not in "iu" or labels.ndim < 2:
        raise InputError(
            f"{path} holds {labels.dtype} values of shape {labels.shape}; labels are whole "
            "numbers, 0 for background."
        )
    if labels.ndim == 3 and labels.shape[-1] in (3, 4) and min(labels.shape[:2]) > 4:
        raise InputError(
            f"{path} is a colour picture; labels have one whole number per pixel."
        )
    return labels.astype(np.int32)


def _planes(
    image: npt.NDArray[np.generic], labels: npt.NDArray[np.int32], item: Item
) -> npt.NDArray[np.uint8]:
    """The image as (..., Y, X, 3) uint8, its leading axes those of the labels."""
    shape, n_labels = image.shape, labels.ndim
    if shape == labels.shape:
        stacked = _to_uint8(image, jointly=True)[..., None]
    elif shape[:n_labels] == labels.shape and image.ndim == n_labels + 1:
        stacked = _to_uint8(image, jointly=shape[-1] in (3, 4))
    elif image.ndim == n_labels + 1 and shape[1:] == labels.shape:
        moved = np.moveaxis(image, 0, -1)
        stacked = _to_uint8(moved, jointly=False)
    else:
        raise InputError(
            f"{item.labels} is {_size(labels)} but {item.image} is {_size(image)}; choose "
            "the image that the labels were drawn on."
        )
    return _three_channels(stacked)


def _three_channels(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    n_channels = image.shape[-1]
    if n_channels == 1:
        return np.repeat(image, 3, axis=-1)
    if n_channels == 2:  # the third is the mean, so that neither channel counts twice
        mean = image.mean(axis=-1, keepdims=True).astype(np.uint8)
        return np.concatenate([image, mean], axis=-1)
    return image[..., :3]


def _to_uint8(image: npt.NDArray[np.generic], jointly: bool) -> npt.NDArray[np.uint8]:
    """8-bit values; other types are stretched, all channels together or each alone."""
    if image.dtype == np.uint8:
        return image.view(np.uint8)
    values = np.nan_to_num(image.astype(np.float32))
    axis = None if jointly else tuple(range(values.ndim - 1))
    low, high = np.percentile(values, STRETCH, axis=axis)
    spread = np.maximum(high - low, 1e-12)
    return (np.clip((values - low) / spread, 0, 1) * 255 + 0.5).astype(np.uint8)


def _size(array: npt.NDArray[np.generic]) -> str:
    return " x ".join(str(n) for n in array.shape)


def iterate(read: Sequence[tuple[str, list[Pair]]]) -> Iterator[Pair]:
    """All pairs of all sets, in order."""
    for _, pairs in read:
        yield from pairs
