"""Which coarse masks are made of which data: arguments of several commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from napari_segrefiner.evaluation.coarse_sets import CoarsePlan


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
