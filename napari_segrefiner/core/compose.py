"""Composing refined objects to a label image, one box at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.gaps import close_gaps

if TYPE_CHECKING:
    from napari_segrefiner.core.coarse import CoarseLabels
    from napari_segrefiner.core.objects import LabelledObject
    from napari_segrefiner.core.plan import Plan
    from napari_segrefiner.geometry import Box

Mask = npt.NDArray[np.bool_]

#: Certainty of a pixel that nobody may take; probabilities go up to one less.
HELD = np.iinfo(np.uint16).max


class Canvas:
    """A label image on which refined objects settle who gets which pixel.

    The higher probability wins, between equal ones the smaller label; in which order
    objects are painted does not matter. Labels that are not refined are never touched.

    Parameters
    ----------
    coarse : (Y, X) array of integers >= 0
        Read, never written to.
    refined : sequence of LabelledObject
        The objects that are going to be painted; they are taken off the canvas.
    protects : bool
        Whether `coarse` has labels besides them.

    Notes
    -----
    Besides the result there is one array of the image's size, of 16-bit probabilities.
    """

    def __init__(
        self,
        coarse: npt.NDArray[Any],
        refined: Sequence[LabelledObject],
        *,
        protects: bool,
    ) -> None:
        self._coarse = coarse
        self._certainty = np.zeros(coarse.shape, np.uint16)
        # Of the machine's byte order, in which alone NumPy looks for large ids.
        native = coarse.dtype.newbyteorder("=")
        self._refined_ids = (
            np.array([o.id for o in refined], native) if protects else None
        )
        self.labels = coarse.copy()
        for found in refined:
            part = self.labels[found.box.slices]
            part[part == found.id] = 0

    @classmethod
    def of(cls, coarse: CoarseLabels, plan: Plan) -> Canvas:
        """The canvas of a run over a label image."""
        return cls(
            coarse.labels,
            [job.target for job in plan.jobs],
            protects=len(plan.ids) < len(coarse.objects),
        )

    def paint(
        self, id: int, box: Box, mask: Mask, probability: npt.NDArray[np.float32]
    ) -> None:
        """Claim the pixels of a mask for a label.

        Parameters
        ----------
        id : int
        box : Box
            Inside the image.
        mask : (h, w) bool array
        probability : (h, w) float32 array in [0, 1]
            Of the object. Where the mask differs from it (a coarse pixel that was kept)
            the decision counts as equally sure.
        """
        labels, certainty = self.labels[box.slices], self._certainty[box.slices]
        sure = np.abs(probability - 0.5) * (2 * (HELD - 2)) + 1
        claim = np.rint(sure).astype(np.uint16)
        wins = (claim > certainty) | ((claim == certainty) & (labels > id))
        wins &= mask
        if self._refined_ids is not None:
            coarse = self._coarse[box.slices]
            wins &= (coarse == 0) | np.isin(coarse, self._refined_ids)
        labels[wins] = id
        certainty[wins] = claim[wins]

    def hold(self, found: LabelledObject, own: Mask | None = None) -> None:
        """Give an object exactly its coarse mask; nobody takes it away.

        Parameters
        ----------
        found : LabelledObject
        own : (h, w) bool array, optional
            Coarse pixels in its box, where it is but a part of those with its label.
        """
        if own is None:
            own = self._coarse[found.box.slices] == found.id
        self.labels[found.box.slices][own] = found.id
        self._certainty[found.box.slices][own] = HELD

    def hold_vanished(self, painted: Iterable[tuple[LabelledObject, Box]]) -> set[int]:
        """Hold the objects that have no pixel left in their boxes; returns their ids.

        What they get back may have been the last pixels of others: those are held too.
        """
        candidates, held = list(painted), set[int]()
        while vanished := [
            o for o, box in candidates if not self.mask(o.id, box).any()
        ]:
            for found in vanished:
                self.hold(found)
            held |= {found.id for found in vanished}
            candidates = [(o, box) for o, box in candidates if o.id not in held]
        return held

    def mask(self, id: int, box: Box) -> Mask:
        """Where a label stands now, (h, w) bool."""
        mask: Mask = self.labels[box.slices] == id
        return mask

    def close_gaps(self, box: Box) -> None:
        """Let objects that touched in a box touch again, see :mod:`core.gaps`."""
        close_gaps(self._coarse[box.slices], self.labels[box.slices])
