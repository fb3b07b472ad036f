"""Scores as the files that people keep: JSON to work with, a page to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_segrefiner.evaluation.examples import Example, Picked, cut_out, pick
from napari_segrefiner.evaluation.folders import Loaded, plane_name
from napari_segrefiner.evaluation.intervals import intervals, intervals_of_mean
from napari_segrefiner.evaluation.report import Report, render
from napari_segrefiner.evaluation.scores import COARSE, ImageScores
from napari_segrefiner.evaluation.tables import as_json, intervals_json
from napari_segrefiner.io.stacks import planes
from napari_segrefiner.wording import json_text

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.folders import LeftOut

Groups = Mapping[str, Sequence[ImageScores]]
#: From the name of a picture, a layer and an object to what is drawn of it.
MakeExample = Callable[[str, str, Picked], Example]


def scores_json(groups: Groups, left_out: Sequence[LeftOut] = ()) -> str:
    """All scores with their intervals as JSON text, the single images last."""
    content = as_json(groups, left_out)
    held = {"intervals": intervals_json(intervals(groups))}
    if len(groups) > 1:
        held["intervals_of_mean"] = intervals_json(intervals_of_mean(groups))
    last = {"images": content.pop("images")}
    return json_text({**content, **held, **last})


def page(groups: Groups, left_out: Sequence[LeftOut], example: MakeExample) -> str:
    """The report about the first refined layer, as HTML text.

    Parameters
    ----------
    groups : mapping of set name to sequence of ImageScores
    left_out : sequence of LeftOut
    example : callable
        Makes the pictures; see :func:`cut_example`.
    """
    pooled = [image for group in groups.values() for image in group]
    layer = next((name for name in pooled[0].layers if name != COARSE), COARSE)
    drawn = {
        group: [example(pooled[one.image].name, layer, one) for one in picked]
        for group, picked in pick(pooled, layer).items()
    }
    title = "Segmentation scores" if layer == COARSE else "Before and after refinement"
    return render(Report(title, groups, layer, drawn, intervals(groups), left_out))


def cut_example(
    found: Loaded, base: str, name: str, layer: str, picked: Picked
) -> Example:
    """Cut an object out of the plane that is called `name`.

    Parameters
    ----------
    found : Loaded
        The arrays of the picture, all its planes.
    base, name : str
        What the picture is called, and its plane.
    layer : str
        The layer that is shown beside the coarse one.
    picked : Picked
        The object.
    """
    blank = np.broadcast_to(np.uint8(0), found.truth.shape)
    image = blank if found.image is None else found.image
    plane = next(
        p for p in planes(image, found.truth) if plane_name(base, p.index) == name
    )
    return cut_out(
        name,
        picked,
        None if found.image is None else plane.image,
        plane.labels,
        found.layers[COARSE][plane.index],
        found.layers[layer][plane.index],
    )
