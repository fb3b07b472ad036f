"""The run: refines every chosen object of a label image and yields what happens."""

from __future__ import annotations

import dataclasses
import inspect
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.arrays import as_array
from napari_segrefiner.core.coarse import Coarse, CoarseLabels
from napari_segrefiner.core.compose import Canvas
from napari_segrefiner.core.device import BATCH_PIXELS, OutOfMemory, free_memory
from napari_segrefiner.core.draft import cut_at, make_draft
from napari_segrefiner.core.events import (
    BatchDone,
    Event,
    ObjectReport,
    RefineResult,
    RunDone,
    RunStarted,
    StepDone,
    WindowsPlanned,
)
from napari_segrefiner.core.guards import Guards
from napari_segrefiner.core.noise import GivenNoise, SeededNoise, check_noise
from napari_segrefiner.core.objects import check_pinned
from napari_segrefiner.core.plan import Job, Plan, make_plan, n_pixels, take_batch
from napari_segrefiner.core.process import Process, to_numpy
from napari_segrefiner.core.record import make_record
from napari_segrefiner.core.resampling import transfer
from napari_segrefiner.core.settle import Settlement, Surface
from napari_segrefiner.core.strategy import Strategy
from napari_segrefiner.errors import ModelError, OptionError, SegRefinerError
from napari_segrefiner.io.picture import open_picture
from napari_segrefiner.models.card import resolve
from napari_segrefiner.models.catalogue import DEFAULT, load_model
from napari_segrefiner.models.checkpoint import Model
from napari_segrefiner.options import RefineOptions, check_names, known

if TYPE_CHECKING:
    from torch import Tensor

    from napari_segrefiner.core.keywords import OptionKeywords

Mask = npt.NDArray[np.bool_]
Noise = SeededNoise | GivenNoise

logger = logging.getLogger(__name__)


def refine(
    image: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    model: str | Path | Model = DEFAULT,
    options: RefineOptions | None = None,
    pinned: npt.ArrayLike | None = None,
    noise: npt.NDArray[np.float32] | None = None,
    **keywords: Unpack[OptionKeywords],
) -> RefineResult:
    """Refine the objects of a label image.

    Parameters
    ----------
    image : (Y, X), (Y, X, C) or (C, Y, X) array
        Of bool, integers or floats; grey, RGB(A) or any channels.
    labels : (Y, X) array
        Coarse labels: integers >= 0, 0 for the background; bool is one object.
    model : str, Path or Model
        A name of the catalogue, a .safetensors file, a model folder or a loaded model.
    options : RefineOptions, optional
    pinned : (Y, X) bool array, optional
        Pixels that are right as they are, such as those drawn by hand: they keep their
        label, background included, in every step and in the result.
    noise : (objects, fields, grid, grid) float array in [0, 1), optional
        Uniforms instead of seeded ones: for each refined object, by rising id, one
        field for every step but a soft last one.
    **keywords
        Fields of :class:`RefineOptions`, such as ``steps=3`` or ``ids=(3, 7)``; they
        win over `options`.

    Returns
    -------
    RefineResult
        New labels of the same shape and type, a report per object, and the record.

    Raises
    ------
    InputError, OptionError, ModelError, DeviceError
        One sentence each; neither `image` nor `labels` is ever written to.

    Examples
    --------
    >>> labels = np.zeros((64, 64), dtype=np.uint8)
    >>> refine(np.ones((64, 64)), labels).report  # nothing there, nothing to do
    ()
    """
    chosen = as_options(options, keywords)
    loaded = model if isinstance(model, Model) else load_model(model)
    for event in Refiner(loaded, chosen).steps(
        image, labels, pinned=pinned, noise=noise
    ):
        last = event
    assert isinstance(last, RunDone)
    return last.result


