"""What a layer carries of its refinements: metadata of runs, features of objects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from napari_segrefiner.core.objects import LabelledObject, find_objects
from napari_segrefiner.plugin.findings import ORDER, Finding
from napari_segrefiner.plugin.layers import KEY, entry, id_of
from napari_segrefiner.plugin.planes import Plane, array_shape
from napari_segrefiner.plugin.worker import PlaneDone

if TYPE_CHECKING:
    from napari.layers import Image, Labels

Row = dict[str, Any]

COLUMNS = ("index", "change", "uncertainty", "status")


#: All that this plugin may have written of an object.
OUR_COLUMNS = (*COLUMNS[1:], "mark", "mode", "windows")


class Origin(NamedTuple):
    """What was looked at in a plane: ``channel`` of an image, None for all of it.

    The image's id holds as long as napari runs, its name after that.
    """

    image: str
    image_id: str
    channel: int | None


def carry_over(source: Labels, result: Labels) -> None:
    """Give a new result what others have told of the source and its objects.

    A table that is not one of labels stays with the source: rows of objects could not
    be added to it.
    """
    others = {name: value for name, value in source.metadata.items() if name != KEY}
    result.metadata.update(others)
    if read_rows(source):
        ours = [name for name in OUR_COLUMNS if name in source.features.columns]
        result.features = source.features.drop(columns=ours)


def write_record(
    layer: Labels, image: Image, channel: int | None, done: Iterable[PlaneDone]
) -> None:
    """Put the record of a run into the layer's metadata: JSON-ready, runs appended.

    ``channel`` is the one that was looked at, None for all of the image.
    """
    now = dict(entry(layer))
    # A new list: napari's duplicates of a layer share what is in its metadata.
    now["runs"] = _runs(layer)
    for plane_done in done:
        plane = plane_done.plane
        now["runs"].append(
            {
                "image": image.name,
                "image_id": id_of(image),
                "channel": channel,
                "axes": list(plane.axes),
                "position": list(plane.position),
                "record": plane_done.record,
            }
        )
        now["record"] = plane_done.record
    layer.metadata[KEY] = now


def read_runs(layer: Labels) -> dict[Plane, Origin]:
    """The refined planes of a layer, and what was looked at in the newest run of each.

    Metadata may come from a file: runs that do not fit the layer are left out.
    """
    found = {}
    for run in _runs(layer):
        plane = _plane(run, array_shape(layer))
        if plane is not None:
            channel = run.get("channel")
            found[plane] = Origin(
                str(run.get("image", "")),
                str(run.get("image_id", "")),
                channel if isinstance(channel, int) else None,
            )
    return found


def read_findings(layer: Labels) -> dict[int, Finding]:
    """What the layer's features tell of its objects, with the place of each one now.

    An object of several planes is looked at where it is largest.
    """
    places: dict[int, tuple[Plane, LabelledObject]] = {}
    for plane in read_runs(layer):
        for one in find_objects(np.asarray(layer.data[plane.index])):
            if one.id not in places or one.area > places[one.id][1].area:
                places[one.id] = plane, one
    found = {}
    for label, row in (read_rows(layer) or {}).items():
        change, doubt = (_number(row.get(name)) for name in COLUMNS[1:3])
        status = row.get("status")
        if label in places and status in (*ORDER, "restored") and change == change:
            plane, one = places[label]
            found[label] = Finding(label, status, change, doubt, plane, one.box)
    return found


def write_features(
    layer: Labels, findings: Iterable[Finding], *, has_modes: bool = False
) -> None:
    """Set change, uncertainty and status of objects; other rows and columns stay.

    With `has_modes` also how they were refined, and in how many windows.

    A table that is not one of labels (:func:`read_rows`) is the user's and stays as it
    is.
    """
    rows = read_rows(layer)
    if rows is None:
        return
    for item in findings:
        values = (item.label, item.change, item.uncertainty, item.status)
        row = rows.setdefault(item.label, {})
        row.update(zip(COLUMNS, values, strict=True))
        if has_modes:
            row.update(mode=item.mode, windows=item.n_windows)
    _set_rows(layer, rows)


def write_marks(layer: Labels, marks: Mapping[int, str]) -> None:
    """Set the column ``mark`` of objects; the column comes with the first mark."""
    rows = read_rows(layer)
    if rows is None or (not marks and not any("mark" in row for row in rows.values())):
        return
    old = {label: row.get("mark") for label, row in rows.items()}
    for label in marks:
        rows.setdefault(label, {"index": label})
    for label, row in rows.items():
        row["mark"] = marks.get(label, "")
    if old != {label: row["mark"] for label, row in rows.items()}:
        _set_rows(layer, rows)


def read_rows(layer: Labels) -> dict[int, Row] | None:
    """The rows of the features table by label, None if it is not one of labels.

    Such a table has a whole number in the column ``index`` of every row, and no number
    twice.
    """
    table = layer.features
    if not len(table.columns):
        return {}
    if "index" not in table.columns:
        return None
    index = pd.to_numeric(table["index"], errors="coerce")
    if (index % 1 != 0).any() or index.duplicated().any():  # NaN is no 0 either
        return None
    return dict(zip(map(int, index), table.to_dict("records"), strict=True))


def put_rows(layer: Labels, rows: Mapping[int, Row | None]) -> None:
    """Put rows as they once were; None takes a label's row away."""
    now = read_rows(layer)
    if now is None:
        return
    for label, row in rows.items():
        if row is None:
            now.pop(label, None)
        else:
            now[label] = row
    _set_rows(layer, now)


def _set_rows(layer: Labels, rows: Mapping[int, Row]) -> None:
    """The rows as the layer's table, by rising label."""
    if rows or len(layer.features):
        layer.features = pd.DataFrame(
            [rows[label] for label in sorted(rows)],
            columns=None if rows else layer.features.columns,
        )


def _runs(layer: Labels) -> list[Any]:
    """A copy of the runs in the layer's metadata."""
    runs = entry(layer).get("runs")
    return list(runs) if isinstance(runs, list) else []


def _plane(run: Any, shape: tuple[int, ...]) -> Plane | None:
    """The plane of a run, None if an array of this shape has no such plane."""
    try:
        first, second = map(int, run["axes"])
        position = tuple(map(int, run["position"]))
    except (KeyError, TypeError, ValueError):
        return None
    plane = Plane((first, second), position)
    is_there = plane.lies_in(shape) and 0 <= first < second < len(shape)
    return plane if is_there else None


def _number(value: Any) -> float:
    """A number as it is, NaN for anything else."""
    return float(value) if isinstance(value, int | float) else math.nan
