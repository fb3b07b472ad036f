"""``napari-segrefiner refine``: better labels for an image, from files into a file."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segrefiner.errors import InputError, OptionError, naming
from napari_segrefiner.options import RefineOptions
from napari_segrefiner.wording import json_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    import numpy.typing as npt

    from napari_segrefiner.core.events import Event, ObjectReport
    from napari_segrefiner.io.calibration import Calibration
    from napari_segrefiner.io.stacks import Plane
    from napari_segrefiner.models.checkpoint import Model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    from napari_segrefiner.cli.flags import add_flags
    from napari_segrefiner.models.catalogue import DEFAULT

    parser.add_argument(
        "image", type=Path, help="TIFF, PNG, JPEG or NPY; stacks go plane by plane"
    )
    parser.add_argument("labels", type=Path, help="coarse labels: TIFF, PNG or NPY")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="refined labels"
    )
    parser.add_argument(
        "--model",
        default=DEFAULT,
        help="a name of the list of models, a .safetensors file or a model folder "
        f"(default: {DEFAULT})",
    )
    parser.add_argument(
        "--pinned",
        type=Path,
        metavar="FILE",
        help="a mask as large as the labels: pixels other than 0 keep their label",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="JSON",
        help="write what happened to every object, and the record of the run",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace OUT and JSON if they exist"
    )
    add_flags(parser, RefineOptions)


def run(arguments: argparse.Namespace) -> int:
    """Refine; returns the exit code."""
    from napari_segrefiner.cli.flags import read_flags
    from napari_segrefiner.core.events import outcome
    from napari_segrefiner.io.atomic import write_text
    from napari_segrefiner.io.images import read_image
    from napari_segrefiner.io.labels import read_labels, write_labels
    from napari_segrefiner.io.stacks import planes

    options = read_flags(arguments, RefineOptions)
    if hasattr(arguments, "ids") and not options.ids:
        message = "--ids names no label; give some, as in 3,7, or leave it out for all."
        raise OptionError(message)
    image = read_image(arguments.image)
    labels = read_labels(arguments.labels, image.shape)
    pinned = _read_pinned(arguments.pinned, labels)
    # Read before the work: by its end the inputs may have been moved.
    calibration = _calibration(arguments, labels)
    _check_outputs(arguments, labels, calibration)
    stack = list(planes(image, labels, options.channel_axis))
    present = _check_ids(options.ids, stack)
    _check_values(stack, present, options.channels)

    from napari_segrefiner.models.catalogue import load_model  # now torch is needed

    refined, reports = labels.copy(), []
    model = load_model(arguments.model)
    for plane, report in _refine_planes(model, options, stack, present, pinned):
        refined[plane.index] = report.pop("labels")
        reports.append(report)
    write_labels(arguments.output, refined, arguments.overwrite, calibration)
    if arguments.report:
        write_text(arguments.report, json_text(reports), overwrite=arguments.overwrite)
    entries = [entry for report in reports for entry in report["objects"]]
    counts = Counter(entry["status"] for entry in entries)
    passes = _passes(entries, options)
    print(f"{outcome(counts)}{passes}; written to {arguments.output}")
    return 0


def _passes(entries: list[dict[str, Any]], options: RefineOptions) -> str:
    """What mode auto has chosen, the consensus and the number of windows, in words."""
    from napari_segrefiner.core.events import passes_text

    worked_on = [entry for entry in entries if entry["status"] != "skipped"]
    modes = Counter(entry["mode"] for entry in worked_on)
    refined = [entry for entry in entries if entry["status"] == "refined"]
    return passes_text(
        modes if options.mode == "auto" else None,
        Counter(entry["consensus"] for entry in refined),
        sum(entry["n_windows"] for entry in worked_on),
    )


def _refine_planes(
    model: Model,
    options: RefineOptions,
    stack: list[Plane],
    present: list[tuple[int, ...]],
    pinned: npt.NDArray[Any] | None,
) -> Iterator[tuple[Plane, dict[str, Any]]]:
    """Refine plane after plane with one progress bar; yields what the report says."""
    import shutil

    from tqdm import tqdm

    from napari_segrefiner.core.events import BatchDone, RunDone, StepDone
    from napari_segrefiner.core.refiner import Refiner

    size = shutil.get_terminal_size()
    form = "{l_bar}{bar}| {elapsed}, {remaining} left"
    bar = tqdm(
        total=len(stack),
        desc="Refining",
        bar_format=form,
        # Some terminals, as in containers, say that they have no size: tqdm would show
        # nothing there, Python takes 80 x 24.
        ncols=size.columns,
        nrows=size.lines,
        leave=False,
        disable=None,
    )
    with bar:
        for done, (plane, ids) in enumerate(zip(stack, present, strict=True)):
            if options.ids and not ids:
                continue
            chosen = dataclasses.replace(
                options, ids=ids, channel_axis=plane.channel_axis
            )
            events = Refiner(model, chosen).steps(
                plane.image,
                plane.labels,
                pinned=None if pinned is None else pinned[plane.index],
            )
            for event in _naming(plane, events):
                if isinstance(event, StepDone | BatchDone):
                    bar.update(done + event.progress - bar.n)
                elif isinstance(event, RunDone):
                    result = event.result
                    yield (
                        plane,
                        {
                            "plane": list(plane.index),
                            "record": result.record,
                            "objects": [_entry(report) for report in result.report],
                            "labels": result.labels,
                        },
                    )
            bar.update(done + 1 - bar.n)


def _naming(plane: Plane, events: Iterator[Event]) -> Iterator[Event]:
    """Pass events on; what is wrong with a plane of a stack is told with its number."""
    place = f"Plane {', '.join(map(str, plane.index))}"
    with naming(place) if plane.index else contextlib.nullcontext():
        yield from events


def _read_pinned(
    path: Path | None, labels: npt.NDArray[Any]
) -> npt.NDArray[Any] | None:
    """The mask of pinned pixels, as large as the labels."""
    from napari_segrefiner.io.labels import read_labels

    if path is None:
        return None
    pinned = read_labels(path, labels.shape)
    if pinned.shape != labels.shape:
        message = (
            f"{path} has the shape {pinned.shape}; a mask of the labels' shape "
            f"{labels.shape} is expected."
        )
        raise InputError(message)
    return pinned


def _check_outputs(
    arguments: argparse.Namespace,
    labels: npt.NDArray[Any],
    calibration: Calibration,
) -> None:
    """Refuse outputs that cannot be written before any work is done."""
    from napari_segrefiner.io.atomic import check_destinations
    from napari_segrefiner.io.labels import check_writable
    from napari_segrefiner.models.files import model_files

    check_writable(
        arguments.output,
        labels,
        overwrite=arguments.overwrite,
        calibration=calibration,
    )
    check_destinations(
        arguments.output,
        arguments.report,
        overwrite=arguments.overwrite,
        inputs=[
            arguments.image,
            arguments.labels,
            arguments.pinned,
            *model_files(arguments.model),
        ],
    )


def _calibration(
    arguments: argparse.Namespace, labels: npt.NDArray[Any]
) -> Calibration:
    """Axes and pixel sizes as the labels' file tells them, or else the image's."""
    from napari_segrefiner.io.calibration import read_calibration

    found = read_calibration(arguments.labels, labels.shape)
    return found.completed(read_calibration(arguments.image, labels.shape))


def _check_ids(ids: tuple[int, ...], stack: list[Plane]) -> list[tuple[int, ...]]:
    """Those of `ids` that each plane holds; refuses ids that none has."""
    import numpy as np

    if not ids:
        return [()] * len(stack)
    # As Python's integers: beside others, large ones of NumPy become floats.
    held = [set(np.unique(plane.labels).tolist()) for plane in stack]
    missing = set(ids).difference(*held)
    if missing:
        message = (
            f"There is no label {', '.join(map(str, sorted(missing)))} in the labels; "
            "give ids that they hold, or none for all."
        )
        raise InputError(message)
    return [tuple(i for i in ids if i in one) for one in held]


def _check_values(
    stack: list[Plane], present: list[tuple[int, ...]], channels: tuple[int, ...]
) -> None:
    """Refuse a stack before any work if there is nothing to see in a labelled plane."""
    import numpy as np

    from napari_segrefiner.io.picture import open_picture

    blank = [
        ", ".join(map(str, plane.index))
        for plane, ids in zip(stack, present, strict=True)
        if plane.index
        and plane.image.dtype.kind == "f"
        and (ids or plane.labels.any())
        and not np.isfinite(plane.image).all()  # else there is no need to look closer
        and not open_picture(
            plane.image,
            plane.labels.shape,
            channel_axis=plane.channel_axis,
            channels=channels,
        ).has_values
    ]
    if blank:
        message = (
            f"The image is NaN or infinite everywhere in plane {'; '.join(blank)}, "
            "where there are labels; clear these, or choose another image."
        )
        raise InputError(message)


def _entry(report: ObjectReport) -> dict[str, Any]:
    return {**dataclasses.asdict(report), "box": list(report.box)}
