"""A chart in the dock: lines that grow, in the window's own colours."""

from __future__ import annotations

import math
from typing import Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF, QTextOption
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_segrefiner.training.charts import (
    INK,
    Chart,
    Line,
    digits_of,
    spans_of,
    ticks,
)

HEIGHT = 132
#: Pixels between the plot and the widget's edges, beside what its numbers take.
GAP = 6
#: Opacity of what is not a line: grid, faint lines.
GRID, FAINT = 0.16, 0.4
#: So many points are marked by dots at most.
MOST_DOTS = 40


class ChartView(QWidget):
    """Draws a :class:`~napari_segrefiner.training.charts.Chart`."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._chart = Chart(title, ())
        self.setMinimumHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(title)

    @property
    def chart(self) -> Chart:
        """What is shown."""
        return self._chart

    def show_chart(self, chart: Chart) -> None:
        """Show another chart, or the same with more points."""
        self._chart = chart
        self.update()

    def sizeHint(self) -> QSize:
        """Wide enough for its legend."""
        return QSize(260, HEIGHT)

    def paintEvent(self, event: Any) -> None:
        """Draw title, legend, axes and lines."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _Painting(painter, self._chart, self.rect(), self._ink()).draw()
        painter.end()

    def _ink(self) -> QColor:
        """The colour of the window's text, in which napari's theme shows."""
        return self.palette().color(self.foregroundRole())


class _Painting:
    """One drawing of a chart."""

    def __init__(self, painter: QPainter, chart: Chart, rect: Any, ink: QColor) -> None:
        self.painter, self.chart, self.ink = painter, chart, ink
        self.width, self.height = rect.width(), rect.height()
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        self.metrics = painter.fontMetrics()
        self.line_height = self.metrics.height()

    def draw(self) -> None:
        """All of it, from the top."""
        self._text(QRectF(0, 0, self.width, self.line_height), self.chart.title)
        top = self._legend(float(self.line_height) + 2) + self.line_height
        # What the mark is called stands between legend and plot.
        top += GAP if self.chart.mark is None else self.line_height
        spans = spans_of(self.chart)
        if spans is None:
            room = QRectF(0, top, self.width, self.height - top)
            centre = Qt.AlignmentFlag.AlignCenter
            self._text(room, "nothing yet", centre, opacity=0.6)
            return
        (x0, x1), (y0, y1) = spans
        levels = ticks(y0, y1, 4)
        digits = digits_of(levels)
        labels = [f"{level:.{digits}f}" for level in levels]
        left = max(map(self.metrics.horizontalAdvance, labels), default=0) + GAP
        bottom = self.height - self.line_height - 2
        plot = QRectF(left, top, self.width - left - GAP, bottom - top)

        def place(x: float, y: float) -> QPointF:
            across = (x - x0) / (x1 - x0)
            up = (min(max(y, y0), y1) - y0) / (y1 - y0)
            return QPointF(
                plot.left() + across * plot.width(), plot.bottom() - up * plot.height()
            )

        self._axes(plot, place, (x0, x1), list(zip(levels, labels, strict=True)))
        if self.chart.mark is not None:
            at, text = self.chart.mark
            self._mark(plot, place(at, y0).x(), text)
        for line in sorted(self.chart.lines, key=lambda line: not line.is_faint):
            self._line(line, place)

    def _legend(self, y: float) -> float:
        """Name the lines in as many rows as it takes; returns the last row's y."""
        x = 0.0
        for line in self.chart.lines:
            if line.is_faint or not line.name:
                continue
            width = 24 + self.metrics.horizontalAdvance(line.name) + 10
            if x and x + width > self.width:
                x, y = 0.0, y + self.line_height
            middle = y + self.line_height / 2
            self.painter.setPen(self._pen(line))
            self.painter.drawLine(QPointF(x, middle), QPointF(x + 18, middle))
            room = QRectF(x + 23, y, width, self.line_height)
            self._text(room, line.name, opacity=0.8)
            x += width
        return y

    def _axes(
        self,
        plot: QRectF,
        place: Any,
        across: tuple[float, float],
        levels: list[tuple[float, str]],
    ) -> None:
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        half = self.line_height / 2
        for level, label in levels:
            at = place(across[0], level).y()
            self.painter.setPen(QPen(self._faded(GRID), 1))
            self.painter.drawLine(QPointF(plot.left(), at), QPointF(plot.right(), at))
            room = QRectF(0, at - half, plot.left() - 4, self.line_height)
            self._text(room, label, right, opacity=0.7)
        centre = Qt.AlignmentFlag.AlignCenter
        for tick in ticks(*across, 4):
            if not tick.is_integer():  # there are whole iterations only
                continue
            at = place(tick, 0.0).x()
            label = f"{tick:g}"
            width = float(self.metrics.horizontalAdvance(label) + 2)
            start = min(at - width / 2, self.width - width)
            room = QRectF(start, plot.bottom() + 1, width, self.line_height)
            self._text(room, label, centre, opacity=0.7)

    def _mark(self, plot: QRectF, at: float, text: str) -> None:
        """The iteration of the model that is kept."""
        self.painter.setPen(QPen(self._faded(0.5), 1, Qt.PenStyle.DashLine))
        self.painter.drawLine(QPointF(at, plot.top()), QPointF(at, plot.bottom()))
        width = float(self.metrics.horizontalAdvance(text))
        start = at - width - 4 if at > plot.center().x() else at + 4
        room = QRectF(start, plot.top() - self.line_height, width, self.line_height)
        self._text(room, text, opacity=0.7)

    def _line(self, line: Line, place: Any) -> None:
        points = [
            (place(x, y), math.isfinite(y)) for x, y in zip(line.x, line.y, strict=True)
        ]
        self.painter.setPen(self._pen(line))
        piece: list[QPointF] = []
        for point, is_known in [*points, (QPointF(), False)]:
            if is_known:
                piece.append(point)
                continue
            self.painter.drawPolyline(QPolygonF(piece))
            piece = []
        if not line.is_faint and not line.is_dashed and len(points) <= MOST_DOTS:
            self.painter.setBrush(QColor(*self._colour(line)))
            for point, is_known in points:
                if is_known:
                    self.painter.drawEllipse(point, 1.6, 1.6)

    def _pen(self, line: Line) -> QPen:
        colour = QColor(*self._colour(line))
        if line.is_faint:
            colour.setAlphaF(FAINT)
        style = Qt.PenStyle.DashLine if line.is_dashed else Qt.PenStyle.SolidLine
        return QPen(colour, 1.0 if line.is_faint else 1.8, style)

    def _colour(self, line: Line) -> tuple[int, int, int]:
        """Near-white lines are drawn in the window's ink: it may be a light one."""
        if line.colour != INK:
            return line.colour
        return self.ink.red(), self.ink.green(), self.ink.blue()

    def _faded(self, opacity: float) -> QColor:
        colour = QColor(self.ink)
        colour.setAlphaF(opacity)
        return colour

    def _text(
        self,
        room: QRectF,
        text: str,
        align: Any = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
        opacity: float = 1.0,
    ) -> None:
        self.painter.setPen(self._faded(opacity))
        fitting = self.metrics.elidedText(
            text, Qt.TextElideMode.ElideRight, int(room.width()) + 1
        )
        option = QTextOption(align)
        option.setWrapMode(QTextOption.WrapMode.NoWrap)
        self.painter.drawText(room, fitting, option)
