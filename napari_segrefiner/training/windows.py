"""Training windows: which part of a picture is shown, and the warp that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from napari_segrefiner.core.resampling import mirrored
from napari_segrefiner.geometry import Box

if TYPE_CHECKING:
    from napari_segrefiner.io.pairs import Labels
    from napari_segrefiner.training.pictures import Picture, Thing

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class WindowOptions:
    """How training windows are drawn (method 11).

    Lengths are in window px, a zoom is window px per picture px; ``smallest`` is the
    least side of an object's box, as a share of the window's, as far as a few draws
    find one. ``stretched`` is the share of windows that are stretched, by a normal
    logarithm of ``stretch`` up to ``max_stretch``: shapes of no known kind, with the
    edges of real pictures (decisions/default_model.md).
    """

    smallest: float = 0.0
    ratio: tuple[float, float] = (1.2, 2.6)
    margin: float = 4.0
    max_zoom: float = 2.5
    native: float = 0.4
    native_zoom: tuple[float, float] = (0.8, 1.25)
    fits: float = 0.9
    jitter: float = 3.0
    patch: float = 0.55
    patch_from: float = 0.62
    patch_jitter: float = 5.0
    patch_min_zoom: float = 0.15
    patch_max_zoom: float = 1.4
    free_angle: float = 0.3
    stretched: float = 0.5
    stretch: float = 0.25
    max_stretch: float = 0.5


class Window(NamedTuple):
    """A square that is shown as a window.

    (y, x) is its centre in picture px (pixel i covers i..i+1), `scale` the picture px
    per window px, `angle` in radians, `mirrored` flips left and right first. Along
    `direction` (radians, in the picture) exp(`stretch`) times as much of the picture is
    seen, across it as much less; areas stay.
    """

    y: float
    x: float
    scale: float
    angle: float = 0.0
    mirrored: bool = False
    is_patch: bool = False
    stretch: float = 0.0
    direction: float = 0.0


def draw_window(
    rng: np.random.Generator,
    picture: Picture,
    thing: Thing,
    side: int,
    options: WindowOptions,
    coarse: int | None = None,
) -> Window:
    """Draw a window of `side` px on the whole object, or on a part of its boundary.

    With a coarse mask, every other window on the boundary is on that of the coarse
    mask: there are the windows that inference looks at.
    """
    y, x = _middle(thing.box)
    extent = rng.uniform(*options.ratio) * thing.side + options.margin
    zoom = min(side / extent, options.max_zoom)
    angle, mirrored = draw_turn(rng, options.free_angle)
    stretch, direction = _draw_stretch(rng, options)
    if thing.side > options.patch_from * side and rng.random() < options.patch:
        low = min(max(zoom, options.patch_min_zoom), options.patch_max_zoom)
        zoom = float(np.exp(rng.uniform(np.log(low), np.log(options.patch_max_zoom))))
        outline = None
        if coarse is not None and rng.random() < 0.5:
            outline = picture.coarse[coarse]
        y, x = _boundary_point(rng, picture.labels, thing, outline)
        dy, dx = rng.normal(0, options.patch_jitter, 2) / zoom
        where = y + dy, x + dx, 1 / zoom, angle, mirrored
        return Window(*where, is_patch=True, stretch=stretch, direction=direction)
    native = rng.uniform(*options.native_zoom)
    if thing.side * native <= options.fits * side and rng.random() < options.native:
        zoom = native
    dy, dx = rng.normal(0, options.jitter, 2) / zoom
    where = y + dy, x + dx, 1 / zoom, angle, mirrored
    return Window(*where, stretch=stretch, direction=direction)


def draw_turn(rng: np.random.Generator, free: float) -> tuple[float, bool]:
    """An angle, a multiple of 90 degrees or with probability `free` any, and a flip."""
    if rng.random() < free:
        angle = rng.uniform(0, 2 * np.pi)
    else:
        angle = np.pi / 2 * int(rng.integers(4))
    return float(angle), bool(rng.random() < 0.5)


def _draw_stretch(
    rng: np.random.Generator, options: WindowOptions
) -> tuple[float, float]:
    """Stretch and direction of a window; most often little or nothing."""
    if rng.random() >= options.stretched:
        return 0.0, 0.0
    stretch = min(abs(rng.normal(0, options.stretch)), options.max_stretch)
    return float(stretch), float(rng.uniform(0, np.pi))


def warp_window(
    picture: Picture, window: Window, side: int, label: int, coarse: int | None = None
) -> tuple[npt.NDArray[np.float32], Mask, Mask, Mask | None]:
    """Show a window, the picture reflected beyond its border.

    Parameters
    ----------
    side : int
        Of the window, px.
    label : int
        The object whose mask is wanted.
    coarse : int, optional
        Which of the picture's coarse masks is wanted too.

    Returns
    -------
    image : (3, side, side) float32 array in [0, 1]
    fine, others : (side, side) bool arrays
        The object, and all other objects; they never overlap.
    coarse : (side, side) bool array or None
    """
    level = min(max(int(np.log2(max(window.scale, 1))), 0), len(picture.levels) - 1)
    factor = 1 << level
    reduced = picture.levels[level]
    rows, columns = _reach(window, factor, side)
    iy, ix = mirrored(rows, reduced.shape[0]), mirrored(columns, reduced.shape[1])
    y0, y1, x0, x1 = iy.min(), iy.max() + 1, ix.min(), ix.max() + 1
    block = slice(y0 * factor, y1 * factor), slice(x0 * factor, x1 * factor)
    labels = picture.labels[block]
    is_label = labels == label
    planes = np.zeros((*labels.shape, 3), np.uint8)
    planes[..., 0] = is_label
    planes[..., 1] = (labels != 0) & ~is_label
    if coarse is not None:
        planes[..., 2] = picture.coarse[coarse][block] == label
    planes *= 255
    if factor > 1:
        planes = np.asarray(Image.fromarray(planes).reduce(factor))
    where = window._replace(
        y=window.y / factor - rows[0],
        x=window.x / factor - columns[0],
        scale=window.scale / factor,
    )
    image = _warp(_take(reduced[y0:y1, x0:x1], iy - y0, ix - x0), where, side)
    masks = _warp(_take(planes, iy - y0, ix - x0), where, side) >= 128
    shown = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
    shown /= np.float32(255)
    fine = masks[..., 0]
    others = masks[..., 1] & ~fine
    return shown, fine, others, masks[..., 2] if coarse is not None else None


def _middle(box: Box) -> tuple[float, float]:
    return (box.y0 + box.y1) / 2, (box.x0 + box.x1) / 2


def _boundary_point(
    rng: np.random.Generator,
    labels: Labels,
    thing: Thing,
    outline: Labels | None,
) -> tuple[float, float]:
    """Centre of a random pixel of the object that touches another value or the box."""
    box = thing.box if outline is None else Box(0, 0, *outline.shape)
    mask = (labels if outline is None else outline)[box.slices] == thing.label
    edge = mask.copy()
    inner = edge[1:-1, 1:-1]
    inner &= ~(mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:])
    places = np.flatnonzero(edge)
    row, column = divmod(int(places[rng.integers(len(places))]), box.width)
    return box.y0 + row + 0.5, box.x0 + column + 0.5


def _reach(
    window: Window, factor: int, side: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of the reduced picture that the turned square touches."""
    turned = abs(np.cos(window.angle)) + abs(np.sin(window.angle))
    if window.stretch:
        turned = np.sqrt(2) * np.exp(window.stretch)
    half = window.scale / factor * side / 2 * turned + 2
    y, x = window.y / factor, window.x / factor
    rows = np.arange(int(np.floor(y - half)), int(np.ceil(y + half)) + 1)
    columns = np.arange(int(np.floor(x - half)), int(np.ceil(x + half)) + 1)
    return rows, columns


