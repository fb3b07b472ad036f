"""What light does at made-up bodies: soft edges, rims, halos, relief and shadows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_segrefiner.training.fields import blur

#: (3, S, S) float32, channels first.
Surface = npt.NDArray[np.float32]
#: (S, S) float32 in [0, 1].
Coverage = npt.NDArray[np.float32]


def over(canvas: Surface, surface: npt.NDArray[np.float32], alpha: Coverage) -> Surface:
    """Lay a surface, or a (3, 1, 1) colour, over the canvas where alpha is 1."""
    result: Surface = canvas + (surface - canvas) * alpha
    return result


def moved(coverage: Coverage, dy: int, dx: int) -> Coverage:
    """The coverage moved by whole pixels, its border repeated."""
    side = coverage.shape[0]
    rows = np.clip(np.arange(side) - dy, 0, side - 1)
    columns = np.clip(np.arange(side) - dx, 0, side - 1)
    return coverage[rows][:, columns]


def rim(coverage: Coverage, width: float, place: int) -> Coverage:
    """A line at the edge (place 0), or inside (1) or outside (-1) of it."""
    wide = blur(coverage, width)
    line = 4 * wide * (1 - wide)
    if place > 0:
        line = line * coverage
    elif place < 0:
        line = line * (1 - coverage)
    return line


def contact_line(first: Coverage, second: Coverage, width: float) -> Coverage:
    """A line where two bodies are near each other."""
    product = np.float32(4) * blur(first, width) * blur(second, width)
    result: Coverage = np.clip(product, 0, 1)
    return result


def halo(rng: np.random.Generator, coverage: Coverage) -> Coverage:
    """Bright outside and dark inside of the edge, as phase contrast shows bodies."""
    return blur(coverage, rng.uniform(1.8, 5)) - blur(coverage, rng.uniform(0.4, 1.2))


def relief(rng: np.random.Generator, coverage: Coverage) -> Coverage:
    """Light from one side on raised bodies, as interference contrast shows them."""
    soft = blur(coverage, rng.uniform(0.7, 1.8))
    slope = np.stack([np.gradient(soft, axis=0), np.gradient(soft, axis=1)])
    angle = rng.uniform(0, 2 * np.pi)
    light = np.array([np.sin(angle), np.cos(angle)], np.float32)
    lit: Coverage = np.float32(3) * np.tensordot(light, slope, axes=1)
    return lit


def shade_of_shadow(
    rng: np.random.Generator, coverage: Coverage, radius: float
) -> Coverage:
    """How dark a body's shadow makes the ground, as a factor."""
    reach = min(radius, 20) * rng.uniform(0.15, 0.7)
    angle = rng.uniform(0, 2 * np.pi)
    fallen = moved(coverage, round(reach * np.sin(angle)), round(reach * np.cos(angle)))
    return 1 - np.float32(rng.uniform(0.15, 0.7)) * blur(fallen, rng.uniform(0.5, 3))


def halve(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means of 2 x 2 pixels of (..., S, S)."""
    side = array.shape[-1]
    blocks = array.reshape(*array.shape[:-2], side // 2, 2, side // 2, 2)
    result: npt.NDArray[np.float32] = blocks.mean(axis=(-3, -1))
    return result


def double(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(..., S, S) enlarged twice, bilinearly, the border repeated."""
    side = 2 * array.shape[-1]
    places = np.clip((np.arange(side) + 0.5) / 2 - 0.5, 0, side // 2 - 1)
    low = np.minimum(places.astype(int), side // 2 - 2)
    part = (places - low).astype(np.float32)
    tall = array[..., low, :] * (1 - part[:, None])
    tall += array[..., low + 1, :] * part[:, None]
    wide: npt.NDArray[np.float32] = tall[..., low] * (1 - part)
    wide += tall[..., low + 1] * part
    return wide
