"""Training samples: the n-th sample of a seed is always the same picture and masks."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.io.datasets import ImageSet
from napari_segrefiner.io.pairs import Pair, read_sets
from napari_segrefiner.training.augment import AugmentOptions, augment
from napari_segrefiner.training.composites import Composer, CompositeOptions
from napari_segrefiner.training.pictures import MIN_AREA, Picture, Thing, picture_of
from napari_segrefiner.training.shapes import ShapeMaker, label_shape
from napari_segrefiner.training.simulate import SimulatorOptions, iou, simulate
from napari_segrefiner.training.simulate_published import simulate_published
from napari_segrefiner.training.windows import (
    Mask,
    WindowOptions,
    draw_window,
    warp_window,
)

if TYPE_CHECKING:
    from napari_segrefiner.train_options import Simulator

#: Label shapes kept per set for composites.
MAX_SHAPES = 250
#: Real coarse masks are not used where their IoU in the window is below this.
MIN_REAL_IOU = 0.4
#: Draws of a window before a composite takes its place; and without composites, before
#: the pictures count as having none.
TRIES, MOST_TRIES = 4, 100

#: What is different in large windows: few parts of boundaries, nothing enlarged much.
LARGE: Mapping[str, Any] = MappingProxyType(
    {"smallest": 0.28, "max_zoom": 1.25, "patch": 0.2}
)

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SampleOptions:
    """What samples are made of; the parts' own options are in the parts' modules."""

    composite_share: float = 0.55
    real_coarse: float = 0.35
    simulator_kind: Simulator = "mixed"
    windows: WindowOptions = field(default_factory=WindowOptions)
    simulator: SimulatorOptions = field(default_factory=SimulatorOptions)
    composites: CompositeOptions = field(default_factory=CompositeOptions)
    colour: AugmentOptions = field(default_factory=AugmentOptions)


class Samples:
    """Samples by number, from labelled pictures and from composites.

    Everything is read once at the start. Safe to fork and to pickle: no open files, no
    threads, no state that drawing changes.

    Parameters
    ----------
    sets : sequence of ImageSet, or of (name, pairs)
        As :func:`napari_segrefiner.io.datasets.find_sets` finds them, or already read.
    seed : int
        With the sample's number it determines the sample entirely.
    window : int
        Side of a sample, px; a multiple of 16.
    weights : mapping, optional
        How often each set is drawn, relative to the others; 1 for sets not named.
    options : SampleOptions, optional
    told : set of str, optional
        Problems of pairs that were logged already; others are logged and added.

    Raises
    ------
    InputError
        If no pair can be used.
    OptionError
        If `window` is no multiple of 16 or a weight is negative.
    """

    def __init__(
        self,
        sets: Sequence[ImageSet] | Sequence[tuple[str, list[Pair]]],
        *,
        seed: int,
        window: int = 64,
        weights: Mapping[str, float] | None = None,
        options: SampleOptions | None = None,
        told: set[str] | None = None,
    ) -> None:
        if window < 16 or window % 16:
            msg = f"window is {window}; a multiple of 16 px is expected."
            raise OptionError(msg)
        self.seed = seed
        self.window = window
        self.options = options or SampleOptions()
        self.sets = _pictures(sets, told)
        weight_of = weights or {}
        share = np.array([weight_of.get(name, 1.0) for name, _ in self.sets], float)
        if (share < 0).any() or not share.any():
            names = (name for name, _ in self.sets)
            given = ", ".join(
                f"{name} {weight:g}" for name, weight in zip(names, share, strict=True)
            )
            msg = (
                "Weights of sets are expected to be 0 or more, one of them above 0; "
                f"got {given}."
            )
            raise OptionError(msg)
        self.share = share / share.sum()
        shapes = ShapeMaker([_shapes(pictures) for _, pictures in self.sets])
        self.composer = Composer(
            [pictures for _, pictures in self.sets],
            shapes,
            window,
            self.options.composites,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sets."""
        return tuple(name for name, _ in self.sets)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Images (planes of stacks) and objects of each set."""
        return {
            name: {
                "images": len(pictures),
                "objects": sum(len(picture.things) for picture in pictures),
            }
            for name, pictures in self.sets
        }

    def sample(self, index: int) -> tuple[Image, Mask, Mask]:
        """Make one sample.

        Parameters
        ----------
        index : int
            Number of the sample in the whole training, from 0.

        Returns
        -------
        image : (3, S, S) float32 array in [0, 1]
        fine, coarse : (S, S) bool arrays

        Raises
        ------
        InputError
            If the pictures show too little of their objects, and no composites are
            wanted.
        """
        rng = np.random.Generator(np.random.Philox(key=[self.seed, index]))
        share = self.options.composite_share
        made = None
        if rng.random() >= share:
            made = self._real(rng, TRIES if share else MOST_TRIES)
        if made is None and not share:
            msg = (
                f"{MOST_TRIES} windows in a row show too little of an object, or "
                "nothing else; objects with their surroundings are expected."
            )
            raise InputError(msg)
        image, fine, coarse = made or self._composite(rng)
        return augment(rng, image, self.options.colour), fine, coarse

    def enlarged(self) -> Samples:
        """The same data in windows of twice the side, mostly of larger objects.

        At inference such windows show objects that do not fit a smaller one.
        """
        large = copy.copy(self)
        large.window = 2 * self.window
        windows = dataclasses.replace(self.options.windows, **LARGE)
        large.options = dataclasses.replace(self.options, windows=windows)
        large.composer = Composer(
            self.composer.sets,
            self.composer.shapes,
            large.window,
            self.options.composites,
        )
        return large

    def _composite(self, rng: np.random.Generator) -> tuple[Image, Mask, Mask]:
        made = self.composer.draw(rng)
        coarse = self._coarse(
            rng, made.image, made.fine, made.others, is_patch=made.is_patch
        )
        return made.image, made.fine, coarse

    def _coarse(
        self,
        rng: np.random.Generator,
        image: Image,
        fine: Mask,
        others: Mask,
        *,
        is_patch: bool,
    ) -> Mask:
        """A made coarse mask; the published one is never empty here either."""
        if self.options.simulator_kind == "published":
            coarse = simulate_published(rng, fine).mask
            return coarse if coarse.any() else fine.copy()
        return simulate(
            rng,
            fine,
            others,
            image.mean(axis=0),
            is_patch=is_patch,
            options=self.options.simulator,
        )

    def _real(
        self, rng: np.random.Generator, tries: int
    ) -> tuple[Image, Mask, Mask] | None:
        """A window on a picture; None if all tries show too little of an object."""
        for _ in range(tries):
            _, pictures = self.sets[int(rng.choice(len(self.sets), p=self.share))]
            picture = pictures[int(rng.integers(len(pictures)))]
            thing = self._draw_thing(rng, picture)
            which = None
            if thing.coarse and rng.random() < self.options.real_coarse:
                which = thing.coarse[int(rng.integers(len(thing.coarse)))]
            window = draw_window(
                rng, picture, thing, self.window, self.options.windows, which
            )
            image, fine, others, real = warp_window(
                picture, window, self.window, thing.label, which
            )
            if not 12 <= np.count_nonzero(fine) <= fine.size - 40:
                continue
            if real is not None and iou(real, fine) >= MIN_REAL_IOU:
                return image, fine, real
            coarse = self._coarse(rng, image, fine, others, is_patch=window.is_patch)
            return image, fine, coarse
        return None

    def _draw_thing(self, rng: np.random.Generator, picture: Picture) -> Thing:
        """An object, large enough for the window if a few draws find one."""
        least = self.options.windows.smallest * self.window
        for _ in range(4 if least else 1):
            thing = picture.things[int(rng.integers(len(picture.things)))]
            if thing.side >= least:
                break
        return thing


def _pictures(
    sets: Sequence[ImageSet] | Sequence[tuple[str, list[Pair]]],
    told: set[str] | None,
) -> list[tuple[str, list[Picture]]]:
    read: list[tuple[str, list[Pair]]] = []
    to_read = [one for one in sets if isinstance(one, ImageSet)]
    read = read_sets(to_read, told) if to_read else []
    read += [one for one in sets if not isinstance(one, ImageSet)]
    found = []
    for name, pairs in read:
        made = [picture_of(pair) for pair in pairs]
        pictures = [picture for picture in made if picture is not None]
        if pictures:
            found.append((name, pictures))
    if not found:
        msg = (
            f"No object to train on: every object has fewer than {MIN_AREA} pixels. "
            "Label larger objects, or enlarge the pictures."
        )
        raise InputError(msg)
    return found


def _shapes(pictures: Sequence[Picture]) -> list[Mask]:
    """Up to MAX_SHAPES label shapes, evenly from all pictures."""
    pairs = [(picture, thing) for picture in pictures for thing in picture.things]
    step = max(1, len(pairs) // MAX_SHAPES)
    return [label_shape(*pair) for pair in pairs[::step][:MAX_SHAPES]]
