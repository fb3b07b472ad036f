"""Line charts drawn with pillow: a grid of panels on one dark sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

PAPER, PANEL = (18, 20, 26), (26, 29, 37)
INK, FAINT, GRID = (236, 238, 242), (150, 156, 168), (48, 52, 63)
#: Okabe and Ito's colours, told apart with every kind of colour vision; the blue and
#: the red are lightened for the dark ground.
ORANGE, SKY, GREEN = (230, 159, 0), (86, 180, 233), (0, 158, 115)
YELLOW, BLUE, RED, PINK = (
    (240, 228, 66),
    (64, 132, 214),
    (226, 110, 40),
    (204, 121, 167),
)
COLOURS = (SKY, ORANGE, GREEN, YELLOW, PINK, RED, BLUE, INK)

#: Everything is drawn this many times larger and reduced: smooth lines.
OVER = 2
WIDTH, PANEL_HEIGHT = 760, 380
GAP, MARGIN = 20, 28
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 32, 40
#: Percentiles of a faint line that are shown: a spike must not flatten the rest.
SHOWN_PERCENT = (4, 98)


@dataclass(frozen=True)
class Line:
    """One line: its name, its points (NaN leaves a gap) and its look.

    ``is_faint``: thin, and not in the legend. ``is_dashed``: for what stays the same.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: Colour
    is_faint: bool = False
    is_dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """One panel: its title, its lines, marked x and a level that is always shown.

    ``mark`` is (x, text) of a vertical line. ``floor`` bounds the y axis below.
    """

    title: str
    lines: Sequence[Line]
    level: float | None = None
    mark: tuple[float, str] | None = None
    floor: float | None = None


def draw_charts(
    charts: Sequence[Chart], *, title: str, subtitle: str = "", columns: int = 2
) -> Image.Image:
    """Draw the panels row by row under a title.

    Returns
    -------
    RGB picture
        Of a width that depends on `columns` alone.
    """
    columns = min(columns, len(charts)) or 1
    rows = math.ceil(len(charts) / columns)
    head = MARGIN + 84
    width = 2 * MARGIN + columns * WIDTH + (columns - 1) * GAP
    height = head + rows * PANEL_HEIGHT + (rows - 1) * GAP + MARGIN
    sheet = Image.new("RGB", (width * OVER, height * OVER), PAPER)
    pen = _Pen(sheet)
    pen.text((MARGIN, MARGIN - 4), title, INK, 30)
    pen.text((MARGIN, MARGIN + 40), subtitle, FAINT, 17)
    for place, chart in enumerate(charts):
        row, column = divmod(place, columns)
        x = MARGIN + column * (WIDTH + GAP)
        y = head + row * (PANEL_HEIGHT + GAP)
        _draw_chart(pen, chart, x, y)
    return sheet.resize((width, height), Image.Resampling.LANCZOS)


