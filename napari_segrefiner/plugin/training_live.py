"""What a training shows of itself: curves, a table of the sets, pictures, notes."""

from __future__ import annotations

import html
from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_segrefiner.plugin.controls import Fold
from napari_segrefiner.plugin.training_chart import ChartView
from napari_segrefiner.plugin.training_history import History
from napari_segrefiner.plugin.training_pictures import Pictures
from napari_segrefiner.training.events import MEAN, SetScore
from napari_segrefiner.training.examples import Example

NOTES = "Notes"
#: Characters of a set's name that the table has room for.
LONGEST_NAME = 16


class Live(QWidget):
    """Follows one training; empty at first."""

    def __init__(self) -> None:
        super().__init__()
        loss, validation = (chart.title for chart in History().charts())
        self.loss = ChartView(loss)
        self.validation = ChartView(validation)
        self.table = _label()
        self.table.setToolTip(
            "Mean IoU with the truth over the validation windows of each set, and the\n"
            "share of windows that got worse by more than .05 or better by more than "
            ".02."
        )
        self.pictures = Pictures()
        self.pictures.setToolTip(
            "Validation windows as the newest model refines them, with their IoU."
        )
        self.note_text = _label()
        self.note_text.setWordWrap(True)
        self.notes = Fold(NOTES, self.note_text)
        self.notes.button.setToolTip("What the training left out or noticed.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for part in (self.notes, self.loss, self.validation, self.table, self.pictures):
            layout.addWidget(part)
        layout.addStretch(1)
        self.show_notes(())

    def show_history(self, history: History) -> None:
        """Show curves and table of what is known so far."""
        loss, validation = history.charts()
        self.loss.show_chart(loss)
        self.validation.show_chart(validation)
        self.table.setText(table(history.newest))
        self.table.setVisible(bool(history.newest))

    def show_examples(self, examples: Sequence[tuple[str, Example]]) -> None:
        """Show the newest pictures."""
        self.pictures.show_examples(examples)
        self.pictures.setVisible(bool(examples))

    def show_notes(self, notes: Sequence[str]) -> None:
        """List what was noticed; the list opens with its first entry."""
        was_empty = self.notes.isHidden()
        self.note_text.setText("<br>".join(_lines(note) for note in notes))
        self.notes.setVisible(bool(notes))
        if notes and was_empty:
            self.notes.set_open(True)


def table(scores: Sequence[SetScore]) -> str:
    """The scores as rich text; the mean over sets only where there are several."""
    if not scores:
        return ""
    shown = [one for one in scores if one.name != MEAN or len(scores) > 2]
    head = ("set", "coarse", "refined", "worse", "better")
    rows = [_row(head, "th")]
    for one in shown:
        shares = (
            f"{share:.0%}".replace("%", " %") for share in (one.worse, one.better)
        )
        values = (_cut(one.name), f"{one.coarse:.3f}", f"{one.refined:.3f}", *shares)
        rows.append(_row(values, "td", is_bold=one.name == MEAN))
    return (
        f'<table width="100%" cellspacing="0" cellpadding="2">{"".join(rows)}</table>'
    )


def _row(values: Sequence[str], tag: str, is_bold: bool = False) -> str:
    cells = []
    for column, value in enumerate(values):
        align = "right" if column else "left"
        text = html.escape(value)
        text = f"<b>{text}</b>" if is_bold else text
        cells.append(f'<{tag} align="{align}">{text}</{tag}>')
    return f"<tr>{''.join(cells)}</tr>"


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _lines(note: str) -> str:
    return "<br>".join(html.escape(line.strip()) for line in note.splitlines())


def _label() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
