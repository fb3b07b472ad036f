"""Outlines of made-up objects as coverage maps: from labels, or drawn by rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from napari_segrefiner.training.fields import enlarge, grid
from napari_segrefiner.training.windows import Mask, Window, draw_turn, warp_mask

if TYPE_CHECKING:
    from napari_segrefiner.training.pictures import Picture, Thing

#: (S, S) float32 in [0, 1]: the share of each pixel that the object covers.
Coverage = npt.NDArray[np.float32]
#: Rules draw at this multiple of the window and reduce.
OVERSAMPLING = 4
#: Stored label shapes have at most this side, px.
MAX_STORED = 128


class Rule(Protocol):
    """Draws a shape of its kind, in its details another each time."""

    def __call__(
        self,
        rng: np.random.Generator,
        radius: float,
        centre: tuple[float, float],
        side: int,
    ) -> Coverage:
        """Draw it about a centre (y, x), maybe outside the window; lengths in px."""


def label_shape(picture: Picture, thing: Thing) -> Mask:
    """The object's mask in its box, reduced to at most MAX_STORED px."""
    mask = picture.labels[thing.box.slices] == thing.label
    factor = -(-thing.side // MAX_STORED)
    if factor > 1:
        image = Image.fromarray(mask.astype(np.uint8) * 255).reduce(factor)
        mask = np.asarray(image) >= 128
    return np.pad(mask, 2)


class ShapeMaker:
    """Draws coverage maps; the same rule again gives relatives of the same kind.

    Parameters
    ----------
    stored : sequence of sequences of (h, w) bool arrays
        Label shapes, one inner sequence per set.
    """

    def __init__(self, stored: Sequence[Sequence[Mask]]) -> None:
        self.stored = [list(masks) for masks in stored if masks]

    def draw_rule(self, rng: np.random.Generator) -> Rule:
        """Draw a kind of shape; half of the kinds are the label shapes of one set."""
        if self.stored and rng.random() < 0.5:
            masks = self.stored[int(rng.integers(len(self.stored)))]

            def from_label(
                rng: np.random.Generator,
                radius: float,
                centre: tuple[float, float],
                side: int,
            ) -> Coverage:
                mask = masks[int(rng.integers(len(masks)))]
                angle, flip = draw_turn(rng, 1.0)
                window = Window(centre[0], centre[1], 1.0, angle, flip)
                return warp_mask(mask, radius, side, window)

            return from_label
        rules = (
            fourier_star,
            fourier_star,
            ellipse,
            rod,
            corner_polygon,
            amoeba,
            branching,
            crescent,
            bunch,
            curved_worm,
        )
        return rules[int(rng.integers(len(rules)))]


def _outline(
    points: npt.NDArray[np.float64], centre: tuple[float, float], side: int
) -> Coverage:
    """Coverage of the polygon of (y, x) points around `centre`."""
    canvas = Image.new("L", (side * OVERSAMPLING, side * OVERSAMPLING))
    scaled = (points + centre) * OVERSAMPLING
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for y, x in scaled], fill=255)
    return np.asarray(canvas.reduce(OVERSAMPLING), dtype=np.float32) / np.float32(255)


def _polar(radii: npt.NDArray[np.float64], turn: float) -> npt.NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False) + turn
    return np.stack([radii * np.sin(angles), radii * np.cos(angles)], axis=1)


def fourier_star(
    rng: np.random.Generator, radius: float, centre: tuple[float, float], side: int
) -> Coverage:
    """A radius that varies by a few random waves around the turn."""
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    radii = np.ones(72)
    roughness = rng.uniform(0.02, 0.35)
    for k in range(1, int(rng.integers(3, 9))):
        size = rng.normal(0, roughness / k**0.7)
        radii += size * np.cos(k * angles + rng.uniform(0, 2 * np.pi))
    return _outline(_polar(radius * np.clip(radii, 0.15, 3), 0.0), centre, side)


