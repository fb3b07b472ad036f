"""``napari-segrefiner train``: learn from images and labels."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

from napari_segrefiner.options import TrainOptions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from types import FrameType

    from tqdm import tqdm

    from napari_segrefiner.training.events import Event, Progress, Validated

#: Iterations that the shown losses are averaged over.
SHOWN = 50


def run_training(
    data: Path, folder: Path, options: TrainOptions, *, resume: bool
) -> int:
    """Train with a progress bar; Ctrl-C stops after a checkpoint.

    Returns
    -------
    int
        Exit code: 0 if the training is complete, 130 if it was stopped.
    """
    from napari_segrefiner.training.loop import train  # brings torch

    events = train(data, folder, options, resume=resume)
    stop = _StopRequest()
    previous = signal.signal(signal.SIGINT, stop)
    try:
        return _show(events, stop, folder)
    finally:
        events.close()
        signal.signal(signal.SIGINT, previous)


class _StopRequest:
    """Handler of Ctrl-C that lets the current iteration come to its end."""

    def __init__(self) -> None:
        self.is_set = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.is_set = True


def _show(events: Iterator[Event], stop: _StopRequest, folder: Path) -> int:
    from tqdm import tqdm

    from napari_segrefiner.training.events import (
        Progress,
        TrainDone,
        TrainStarted,
        Validated,
    )

    bar = tqdm(unit="it", dynamic_ncols=True, smoothing=0.02)
    with bar:
        for event in events:
            if isinstance(event, TrainStarted):
                bar.total, bar.n = event.iterations or None, event.iteration
                bar.initial = event.iteration
                bar.write(f"Sets: {', '.join(event.sets)}; {event.precision}.")
            elif isinstance(event, Progress):
                _advance(bar, event)
            elif isinstance(event, Validated):
                bar.write(_validation_text(event))
            elif isinstance(event, TrainDone):
                bar.write(f"Done: {event.iterations} iterations; model {event.model}.")
                return 0
            if stop.is_set:
                bar.write(f"Stopped; continue with: train ... -o {folder} --resume")
                return 130
    return 0


def _advance(bar: tqdm, event: Progress) -> None:
    if event.iterations and bar.total != event.iterations:
        bar.total = event.iterations
    if event.iteration % SHOWN == 0:
        bar.set_postfix(bce=f"{event.bce:.3f}", texture=f"{event.texture:.3f}")
    bar.update(event.iteration - bar.n)


def _validation_text(event: Validated) -> str:
    lines = [f"Iteration {event.iteration}: IoU coarse, one step, two steps"]
    lines += [
        f"  {s.name:20s} {s.coarse:.3f} {s.one_step:.3f} {s.two_steps:.3f}"
        for s in event.scores
    ]
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    from napari_segrefiner.cli.flags import add_flags

    parser.add_argument("data", type=Path, help="Folder with one or several sets.")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="RUN", help="Run folder."
    )
    parser.add_argument(
        "--resume", action="store_true", help="Continue the run in RUN."
    )
    add_flags(parser, TrainOptions)


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    from napari_segrefiner.cli.flags import read_flags

    options = read_flags(arguments, TrainOptions)
    return run_training(
        arguments.data, arguments.output, options, resume=arguments.resume
    )
