"""``napari-segrefiner evaluate``: how well labels agree with true ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_segrefiner.evaluation.folders import LabelFiles, LeftOut
    from napari_segrefiner.evaluation.pairing import Pairing
    from napari_segrefiner.evaluation.scores import ImageScores

#: Lines about what was left out that go to the terminal; the JSON has them all.
SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "--truth",
        type=Path,
        required=True,
        metavar="DIR",
        help="True labels: STEM.png, .tif or .npy, or folders of sets that hold them.",
    )
    parser.add_argument(
        "--coarse",
        type=Path,
        required=True,
        metavar="DIR",
        help="Labels before, with the same file names.",
    )
    parser.add_argument(
        "--refined",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="Labels after, with the ids of the coarse ones; may be given again.",
    )
    parser.add_argument(
        "--pair",
        choices=("auto", "id", "overlap"),
        default="auto",
        help="How coarse objects find their true ones: by equal ids, by overlap, or by "
        "id where both hold the same ids (auto, the default).",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="Also write all scores."
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="Replace FILE if it exists already."
    )


def run(arguments: argparse.Namespace) -> int:
    """Score and print; returns the exit code."""
    from napari_segrefiner.errors import InputError
    from napari_segrefiner.evaluation.folders import find_files
    from napari_segrefiner.evaluation.tables import as_json, format_table
    from napari_segrefiner.io.atomic import check_destination, write_text

    if arguments.json is not None:
        check_destination(arguments.json, overwrite=arguments.overwrite)
    found = find_files(arguments.truth, arguments.coarse, arguments.refined)
    images, left_out = _score_all(found.files, arguments.pair)
    left_out = [*found.left_out, *left_out]
    if not images:
        msg = f"No picture could be scored. {left_out[0].name}: {left_out[0].reason}"
        raise InputError(msg)
    _complain(left_out)
    print(format_table(images))
    if arguments.json is not None:
        text = json.dumps(as_json(images, left_out), indent=1) + "\n"
        write_text(arguments.json, text, overwrite=arguments.overwrite)
    return 0


def _score_all(
    files: Sequence[LabelFiles], pairing: Pairing
) -> tuple[dict[str, list[ImageScores]], list[LeftOut]]:
    """Scores by set, and what was left out."""
    from tqdm import tqdm

    from napari_segrefiner.evaluation.folders import LeftOut, score_files

    images: dict[str, list[ImageScores]] = {}
    left_out = []
    for one in tqdm(files, unit="picture", disable=None, leave=False):
        for scored in score_files(one, pairing):
            if isinstance(scored, LeftOut):
                left_out.append(scored)
            else:
                images.setdefault(one.set_name, []).append(scored)
    return images, left_out


def _complain(left_out: Sequence[LeftOut]) -> None:
    """Tell on stderr what the totals do not hold."""
    for one in left_out[:SHOWN]:
        print(f"{one.name}: {one.reason}", file=sys.stderr)
    if len(left_out) > SHOWN:
        print(f"... and {len(left_out) - SHOWN} more.", file=sys.stderr)
