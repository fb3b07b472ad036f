"""What the simulators do to masks, ingredient by ingredient, with its figures."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError
from napari_segrefiner.training import simulate as mixed
from napari_segrefiner.training.simulate import (
    PLAIN,
    Damage,
    Mask,
    Scene,
    SimulatorOptions,
    iou,
    simulate,
)
from napari_segrefiner.training.simulate_published import simulate_published
from napari_segrefiner.training.windows import WindowOptions, draw_window, warp_window

if TYPE_CHECKING:
    from napari_segrefiner.training.pictures import Picture

#: Windows that show an object whole, upright and in their middle.
WHOLE = WindowOptions(
    ratio=(1.7, 1.7),
    native=0.0,
    jitter=0.0,
    patch=0.0,
    free_angle=0.0,
    stretched=0.0,
    max_zoom=8.0,
)
#: Nothing but the boundary's deformation is left of the mixture.
_BARE = SimulatorOptions(
    exact=0.0,
    nearly_exact=0.0,
    plain=0.0,
    polygon=0.0,
    ellipses=0.0,
    cut=0.0,
    brightness_region=0.0,
    smoothing=0.0,
    field=0.0,
    offset=0.0,
    follow_brightness=0.0,
    spared=0.0,
    shift=0.0,
    low_resolution=0.0,
    labelled_neighbours=0.0,
)


class View(NamedTuple):
    """A window: (3, S, S) float32 image in [0, 1], the object, its neighbours."""

    image: npt.NDArray[np.float32]
    fine: Mask
    others: Mask


Maker = Callable[[np.random.Generator, View], Mask]


@dataclass(frozen=True)
class Measured:
    """What an ingredient has done to a number of masks.

    ``examples``: views with their coarse masks. ``overlaps``: IoU with the truth of
    each. ``per_second``: masks per second of one core.
    """

    name: str
    examples: tuple[tuple[View, Mask], ...]
    overlaps: npt.NDArray[np.float64]
    per_second: float

    def quantiles(self) -> tuple[float, float, float]:
        """IoU that 10, 50 and 90 % of the masks stay below."""
        low, middle, high = np.quantile(self.overlaps, (0.1, 0.5, 0.9))
        return float(low), float(middle), float(high)


def _with(**probabilities: Any) -> Maker:
    """The mixture with some of its ingredients alone."""
    options = dataclasses.replace(_BARE, **probabilities)

    def make(rng: np.random.Generator, view: View) -> Mask:
        grey = view.image.mean(axis=0)
        return simulate(rng, view.fine, view.others, grey, options=options)

    return make


def _damage(damage: Damage) -> Maker:
    """One damage by itself, whatever it leaves of the mask."""

    def make(rng: np.random.Generator, view: View) -> Mask:
        scene = Scene(view.fine, view.others, view.image.mean(axis=0))
        return damage(rng, view.fine, scene)

    return make


def _everything(rng: np.random.Generator, view: View) -> Mask:
    return simulate(rng, view.fine, view.others, view.image.mean(axis=0))


def _published(rng: np.random.Generator, view: View) -> Mask:
    return simulate_published(rng, view.fine).mask


#: Every named ingredient: first the two simulators as a whole, then the parts of the
#: mixture: what bends the boundary, what damages a part, and single plain damages.
INGREDIENTS: dict[str, Maker] = {
    "mixed": _everything,
    "published": _published,
    "nearly_exact": _with(nearly_exact=1.0, field=1.0),
    "field": _with(field=1.0),
    "offset": _with(offset=1.0),
    "follow_brightness": _with(follow_brightness=1.0),
    "spared": _with(spared=1.0, field=1.0),
    "shift": _with(shift=1.0, field=1.0),
    "low_resolution": _with(low_resolution=1.0, field=1.0),
    "polygon": _damage(mixed.polygon),
    "brightness_region": _damage(mixed.brightness_region),
    **{name: _damage(damage) for name, damage in PLAIN.items()},
}


def draw_views(pictures: Sequence[Picture], n: int, side: int, seed: int) -> list[View]:
    """Windows of `side` px on random objects of random pictures; at most `n`.

    Raises
    ------
    InputError
        If none of them shows anything of its object.
    """
    rng = np.random.default_rng(seed)
    views = []
    for _ in range(n):
        picture = pictures[int(rng.integers(len(pictures)))]
        thing = picture.things[int(rng.integers(len(picture.things)))]
        window = draw_window(rng, picture, thing, side, WHOLE)
        upright = window._replace(angle=0.0, mirrored=False)
        image, fine, others, _ = warp_window(picture, upright, side, thing.label)
        if fine.any():
            views.append(View(image, fine, others))
    if not views:
        message = (
            f"{n} windows of {side} px around the objects show nothing of them: they "
            "are too thin, or their parts too far from each other. Choose other labels."
        )
        raise InputError(message)
    return views


def measure(
    views: Sequence[View], n_masks: int, seed: int, n_examples: int = 8
) -> Iterator[Measured]:
    """Apply every ingredient to the views in turn.

    Parameters
    ----------
    views : sequence of View
    n_masks : int
        Per ingredient.
    seed : int
    n_examples : int
        Masks that are kept to be shown, of the first views.
    """
    for name, make in INGREDIENTS.items():
        overlaps, examples = [], []
        seconds = 0.0
        for k in range(n_masks):
            view = views[k % len(views)]
            rng = np.random.default_rng((seed, k))
            started = time.process_time()
            coarse = make(rng, view)
            seconds += time.process_time() - started
            overlaps.append(iou(coarse, view.fine))
            if k < n_examples:
                examples.append((view, coarse))
        per_second = n_masks / max(seconds, 1e-6)
        yield Measured(name, tuple(examples), np.array(overlaps), per_second)
