"""Objects of label files that are drawn by hurried polygons and refined by a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from napari_segrefiner.errors import InputError
from napari_segrefiner.evaluation.coarse_sets import choose_objects
from napari_segrefiner.evaluation.effort import Drawing, draw
from napari_segrefiner.evaluation.folders import TRUTHS, LeftOut, find_files
from napari_segrefiner.io.images import read_image
from napari_segrefiner.io.labels import read_labels

if TYPE_CHECKING:
    from napari_segrefiner.models.checkpoint import Model


@dataclass(frozen=True)
class Subject:
    """A picture with the objects of it that are drawn.

    Attributes
    ----------
    name : str
        The stem of its files, with its set in front if there is one.
    image, labels : Path
        Its files.
    truth : (Y, X) integer array
    ids : tuple of int
        Rising, of `truth`.
    """

    name: str
    image: Path
    labels: Path
    truth: npt.NDArray[Any]
    ids: tuple[int, ...]


def choose_subjects(
    truth: Path, images: Path, limit: int
) -> tuple[list[Subject], list[LeftOut]]:
    """Choose objects evenly over the planes of a folder.

    Parameters
    ----------
    truth, images : Path
        Folders of true labels and of images, as of
        :func:`napari_segrefiner.evaluation.folders.find_files`.
    limit : int
        Most objects in all.

    Returns
    -------
    list of Subject
        By name; none if no plane holds an object.
    list of LeftOut
        Files without a partner, unreadable ones and stacks.

    Raises
    ------
    InputError
        If a folder is missing, or no file has a partner.
    """
    # The truth stands for the labels before: only what it draws matters.
    found = find_files(truth, truth, (), images, roles=TRUTHS)
    left_out = list(found.left_out)
    paths, truths = {}, {}
    for one in found.files:
        if one.image is None:
            continue
        try:
            labels = read_labels(one.truth)
        except InputError as error:
            left_out.append(LeftOut(one.name, str(error)))
            continue
        if labels.ndim != 2:
            left_out.append(LeftOut(one.name, "It is a stack; only planes are drawn."))
            continue
        paths[one.name], truths[one.name] = (one.image, one.truth), labels
    chosen = choose_objects(truths, limit, "effort")
    subjects = [
        Subject(name, *paths[name], truths[name], tuple(chosen[name]))
        for name in sorted(chosen)
    ]
    return subjects, left_out


def draw_subjects(
    subjects: Iterable[Subject], model: Model
) -> Iterator[Drawing | LeftOut]:
    """Draw the objects of every picture and refine them by a model.

    Parameters
    ----------
    subjects : iterable of Subject
    model : Model

    Yields
    ------
    Drawing or LeftOut
        LeftOut for an image that cannot be read or refined.
    """
    from napari_segrefiner.core.refiner import refine  # brings torch

    def by_model(image: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return refine(image, labels, model=model).labels

    for one in subjects:
        try:
            image = read_image(one.image)
            # All or nothing: every object counts once with each number of points.
            yield from list(draw(image, one.truth, one.ids, by_model, name=one.name))
        except InputError as error:
            yield LeftOut(one.name, str(error))
