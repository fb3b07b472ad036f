"""``napari-segrefiner reproduce figure``: a panel of an image, masks and close-ups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_segrefiner.errors import InputError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "--image", type=Path, required=True, metavar="FILE", help="the image"
    )
    parser.add_argument(
        "--coarse", type=Path, required=True, metavar="FILE", help="coarse labels"
    )
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
    """Draw and write; returns the exit code."""
    from napari_segrefiner.evaluation.figure import draw_figure
    from napari_segrefiner.io.atomic import check_destinations, write_whole
    from napari_segrefiner.io.images import read_image
    from napari_segrefiner.io.labels import read_labels

    if arguments.output.suffix.lower() != ".png":
        message = f"{arguments.output} is no name of a PNG; let it end with .png."
        raise InputError(message)
    image = read_image(arguments.image)
    layers = {"coarse": read_labels(arguments.coarse, image.shape)}
    inputs = [arguments.image, arguments.coarse, arguments.truth]
    for word in arguments.result:
        name, sign, file = word.partition("=")
        path = Path(file if sign else word)
        name = name if sign else path.stem
        if name in layers:
            msg = f"Two results are called {name}; name them, as in ours={path}."
            raise InputError(msg)
        layers[name] = read_labels(path, image.shape)
        inputs.append(path)
    check_destinations(arguments.output, overwrite=arguments.overwrite, inputs=inputs)
    truth = read_labels(arguments.truth, image.shape) if arguments.truth else None
    sheet = draw_figure(image, layers, truth)
    with write_whole(arguments.output, overwrite=arguments.overwrite) as path:
        sheet.save(path, "PNG")
    print(f"Written to {arguments.output}")
    return 0
