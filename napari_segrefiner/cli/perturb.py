"""``napari-segrefiner perturb``: coarse labels from true ones, to try models on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from napari_segrefiner.evaluation.coarse_sets import CoarsePlan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "data", type=Path, help="folder of images/ and labels/, or of several such sets"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="new folder"
    )
    add_plan_arguments(parser)


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what decides the coarse masks."""
    parser.add_argument(
        "--split",
        choices=("val", "train"),
        default="val",
        help="which side of the data (default: %(default)s)",
    )
    parser.add_argument(
        "--kinds",
        default="mixed",
        metavar="A,B,...",
        help="kinds of coarse masks, or all: mixed, eroded, dilated, shifted, polygon, "
        "hurried, holes_blobs, merged, low_resolution, wobble, accurate, published, "
        "watershed, real, real2 (default: mixed)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of all that is drawn (default: %(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=100,
        metavar="N",
        help="most objects per set and kind (default: %(default)s)",
    )
    parser.add_argument(
        "--exclude", default="", metavar="A,B,...", help="sets to leave out"
    )


def read_plan(arguments: argparse.Namespace) -> CoarsePlan:
    """The plan that the arguments say."""
    from napari_segrefiner.evaluation.coarse_sets import ALL_KINDS, CoarsePlan

    kinds = names(arguments.kinds)
    return CoarsePlan(
        data=str(arguments.data.resolve()),
        split=arguments.split,
        kinds=ALL_KINDS if "all" in kinds else kinds,
        seed=arguments.seed,
        limit=arguments.limit,
        exclude=names(arguments.exclude),
    )


def names(text: str) -> tuple[str, ...]:
    """The names in a list with commas, each once."""
    parts = (part.strip() for part in text.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def run(arguments: argparse.Namespace) -> int:
    """Make the coarse labels; returns the exit code."""
    from napari_segrefiner.evaluation.coarse_sets import make_coarse_sets

    for one in make_coarse_sets(arguments.output, read_plan(arguments)):
        print(f"{one.kind:<16} {one.name:<24} {len(one.stems):>4} images")
    print(f"Written to {arguments.output}")
    return 0
