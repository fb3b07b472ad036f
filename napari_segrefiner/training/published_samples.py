"""Samples of the published training, by number; images are read when they are drawn."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from napari_segrefiner.errors import InputError, SegRefinerError
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.atomic import write_whole
from napari_segrefiner.io.datasets import ImageSet, Item, report
from napari_segrefiner.io.images import read_image
from napari_segrefiner.io.pairs import read_item, read_mask, to_rgb
from napari_segrefiner.io.sizes import plane_size
from napari_segrefiner.training.epochs import EpochOrder
from napari_segrefiner.training.published_crops import (
    Crop,
    draw_object_crop,
    draw_object_window,
    draw_patch,
    resize_crop,
)
from napari_segrefiner.training.simulate_published import simulate_published

if TYPE_CHECKING:
    from napari_segrefiner.io.coco import CocoObject
    from napari_segrefiner.training.simulate import Mask

logger = logging.getLogger(__name__)

#: Objects up to this area are not learnt from by LR, px (method 10).
SMALLEST_AREA = 512
#: Images with a shorter side are left out, px.
SMALLEST_SIDE = 32
#: Images tried before a data set counts as one without usable objects.
IMAGE_TRIES = 100
#: Of the variant without holes, of the loaded mask in a patch, of a flip (method 10).
EXPANDED, LOADED, FLIPPED = 0.5, 0.5, 0.5

#: Counters that keep the random numbers of an image's coarse masks apart from others.
_VARIANTS = ([0, 0, 2, 0], [0, 0, 3, 0])


class Subject(NamedTuple):
    """An object in its whole image: (Y, X, 3) uint8, (Y, X) bool."""

    image: npt.NDArray[np.uint8]
    fine: Mask


class PublishedSamples:
    """Samples as the published LR or HR training draws them (method 10).

    LR: one random object of each image in its window, its coarse mask made in the whole
    image. HR (`has_patches`): sample 2k is an object crop, sample 2k + 1 a patch of the
    same image, which share flip and coarse mask.

    Parameters
    ----------
    sets : sequence of ImageSet
        Concatenated in this order.
    seed : int
    side : int
        Of a sample, px.
    has_patches : bool
    told : set of str, optional
        Problems that were logged already; others are logged and added.
    cache : Path, optional
        Folder that keeps the coarse masks of HR: each is made once, which takes many
        seconds for a large image.

    Raises
    ------
    InputError
        If no image can be used.
    """

    def __init__(
        self,
        sets: Sequence[ImageSet],
        *,
        seed: int,
        side: int,
        has_patches: bool,
        told: set[str] | None = None,
        cache: Path | None = None,
    ) -> None:
        self.seed = seed
        self.side = side
        self.has_patches = has_patches
        self.cache = cache
        self.items: list[Item] = []
        self.places: list[str] = []
        self.counts: dict[str, dict[str, int]] = {}
        problems = [text for one in sets for text in one.problems]
        is_wide: list[bool] = []
        for one in sets:
            before = len(self.items)
            for item in one.items:
                try:
                    height, width = _size(item)
                except InputError as error:
                    problems.append(str(error))
                    continue
                if min(height, width) >= SMALLEST_SIDE:
                    self.items.append(item)
                    self.places.append(f"{one.name}/{item.stem}")
                    is_wide.append(width > height)
            self.counts[one.name] = {"images": len(self.items) - before}
        if not self.items:
            message = (
                f"No image can be used: they need {SMALLEST_SIDE} px on each side and "
                f"a truth. {report(problems) if problems else ''}".strip()
            )
            raise InputError(message)
        new = [text for text in problems if told is None or text not in told]
        if told is not None:
            told.update(new)
        if new:
            logger.warning("%s", report(new))
        self.order = EpochOrder(is_wide, seed)
        self._latest: tuple[int, tuple[Crop, ...]] = (-1, ())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sets."""
        return tuple(self.counts)

    def sample(self, index: int) -> tuple[npt.NDArray[np.float32], Mask, Mask]:
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
            If no usable object is found in many images.
        """
        number, which = divmod(index, 2) if self.has_patches else (index, 0)
        if self._latest[0] != number:
            self._latest = number, self._crops(number)
        crop = self._latest[1][which]
        image = np.ascontiguousarray(crop.image.transpose(2, 0, 1), dtype=np.float32)
        return image / np.float32(255), crop.fine, crop.coarse

    def _crops(self, number: int) -> tuple[Crop, ...]:
        """The crops of one draw: one, or with patches two."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, number]))
        which = self.order.image(number)
        for _ in range(IMAGE_TRIES):
            subject = self._draw_subject(rng, self.items[which])
            crops = self._cut(rng, which, subject) if subject else ()
            if crops:
                is_flipped = rng.random() < FLIPPED
                return tuple(map(_flipped, crops)) if is_flipped else crops
            which = self.order.another(rng, which)
        least = 1 if self.has_patches else SMALLEST_AREA + 1
        message = (
            f"{IMAGE_TRIES} images in a row hold no usable object; the published "
            f"training needs objects of at least {least} px that do not fill the "
            "image. Choose --preset custom for smaller ones."
        )
        raise InputError(message)

    def _cut(
        self, rng: np.random.Generator, which: int, subject: Subject
    ) -> tuple[Crop, ...]:
        image, fine = subject
        shape = fine.shape[0], fine.shape[1]
        box = Box.around(fine)
        if not self.has_patches:
            coarse = simulate_published(rng, fine).mask
            window = draw_object_window(rng, box, shape)
            return (resize_crop(image, fine, coarse, window, self.side),)
        patch = draw_patch(rng, fine, self.side)
        if patch is None:
            return ()
        coarse = self._stored_coarse(which, fine, is_expanded=rng.random() < EXPANDED)
        whole = draw_object_crop(rng, box, shape)
        inner = coarse
        if rng.random() >= LOADED:
            inner = np.zeros_like(fine)
            inner[patch.slices] = simulate_published(rng, fine[patch.slices]).mask
        return (
            resize_crop(image, fine, coarse, whole, self.side),
            resize_crop(image, fine, inner, patch, self.side),
        )

    def _stored_coarse(self, which: int, fine: Mask, *, is_expanded: bool) -> Mask:
        """The coarse mask of an image, one of two that are always the same.

        A file if there is one, else made from the random numbers of its place in the
        list of images.
        """
        folder = "coarse_expand" if is_expanded else "coarse"
        for path in self.items[which].coarse:
            if path.parent.name == folder and self.items[which].is_mask:
                return read_mask(path).astype(bool)
        if self.cache is None:
            return self._made_coarse(which, fine, is_expanded=is_expanded)
        kept = self.cache / f"{self.seed}-{self._key(which, fine)}-{folder}.png"
        if not kept.exists():
            coarse = self._made_coarse(which, fine, is_expanded=is_expanded)
            try:
                self.cache.mkdir(parents=True, exist_ok=True)
                with write_whole(kept, overwrite=True) as part:
                    Image.fromarray(coarse).save(part, format="PNG")
            except (OSError, SegRefinerError) as error:
                logger.warning("A coarse mask is made anew each time. %s", error)
            return coarse
        coarse = read_mask(kept).astype(bool)
        if coarse.shape != fine.shape:
            message = f"{kept} is not of this data set; remove {self.cache}."
            raise InputError(message)
        return coarse

    def _key(self, which: int, fine: Mask) -> str:
        """What tells a mask from all others, whatever files come and go beside it."""
        digest = hashlib.sha256(os.fsencode(f"{self.places[which]} {fine.shape} "))
        digest.update(np.packbits(fine).tobytes())
        return digest.hexdigest()[:16]

    def _made_coarse(self, which: int, fine: Mask, *, is_expanded: bool) -> Mask:
        bits = np.random.Philox(key=[self.seed, which], counter=_VARIANTS[is_expanded])
        whole = ndimage.binary_fill_holes(fine) if is_expanded else fine
        return simulate_published(np.random.Generator(bits), whole).mask

    def _draw_subject(self, rng: np.random.Generator, item: Item) -> Subject | None:
        """A random usable object; None if the image has none, or cannot be read."""
        try:
            if item.annotations is not None:
                return self._draw_annotated(rng, item)
            pairs = read_item(item)
        except InputError as error:
            logger.warning("%s", error)
            return None
        pair = pairs[int(rng.integers(len(pairs)))]
        areas = np.bincount(pair.labels.ravel())
        areas[0] = 0
        is_usable = (areas > self._least()) & (areas < pair.labels.size)
        usable = np.flatnonzero(is_usable)
        if len(usable) == 0:
            return None
        return Subject(pair.image, pair.labels == int(rng.choice(usable)))

    def _draw_annotated(self, rng: np.random.Generator, item: Item) -> Subject | None:
        annotations = item.annotations
        if annotations is None:
            return None
        usable = [one for one in annotations.objects() if self._is_usable(one)]
        if not usable:
            return None
        fine = usable[int(rng.integers(len(usable)))].mask
        if not fine.any() or fine.all():
            return None
        return Subject(to_rgb(read_image(item.image), fine), fine)

    def _is_usable(self, one: CocoObject) -> bool:
        x, y, width, height = one.box
        across = min(x + width, one.width) - max(x, 0)
        down = min(y + height, one.height) - max(y, 0)
        return (
            one.area > self._least()
            and not one.is_crowd
            and not one.is_ignored
            and min(across, down) > 0
            and min(width, height) >= 1
        )

    def _least(self) -> int:
        """Area that an object has to exceed, px."""
        return 0 if self.has_patches else SMALLEST_AREA


def _size(item: Item) -> tuple[int, int]:
    """Height and width, by the header of the truth."""
    if item.annotations is not None:
        return item.annotations.height, item.annotations.width
    return plane_size(item.labels)


def _flipped(crop: Crop) -> Crop:
    return Crop(
        np.ascontiguousarray(crop.image[:, ::-1]),
        np.ascontiguousarray(crop.fine[:, ::-1]),
        np.ascontiguousarray(crop.coarse[:, ::-1]),
    )
