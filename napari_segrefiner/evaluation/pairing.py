"""Which true object a coarse object stands for, decided once, on the coarse labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError
from napari_segrefiner.metrics import assign, overlaps
from napari_segrefiner.wording import size_text

Pairing = Literal["auto", "id", "overlap"]


@dataclass(frozen=True)
class Pairs:
    """Objects of a truth with their coarse partners.

    Attributes
    ----------
    truth_ids : (n,) int64 array
        Every true object, by rising id.
    coarse_ids : (n,) int64 array
        The partner of each, 0 where there is none.
    surplus : (m,) int64 array
        Coarse objects that stand for no true one.
    """

    truth_ids: npt.NDArray[np.int64]
    coarse_ids: npt.NDArray[np.int64]
    surplus: npt.NDArray[np.int64]

    @property
    def missing(self) -> npt.NDArray[np.int64]:
        """True objects without a partner."""
        alone: npt.NDArray[np.int64] = self.truth_ids[self.coarse_ids == 0]
        return alone


def pair_objects(
    truth: npt.NDArray[Any], coarse: npt.NDArray[Any], pairing: Pairing = "auto"
) -> Pairs:
    """Pair the objects of two label images of the same size.

    Refined labels keep their ids, so that the pairs of the coarse labels are theirs as
    well: to pair anew could only help or harm.

    Parameters
    ----------
    truth, coarse : (Y, X) integer or bool array
        0 is background.
    pairing : {"auto", "id", "overlap"}
        ``id``: equal numbers. ``overlap``: one to one, with the largest sum of IoU.
        ``auto``: by id if both hold exactly the same ids.

    Raises
    ------
    InputError
        If the sizes differ.

    Examples
    --------
    >>> pair_objects(np.array([[0, 4, 4]]), np.array([[0, 0, 7]])).coarse_ids
    array([7])
    """
    if truth.shape != coarse.shape:
        msg = (
            f"The true labels are {size_text(truth.shape)} but the coarse ones are "
            f"{size_text(coarse.shape)}; give labels of the same image."
        )
        raise InputError(msg)
    found = overlaps(truth, coarse)
    partners = np.zeros(len(found.truth_ids), dtype=np.int64)
    if pairing == "auto":
        same = np.array_equal(found.truth_ids, found.ids)
        pairing = "id" if same else "overlap"
    if pairing == "id":
        held = np.isin(found.truth_ids, found.ids)
        partners[held] = found.truth_ids[held]
    else:
        chosen = assign(found, found.iou)
        partners[found.rows[chosen]] = found.ids[found.columns[chosen]]
    return Pairs(found.truth_ids, partners, np.setdiff1d(found.ids, partners))
