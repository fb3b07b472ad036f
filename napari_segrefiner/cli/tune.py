"""``napari-segrefiner tune``: fair settings of the baselines, on a training split."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from napari_segrefiner.cli.plan_arguments import add_plan_arguments, names, read_plan
from napari_segrefiner.errors import OptionError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    from napari_segrefiner.models.catalogue import DEFAULT

    parser.add_argument(
        "data", type=Path, help="folder of images/ and labels/, or of several such sets"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="JSON",
        help="where the chosen settings go",
    )
    parser.add_argument(
        "--baselines",
        default="all",
        metavar="A,B,...",
        help="what to tune (default: all that can be run)",
    )
    parser.add_argument(
        "--model",
        default=DEFAULT,
        help=f"the model to compare with: its crops are theirs (default: {DEFAULT})",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace JSON if it exists already"
    )
    add_plan_arguments(parser)
    # Other coarse masks than those that are scored, of other images.
    parser.set_defaults(split="train", seed=1, limit=60)


def run(arguments: argparse.Namespace) -> int:
    """Tune; returns the exit code."""
    import dataclasses

    from tqdm import tqdm

    from napari_segrefiner.evaluation.coarse_sets import make_coarse_sets
    from napari_segrefiner.evaluation.tuning import (
        Tuned,
        find_baselines,
        tune,
        write_tuned,
    )
    from napari_segrefiner.io.atomic import check_destinations
    from napari_segrefiner.io.datasets import annotation_files, is_data
    from napari_segrefiner.models.catalogue import load_model
    from napari_segrefiner.models.files import model_files
    from napari_segrefiner.options import RefineOptions

    baselines = find_baselines(names(arguments.baselines))
    if not baselines:
        msg = "--baselines is empty; name what to tune, or leave it out for all."
        raise OptionError(msg)
    plan = read_plan(arguments)
    check_destinations(
        arguments.output,
        overwrite=arguments.overwrite,
        inputs=[
            *annotation_files(arguments.data),
            *[arguments.output] * is_data(arguments.output, arguments.data),
            *model_files(arguments.model),
        ],
    )
    model = load_model(arguments.model)
    choices = []
    with tempfile.TemporaryDirectory() as folder:
        sets = list(make_coarse_sets(Path(folder), plan))
        found = tune(
            sets, baselines, model.card, RefineOptions(), limit=arguments.limit
        )
        for one in tqdm(found, unit="choice", disable=None, leave=False):
            choices.append(one)
            settings = " ".join(f"{key}={v:g}" for key, v in one.settings.items())
            print(
                f"{one.set_name:<24} {one.baseline:<14} {one.coarse:.3f} -> "
                f"{one.score:.3f}  n {one.n:>3}  {settings}",
                flush=True,
            )
    made_on = {**dataclasses.asdict(plan), "model": model.name}
    write_tuned(
        arguments.output,
        Tuned(tuple(choices), made_on),
        overwrite=arguments.overwrite,
    )
    print(f"Written to {arguments.output}")
    return 0
