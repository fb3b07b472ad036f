"""The noise of the diffusion: uniforms for each object, whoever runs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError

Fields = npt.NDArray[np.float32]


class SeededNoise:
    """Uniforms that depend on the seed and on each object's id alone.

    Drawn on the CPU by a counter-based generator (Philox), so that they are the same on
    every device, in every batch and in every order.

    Parameters
    ----------
    seed : int
    ids : sequence of int
        Labels of the batch.
    side : int
        Of the grid, px.
    streams : sequence of int, optional
        Tells several draws for one object apart, as those of its windows; by default
        0 for all.
    """

    def __init__(
        self,
        seed: int,
        ids: Sequence[int],
        side: int,
        streams: Sequence[int] | None = None,
    ) -> None:
        self._shape = (side, side)
        self._generators = [
            np.random.Generator(
                np.random.Philox(
                    key=np.array([seed % 2**64, id], dtype=np.uint64),
                    counter=np.array([0, 0, 0, stream], dtype=np.uint64),
                )
            )
            for id, stream in zip(ids, streams or [0] * len(ids), strict=True)
        ]

    def __call__(self, step: int) -> Fields:
        """The next field of every object, (N, 1, side, side) float32 in [0, 1).

        Steps are asked for in order; `step` is there for noise that is given.
        """
        fields = [g.random(self._shape, dtype=np.float32) for g in self._generators]
        return np.stack(fields)[:, None]


class GivenNoise:
    """Uniforms that were stored.

    Parameters
    ----------
    fields : (N, steps, side, side) array in [0, 1)
        For each object of the batch one field per step that draws.
    """

    def __init__(self, fields: npt.NDArray[Any]) -> None:
        self._fields = fields

    def __call__(self, step: int) -> Fields:
        """The fields of a step, (N, 1, side, side) float32."""
        return self._fields[:, step, None].astype(np.float32)


def check_noise(
    noise: npt.NDArray[Any], n_objects: int, n_fields: int, grids: set[int]
) -> None:
    """Raise InputError unless `noise` serves a run.

    Parameters
    ----------
    noise : array
        (n_objects, n_fields, grid, grid) numbers in [0, 1) are expected.
    n_objects, n_fields : int
        Objects that are refined, and fields that each of them needs.
    grids : set of int
        Sides of the grids in use; stored noise knows one only.
    """
    if len(grids) > 1:
        message = (
            f"noise is given but the objects use grids of {sorted(grids)} px; set the "
            "option grid, so that all of them use one."
        )
        raise InputError(message)
    expected = (n_objects, n_fields, *2 * tuple(grids))
    if n_objects and noise.shape != expected:
        message = f"noise has the shape {noise.shape}; {expected} is expected."
        raise InputError(message)
    if not (noise.dtype.kind == "f" and ((noise >= 0) & (noise < 1)).all()):
        message = "noise holds other values than floats in [0, 1), which are expected."
        raise InputError(message)
