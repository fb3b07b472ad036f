"""One refinement under way: what it reads, where it goes, what it has done so far."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_segrefiner.errors import InputError
from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.edits import Edit
from napari_segrefiner.plugin.images import plane_reader
from napari_segrefiner.plugin.layers import (
    array_of,
    check_labels,
    check_room,
    check_writable,
    entry,
)
from napari_segrefiner.plugin.marks import Marks
from napari_segrefiner.plugin.planes import (
    Plane,
    array_shape,
    displayed_plane,
    planes_along,
    sliders,
)
from napari_segrefiner.plugin.results import Results
from napari_segrefiner.plugin.sheet import ImageGiver, as_it_is
from napari_segrefiner.plugin.view import Choices
from napari_segrefiner.plugin.worker import Handle, PlaneDone, RunRequest

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer

    from napari_segrefiner.plugin.stroke import StrokeWatch


class Single(NamedTuple):
    """One object that was asked for, in the plane that was shown then."""

    layer: Labels
    plane: Plane
    label: int


class Others(NamedTuple):
    """The others of a result, of all planes for which one picture was looked at."""

    layer: Labels
    image: Image
    channel: int | None


@dataclass(eq=False)
class Run:
    """A run is bound to its layers, not to names or to what is active later.

    Attributes
    ----------
    request : RunRequest
    image, source : layers
        What is read.
    destination : Labels, optional
        The layer that is written into; None makes a new one.
    shape : tuple of int
        Of the source when the run began.
    done : list of PlaneDone
    share : float
        What is done, [0, 1].
    failed : str
        Why it ended early, as a sentence; empty if it did not.
    is_stopped : bool
        The user pressed Stop.
    is_void : bool
        The place for the result is gone.
    has_ended : bool
        The worker is through; only the writing is left.
    told : int
        Number of the plane that the user was told of last.
    looked_at : callable
        Gives the image while it shows what it showed when the run began.
    arrays : list of (Labels, callable)
        What is read and what is written into, and what gives their arrays of then.
    """

    request: RunRequest
    image: Image
    source: Labels
    destination: Labels | None
    shape: tuple[int, ...]
    started: float = field(default_factory=time.monotonic)
    handle: Handle | None = None
    stroke: StrokeWatch | None = None
    done: list[PlaneDone] = field(default_factory=list)
    share: float = 0.0
    failed: str = ""
    is_stopped: bool = False
    is_void: bool = False
    has_ended: bool = False
    told: int = 1
    looked_at: ImageGiver = field(init=False)
    arrays: list[tuple[Labels, Callable[[], Any]]] = field(init=False)

    def __post_init__(self) -> None:
        self.looked_at = as_it_is(self.image)
        layers = [self.source, *([self.destination] if self.destination else [])]
        self.arrays = [(layer, array_of(layer)) for layer in layers]

    @property
    def replaced(self) -> Labels | None:
        """The layer that was given other labels since the run began, if one was."""
        for layer, array in self.arrays:
            if layer.data is not array():
                return layer
        return None

    @property
    def label(self) -> int | None:
        """The one object that is refined; None for all."""
        return self.request.label

    def is_for(self, single: Single) -> bool:
        """Whether it refines just this object."""
        found = (self.source, self.request.planes[0], self.label)
        return found == tuple(single)

    @property
    def number(self) -> int:
        """Number of the plane at work, counted from 1."""
        n_planes = len(self.request.planes)
        return min(int(self.share * n_planes), n_planes - 1) + 1

    @property
    def text(self) -> str:
        """What is going on, as a sentence."""
        what = f"'{self.source.name}'"
        if self.request.others is not None:
            n_others = sum(map(len, self.request.others.values()))
            what = f"{n_others:,} other{'s' if n_others > 1 else ''} of {what}"
        elif self.label is not None:
            what = f"label {self.label}"
        return messages.refining(what, self.number, len(self.request.planes))

    @property
    def edits(self) -> list[Edit]:
        """The pixels to write."""
        return [done.edit for done in self.done]

    @property
    def n_pixels(self) -> int:
        """How many pixels these are."""
        return sum(edit.size for edit in self.edits)

    @property
    def is_in_place(self) -> bool:
        """Whether labels that are nobody's result are written into."""
        return self.destination is self.source and "source" not in entry(self.source)

    def reads(self, layer: Layer) -> bool:
        """Whether the run still looks at the layer's picture."""
        return layer is self.image and not self.has_ended

    def writes(self, layer: Layer) -> bool:
        """Whether the result goes into the layer, or beside it."""
        return layer is (self.destination or self.source) or layer is self.source


