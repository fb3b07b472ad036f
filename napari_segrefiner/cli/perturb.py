"""``napari-segrefiner perturb``: coarse labels from true ones, to try models on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_segrefiner.cli.plan_arguments import add_plan_arguments, read_plan

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "data", type=Path, help="folder of images/ and labels/, or of several such sets"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="new folder"
    )
    add_plan_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the coarse labels; returns the exit code."""
    from napari_segrefiner.evaluation.coarse_sets import make_coarse_sets

    for one in make_coarse_sets(arguments.output, read_plan(arguments)):
        print(f"{one.kind:<16} {one.name:<24} {len(one.stems):>4} images")
    print(f"Written to {arguments.output}")
    return 0
