"""Small pictures with outlines of masks, set in rows on one dark sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from napari_segrefiner.core.boundary import edge
from napari_segrefiner.training.charts import (
    FAINT,
    INK,
    ORANGE,
    PAPER,
    SKY,
    Colour,
)

#: Outlines of coarse, refined and fine masks, everywhere.
COARSE, REFINED, FINE = ORANGE, SKY, INK
GAP, MARGIN, HEAD = 6, 24, 84
LABEL = 15
#: Share of a mask's colour in its inside.
TINT = 0.18


@dataclass(frozen=True)
class Row:
    """Tiles side by side under a line of text; `captions` stand in the tiles."""

    text: str
    tiles: Sequence[Image.Image]
    captions: Sequence[str] = ()


def outlined(
    picture: npt.NDArray[np.uint8],
    masks: Sequence[tuple[npt.NDArray[np.bool_], Colour]],
    side: int,
) -> Image.Image:
    """A picture enlarged to `side` px with the outlines of masks.

    Parameters
    ----------
    picture : (S, S, 3) uint8 array
    masks : sequence of ((S, S) bool array, colour)
        The last ones lie on top. A single one tints its inside too.
    side : int
    """
    shown = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    values = np.asarray(shown, np.float32)
    places = np.arange(side) * len(picture) // side
    for mask, colour in masks:
        large = mask[np.ix_(places, places)]
        values = np.where(
            (large & (len(masks) == 1))[..., None],
            (1 - TINT) * values + TINT * np.asarray(colour, np.float32),
            values,
        )
        values = np.where(edge(large)[..., None], np.asarray(colour), values)
    return Image.fromarray(values.round().astype(np.uint8))


def overlap(mask: npt.NDArray[np.bool_], fine: npt.NDArray[np.bool_]) -> str:
    """The caption of a mask: its IoU with the fine one."""
    union = (mask | fine).sum()
    return f"IoU {(mask & fine).sum() / union:.2f}" if union else "empty"


def draw_rows(
    rows: Sequence[Row],
    *,
    title: str,
    legend: Sequence[tuple[str, Colour]],
    group: int = 1,
) -> Image.Image:
    """Draw the rows under a title and a legend.

    Parameters
    ----------
    rows : sequence of Row
        All tiles of one size.
    title : str
    legend : sequence of (name, colour)
    group : int
        After so many tiles comes a wider gap.
    """
    tile = max((t.width for row in rows for t in row.tiles), default=64)
    most = max((len(row.tiles) for row in rows), default=1)
    width = max(2 * MARGIN + _left(most, tile, group), 560)
    pitch = tile + LABEL + 4 * GAP
    sheet = Image.new("RGB", (width, HEAD + len(rows) * pitch + MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN - 6), title, INK, _font(24))
    x = float(MARGIN)
    for name, colour in legend:
        pen.rectangle((x, MARGIN + 38, x + 12, MARGIN + 50), fill=colour)
        pen.text((x + 18, MARGIN + 36), name, FAINT, _font(14))
        x += 36 + pen.textlength(name, _font(14))
    for place, row in enumerate(rows):
        y = HEAD + place * pitch
        pen.text((MARGIN, y), row.text, INK, _font(LABEL))
        for k, picture in enumerate(row.tiles):
            at = MARGIN + _left(k, tile, group), y + LABEL + 2 * GAP
            sheet.paste(picture, at)
            if k < len(row.captions) and row.captions[k]:
                _caption(pen, at, row.captions[k])
    return sheet


def _left(number: int, tile: int, group: int) -> int:
    return number * (tile + GAP) + (number // group) * (2 * GAP if group > 1 else 0)


def _caption(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str) -> None:
    where = at[0] + 4, at[1] + 3
    left, top, right, bottom = pen.textbbox(where, text, _font(11))
    pen.rectangle((left - 2, top - 1, right + 2, bottom + 1), fill=PAPER)
    pen.text(where, text, INK, _font(11))


def _font(size: int) -> Any:
    """Pillow's own font, the same on every machine."""
    return ImageFont.load_default(size)
