"""Coarse masks made from fine ones: kinds of damage, each with its probability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.measure import find_contours

from napari_segrefiner.core.boundary import edge
from napari_segrefiner.training.fields import blur, grid, random_field

Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SimulatorOptions:
    """Probabilities and strengths of the damage (method 11).

    First the sample's kind is drawn: an exact copy, a nearly exact one, one single
    plain damage as hurried people and simple programs make it, or a mixture with an
    IoU target, of which ``spared`` leave stretches of the outline as they are.
    """

    exact: float = 0.12
    nearly_exact: float = 0.16
    plain: float = 0.30
    nearly_exact_iou: tuple[float, float] = (0.93, 1.0)
    iou: tuple[float, float] = (0.5, 0.95)
    polygon: float = 0.15
    ellipses: float = 0.40
    cut: float = 0.10
    brightness_region: float = 0.12
    smoothing: float = 0.12
    field: float = 0.75
    offset: float = 0.50
    follow_brightness: float = 0.25
    spared: float = 0.45
    shift: float = 0.40
    low_resolution: float = 0.22
    patch_strength: tuple[float, float] = (0.4, 9.0)
    labelled_neighbours: float = 0.60
    lowest_iou: float = 0.25


class Scene:
    """What a damage may look at: the truth, its neighbours and the picture in grey."""

    def __init__(self, fine: Mask, others: Mask, grey: Grey) -> None:
        self.fine = fine
        self.others = others
        self.grey = grey
        self.side = fine.shape[0]
        self.area = int(np.count_nonzero(fine))
        #: Length that damages scale with, px; the window bounds it in boundary patches.
        self.size = max(float(np.sqrt(self.area)), 3.0)


Damage = Callable[[np.random.Generator, Mask, Scene], Mask]


def simulate(
    rng: np.random.Generator,
    fine: Mask,
    others: Mask,
    grey: Grey,
    *,
    is_patch: bool = False,
    options: SimulatorOptions | None = None,
) -> Mask:
    """Make a coarse mask of one object.

    Parameters
    ----------
    fine, others : (S, S) bool arrays
        The object, and its labelled neighbours.
    grey : (S, S) float32 array in [0, 1]
        The picture, for errors that follow its edges.
    is_patch : bool
        The window shows a part of the boundary: no IoU target, but errors in pixels.

    Returns
    -------
    (S, S) bool array
        Never empty unless `fine` is.
    """
    options = options or SimulatorOptions()
    scene = Scene(fine, others, grey)
    if scene.area == 0:
        return fine.copy()
    kind = rng.random()
    keeps_neighbours = rng.random() >= options.labelled_neighbours
    if kind < options.exact:
        return fine.copy()
    if kind < options.exact + options.plain:
        names = list(PLAIN)
        name = names[int(rng.integers(len(names)))]
        keeps_neighbours |= name == MERGED  # which has no label of its own then
        coarse = PLAIN[name](rng, fine, scene)
    else:
        is_near = kind < options.exact + options.plain + options.nearly_exact
        coarse = _mixture(rng, scene, is_near, is_patch, options)
    if not keeps_neighbours:
        coarse = coarse & ~others
    if iou(coarse, fine) < options.lowest_iou:
        coarse = smooth_offset(rng, fine, scene)
    return coarse if coarse.any() else fine.copy()


def _mixture(
    rng: np.random.Generator,
    scene: Scene,
    is_near: bool,
    is_patch: bool,
    options: SimulatorOptions,
) -> Mask:
    mask = scene.fine
    target = rng.uniform(*(options.nearly_exact_iou if is_near else options.iou))
    if not is_near:
        chances: tuple[tuple[float, Damage], ...] = (
            (options.polygon, polygon),
            (options.ellipses, ellipses),
            (options.cut, straight_cut),
            (options.brightness_region, brightness_region),
            (options.smoothing, smoothing),
        )
        for chance, damage in chances:
            if rng.random() < chance:
                changed = damage(rng, mask, scene)
                if iou(changed, scene.fine) >= min(target, 0.6):
                    mask = changed
    distance = signed_distance(mask)
    force = _force(rng, distance, scene, options)
    if rng.random() < options.spared:
        force = spared(rng, force, distance)
    if rng.random() < options.shift:
        reach = (0.02 if is_near else 0.08) * scene.size + 0.5
        mask = shifted(mask, *rng.normal(0, reach, 2))
        distance = signed_distance(mask)
    if is_patch:
        low, high = np.log(options.patch_strength)
        strength = float(np.exp(rng.uniform(low, high))) * (0.25 if is_near else 1.0)
    else:
        strength = find_strength(distance, force, scene.fine, target)
    coarse: Mask = distance + np.float32(strength) * force > 0
    if not is_near and rng.random() < options.low_resolution:
        coarse = staircase(rng, coarse, scene)
    return coarse


def _force(
    rng: np.random.Generator, distance: Grey, scene: Scene, options: SimulatorOptions
) -> Grey:
    """Where to grow or shrink: its multiple is added to the signed distance."""
    force = np.zeros_like(distance)
    if rng.random() < options.field:
        force += random_field(rng, scene.side)
    if rng.random() < options.offset:
        force += np.float32(rng.normal(0, 0.9))
    if rng.random() < options.follow_brightness:
        force += brightness_force(rng, distance, scene)
    if not force.any():
        force += random_field(rng, scene.side)
    return force


def spared(rng: np.random.Generator, force: Grey, distance: Grey) -> Grey:
    """The force in some stretches of the outline only; 30 to 80 % of it stay as it is.

    Masks of networks and people are right along much of their outline.
    """
    field = random_field(rng, distance.shape[0], (3, 5))
    along = field[np.abs(distance) < 2]
    if along.size == 0:
        return force
    level = np.quantile(along, rng.uniform(0.3, 0.8))
    result: Grey = force * np.clip(4 * (field - np.float32(level)), 0, 1)
    return result


def brightness_force(rng: np.random.Generator, distance: Grey, scene: Scene) -> Grey:
    """Blurred brightness, standardised along the boundary, of either sign."""
    grey = blur(scene.grey, rng.uniform(1.0, 2.5))
    along = grey[np.abs(distance) < 2]
    if along.size == 0:
        return np.zeros_like(distance)
    sign = 1 if rng.random() < 0.5 else -1
    force: Grey = sign * (grey - along.mean()) / (along.std() + np.float32(0.02))
    return np.clip(force, -3, 3)


def find_strength(distance: Grey, force: Grey, fine: Mask, target: float) -> float:
    """Multiple of `force` at which the mask's IoU with `fine` meets `target`.

    Six bisections; 0 if the mask is below the target without any force.
    """
    if iou(distance > 0, fine) <= target:
        return 0.0
    low, high = 0.0, max(4.0, 0.6 * float(np.sqrt(np.count_nonzero(fine))))
    for _ in range(6):
        middle = (low + high) / 2
        if iou(distance + np.float32(middle) * force > 0, fine) > target:
            low = middle
        else:
            high = middle
    return low


def iou(first: Mask, second: Mask) -> float:
    """Intersection over union; 1 for two empty masks."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def signed_distance(mask: Mask) -> Grey:
    """Distance in px to the boundary, positive inside, .5 at the pixels beside it."""
    beside = edge(mask)
    if not beside.any():  # all inside or all outside
        far = np.float32(mask.shape[0])
        return np.full(mask.shape, far if mask.any() else -far, np.float32)
    away = ndimage.distance_transform_edt(~beside).astype(np.float32)
    result: Grey = np.where(mask, away + np.float32(0.5), np.float32(0.5) - away)
    return result


