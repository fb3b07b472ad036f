"""A panel of an image, its coarse labels and any number of results, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.measure import find_contours

from napari_segrefiner.errors import InputError
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.picture import open_picture

Labels = npt.NDArray[Any]
Colour = tuple[int, int, int]

PAPER, INK, FAINT = (255, 255, 255), (29, 33, 39), (110, 116, 128)
#: Told apart by all kinds of colour vision; the coarse labels get the first.
COLOURS: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (240, 228, 66),
)  # fmt: skip
TRUTH: Colour = (255, 255, 255)
#: Width of a panel, gaps, height of captions, line width; px.
PANEL, GAP, CAPTION, LINE = 420, 14, 34, 3
#: Side of a close-up, as a share of the shorter side of the image, and how many.
CLOSE, CLOSE_UPS = 0.22, 2


def draw_figure(
    image: npt.NDArray[Any],
    layers: Mapping[str, Labels],
    truth: Labels | None = None,
    *,
    n_close_ups: int = CLOSE_UPS,
) -> Image.Image:
    """Draw the image, every layer on it, and below close-ups where layers differ most.

    Parameters
    ----------
    image : (Y, X), (Y, X, C) or (C, Y, X) array
    layers : mapping of caption to (Y, X) array
        Coarse labels first.
    truth : (Y, X) array, optional
        Gets a panel of its own and decides where to look instead.

    Raises
    ------
    InputError
        If sizes differ.
    """
    everything = dict(layers)
    if truth is not None:
        everything["truth"] = truth
    shape = next(iter(everything.values())).shape
    for name, labels in everything.items():
        if labels.ndim != 2:
            msg = f"{name} has {labels.ndim} axes; one plane (two axes) is expected."
            raise InputError(msg)
        if labels.shape != shape:
            msg = f"{name} is {labels.shape}, the others {shape}; one size is expected."
            raise InputError(msg)
    grey = _picture(image, (shape[0], shape[1]))
    views = [Box(0, 0, shape[0], shape[1])]
    views += places_of_difference(list(everything.values()), n_close_ups)
    rows = [_row(grey, everything, view, views[1:] if not k else ())
            for k, view in enumerate(views)]  # fmt: skip
    return _stacked(rows, ["image", *everything])


def places_of_difference(layers: Sequence[Labels], n: int) -> list[Box]:
    """Squares in which the layers differ in most pixels, apart from each other."""
    first = layers[0]
    differs = np.any([labels != first for labels in layers[1:]], axis=0)
    height, width = first.shape
    side = min(max(24, round(CLOSE * min(height, width))), height, width)
    left = np.array(differs, np.float32)
    found: list[Box] = []
    for _ in range(n):
        amount = ndimage.uniform_filter(left, side, mode="constant")
        if amount.max(initial=0) * side * side < 1:
            break
        y, x = np.unravel_index(int(amount.argmax()), amount.shape)
        box = Box(int(y), int(x), int(y) + 1, int(x) + 1).square(side)
        box = box.shift_inside((height, width))
        found.append(box)
        around = box.expand(side // 2).clip((height, width))
        left[around.slices] = 0
    return found


def _picture(image: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The image as (Y, X, 3) uint8."""
    planes = open_picture(image, shape).read(Box(0, 0, *shape))
    low, high = np.percentile(planes, (0.5, 99.5))
    planes = ((planes - low) / max(high - low, 1e-6)).clip(0, 1)
    values = np.rint(255 * np.broadcast_to(planes, (3, *shape))).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(values, 0, -1))


def _row(
    picture: npt.NDArray[np.uint8],
    layers: Mapping[str, Labels],
    view: Box,
    marks: Sequence[Box],
) -> list[Image.Image]:
    """The image and every layer inside of a box; `marks` shows where close-ups are."""
    scale = PANEL / view.width
    height = round(view.height * scale)
    way = Image.Resampling.LANCZOS if scale < 2 else Image.Resampling.BICUBIC
    plain = Image.fromarray(picture[view.slices]).resize((PANEL, height), way)
    panels = [plain.copy()]
    draw = ImageDraw.Draw(panels[0])
    for mark in marks:
        corners = [mark.x0 * scale, mark.y0 * scale, mark.x1 * scale, mark.y1 * scale]
        draw.rectangle(corners, outline=(0, 0, 0), width=5)
        draw.rectangle(corners, outline=(255, 255, 255), width=2)
    for k, (name, labels) in enumerate(layers.items()):
        colour = TRUTH if name == "truth" else COLOURS[k % len(COLOURS)]
        panel = plain.copy()
        _outline(panel, labels[view.slices], scale, colour)
        panels.append(panel)
    return panels


def _outline(panel: Image.Image, labels: Labels, scale: float, colour: Colour) -> None:
    """Draw the outline of every label, dark below so that it shows on any ground."""
    draw = ImageDraw.Draw(panel)
    lines = []
    for i in np.unique(labels[labels != 0]):
        for points in find_contours(
            np.pad(labels == i, 1, mode="edge").astype(float), 0.5
        ):
            lines.append([(x, y) for y, x in (points - 0.5) * scale])
    for width, shade in ((LINE + 3, (0, 0, 0)), (LINE, colour)):
        for line in lines:
            draw.line(line, fill=shade, width=width, joint="curve")


def _stacked(
    rows: Sequence[Sequence[Image.Image]], captions: Sequence[str]
) -> Image.Image:
    """All panels on one sheet, captions on top."""
    width = len(captions) * (PANEL + GAP) + GAP
    height = CAPTION + sum(row[0].height + GAP for row in rows)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for k, caption in enumerate(captions):
        colour = INK if k else FAINT
        place = (GAP + k * (PANEL + GAP), 8)
        draw.text(place, _fitting(caption, font), fill=colour, font=font)
    top = CAPTION
    for row in rows:
        for k, panel in enumerate(row):
            sheet.paste(panel, (GAP + k * (PANEL + GAP), top))
        top += row[0].height + GAP
    return sheet


def _fitting(text: str, font: Any) -> str:
    """A caption no wider than its panel."""
    while font.getlength(text) > PANEL and len(text) > 4:
        text = f"{text[:-4]}..."
    return text
