"""Layers against the truth: what is read of them, scored, and shown on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_segrefiner.errors import InputError
from napari_segrefiner.plugin.layers import KEY, as_now, check_labels, geometry
from napari_segrefiner.plugin.planes import array_shape, shape_text
from napari_segrefiner.plugin.results import put_rows, read_rows

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.examples import Example, Picked
    from napari_segrefiner.evaluation.folders import LeftOut, Loaded
    from napari_segrefiner.evaluation.pairing import Pairing
    from napari_segrefiner.evaluation.scores import ImageScores, Total

#: Scores of each object, as columns of a layer's features.
FEATURES = ("iou", "boundary_iou")
#: IoU gained or lost at which a colour is full, and below which an object is grey.
FULL_GAIN, NO_GAIN = 0.2, 0.005
#: Red, green, blue; told apart by all kinds of colour vision, as in the report.
ROSE, FELL, SAME = (0.0, 0.45, 0.70), (0.84, 0.37, 0.0), (0.60, 0.63, 0.66)

Rows = dict[int, dict[str, float]]


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
    """Scores of all planes, and the arrays that they were taken of."""

    name: str
    images: Sequence[ImageScores]
    left_out: Sequence[LeftOut]
    arrays: Loaded

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
    if truth is coarse or truth in refined or coarse in refined:
        message = "The truth, the coarse and the refined labels must be three layers."
        raise InputError(message)
    shape = array_shape(truth)
    for layer in (truth, coarse, *refined):
        check_labels(layer)
        if array_shape(layer) != shape:
            message = (
                f"'{truth.name}' is {shape_text(shape)} but '{layer.name}' is "
                f"{shape_text(array_shape(layer))}; choose labels of the same image."
            )
            raise InputError(message)
    layers = {"coarse": as_now(coarse)}
    for layer in refined:
        name = layer.name if layer.name not in layers else f"{layer.name} (refined)"
        layers[name] = as_now(layer)
    seen = None if image is None or image.multiscale else image.data
    return Request(truth.name, as_now(truth), layers, seen, pairing)


def compare(request: Request) -> Compared:
    """Score the layers of a request, plane by plane.

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
    scored = list(score_loaded(request.name, arrays, request.pairing))
    images = [one for one in scored if not isinstance(one, LeftOut)]
    left_out = [one for one in scored if isinstance(one, LeftOut)]
    return Compared(request.name, images, left_out, arrays)


def _fits(image: Any, truth: Any) -> bool:
    """Whether the truth can have been drawn on the image."""
    from napari_segrefiner.core.preprocessing import open_picture
    from napari_segrefiner.io.stacks import planes

    if image is None:
        return False
    try:
        first = next(planes(image, truth))
        open_picture(first.image, first.labels.shape, channel_axis=first.channel_axis)
    except InputError:
        return False
    return True


