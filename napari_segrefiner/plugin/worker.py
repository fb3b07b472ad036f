"""A run in its own thread: planes in, small events out; it knows no layer."""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_segrefiner.core.events import (
    Event,
    ObjectReport,
    RefineResult,
    RunDone,
    RunStarted,
    StepDone,
    WindowsPlanned,
)
from napari_segrefiner.core.parts import EIGHT
from napari_segrefiner.errors import InputError, SegRefinerError, naming
from napari_segrefiner.geometry import Box
from napari_segrefiner.options import RefineOptions
from napari_segrefiner.plugin.edits import Edit, object_edit, plane_edit
from napari_segrefiner.plugin.engine import Added, Engine, Learnt, ModelFacts
from napari_segrefiner.plugin.frames import Frame, PackedMask
from napari_segrefiner.plugin.images import ImageReader
from napari_segrefiner.plugin.planes import Plane, place_text
from napari_segrefiner.training.correction_data import Correction
from napari_segrefiner.training.events import LearningProgress, LearningTest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRequest:
    """All that a run needs to know.

    Attributes
    ----------
    image : ImageReader
    labels : array
        The n-D labels; a plane is copied out of them when its turn comes.
    target : array, optional
        An earlier result that the object goes into; None if that is `labels`.
    planes : tuple of Plane
        One after the other.
    label : int, optional
        The one object to refine; None refines all.
    options : RefineOptions
    model : str
        Name or path.
    others : dict of Plane to frozenset of int, optional
        The labels to refine in each plane, if they are neither one nor all; the result
        goes into `target`.
    """

    image: ImageReader
    labels: Any
    target: Any
    planes: tuple[Plane, ...]
    label: int | None
    options: RefineOptions
    model: str
    others: dict[Plane, frozenset[int]] | None = None

    def chosen(self, plane: Plane) -> frozenset[int] | None:
        """The labels to refine in a plane; None for all."""
        if self.others is not None:
            return self.others[plane]
        return None if self.label is None else frozenset((self.label,))


@dataclass(frozen=True)
class Progress:
    """Share of the whole run that is done, [0, 1].

    ``remaining`` in seconds if the work itself knows, else NaN.
    """

    share: float
    remaining: float = math.nan


@dataclass(frozen=True)
class Windows:
    """Windows that follow the boundary of one object; level 0 is the coarsest zoom."""

    plane: Plane
    label: int
    level: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class PlaneDone:
    """A plane is refined; ``coarse`` (Y, X) is what was there before.

    ``n_parts`` is how many parts the only label had that was refined as an object; 0
    where there were several, or where labels are not taken for objects.
    """

    plane: Plane
    coarse: npt.NDArray[Any]
    edit: Edit
    report: tuple[ObjectReport, ...]
    record: dict[str, Any]
    n_parts: int = 0


@dataclass(frozen=True)
class Warmed:
    """The model is ready."""

    facts: ModelFacts


@dataclass(frozen=True)
class Failed:
    """The work ended early; `text` is one sentence for the user."""

    text: str


WorkerEvent = Progress | Frame | Windows | PlaneDone | Warmed | Added | Learnt | Failed
Work = Callable[[threading.Event], Iterator[WorkerEvent]]


def refine_planes(
    engine: Engine, request: RunRequest, cancelled: threading.Event
) -> Iterator[WorkerEvent]:
    """Refine the planes of a request; ends early and quietly when cancelled."""
    n_planes = len(request.planes)
    for number, plane in enumerate(request.planes):
        coarse = np.array(request.labels[plane.index])
        _check_labels(coarse, request.label, n_planes)
        if not coarse.any():
            yield Progress((number + 1) / n_planes)
            continue
        image = request.image.read(plane)
        options = dataclasses.replace(
            request.options,
            ids=tuple(sorted(request.chosen(plane) or ())),
            channel_axis=request.image.kind,
        )
        events = engine.steps(request.model, options, image, coarse)
        named = _naming(place_text(plane, request.labels.shape), events)
        # Closed here, in its own thread: whoever only stops asking leaves the engine's
        # clean-up to the garbage collector.
        with closing(named) as steps:
            for event in steps:
                if cancelled.is_set():
                    return
                match event:
                    case StepDone():
                        yield _frame(plane, event, coarse)
                        yield Progress((number + event.progress) / n_planes)
                    case WindowsPlanned(id=label, level=level, boxes=boxes):
                        yield Windows(plane, label, level, boxes)
                    case RunDone(result=result):
                        yield _plane_done(request, plane, coarse, result)
                        yield Progress((number + 1) / n_planes)
                    case RunStarted():
                        yield Progress(number / n_planes)
        if cancelled.is_set():
            return


def _naming(place: str, events: Iterator[Event]) -> Generator[Event, None, None]:
    """Pass events on; what is wrong with a plane of a stack is told with its place."""
    with naming(f"Plane {place}") if place else nullcontext():
        yield from events