def ellipse(
    rng: np.random.Generator, radius: float, centre: tuple[float, float], side: int
) -> Coverage:
    """An ellipse up to 1 : 3.2, or a rounded box."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    aspect = np.exp(rng.uniform(0, 0.58))
    power = 1.0 if rng.random() < 0.65 else rng.uniform(0.3, 0.8)
    y, x = np.sin(angles), np.cos(angles)
    points = np.stack(
        [
            np.sign(y) * np.abs(y) ** power / aspect,
            np.sign(x) * np.abs(x) ** power * aspect,
        ],
        axis=1,
    )
    return _outline(radius * _turned(points, rng.uniform(0, 2 * np.pi)), centre, side)


def _turned(points: npt.NDArray[np.float64], angle: float) -> npt.NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    result: npt.NDArray[np.float64] = points @ np.array([[cos, -sin], [sin, cos]])
    return result


def rod(
    rng: np.random.Generator, radius: float, centre: tuple[float, float], side: int
) -> Coverage:
    """A straight rod with round ends, 2 to 8 times as long as wide."""
    aspect = rng.uniform(2, 8)
    width = radius * np.sqrt(np.pi / aspect)
    angle = rng.uniform(0, 2 * np.pi)
    half = width * (aspect - 1) / 2 * np.array([np.sin(angle), np.cos(angle)])
    return _strokes([(-half, half, width, width)], centre, side)


def corner_polygon(
    rng: np.random.Generator, radius: float, centre: tuple[float, float], side: int
) -> Coverage:
    """3 to 9 corners, regular or not."""
    n = int(rng.integers(3, 10))
    wobble = rng.uniform(0, 0.4)
    radii = radius * np.clip(1.1 + rng.normal(0, wobble, n), 0.3, 2)
    points = _polar(radii, rng.uniform(0, 2 * np.pi))
    points[:, 0] *= np.exp(rng.uniform(-0.6, 0))
    return _outline(_turned(points, rng.uniform(0, 2 * np.pi)), centre, side)


def amoeba(
    rng: np.random.Generator, radius: float, centre: tuple[float, float], side: int
) -> Coverage:
    """The inside of a wobbling surface: lobes, bays and now and then a hole."""
    y, x = grid(side)
    away = np.sqrt((y - centre[0]) ** 2 + (x - centre[1]) ** 2)
    n = int(np.clip(rng.uniform(1.2, 4) * side / (2 * radius), 3, 26))
    wobble = enlarge(rng.standard_normal((n, n), dtype=np.float32), side)
    height = (radius - away) + np.float32(rng.uniform(0.25, 0.8) * radius) * wobble
    return keep_largest(np.clip(height + np.float32(0.5), 0, 1))


def branching(
    rng: np.random.Generator, radius: float, centre: tuple[float, float], side: int
) -> Coverage:
    """A body, or none, with 2 to 6 arms that bend, taper and fork."""
    reach = radius * rng.uniform(1.3, 2.2)
    width = max(radius * rng.uniform(0.12, 0.5), 1.3)
    strokes = []
    n = int(rng.integers(2, 7))
    first = rng.uniform(0, 2 * np.pi)
    for arm in range(n):
        angle = first + 2 * np.pi * arm / n + rng.normal(0, 0.3)
        strokes += _arm(rng, np.zeros(2), angle, reach, width, forks=1)
    if rng.random() < 0.6:
        body = radius * rng.uniform(0.6, 1.3)
        strokes.append((np.zeros(2), np.full(2, 0.1), body, body))
    return _strokes(strokes, centre, side)


def curved_worm(
    rng: np.random.Generator, radius: float, centre: tuple[float, float], side: int
) -> Coverage:
    """One bent thread."""
    reach = radius * rng.uniform(2.0, 4.0)
    width = max(radius * rng.uniform(0.15, 0.7), 1.3)
    angle = rng.uniform(0, 2 * np.pi)
    start = -reach / 2 * np.array([np.sin(angle), np.cos(angle)])
    return _strokes(_arm(rng, start, angle, reach, width, forks=0), centre, side)


Stroke = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float, float]


def _arm(
    rng: np.random.Generator,
    start: npt.NDArray[np.float64],
    angle: float,
    reach: float,
    width: float,
    forks: int,
) -> list[Stroke]:
    strokes: list[Stroke] = []
    n = 5
    bend = rng.normal(0, 0.35)
    taper = rng.uniform(0.6, 1.0)
    for piece in range(n):
        angle += bend + rng.normal(0, 0.15)
        end = start + reach / n * np.array([np.sin(angle), np.cos(angle)])
        strokes.append((start, end, width, max(width * taper, 1.2)))
        start, width = end, max(width * taper, 1.2)
        if forks and piece == 2 and rng.random() < 0.4:
            strokes += _arm(
                rng, start, angle + rng.choice([-0.9, 0.9]), reach / 2, width, forks - 1
            )
    return strokes


def _strokes(strokes: list[Stroke], centre: tuple[float, float], side: int) -> Coverage:
    """Thick lines with round ends."""
    canvas = Image.new("L", (side * OVERSAMPLING, side * OVERSAMPLING))
    draw = ImageDraw.Draw(canvas)
    for start, end, first, last in strokes:
        (y0, x0), (y1, x1) = (
            (start + centre) * OVERSAMPLING,
            (end + centre) * OVERSAMPLING,
        )
        width = (first + last) / 2 * OVERSAMPLING
        draw.line((x0, y0, x1, y1), fill=255, width=max(round(width), 1))
        for y, x, size in ((y0, x0, first), (y1, x1, last)):
            r = size * OVERSAMPLING / 2
            draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    return np.asarray(canvas.reduce(OVERSAMPLING), dtype=np.float32) / np.float32(255)


def crescent(
    rng: np.random.Generator, radius: float, centre: tuple[float, float], side: int
) -> Coverage:
    """A disk with a bite."""
    y, x = grid(side)
    radius *= 1.2
    angle, off = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.4, 1.1)
    bite = radius * rng.uniform(0.5, 0.95)
    away = np.sqrt((y - centre[0]) ** 2 + (x - centre[1]) ** 2)
    other = np.sqrt(
        (y - centre[0] - off * np.sin(angle)) ** 2
        + (x - centre[1] - off * np.cos(angle)) ** 2
    )
    height = np.minimum(radius - away, other - bite) + 0.5
    return keep_largest(np.clip(height, 0, 1).astype(np.float32))


def bunch(
    rng: np.random.Generator, radius: float, centre: tuple[float, float], side: int
) -> Coverage:
    """2 to 4 overlapping disks, such as dividing or budding bodies."""
    y, x = grid(side)
    n = int(rng.integers(2, 5))
    height = np.full((side, side), -np.inf, np.float32)
    cy, cx = centre
    r = radius / np.sqrt(n) * 1.2
    for _ in range(n):
        size = r * rng.uniform(0.7, 1.3)
        away = np.sqrt((y - cy) ** 2 + (x - cx) ** 2)
        height = np.maximum(height, (size - away).astype(np.float32))
        angle = rng.uniform(0, 2 * np.pi)
        cy, cx = cy + size * 1.2 * np.sin(angle), cx + size * 1.2 * np.cos(angle)
    result: Coverage = np.clip(height + np.float32(0.5), 0, 1)
    return result


def keep_largest(coverage: Coverage) -> Coverage:
    """The coverage of the largest piece alone."""
    pieces, n = ndimage.label(coverage > 0.05)
    if n < 2:
        return coverage
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.where(pieces == sizes.argmax(), coverage, np.float32(0))
