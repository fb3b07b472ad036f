"""Corrected objects as training data: checked, cut out, split for an honest test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.objects import find_objects
from napari_segrefiner.errors import InputError
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.pairs import Labels, Pair
from napari_segrefiner.io.picture import open_picture
from napari_segrefiner.training.events import RIGHT
from napari_segrefiner.training.pictures import MIN_AREA
from napari_segrefiner.wording import size_text

if TYPE_CHECKING:
    from napari_segrefiner.options import ChannelAxis

#: Fewer objects teach nothing that holds.
LEAST_OBJECTS = 5
#: Below that many, every object is held back once, in two folds.
FOLDED_BELOW = 24
#: Share of the objects that are held back otherwise.
HELD_SHARE = 1 / 3
#: Surroundings that are kept of an image, in sides of its largest object, and px.
MARGIN = (2.0, 48)


class Correction(NamedTuple):
    """Corrected objects of one image.

    Attributes
    ----------
    image : (Y, X), (Y, X, C) or (C, Y, X) array, or callable
        Anything that ``refine`` takes, or what reads it when its turn comes.
    coarse, fine : (Y, X) integer arrays
        Labels as they went into the refinement, and as they were accepted or corrected.
    ids : tuple of int
        Labels of `fine` that are right, with the same numbers in `coarse`.
    name : str
        Of the image; planes of one stack share it.
    """

    image: Any
    coarse: npt.NDArray[Any]
    fine: npt.NDArray[Any]
    ids: tuple[int, ...]
    name: str = ""


class Subject(NamedTuple):
    """One corrected object: the number of its image, and its label."""

    image: int
    label: int


#: Name or number of an image, and a label: all subjects of one are held back together.
WholeObject = tuple[str | int, int]


def find_subjects(corrections: Sequence[Correction]) -> list[Subject]:
    """The objects to learn from.

    Raises
    ------
    InputError
        If arrays do not fit each other, or there are too few objects.
    """
    found = []
    for number, one in enumerate(corrections):
        if one.coarse.shape != one.fine.shape or one.fine.ndim != 2:
            message = (
                f"The coarse labels are {size_text(one.coarse.shape)} but the "
                f"corrected ones {size_text(one.fine.shape)}; two label images of one "
                "size are expected."
            )
            raise InputError(message)
        areas = {thing.id: thing.area for thing in find_objects(one.fine)}
        for label in dict.fromkeys(one.ids):
            if areas.get(label, 0) >= MIN_AREA:
                found.append(Subject(number, int(label)))
    missing = LEAST_OBJECTS - len(found)
    if missing > 0:
        message = (
            f"{len(found)} objects are accepted or corrected; at least {LEAST_OBJECTS} "
            f"of {MIN_AREA} px or more are needed to learn from. Accept or correct "
            f"{missing} more."
        )
        raise InputError(message)
    return found


def able_subjects(
    subjects: Sequence[Subject], corrections: Sequence[Correction]
) -> list[Subject]:
    """Those with a coarse mask; of objects drawn anew there is nothing to refine."""
    present = [set(np.unique(one.coarse).tolist()) for one in corrections]
    return [s for s in subjects if s.label in present[s.image]]


def whole_objects(
    subjects: Sequence[Subject], corrections: Sequence[Correction]
) -> dict[Subject, WholeObject]:
    """The object that each subject is of: one label in all planes of an image.

    What is learnt from one plane would answer for the next. If there is a single
    object, its planes count as one each.
    """
    found: dict[Subject, WholeObject] = {
        one: (corrections[one.image].name or one.image, one.label) for one in subjects
    }
    return found if len(set(found.values())) > 1 else {one: one for one in subjects}


def split_subjects(
    before: Mapping[Subject, float], objects: Mapping[Subject, WholeObject], seed: int
) -> list[list[Subject]]:
    """Which objects are held back: one part, or of few objects both halves in turn.

    Objects that the model gets wrong and those that it has right are dealt out alike:
    what was accepted as it came can only get worse, and tells of no gain.

    Parameters
    ----------
    before : mapping of Subject to float
        IoU with their corrections of the objects that may be held back.
    objects : mapping of Subject to WholeObject
        Of all corrected objects; one that is in several planes is held back in all.
    seed : int
    """
    rng = np.random.default_rng(seed)
    subjects = list(before)
    shuffled = [subjects[k] for k in rng.permutation(len(subjects))]
    dealt = sorted(shuffled, key=lambda subject: before[subject] >= RIGHT)
    whole: dict[WholeObject, list[Subject]] = {}
    for subject in dealt:
        whole.setdefault(objects[subject], []).append(subject)
    groups = list(whole.values())
    if len(set(objects.values())) < FOLDED_BELOW:
        parts = [groups[::2], groups[1::2]]
    else:
        parts = [groups[:: round(1 / HELD_SHARE)]]
    return [[one for group in part for one in group] for part in parts if part]


def training_pairs(
    corrections: Sequence[Correction],
    chosen: Collection[Subject],
    *,
    channel_axis: ChannelAxis = "auto",
    channels: Sequence[int] = (),
) -> list[Pair]:
    """The surroundings of the chosen objects, as pairs whose other labels do not count.

    Values are stretched as a refinement of the whole image does, with the same channels
    (as in RefineOptions).
    """
    pairs = []
    for number, one in enumerate(corrections):
        ids = tuple(s.label for s in chosen if s.image == number)
        if not ids:
            continue
        box = _surroundings(one, ids)
        shape = one.fine.shape[0], one.fine.shape[1]
        picture = open_picture(
            one.image, shape, channel_axis=channel_axis, channels=channels
        )
        planes = picture.read(box)
        values = np.broadcast_to(planes, (3, *planes.shape[1:])).transpose(1, 2, 0)
        fine, coarse, own = _renumbered(one, ids, box)
        pairs.append(
            Pair(
                stem=str(number),
                group=str(number),
                image=np.ascontiguousarray((values * 255 + 0.5).astype(np.uint8)),
                labels=fine,
                coarse=(coarse,),
                ids=own,
            )
        )
    return pairs


def _surroundings(one: Correction, ids: Sequence[int]) -> Box:
    """The box around the objects in both label images, with a margin."""
    fine, coarse = _boxes(one.fine, ids), _boxes(one.coarse, ids)
    largest = max((side for box in fine for side in box.shape), default=0)
    margin = int(MARGIN[0] * largest) + MARGIN[1]
    height, width = one.fine.shape
    return reduce(Box.union, [*fine, *coarse]).expand(margin).clip((height, width))


def _boxes(labels: npt.NDArray[Any], ids: Iterable[int]) -> list[Box]:
    """The boxes of those labels that are there, found in one pass."""
    wanted = set(ids)
    return [thing.box for thing in find_objects(labels) if thing.id in wanted]


def _renumbered(
    one: Correction, ids: Sequence[int], box: Box
) -> tuple[Labels, Labels, tuple[int, ...]]:
    """Labels of the box as small numbers: the chosen ones first, equal in both."""
    fine, coarse = one.fine[box.slices], one.coarse[box.slices]
    # As sets of Python's numbers: together int64 and uint64 would become floats.
    present = set(np.unique(fine).tolist()) | set(np.unique(coarse).tolist())
    order = [*ids, *sorted(present - {0, *ids})]
    table = {label: k + 1 for k, label in enumerate(order)}
    dtype = np.min_scalar_type(len(order))

    def renumber(labels: npt.NDArray[Any]) -> Labels:
        values, places = np.unique(labels, return_inverse=True)
        new = np.array([table.get(int(v), 0) for v in values], dtype)
        return new[places].reshape(labels.shape)

    return renumber(fine), renumber(coarse), tuple(range(1, len(ids) + 1))


def without(
    objects: Mapping[Subject, WholeObject], held: Collection[Subject]
) -> list[Subject]:
    """The subjects that are of no object that is held back."""
    left_out = {objects[subject] for subject in held}
    return [subject for subject, one in objects.items() if one not in left_out]


def as_integers(corrections: Sequence[Correction]) -> list[Correction]:
    """The same with images read, bool labels as 0 and 1, and plain numbers as ids.

    Raises
    ------
    InputError
        If labels are no whole numbers.
    """
    plain = []
    for one in corrections:
        for labels in (one.coarse, one.fine):
            if np.asarray(labels).dtype.kind not in "biu":
                message = (
                    f"Labels of type {np.asarray(labels).dtype} were given; whole "
                    "numbers are expected."
                )
                raise InputError(message)
        plain.append(
            one._replace(
                image=np.asarray(one.image() if callable(one.image) else one.image),
                coarse=_integers(np.asarray(one.coarse)),
                fine=_integers(np.asarray(one.fine)),
                ids=tuple(int(label) for label in one.ids if label),
            )
        )
    return plain


def _integers(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return labels.astype(np.uint8) if labels.dtype == bool else labels
