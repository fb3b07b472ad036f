"""``napari-segrefiner benchmark``: how fast this machine refines."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segrefiner.errors import OptionError
from napari_segrefiner.options import RefineOptions
from napari_segrefiner.wording import json_text

if TYPE_CHECKING:
    import argparse

#: Options of refine that the benchmark sets itself, or that do not change its speed.
WITHOUT = ("mode", "ids", "seed", "channel_axis", "channels")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    from napari_segrefiner.cli.flags import add_flags
    from napari_segrefiner.models.catalogue import DEFAULT

    parser.add_argument(
        "--model", default=DEFAULT, help=f"name, file or folder (default: {DEFAULT})"
    )
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="processor threads; 0: all"
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=3,
        metavar="N",
        help="runs of each, of which the median is shown (default: 3)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the times")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace FILE if it exists"
    )
    add_flags(parser, RefineOptions, without=WITHOUT)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    from napari_segrefiner.cli.flags import read_flags
    from napari_segrefiner.io.atomic import check_destinations, write_text
    from napari_segrefiner.models.files import model_files

    options = read_flags(arguments, RefineOptions)
    if arguments.threads < 0 or arguments.repeats < 1:
        msg = (
            f"--threads is {arguments.threads} and --repeats {arguments.repeats}; at "
            "least 0 and 1 are expected."
        )
        raise OptionError(msg)
    check_destinations(
        arguments.json,
        overwrite=arguments.overwrite,
        inputs=model_files(arguments.model),
    )

    import torch

    from napari_segrefiner.evaluation.speed import (
        Machine,
        format_timings,
        measure,
        peak_memory,
        suppression_seconds,
    )
    from napari_segrefiner.models.catalogue import load_model

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    start = time.perf_counter()
    model = load_model(arguments.model)
    load_seconds = time.perf_counter() - start
    timings = []
    machine: Machine | None = None
    for found in measure(model, options, repeats=arguments.repeats):
        if isinstance(found, Machine):
            machine = found
            print(f"{found.model} on {found.device} ...", file=sys.stderr, flush=True)
        else:
            timings.append(found)
    if machine is None:
        return 1
    memory = peak_memory()
    print(format_timings(timings, machine, memory))
    print(f"The model was loaded in {load_seconds:.2f} s.")
    choosing = suppression_seconds()
    print(f"Choosing among 65,536 equal windows takes {choosing:.3f} s.")
    if arguments.json:
        content: dict[str, Any] = {
            **dataclasses.asdict(machine),
            "peak_memory": memory,
            "load_seconds": load_seconds,
            "suppression_seconds": choosing,
            "timings": [
                {**dataclasses.asdict(t), "objects_per_second": t.objects_per_second}
                for t in timings
            ],
        }
        write_text(arguments.json, json_text(content), overwrite=arguments.overwrite)
    return 0
