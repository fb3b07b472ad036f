"""Result layers: made beside their source, and found again by what they carry."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels

from napari_segrefiner.plugin.edits import Edit, write_directly
from napari_segrefiner.plugin.layer_record import carry_over, read_runs
from napari_segrefiner.plugin.layers import (
    KEY,
    array_of,
    copy_of,
    entry,
    find_layer,
    id_of,
    insert_above,
    is_labels,
    is_listed,
    unwrap,
)
from napari_segrefiner.plugin.planes import Plane, array_shape, count_planes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari.components import ViewerModel

#: A layer found by its name alone is the source of a result if they agree on this share
#: of the labelled pixels of the one that has fewer: other labels of that name, as of
#: the next picture, do not.
LEAST_AGREEMENT = 0.5


class Results:
    """Knows which result layer was made from which source layer."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        # Weak on both sides: a deleted layer must not be kept alive from here.
        self._sources: weakref.WeakKeyDictionary[Labels, weakref.ref[Labels]] = (
            weakref.WeakKeyDictionary()
        )
        # Their arrays then: painting changes these, other labels replace them.
        self._arrays: weakref.WeakKeyDictionary[Labels, Callable[[], Any]] = (
            weakref.WeakKeyDictionary()
        )
        self._latest: weakref.WeakKeyDictionary[Labels, weakref.ref[Labels]] = (
            weakref.WeakKeyDictionary()
        )

    def source_of(self, result: Labels) -> Labels | None:
        """The listed layer that `result` was made from, None if it is gone."""
        known = self._sources.get(result)
        source = known() if known is not None else None
        return source if is_listed(self._viewer, source) else None

    def is_result(self, layer: Any) -> bool:
        """Whether the layer was made by this plugin, now or earlier."""
        return is_labels(layer) and "source" in entry(layer)

    def layers(self) -> list[Labels]:
        """The listed results, the topmost last."""
        return [x for x in map(unwrap, self._viewer.layers) if self.is_result(x)]

    def link(self) -> list[tuple[Labels, Labels]]:
        """Find the sources of results that have none yet: pairs of result and source.

        These are results of an earlier dock, or from a file, and those whose source
        was deleted and opened again.
        """
        found = []
        for result in self.layers():
            source = self._search(result) if self.source_of(result) is None else None
            if source is not None:
                self._remember(result, source)
                found.append((result, source))
        return found

    def _search(self, result: Labels) -> Labels | None:
        """The listed layer that the metadata of `result` names as its source."""
        name, source_id = (
            str(entry(result).get(k, "")) for k in ("source", "source_id")
        )
        source = find_layer(self._viewer, source_id, name)
        if (
            source is None
            or source is result
            or not is_labels(source)
            or source.multiscale
            or array_shape(source) != array_shape(result)
        ):
            return None
        is_same = id_of(source) == source_id
        return source if is_same or _agree(source, result, read_runs(result)) else None

    def results_of(self, source: Labels) -> list[Labels]:
        """The listed results of `source` that still have its shape, topmost last."""
        return [
            result
            for result in self.layers()
            if self.source_of(result) is source
            and array_shape(result) == array_shape(source)
        ]

    def result_of(self, source: Labels) -> Labels | None:
        """The one of these that was written last, else the topmost; None without any.

        A duplicate that was put aside does not take its place.
        """
        found = self.results_of(source)
        latest = self._latest.get(source)
        if latest is not None and latest() in found:
            return latest()
        return next(reversed(found), None)

    def note_written(self, result: Labels) -> None:
        """A run or a person's key has written into `result`."""
        source = self.source_of(result)
        if source is not None:
            self._latest[source] = weakref.ref(result)

    def result_for(self, source: Labels, planes: Sequence[Plane]) -> Labels | None:
        """The result of `source` if none of `planes` was worked on there.

        None for the planes of a whole layer: another run over all of it is another
        result, beside the one that there is.
        """
        result = self.result_of(source)
        if result is None or len(planes) == count_planes(
            planes[0], array_shape(source)
        ):
            return None
        refined = read_runs(result)
        is_free = all(
            _is_free(
                np.asarray(source.data[plane.index]),
                np.asarray(result.data[plane.index]),
                was_refined=plane in refined,
            )
            for plane in planes
        )
        return result if is_free else None

    def still_belongs(self, result: Labels) -> bool:
        """Whether the source of `result` holds the labels that it was made from.

        Another program may have put others into that layer meanwhile.
        """
        source = self.source_of(result)
        if source is None:
            return False
        is_same = self._arrays[result]() is source.data
        return is_same or _agree(source, result, read_runs(result))

    def _remember(self, result: Labels, source: Labels) -> None:
        self._sources[result] = weakref.ref(source)
        self._arrays[result] = array_of(source)

    def make(self, source: Labels, edits: list[Edit]) -> tuple[Labels, int]:
        """Add a result layer above `source`, and above older results of it.

        It is a copy of `source` with `edits` written. Returns the layer and the pixels
        written. The source is not touched, not even hidden. Whatever was painted on it
        during the run is in the copy.
        """
        data = np.array(source.data)
        written = write_directly(data, edits)
        result = copy_of(source, data, f"{source.name} refined")
        carry_over(source, result)
        result.metadata[KEY] = {"source": source.name, "source_id": id_of(source)}
        below = self.result_of(source) or source
        # Before it is added: adding makes it active, and listeners ask whose it is.
        self._remember(result, source)
        insert_above(self._viewer, result, below)
        self.note_written(result)
        return result, written


def _is_free(
    source: npt.NDArray[Any], result: npt.NDArray[Any], *, was_refined: bool
) -> bool:
    """Whether a plane of a result is as coarse as its source, or lacks new objects.

    These were painted in the source after the result was made.
    """
    differs = source != result
    if was_refined or not differs.any():
        return not differs.any()
    new = np.unique(source[differs])
    return not result[differs].any() and not np.isin(result, new).any()


def _agree(source: Labels, result: Labels, planes: Iterable[Plane]) -> bool:
    """Whether `result` can have been made from `source`, by the refined planes."""
    n_same = n_source = n_result = 0
    for plane in planes:
        coarse = np.asarray(source.data[plane.index])
        refined = np.asarray(result.data[plane.index])
        n_same += int(np.count_nonzero((coarse == refined) & (coarse != 0)))
        n_source += int(np.count_nonzero(coarse))
        n_result += int(np.count_nonzero(refined))
    return n_same > 0 and n_same >= LEAST_AGREEMENT * min(n_source, n_result)
