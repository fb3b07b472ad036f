"""``napari-segrefiner demo``: refine the sample and show what happened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segrefiner.errors import InputError, SegRefinerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    import numpy.typing as npt

    from napari_segrefiner.core.events import Event, RefineResult, StepDone
    from napari_segrefiner.io.sample import Sample

#: Side of a close-up, as a multiple of the object's longer side.
WIDER = 1.5
#: The file that is written first, and its first line, which tells a demo's folder.
SUMMARY = "summary.txt"
FIRST_LINE = (
    "Coins (scikit-image), outlined with seven hurried clicks each, then refined."
)
#: All that is written.
FILES = (
    SUMMARY,
    "coarse.tif",
    "refined.tif",
    "truth.tif",
    "image.png",
    "refinement.png",
)


@dataclass(frozen=True)
class Agreement:
    """Agreement of one object's mask with the truth: IoU and boundary IoU, [0, 1]."""

    iou: float
    boundary_iou: float


@dataclass(frozen=True)
class Demonstration:
    """A refined sample: labels after every step, the result, agreement with the truth.

    ``frames`` are (Y, X) label images, ``before`` and ``after`` the agreement of each
    label.
    """

    sample: Sample
    frames: tuple[npt.NDArray[Any], ...]
    result: RefineResult
    before: dict[int, Agreement]
    after: dict[int, Agreement]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    from napari_segrefiner.cli.flags import help_text
    from napari_segrefiner.models.catalogue import DEFAULT
    from napari_segrefiner.options import RefineOptions, specs

    steps = next(spec for spec in specs(RefineOptions) if spec.name == "steps")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("demo"),
        metavar="FOLDER",
        help="folder to write to; its files from an earlier demo are replaced "
        "(default: demo)",
    )
    parser.add_argument(
        "--model",
        default=DEFAULT,
        help=f"name, file or folder (default: {DEFAULT})",
    )
    parser.add_argument("--steps", type=int, metavar="N", help=help_text(steps))


def run(arguments: argparse.Namespace) -> int:
    """Refine the sample and write the folder; returns the exit code."""
    from napari_segrefiner.core.refiner import Refiner
    from napari_segrefiner.io import sample
    from napari_segrefiner.io.atomic import make_folder
    from napari_segrefiner.models.catalogue import load_model
    from napari_segrefiner.options import RefineOptions

    check_folder(arguments.output)
    options = RefineOptions(steps=arguments.steps)
    refiner = Refiner(load_model(arguments.model), options)
    folder = make_folder(arguments.output)
    coins = sample.coins()
    demonstration = demonstrate(coins, refiner.steps(coins.image, coins.coarse))
    write_demonstration(folder, demonstration)
    print(mean_line(demonstration))
    print(f"Look at {folder / 'refinement.png'}; all numbers are in {SUMMARY}.")
    return 0


def check_folder(folder: Path) -> None:
    """Refuse a folder whose files would be replaced, unless a demo wrote them.

    Raises
    ------
    InputError
        With the first of those files.
    """
    taken = [name for name in FILES if (folder / name).exists()]
    if not taken:
        return
    try:
        is_own = (folder / SUMMARY).read_bytes().startswith(FIRST_LINE.encode())
    except OSError:
        is_own = False
    if not is_own:
        msg = (
            f"{folder / taken[0]} is not from an earlier demo, and would be replaced; "
            "name another folder by -o."
        )
        raise InputError(msg)


def demonstrate(sample: Sample, events: Iterable[Event]) -> Demonstration:
    """Follow a run to its end and keep what the picture and the summary show.

    Parameters
    ----------
    sample : Sample
        Whose image and coarse labels are being refined.
    events : iterable of Event
        The run; ends with RunDone.
    """
    from napari_segrefiner.core.events import RunDone, StepDone

    frames: dict[int, npt.NDArray[Any]] = {}
    result = None
    for event in events:
        if isinstance(event, StepDone):
            frame = frames.setdefault(event.step, sample.coarse.copy())
            paint_step(frame, event)
        elif isinstance(event, RunDone):
            result = event.result
    if result is None:
        msg = "The refinement ended without a result; run the demo again."
        raise SegRefinerError(msg)
    return Demonstration(
        sample=sample,
        frames=tuple(frames[step] for step in sorted(frames)),
        result=result,
        before=agreements(sample.truth, sample.coarse),
        after=agreements(sample.truth, result.labels),
    )


def paint_step(frame: npt.NDArray[Any], event: StepDone) -> None:
    """Put the masks of one step in place of the coarse ones, in `frame` itself."""
    for place, (label, box) in enumerate(zip(event.ids, event.boxes, strict=True)):
        frame[frame == label] = 0
        window = frame[box.slices]
        window[event.mask(place) & (window == 0)] = label


