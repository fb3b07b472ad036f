"""Layers against the truth: what is read of them, and how well they agree."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_segrefiner.errors import InputError
from napari_segrefiner.plugin.compare_scores import Rows, objects_of
from napari_segrefiner.plugin.layers import as_now, check_labels
from napari_segrefiner.plugin.planes import array_shape
from napari_segrefiner.plugin.worker import Progress
from napari_segrefiner.wording import size_text

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.examples import Example, Picked
    from napari_segrefiner.evaluation.folders import LeftOut, Loaded
    from napari_segrefiner.evaluation.pairing import Pairing
    from napari_segrefiner.evaluation.scores import ImageScores, Total


@dataclass(frozen=True)
class Request:
    """Arrays to compare, copied out of their layers.

    Attributes
    ----------
    name : str
        Of the truth's layer.
    truth : array
    layers : mapping of str to array
        The coarse labels as "coarse", and refined ones by the names of their layers.
    image : array or None
        For the pictures of the report.
    pairing : {"auto", "id", "overlap"}
    """

    name: str
    truth: Any
    layers: Mapping[str, Any]
    image: Any
    pairing: Pairing


@dataclass(frozen=True)
class Compared:
    """Scores of all planes, and the arrays that they were taken of.

    ``objects`` are those of single objects, by layer.
    """

    name: str
    images: Sequence[ImageScores]
    left_out: Sequence[LeftOut]
    arrays: Loaded
    objects: Mapping[str, Rows]

    @property
    def totals(self) -> Mapping[str, Mapping[str, Total]]:
        """Totals by layer and metric."""
        from napari_segrefiner.evaluation.scores import totals

        return totals(self.images)

    def json(self) -> str:
        """All scores as JSON text, as the command line writes them."""
        from napari_segrefiner.evaluation.outputs import scores_json

        return scores_json({"": self.images}, self.left_out)

    def page(self) -> str:
        """The report as HTML text."""
        from napari_segrefiner.evaluation.outputs import cut_example, page

        def example(name: str, layer: str, picked: Picked) -> Example:
            return cut_example(self.arrays, self.name, name, layer, picked)

        return page({"": self.images}, self.left_out, example)


@dataclass(frozen=True)
class Written:
    """A file is there."""

    file: Path


def read_layers(
    truth: Labels | None,
    coarse: Labels | None,
    refined: Sequence[Labels],
    image: Image | None = None,
    pairing: Pairing = "auto",
) -> Request:
    """Copy what is to be compared: it may be painted on meanwhile.

    Raises
    ------
    InputError
        If a layer is missing or given twice, or the sizes differ.
    """
    if truth is None or coarse is None:
        message = "Choose the layer of the truth and that of the coarse labels."
        raise InputError(message)
    chosen = (truth, coarse, *refined)
    for layer in chosen:
        if chosen.count(layer) > 1:
            message = (
                f"'{layer.name}' is chosen twice; the truth, the coarse and the "
                "refined labels must be different layers."
            )
            raise InputError(message)
    shape = array_shape(truth)
    for layer in chosen:
        check_labels(layer)
        if array_shape(layer) != shape:
            message = (
                f"'{truth.name}' is {size_text(shape)} but '{layer.name}' is "
                f"{size_text(array_shape(layer))}; choose labels of the same image."
            )
            raise InputError(message)
    layers = {"coarse": as_now(coarse)}
    for layer in refined:
        name = layer.name if layer.name not in layers else f"{layer.name} (refined)"
        layers[name] = as_now(layer)
    seen = None if image is None or image.multiscale else image.data
    return Request(truth.name, as_now(truth), layers, seen, pairing)


def compare(
    request: Request, cancelled: threading.Event
) -> Iterator[Progress | Compared]:
    """Score the layers of a request, plane by plane; the last event holds the scores.

    Ends early and quietly when cancelled.

    Raises
    ------
    InputError
        If the truth holds no object.
    """
    from napari_segrefiner.evaluation.folders import LeftOut, Loaded, score_loaded

    image = None if request.image is None else np.asarray(request.image)
    layers = {name: np.asarray(data) for name, data in request.layers.items()}
    truth = np.asarray(request.truth)
    arrays = Loaded(truth, layers, image if _fits(image, truth) else None)
    n_planes = int(truth.any(axis=(-2, -1)).sum())
    images, left_out = [], []
    for one in score_loaded(request.name, arrays, request.pairing):
        if cancelled.is_set():
            return
        if isinstance(one, LeftOut):
            left_out.append(one)
            continue
        images.append(one)
        yield Progress(len(images) / n_planes)
    objects = {layer: objects_of(images, layer) for layer in layers}
    yield Compared(request.name, images, left_out, arrays, objects)


def write(
    make: Callable[[], str], file: Path, cancelled: threading.Event
) -> Iterator[Written]:
    """Make a text, such as the report, and write it; none if cancelled meanwhile.

    Raises
    ------
    SegRefinerError
        If it cannot be written.
    """
    from napari_segrefiner.io.atomic import write_text

    text = make()
    if cancelled.is_set():
        return
    # Whoever chose the name was asked whether to replace it.
    write_text(file, text, overwrite=True)
    yield Written(file)


def _fits(image: Any, truth: Any) -> bool:
    """Whether the truth can have been drawn on the image."""
    from napari_segrefiner.io.picture import open_picture
    from napari_segrefiner.io.stacks import planes

    if image is None:
        return False
    try:
        first = next(planes(image, truth))
        open_picture(first.image, first.labels.shape, channel_axis=first.channel_axis)
    except InputError:
        return False
    return True


def summary(compared: Compared) -> str:
    """One sentence: how many objects, and what the totals do not hold."""
    n = sum(len(image.pairs.truth_ids) for image in compared.images)
    missing = sum(len(image.pairs.missing) for image in compared.images)
    planes = len(compared.images)
    text = f"{n:,} true object{'s' if n != 1 else ''}"
    if planes > 1:
        text += f" in {planes:,} planes"
    if missing:
        text += f", {missing:,} without a coarse one (counted as 0)"
    return " ".join([f"{text}.", *(one.reason for one in compared.left_out)])