def _check_labels(coarse: npt.NDArray[Any], label: int | None, n_planes: int) -> None:
    """Raise InputError if there is nothing to refine."""
    if label is not None and not (coarse == label).any():
        message = f"Label {label} is not in this plane; pick an object that is."
        raise InputError(message)
    if n_planes == 1 and not coarse.any():
        message = "There is no label in this plane; paint or load some, then refine."
        raise InputError(message)


def _frame(plane: Plane, event: StepDone, coarse: npt.NDArray[Any]) -> Frame:
    """The step with its masks packed; this is cheap and keeps the window free."""
    return Frame(
        plane=plane,
        step=event.step,
        n_steps=event.n_steps,
        ids=event.ids,
        masks=tuple(
            PackedMask.pack(box, event.mask(k)) for k, box in enumerate(event.boxes)
        ),
        coarse=tuple(
            PackedMask.pack(box, coarse[box.slices] == label)
            for label, box in zip(event.ids, event.boxes, strict=True)
        ),
        windows=event.windows,
    )


def _plane_done(
    request: RunRequest,
    plane: Plane,
    coarse: npt.NDArray[Any],
    result: RefineResult,
) -> PlaneDone:
    """The result as the few pixels that change."""
    chosen, report = request.chosen(plane), result.report
    options = request.options
    # Preset "published" knows no classes, so there would be no other choice.
    is_one = (
        len(report) == 1
        and options.labels_are == "objects"
        and options.preset != "published"
    )
    n_parts = int(ndimage.label(coarse, EIGHT)[1]) if is_one else 0
    target = request.target
    before = coarse if target is None else np.asarray(target[plane.index])
    if request.label is not None:
        edit = object_edit(plane, request.label, coarse, result.labels, before)
    else:
        edit = plane_edit(plane, before, result.labels)
    if chosen is not None:
        report = tuple(item for item in report if item.id in chosen)
    return PlaneDone(plane, coarse, edit, report, result.record, n_parts)


def warm_model(
    engine: Engine, model: str, options: RefineOptions
) -> Iterator[WorkerEvent]:
    """Load a model, so that the first run need not wait."""
    yield Warmed(engine.warm(model, options))


def add_model(engine: Engine, path: str) -> Iterator[WorkerEvent]:
    """Put a weight file into the user's models."""
    yield engine.add_model(path)


def learn(
    engine: Engine,
    model: str,
    options: RefineOptions,
    corrections: Sequence[Correction],
    cancelled: threading.Event,
) -> Iterator[WorkerEvent]:
    """Teach the model what was corrected; ends early and quietly when cancelled."""
    events = engine.learn(model, options, corrections)
    share = 0.0
    with closing(events) as steps:
        for event in steps:
            if cancelled.is_set():
                return
            match event:
                case LearningProgress():
                    share = event.share
                    yield Progress(share, event.remaining)
                case LearningTest():
                    yield Progress(share)
                case Learnt():
                    yield event


def guarded(work: Work, cancelled: threading.Event) -> Iterator[WorkerEvent]:
    """Turn every exception into one `Failed`, the thread's last word.

    napari's workers swallow a RuntimeError without any signal, and show others with
    their traceback; here both end as a sentence.
    """
    try:
        yield from work(cancelled)
    except SegRefinerError as error:
        yield Failed(str(error))
    except Exception as error:  # the thread's end: nobody else can tell the user
        logger.exception("The run failed")
        detail = " ".join(str(error).split()) or "no details"
        yield Failed(f"The run failed: {type(error).__name__}: {detail}")


class Handle(Protocol):
    """A running piece of work."""

    def cancel(self) -> None:
        """Ask it to stop at its next event."""


class Runner(Protocol):
    """Where work is done: in a thread, or in tests right away."""

    def start(
        self,
        work: Work,
        on_event: Callable[[WorkerEvent], None],
        on_end: Callable[[], None],
    ) -> Handle:
        """Begin; `on_event` and then `on_end` are called in the GUI thread."""


class ThreadRunner:
    """Runs work in napari's worker threads."""

    def start(
        self,
        work: Work,
        on_event: Callable[[WorkerEvent], None],
        on_end: Callable[[], None],
    ) -> Handle:
        """Begin in a new thread."""
        from napari.qt.threading import create_worker

        cancelled = threading.Event()
        # napari keeps every worker for as long as it is open; whoever is called after
        # the end is not kept by it, nor are the layers and arrays of the run.
        listeners = [(on_event, on_end)]

        def tell(event: WorkerEvent) -> None:
            for listener, _ in listeners:
                listener(event)

        def end() -> None:
            while listeners:
                listeners.pop()[1]()

        worker = create_worker(
            guarded,
            work,
            cancelled,
            _connect={"yielded": tell, "finished": end},
            _ignore_errors=True,
        )
        return _ThreadHandle(worker, cancelled)


class _ThreadHandle:
    """Cancels by a flag: after the worker's own quit() the generator is left open."""

    def __init__(self, worker: Any, cancelled: threading.Event) -> None:
        self.worker = worker
        self._cancelled = cancelled

    def cancel(self) -> None:
        """Ask the work to stop at its next event."""
        self._cancelled.set()
