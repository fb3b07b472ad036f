"""Surfaces of made-up objects and backgrounds: a colour and a pattern around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.resampling import mirrored
from napari_segrefiner.training.fields import blur, enlarge, grid, random_field

if TYPE_CHECKING:
    from napari_segrefiner.training.pictures import Picture

#: (3, S, S) float32, channels first.
Surface = npt.NDArray[np.float32]
KINDS = ("crop", "noise", "stripes", "speckle", "flat")
#: Cumulative shares of the kinds.
SHARES = np.cumsum((0.5, 0.2, 0.08, 0.1, 0.12))[:-1]


@dataclass(frozen=True)
class Look:
    """How a surface looks; painting it twice gives two pieces of the same material.

    ``colour`` is (3,), the mean; ``strength`` the standard deviation of the pattern;
    ``tint`` (3,) the direction in colour in which it varies; ``scale`` px.
    """

    colour: npt.NDArray[np.float32]
    kind: str
    strength: float
    tint: npt.NDArray[np.float32]
    scale: float
    angle: float
    picture: int


def draw_look(
    rng: np.random.Generator, colour: npt.NDArray[np.float32], n_pictures: int
) -> Look:
    """Draw the pattern around a given mean colour."""
    kind = KINDS[int(np.searchsorted(SHARES, rng.random(), side="right"))]
    if kind == "crop" and not n_pictures:
        kind = "noise"
    is_grey = rng.random() < 0.5
    tint = np.ones(3) if is_grey else 1 + rng.normal(0, 0.6, 3)
    return Look(
        colour=colour.astype(np.float32),
        kind=kind,
        strength=float(np.exp(rng.uniform(np.log(0.008), np.log(0.22)))),
        tint=tint.astype(np.float32),
        scale=float(np.exp(rng.uniform(np.log(1.5), np.log(14)))),
        angle=float(rng.uniform(0, np.pi)),
        picture=int(rng.integers(n_pictures)) if n_pictures else 0,
    )


def paint(
    rng: np.random.Generator, look: Look, pictures: Sequence[Picture], side: int
) -> Surface:
    """A (3, side, side) piece of the material."""
    base = look.colour[:, None, None]
    if look.kind == "flat":
        return np.broadcast_to(base, (3, side, side)).copy()
    if look.kind == "crop":
        pattern = _crop(rng, pictures[look.picture], look.scale, side)
        if look.tint[0] == look.tint[1]:
            pattern = np.repeat(pattern.mean(axis=0)[None], 3, axis=0)
    else:
        pattern = _pattern(rng, look, side)[None] * look.tint[:, None, None]
    pattern -= pattern.mean(axis=(1, 2), keepdims=True)
    pattern *= np.float32(look.strength) / (pattern.std() + np.float32(0.01))
    return base + pattern


def _pattern(rng: np.random.Generator, look: Look, side: int) -> Surface:
    if look.kind == "noise":
        n = int(np.clip(side / look.scale, 3, side))
        fine = enlarge(rng.standard_normal((n, n), dtype=np.float32), side)
        return fine + np.float32(rng.uniform(0, 1)) * random_field(rng, side)
    if look.kind == "stripes":
        y, x = grid(side)
        along = np.cos(look.angle) * x + np.sin(look.angle) * y
        phase = along * (2 * np.pi / max(look.scale, 2.5)) + rng.uniform(0, 6)
        bent = phase + random_field(rng, side, (3, 5)) * np.float32(rng.uniform(0, 1.5))
        waves: Surface = np.sin(bent).astype(np.float32)
        return waves
    dots = (rng.random((side, side)) < 0.5 / look.scale**1.5).astype(np.float32)
    return blur(dots, 0.4 + look.scale / 6)


def _crop(
    rng: np.random.Generator, picture: Picture, scale: float, side: int
) -> Surface:
    """A random piece of a picture, turned by 90 degrees, reduced up to 8 times."""
    exponent = min(int(rng.integers(4)), len(picture.levels) - 1)
    level = picture.levels[exponent]
    zoom = 2 if scale < 3 else 1  # fine or enlarged
    n = side // zoom
    height, width = level.shape[:2]
    y0, x0 = int(rng.integers(height)), int(rng.integers(width))
    rows = mirrored(np.arange(y0 - n // 2, y0 - n // 2 + n), height)
    columns = mirrored(np.arange(x0 - n // 2, x0 - n // 2 + n), width)
    piece = level[rows[:, None], columns].transpose(2, 0, 1).astype(np.float32)
    piece /= np.float32(255)
    if zoom > 1:
        piece = enlarge(piece, side)
    return np.ascontiguousarray(np.rot90(piece, int(rng.integers(4)), axes=(1, 2)))


def draw_colour(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """A colour in [0, 1]; half of them grey, a part of them nearly black or white."""
    if rng.random() < 0.5:
        value = rng.uniform(0.02, 0.98)
        if rng.random() < 0.3:
            value = rng.choice([rng.uniform(0.02, 0.12), rng.uniform(0.85, 0.98)])
        return np.full(3, value, np.float32)
    return rng.uniform(0.02, 0.98, 3).astype(np.float32)


def draw_contrast(
    rng: np.random.Generator,
    colour: npt.NDArray[np.float32],
    low: float = 0.05,
    high: float = 0.6,
) -> npt.NDArray[np.float32]:
    """Another colour, at a log-uniform distance; in grey along grey."""
    step = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    if colour[0] == colour[1] == colour[2] and rng.random() < 0.7:
        way = np.ones(3)
    else:
        way = rng.normal(0, 1, 3) + rng.normal(0, 0.8)
        way *= np.sqrt(3) / (np.linalg.norm(way) + 1e-6)
    mean = float(colour.mean())
    if (way.mean() > 0) != (mean < 0.5) and rng.random() < 0.8:
        way = -way  # towards the side that has room
    return np.clip(colour + step * way, 0, 1).astype(np.float32)
