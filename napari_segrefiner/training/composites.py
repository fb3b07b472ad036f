"""Made-up pictures whose truth is exact: bodies, threads and tissue of every look."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_segrefiner.training.augment import AugmentOptions, augment
from napari_segrefiner.training.fields import blur, ramp, random_field
from napari_segrefiner.training.optics import (
    Coverage,
    Surface,
    contact_line,
    double,
    halo,
    halve,
    moved,
    over,
    relief,
    rim,
    shade_of_shadow,
)
from napari_segrefiner.training.simulate import signed_distance
from napari_segrefiner.training.textures import (
    Look,
    draw_colour,
    draw_contrast,
    draw_look,
    paint,
)
from napari_segrefiner.training.tissue import draw_tissue
from napari_segrefiner.training.windows import (
    WindowOptions,
    draw_window,
    warp_window,
)

if TYPE_CHECKING:
    from napari_segrefiner.training.pictures import Picture
    from napari_segrefiner.training.shapes import Rule, ShapeMaker
    from napari_segrefiner.training.windows import Mask


@dataclass(frozen=True)
class CompositeOptions:
    """Probabilities of what a composite shows (method 11); lengths in window px."""

    tissue: float = 0.14
    pasted: float = 0.12
    radius: tuple[float, float] = (5.0, 29.0)
    beyond_window: float = 0.20
    beyond_radius: tuple[float, float] = (32.0, 110.0)
    soft_edge: tuple[float, float] = (0.35, 1.6)
    hole: float = 0.10
    enclosing: float = 0.22
    same_look: float = 0.70
    texture_only: float = 0.08
    outline_only: float = 0.10
    divided_ground: float = 0.15
    parts: float = 0.22
    inner: float = 0.45
    dome: float = 0.18
    shadow: float = 0.10
    rim: float = 0.30
    contact_line: float = 0.18
    halo: float = 0.10
    relief: float = 0.05
    glare: float = 0.12
    gradient: float = 0.25
    tiny: float = 0.15


class Composite(NamedTuple):
    """(3, S, S) float32 image in [0, 1], (S, S) bool masks that never overlap."""

    image: Surface
    fine: Mask
    others: Mask
    is_patch: bool


@dataclass
class _Stage:
    """A composite while it is painted.

    ``alpha`` covers the object, ``others`` the neighbours, ``crowd`` both with their
    soft edges; ``look`` is the object's, ``behind`` what is around it.
    """

    canvas: Surface
    alpha: Coverage
    others: Coverage
    crowd: Coverage
    rule: Rule
    radius: float
    centre: tuple[float, float]
    look: Look
    behind: Look
    sigma: float
    has_outline_only: bool


class Composer:
    """Draws composites from the shapes and textures of training pictures.

    Parameters
    ----------
    pictures : sequence of sequences of Picture
        One inner sequence per set; textures are cut and objects are taken from them.
    shapes : ShapeMaker
    side : int
        Of the window, px; even.
    """

    def __init__(
        self,
        pictures: Sequence[Sequence[Picture]],
        shapes: ShapeMaker,
        side: int,
        options: CompositeOptions | None = None,
    ) -> None:
        self.sets = pictures
        self.pictures = [picture for one in pictures for picture in one]
        self.shapes = shapes
        self.side = side
        self.options = options or CompositeOptions()

    def draw(self, rng: np.random.Generator) -> Composite:
        """Draw one composite whose object has pixels inside and outside."""
        o = self.options
        while True:
            kind = rng.random()
            if kind < o.tissue:
                made = self._tissue(rng)
            elif kind < o.tissue + o.pasted and self.pictures:
                made = self._pasted(rng)
            else:
                made = self._bodies(rng)
            area = np.count_nonzero(made.fine)
            if 12 <= area <= made.fine.size - 40:
                break
        if rng.random() < o.tiny:
            made = _reduced_and_enlarged(made)
        image = np.clip(made.image, 0, 1).astype(np.float32, copy=False)
        return made._replace(image=image)

    def _look(self, rng: np.random.Generator, colour: npt.NDArray[np.float32]) -> Look:
        return draw_look(rng, colour, len(self.pictures))

    def _paint(self, rng: np.random.Generator, look: Look) -> Surface:
        return paint(rng, look, self.pictures, self.side)

    def _ground(self, rng: np.random.Generator) -> tuple[Look, Surface]:
        """A background; now and then of two materials whose border means nothing."""
        look = self._look(rng, draw_colour(rng))
        canvas = self._paint(rng, look)
        if rng.random() < self.options.divided_ground:
            canvas = self._add_parts(rng, canvas, look)
        return look, canvas

    def _contrast_look(self, rng: np.random.Generator, behind: Look) -> Look:
        """The look of something that stands out from what is behind it."""
        if rng.random() < self.options.texture_only:
            other = self._look(rng, behind.colour)
            kind = "noise" if other.kind == "flat" else other.kind
            strength = max(other.strength, 0.06)
            return dataclasses.replace(other, kind=kind, strength=strength)
        other = self._look(rng, draw_contrast(rng, behind.colour))
        if rng.random() < 0.6:  # the pattern stays below the contrast: a clear object
            step = float(np.abs(other.colour - behind.colour).max())
            weak = min(other.strength, step * float(rng.uniform(0.1, 0.6)))
            return dataclasses.replace(other, strength=weak)
        return other

    def _bodies(self, rng: np.random.Generator) -> Composite:
        """An object with neighbours on a ground or in an enclosing body."""
        o = self.options
        is_patch = rng.random() < o.beyond_window
        rule = self.shapes.draw_rule(rng)
        radius, centre = self._place(rng, is_patch)
        alpha = rule(rng, radius, centre, self.side)
        if rng.random() < o.hole:
            alpha = alpha * (1 - self._inside(rng, alpha, radius, 0.35))
        behind, canvas = self._ground(rng)
        sigma = float(np.exp(rng.uniform(*np.log(o.soft_edge))))
        if rng.random() < o.enclosing:
            body = np.maximum(self._larger(rng, radius, centre), blur(alpha, 1.5))
            behind = self._contrast_look(rng, behind)
            canvas = over(canvas, self._paint(rng, behind), blur(body, sigma))
        stage = _Stage(
            canvas=canvas,
            alpha=alpha,
            others=np.zeros_like(alpha),
            crowd=np.zeros_like(alpha),
            rule=rule,
            radius=radius,
            centre=centre,
            look=self._contrast_look(rng, behind),
            behind=behind,
            sigma=sigma,
            has_outline_only=rng.random() < o.outline_only,
        )
        surface = self._surface(rng, stage)
        self._add_neighbours(rng, stage, surface)
        soft = blur(stage.alpha, sigma)
        if rng.random() < o.shadow:
            stage.canvas = stage.canvas * shade_of_shadow(rng, stage.alpha, radius)
        stage.canvas = over(stage.canvas, surface, soft)
        stage.crowd = np.maximum(stage.crowd, soft)
        self._light(rng, stage, soft)
        fine = stage.alpha > 0.5
        return Composite(stage.canvas, fine, (stage.others > 0.5) & ~fine, is_patch)

    def _place(
        self, rng: np.random.Generator, is_patch: bool
    ) -> tuple[float, tuple[float, float]]:
        """Radius and centre; a patch has its boundary near the window's middle."""
        middle = self.side / 2
        if is_patch:
            radius = float(np.exp(rng.uniform(*np.log(self.options.beyond_radius))))
            return radius, _around(rng, (middle, middle), radius + rng.normal(0, 6))
        radius = float(np.exp(rng.uniform(*np.log(self.options.radius))))
        dy, dx = rng.normal(0, 3, 2)
        return radius * self.side / 64, (middle + float(dy), middle + float(dx))

    def _larger(
        self, rng: np.random.Generator, radius: float, centre: tuple[float, float]
    ) -> Coverage:
        """A larger body around the object, as a cell around its nucleus."""
        dy, dx = rng.normal(0, 0.35 * radius, 2)
        where = centre[0] + float(dy), centre[1] + float(dx)
        return self.shapes.draw_rule(rng)(
            rng, radius * rng.uniform(1.5, 2.6), where, self.side
        )

    def _inside(
        self, rng: np.random.Generator, alpha: Coverage, radius: float, share: float
    ) -> Coverage:
        """A smaller shape around a random point of the object."""
        places = np.flatnonzero(alpha > 0.9)
        if len(places) == 0:
            return np.zeros_like(alpha)
        y, x = divmod(int(places[rng.integers(len(places))]), self.side)
        size = min(radius, self.side / 2) * rng.uniform(0.4, 1.4) * share
        rule = self.shapes.draw_rule(rng)
        return rule(rng, max(size, 1.2), (y + 0.5, x + 0.5), self.side)

    def _surface(self, rng: np.random.Generator, stage: _Stage) -> Surface:
        """The object's own surface with parts, inner bodies and light."""
        o, look = self.options, stage.look
        if stage.has_outline_only:  # what is behind shines through
            surface = stage.canvas + np.float32(rng.normal(0, 0.01))
        else:
            surface = self._paint(rng, look)
            if rng.random() < o.parts:
                surface = self._add_parts(rng, surface, look)
        if rng.random() < o.inner:
            for _ in range(int(rng.integers(1, 4))):
                spot = self._inside(rng, stage.alpha, stage.radius, 0.5)
                inner = draw_contrast(rng, look.colour, 0.05, 0.5)[:, None, None]
                surface = over(surface, inner, blur(spot, rng.uniform(0.3, 1.2)))
        if rng.random() < o.dome:
            height = blur(stage.alpha, min(0.4 * stage.radius, 12)) - np.float32(0.5)
            light = height + np.float32(rng.uniform(-0.4, 0.4)) * ramp(rng, self.side)
            surface = surface + np.float32(rng.normal(0, 0.25)) * light
        return surface

    def _add_parts(
        self, rng: np.random.Generator, surface: Surface, look: Look
    ) -> Surface:
        """One or two areas in another material (clothes, a head, a window)."""
        for _ in range(int(rng.integers(1, 3))):
            other = self._look(rng, draw_contrast(rng, look.colour, 0.05, 0.7))
            if rng.random() < 0.5:
                height = ramp(rng, self.side) * np.float32(self.side / 2)
                height = height + np.float32(rng.normal(0, 0.15 * self.side))
            else:
                height = random_field(rng, self.side, (3, 5)) * np.float32(8)
            part = blur(np.clip(height + np.float32(0.5), 0, 1), rng.uniform(0.3, 1.0))
            surface = over(surface, self._paint(rng, other), part)
        return surface

    def _add_neighbours(
        self, rng: np.random.Generator, stage: _Stage, surface: Surface
    ) -> None:
        """Draw 0 to 5 neighbours; some lie on top and take a part of the object."""
        is_same = rng.random() < self.options.same_look
        gap = (0.0, 0.0, rng.uniform(0, 2), rng.uniform(0, 5))[int(rng.integers(4))]
        distance = signed_distance(stage.alpha > 0.5)
        free = np.clip(np.float32(0.5 - gap) - distance, 0, 1)
        for _ in range(max(0, int(rng.integers(-1, 6)))):
            size = stage.radius * float(np.exp(rng.normal(0, 0.3)))
            where = _around(
                rng, stage.centre, (stage.radius + size) * rng.uniform(0.7, 1.15)
            )
            rule = stage.rule if is_same else self.shapes.draw_rule(rng)
            body = rule(rng, size, where, self.side)
            if not body.any():
                continue
            if stage.has_outline_only:
                skin = stage.canvas
            elif is_same:  # the same material from another place
                dy, dx = rng.integers(0, self.side, 2)
                skin = np.roll(surface, (int(dy), int(dx)), (1, 2))
                skin = skin + np.float32(rng.normal(0, 0.02))
            else:
                skin = self._paint(rng, self._contrast_look(rng, stage.behind))
            if rng.random() < 0.15:
                left = stage.alpha * (1 - body)
                if left.sum() > 0.5 * stage.alpha.sum():
                    stage.alpha = left
                    free = np.maximum(free, body)
            body = body * free * (1 - stage.others)
            soft = blur(body, stage.sigma)
            stage.canvas = over(stage.canvas, skin, soft)
            stage.others = np.maximum(stage.others, body)
            stage.crowd = np.maximum(stage.crowd, soft)

    def _light(self, rng: np.random.Generator, stage: _Stage, soft: Coverage) -> None:
        """Rims, contact lines, halos, relief, glare and slopes of light."""
        o, canvas = self.options, stage.canvas
        others = blur(stage.others, stage.sigma)
        way = int(rng.integers(4)) if stage.has_outline_only else -1
        if way in (0, 1) or rng.random() < o.rim:
            low = 0.15 if stage.has_outline_only else 0.08
            colour = draw_contrast(rng, stage.look.colour, low, 0.6)[:, None, None]
            width = float(np.exp(rng.uniform(np.log(0.6), np.log(3.0))))
            amount = np.float32(rng.uniform(0.4, 1.0))
            place = int(rng.integers(-1, 2))
            for body in (soft, others):
                canvas = over(canvas, colour, amount * rim(body, width, place))
        elif rng.random() < o.contact_line:
            colour = draw_contrast(rng, stage.look.colour, 0.08, 0.6)[:, None, None]
            line = contact_line(soft, others, rng.uniform(0.5, 1.2))
            canvas = over(canvas, colour, line)
        if way == 2 or rng.random() < o.halo:
            canvas = canvas + _signed(rng, 0.2, 0.7) * halo(rng, stage.crowd)
        if way == 3 or rng.random() < o.relief:
            canvas = canvas + _signed(rng, 0.15, 0.6) * relief(rng, stage.crowd)
        if rng.random() < o.glare:
            canvas = self._glare(rng, canvas, stage)
        if rng.random() < o.gradient:
            canvas = canvas + np.float32(rng.normal(0, 0.12)) * ramp(rng, self.side)
        stage.canvas = canvas

    def _glare(
        self, rng: np.random.Generator, canvas: Surface, stage: _Stage
    ) -> Surface:
        """A large conspicuous thing beside the object that belongs to nothing."""
        middle = self.side / 2
        away = min(stage.radius, middle) + self.side * rng.uniform(0.25, 0.5)
        where = _around(rng, (middle, middle), away)
        size = self.side * rng.uniform(0.15, 0.4)
        body = self.shapes.draw_rule(rng)(rng, size, where, self.side)
        glow = blur(body * (1 - stage.crowd), rng.uniform(0.5, 3))
        colour = draw_colour(rng)[:, None, None]
        return over(canvas, colour, glow * np.float32(rng.uniform(0.3, 1.0)))

    def _pasted(self, rng: np.random.Generator) -> Composite:
        """A real object, its colours changed, in front of another ground."""
        image, fine, is_patch = self._cut_out(rng)
        if rng.random() < 0.5:
            _, canvas = self._ground(rng)
        else:
            canvas, _, _ = self._cut_out(rng)
            canvas = augment(rng, canvas, _RECOLOUR)
        # Labels are off by a pixel: the outermost one would carry the old ground along.
        inner = signed_distance(fine) - np.float32(rng.uniform(0.3, 1.3))
        alpha = np.clip(inner + np.float32(0.5), 0, 1)
        soft = blur(alpha, rng.uniform(0.35, 0.9))
        recoloured = augment(rng, image, _RECOLOUR)
        others = np.zeros_like(alpha)
        if rng.random() < 0.4:  # its twin beside it
            dy, dx = _around(rng, (0.0, 0.0), rng.uniform(0.3, 0.8) * self.side)
            step = round(dy), round(dx)
            twin = moved(soft, *step) * (1 - alpha)
            twin_surface = np.roll(recoloured, step, (1, 2))
            canvas = over(canvas, twin_surface, twin)
            others = moved(alpha, *step)
        if rng.random() < 0.2:
            canvas = canvas * shade_of_shadow(rng, alpha, 12.0)
        canvas = over(canvas, recoloured, soft)
        mask = alpha > 0.5
        return Composite(canvas, mask, (others > 0.5) & ~mask, is_patch)

    def _cut_out(self, rng: np.random.Generator) -> tuple[Surface, Mask, bool]:
        """A window on a labelled object of any set."""
        pictures = self.sets[int(rng.integers(len(self.sets)))]
        picture = pictures[int(rng.integers(len(pictures)))]
        thing = picture.things[int(rng.integers(len(picture.things)))]
        window = draw_window(rng, picture, thing, self.side, _CUT_OUT)
        image, fine, _, _ = warp_window(picture, window, self.side, thing.label)
        return image, fine, window.is_patch

    def _tissue(self, rng: np.random.Generator) -> Composite:
        look = self._look(rng, draw_colour(rng))

        def paint_like(colour: npt.NDArray[np.float32]) -> Surface:
            return self._paint(rng, self._look(rng, colour))

        image, fine, others = draw_tissue(
            rng, self._paint(rng, look), look.colour, paint_like
        )
        return Composite(image, fine, others & ~fine, False)


_CUT_OUT = WindowOptions(patch=0.25)
_RECOLOUR = AugmentOptions(
    grey=0.2, uneven_light=0.1, blur=0.1, compression=0, noise=0, single_hue=0
)


def _around(
    rng: np.random.Generator, centre: tuple[float, float], away: float
) -> tuple[float, float]:
    """A point at a distance, in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    return (
        centre[0] + away * float(np.sin(angle)),
        centre[1] + away * float(np.cos(angle)),
    )


def _signed(rng: np.random.Generator, low: float, high: float) -> np.float32:
    return np.float32(rng.uniform(low, high) * (1 if rng.random() < 0.5 else -1))


def _reduced_and_enlarged(made: Composite) -> Composite:
    """As a tiny object looks when it is shown at twice its size."""

    def small(mask: Mask) -> Mask:
        reduced = halve(mask.astype(np.float32)) >= 0.5
        result: Mask = double(reduced.astype(np.float32)) >= 0.5
        return result

    fine = small(made.fine)
    if not 12 <= np.count_nonzero(fine) <= fine.size - 40:
        return made
    image = double(halve(made.image))
    return made._replace(image=image, fine=fine, others=small(made.others) & ~fine)