def plan_run(
    viewer: ViewerModel,
    results: Results,
    choices: Choices,
    single: Single | None = None,
) -> Run:
    """Check everything that can be checked before a run, and put it together.

    Parameters
    ----------
    viewer : ViewerModel
    results : Results
    choices : Choices
    single : Single, optional
        One object; else all of the chosen labels.

    Raises
    ------
    InputError
        With what to do.
    """
    source = choices.labels if single is None else single.layer
    label = None if single is None else single.label
    if source is None:
        raise InputError(messages.NO_LABELS)
    if choices.image is None:
        raise InputError(messages.NO_IMAGE)
    check_labels(source)
    plane = displayed_plane(viewer, source) if single is None else single.plane
    if not plane.lies_in(array_shape(source)):
        raise InputError(messages.RESHAPED)
    planes: tuple[Plane, ...] = (plane,)
    if label is None and choices.slider is not None:
        for slider in sliders(viewer, source):
            if slider.axis == choices.slider:
                planes = planes_along(plane, slider)
    reader = plane_reader(choices.image, source, plane, choices.channel)
    destination = _destination(results, choices, source, label, planes)
    if destination is not None:
        check_writable(destination)
    else:
        check_room(source)
    other = destination is not None and destination is not source
    return Run(
        request=RunRequest(
            image=reader,
            labels=source.data,
            target=destination.data if destination is not None and other else None,
            planes=planes,
            label=label,
            options=choices.options,
            model=choices.model,
        ),
        image=choices.image,
        source=source,
        destination=destination,
        shape=array_shape(source),
    )


def find_others(marks: Marks) -> list[Others]:
    """All shown layers with objects which are neither accepted nor edited.

    What was hidden, such as an older result when a newer one came, stays as it is.
    """
    found: list[Others] = []
    for layer in marks.layers():
        if not layer.visible:
            continue
        standings = marks.standings(layer)
        for plane, sheet in marks.sheets(layer).items():
            image: Any = sheet.image()  # listed, as the sheet was given
            others = Others(layer, image, sheet.channel)
            if standings[plane].others and others not in found:
                found.append(others)
    return found


def plan_others(marks: Marks, choices: Choices, wanted: Others) -> Run:
    """A run over the objects of a result that are neither accepted nor edited.

    They begin from their coarse masks again, among all others as they are now, each for
    itself also where the labels were parts of one object.

    Raises
    ------
    InputError
        With what to do, if there are none.
    """
    layer, image, channel = wanted
    check_writable(layer)
    standings = marks.standings(layer)
    found = {
        plane: sheet
        for plane, sheet in marks.sheets(layer).items()
        if standings[plane].others
        and (sheet.image(), sheet.channel) == (image, channel)
    }
    if not found:
        raise InputError(messages.NO_OTHERS)
    target = np.array(layer.data)
    labels = target.copy()
    others = {plane: standings[plane].others for plane in found}
    options = choices.options
    if options.labels_are == "parts":  # as one object, all would get the lowest label
        options = dataclasses.replace(options, labels_are="objects")
    for plane, sheet in found.items():
        labels[plane.index] = sheet.other_labels(target[plane.index], others[plane])
    return Run(
        request=RunRequest(
            image=plane_reader(image, layer, next(iter(others)), channel),
            labels=labels,
            target=target,
            planes=tuple(others),
            label=None,
            options=options,
            model=choices.model,
            others=others,
        ),
        image=image,
        source=layer,
        destination=layer,
        shape=array_shape(layer),
    )


def _destination(
    results: Results,
    choices: Choices,
    source: Labels,
    label: int | None,
    planes: Sequence[Plane],
) -> Labels | None:
    """The layer to write into; None for a new one.

    Single objects go into one result layer per source, made for the first of them, and
    so do the planes of a stack that are refined one after the other.
    """
    if choices.target == "into this layer":
        seen = None if source.visible else results.result_of(source)
        if seen is not None and seen.visible:  # it would stay, and Ctrl+Z be for it
            raise InputError(messages.behind(source.name, seen.name))
        return source
    if label is None:
        return results.result_for(source, planes)
    if results.is_result(source):
        return source
    result = results.result_of(source)
    is_stale = result is not None and not results.still_belongs(result)
    return None if is_stale else result
