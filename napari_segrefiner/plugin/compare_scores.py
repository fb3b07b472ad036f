"""Scores of single objects, as features and colours of their layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_segrefiner.plugin.layer_record import put_rows, read_rows
from napari_segrefiner.plugin.layers import KEY, geometry

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.scores import ImageScores

#: Scores of each object, as columns of a layer's features.
FEATURES = ("iou", "boundary_iou")
#: IoU gained or lost at which a colour is full, and below which an object is grey.
FULL_GAIN, NO_GAIN = 0.2, 0.005
#: Red, green, blue; told apart by all kinds of colour vision, as in the report.
ROSE, FELL, SAME = (0.0, 0.45, 0.70), (0.84, 0.37, 0.0), (0.60, 0.63, 0.66)

Rows = dict[int, dict[str, float]]


def objects_of(images: Sequence[ImageScores], layer: str) -> Rows:
    """Scores of each coarse object that has a true one, by its id.

    ``truth`` is the id of its partner, ``gain`` what its IoU gained (not for "coarse").
    Of objects in several planes the means.
    """
    found: dict[int, list[dict[str, float]]] = {}
    for image in images:
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
        i: {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
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