def agreements(
    truth: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> dict[int, Agreement]:
    """Agreement of each label of `truth` with the same label of `labels`."""
    from napari_segrefiner.metrics import BAND, boundary_iou, iou

    found = {}
    for label in np.unique(truth[truth > 0]).tolist():
        a, b = truth == label, labels == label
        found[label] = Agreement(iou(a, b), boundary_iou(a, b, BAND))
    return found


def mean_line(demonstration: Demonstration) -> str:
    """The outcome in one sentence."""
    from napari_segrefiner.metrics import BAND

    before, after = _mean(demonstration.before), _mean(demonstration.after)
    return (
        f"{len(demonstration.after)} coins, agreement with the truth: IoU "
        f"{before.iou:.3f} before, {after.iou:.3f} after; boundary IoU ({BAND} px) "
        f"{before.boundary_iou:.3f} before, {after.boundary_iou:.3f} after."
    )


def _mean(found: dict[int, Agreement]) -> Agreement:
    return Agreement(
        float(np.mean([item.iou for item in found.values()])),
        float(np.mean([item.boundary_iou for item in found.values()])),
    )


def summary(demonstration: Demonstration) -> str:
    """A table with each object's change and agreement, then the means."""
    model = demonstration.result.record["model"]
    n_steps = len(demonstration.frames)
    head = "{:>4} {:>9} {:>9} {:>11} {:>9} {:>9} {:>9} {:>9}  {}".format
    lines = [
        FIRST_LINE,
        "Truth: watershed of the gradient, good to about a pixel; not drawn by hand.",
        f"Model: {model['name']} (sha256 {model['sha256'][:12]}), steps: {n_steps}.",
        "Change: share of the pixels of both masks that only one of them has.",
        "",
        head("", "area", "in px", "", "IoU with", "truth", "boundary", "IoU", ""),
        head("id", "before", "after", "change", *["before", "after"] * 2, "status"),
    ]
    for item in demonstration.result.report:
        before, after = demonstration.before[item.id], demonstration.after[item.id]
        numbers = (
            1 - item.iou,
            *(before.iou, after.iou),
            *(before.boundary_iou, after.boundary_iou),
        )
        shares = (f"{number:.3f}" for number in numbers)
        lines.append(
            head(item.id, item.area_before, item.area_after, *shares, item.status)
        )
    return "\n".join([*lines, "", mean_line(demonstration), ""])


def write_demonstration(folder: Path, demonstration: Demonstration) -> None:
    """Write image, labels, summary and picture in place of an earlier demo's."""
    from PIL import Image

    from napari_segrefiner.io.atomic import write_text, write_whole
    from napari_segrefiner.io.labels import write_labels

    sample = demonstration.sample
    # First: a demo that is interrupted knows its folder again.
    write_text(folder / SUMMARY, summary(demonstration), overwrite=True)
    for name, labels in (
        ("coarse.tif", sample.coarse),
        ("refined.tif", demonstration.result.labels),
        ("truth.tif", sample.truth),
    ):
        write_labels(folder / name, labels, overwrite=True)
    for name, picture in (
        ("image.png", Image.fromarray(sample.image)),
        ("refinement.png", picture_of(demonstration)),
    ):
        with write_whole(folder / name, overwrite=True) as part:
            picture.save(part, format="PNG")


def picture_of(demonstration: Demonstration) -> Any:
    """The picture, a PIL image: the whole before and after, and coins step by step."""
    from napari_segrefiner.cli.demo_picture import (
        AFTER,
        BEFORE,
        DURING,
        Panel,
        draw_picture,
    )

    sample, result = demonstration.sample, demonstration.result
    before, after = demonstration.before, demonstration.after
    by_gain = sorted(after, key=lambda label: before[label].iou - after[label].iou)
    boxes = {item.id: item.box for item in result.report}
    close_ups = []
    for label in (by_gain[0], by_gain[len(by_gain) // 2]):
        box = boxes[label]
        panels = [
            Panel(f"before, IoU {before[label].iou:.2f}", sample.coarse, BEFORE),
            *(
                Panel(f"step {number}", frame, DURING)
                for number, frame in enumerate(demonstration.frames, start=1)
            ),
            Panel(f"after, IoU {after[label].iou:.2f}", result.labels, AFTER),
        ]
        view = box.square(round(WIDER * max(box.shape))).shift_inside(
            sample.image.shape
        )
        close_ups.append((view, panels))
    return draw_picture(
        sample.image,
        title="From seven hurried clicks per coin to its edge",
        subtitle=(
            f"{mean_line(demonstration)}\n"
            "From near: the coin that gained most, and one in the middle."
        ),
        pair=(
            Panel("before", sample.coarse, BEFORE),
            Panel("after", result.labels, AFTER),
        ),
        close_ups=close_ups,
    )
