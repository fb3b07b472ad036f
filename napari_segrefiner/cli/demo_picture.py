"""The picture of ``napari-segrefiner demo``: before, every step and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_segrefiner.geometry import Box

Colour = tuple[int, int, int]

PAPER, INK, FAINT = (18, 20, 26), (236, 238, 242), (150, 156, 168)
BEFORE, DURING, AFTER, TRUTH = (255, 138, 76), (255, 209, 82), (82, 222, 151), INK
WIDTH, GAP, MARGIN = 1640, 12, 28
#: How strongly a mask tints the image under it.
TINT = 0.22
LINE = 2


@dataclass(frozen=True)
class Panel:
    """One view of the image: its caption and the labels outlined in it."""

    caption: str
    labels: npt.NDArray[Any]
    colour: Colour


def draw_picture(
    image: npt.NDArray[np.uint8],
    *,
    title: str,
    subtitle: str,
    pair: tuple[Panel, Panel],
    close_ups: Sequence[tuple[Box, Sequence[Panel]]],
) -> Image.Image:
    """Draw two whole views side by side and rows of close-ups below.

    Parameters
    ----------
    image : (Y, X) uint8 array
        Grey values.
    title, subtitle : str
        Text on top; the subtitle may have two lines.
    pair : two Panel
        Labels before and after, shown whole.
    close_ups : sequence of (Box, sequence of Panel)
        Per row, the square region shown and its panels from left to right.
    """
    pair_width = (WIDTH - 2 * MARGIN - GAP) // 2
    whole = [_panel(image, panel, pair_width) for panel in pair]
    rows = [_row(image, box, panels) for box, panels in close_ups]

    top = MARGIN + 118
    height = top + whole[0].height + sum(row.height + GAP for row in rows) + MARGIN
    sheet = Image.new("RGB", (WIDTH, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN - 8), title, INK, _font(38))
    pen.text((MARGIN, MARGIN + 46), subtitle, FAINT, _font(22))
    for place, picture in enumerate(whole):
        sheet.paste(picture, (MARGIN + place * (pair_width + GAP), top))
    y = top + whole[0].height + GAP
    for row in rows:
        sheet.paste(row, (MARGIN, y))
        y += row.height + GAP
    return sheet


def _row(
    image: npt.NDArray[np.uint8], box: Box, panels: Sequence[Panel]
) -> Image.Image:
    """Equal panels of one region, over the full width."""
    inner = WIDTH - 2 * MARGIN
    width = (inner - GAP * (len(panels) - 1)) // len(panels)
    cut = box.clip(image.shape).slices
    pictures = [
        _panel(image[cut], Panel(p.caption, p.labels[cut], p.colour), width)
        for p in panels
    ]
    row = Image.new("RGB", (inner, pictures[0].height), PAPER)
    for place, picture in enumerate(pictures):
        row.paste(picture, (place * (width + GAP), 0))
    return row


def _panel(image: npt.NDArray[np.uint8], panel: Panel, width: int) -> Image.Image:
    """The image enlarged to `width` pixels with the panel's outlines and caption."""
    height = round(image.shape[0] * width / image.shape[1])
    grey = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    # By index and not by an image filter: labels have no values between them.
    rows = np.arange(height) * image.shape[0] // height
    columns = np.arange(width) * image.shape[1] // width
    labels = panel.labels[np.ix_(rows, columns)]

    picture = np.repeat(np.asarray(grey, np.float32)[..., None], 3, axis=2)
    colour = np.asarray(panel.colour, np.float32)
    inside = labels > 0
    picture[inside] = (1 - TINT) * picture[inside] + TINT * colour
    picture[_edges(labels)] = colour
    drawn = Image.fromarray(picture.round().astype(np.uint8))
    _write_caption(drawn, panel)
    return drawn


def _edges(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Pixels of objects within LINE pixels of another label, along rows or columns."""
    edge = np.zeros(labels.shape, bool)
    for step in range(1, LINE + 1):
        down = labels[step:] != labels[:-step]
        edge[step:] |= down
        edge[:-step] |= down
        right = labels[:, step:] != labels[:, :-step]
        edge[:, step:] |= right
        edge[:, :-step] |= right
    return edge & (labels > 0)


def _write_caption(picture: Image.Image, panel: Panel) -> None:
    pen = ImageDraw.Draw(picture, "RGBA")
    font = _font(20)
    left, top, right, bottom = pen.textbbox((12, 10), panel.caption, font)
    pen.rounded_rectangle(
        (left - 8, top - 6, right + 8, bottom + 6), 6, fill=(*PAPER, 215)
    )
    pen.text((12, 10), panel.caption, panel.colour, font)


def _font(size: int) -> Any:
    """Pillow's own font, the same on every machine."""
    return ImageFont.load_default(size)
