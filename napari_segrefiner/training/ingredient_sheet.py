"""A contact sheet of the simulators: their masks on the user's own objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from napari_segrefiner.training.charts import FAINT, GRID, PANEL, SKY
from napari_segrefiner.training.simulate import iou
from napari_segrefiner.training.tiles import (
    COARSE,
    FINE,
    Row,
    draw_rows,
    outlined,
)

if TYPE_CHECKING:
    from napari_segrefiner.training.ingredients import Measured, View

TILE = 132
#: Bins of the histogram of IoU, from 0 to 1.
BINS = 20


def draw_ingredients(found: Sequence[Measured], title: str) -> Image.Image:
    """Draw a row per ingredient: histogram of IoU, then examples.

    Outlines are the truth and, on top, the coarse mask.
    """
    return draw_rows(
        [_row(one) for one in found],
        title=title,
        legend=(("coarse mask", COARSE), ("true mask", FINE), ("IoU, 0 to 1", SKY)),
    )


def describe(one: Measured) -> str:
    """Name and figures of an ingredient in one line.

    Returns
    -------
    str
        Such as "field    IoU 0.55 0.74 0.93    310 masks/s".
    """
    low, middle, high = one.quantiles()
    rate = f"{one.per_second:,.0f} masks/s"
    return f"{one.name:18} IoU {low:.2f} {middle:.2f} {high:.2f}   {rate:>15}"


def _row(one: Measured) -> Row:
    low, middle, high = one.quantiles()
    text = (
        f"{one.name}    IoU {low:.2f} / {middle:.2f} / {high:.2f}    "
        f"{one.per_second:,.0f} masks/s"
    )
    tiles = [_histogram(one.overlaps)]
    captions = [""]
    for view, coarse in one.examples:
        masks = [(view.fine, FINE), (coarse, COARSE)]
        tiles.append(outlined(_shown(view), masks, TILE))
        captions.append(f"{iou(coarse, view.fine):.2f}")
    return Row(text, tiles, captions)


def _shown(view: View) -> npt.NDArray[np.uint8]:
    """The window's picture, stretched and dimmed so that outlines stand out."""
    image = view.image.transpose(1, 2, 0)
    low, high = np.percentile(image, (1, 99))
    values = np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 170 + 20
    result: npt.NDArray[np.uint8] = values.astype(np.uint8)
    return result


def _histogram(overlaps: npt.NDArray[np.float64]) -> Image.Image:
    tile = Image.new("RGB", (TILE, TILE), PANEL)
    pen = ImageDraw.Draw(tile)
    counts, _ = np.histogram(overlaps, bins=BINS, range=(0, 1))
    left, bottom, width, height = 8, TILE - 14, TILE - 16, TILE - 28
    for share in (0, 0.5, 1):
        x = left + share * width
        pen.line((x, bottom - height, x, bottom), fill=GRID)
    pen.line((left, bottom, left + width, bottom), fill=FAINT)
    for k, count in enumerate(counts):
        x0 = left + k * width / BINS
        top = bottom - height * count / max(counts.max(), 1)
        if count:
            pen.rectangle((x0 + 0.5, top, x0 + width / BINS - 1, bottom), fill=SKY)
    return tile