def _take(
    array: npt.NDArray[np.uint8],
    iy: npt.NDArray[np.int64],
    ix: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint8]:
    """array[iy][:, ix], without copying where the indices simply count up."""
    if len(iy) != array.shape[0] or iy[0] != 0 or iy[-1] != len(iy) - 1:
        array = array.take(iy, axis=0)
    if len(ix) != array.shape[1] or ix[0] != 0 or ix[-1] != len(ix) - 1:
        array = array.take(ix, axis=1)
    return np.ascontiguousarray(array)


def _warp(
    array: npt.NDArray[np.uint8], window: Window, side: int
) -> npt.NDArray[np.uint8]:
    """Bilinear (side, side, 3) view; reduced by more than 1.15, it is supersampled."""
    over = 2 if window.scale > 1.15 else 1
    step = window.scale / over
    cos, sin = step * np.cos(window.angle), step * np.sin(window.angle)
    flip = -1.0 if window.mirrored else 1.0
    # Of (x, y) in the window to (x, y) in the picture, about the middle of both.
    turn = np.array([[flip * cos, -sin], [flip * sin, cos]])
    along = np.array([np.cos(window.direction), np.sin(window.direction)])
    across = np.array([-along[1], along[0]])
    pull = np.exp(window.stretch) * np.outer(along, along)
    pull += np.exp(-window.stretch) * np.outer(across, across)
    a = pull @ turn
    x, y = np.array([window.x, window.y]) - a @ np.full(2, side * over / 2)
    matrix = (a[0, 0], a[0, 1], x, a[1, 0], a[1, 1], y)
    shown = Image.fromarray(array).transform(
        (side * over, side * over),
        Image.Transform.AFFINE,
        matrix,
        Image.Resampling.BILINEAR,
    )
    if over == 2:
        shown = shown.reduce(2)
    return np.asarray(shown)


def warp_mask(
    mask: Mask, radius: float, side: int, window: Window
) -> npt.NDArray[np.float32]:
    """Coverage in [0, 1] of a mask shown so that its equivalent radius is `radius` px.

    `window` gives the mask's centre, in window px, angle and flip; not its scale.
    """
    own = float(np.sqrt(np.count_nonzero(mask) / np.pi))
    scale = own / radius
    factor = max(1, int(scale))
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    if factor > 1:
        image = image.reduce(factor)
    scale /= factor
    y, x = ndimage.center_of_mass(np.asarray(image))
    cos, sin = scale * np.cos(window.angle), scale * np.sin(window.angle)
    flip = -1.0 if window.mirrored else 1.0
    matrix = (
        flip * cos,
        -sin,
        x + 0.5 - flip * cos * window.x + sin * window.y,
        flip * sin,
        cos,
        y + 0.5 - flip * sin * window.x - cos * window.y,
    )
    shown = image.transform(
        (side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return np.asarray(shown, dtype=np.float32) / np.float32(255)
