"""``napari-segrefiner train``: learn from images and labels."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_segrefiner.train_options import TrainOptions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from types import FrameType

    from tqdm import tqdm

    from napari_segrefiner.training.events import (
        Event,
        Progress,
        TrainDone,
        TrainStarted,
        Validated,
    )

#: Iterations between two showings of the losses.
SHOWN = 50
#: Seconds between two lines of progress where there is no terminal.
UNHURRIED = 30.0
#: Exit code of what a signal has ended, less the signal's number; that of Ctrl-C.
BY_SIGNAL, INTERRUPTED = 128, 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    from napari_segrefiner.cli.flags import add_flags

    parser.add_argument(
        "data",
        type=Path,
        help="folder of images/ and labels/, of several such sets, of images and masks "
        "(im/ and gt/), or a COCO or LVIS annotation file",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="RUN", help="run folder"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in RUN; an empty one starts",
    )
    parser.add_argument(
        "--events",
        action="store_true",
        help="for programs: events as lines of JSON on the standard output; anything "
        "on the standard input, or its end, stops the training after a checkpoint",
    )
    add_flags(parser, TrainOptions)


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    from napari_segrefiner.cli.flags import read_flags

    options = read_flags(arguments, TrainOptions)
    return run_training(
        arguments.data,
        arguments.output,
        options,
        resume=arguments.resume,
        as_lines=arguments.events,
    )


def run_training(
    data: Path,
    folder: Path,
    options: TrainOptions,
    *,
    resume: bool,
    as_lines: bool = False,
) -> int:
    """Train with a progress bar; Ctrl-C stops after a checkpoint, twice at once.

    So does SIGTERM.

    With `as_lines` events are written for another program instead, which can stop the
    training through the standard input.

    Returns
    -------
    int
        Exit code: 0 if the training is complete, 143 if SIGTERM stopped it, 130 if
        anything else did.
    """
    from napari_segrefiner.cli.train_lines import leave_a_core, tell, when_input_ends
    from napari_segrefiner.training.loop import train  # brings torch

    stop = _StopRequest()
    previous = {
        number: signal.signal(number, stop)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    events = train(data, folder, options, resume=resume, should_stop=stop.is_asked)
    # Under torchrun the first of the processes speaks for all.
    is_first = os.environ.get("RANK", "0") == "0"
    try:
        if as_lines:
            when_input_ends(stop.ask)
            leave_a_core()
            is_complete = tell(events)
        else:
            write = _write if is_first else _be_silent
            is_complete = _show(events, folder, write=write)
        return 0 if is_complete else stop.code
    finally:
        events.close()
        for number, handler in previous.items():
            signal.signal(number, handler)


class _StopRequest:
    """Handler of signals that lets the current iteration come to its end.

    ``code`` is the exit code of a training that stops then.
    """

    def __init__(self) -> None:
        self.count = 0
        self.code = INTERRUPTED

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.code = BY_SIGNAL + signum
        self.ask()
        if self.count > 1:
            raise KeyboardInterrupt

    def ask(self) -> None:
        """Ask once more."""
        self.count += 1

    def is_asked(self) -> bool:
        """Whether it has come."""
        return self.count > 0


def _write(bar: tqdm, text: str) -> None:
    bar.write(text, file=sys.stderr)


def _be_silent(bar: tqdm, text: str) -> None:
    pass


def _show(
    events: Iterator[Event], folder: Path, write: Callable[[tqdm, str], None]
) -> bool:
    """Show the events; whether the training is complete."""
    from tqdm import tqdm

    from napari_segrefiner.training.events import (
        Progress,
        Stopped,
        TrainDone,
        TrainStarted,
        Validated,
    )

    bar = tqdm(
        unit="it",
        dynamic_ncols=True,
        smoothing=0.02,
        mininterval=0.5 if sys.stderr.isatty() else UNHURRIED,
        delay=0.01,  # no empty bar in front of the reason why nothing starts
        leave=False,
        disable=write is _be_silent,
    )
    is_running = False
    with bar:
        for event in events:
            if isinstance(event, TrainStarted):
                is_running = True
                bar.total, bar.n = event.iterations or None, event.iteration
                bar.initial = event.iteration
                write(bar, _start_text(event))
            elif isinstance(event, Progress):
                _advance(bar, event)
            elif isinstance(event, Validated):
                write(bar, _validation_text(event))
            elif isinstance(event, Stopped):
                text = f"Stopped at iteration {event.iteration}; it goes on with: "
                write(bar, f"{text}napari-segrefiner train ... -o {folder} --resume")
                return False
            elif isinstance(event, TrainDone):
                write(bar, _end_text(event, folder, is_running=is_running))
    return True


def _advance(bar: tqdm, event: Progress) -> None:
    if event.iterations and bar.total != event.iterations:
        bar.total = event.iterations
    if event.iteration % SHOWN == 0:
        bar.set_postfix(
            bce=f"{event.bce:.3f}", texture=f"{event.texture:.3f}", refresh=False
        )
    bar.update(event.iteration - bar.n)


def _start_text(event: TrainStarted) -> str:
    names = ", ".join(event.sets[:12])
    if len(event.sets) > 12:
        names += f" and {len(event.sets) - 12} more"
    together = f", {event.processes} processes" if event.processes > 1 else ""
    return (
        f"Learning from {names}; {event.precision}{together}. Curves and pictures: "
        f"{event.folder}. Ctrl-C stops after a checkpoint."
    )


def _validation_text(event: Validated) -> str:
    if not event.scores:
        return f"Iteration {event.iteration}: no validation data; this model is kept."
    kept = "; kept" if event.is_best else ""
    lines = [
        f"Iteration {event.iteration}{kept}",
        f"  {'IoU':24} coarse  1 step refined  worse better",
    ]
    lines += [
        f"  {s.name[:24]:24} {s.coarse:6.3f}  {s.one_step:6.3f}  {s.refined:6.3f}"
        f"  {s.worse:4.0%}  {s.better:5.0%}"
        for s in event.scores
        if s.name != "mean" or len(event.scores) > 2
    ]
    return "\n".join(lines)


def _end_text(event: TrainDone, folder: Path, *, is_running: bool) -> str:
    if not is_running:
        return (
            f"The run {folder} is complete: {event.iterations} iterations; its model "
            f"is {event.model}. --iterations with a larger number makes it go on."
        )
    early = ", as validations got no better" if event.is_early else ""
    lines = [f"Done after {event.iterations} iterations{early}."]
    if event.best_iteration == 0:
        lines.append(
            "No validation was better than the model it began with: that one is kept "
            f"in {event.model}."
        )
    else:
        lines.append(f"Model of iteration {event.best_iteration}: {event.model}")
    used = event.name or (event.model if event.best_iteration else "")
    if used:
        lines.append(f"Use it: napari-segrefiner refine ... --model {used}")
    if event.limits:
        lines.append(event.limits)
    return "\n".join(lines)
