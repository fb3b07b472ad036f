"""The pass over windows: plans, runs and blends them, round after round."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.blend import Blend
from napari_segrefiner.core.device import BATCH_PIXELS, OutOfMemory, free_memory
from napari_segrefiner.core.events import StepDone, WindowsPlanned
from napari_segrefiner.core.noise import SeededNoise
from napari_segrefiner.core.process import to_numpy
from napari_segrefiner.core.resampling import (
    mask_on_grid,
    pins_on_grid,
    to_grid,
    transfer,
    without_thin_changes,
)

if TYPE_CHECKING:
    from torch import Tensor

    from napari_segrefiner.core.crops import Crop
    from napari_segrefiner.core.draft import Draft
    from napari_segrefiner.core.plan import Job
    from napari_segrefiner.core.process import Chain, Process
    from napari_segrefiner.core.windows import Round
    from napari_segrefiner.geometry import Box
    from napari_segrefiner.io.picture import Picture

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)


class WindowRule(Protocol):
    """Where windows go."""

    @property
    def grid(self) -> int:
        """Side of a window's grid."""

    @property
    def is_tapered(self) -> bool:
        """Whether their weights fade to the rim."""

    def estimate(self, crop: Crop, object_box: Box) -> int:
        """About how many windows an object takes; 0 if it surely takes none."""

    def rounds(self, draft: Draft) -> Iterator[Round]:
        """Plan round after round; each reads what the one before left in the draft."""


@dataclass(frozen=True)
class Batch:
    """Windows that are worked on at once.

    Attributes
    ----------
    windows : tuple of Crop
    streams : tuple of int
        Of their noise.
    images : (N, 1 or 3, grid, grid) float32 array in [0, 1]
    seen : (N, grid, grid) bool array
        Their masks.
    fine : (N, grid, grid) float32 array in [0, 1] or None
        Fine probability to start from; None: 0.
    pinned : (N, grid, grid) bool array or None
        Pixels that keep their value.
    """

    windows: tuple[Crop, ...]
    streams: tuple[int, ...]
    images: Plane
    seen: Mask
    fine: Plane | None
    pinned: Mask | None


