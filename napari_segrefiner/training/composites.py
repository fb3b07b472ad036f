"""Made-up pictures whose truth is exact: bodies, tissue and threads of every look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_segrefiner.training.fields import blur, enlarge, grid, ramp, random_field
from napari_segrefiner.training.pictures import Picture
from napari_segrefiner.training.shapes import Coverage, ShapeMaker
from napari_segrefiner.training.simulate import signed_distance
from napari_segrefiner.training.textures import (
    Look,
    Surface,
    draw_colour,
    draw_contrast,
    draw_look,
    paint,
)
from napari_segrefiner.training.windows import Mask


@dataclass(frozen=True)
class CompositeOptions:
    """Probabilities of what a composite shows (RECIPE 4); lengths in window px."""

    tissue: float = 0.14
    radius: tuple[float, float] = (5.0, 29.0)
    beyond_window: float = 0.20
    beyond_radius: tuple[float, float] = (32.0, 110.0)
    hole: float = 0.10
    enclosing: float = 0.22
    same_look: float = 0.70
    texture_only: float = 0.08
    parts: float = 0.22
    inner: float = 0.45
    rim: float = 0.30
    contact_line: float = 0.25
    halo: float = 0.10
    relief: float = 0.05
    dome: float = 0.18
    shadow: float = 0.10
    glare: float = 0.12
    gradient: float = 0.25
    tiny: float = 0.15
    soft_edge: tuple[float, float] = (0.35, 1.6)


class Composite(NamedTuple):
    """(3, S, S) float32 image in [0, 1], (S, S) bool masks that never overlap."""

    image: Surface
    fine: Mask
    others: Mask
    is_patch: bool


class Composer:
    """Draws composites from the shapes and textures of training pictures.

    Parameters
    ----------
    pictures : sequence of Picture
        Where textures are cut from; may be empty.
    shapes : ShapeMaker
    side : int
        Of the window, px.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        shapes: ShapeMaker,
        side: int,
        options: CompositeOptions | None = None,
    ) -> None:
        self.pictures = pictures
        self.shapes = shapes
        self.side = side
        self.options = options or CompositeOptions()

    def draw(self, rng: np.random.Generator) -> Composite:
        """Draw one composite whose object has pixels inside and outside."""
        while True:
            if rng.random() < self.options.tissue:
                made = self._tissue(rng)
            else:
                made = self._bodies(rng)
            area = np.count_nonzero(made.fine)
            if 12 <= area <= made.fine.size - 40:
                break
        if rng.random() < self.options.tiny:
            made = _reduced_and_enlarged(made)
        return made._replace(image=np.clip(made.image, 0, 1))

    def _look(self, rng: np.random.Generator, colour: npt.NDArray[np.float32]) -> Look:
        return draw_look(rng, colour, len(self.pictures))

    def _paint(self, rng: np.random.Generator, look: Look) -> Surface:
        return paint(rng, look, self.pictures, self.side)

    def _contrast_look(self, rng: np.random.Generator, behind: Look) -> Look:
        """The look of something that stands out from what is behind it."""
        if rng.random() < self.options.texture_only:
            other = self._look(rng, behind.colour)
            strength = max(other.strength, 0.06)
            kind = "noise" if other.kind == "flat" else other.kind
            return Look(
                behind.colour,
                kind,
                strength,
                other.tint,
                other.scale,
                other.angle,
                other.picture,
            )
        other = self._look(rng, draw_contrast(rng, behind.colour))
        if rng.random() < 0.5:  # the pattern stays below the contrast: a clear object
            step = float(np.abs(other.colour - behind.colour).max())
            weak = min(other.strength, step * float(rng.uniform(0.1, 0.6)))
            other = Look(
                other.colour,
                other.kind,
                weak,
                other.tint,
                other.scale,
                other.angle,
                other.picture,
            )
        return other

    def _bodies(self, rng: np.random.Generator) -> Composite:
        o, side = self.options, self.side
        rule = self.shapes.draw_rule(rng)
        is_patch = rng.random() < o.beyond_window
        radius, centre = self._place(rng, is_patch)
        alpha = rule(rng, radius, centre, side)
        if rng.random() < o.hole:
            alpha = alpha * (1 - self._inside(rng, alpha, radius, 0.35))
        behind = self._look(rng, draw_colour(rng))
        canvas = self._paint(rng, behind)
        if (
            rng.random() < 0.15
        ):  # background of two materials, its border not the object's
            canvas = self._add_parts(rng, canvas, behind, np.ones_like(alpha))
        sigma = float(np.exp(rng.uniform(*np.log(o.soft_edge))))
        if rng.random() < o.enclosing:
            outer = self.shapes.draw_rule(rng)
            body = outer(
                rng,
                radius * rng.uniform(1.5, 2.6),
                (
                    centre[0] + rng.normal(0, 0.35 * radius),
                    centre[1] + rng.normal(0, 0.35 * radius),
                ),
                side,
            )
            body = np.maximum(body, blur(alpha, 1.5))
            look = self._contrast_look(rng, behind)
            canvas = _over(canvas, self._paint(rng, look), blur(body, sigma))
            behind = look
        look = self._contrast_look(rng, behind)
        surface = self._surface(rng, look, alpha, radius)
        distance = signed_distance(alpha > 0.5)
        others, in_front, canvas, alpha = self._neighbours(
            rng, canvas, alpha, distance, rule, radius, centre, look, behind, sigma
        )
        soft = blur(alpha, sigma)
        if rng.random() < o.shadow:
            canvas = _cast_shadow(rng, canvas, alpha, radius)
        canvas = _over(canvas, surface, soft)
        crowd = np.maximum(soft, in_front)
        canvas = self._finish(rng, canvas, soft, crowd, in_front, look, radius)
        fine = alpha > 0.5
        return Composite(canvas, fine, (others > 0.5) & ~fine, is_patch)

    def _place(
        self, rng: np.random.Generator, is_patch: bool
    ) -> tuple[float, tuple[float, float]]:
        """Radius and centre; a patch has its boundary pass near the window's middle."""
        o, middle = self.options, self.side / 2
        if is_patch:
            radius = float(np.exp(rng.uniform(*np.log(o.beyond_radius))))
            angle = rng.uniform(0, 2 * np.pi)
            away = radius + rng.normal(0, 6)
            return radius, (
                middle + away * float(np.sin(angle)),
                middle + away * float(np.cos(angle)),
            )
        radius = float(np.exp(rng.uniform(*np.log(o.radius)))) * self.side / 64
        jitter = rng.normal(0, 3, 2)
        return radius, (middle + float(jitter[0]), middle + float(jitter[1]))

    def _inside(
        self, rng: np.random.Generator, alpha: Coverage, radius: float, share: float
    ) -> Coverage:
        """Coverage of a smaller shape around a random point of the object."""
        places = np.flatnonzero(alpha > 0.9)
        if len(places) == 0:
            return np.zeros_like(alpha)
        y, x = divmod(int(places[rng.integers(len(places))]), self.side)
        rule = self.shapes.draw_rule(rng)
        size = min(radius, self.side / 2) * rng.uniform(0.4, 1.4) * share
        return rule(rng, max(size, 1.2), (y + 0.5, x + 0.5), self.side)

    def _surface(
        self, rng: np.random.Generator, look: Look, alpha: Coverage, radius: float
    ) -> Surface:
        """The object's own surface with parts, inner bodies and light."""
        o = self.options
        surface = self._paint(rng, look)
        if rng.random() < o.parts:
            surface = self._add_parts(rng, surface, look, alpha)
        if rng.random() < o.inner:
            for _ in range(int(rng.integers(1, 4))):
                spot = blur(
                    self._inside(rng, alpha, radius, 0.5), rng.uniform(0.3, 1.2)
                )
                inner = draw_contrast(rng, look.colour, 0.05, 0.5)
                surface = _over(surface, inner[:, None, None], spot)
        if rng.random() < o.dome:
            height = blur(alpha, min(0.4 * radius, 12)) - np.float32(0.5)
            light = height + np.float32(rng.uniform(-0.4, 0.4)) * ramp(rng, self.side)
            surface = surface + np.float32(rng.normal(0, 0.25)) * light
        return surface

    def _add_parts(
        self, rng: np.random.Generator, surface: Surface, look: Look, alpha: Coverage
    ) -> Surface:
        """One or two parts of the body in another material (clothes, a head, a window)."""
        for _ in range(int(rng.integers(1, 3))):
            other = self._look(rng, draw_contrast(rng, look.colour, 0.05, 0.7))
            if rng.random() < 0.5:
                height = ramp(rng, self.side) * np.float32(self.side / 2)
                height = height + np.float32(rng.normal(0, 0.15 * self.side))
            else:
                height = random_field(rng, self.side, (3, 5)) * np.float32(8)
            part = blur(np.clip(height + np.float32(0.5), 0, 1), rng.uniform(0.3, 1.0))
            surface = _over(surface, self._paint(rng, other), part)
        return surface

    def _neighbours(
        self,
        rng: np.random.Generator,
        canvas: Surface,
        alpha: Coverage,
        distance: npt.NDArray[np.float32],
        rule: Callable[..., Coverage],
        radius: float,
        centre: tuple[float, float],
        look: Look,
        behind: Look,
        sigma: float,
    ) -> tuple[Coverage, Coverage, Surface, Coverage]:
        """Draw 0 to 5 neighbours; some lie on top and take a part of the object."""
        others = np.zeros_like(alpha)
        painted = np.zeros_like(alpha)
        is_same = rng.random() < self.options.same_look
        gap = np.float32(rng.choice([0.0, 0.0, rng.uniform(0, 2), rng.uniform(0, 5)]))
        outside = np.clip(np.float32(0.5) - distance - gap, 0, 1)
        for _ in range(int(rng.choice(6, p=(0.25, 0.15, 0.18, 0.16, 0.14, 0.12)))):
            size = radius * float(np.exp(rng.normal(0, 0.3)))
            angle = rng.uniform(0, 2 * np.pi)
            away = (radius + size) * rng.uniform(0.7, 1.15)
            where = (
                centre[0] + away * float(np.sin(angle)),
                centre[1] + away * float(np.cos(angle)),
            )
            kind = rule if is_same else self.shapes.draw_rule(rng)
            body = kind(rng, size, where, self.side)
            if is_same:
                skin = self._paint(rng, look) + np.float32(rng.normal(0, 0.02))
            else:
                skin = self._paint(rng, self._contrast_look(rng, behind))
            on_top = rng.random() < 0.15
            if on_top:
                alpha = alpha * (1 - body)
                outside = np.maximum(outside, body)
            body = body * outside * (1 - others)
            canvas = _over(canvas, skin, blur(body, sigma))
            others = np.maximum(others, body)
            painted = np.maximum(painted, blur(body, sigma))
        return others, painted, canvas, alpha

    def _finish(
        self,
        rng: np.random.Generator,
        canvas: Surface,
        soft: Coverage,
        crowd: Coverage,
        neighbours: Coverage,
        look: Look,
        radius: float,
    ) -> Surface:
        """Rims, contact lines, halos, relief, glare and light on the whole picture."""
        o, side = self.options, self.side
        if rng.random() < o.rim:
            width = rng.uniform(0.6, 2.2)
            colour = draw_contrast(rng, look.colour, 0.08, 0.6)[:, None, None]
            amount = np.float32(rng.uniform(0.4, 1.0))
            for body in (soft, neighbours):
                wide = blur(body, width)
                line = 4 * wide * (1 - wide) * amount
                if rng.random() < 0.5:
                    line = line * body  # inside only
                canvas = _over(canvas, colour, line)
        elif rng.random() < o.contact_line:
            width = rng.uniform(0.5, 1.2)
            both = np.clip(4 * blur(soft, width) * blur(neighbours, width), 0, 1)
            colour = draw_contrast(rng, look.colour, 0.08, 0.6)[:, None, None]
            canvas = _over(canvas, colour, both)
        if rng.random() < o.halo:
            wide = blur(crowd, rng.uniform(2, 5)) - blur(crowd, rng.uniform(0.6, 1.2))
            canvas = canvas + np.float32(rng.normal(0, 0.6)) * wide
        if rng.random() < o.relief:
            canvas = canvas + np.float32(rng.normal(0, 0.5)) * _relief(rng, crowd)
        if rng.random() < o.glare:
            angle = rng.uniform(0, 2 * np.pi)
            away = radius + side * rng.uniform(0.25, 0.5)
            body = self.shapes.draw_rule(rng)(
                rng,
                side * rng.uniform(0.15, 0.4),
                (
                    side / 2 + away * float(np.sin(angle)),
                    side / 2 + away * float(np.cos(angle)),
                ),
                side,
            )
            strength = np.float32(rng.uniform(0.3, 1.0))
            glow = blur(body * (1 - crowd), rng.uniform(0.5, 3)) * strength
            canvas = _over(canvas, draw_colour(rng)[:, None, None], glow)
        if rng.random() < o.gradient:
            canvas = canvas + np.float32(rng.normal(0, 0.12)) * ramp(rng, side)
        return canvas

    def _tissue(self, rng: np.random.Generator) -> Composite:
        """Cells that fill the picture, with walls, thin lines or mere changes of look."""
        side = self.side
        spacing = float(np.exp(rng.uniform(np.log(9), np.log(44)))) * side / 64
        first, second, owner = _voronoi(rng, side, spacing)
        fine = owner == owner[side // 2, side // 2]
        base = self._look(rng, draw_colour(rng))
        canvas = self._paint(rng, base)
        n = int(owner.max()) + 1
        if rng.random() < 0.7:  # each cell its own shade, seldom a strong one
            spread = float(np.exp(rng.uniform(np.log(0.01), np.log(0.25))))
            way = draw_contrast(rng, base.colour, 0.5, 0.6) - base.colour
            shades = rng.normal(0, spread, n).astype(np.float32)
            shade = blur(shades[owner], rng.uniform(0.4, 1.2))
            canvas = canvas + 2 * way[:, None, None] * shade
        if rng.random() < 0.5:  # nuclei
            core = np.clip(rng.uniform(0.2, 0.5) * spacing - first + 0.5, 0, 1)
            colour = draw_contrast(rng, base.colour)[:, None, None]
            has = (rng.random(n) < rng.uniform(0.5, 1.0)).astype(np.float32)[owner]
            canvas = _over(canvas, colour, blur((core * has).astype(np.float32), 0.7))
        if rng.random() < 0.85 or base.kind == "flat":
            width = rng.uniform(0.5, 0.08 * spacing + 1.2)
            wall = np.clip(width - (second - first) / 2 + 0.5, 0, 1)
            colour = draw_contrast(rng, base.colour, 0.08, 0.7)[:, None, None]
            amount = np.float32(rng.uniform(0.5, 1))
            if rng.random() < 0.4:  # walls that fade in places
                fade = np.clip(0.8 + 0.5 * random_field(rng, side), 0, 1)
                wall = wall * fade
            soft = blur(wall.astype(np.float32), rng.uniform(0.3, 1.4))
            canvas = _over(canvas, colour, soft * amount)
            is_wall_apart = rng.random() < 0.3  # the labels stop at the wall
            if is_wall_apart:
                fine = fine & (wall < 0.5)
        others = owner != owner[side // 2, side // 2]
        canvas = canvas + np.float32(rng.normal(0, 0.05)) * ramp(rng, side)
        return Composite(canvas.astype(np.float32), fine, others & ~fine, False)


def _voronoi(
    rng: np.random.Generator, side: int, spacing: float
) -> tuple[Coverage, Coverage, npt.NDArray[np.int64]]:
    """Distance to the nearest and second nearest seed, and the nearest one's index."""
    n = int(np.ceil((side + 4 * spacing) / spacing))
    start = side / 2 - spacing * (n // 2)
    line = start + spacing * np.arange(n)
    seeds = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    seeds = seeds + rng.normal(0, rng.uniform(0.1, 0.35) * spacing, seeds.shape)
    near = np.all((seeds > -1.6 * spacing) & (seeds < side + 1.6 * spacing), axis=1)
    seeds = seeds[near].astype(np.float32)
    stretch = np.float32(np.exp(rng.uniform(0, 0.7)))
    y, x = grid(side)
    bend = np.float32(rng.uniform(0, 0.12) * spacing)
    cells = max(3, min(16, int(3 * side / spacing)))
    y = y + bend * enlarge(rng.standard_normal((cells, cells), dtype=np.float32), side)
    x = x + bend * enlarge(rng.standard_normal((cells, cells), dtype=np.float32), side)
    angle = rng.uniform(0, np.pi)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    middle = np.float32(side / 2)
    u, v = (
        (x - middle) * cos + (y - middle) * sin,
        (y - middle) * cos - (x - middle) * sin,
    )
    seeds -= middle
    # Seeds are laid on the turned and stretched plane, so cells come elongated too.
    away = np.sqrt(
        (u[None] / stretch - seeds[:, 1, None, None]) ** 2
        + (v[None] - seeds[:, 0, None, None]) ** 2
    )
    owner = away.argmin(axis=0)
    first, second = np.partition(away, 1, axis=0)[:2]
    return first, second, owner


def _over(canvas: Surface, surface: Surface, alpha: Coverage) -> Surface:
    """Lay a surface over the canvas where alpha is 1."""
    result: Surface = canvas + (surface - canvas) * alpha
    return result


def _cast_shadow(
    rng: np.random.Generator, canvas: Surface, alpha: Coverage, radius: float
) -> Surface:
    """Darken the ground beside the object."""
    reach = min(radius, 20) * rng.uniform(0.15, 0.7)
    angle = rng.uniform(0, 2 * np.pi)
    dy, dx = round(reach * np.sin(angle)), round(reach * np.cos(angle))
    side = alpha.shape[0]
    rows = np.clip(np.arange(side) - dy, 0, side - 1)
    columns = np.clip(np.arange(side) - dx, 0, side - 1)
    shade = blur(alpha[rows][:, columns], rng.uniform(0.5, 3))
    return canvas * (1 - np.float32(rng.uniform(0.15, 0.7)) * shade)


def _relief(rng: np.random.Generator, crowd: Coverage) -> Coverage:
    """Light from one side on raised bodies, as interference contrast shows them."""
    soft = blur(crowd, rng.uniform(0.8, 1.8))
    dy, dx = np.gradient(soft)
    angle = rng.uniform(0, 2 * np.pi)
    result: Coverage = (np.sin(angle) * dy + np.cos(angle) * dx).astype(np.float32) * 3
    return result


def _reduced_and_enlarged(made: Composite) -> Composite:
    """As a tiny object looks when it is shown at twice its size."""
    side = made.fine.shape[0]

    def halve(array: Surface) -> Surface:
        half: Surface = array.reshape(
            *array.shape[:-2], side // 2, 2, side // 2, 2
        ).mean(axis=(-3, -1))
        return half

    def double(array: Surface) -> Surface:
        rows = np.clip((np.arange(side) + 0.5) / 2 - 0.5, 0, side // 2 - 1)
        low = np.minimum(rows.astype(int), side // 2 - 2)
        part = (rows - low).astype(np.float32)
        tall = (
            array[..., low, :] * (1 - part[:, None])
            + array[..., low + 1, :] * part[:, None]
        )
        wide: Surface = tall[..., low] * (1 - part) + tall[..., low + 1] * part
        return wide

    def small(mask: Mask) -> Mask:
        reduced = (halve(mask.astype(np.float32)) >= 0.5).astype(np.float32)
        result: Mask = double(reduced) >= 0.5
        return result

    fine = small(made.fine)
    if np.count_nonzero(fine) < 12:
        return made
    others = small(made.others) & ~fine
    return made._replace(image=double(halve(made.image)), fine=fine, others=others)
