"""``napari-segrefiner reproduce``: the paper's tables and figures, ours beside them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segrefiner.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_segrefiner.evaluation.detections import Detection
    from napari_segrefiner.evaluation.published_rows import Comparison
    from napari_segrefiner.models.checkpoint import Model
    from napari_segrefiner.options import RefineOptions

#: The paper's models for whole images and for instances.
WHOLE_MODEL, INSTANCE_MODEL = "segrefiner-hr", "segrefiner-lr"
#: Sentences about what is left out that go to the terminal.
SHOWN = 10


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
    figure = actions.add_parser("figure", help=text, description=text)
    _add_figure(figure)


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


def _add_figure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image", type=Path, required=True, metavar="FILE")
    parser.add_argument("--coarse", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--result",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="refined labels and what to call them; may be given again",
    )
    parser.add_argument("--truth", type=Path, metavar="FILE", help="true labels")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PNG", help="the picture"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace PNG")


def run(arguments: argparse.Namespace) -> int:
    """Reproduce; returns the exit code."""
    if arguments.action == "figure":
        return _run_figure(arguments)
    if arguments.action == "coco":
        return _run_coco(arguments)
    return _run_masks(arguments)


def _run_masks(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from napari_segrefiner.evaluation.mask_sets import (
        aggregate,
        find_cases,
        refiner_of,
        score_cases,
    )
    from napari_segrefiner.evaluation.published_rows import (
        Comparison,
        find_row,
        notes_on,
    )

    part = getattr(arguments, "part", "")
    row = find_row(arguments.action, arguments.row, part)
    _check_outputs(arguments)
    cases, problems = find_cases(
        arguments.data, arguments.coarse, arguments.refined, part
    )
    _complain(problems)
    model = None if arguments.refined else _load(arguments.model)
    refine = refiner_of(model, _options(arguments, "whole")) if model else None
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
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
    from napari_segrefiner.evaluation.detections import read_detections
    from napari_segrefiner.evaluation.lvis_on_coco import is_lvis, on_coco
    from napari_segrefiner.evaluation.published_rows import (
        Comparison,
        find_row,
        notes_on,
    )
    from napari_segrefiner.io.atomic import write_text

    check_installed()
    row = find_row("coco", arguments.row)
    _check_outputs(arguments)
    annotations = _read_annotations(arguments.data)
    by_lvis = is_lvis(annotations)
    if by_lvis:
        annotations = on_coco(annotations)
    coarse = read_detections(arguments.coarse)
    categories = {one["id"] for one in annotations["categories"]}
    images, problems = _find_images(arguments.images, annotations, coarse)
    coarse = [
        one
        for one in coarse
        if one["image_id"] in images and one["category_id"] in categories
    ]
    if not coarse:
        msg = (
            f"No detection of {arguments.coarse} is on an annotated image that is in "
            f"{arguments.images}; give results, annotations and images of one set."
        )
        raise InputError(msg)
    _complain(problems)
    annotations = {
        **annotations,
        "images": [one for one in annotations["images"] if one["id"] in images],
        "annotations": [
            one for one in annotations["annotations"] if one["image_id"] in images
        ],
    }
    model, n_kept = None, 0
    if arguments.refined:
        refined = read_detections(arguments.refined)
    else:
        model = _load(arguments.model)
        refined, n_kept = _refine(coarse, images, model, arguments)
    if arguments.output:
        text = json.dumps(refined) + "\n"
        write_text(arguments.output, text, overwrite=arguments.overwrite)
    scores = [
        _precisions(annotations, side, is_lvis=by_lvis) for side in (coarse, refined)
    ]
    notes = notes_on(
        row,
        scores[0],
        model=model.name if model else f"results in {arguments.refined}",
        official=INSTANCE_MODEL,
        preset=arguments.preset if model else "published",
        n=len(images),
        n_published=None,
    )
    rules = "LVIS" if by_lvis else "COCO"
    if not by_lvis:
        notes = (*notes, "COCO's own annotations and rules: the paper's are LVIS'.")
    if n_kept:
        notes = (*notes, f"{n_kept} would have vanished and have coarse masks.")
    n = f"{len(coarse)} detections in {len(images)} images, rules of {rules}"
    return _finish(
        arguments,
        Comparison(scores[0], scores[1], n, row, notes),
        {"problems": problems, "model": _model_json(model), "n_kept": n_kept},
    )


def _refine(
    coarse: Sequence[Detection],
    images: dict[int, Path],
    model: Model,
    arguments: argparse.Namespace,
) -> tuple[list[Detection], int]:
    from tqdm import tqdm

    from napari_segrefiner.evaluation.detections import refine_detections

    refined: list[Detection] = []
    n_kept = 0
    found = refine_detections(coarse, images, model, _options(arguments, "objects"))
    for one in tqdm(found, total=len(images), disable=None, leave=False):
        refined += one.detections
        n_kept += one.n_kept
    return refined, n_kept


def _precisions(
    annotations: dict[str, Any], detections: Sequence[Detection], *, is_lvis: bool
) -> dict[str, float]:
    """Mask and boundary AP in per cent."""
    from napari_segrefiner.evaluation.average_precision import average_precision

    masks = average_precision(annotations, detections, "segm", is_lvis=is_lvis)
    edges = average_precision(annotations, detections, "boundary", is_lvis=is_lvis)
    both = {**masks, **{f"b{name}": value for name, value in edges.items()}}
    return {name: 100 * value for name, value in both.items()}


def _read_annotations(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if all(content[key] for key in ("images", "annotations", "categories")):
            return dict(content)
    except (OSError, ValueError, TypeError, KeyError) as error:
        msg = f"{path} holds no COCO or LVIS annotations ({error}); name such a file."
        raise InputError(msg) from error
    msg = f"{path} holds no images, annotations or categories; name a complete file."
    raise InputError(msg)


def _find_images(
    folder: Path, annotations: dict[str, Any], detections: Sequence[Detection]
) -> tuple[dict[int, Path], list[str]]:
    """Files of the annotated images, and what is left out."""
    found, problems = {}, []
    for one in annotations["images"]:
        name = one.get("file_name") or one.get("coco_url") or f"{one['id']:012d}.jpg"
        path = folder / Path(name).name
        if path.is_file():
            found[one["id"]] = path
        else:
            problems.append(f"{path} is missing; the image is left out.")
    strange = {one["image_id"] for one in detections} - found.keys()
    if strange:
        problems.append(f"Detections of {len(strange)} other images are left out.")
    return found, problems


def _run_figure(arguments: argparse.Namespace) -> int:
    from napari_segrefiner.evaluation.figure import draw_figure
    from napari_segrefiner.io.atomic import check_destination, write_whole
    from napari_segrefiner.io.images import read_image
    from napari_segrefiner.io.labels import read_labels

    check_destination(arguments.output, overwrite=arguments.overwrite)
    layers = {"coarse": read_labels(arguments.coarse)}
    for word in arguments.result:
        name, sign, file = word.partition("=")
        path = Path(file if sign else word)
        name = name if sign else path.stem
        if name in layers:
            msg = f"Two results are called {name}; name them, as in ours={path}."
            raise InputError(msg)
        layers[name] = read_labels(path)
    truth = read_labels(arguments.truth) if arguments.truth else None
    sheet = draw_figure(read_image(arguments.image), layers, truth)
    with write_whole(arguments.output, overwrite=arguments.overwrite) as path:
        sheet.save(path, "PNG")
    print(f"Written to {arguments.output}")
    return 0


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
    from napari_segrefiner.io.atomic import check_destination

    if arguments.json:
        check_destination(arguments.json, overwrite=arguments.overwrite)
    if not arguments.output:
        return
    if arguments.action == "coco":
        check_destination(arguments.output, overwrite=arguments.overwrite)
    elif arguments.output.is_dir() and any(arguments.output.iterdir()):
        inputs = [arguments.data, arguments.coarse]
        is_input = any(arguments.output.samefile(folder) for folder in inputs)
        if is_input or not arguments.overwrite:
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
        text = json.dumps(content, indent=1, default=_plain) + "\n"
        write_text(arguments.json, text, overwrite=arguments.overwrite)
    return 0


def _plain(value: Any) -> Any:
    number = float(value)
    return number if math.isfinite(number) else None


def _complain(problems: Sequence[str]) -> None:
    import sys

    for problem in problems[:SHOWN]:
        print(problem, file=sys.stderr)
    if len(problems) > SHOWN:
        print(f"... and {len(problems) - SHOWN} more.", file=sys.stderr)
