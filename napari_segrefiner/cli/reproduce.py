"""``napari-segrefiner reproduce``: the paper's tables and figures, ours beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segrefiner.cli import reproduce_figure as figure
from napari_segrefiner.errors import InputError
from napari_segrefiner.wording import json_text, shortened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_segrefiner.evaluation.detection_sets import DetectionSet
    from napari_segrefiner.evaluation.detections import Detection
    from napari_segrefiner.evaluation.published_rows import Comparison
    from napari_segrefiner.models.checkpoint import Model
    from napari_segrefiner.options import RefineOptions

#: The paper's models for whole images and for instances.
WHOLE_MODEL, INSTANCE_MODEL = "segrefiner-hr", "segrefiner-lr"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="WHAT")
    for name, text in (
        ("big", "BIG: NAME_im.jpg and NAME_gt.png; coarse NAME_seg.png"),
        ("dis5k", "DIS5K: im/ and gt/ of its sets; coarse NAME.png"),
    ):
        one = actions.add_parser(name, help=text, description=text)
        _add_masks(one)
        if name == "dis5k":
            one.add_argument(
                "--set",
                dest="part",
                default="VD",
                choices=("VD", "TE1", "TE2", "TE3", "TE4"),
                help="which set (default: VD)",
            )
    text = "COCO's images, with LVIS or COCO annotations, and a detector's results"
    coco = actions.add_parser("coco", help=text, description=text)
    _add_coco(coco)
    text = "A panel of image, coarse labels and results, with close-ups"
    figure.add_arguments(actions.add_parser("figure", help=text, description=text))


def _add_masks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="images and true masks"
    )
    parser.add_argument(
        "--coarse", type=Path, required=True, metavar="DIR", help="coarse masks"
    )
    parser.add_argument(
        "--refined",
        type=Path,
        metavar="DIR",
        help="score these refined masks instead of refining",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="write the refined masks here"
    )
    _add_common(parser, WHOLE_MODEL)


def _add_coco(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="JSON",
        help="annotations, as lvis_v1_val.json (cut to COCO's images and categories) "
        "or instances_val2017.json",
    )
    parser.add_argument(
        "--images",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the images, as val2017",
    )
    parser.add_argument(
        "--coarse",
        type=Path,
        required=True,
        metavar="JSON",
        help="results of a detector in COCO's format",
    )
    parser.add_argument(
        "--refined",
        type=Path,
        metavar="JSON",
        help="score these refined results instead of refining",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="JSON", help="write refined results here"
    )
    _add_common(parser, INSTANCE_MODEL)


def _add_common(parser: argparse.ArgumentParser, model: str) -> None:
    parser.add_argument(
        "--model", default=model, help=f"name, file or folder (default: {model})"
    )
    parser.add_argument(
        "--row",
        default="",
        metavar="NAME",
        help="whose coarse masks these are, as the paper's table calls it: its row is "
        "printed beside ours",
    )
    parser.add_argument(
        "--preset",
        choices=("published", "default"),
        default="published",
        help="published: the paper's settings (default: published)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files that exist"
    )


def run(arguments: argparse.Namespace) -> int:
    """Reproduce; returns the exit code."""
    if arguments.action == "figure":
        return figure.run(arguments)
    if arguments.action == "coco":
        return _run_coco(arguments)
    return _run_masks(arguments)


def _run_masks(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from napari_segrefiner.evaluation.mask_sets import (
        aggregate,
        files_of,
        find_cases,
        refiner_of,
        score_cases,
    )
    from napari_segrefiner.evaluation.published_rows import (
        Comparison,
        find_row,
        notes_on,
    )
    from napari_segrefiner.io.atomic import check_destinations, make_folder

    part = getattr(arguments, "part", "")
    row = find_row(arguments.action, arguments.row, part)
    _check_outputs(arguments)
    cases, problems = find_cases(
        arguments.data, arguments.coarse, arguments.refined, part
    )
    _complain(problems)
    files = files_of(cases)
    check_destinations(arguments.json, overwrite=arguments.overwrite, inputs=files)
    folders = {path.resolve().parent for path in files}
    if arguments.output and arguments.output.resolve() in folders:
        msg = f"{arguments.output} holds what is read; name another folder."
        raise InputError(msg)
    model = None if arguments.refined else _load(arguments.model)
    refine = refiner_of(model, _options(arguments, "whole")) if model else None
    if arguments.output:
        make_folder(arguments.output)
    found = score_cases(cases, refine, arguments.output)
    scores = list(tqdm(found, total=len(cases), disable=None, leave=False))
    coarse = aggregate([one.coarse for one in scores])
    refined = aggregate([one.refined for one in scores])
    notes = notes_on(
        row,
        coarse,
        model=model.name if model else f"masks in {arguments.refined}",
        official=WHOLE_MODEL,
        preset=arguments.preset if model else "published",
        n=len(cases),
        n_published=100 if arguments.action == "big" else None,
    )
    n = f"{len(cases)} image{'s' if len(cases) > 1 else ''}"
    return _finish(
        arguments,
        Comparison(coarse, refined, n, row, notes),
        {"problems": problems, "model": _model_json(model)},
    )


def _run_coco(arguments: argparse.Namespace) -> int:
    from napari_segrefiner.evaluation.average_precision import check_installed
    from napari_segrefiner.evaluation.detection_sets import read_detection_set
    from napari_segrefiner.evaluation.detections import read_detections
    from napari_segrefiner.evaluation.published_rows import (
        Comparison,
        find_row,
        notes_on,
    )
    from napari_segrefiner.io.atomic import write_text

    check_installed()
    row = find_row("coco", arguments.row)
    _check_outputs(arguments)
    given = read_detection_set(arguments.data, arguments.images, arguments.coarse)
    _complain(given.problems)
    model, n_kept = None, 0
    if arguments.refined:
        refined = read_detections(arguments.refined)
    else:
        model = _load(arguments.model)
        refined, n_kept = _refine(given, model, _options(arguments, "objects"))
    if arguments.output:
        text = json.dumps(refined) + "\n"
        write_text(arguments.output, text, overwrite=arguments.overwrite)
    coarse = given.score(given.detections)
    notes = notes_on(
        row,
        coarse,
        model=model.name if model else f"results in {arguments.refined}",
        official=INSTANCE_MODEL,
        preset=arguments.preset if model else "published",
        n=len(given.images),
        n_published=None,
    )
    if not given.is_lvis:
        notes = (*notes, "COCO's own annotations and rules: the paper's are LVIS'.")
    if n_kept:
        notes = (*notes, f"{n_kept} would have vanished and have coarse masks.")
    n = (
        f"{len(given.detections)} detections in {len(given.images)} images, "
        f"rules of {'LVIS' if given.is_lvis else 'COCO'}"
    )
    return _finish(
        arguments,
        Comparison(coarse, given.score(refined), n, row, notes),
        {"problems": given.problems, "model": _model_json(model), "n_kept": n_kept},
    )


def _refine(
    given: DetectionSet, model: Model, options: RefineOptions
) -> tuple[list[Detection], int]:
    """Refine with a progress bar; also tells how many kept their coarse masks."""
    from tqdm import tqdm

    from napari_segrefiner.evaluation.detections import refine_detections

    refined: list[Detection] = []
    n_kept = 0
    found = refine_detections(given.detections, given.images, model, options)
    for one in tqdm(found, total=len(given.images), disable=None, leave=False):
        refined += one.detections
        n_kept += one.n_kept
    return refined, n_kept


def _options(arguments: argparse.Namespace, mode: Any) -> RefineOptions:
    from napari_segrefiner.options import RefineOptions

    return RefineOptions(mode=mode, preset=arguments.preset)


def _load(model: str) -> Model:
    from napari_segrefiner.models.catalogue import load_model

    return load_model(model)


def _model_json(model: Model | None) -> dict[str, str] | None:
    return None if model is None else {"name": model.name, "sha256": model.sha256}


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be written before any work is done."""
    from napari_segrefiner.io.atomic import check_destinations
    from napari_segrefiner.models.files import model_files

    if arguments.action == "coco":
        check_destinations(
            arguments.json,
            arguments.output,
            overwrite=arguments.overwrite,
            inputs=[
                arguments.data,
                arguments.coarse,
                arguments.refined,
                *model_files(arguments.model),
            ],
        )
        return
    check_destinations(
        arguments.json,
        overwrite=arguments.overwrite,
        inputs=model_files(arguments.model),
    )
    if not arguments.output:
        return
    is_filled = arguments.output.is_dir() and any(arguments.output.iterdir())
    if is_filled and not arguments.overwrite:
        msg = f"{arguments.output} is not empty; name a new folder."
        raise InputError(msg)


def _finish(
    arguments: argparse.Namespace, found: Comparison, more: dict[str, Any]
) -> int:
    """Print and write."""
    from napari_segrefiner.evaluation.published_rows import (
        comparison_json,
        format_comparison,
        row_names,
    )
    from napari_segrefiner.io.atomic import write_text

    print(format_comparison(found))
    if not arguments.row:
        names = row_names(arguments.action, getattr(arguments, "part", ""))
        print(f"--row prints the paper's beside ours: {', '.join(names)}.")
    if arguments.json:
        content = {**comparison_json(found), "preset": arguments.preset, **more}
        write_text(arguments.json, json_text(content), overwrite=arguments.overwrite)
    return 0


def _complain(problems: Sequence[str]) -> None:
    import sys

    for line in shortened(problems):
        print(line, file=sys.stderr)
