"""Made-up tissue: cells that fill the picture, with walls, lines or mere shades."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from napari_segrefiner.training.fields import blur, enlarge, grid, ramp, random_field
from napari_segrefiner.training.optics import Coverage, Surface, over
from napari_segrefiner.training.textures import draw_contrast

Mask = npt.NDArray[np.bool_]


def draw_tissue(
    rng: np.random.Generator,
    canvas: Surface,
    colour: npt.NDArray[np.float32],
    paint_like: Callable[[npt.NDArray[np.float32]], Surface],
) -> tuple[Surface, Mask, Mask]:
    """Draw cells over a canvas; the object is the cell in the window's middle.

    Parameters
    ----------
    canvas : (3, S, S) float32 array
        The cells' own surface, of mean `colour` (3,).
    paint_like : callable
        Paints another material of a given mean colour.

    Returns
    -------
    image : (3, S, S) float32 array
    fine, others : (S, S) bool arrays
        They meet in the middle of the walls, or stop at them.
    """
    side = canvas.shape[-1]
    spacing = float(np.exp(rng.uniform(np.log(9), np.log(44)))) * side / 64
    first, second, owner = _voronoi(rng, side, spacing)
    is_mine = owner == owner[side // 2, side // 2]
    n = int(owner.max()) + 1
    if rng.random() < 0.7:  # each cell its own shade, seldom a strong one
        spread = float(np.exp(rng.uniform(np.log(0.01), np.log(0.25))))
        way = draw_contrast(rng, colour, 0.5, 0.6) - colour
        shades = rng.normal(0, 2 * spread, n).astype(np.float32)
        shade = blur(shades[owner], rng.uniform(0.4, 1.2))
        canvas = canvas + way[:, None, None] * shade
    if rng.random() < 0.12:  # two kinds of cells
        kinds = (rng.random(n) < 0.5).astype(np.float32)[owner]
        canvas = over(canvas, paint_like(draw_contrast(rng, colour)), blur(kinds, 0.6))
    if rng.random() < 0.5:
        core = np.clip(rng.uniform(0.2, 0.5) * spacing - first + 0.5, 0, 1)
        nucleated = (rng.random(n) < rng.uniform(0.5, 1.0)).astype(np.float32)[owner]
        nucleus = draw_contrast(rng, colour)[:, None, None]
        canvas = over(canvas, nucleus, blur((core * nucleated).astype(np.float32), 0.7))
    fine, others = is_mine, ~is_mine
    if rng.random() < 0.85:
        width = rng.uniform(0.5, 0.08 * spacing + 1.2)
        wall = np.clip(width - (second - first) / 2 + 0.5, 0, 1).astype(np.float32)
        if rng.random() < 0.3:  # the labels stop at the wall
            fine, others = fine & (wall < 0.5), others & (wall < 0.5)
        if rng.random() < 0.4:  # walls that fade in places
            wall = wall * np.clip(0.8 + 0.5 * random_field(rng, side), 0, 1)
        line = draw_contrast(rng, colour, 0.08, 0.7)[:, None, None]
        amount = np.float32(rng.uniform(0.5, 1))
        canvas = over(canvas, line, blur(wall, rng.uniform(0.3, 1.4)) * amount)
    return canvas + np.float32(rng.normal(0, 0.05)) * ramp(rng, side), fine, others


def _voronoi(
    rng: np.random.Generator, side: int, spacing: float
) -> tuple[Coverage, Coverage, npt.NDArray[np.int64]]:
    """Distance to the nearest and second nearest seed, and the nearest one's index."""
    reach = (
        side * 0.75 + 1.5 * spacing
    )  # the turned window, and cells cut by its border
    n = int(np.ceil(2 * reach / spacing))
    line = spacing * (np.arange(n) - (n - 1) / 2)
    seeds = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    seeds += rng.normal(0, rng.uniform(0.1, 0.35) * spacing, seeds.shape)
    y, x = grid(side)
    cells = max(3, min(16, int(3 * side / spacing)))
    bend = np.float32(rng.uniform(0, 0.12) * spacing) * enlarge(
        rng.standard_normal((2, cells, cells), dtype=np.float32), side
    )
    y, x = y - side / 2 + bend[0], x - side / 2 + bend[1]
    angle, stretch = rng.uniform(0, np.pi), float(np.exp(rng.uniform(0, 0.7)))
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    # Seeds lie on the turned and stretched plane, so that cells come elongated too.
    u, v = (x * cos + y * sin) / np.float32(stretch), y * cos - x * sin
    inside = (np.abs(seeds[:, 1]) < reach / stretch) & (np.abs(seeds[:, 0]) < reach)
    seeds = seeds[inside].astype(np.float32)
    away = (u - seeds[:, 1, None, None]) ** 2 + (v - seeds[:, 0, None, None]) ** 2
    owner = away.argmin(axis=0)
    first = np.take_along_axis(away, owner[None], axis=0)[0]
    np.put_along_axis(away, owner[None], np.inf, axis=0)
    return np.sqrt(first), np.sqrt(away.min(axis=0)), owner