def shifted(mask: Mask, dy: float, dx: float) -> Mask:
    """The mask moved by whole pixels (rounded), its border repeated."""
    side = mask.shape[0]
    rows = np.clip(np.arange(side) - round(dy), 0, side - 1)
    columns = np.clip(np.arange(side) - round(dx), 0, side - 1)
    return mask[rows][:, columns]


def contour(mask: Mask) -> npt.NDArray[np.float64]:
    """The longest outline in order, (n, 2) rows and columns; empty without one."""
    found = find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    if not found:
        return np.empty((0, 2))
    longest: npt.NDArray[np.float64] = max(found, key=len)[:-1] - 1
    return longest


def fill_polygon(points: npt.NDArray[np.float64], side: int) -> Mask:
    """The inside of a polygon of (y, x) points."""
    canvas = Image.new("L", (side, side))
    if len(points) >= 3:
        ImageDraw.Draw(canvas).polygon(
            [(float(x), float(y)) for y, x in points], fill=1, outline=1
        )
    return np.asarray(canvas).astype(bool)


def polygon(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """The polygon through 4 to 15 random points of the outline."""
    points = contour(mask)
    n = int(rng.integers(4, 16))
    if len(points) < n:
        return mask
    chosen = np.sort(rng.choice(len(points), n, replace=False))
    return fill_polygon(points[chosen], scene.side)


def hurried_polygon(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """4 to 24 clicks along the outline, about evenly, each off by some pixels."""
    points = contour(mask)
    n = int(rng.integers(4, 25))
    if len(points) < n:
        return mask
    places = (np.arange(n) + rng.uniform(-0.3, 0.3, n)) * len(points) / n
    clicks = points[places.astype(int) % len(points)]
    if rng.random() < 0.4:  # the whole outline is off as well
        clicks = clicks + rng.normal(0, 0.04 * scene.size, 2)
    off = rng.uniform(0.01, 0.07) * scene.size
    return fill_polygon(clicks + rng.normal(0, off, clicks.shape), scene.side)


def _random_ellipse(
    rng: np.random.Generator, centre: tuple[float, float], radius: float, side: int
) -> Mask:
    y, x = grid(side)
    angle, aspect = rng.uniform(0, np.pi), np.exp(rng.uniform(-0.7, 0.7))
    cos, sin = np.cos(angle), np.sin(angle)
    dy, dx = y - centre[0], x - centre[1]
    along, across = (dx * cos + dy * sin) / aspect, (dy * cos - dx * sin) * aspect
    result: Mask = along**2 + across**2 < radius**2
    return result


def _edge_point(rng: np.random.Generator, mask: Mask) -> tuple[float, float]:
    """A random pixel beside the boundary, or the window's middle without one."""
    across = np.flatnonzero(mask[:, 1:] != mask[:, :-1])
    down = np.flatnonzero(mask[1:] != mask[:-1])
    total = len(across) + len(down)
    if total == 0:
        return mask.shape[0] / 2, mask.shape[1] / 2
    index = int(rng.integers(total))
    if index < len(across):
        row, column = divmod(int(across[index]), mask.shape[1] - 1)
    else:
        row, column = divmod(int(down[index - len(across)]), mask.shape[1])
    return row + 0.5, column + 0.5


def ellipses(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """1 to 4 ellipses at the boundary added or cut out."""
    mask = mask.copy()
    for _ in range(int(rng.integers(1, 5))):
        y, x = _edge_point(rng, mask)
        radius = rng.uniform(0.05, 0.32) * scene.size
        dy, dx = rng.normal(0, 0.4 * radius, 2)
        blob = _random_ellipse(rng, (y + dy, x + dx), radius, scene.side)
        mask[blob] = rng.random() < 0.5
    return mask


def holes_and_blobs(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """Holes inside and islands outside, anywhere in the window."""
    mask = mask.copy()
    for _ in range(int(rng.integers(1, 6))):
        is_hole = rng.random() < 0.5
        places = np.flatnonzero(mask if is_hole else ~mask)
        if len(places) == 0:
            continue
        y, x = divmod(int(places[rng.integers(len(places))]), scene.side)
        radius = rng.uniform(0.03, 0.18) * scene.size
        blob = _random_ellipse(rng, (y + 0.5, x + 0.5), radius, scene.side)
        mask[blob] = not is_hole
    return mask


def straight_cut(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """A part of the object beyond a straight line is lost, 3 to 35 % of it."""
    y, x = grid(scene.side)
    angle = rng.uniform(0, 2 * np.pi)
    height = np.cos(angle) * x + np.sin(angle) * y
    inside = height[mask]
    if inside.size == 0:
        return mask
    result: Mask = mask & (height < np.quantile(inside, 1 - rng.uniform(0.03, 0.35)))
    return result


def brightness_region(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """Loss of the bright or dark part inside, or gain of the one in a ring around."""
    grey = blur(scene.grey, rng.uniform(0.8, 2.5))
    distance = signed_distance(mask)
    is_gain = rng.random() < 0.5
    if is_gain:
        zone = (distance < 0) & (distance > -rng.uniform(0.1, 0.4) * scene.size - 1)
    else:
        zone = mask
    values = grey[zone]
    if values.size == 0:
        return mask
    level = np.quantile(values, rng.uniform(0.1, 0.6))
    chosen = zone & ((grey < level) if rng.random() < 0.5 else (grey > level))
    result: Mask = mask | chosen if is_gain else mask & ~chosen
    return result


def smoothing(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """Heavy smoothing: thin parts go, corners round off, gaps fill."""
    soft = blur(mask.astype(np.float32), rng.uniform(0.06, 0.22) * scene.size)
    result: Mask = soft > rng.uniform(0.35, 0.6)
    return result


def staircase(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """Low resolution: reduced by 2 to 8, then enlarged smoothly or as blocks."""
    factor = int(rng.integers(2, 9))
    factor = max(2, min(factor, int(scene.size / 3)))
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    cells = max(2, scene.side // factor)
    small = image.resize((cells, cells), Image.Resampling.BOX)
    way = Image.Resampling.NEAREST if rng.random() < 0.5 else Image.Resampling.BILINEAR
    return np.asarray(small.resize((scene.side, scene.side), way)) >= 128


def constant_offset(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """Eroded or dilated by one constant."""
    reach = rng.uniform(0.8, 1.2 + 0.1 * scene.size)
    sign = 1 if rng.random() < 0.5 else -1
    result: Mask = signed_distance(mask) + np.float32(sign * reach) > 0
    return result


def smooth_offset(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """A mild wobble of the boundary."""
    reach = np.float32(rng.uniform(0.02, 0.08) * scene.size)
    result: Mask = signed_distance(mask) + reach * random_field(rng, scene.side) > 0
    return result


def constant_shift(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """Moved as a whole by 1 to 7 px, at most a quarter of its size."""
    reach = min(rng.uniform(1, 7), 0.25 * scene.size)
    angle = rng.uniform(0, 2 * np.pi)
    return shifted(mask, reach * np.sin(angle), reach * np.cos(angle))


def merged_neighbour(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """A neighbour that lies near, or a piece of it, is taken for the object's."""
    near = scene.others & (signed_distance(mask) > -(0.15 * scene.size + 3))
    places = np.flatnonzero(near)
    if len(places) == 0:
        return ellipses(rng, mask, scene)
    y, x = divmod(int(places[rng.integers(len(places))]), scene.side)
    radius = rng.uniform(0.2, 1.2) * scene.size
    piece = scene.others & _random_ellipse(rng, (y, x), radius, scene.side)
    merged = mask | piece
    bridge = blur(merged.astype(np.float32), 1.0) > 0.5
    result: Mask = merged | (bridge & (signed_distance(mask) > -3))
    return result


def threshold(rng: np.random.Generator, mask: Mask, scene: Scene) -> Mask:
    """What a threshold finds around the object, its level more or less well chosen."""
    grey = blur(scene.grey, rng.uniform(0.5, 1.5))
    distance = signed_distance(mask)
    around = (distance < -1) & (distance > -(0.25 * scene.size + 3))
    if not around.any():
        return constant_offset(rng, mask, scene)
    inside, outside = float(grey[mask].mean()), float(grey[around].mean())
    level = outside + rng.uniform(0.2, 0.8) * (inside - outside)
    found = (grey > level) if inside > outside else (grey < level)
    found &= distance > -(rng.uniform(0.05, 0.3) * scene.size + 2)
    if rng.random() < 0.6:
        found = ndimage.binary_fill_holes(found)
    found = _touching(found, mask)
    return found if iou(found, scene.fine) >= 0.4 else smooth_offset(rng, mask, scene)


def _touching(found: Mask, mask: Mask) -> Mask:
    """The piece of `found` that shares most pixels with `mask`."""
    pieces, n = ndimage.label(found)
    if n < 2:
        return found
    shared = np.bincount(pieces[mask], minlength=n + 1)
    shared[0] = 0
    result: Mask = pieces == shared.argmax()
    return result


MERGED = "merged_neighbour"
#: Single damages as hurried people and simple programs make them.
PLAIN: dict[str, Damage] = {
    "constant_offset": constant_offset,
    "constant_shift": constant_shift,
    "hurried_polygon": hurried_polygon,
    MERGED: merged_neighbour,
    "holes_and_blobs": holes_and_blobs,
    "staircase": staircase,
    "smoothing": smoothing,
    "threshold": threshold,
    "ellipses": ellipses,
    "cut": straight_cut,
}
