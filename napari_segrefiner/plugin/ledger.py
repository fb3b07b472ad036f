"""What is told of objects follows their pixels through undo and redo."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from napari_segrefiner.plugin.edits import Edit

if TYPE_CHECKING:
    from napari.layers import Labels

#: Pixels of a write that are looked at; undo changes all of them or none.
MOST_SAMPLES = 32
#: napari keeps so many undo steps.
MOST_WRITES = 100

State = TypeVar("State")


@dataclass
class Write(Generic[State]):
    """One undo step of ours.

    ``at`` holds index arrays of some of its pixels, ``before`` and ``after`` their
    values, ``old`` and ``new`` what is told of its objects without and with it.
    """

    at: tuple[npt.NDArray[np.intp], ...]
    before: npt.NDArray[Any]
    after: npt.NDArray[Any]
    old: State
    new: State
    is_done: bool = True


class Ledger(Generic[State]):
    """Notices undo and redo by the pixels: napari has no event for them.

    Parameters
    ----------
    put : callable
        ``put(layer, state)`` tells of a layer's objects what `state` says.
    say : callable, optional
        ``say(layer, is_done)`` hears of a step that was undone, or done again.
    """

    def __init__(
        self,
        put: Callable[[Labels, State], None],
        say: Callable[[Labels, bool], None] = lambda layer, is_done: None,
    ) -> None:
        self._put = put
        self._say = say
        self._writes: weakref.WeakKeyDictionary[Labels, list[Write[State]]] = (
            weakref.WeakKeyDictionary()
        )

    def note(
        self, layer: Labels, edits: Sequence[Edit], old: State, new: State
    ) -> None:
        """Remember an undo step that has just been written."""
        sample = _sample(layer.data, edits)
        if sample is None:
            return
        if layer not in self._writes:
            self._writes[layer] = []
            layer.events.set_data.connect(self._on_set_data)
        # A new step ends what could be redone.
        writes = [write for write in self._writes[layer] if write.is_done]
        writes.append(Write(*sample, old, new))
        self._writes[layer] = writes[-MOST_WRITES:]

    def close(self) -> None:
        """Hear no more of the layers."""
        for layer in list(self._writes):
            layer.events.set_data.disconnect(self._on_set_data)
        self._writes.clear()

    def _on_set_data(self, event: Any) -> None:
        """Undo, redo and much else redraw a layer: look at the newest writes."""
        layer: Labels = event.source
        writes = self._writes.get(layer, [])
        n_done = sum(write.is_done for write in writes)
        for write in reversed(writes[:n_done]):
            if not _holds(layer.data, write.at, write.before):
                break
            write.is_done = False
            self._put(layer, write.old)
            self._say(layer, False)
        if n_done != sum(write.is_done for write in writes):
            return
        for write in writes[n_done:]:
            if not _holds(layer.data, write.at, write.after):
                break
            write.is_done = True
            self._put(layer, write.new)
            self._say(layer, True)


def _sample(
    data: Any, edits: Sequence[Edit]
) -> tuple[tuple[npt.NDArray[np.intp], ...], npt.NDArray[Any], npt.NDArray[Any]] | None:
    """Some of the pixels that the edits have really changed."""
    for edit in edits:
        if not edit.size:
            continue
        at = edit.plane.pixels(edit.ys, edit.xs)
        written = np.flatnonzero(np.asarray(data[at]) == edit.after)
        if written.size:
            chosen = written[:: -(-written.size // MOST_SAMPLES)]
            at = tuple(axis[chosen] for axis in at)
            return at, edit.before[chosen], edit.after[chosen]
    return None


def _holds(
    data: Any, at: tuple[npt.NDArray[np.intp], ...], values: npt.NDArray[Any]
) -> bool:
    """Whether the pixels have these values; not if the array has shrunk."""
    if len(at) != data.ndim or any(
        axis.max() >= side for axis, side in zip(at, data.shape, strict=True)
    ):
        return False
    return bool((np.asarray(data[at]) == values).all())
