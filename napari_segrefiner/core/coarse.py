"""Coarse masks, as they come: a label image, or a stack of masks that may overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.objects import (
    LabelledObject,
    check_labels,
    choose,
    find_objects,
)

if TYPE_CHECKING:
    from napari_segrefiner.core.cuts import Cut
    from napari_segrefiner.geometry import Box

Mask = npt.NDArray[np.bool_]


class Coarse(Protocol):
    """Objects with their coarse masks."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""

    @property
    def objects(self) -> tuple[LabelledObject, ...]:
        """All objects, by rising id."""

    @property
    def facts(self) -> dict[str, Any]:
        """What the record keeps of them, as plain JSON."""

    def mask(self, id: int, box: Box) -> Mask:
        """The coarse mask of an object in a box inside the image, (h, w) bool."""


class CoarseLabels:
    """Objects of a label image.

    Parameters
    ----------
    labels : (Y, X) array of integers >= 0, or bool for one object
        Read, never written to.

    Attributes
    ----------
    labels : (Y, X) array of integers >= 0

    Raises
    ------
    InputError
        If they are no plane of such numbers.
    """

    def __init__(self, labels: npt.NDArray[Any]) -> None:
        self.labels = check_labels(labels)
        self.objects = tuple(find_objects(self.labels))
        self.facts = {"shape": list(labels.shape), "dtype": labels.dtype.name}

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        height, width = self.labels.shape
        return height, width

    def as_one(self, ids: tuple[int, ...] = ()) -> CoarseLabels:
        """These labels with some of them, or all, made one: it has the lowest id.

        Raises
        ------
        OptionError
            If there is no object with one of the ids.
        """
        parts = [found.id for found in choose(self.objects, ids, 0)]
        if len(parts) < 2:
            return self
        united = self.labels.copy()
        # Of the labels' own type: as a list, small and very large ids become floats.
        native = united.dtype.newbyteorder("=")
        united[np.isin(united, np.array(parts, native))] = parts[0]
        return CoarseLabels(united)

    def mask(self, id: int, box: Box) -> Mask:
        """The coarse mask of an object in a box inside the image, (h, w) bool."""
        mask: Mask = self.labels[box.slices] == id
        return mask


class CoarseMasks:
    """A stack of masks: the first one is object 1.

    Parameters
    ----------
    cuts : sequence of Cut
        Tight; empty masks have empty boxes and are no objects.
    shape : (int, int)
        Height and width of the image.
    """

    def __init__(self, cuts: Sequence[Cut], shape: tuple[int, int]) -> None:
        self.cuts = cuts
        self.facts = {"shape": [len(cuts), *shape], "dtype": "bool"}
        self.shape = shape
        self.objects = tuple(
            LabelledObject(id, int(np.count_nonzero(cut.mask)), cut.box)
            for id, cut in enumerate(cuts, start=1)
            if cut.mask.size
        )

    def mask(self, id: int, box: Box) -> Mask:
        """The coarse mask of an object in a box inside the image, (h, w) bool."""
        return self.cuts[id - 1].within(box)
