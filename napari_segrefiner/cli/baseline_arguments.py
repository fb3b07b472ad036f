"""What is scored beside a model: arguments of several commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_segrefiner.cli.plan_arguments import names

if TYPE_CHECKING:
    import argparse

    from napari_segrefiner.evaluation.baselines import Baseline
    from napari_segrefiner.evaluation.tuning import Tuned


def add_baseline_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is scored beside the model."""
    parser.add_argument(
        "--baselines",
        default="",
        metavar="A,B,...",
        help="simple methods to score as well: nothing, smooth, graph_cut, "
        "random_walker, edge_snap, cascade_psp (if installed), or all; and "
        "oracle_band, what no method could do better within a band",
    )
    parser.add_argument(
        "--tuned",
        type=Path,
        metavar="JSON",
        help="their settings, as the command tune wrote them",
    )


def read_baselines(
    arguments: argparse.Namespace,
) -> tuple[tuple[Baseline, ...], Tuned]:
    """The baselines that the arguments name, and their settings.

    Raises
    ------
    OptionError, InputError
        If a name is unknown, or the settings cannot be read.
    """
    from napari_segrefiner.evaluation.oracle import ORACLE
    from napari_segrefiner.evaluation.tuning import Tuned, find_baselines, read_tuned

    tuned = read_tuned(arguments.tuned) if arguments.tuned else Tuned()
    words = [word for word in names(arguments.baselines) if word != ORACLE]
    return find_baselines(words), tuned


def wants_oracle(arguments: argparse.Namespace) -> bool:
    """Whether the upper bound is named among the baselines; "all" does not mean it."""
    from napari_segrefiner.evaluation.oracle import ORACLE

    return ORACLE in names(arguments.baselines)