def objects_of(compared: Compared, layer: str) -> Rows:
    """Scores of each coarse object that has a true one, by its id.

    ``truth`` is the id of its partner, ``gain`` what its IoU gained (not for "coarse").
    Of objects in several planes the means.
    """
    found: dict[int, list[dict[str, float]]] = {}
    for image in compared.images:
        before, after = image.layers["coarse"], image.layers[layer]
        for k, i in enumerate(image.pairs.coarse_ids.tolist()):
            if not i:
                continue
            row = {"truth": float(image.pairs.truth_ids[k])}
            row |= {name: float(getattr(after, name)[k]) for name in FEATURES}
            if layer != "coarse":
                row["gain"] = float(after.iou[k] - before.iou[k])
            found.setdefault(i, []).append(row)
    return {
        i: {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        for i, rows in found.items()
    }


def write_scores(layer: Labels, rows: Rows) -> bool:
    """Set the scores of objects in a layer's features; other columns stay.

    Returns whether it was done: a table that is not one of labels is the user's.
    """
    old = read_rows(layer)
    if old is None:
        return False
    put_rows(
        layer,
        {
            i: {"index": i, **old.get(i, {}), **row, "truth": int(row["truth"])}
            for i, row in rows.items()
        },
    )
    return True


def gain_layer(source: Labels, data: Any, rows: Rows) -> Labels:
    """A layer with the objects of `source`, coloured by what their IoU gained.

    Blue gained, orange lost, grey is as before; without a true object nothing is shown.
    """
    colours: dict[int | None, Any] = {None: (0, 0, 0, 0), 0: (0, 0, 0, 0)}
    colours |= {i: colour_of(row["gain"]) for i, row in rows.items()}
    layer = Labels(
        data,
        name=f"{source.name} gain",
        colormap=DirectLabelColormap(color_dict=colours),
        opacity=0.75,
        **geometry(source),
    )
    # Not to be refined or compared: it only shows.
    layer.metadata[KEY] = {"is_preview": True, "gain_of": source.name}
    layer.editable = False
    write_scores(layer, rows)
    return layer


def colour_of(gain: float) -> tuple[float, float, float, float]:
    """The colour of an object that gained so much IoU, (r, g, b, a) in [0, 1].

    Examples
    --------
    >>> colour_of(0.0) == (*SAME, 1.0), colour_of(0.5) == (*ROSE, 1.0)
    (True, True)
    """
    share = min(1.0, max(0.0, abs(gain) - NO_GAIN) / (FULL_GAIN - NO_GAIN))
    # Even a small change has a hue: a third of the way from grey.
    share = share and (1 + 2 * share) / 3
    end = ROSE if gain > 0 else FELL
    red, green, blue = (a + share * (b - a) for a, b in zip(SAME, end, strict=True))
    return red, green, blue, 1.0


@dataclass(frozen=True)
class Line:
    """A line of the table: what it says, a text for each layer, and which is best."""

    title: str
    tip: str
    texts: tuple[str, ...]
    best: frozenset[int]


#: Metric, title, meaning, whether less is better, and whether it is a share.
LINES = (
    ("iou", "IoU", "Shared pixels / pixels of either; mean over all objects.",
     False, False),
    ("boundary_iou", "Boundary IoU", "The same for boundaries, 2 px wide.",
     False, False),
    ("boundary_iou_r02", "… 2 % wide", "Boundaries 2 % of the box's diagonal wide.",
     False, False),
    ("iou_agg", "Foreground IoU", "All objects together: large ones dominate.",
     False, False),
    ("mba", "Boundary accuracy", "Mean boundary accuracy (mBA) of the foreground.",
     False, False),
    ("improved_02", "Better by .02", "Objects whose IoU rose by more than .02.",
     False, True),
    ("worse_02", "Worse by .02", "Objects whose IoU fell by more than .02.",
     True, True),
    ("worse_05", "Worse by .05", "Objects whose IoU fell by more than .05.",
     True, True),
    ("lost", "Lost", "Objects that vanished.", True, True),
    ("fp_removed", "Too much, removed", "Of all wrong coarse pixels.", False, True),
    ("fn_recovered", "Too little, recovered", "Of all wrong coarse pixels.",
     False, True),
    ("fp_added", "Too much, new", "Of all wrong coarse pixels.", True, True),
    ("fn_added", "Too little, new", "Of all wrong coarse pixels.", True, True),
)  # fmt: skip


def table_lines(compared: Compared) -> Iterator[Line]:
    """The totals as lines to show; coarse labels alone have no changes."""
    totals = compared.totals
    for metric, title, tip, is_less_better, is_share in LINES:
        values = [
            group[metric].value if metric in group else np.nan
            for group in totals.values()
        ]
        valid = [value for value in values if np.isfinite(value)]
        if not valid:
            continue
        best = (min if is_less_better else max)(valid)
        texts = tuple(
            "" if not np.isfinite(v) else f"{100 * v:.1f} %" if is_share else f"{v:.3f}"
            for v in values
        )
        is_contest = len(set(valid)) > 1
        yield Line(
            title,
            tip,
            texts,
            frozenset(k for k, v in enumerate(values) if v == best and is_contest),
        )


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