class WindowPass:
    """Refines drafts in windows.

    Parameters
    ----------
    process : Process
    chain : Chain
        Of every window.
    rule : WindowRule
    batch_size : int
        Windows at once.
    seed : int
        Of their noise.
    carries_fine : bool
        Whether the fine probability goes on from where the pass before left it.
    """

    def __init__(
        self,
        process: Process,
        chain: Chain,
        rule: WindowRule,
        *,
        batch_size: int,
        seed: int,
        carries_fine: bool = False,
    ) -> None:
        self._process = process
        self._chain = chain
        self._rule = rule
        self._batch_size = batch_size
        self._seed = seed
        self._carries_fine = carries_fine

    def work(self, crop: Crop, object_box: Box) -> int:
        """About how many grid pixels times steps an object takes."""
        n = self._rule.estimate(crop, object_box)
        return n * self._rule.grid**2 * self._chain.n_steps

    def refine(
        self, job: Job, picture: Picture, draft: Draft
    ) -> Iterator[WindowsPlanned | StepDone]:
        """Refine a draft in place and yield what happens.

        Parameters
        ----------
        job : Job
        picture : Picture
        draft : Draft

        Yields
        ------
        WindowsPlanned, StepDone
            Their progress is the share of this object's windows.
        """
        for planned in self._rule.rounds(draft):
            if not planned.windows:
                continue
            boxes = tuple(window.inside for window in planned.windows)
            yield WindowsPlanned(job.target.id, boxes, planned.level, planned.n_levels)
            for event in self._run(job, picture, draft, planned):
                share = (planned.level + event.progress) / planned.n_levels
                yield replace(event, progress=share)
            draft.n_windows += len(boxes)

    def _run(
        self, job: Job, picture: Picture, draft: Draft, planned: Round
    ) -> Iterator[StepDone]:
        """Run and blend the windows of one round."""
        windows = sorted(planned.windows, key=lambda window: window.inside[:2])
        blend = Blend(draft, is_tapered=self._rule.is_tapered)
        # 0 is the stream of the crop itself.
        first_stream = job.stream + draft.n_windows + 1
        max_pixels = BATCH_PIXELS[self._process.device.type]
        size = min(self._batch_size, max(1, max_pixels // self._rule.grid**2))
        done = 0
        while done < len(windows):
            chosen = windows[done : done + size]
            try:
                batch = self.show(picture, draft, chosen, first_stream + done)
                if batch is not None:
                    for event in self._refine_batch(job.target.id, draft, batch, blend):
                        share = len(chosen) * (event.step + 1) / event.n_steps
                        progress = (done + share) / len(windows)
                        yield replace(event, progress=progress)
            except OutOfMemory:
                if len(chosen) == 1:
                    raise
                size = len(chosen) // 2
            else:
                done += len(chosen)
                continue
            # Out here the exception, and with it the failed batch, is let go of.
            logger.info("Memory ran out; going on with %d windows at once", size)
            free_memory(self._process.device)
        blend.finish()

    def show(
        self,
        picture: Picture,
        draft: Draft,
        windows: Sequence[Crop],
        first_stream: int,
    ) -> Batch | None:
        """Bring windows to their grids; None if there is nothing to ask in any of them.

        Those without any boundary on their grid are left out: they would be no question
        to the network.

        Parameters
        ----------
        picture : Picture
        draft : Draft
        windows : sequence of Crop
        first_stream : int
            Of the noise of the first one; each of them has the next, shown or not.
        """
        parts = [draft.part(window.inside) for window in windows]
        seen = [
            mask_on_grid(draft.mask[part], window)
            for part, window in zip(parts, windows, strict=True)
        ]
        kept = [k for k, mask in enumerate(seen) if mask.any() and not mask.all()]
        if not kept:
            return None
        fine = pinned = None
        if self._carries_fine:
            fine = np.stack([_fine_on_grid(draft, windows[k]) for k in kept])
        if draft.pinned is not None:
            pinned = np.stack(
                [pins_on_grid(draft.pinned[parts[k]], windows[k]) for k in kept]
            )
        return Batch(
            windows=tuple(windows[k] for k in kept),
            streams=tuple(first_stream + k for k in kept),
            images=np.stack([to_grid(picture.read, windows[k]) for k in kept]),
            seen=np.stack([seen[k] for k in kept]),
            fine=fine,
            pinned=pinned,
        )

    def _refine_batch(
        self, id: int, draft: Draft, batch: Batch, blend: Blend
    ) -> Iterator[StepDone]:
        """Run the reverse process on a batch of windows, then blend its answers."""
        chain, windows = self._chain, batch.windows
        boxes = tuple(window.inside for window in windows)
        region = reduce(lambda first, second: first.union(second), boxes)
        ids = [id] * len(windows)
        noise = SeededNoise(self._seed, ids, self._rule.grid, batch.streams)
        for step in self._process.run(
            batch.images,
            batch.seen,
            chain,
            noise,
            fine=batch.fine,
            pinned=batch.pinned,
            what="windows",
        ):
            yield StepDone(
                step=step.step,
                index=step.index,
                n_steps=chain.n_steps,
                ids=(id,),
                boxes=(region,),
                mask=_mask_of(draft, batch, region, chain.values(step)),
                progress=0.0,
                windows=boxes,
            )
        draft.was_asked = True
        values, probability, fine = (
            to_numpy(each)
            for each in (chain.values(step), step.probability, step.fine_probability)
        )
        blend.finish(above=min(box.y0 for box in boxes))
        for k, window in enumerate(windows):
            blend.add(window, batch.seen[k], values[k], probability[k], fine[k])


def _fine_on_grid(draft: Draft, window: Crop) -> Plane:
    """The fine probability of a draft in a window, (grid, grid) float32."""

    def read(box: Box) -> Plane:
        return draft.fine[None, *draft.part(box)]

    fine: Plane = to_grid(read, window)[0]
    return fine


def _mask_of(
    draft: Draft, batch: Batch, region: Box, values: Tensor
) -> Callable[[int], Mask]:
    """A function that draws the windows over the draft when somebody asks."""

    def mask(k: int) -> Mask:
        drawn = draft.mask[draft.part(region)].copy()
        answers = to_numpy(values)
        for window, answer, seen in zip(
            batch.windows, answers, batch.seen, strict=True
        ):
            if window.is_reduced:
                answer = without_thin_changes(answer, seen)[0]
            part = drawn[window.inside.shift(-region.y0, -region.x0).slices]
            part[:] = transfer(answer, seen, part.copy(), window)[0]
        if draft.pinned is not None:
            pinned = draft.pinned[draft.part(region)]
            drawn[pinned] = draft.coarse[draft.part(region)][pinned]
        return drawn

    return mask
