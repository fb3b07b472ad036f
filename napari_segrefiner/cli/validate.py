"""``napari-segrefiner validate``: how much better a model makes coarse masks."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segrefiner.cli.baseline_arguments import (
    add_baseline_arguments,
    read_baselines,
    wants_oracle,
)
from napari_segrefiner.cli.plan_arguments import add_plan_arguments, names, read_plan
from napari_segrefiner.errors import OptionError
from napari_segrefiner.options import RefineOptions, specs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from napari_segrefiner.evaluation.baselines import Baseline
    from napari_segrefiner.evaluation.coarse_sets import CoarsePlan, CoarseSet
    from napari_segrefiner.evaluation.tuning import Tuned
    from napari_segrefiner.evaluation.validation import Row


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
        metavar="CACHE",
        help="folder that keeps the coarse masks for the next time",
    )
    parser.add_argument(
        "--model", default=DEFAULT, help=f"name, file or folder (default: {DEFAULT})"
    )
    parser.add_argument(
        "--steps",
        default="1,2,3,6",
        metavar="A,B,...",
        help="numbers of steps to compare (default: 1,2,3,6)",
    )
    parser.add_argument(
        "--flips", action="store_true", help="average each step over four mirrorings"
    )
    parser.add_argument(
        "--ways",
        default="plain",
        metavar="A,B,...",
        help="ways to run each number of steps: plain, flips, unguarded, "
        "flips+unguarded, or all (default: plain)",
    )
    parser.add_argument(
        "--set-option",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="options of refine, as in doubt=0.3 band=0.5",
    )
    parser.add_argument(
        "--left-out",
        default="",
        metavar="A,B,...",
        help="sets that the model has not learnt from; they get a mean of their own",
    )
    add_baseline_arguments(parser)
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="processor threads; 0: all"
    )
    parser.add_argument(
        "--json", type=Path, metavar="F", help="write all scores, after every set"
    )
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="M",
        help="write tables: means, what got worse, and every set of every kind",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from F, if it was written by the same command",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace F and M if they exist"
    )
    add_plan_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Validate; returns the exit code."""
    from napari_segrefiner.evaluation.coarse_sets import is_made
    from napari_segrefiner.evaluation.validation import variants
    from napari_segrefiner.io.atomic import check_destinations
    from napari_segrefiner.io.datasets import annotation_files, is_data
    from napari_segrefiner.models.files import model_files

    plan = read_plan(arguments)
    runs = variants(
        read_options(arguments.set_option, flips=arguments.flips),
        read_steps(arguments.steps),
        read_ways(arguments.ways),
    )
    beside = read_baselines(arguments)
    if arguments.threads < 0:
        msg = f"--threads is {arguments.threads}; 0 or more is expected."
        raise OptionError(msg)
    if arguments.resume and not arguments.json:
        msg = "--resume needs --json F, the file to go on from."
        raise OptionError(msg)
    is_resumed = arguments.resume and arguments.json.exists()
    written = arguments.json, arguments.markdown
    check_destinations(
        *written,
        overwrite=arguments.overwrite or is_resumed,
        inputs=[
            *annotation_files(arguments.data),
            *(one for one in written if one and is_data(one, arguments.data)),
            arguments.tuned,
            *model_files(arguments.model),
        ],
    )
    if arguments.output:
        is_made(arguments.output, plan)
        return _validate(arguments, arguments.output, plan, runs, *beside)
    with tempfile.TemporaryDirectory() as folder:
        return _validate(arguments, Path(folder), plan, runs, *beside)


