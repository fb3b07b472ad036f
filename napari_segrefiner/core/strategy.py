"""The strategy of a run: which passes an object takes, by mode, preset and size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segrefiner.core.crops import CropRule
from napari_segrefiner.core.process import Chain
from napari_segrefiner.core.whole_published import PublishedWindows
from napari_segrefiner.core.window_pass import WindowPass
from napari_segrefiner.core.windows import BoundaryWindows
from napari_segrefiner.diffusion import N_LEVELS, visit_indices
from napari_segrefiner.errors import OptionError
from napari_segrefiner.options import known

if TYPE_CHECKING:
    from napari_segrefiner.core.crops import Crop
    from napari_segrefiner.core.events import ObjectMode
    from napari_segrefiner.core.plan import Job
    from napari_segrefiner.core.process import Process
    from napari_segrefiner.models.card import ModelCard
    from napari_segrefiner.options import Last, RefineOptions, Transition


class Strategy:
    """How the objects of a run are refined.

    Parameters
    ----------
    options : RefineOptions
        Resolved.
    card : ModelCard
    process : Process

    Attributes
    ----------
    rule : CropRule
        How objects get their crops.
    chain : Chain
        Of the pass on the crops.

    Raises
    ------
    OptionError, ModelError
        If options and model do not go together.
    """

    def __init__(
        self, options: RefineOptions, card: ModelCard, process: Process
    ) -> None:
        is_published = options.preset == "published"
        if is_published:
            _check_published(options)
        self._mode = options.mode
        self.rule = crop_rule(options, card)
        self.rule.check(card)
        n_steps = known(options.steps)
        transition: Transition = known(options.transition)
        last: Last = known(options.last)
        self.chain = Chain(
            # The published code cuts the chain off; sub-sampled it ends where it ought
            # to.
            visit_indices(N_LEVELS)[:n_steps]
            if is_published
            else visit_indices(n_steps),
            transition,
            last,
            ends_fine=not is_published,
        )
        local = visit_indices(known(options.local_steps), known(options.local_index))
        local_chain = Chain(local, transition, last)
        self._passes: dict[ObjectMode, WindowPass] = {}
        if not options.windows:
            return
        side = self.rule.grid if is_published and self.rule.grid else card.grids.base
        for mode in _modes(self._mode):
            self._passes[mode] = WindowPass(
                process,
                local_chain,
                PublishedWindows(side)
                if is_published
                else BoundaryWindows(side, everywhere=mode == "objects"),
                batch_size=options.batch_size,
                seed=options.seed,
                carries_fine=is_published,
            )

    def mode_of(self, crop: Crop) -> ObjectMode:
        """How the object in a crop is refined; auto: as a whole what is larger."""
        if self._mode != "auto":
            return self._mode
        return "whole" if crop.is_reduced else "objects"

    def windows(self, job: Job) -> WindowPass | None:
        """The pass over windows that follows the pass on the crop, if there is one."""
        windows = self._passes.get(job.mode)
        is_asked = windows is not None and windows.work(job.crop, job.target.box) > 0
        return windows if is_asked else None

    def work(self, job: Job) -> int:
        """About how many grid pixels times steps an object takes."""
        return job.crop.grid**2 * self.chain.n_steps + self.work_in_windows(job)

    def work_in_windows(self, job: Job) -> int:
        """The part of it that windows are about to take."""
        windows = self.windows(job)
        return windows.work(job.crop, job.target.box) if windows else 0


def _check_published(options: RefineOptions) -> None:
    """Refuse what the published code cannot do."""
    reason = None
    if options.labels_are == "classes":
        reason = "refines every label as one object; choose preset default for classes"
    elif options.mode == "auto":
        reason = "has no mode auto; choose mode objects or whole, or preset default"
    elif options.mode == "objects" and options.windows:
        reason = "has windows in mode whole alone; choose that mode, or preset default"
    if reason is not None:
        message = f"Preset published {reason}."
        raise OptionError(message)


def crop_rule(options: RefineOptions, card: ModelCard) -> CropRule:
    """How objects get their crops, by resolved options and the model's card."""
    is_published = options.preset == "published"
    return CropRule(
        padding=known(options.padding),
        min_padding=known(options.min_padding),
        grid=options.grid,
        grids=card.grids,
        is_published=is_published,
        is_whole=is_published and options.mode == "whole",
    )


def _modes(mode: str) -> tuple[ObjectMode, ...]:
    if mode == "auto":
        return ("objects", "whole")
    return ("whole",) if mode == "whole" else ("objects",)
