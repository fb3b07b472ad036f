"""The totals of a comparison: their lines, and the table that shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
)

if TYPE_CHECKING:
    from napari_segrefiner.plugin.compare import Compared


#: Height in pixels that the table asks for.
FEW = 140


@dataclass(frozen=True)
class Line:
    """A line of the table: what it says, a text for each layer, and which is best."""

    title: str
    tip: str
    texts: tuple[str, ...]
    best: frozenset[int]


#: Metric, title, meaning, whether less is better, and whether it is a share.
LINES = (
    ("iou", "IoU", "Shared pixels / pixels of either; mean over all objects.",
     False, False),
    ("boundary_iou", "Boundary IoU", "The same for boundaries, 2 px wide.",
     False, False),
    ("boundary_iou_r02", "… 2 % wide", "Boundaries 2 % of the box's diagonal wide.",
     False, False),
    ("iou_agg", "Foreground IoU", "All objects together: large ones dominate.",
     False, False),
    ("mba", "Boundary accuracy", "Mean boundary accuracy (mBA) of the foreground.",
     False, False),
    ("improved_02", "Better by .02", "Objects whose IoU rose by more than .02.",
     False, True),
    ("worse_02", "Worse by .02", "Objects whose IoU fell by more than .02.",
     True, True),
    ("worse_05", "Worse by .05", "Objects whose IoU fell by more than .05.",
     True, True),
    ("lost", "Lost", "Objects that vanished.", True, True),
    ("fp_removed", "Too much, removed", "Of all wrong coarse pixels.", False, True),
    ("fn_recovered", "Too little, recovered", "Of all wrong coarse pixels.",
     False, True),
    ("fp_added", "Too much, new", "Of all wrong coarse pixels.", True, True),
    ("fn_added", "Too little, new", "Of all wrong coarse pixels.", True, True),
)  # fmt: skip


def table_lines(compared: Compared) -> Iterator[Line]:
    """The totals as lines to show; coarse labels alone have no changes."""
    totals = compared.totals
    for metric, title, tip, is_less_better, is_share in LINES:
        values = [
            group[metric].value if metric in group else np.nan
            for group in totals.values()
        ]
        valid = [value for value in values if np.isfinite(value)]
        if not valid:
            continue
        best = (min if is_less_better else max)(valid)
        texts = tuple(
            "" if not np.isfinite(v) else f"{100 * v:.1f} %" if is_share else f"{v:.3f}"
            for v in values
        )
        is_contest = len(set(valid)) > 1
        yield Line(
            title,
            tip,
            texts,
            frozenset(k for k, v in enumerate(values) if v == best and is_contest),
        )


class ScoreTable(QTableWidget):
    """The lines of a comparison, a column for each layer; hidden until there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.verticalHeader().setVisible(False)
        # As high as its rows; in a low window it scrolls, before anything else does.
        self.setSizeAdjustPolicy(QAbstractItemView.SizeAdjustPolicy.AdjustToContents)
        policy = QSizePolicy.Policy
        self.setSizePolicy(policy.Preferred, policy.Expanding)
        self.horizontalHeader().setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setVisible(False)

    def show_scores(self, compared: Compared) -> None:
        """Show a comparison instead of what was shown."""
        lines = list(table_lines(compared))
        layers = list(compared.totals)
        self.setRowCount(len(lines))
        self.setColumnCount(1 + len(layers))
        self.setHorizontalHeaderLabels(["", *layers])
        for column, name in enumerate(layers, start=1):
            self.horizontalHeaderItem(column).setToolTip(name)
        for row, line in enumerate(lines):
            for column, text in enumerate((line.title, *line.texts)):
                self.setItem(row, column, _item(line, column, text))
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.setVisible(True)
        self.resizeRowsToContents()
        self.setMaximumHeight(super().sizeHint().height())

    def sizeHint(self) -> QSize:
        """A few rows; it grows to all of them where there is room."""
        hint = super().sizeHint()
        return QSize(hint.width(), min(hint.height(), FEW))

    def text(self) -> str:
        """The table with tabs between its columns."""
        columns = range(self.columnCount())
        lines = [[self.horizontalHeaderItem(k).text() for k in columns]]
        for row in range(self.rowCount()):
            lines.append([self.item(row, k).text() for k in columns])
        return "\n".join("\t".join(line) for line in lines) + "\n"


def _item(line: Line, column: int, text: str) -> QTableWidgetItem:
    """A cell; the best layers of a line are bold."""
    item = QTableWidgetItem(text)
    item.setToolTip(line.tip)
    if column:
        item.setTextAlignment(
            Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        )
    font = item.font()
    font.setBold(column - 1 in line.best)
    item.setFont(font)
    return item
