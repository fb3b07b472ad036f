"""``napari-segrefiner simulate``: what training does to your own masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_segrefiner.errors import InputError, OptionError

if TYPE_CHECKING:
    import argparse
    from typing import Any

    import numpy.typing as npt

    from napari_segrefiner.training.pictures import Picture

#: Sides of the windows that masks are made in, px.
SIDES = (16, 512)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "data",
        type=Path,
        help="a label image, or data as for train: a folder with images/ and labels/, "
        "or with several such sets",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PNG", help="the picture"
    )
    parser.add_argument(
        "--image", type=Path, help="the image of a label image; without it, a drawing"
    )
    parser.add_argument(
        "--masks",
        type=int,
        default=100,
        metavar="N",
        help="masks of each ingredient (default: 100)",
    )
    parser.add_argument(
        "--window",
        type=int,
        default=128,
        metavar="PX",
        help="side of the windows (default: 128)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of all that is drawn (default: 0)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace PNG if it exists"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the masks, the table and the picture; returns the exit code."""
    from napari_segrefiner.io.atomic import check_destinations, write_whole
    from napari_segrefiner.training.ingredient_sheet import describe, draw_ingredients
    from napari_segrefiner.training.ingredients import draw_views, measure

    _check(arguments)
    output = arguments.output
    check_destinations(
        output,
        overwrite=arguments.overwrite,
        inputs=[arguments.data, arguments.image],
    )
    pictures = _pictures(arguments)
    views = draw_views(
        pictures, min(arguments.masks, 200), arguments.window, arguments.seed
    )
    size = f"{arguments.window} x {arguments.window}"
    print(
        f"Per ingredient {arguments.masks} masks of {size} px; IoU with the true mask"
    )
    print("below which 10, 50 and 90 % of them lie; masks per second of one core:")
    found = []
    for one in measure(views, arguments.masks, arguments.seed):
        print("  " + describe(one), flush=True)
        found.append(one)
    title = f"What training does to the masks of {arguments.data.name}"
    sheet = draw_ingredients(found, title)
    with write_whole(output, overwrite=arguments.overwrite) as part:
        sheet.save(part, format="PNG", optimize=True)
    print(f"Written to {output}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.masks < 1 or arguments.seed < 0:
        message = "--masks is at least 1 and --seed at least 0; correct them."
        raise OptionError(message)
    if not SIDES[0] <= arguments.window <= SIDES[1]:
        message = (
            f"--window is {arguments.window}; a whole number from {SIDES[0]} to "
            f"{SIDES[1]} px is expected."
        )
        raise OptionError(message)
    if arguments.output.suffix.lower() != ".png":
        message = f"{arguments.output} is no name of a PNG; let it end with .png."
        raise OptionError(message)


def _pictures(arguments: argparse.Namespace) -> list[Picture]:
    """The pictures with objects of all sets, or the one of a label image.

    Raises
    ------
    InputError
        If there are none.
    """
    from napari_segrefiner.io.atomic import check_destinations
    from napari_segrefiner.io.datasets import find_sets
    from napari_segrefiner.io.pairs import read_sets
    from napari_segrefiner.training.pictures import MIN_AREA, picture_of

    data = arguments.data
    if data.is_dir() or data.suffix.lower() == ".json":
        if arguments.image is not None:
            message = "--image goes with a label image; a data folder has its own."
            raise OptionError(message)
        sets = find_sets(data, "train")
        items = [item for one in sets for item in one.items]
        read = [
            path for item in items for path in (item.image, item.labels, *item.coarse)
        ]
        check_destinations(arguments.output, overwrite=arguments.overwrite, inputs=read)
        pairs = [pair for _, one in read_sets(sets) for pair in one]
    else:
        pairs = _pairs_of_labels(data, arguments.image)
    pictures = [picture for pair in pairs if (picture := picture_of(pair)) is not None]
    if not pictures:
        message = f"No object in {data} has {MIN_AREA} pixels or more; choose others."
        raise InputError(message)
    return pictures


def _pairs_of_labels(path: Path, image: Path | None) -> list[Any]:
    """A label image, plane by plane, with its image or a drawing of its objects."""
    import tempfile

    import numpy as np

    from napari_segrefiner.io.datasets import Item
    from napari_segrefiner.io.labels import read_labels
    from napari_segrefiner.io.pairs import read_item

    if image is not None:
        return read_item(Item(path.stem, image, path))
    labels: npt.NDArray[Any] = read_labels(path)
    drawing = np.where(labels > 0, 170, 80).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawing.npy"
        np.save(drawn, drawing)
        return read_item(Item(path.stem, drawn, path))
