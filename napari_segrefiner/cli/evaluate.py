"""``napari-segrefiner evaluate``: how well labels agree with true ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.wording import shortened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_segrefiner.evaluation.effort import Drawing
    from napari_segrefiner.evaluation.examples import Example, Picked
    from napari_segrefiner.evaluation.folders import (
        LabelFiles,
        LeftOut,
        Loaded,
        MoreLayers,
    )
    from napari_segrefiner.evaluation.pairing import Pairing
    from napari_segrefiner.evaluation.scores import ImageScores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    from napari_segrefiner.cli.baseline_arguments import add_baseline_arguments
    from napari_segrefiner.models.catalogue import DEFAULT

    parser.add_argument(
        "--truth",
        type=Path,
        required=True,
        metavar="DIR",
        help="true labels: STEM.png, .tif or .npy, or folders of sets that hold them",
    )
    parser.add_argument(
        "--coarse",
        type=Path,
        metavar="DIR",
        help="labels before, with the same file names",
    )
    parser.add_argument(
        "--refined",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="labels after, with the ids of the coarse ones; may be given again",
    )
    parser.add_argument(
        "--pair",
        choices=("auto", "id", "overlap"),
        default="auto",
        help="how coarse objects find their true ones: by equal ids, by overlap, or by "
        "id where both hold the same ids (default: auto)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write all scores"
    )
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="also write a report with pictures and charts, one page",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="images with the same names, for pictures and baselines",
    )
    parser.add_argument(
        "--model",
        default=DEFAULT,
        help="whose crops the baselines get, or that --effort tries "
        f"(default: {DEFAULT})",
    )
    add_baseline_arguments(parser)
    parser.add_argument(
        "--effort",
        action="store_true",
        help="instead: draw the true objects as hurried polygons of 4 to 24 points, "
        "refine them by the model, and show the points saved",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=60,
        metavar="N",
        help="most objects that --effort draws (default: 60)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace FILE if it exists already"
    )


def run(arguments: argparse.Namespace) -> int:
    """Score and print; returns the exit code."""
    if arguments.effort:
        return _run_effort(arguments)
    if arguments.coarse is None:
        msg = "--coarse is missing; name the folder of the labels before."
        raise OptionError(msg)

    from napari_segrefiner.evaluation.folders import find_files
    from napari_segrefiner.evaluation.outputs import scores_json
    from napari_segrefiner.evaluation.tables import format_table
    from napari_segrefiner.io.atomic import check_destinations, write_text
    from napari_segrefiner.models.files import model_files

    more = _more_layers(arguments)
    outputs = (arguments.json, arguments.html)
    check_destinations(*outputs, overwrite=arguments.overwrite)
    found = find_files(
        arguments.truth, arguments.coarse, arguments.refined, arguments.images
    )
    read = [
        path
        for one in found.files
        for path in (one.truth, *one.layers.values(), one.image)
    ]
    read += model_files(arguments.model)
    check_destinations(
        *outputs, overwrite=arguments.overwrite, inputs=[arguments.tuned, *read]
    )
    images, left_out, sources = _score_all(found.files, arguments.pair, more)
    left_out = [*found.left_out, *left_out]
    if not images:
        msg = f"No picture could be scored. {left_out[0].name}: {left_out[0].reason}"
        raise InputError(msg)
    _complain(left_out)
    print(format_table(images))
    if left_out:
        n = sum(map(len, images.values()))
        pictures = "picture" if n == 1 else "pictures"
        print(f"{n} {pictures} scored; left out as told above: {len(left_out)}.")
    if arguments.json is not None:
        text = scores_json(images, left_out)
        write_text(arguments.json, text, overwrite=arguments.overwrite)
    if arguments.html is not None:
        page = _page(images, left_out, sources, more)
        write_text(arguments.html, page, overwrite=arguments.overwrite)
    return 0


def _run_effort(arguments: argparse.Namespace) -> int:
    """Draw, refine, print; returns the exit code."""
    from tqdm import tqdm

    from napari_segrefiner.evaluation.effort import (
        effort_json,
        format_effort,
        summarise,
    )
    from napari_segrefiner.evaluation.effort_files import choose_subjects, draw_subjects
    from napari_segrefiner.evaluation.effort_page import effort_page
    from napari_segrefiner.evaluation.folders import LeftOut
    from napari_segrefiner.io.atomic import check_destinations, write_text
    from napari_segrefiner.models.catalogue import load_model
    from napari_segrefiner.models.files import model_files

    if arguments.images is None or arguments.limit < 1:
        msg = "--effort needs --images and a --limit of at least 1."
        raise OptionError(msg)
    given = {"--coarse": arguments.coarse, "--refined": arguments.refined}
    for flag, value in {**given, "--baselines": arguments.baselines}.items():
        if value:
            msg = f"--effort draws labels of its own; leave {flag} out."
            raise OptionError(msg)
    outputs = (arguments.json, arguments.html)
    check_destinations(*outputs, overwrite=arguments.overwrite)
    subjects, left_out = choose_subjects(
        arguments.truth, arguments.images, arguments.limit
    )
    read = [path for one in subjects for path in (one.image, one.labels)]
    read += model_files(arguments.model)
    check_destinations(*outputs, overwrite=arguments.overwrite, inputs=read)
    if not subjects:
        _complain(left_out)
        msg = f"{arguments.truth} holds no plane with objects; name true labels."
        raise InputError(msg)
    model = load_model(arguments.model)
    drawings: list[Drawing] = []
    bar = tqdm(subjects, unit="picture", disable=None, leave=False)
    for found in draw_subjects(bar, model):
        if isinstance(found, LeftOut):
            left_out.append(found)
        else:
            drawings.append(found)
    if not drawings:
        last = left_out[-1]
        msg = (
            f"No image in {arguments.images} could be used. {last.name}: {last.reason}"
        )
        raise InputError(msg)
    _complain(left_out)
    effort = summarise(drawings)
    print(f"Model {model.name} {model.sha256[:12]}")
    print(format_effort(effort))
    if arguments.json is not None:
        text = effort_json(effort, left_out)
        write_text(arguments.json, text, overwrite=arguments.overwrite)
    if arguments.html is not None:
        page = effort_page(effort, model.name)
        write_text(arguments.html, page, overwrite=arguments.overwrite)
    return 0


def _more_layers(arguments: argparse.Namespace) -> MoreLayers | None:
    """What makes a layer of every baseline; None without baselines."""
    from napari_segrefiner.cli.baseline_arguments import read_baselines, wants_oracle

    baselines, tuned = read_baselines(arguments)
    has_oracle = wants_oracle(arguments)
    if not baselines and not has_oracle:
        return None
    if baselines and arguments.images is None:
        msg = "--baselines look at images; name their folder by --images."
        raise OptionError(msg)

    from napari_segrefiner.evaluation.baseline_runs import baseline_layers
    from napari_segrefiner.evaluation.oracle import ORACLE, oracle_layer
    from napari_segrefiner.evaluation.scores import COARSE
    from napari_segrefiner.models.catalogue import load_model

    card = load_model(arguments.model).card if baselines else None

    def more(set_name: str, found: Loaded) -> dict[str, npt.NDArray[Any]]:
        layers = {}
        if card is not None:
            layers = baseline_layers(set_name, found, baselines, tuned, card)
        if has_oracle:
            coarse = found.layers[COARSE]
            layers[ORACLE] = oracle_layer(found.truth, coarse, arguments.pair)
        return layers

    return more


def _score_all(
    files: Sequence[LabelFiles], pairing: Pairing, more: MoreLayers | None
) -> tuple[dict[str, list[ImageScores]], list[LeftOut], dict[str, LabelFiles]]:
    """Scores by set, what was left out, and where each picture came from."""
    from tqdm import tqdm

    from napari_segrefiner.evaluation.folders import LeftOut, score_files

    images: dict[str, list[ImageScores]] = {}
    left_out, sources = [], {}
    for one in tqdm(files, unit="picture", disable=None, leave=False):
        for scored in score_files(one, pairing, more):
            if isinstance(scored, LeftOut):
                left_out.append(scored)
            else:
                images.setdefault(one.set_name, []).append(scored)
                sources[scored.name] = one
    return images, left_out, sources


def _page(
    images: dict[str, list[ImageScores]],
    left_out: Sequence[LeftOut],
    sources: dict[str, LabelFiles],
    more: MoreLayers | None,
) -> str:
    """The report, its pictures cut out of the files, which are read again."""
    from napari_segrefiner.evaluation.folders import load
    from napari_segrefiner.evaluation.outputs import cut_example, page

    def example(name: str, layer: str, picked: Picked) -> Example:
        files = sources[name]
        found = load(files, more if layer not in files.layers else None)
        return cut_example(found, files.name, name, layer, picked)

    return page(images, left_out, example)


def _complain(left_out: Sequence[LeftOut]) -> None:
    """Tell on stderr what the totals do not hold."""
    for line in shortened(f"{one.name}: {one.reason}" for one in left_out):
        print(line, file=sys.stderr)
