"""Layers as training data: an image with its true labels, written into files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError, SegRefinerError
from napari_segrefiner.io.atomic import write_whole
from napari_segrefiner.io.labels import write_labels
from napari_segrefiner.plugin.images import ImageReader, image_reader
from napari_segrefiner.plugin.layers import as_now
from napari_segrefiner.plugin.planes import array_shape
from napari_segrefiner.wording import size_text

if TYPE_CHECKING:
    from napari.layers import Image, Labels

#: Folder of a run with the data that came from layers; also the name of the set.
LAYERS = "layers"


@dataclass(frozen=True)
class LayerPair:
    """Arrays of an image layer and its labels; safe in a worker, it knows no layer.

    Attributes
    ----------
    name : str
        Of the image layer.
    image : ImageReader
        With the channels to learn from.
    labels : array
        The true masks.
    labels_name : str
        Of their layer.
    coarse : array, optional
        Masks of the same shape and ids that are to be refined; without them coarse
        ones are made up.
    """

    name: str
    image: ImageReader
    labels: Any
    labels_name: str
    coarse: Any

    def replaces(self, other: LayerPair) -> bool:
        """Whether it is the same image with the same layer of labels, perhaps anew."""
        return (
            self.image.array is other.image.array
            and self.image.channel == other.image.channel
            and self.labels_name == other.labels_name
        )


def pair_of(
    image: Image | None,
    labels: Labels | None,
    coarse: Labels | None,
    channel: int | None,
) -> LayerPair:
    """The arrays of layers, as they are now.

    Raises
    ------
    InputError
        If a layer is missing, or they do not fit to each other.
    """
    if image is None:
        message = "There is no image; open one with true labels, or choose a folder."
        raise InputError(message)
    if labels is None:
        message = (
            f"'{image.name}' has no labels; add a Labels layer with its true masks, or "
            "choose a folder."
        )
        raise InputError(message)
    reader = image_reader(image, labels, channel)
    if coarse is not None and coarse is labels:
        message = (
            f"'{labels.name}' cannot be both true and coarse; choose another layer, or "
            "let coarse masks be made up."
        )
        raise InputError(message)
    shape = array_shape(labels)
    if coarse is not None and array_shape(coarse) != shape:
        message = (
            f"The coarse labels '{coarse.name}' are {size_text(array_shape(coarse))} "
            f"but the true ones '{labels.name}' are {size_text(shape)}; they have to "
            "be of one image."
        )
        raise InputError(message)
    return LayerPair(
        name=image.name,
        image=reader,
        labels=as_now(labels),
        labels_name=labels.name,
        coarse=None if coarse is None else as_now(coarse),
    )


def write_pairs(run: Path, pairs: Sequence[LayerPair]) -> Path:
    """Write the pairs into a new folder in `run`, laid out as data for training.

    Images keep their values (NPY), labels become TIFF files. Each pair is one file, so
    that a split never puts planes of one stack on both sides.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If there is nothing to learn from a pair.
    SegRefinerError
        If the folder cannot be written.
    """
    has_coarse = any(pair.coarse is not None for pair in pairs)
    folder = _new_folder(run, ["images", "labels", *(["coarse"] if has_coarse else [])])
    for pair, stem in zip(pairs, _stems(pairs), strict=True):
        labels = np.asarray(pair.labels)
        if not labels.any():
            message = f"The labels of '{pair.name}' have no objects; paint some first."
            raise InputError(message)
        _write_image(folder / "images" / f"{stem}.npy", image_of(pair))
        write_labels(folder / "labels" / f"{stem}.tif", labels)
        if pair.coarse is None:
            continue
        coarse = np.asarray(pair.coarse)
        if not ((coarse == labels) & (labels > 0)).any():
            message = (
                f"The coarse labels of '{pair.name}' nowhere have the id of the true "
                "object that they lie on; give both the same ids."
            )
            raise InputError(message)
        write_labels(folder / "coarse" / f"{stem}.tif", coarse)
    return folder


def image_of(pair: LayerPair) -> npt.NDArray[Any]:
    """The image in the shape of its labels, with channels first or colours last."""
    reader, shape = pair.image, tuple(pair.labels.shape)
    image = reader.read_at([slice(None)] * len(shape))
    if reader.kind == "first":
        return image.reshape(image.shape[:1] + shape)
    # An image with fewer axes than the labels is the same for all their planes.
    return np.broadcast_to(image, shape + image.shape[-1:] * reader.is_rgb)


def _new_folder(run: Path, parts: Sequence[str]) -> Path:
    """A folder of its own for every attempt: what is there may be somebody's."""
    numbers = (f"{LAYERS}-{n}" if n > 1 else LAYERS for n in range(1, 10_000))
    folder = next(run / name for name in numbers if not (run / name).exists())
    try:
        for part in parts:
            (folder / part).mkdir(parents=True)
    except OSError as error:
        message = f"The run folder {run} cannot be written ({error}); choose another."
        raise SegRefinerError(message) from error
    return folder


def _stems(pairs: Sequence[LayerPair]) -> list[str]:
    """File names, in order, from the names of the images."""
    names = [re.sub(r"[^\w.-]+", "_", pair.name).strip("._") for pair in pairs]
    return [f"{n:03d}_{name}"[:80] for n, name in enumerate(names, 1)]


def _write_image(path: Path, image: npt.NDArray[Any]) -> None:
    with write_whole(path) as part, part.open("wb") as file:
        np.save(file, np.ascontiguousarray(image), allow_pickle=False)
