"""The newest validation in pictures: coarse, refined and true masks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QTextOption
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_segrefiner.training.charts import INK, ORANGE, PAPER, SKY
from napari_segrefiner.training.examples import Example
from napari_segrefiner.training.tiles import outlined, overlap

#: Windows that are shown; more would have to be scrolled to.
MOST = 4
GAP = 4
COLUMNS = (("coarse", ORANGE), ("refined", SKY), ("truth", INK))


class Pictures(QWidget):
    """A row of three tiles for each of a few validation windows."""

    def __init__(self) -> None:
        super().__init__()
        self._examples: tuple[tuple[str, Example], ...] = ()
        self._tiles: list[list[QImage]] = []
        self._side = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def examples(self) -> tuple[tuple[str, Example], ...]:
        """What is shown: windows with the names of their sets."""
        return self._examples

    def show_examples(self, examples: Sequence[tuple[str, Example]]) -> None:
        """Show some of the examples, of as many sets as possible."""
        self._examples = tuple(_picked(examples))
        self._tiles, self._side = [], 0
        self._fit()
        self.update()

    def resizeEvent(self, event: Any) -> None:
        """Keep the tiles square."""
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:
        """As high as its tiles."""
        return QSize(260, self._height())

    def paintEvent(self, event: Any) -> None:
        """Draw the heads of the columns, then row by row."""
        if not self._examples:
            return
        side = self._tile_side()
        if side != self._side:
            self._side = side
            self._tiles = [_tiles(one, side) for _, one in self._examples]
        painter = QPainter(self)
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        ink = self.palette().color(self.foregroundRole())
        head = self._head()
        for column, (name, colour) in enumerate(COLUMNS):
            x = column * (side + GAP)
            painter.setPen(ink)
            painter.setBrush(QColor(*colour))
            painter.drawRect(QRectF(x + 0.5, head / 2 - 4.5, 8, 8))
            painter.drawText(QPointF(x + 13, head / 2 + 3), name)
        for row, tiles in enumerate(self._tiles):
            y = head + row * (side + GAP)
            for column, tile in enumerate(tiles):
                painter.drawImage(QPointF(column * (side + GAP), y), tile)
            name, one = self._examples[row]
            texts = (overlap(one.coarse, one.fine), overlap(one.refined, one.fine))
            for column, text in enumerate((*texts, name)):
                _caption(painter, column * (side + GAP), y, side, text)
        painter.end()

    def _tile_side(self) -> int:
        return max((self.width() - 2 * GAP) // 3, 16)

    def _head(self) -> int:
        return int(self.fontMetrics().height()) + 4

    def _height(self) -> int:
        if not self._examples:
            return 0
        return self._head() + len(self._examples) * (self._tile_side() + GAP)

    def _fit(self) -> None:
        self.setFixedHeight(self._height())


def _picked(examples: Sequence[tuple[str, Example]]) -> list[tuple[str, Example]]:
    """The first of every set, then the second ones, MOST in all."""
    seen: dict[str, int] = {}
    ranked = []
    for place, (name, one) in enumerate(examples):
        seen[name] = seen.get(name, 0) + 1
        ranked.append((seen[name], place, name, one))
    ranked.sort(key=lambda entry: entry[:2])
    return [(name, one) for _, _, name, one in ranked[:MOST]]


def _tiles(example: Example, side: int) -> list[QImage]:
    masks = (example.coarse, example.refined, example.fine)
    found = []
    for mask, (_, colour) in zip(masks, COLUMNS, strict=True):
        picture = outlined(example.picture, [(mask, colour)], side)
        kind = QImage.Format.Format_RGB888
        # A copy: Qt does not keep the bytes alive.
        found.append(QImage(picture.tobytes(), side, side, 3 * side, kind).copy())
    return found


def _caption(painter: QPainter, x: float, y: float, side: int, text: str) -> None:
    """A text in the lower left corner of a tile, on dark ground."""
    metrics = painter.fontMetrics()
    shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, side - 8)
    width = metrics.horizontalAdvance(shown) + 6
    room = QRectF(x, y + side - metrics.height(), width, metrics.height())
    ground = QColor(*PAPER)
    ground.setAlphaF(0.75)
    painter.fillRect(room, ground)
    painter.setPen(QColor(*INK))
    painter.drawText(room, shown, QTextOption(Qt.AlignmentFlag.AlignCenter))