class Refiner:
    """A model with options, ready to refine.

    Parameters
    ----------
    model : Model
        Its network is moved to the device.
    options : RefineOptions, optional

    Attributes
    ----------
    options : RefineOptions
        Without None: what the preset and the card say is filled in.
    device : torch.device
    precision : {"float32", "bfloat16", "float16"}

    Raises
    ------
    OptionError, ModelError, DeviceError
        If options, model and machine do not go together.
    """

    def __init__(self, model: Model, options: RefineOptions | None = None) -> None:
        _check_type(model, Model, ModelError, "load_model('default') gives one")
        self.model = model
        self.options = chosen = resolve(as_options(options, {}), model.card)
        self._process = Process(model, chosen)
        self.device, self.precision = self._process.device, self._process.precision
        self._strategy = Strategy(chosen, model.card, self._process)
        self._guards = Guards(
            pixel_doubt=known(chosen.pixel_doubt),
            doubt=known(chosen.doubt),
            band=known(chosen.band),
            least_change=known(chosen.least_change),
            least_piece=known(chosen.least_piece),
            direction=chosen.direction,
        )
        # States that were drawn are no probabilities.
        is_drawn = chosen.last == "sampled"
        self._threshold = 0.5 if is_drawn else known(chosen.threshold)
        # Who has told the direction needs nobody else's word.
        is_told = chosen.direction != "both"
        self._consensus = 1.0 if is_drawn or is_told else known(chosen.consensus)

    def steps(
        self,
        image: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        pinned: npt.ArrayLike | None = None,
        noise: npt.NDArray[np.float32] | None = None,
    ) -> Generator[Event, None, None]:
        """Refine and yield what happens; parameters as for :func:`refine`.

        Close the generator to stop: nothing was written, and nothing is left behind.
        `labels` must not change while it runs.

        Yields
        ------
        Event
            RunStarted; per batch a StepDone for each step, for its large objects the
            windows, and a BatchDone; RunDone. A batch for which memory ran out begins
            anew with fewer objects.
        """
        given = as_array(labels, "labels")
        coarse, ids = CoarseLabels(given), self.options.ids
        if self.options.labels_are == "parts":
            coarse, ids = coarse.as_one(ids), tuple(sorted(ids)[:1])
        plan = self.plan(image, coarse, ids, pinned)
        canvas = Canvas.of(coarse, plan)
        report, record = yield from self.run(plan, canvas, noise)
        # Where nothing is refined, parts keep the labels that they came with, and so
        # do pinned pixels.
        refined = canvas.labels.view(given.dtype) if plan.jobs else given.copy()
        if plan.pinned is not None:
            refined[plan.pinned] = given[plan.pinned]
        yield RunDone(RefineResult(refined, report, record))

    def plan(
        self,
        image: npt.ArrayLike,
        coarse: Coarse,
        ids: tuple[int, ...],
        pinned: npt.ArrayLike | None = None,
    ) -> Plan:
        """Plan a run; parameters as for :func:`refine`, but for any coarse masks."""
        picture = open_picture(
            as_array(image, "image's values"),
            coarse.shape,
            channel_axis=self.options.channel_axis,
            channels=self.options.channels,
        )
        return make_plan(
            picture,
            coarse,
            self._strategy.rule,
            self._strategy.mode_of,
            ids=ids,
            min_area=known(self.options.min_area),
            labels_are=self.options.labels_are,
            pinned=check_pinned(pinned, coarse.shape),
        )

    def run(
        self,
        plan: Plan,
        surface: Surface,
        noise: npt.NDArray[np.float32] | None = None,
    ) -> Generator[Event, None, tuple[tuple[ObjectReport, ...], dict[str, Any]]]:
        """Refine what is planned onto a surface.

        Yields
        ------
        Event
            As :meth:`steps`, without RunDone.

        Returns
        -------
        tuple of ObjectReport, dict
            A report per object, and the record.
        """
        if noise is not None:
            grids = {job.crop.grid for job in plan.jobs}
            noise = as_array(noise, "numbers of noise")
            check_noise(noise, len(plan.jobs), self._strategy.chain.n_fields, grids)
        record = make_record(
            model=self.model,
            options=self.options,
            plan=plan,
            device=self.device,
            precision=self.precision,
            has_given_noise=noise is not None,
        )
        yield RunStarted(len(plan.ids), self._strategy.chain.n_steps, record)
        settlement = Settlement(
            plan,
            self._guards,
            surface,
            threshold=self._threshold,
            consensus=self._consensus,
        )
        yield from self._refine_all(plan, settlement, noise)
        report = settlement.finish(closes_gaps=known(self.options.close_gaps))
        return report, record

    def _refine_all(
        self,
        plan: Plan,
        settlement: Settlement,
        noise: npt.NDArray[np.float32] | None,
    ) -> Iterator[Event]:
        """Refine and settle all objects, batch by batch."""
        work = self._strategy.work
        total, done, n_done = sum(map(work, plan.jobs)), 0, 0
        max_pixels = BATCH_PIXELS[self.device.type]
        while n_done < len(plan.jobs):
            batch = take_batch(
                plan.jobs,
                n_done,
                max_crops=self.options.batch_size,
                max_pixels=max_pixels,
            )
            try:
                for event in self._refine_batch(plan, batch, settlement, noise):
                    if isinstance(event, StepDone):
                        progress = (done + event.progress) / total
                        yield dataclasses.replace(event, progress=progress)
                    else:
                        yield event
            except OutOfMemory:
                if len(batch) == 1:
                    raise
                max_pixels = n_pixels(batch) // 2
            else:
                done, n_done = done + sum(map(work, batch)), n_done + len(batch)
                yield BatchDone(tuple(job.target.id for job in batch), done / total)
                continue
            # Out here the exception, and with it the failed batch, is let go of.
            logger.info("Memory ran out; going on with %d grid pixels", max_pixels)
            free_memory(self.device)

    def _refine_batch(
        self,
        plan: Plan,
        batch: Sequence[Job],
        settlement: Settlement,
        noise: npt.NDArray[np.float32] | None,
    ) -> Iterator[WindowsPlanned | StepDone]:
        """Run the reverse process on a batch, then windows, then settle its objects.

        The progress of its events is in grid pixels times steps.
        """
        images, seen = plan.show(batch)
        chain, fields = self._strategy.chain, self._noise(batch, noise)
        work = n_pixels(batch)
        for step in self._process.run(
            images, seen, chain, fields, pinned=plan.show_pins(batch)
        ):
            is_end = step.step == chain.n_steps - 1
            threshold = self._threshold if is_end else 0.5
            yield StepDone(
                step=step.step,
                index=step.index,
                n_steps=chain.n_steps,
                ids=tuple(job.target.id for job in batch),
                boxes=tuple(job.crop.inside for job in batch),
                mask=self._masks_of(plan, batch, seen, chain.values(step), threshold),
                progress=work * (step.step + 1),
            )
        probability, fine = to_numpy(step.probability), to_numpy(step.fine_probability)
        sampled = to_numpy(step.mask) if chain.last == "sampled" else None
        done = work * chain.n_steps
        for k, job in enumerate(batch):
            windows = self._strategy.windows(job)
            draft = make_draft(
                job.crop,
                plan.mask(job),
                seen[k],
                probability[k],
                fine[k],
                None if sampled is None else sampled[k],
                plan.pins(job),
                leaves_details=windows is not None,
            )
            # After windows the network is sure of any object, be it right or wrong.
            if windows is not None and not settlement.doubts(draft):
                events = windows.refine(job, plan.picture, draft)
                yield from self._refine_in_windows(job, events, done)
            done += self._strategy.work_in_windows(job)
            settlement.settle(job, draft)

    def _refine_in_windows(
        self, job: Job, events: Iterator[WindowsPlanned | StepDone], done: int
    ) -> Iterator[WindowsPlanned | StepDone]:
        """Pass on what happens in an object's windows, with the batch's progress."""
        work = self._strategy.work_in_windows(job)
        for event in events:
            if isinstance(event, StepDone):
                progress = done + work * event.progress
                yield dataclasses.replace(event, progress=progress)
            else:
                yield event

    def _noise(
        self, batch: Sequence[Job], given: npt.NDArray[np.float32] | None
    ) -> Noise:
        if given is not None:
            return GivenNoise(given[[job.rank for job in batch]])
        ids = [job.target.id for job in batch]
        streams = [job.stream for job in batch]
        return SeededNoise(self.options.seed, ids, batch[0].crop.grid, streams)

    def _masks_of(
        self,
        plan: Plan,
        batch: Sequence[Job],
        seen: Mask,
        values: Tensor,
        threshold: float,
    ) -> Callable[[int], Mask]:
        """A function that brings object k's mask to the pixels when somebody asks.

        It is cut as the result will be, so that the last step shows it before the
        guards.
        """

        def mask(k: int) -> Mask:
            job = batch[k]
            coarse, pinned = plan.mask(job), plan.pins(job)
            shown, answer = transfer(to_numpy(values[k]), seen[k], coarse, job.crop)
            if not job.crop.is_reduced:
                shown = cut_at(shown, answer, threshold)
            shown = self._guards.towards(shown, coarse)
            return shown if pinned is None else np.where(pinned, coarse, shown)

        return mask


def as_options(
    options: RefineOptions | None, keywords: OptionKeywords
) -> RefineOptions:
    """Options with some of them replaced; OptionError for one that there is not."""
    if options is not None:
        _check_type(options, RefineOptions, OptionError, "or keywords, such as steps=3")
    check_names(RefineOptions, keywords)
    return dataclasses.replace(options or RefineOptions(), **keywords)


def _check_type(
    given: Any, wanted: type, kind: type[SegRefinerError], remedy: str
) -> None:
    """Refuse what is of another type, as users without a type checker may give."""
    if not isinstance(given, wanted):
        message = (
            f"{type(given).__name__} is given where {wanted.__name__} is expected; "
            f"{remedy}."
        )
        raise kind(message)


def _spell_out_keywords() -> None:
    """Show every option, with its default, where Python shows refine's signature."""
    signature = inspect.signature(refine)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    fields = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=field.type,
        )
        for field in dataclasses.fields(RefineOptions)
    ]
    refine.__signature__ = signature.replace(parameters=own + fields)  # type: ignore[attr-defined]


_spell_out_keywords()