class _Pen:
    """Draws in the coordinates of the finished sheet."""

    def __init__(self, sheet: Image.Image) -> None:
        self.pen = ImageDraw.Draw(sheet)

    def text(
        self,
        where: tuple[float, float],
        text: str,
        colour: Colour,
        size: int,
        anchor: str = "la",
    ) -> None:
        """Write."""
        font: Any = ImageFont.load_default(size * OVER)
        at = where[0] * OVER, where[1] * OVER
        self.pen.text(at, text, colour, font, anchor=anchor)

    def width(self, text: str, size: int) -> float:
        """The width that a text takes."""
        font: Any = ImageFont.load_default(size * OVER)
        return float(self.pen.textlength(text, font)) / OVER

    def line(
        self,
        points: Sequence[tuple[float, float]],
        colour: Colour,
        width: float,
        *,
        is_dashed: bool = False,
    ) -> None:
        """Draw a line through points."""
        scaled = [(x * OVER, y * OVER) for x, y in points]
        pieces = _dashes(scaled, 9 * OVER) if is_dashed else [scaled]
        for piece in pieces:
            self.pen.line(piece, colour, round(width * OVER), joint="curve")

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a filled circle."""
        box = (x - radius, y - radius, x + radius, y + radius)
        self.pen.ellipse([value * OVER for value in box], fill=colour)

    def box(self, x: float, y: float, width: float, height: float) -> None:
        """Draw the ground of a panel."""
        corners = [x * OVER, y * OVER, (x + width) * OVER, (y + height) * OVER]
        self.pen.rounded_rectangle(corners, 10 * OVER, fill=PANEL)


def _draw_chart(pen: _Pen, chart: Chart, x: float, y: float) -> None:
    pen.box(x, y, WIDTH, PANEL_HEIGHT)
    pen.text((x + 20, y + 14), chart.title, INK, 19)
    top = _draw_legend(pen, chart.lines, x + 20, y + 46) + TOP
    spans = spans_of(chart)
    if spans is None:
        middle = x + WIDTH / 2, y + PANEL_HEIGHT / 2
        pen.text(middle, "nothing yet", FAINT, 17, "mm")
        return
    (x0, x1), (y0, y1) = spans
    left, right = x + LEFT, x + WIDTH - RIGHT
    bottom = y + PANEL_HEIGHT - BOTTOM

    def place(px: float, py: float) -> tuple[float, float]:
        across = (px - x0) / (x1 - x0)
        up = (min(max(py, y0), y1) - y0) / (y1 - y0)
        return left + across * (right - left), bottom - up * (bottom - top)

    levels = ticks(y0, y1, 5)
    digits = digits_of(levels)
    for tick in levels:
        at = place(x0, tick)[1]
        pen.line([(left, at), (right, at)], GRID, 1)
        pen.text((left - 10, at), f"{tick:.{digits}f}", FAINT, 14, "rm")
    for tick in ticks(x0, x1, 6):
        at = place(tick, y0)[0]
        pen.text((at, bottom + 10), f"{tick:g}", FAINT, 14, "ma")
    if chart.level is not None and y0 <= chart.level <= y1:
        at = place(x0, chart.level)[1]
        pen.line([(left, at), (right, at)], FAINT, 1.2)
    if chart.mark is not None:
        at, label = place(chart.mark[0], y0)[0], chart.mark[1]
        pen.line([(at, top), (at, bottom)], FAINT, 1.2, is_dashed=True)
        anchor = "ra" if at > (left + right) / 2 else "la"
        pen.text((at + (-8 if anchor == "ra" else 8), top), label, FAINT, 14, anchor)
    for line in sorted(chart.lines, key=lambda line: not line.is_faint):
        _draw_line(pen, line, place)


def _draw_line(pen: _Pen, line: Line, place: Any) -> None:
    colour = _mixed(line.colour, PANEL, 0.35) if line.is_faint else line.colour
    width = 1.2 if line.is_faint else 2.4
    pieces: list[list[tuple[float, float]]] = [[]]
    for px, py in zip(line.x, line.y, strict=True):
        if math.isfinite(py):
            pieces[-1].append(place(px, py))
        elif pieces[-1]:
            pieces.append([])
    for points in pieces:
        if len(points) > 1:
            pen.line(points, colour, width, is_dashed=line.is_dashed)
        if points and not line.is_faint and not line.is_dashed and len(line.x) <= 40:
            for at in points:
                pen.dot(*at, 3.2, colour)


def _draw_legend(pen: _Pen, lines: Sequence[Line], left: float, y: float) -> float:
    """Name the lines, in as many rows as that takes; returns the last row's y."""
    x = left
    for line in lines:
        if line.is_faint:
            continue
        width = 50 + pen.width(line.name, 15)
        if x + width > left + WIDTH - 20 and x > left:
            x, y = left, y + 22
        points = [(x, y + 8), (x + 22, y + 8)]
        pen.line(points, line.colour, 3, is_dashed=line.is_dashed)
        pen.text((x + 30, y), line.name, INK, 15)
        x += width
    return y


def spans_of(chart: Chart) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """The ranges of the x and the y axis; None if there is no point."""
    x = [v for line in chart.lines for v in line.x]
    y = [v for line in chart.lines for v in line.y if math.isfinite(v)]
    if not x or not y:
        return None
    faint = [np.asarray(line.y) for line in chart.lines if line.is_faint]
    shares = [a[np.isfinite(a)] for a in faint if np.isfinite(a).sum() > 1]
    if shares:
        y = [float(v) for a in shares for v in np.percentile(a, SHOWN_PERCENT)]
    if chart.level is not None:
        y.append(chart.level)
    low, high = min(y), max(y)
    room = (high - low) * (0.3 if shares else 0.08) or abs(high) * 0.1 or 0.1
    low, high = low - room, high + room
    if chart.floor is not None:
        low = max(low, chart.floor)
        high = max(high, low + room)
    first, last = min(x), max(x)
    return (first, last if last > first else first + 1), (low, high)


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers from `low` to `high`, about as many as wanted.

    Examples
    --------
    >>> ticks(0.0, 1.0, 5)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(0, 3000, 6)
    [0.0, 500.0, 1000.0, 1500.0, 2000.0, 2500.0, 3000.0]
    """
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(k * power for k in (1, 2, 2.5, 5, 10) if k * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def digits_of(values: Sequence[float]) -> int:
    """Decimal places that tell all of the values exactly."""
    for digits in range(8):
        if all(abs(value - round(value, digits)) < 1e-10 for value in values):
            return digits
    return 8


def _dashes(
    points: Sequence[tuple[float, float]], length: float
) -> list[list[tuple[float, float]]]:
    """The drawn parts of a dashed line."""
    array = np.asarray(points, float)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(array, axis=0).T))])
    pieces = []
    for start in np.arange(0, along[-1], 2 * length):
        stop = min(start + length, along[-1])
        inner = array[(along > start) & (along < stop)]
        ends = [
            [np.interp(at, along, array[:, axis]) for axis in (0, 1)]
            for at in (start, stop)
        ]
        path = np.concatenate([[ends[0]], inner, [ends[1]]])
        pieces.append([(float(a), float(b)) for a, b in path])
    return pieces


def _mixed(colour: Colour, ground: Colour, share: float) -> Colour:
    red, green, blue = (
        round(share * a + (1 - share) * b) for a, b in zip(colour, ground, strict=True)
    )
    return red, green, blue
