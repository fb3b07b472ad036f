"""The plan of a run: which objects are refined, from which crops, in which batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.cuts import Cut
from napari_segrefiner.core.objects import LabelledObject, choose
from napari_segrefiner.core.parts import split_class, split_object
from napari_segrefiner.core.resampling import mask_on_grid, pins_on_grid, to_grid
from napari_segrefiner.errors import InputError

if TYPE_CHECKING:
    from napari_segrefiner.core.coarse import Coarse
    from napari_segrefiner.core.crops import Crop, CropRule
    from napari_segrefiner.core.events import ObjectMode
    from napari_segrefiner.io.picture import Picture
    from napari_segrefiner.options import LabelsAre

Mask = npt.NDArray[np.bool_]

#: Streams of noise that a part may use, for its crop and its windows.
STREAMS_OF_A_PART = 2**32


@dataclass(frozen=True, slots=True)
class Job:
    """One object to refine, or a part of one.

    Attributes
    ----------
    target : LabelledObject
    crop : Crop
    rank : int
        Place among them by rising id, as the published code counts.
    mode : {"objects", "whole"}
        How it is refined.
    own : Cut or None
        The pixels of a part; None for an object as a whole.
    stream : int
        Tells the noise of an object's parts apart.
    """

    target: LabelledObject
    crop: Crop
    rank: int
    mode: ObjectMode = "objects"
    own: Cut | None = None
    stream: int = 0


@dataclass(frozen=True)
class Plan:
    """All that a run knows before it begins.

    Attributes
    ----------
    picture : Picture
    coarse : Coarse
    jobs : tuple of Job
        In the order of work: equal grids together, small ones first.
    pinned : (Y, X) bool array or None
        Pixels that keep their coarse value.
    """

    picture: Picture
    coarse: Coarse
    jobs: tuple[Job, ...]
    pinned: Mask | None = None

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the objects that are refined, rising."""
        return tuple(sorted({job.target.id for job in self.jobs}))

    def mask(self, job: Job) -> Mask:
        """An object's coarse mask in its crop, as far as that is inside the image.

        Of all its parts: what surrounds a part is no background if it is the object.
        """
        return self.coarse.mask(job.target.id, job.crop.inside)

    def own(self, job: Job) -> Mask:
        """The coarse pixels in the target's box that this job stands for."""
        if job.own is None:
            return self.coarse.mask(job.target.id, job.target.box)
        return job.own.mask

    def pins(self, job: Job) -> Mask | None:
        """The pinned pixels in an object's crop, as far as that is inside the image."""
        return None if self.pinned is None else self.pinned[job.crop.inside.slices]

    def show(self, batch: Sequence[Job]) -> tuple[npt.NDArray[np.float32], Mask]:
        """What the network sees of a batch, on its grid.

        Returns
        -------
        images : (N, 1 or 3, grid, grid) float32 array in [0, 1]
        masks : (N, grid, grid) bool array
        """
        images = [to_grid(self.picture.read, job.crop) for job in batch]
        masks = [mask_on_grid(self.mask(job), job.crop) for job in batch]
        return np.stack(images), np.stack(masks)

    def show_pins(self, batch: Sequence[Job]) -> Mask | None:
        """The pinned cells of a batch's grids, (N, grid, grid) bool."""
        if self.pinned is None:
            return None
        return np.stack(
            [
                pins_on_grid(self.pinned[job.crop.inside.slices], job.crop)
                for job in batch
            ]
        )


def make_plan(
    picture: Picture,
    coarse: Coarse,
    rule: CropRule,
    mode_of: Callable[[Crop], ObjectMode],
    *,
    ids: tuple[int, ...],
    min_area: int,
    labels_are: LabelsAre = "objects",
    pinned: Mask | None = None,
) -> Plan:
    """Choose objects and plan their crops.

    Parameters
    ----------
    picture : Picture
    coarse : Coarse
    rule : CropRule
    mode_of : callable
        Tells how the object in a crop is refined.
    ids : tuple of int
        Labels to refine; none given: all.
    min_area : int
        Smaller objects are left as they are, px.
    labels_are : {"objects", "classes", "parts"}
        With classes, the parts of a label have crops of their own wherever they lie.
    pinned : (Y, X) bool array, optional
        Pixels that keep their coarse value.

    Raises
    ------
    InputError
        If there are objects to refine, but nothing to see in the picture.
    OptionError
        If there is no object with one of the ids.
    """
    jobs: list[Job] = []
    for target in choose(coarse.objects, ids, min_area):
        for k, (part, crop, own) in enumerate(_parts(target, coarse, rule, labels_are)):
            job = Job(part, crop, len(jobs), mode_of(crop), own, k * STREAMS_OF_A_PART)
            jobs.append(job)
    if jobs and not picture.has_values:
        message = (
            "The image is NaN or infinite everywhere; finite values are expected. "
            "Choose another image or channel, or clear the labels of a plane that was "
            "not recorded."
        )
        raise InputError(message)
    jobs.sort(key=lambda job: (job.crop.grid, job.rank))
    return Plan(picture, coarse, tuple(jobs), pinned)


def _parts(
    target: LabelledObject, coarse: Coarse, rule: CropRule, labels_are: LabelsAre
) -> Iterator[tuple[LabelledObject, Crop, Cut | None]]:
    """The parts of an object that get their own crops; mostly the object itself."""
    crop = rule.plan(target.box, coarse.shape)
    split = None
    if not crop.is_published and labels_are == "classes":
        mask = coarse.mask(target.id, target.box)
        split = split_class(mask, target.box, rule, coarse.shape)
    elif crop.is_reduced:
        mask = coarse.mask(target.id, target.box)
        split = split_object(mask, target.box, rule, coarse.shape)
    if split is None:
        yield target, crop, None
        return
    for number, (box, centre, area) in enumerate(
        zip(split.boxes, split.centres, split.areas, strict=True), start=1
    ):
        own = split.numbers[box.shift(-target.box.y0, -target.box.x0).slices] == number
        part = LabelledObject(target.id, area, box)
        yield part, rule.plan(centre, coarse.shape), Cut(box, own)


def take_batch(
    jobs: Sequence[Job], start: int, *, max_crops: int, max_pixels: int
) -> tuple[Job, ...]:
    """Jobs from `start` on with one grid, as many as the limits allow, at least one."""
    grid = jobs[start].crop.grid
    n = max(1, min(max_crops, max_pixels // grid**2))
    return tuple(job for job in jobs[start : start + n] if job.crop.grid == grid)


def n_pixels(jobs: Sequence[Job]) -> int:
    """Grid pixels of some jobs: the measure of work and of memory."""
    return sum(job.crop.grid**2 for job in jobs)
