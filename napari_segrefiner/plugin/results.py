"""Result layers: made beside their source, told apart by their record and features."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Labels

from napari_segrefiner.plugin.edits import Edit, write_directly
from napari_segrefiner.plugin.findings import Finding
from napari_segrefiner.plugin.layers import KEY, copy_of, insert_above, is_listed
from napari_segrefiner.plugin.planes import Plane, array_shape, count_planes
from napari_segrefiner.plugin.worker import PlaneDone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.components import ViewerModel

Row = dict[str, Any]

COLUMNS = ("index", "change", "uncertainty", "status")


class Results:
    """Knows which result layer was made from which source layer."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        # Weak on both sides: a deleted layer must not be kept alive from here.
        self._sources: weakref.WeakKeyDictionary[Labels, weakref.ref[Labels]] = (
            weakref.WeakKeyDictionary()
        )

    def source_of(self, result: Labels) -> Labels | None:
        """The listed layer that `result` was made from, None if it is gone."""
        known = self._sources.get(result)
        source = known() if known is not None else None
        return source if is_listed(self._viewer, source) else None

    def is_result(self, layer: Labels) -> bool:
        """Whether the layer was made here."""
        return layer in self._sources

    def results_of(self, source: Labels) -> list[Labels]:
        """The listed results of `source` that still have its shape, newest last."""
        return [
            result
            for result, known in list(self._sources.items())
            if known() is source
            and is_listed(self._viewer, result)
            and array_shape(result) == array_shape(source)
        ]

    def result_of(self, source: Labels) -> Labels | None:
        """The newest of these, None if there is none."""
        return next(reversed(self.results_of(source)), None)

    def result_for(self, source: Labels, planes: Sequence[Plane]) -> Labels | None:
        """The newest result of `source` if all of `planes` are as coarse there still.

        None for the planes of a whole layer: another run over all of it is another
        result, beside the one that there is.
        """
        result = self.result_of(source)
        if result is None or len(planes) == count_planes(
            planes[0], array_shape(source)
        ):
            return None
        is_coarse = all(
            np.array_equal(result.data[plane.index], source.data[plane.index])
            for plane in planes
        )
        return result if is_coarse else None

    def make(self, source: Labels, edits: list[Edit]) -> tuple[Labels, int]:
        """Add a result layer above `source`, and above older results of it.

        It is a copy of `source` with `edits` written. Returns the layer and the pixels
        written. The source is not touched, not even hidden. Whatever was painted on it
        during the run is in the copy.
        """
        data = np.array(source.data)
        written = write_directly(data, edits)
        result = copy_of(source, data, f"{source.name} refined")
        result.metadata[KEY] = {"source": source.name}
        below = self.result_of(source) or source
        # Before it is added: adding makes it active, and listeners ask whose it is.
        self._sources[result] = weakref.ref(source)
        insert_above(self._viewer, result, below)
        return result, written


def write_record(
    layer: Labels, image_name: str, channel: int | None, done: Iterable[PlaneDone]
) -> None:
    """Put the record of a run into the layer's metadata: JSON-ready, runs appended.

    ``channel`` is the one that was looked at, None for all of the image.
    """
    entry: dict[str, Any] = layer.metadata.setdefault(KEY, {})
    runs = entry.setdefault("runs", [])
    for plane_done in done:
        plane = plane_done.plane
        runs.append(
            {
                "image": image_name,
                "channel": channel,
                "axes": list(plane.axes),
                "position": list(plane.position),
                "record": plane_done.record,
            }
        )
        entry["record"] = plane_done.record


def write_features(
    layer: Labels, findings: Iterable[Finding], *, has_modes: bool = False
) -> None:
    """Set change, uncertainty and status of objects; other rows and columns stay.

    With `has_modes` also how they were refined, and in how many windows.

    A table without the column ``index`` says nothing of single labels: it is the user's
    and stays as it is.
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
    """The rows of the features table by label, None if it is not one of labels."""
    table = layer.features
    if len(table.columns) and "index" not in table.columns:
        return None
    return {int(row["index"]): row for row in table.to_dict("records")}


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
