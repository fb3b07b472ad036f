"""The plan of a run: which objects are refined, from which crops, in which batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.objects import LabelledObject, choose, find_objects
from napari_segrefiner.core.resampling import mask_on_grid, pins_on_grid, to_grid

if TYPE_CHECKING:
    from napari_segrefiner.core.crops import Crop, CropRule
    from napari_segrefiner.core.events import ObjectMode
    from napari_segrefiner.core.preprocessing import Picture

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Job:
    """One object to refine.

    ``rank`` is its place among them by rising id, as the published code counts,
    ``mode`` how it is refined.
    """

    target: LabelledObject
    crop: Crop
    rank: int
    mode: ObjectMode = "objects"


@dataclass(frozen=True)
class Plan:
    """All that a run knows before it begins.

    Attributes
    ----------
    picture : Picture
    coarse : (Y, X) array of integers >= 0
    objects : tuple of LabelledObject
        All of them, by rising id.
    jobs : tuple of Job
        Those to refine, in the order of work: equal grids together, small ones first.
    pinned : (Y, X) bool array or None
        Pixels that keep their coarse value.
    """

    picture: Picture
    coarse: npt.NDArray[Any]
    objects: tuple[LabelledObject, ...]
    jobs: tuple[Job, ...]
    pinned: Mask | None = None

    def mask(self, job: Job) -> Mask:
        """An object's coarse mask in its crop, as far as that is inside the image."""
        mask: Mask = self.coarse[job.crop.inside.slices] == job.target.id
        return mask

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
    coarse: npt.NDArray[Any],
    rule: CropRule,
    mode_of: Callable[[Crop], ObjectMode],
    *,
    ids: tuple[int, ...],
    min_area: int,
    pinned: Mask | None = None,
) -> Plan:
    """Find the objects and plan their crops.

    Parameters
    ----------
    picture : Picture
    coarse : (Y, X) array of integers >= 0
    rule : CropRule
    mode_of : callable
        Tells how the object in a crop is refined.
    ids : tuple of int
        Labels to refine; none given: all.
    min_area : int
        Smaller objects are left as they are, px.
    pinned : (Y, X) bool array, optional
        Pixels that keep their coarse value.

    Raises
    ------
    OptionError
        If there is no object with one of the ids.
    """
    height, width = coarse.shape
    objects = find_objects(coarse)
    jobs = []
    for rank, target in enumerate(choose(objects, ids, min_area)):
        crop = rule.plan(target.box, (height, width))
        jobs.append(Job(target, crop, rank, mode_of(crop)))
    jobs.sort(key=lambda job: (job.crop.grid, job.rank))
    return Plan(picture, coarse, tuple(objects), tuple(jobs), pinned)


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