def _validate(
    arguments: argparse.Namespace,
    folder: Path,
    plan: CoarsePlan,
    runs: Mapping[str, RefineOptions],
    baselines: Sequence[Baseline],
    tuned: Tuned,
) -> int:
    import torch

    from napari_segrefiner.evaluation.oracle import ORACLE
    from napari_segrefiner.evaluation.validation import (
        table_head,
        table_line,
        validate,
    )
    from napari_segrefiner.evaluation.validation_file import (
        read_rows,
        settings_of,
        write_rows,
    )
    from napari_segrefiner.evaluation.validation_tables import to_markdown
    from napari_segrefiner.io.atomic import write_text
    from napari_segrefiner.models.catalogue import load_model

    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    model = load_model(arguments.model)
    left_out = names(arguments.left_out)
    oracle = [ORACLE] if wants_oracle(arguments) else []
    layers = [*runs, *(one.name for one in baselines), *oracle]
    settings = settings_of(model, plan, runs, baselines, tuned)
    settings["baselines"] |= {name: [] for name in oracle}
    rows = read_rows(arguments.json, settings) if arguments.resume else []

    def show(row: Row) -> None:
        mark = " *" if row.name in left_out else ""
        line = table_line(f"{row.kind}/{row.name}{mark}", row.n, row.totals)
        print(line, flush=True)

    print(f"Model {model.name} {model.sha256[:12]}", flush=True)
    print(table_head(layers), flush=True)
    for row in rows:
        show(row)
    found = validate(
        _sets_left(folder, plan, rows),
        model,
        runs,
        baselines=baselines,
        tuned=tuned,
        has_oracle=bool(oracle),
    )
    for row in found:
        rows.append(row)
        show(row)
        if arguments.json:
            write_rows(arguments.json, settings, rows, left_out)
    _print_means(rows, layers, left_out)
    if arguments.markdown:
        write_text(arguments.markdown, to_markdown(rows, left_out), overwrite=True)
    return 0


def _sets_left(folder: Path, plan: CoarsePlan, rows: Sequence[Row]) -> list[CoarseSet]:
    """The sets without rows; all masks are made first, for whoever goes on later."""
    from napari_segrefiner.evaluation.coarse_sets import make_coarse_sets

    known = {(row.kind, row.name) for row in rows}
    made = list(make_coarse_sets(folder, plan))
    return [one for one in made if (one.kind, one.name) not in known]


def _print_means(
    rows: Sequence[Row], layers: Sequence[str], left_out: Sequence[str]
) -> None:
    """The means of sets, and what each layer made worse."""
    from napari_segrefiner.evaluation.validation import means, table_line
    from napari_segrefiner.evaluation.validation_tables import worse_line

    for name, (n_sets, total) in means(rows, left_out).items():
        print(table_line(f"mean of sets, {name}", n_sets, total))
    scored = {row.name for row in rows}
    if scored & {*left_out}:
        print("* left out of the training")
    for name in left_out:
        if name not in scored:
            print(f"--left-out names {name}, which was not scored.", file=sys.stderr)
    for layer in layers:
        print(worse_line(rows, layer))


def read_ways(text: str) -> tuple[str, ...]:
    """Ways from a list with commas, or all."""
    from napari_segrefiner.evaluation.validation import WAYS

    ways = names(text)
    return tuple(WAYS) if "all" in ways else ways


def read_steps(text: str) -> tuple[int, ...]:
    """Numbers of steps from a list with commas.

    Raises
    ------
    OptionError
        If one is no number from 1 to 6.
    """
    from napari_segrefiner.cli.flags import read_value

    spec = next(spec for spec in specs(RefineOptions) if spec.name == "steps")
    steps = tuple(read_value(spec, part) for part in names(text))
    if not steps:
        msg = "--steps is empty; give numbers, as in 1,2,6."
        raise OptionError(msg)
    return steps


def read_options(assignments: Sequence[str], *, flips: bool) -> RefineOptions:
    """Options of refinement from NAME=VALUE.

    Raises
    ------
    OptionError
        If a name is unknown or a value out of bounds, or the number of steps is given.
    """
    from napari_segrefiner.cli.flags import read_value

    known = {spec.name: spec for spec in specs(RefineOptions)}
    values: dict[str, Any] = {"flips": True} if flips else {}
    for text in assignments:
        name, sign, value = text.partition("=")
        name = name.replace("-", "_")
        if not sign or name not in known:
            msg = (
                f"--set-option {text} is not understood; NAME=VALUE is expected, the "
                f"name one of {', '.join(known)}."
            )
            raise OptionError(msg)
        if name == "steps":
            msg = f"--set-option {text} changes nothing; name the steps by --steps."
            raise OptionError(msg)
        spec = known[name]
        if spec.kind is bool:
            if value.lower() not in ("true", "false"):
                msg = f"--set-option {name} is {value!r}; true or false is expected."
                raise OptionError(msg)
            values[name] = value.lower() == "true"
        else:
            values[name] = read_value(spec, value)
    return RefineOptions(**values)
