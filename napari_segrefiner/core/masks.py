"""Refining masks that may overlap: as many out as in, and of the same kind."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.arrays import as_array
from napari_segrefiner.core.coarse import CoarseMasks
from napari_segrefiner.core.cuts import Cut
from napari_segrefiner.core.events import Event, MasksResult
from napari_segrefiner.core.mask_stack import MaskStack
from napari_segrefiner.core.refiner import Refiner, as_options
from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.geometry import Box
from napari_segrefiner.io import run_lengths
from napari_segrefiner.io.picture import plane_shape
from napari_segrefiner.models.catalogue import DEFAULT, load_model
from napari_segrefiner.models.checkpoint import Model

if TYPE_CHECKING:
    from napari_segrefiner.core.keywords import OptionKeywords
    from napari_segrefiner.options import ChannelAxis, RefineOptions

Mask = npt.NDArray[np.bool_]
Codes = Sequence[Mapping[str, Any]]
T = TypeVar("T")


def refine_masks(
    image: npt.ArrayLike,
    masks: npt.ArrayLike | Codes,
    *,
    model: str | Path | Model = DEFAULT,
    options: RefineOptions | None = None,
    pinned: npt.ArrayLike | None = None,
    **keywords: Unpack[OptionKeywords],
) -> MasksResult:
    """Refine masks each for itself; they may overlap, and nothing is composed.

    Parameters
    ----------
    image, model, options, pinned, **keywords
        As for :func:`napari_segrefiner.refine`. ``ids`` counts the masks from 1.
    masks : (n, Y, X) array of bool or integers, or sequence of dict
        Coarse masks, 0 outside; or COCO's run-length codes of them, ``{"size": [Y, X],
        "counts": ...}``, plain or compressed.

    Returns
    -------
    MasksResult
        ``masks`` are of the kind that was given: a mask of 0 and 255 stays one, and
        of several values but 0 the highest is that of all its pixels.

    Raises
    ------
    InputError, OptionError, ModelError, DeviceError
        One sentence each.

    Examples
    --------
    >>> refine_masks(np.ones((64, 64)), np.zeros((3, 64, 64), bool)).masks.shape
    (3, 64, 64)
    """
    chosen = as_options(options, keywords)
    image = as_array(image, "image's values")
    coarse, kinds = read_masks(masks, image.shape, chosen.channel_axis)
    if chosen.labels_are == "parts":
        message = (
            "labels_are is parts, but masks are refined each for itself; give their "
            "union as one mask."
        )
        raise OptionError(message)
    loaded = model if isinstance(model, Model) else load_model(model)
    refiner = Refiner(loaded, chosen)
    plan = refiner.plan(image, coarse, chosen.ids, pinned)
    stack = MaskStack(coarse, plan.ids)
    report, record = _returned(refiner.run(plan, stack))
    shown = Box(0, 0, *coarse.shape)
    cuts = [stack.cut(id) for id in range(1, len(coarse.cuts) + 1)]
    if isinstance(kinds, np.ndarray):
        refined = np.zeros((len(cuts), *coarse.shape), kinds.dtype)
        for layer, cut, value in zip(refined, cuts, kinds, strict=True):
            layer[cut.box.slices][cut.mask] = value
        return MasksResult(refined, report, record)
    codes = [
        run_lengths.encode(cut.within(shown), kind)
        for cut, kind in zip(cuts, kinds, strict=True)
    ]
    return MasksResult(codes, report, record)


def _returned(events: Generator[Event, None, T]) -> T:
    """What a generator returns when it has come to its end; its events are dropped."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            returned: T = end.value
            return returned


def read_masks(
    masks: npt.ArrayLike | Codes,
    image_shape: tuple[int, ...],
    channel_axis: ChannelAxis = "auto",
) -> tuple[CoarseMasks, npt.NDArray[Any] | list[run_lengths.Kind]]:
    """Masks as cuts, and how to give them back.

    Parameters
    ----------
    masks : (n, Y, X) array of bool or integers, or sequence of dict
    image_shape : tuple of int
    channel_axis : {"auto", "none", "first", "last"}
        Of the image, which tells the size if there is no mask.

    Returns
    -------
    coarse : CoarseMasks
    kinds : (n,) array, or list of str
        The value inside of each mask, of the masks' type; or the kind of every code.

    Raises
    ------
    InputError
        If they are neither.
    """
    if not isinstance(masks, np.ndarray) and isinstance(masks, Sequence):
        if len(masks) and all(isinstance(code, Mapping) for code in masks):
            return _read_codes(masks, image_shape)  # type: ignore[arg-type]
        if not len(masks):
            return CoarseMasks([], plane_shape(image_shape, channel_axis)), []
    array = as_array(masks, "masks")
    if array.ndim != 3 or array.dtype.kind not in "bui":
        message = (
            f"The masks are of type {array.dtype} and shape {array.shape}; a bool "
            "array (n, Y, X) or COCO's run-length codes are expected."
        )
        raise InputError(message)
    shape = array.shape[1], array.shape[2]
    values = np.array([_value(mask) for mask in array], array.dtype)
    return CoarseMasks([Cut.of(mask != 0) for mask in array], shape), values


def _value(mask: npt.NDArray[Any]) -> Any:
    """The highest value but 0, which may be negative; 0 if there is none."""
    inside = mask[mask != 0]
    return inside.max() if inside.size else 0


def _read_codes(
    codes: Codes, image_shape: tuple[int, ...]
) -> tuple[CoarseMasks, list[run_lengths.Kind]]:
    cuts, kinds, shapes = [], [], set()
    for number, code in enumerate(codes):
        try:
            mask = run_lengths.decode(code, most_pixels=math.prod(image_shape))
            kinds.append(run_lengths.kind_of(code))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            message = (
                f"The run-length code of mask {number} cannot be read ({error}); "
                'COCO\'s, such as {"size": [2, 2], "counts": [1, 2, 1]}, is expected.'
            )
            raise InputError(message) from error
        shapes.add((mask.shape[0], mask.shape[1]))
        cuts.append(Cut.of(mask))
    if len(shapes) > 1:
        message = (
            f"The masks have the sizes {sorted(shapes)}; one size, that of the image, "
            "is expected."
        )
        raise InputError(message)
    return CoarseMasks(cuts, shapes.pop()), kinds
