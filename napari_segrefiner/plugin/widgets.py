"""Small widgets that docks are made of, and what all docks have in common."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QWidget,
)

from napari_segrefiner.plugin.view import Tone

MARKS: dict[Tone, str] = {"busy": "", "done": "✓ ", "notice": "⚠ "}

#: napari's style does not show which button has the focus.
FOCUSED = "QPushButton:focus {border: 1px solid palette(highlight);}"

#: Letters of a word that are shown at least; what is longer is shortened to about that.
MOST_LETTERS = 34
#: Longer than that without a place where a line can end.
UNBROKEN = re.compile(rf"[^\s/\\-]{{{MOST_LETTERS + 1},}}")


class Scroll(QScrollArea):
    """Scrolls its content only when the window is too low for it.

    Parameters
    ----------
    content : QWidget
    fills : bool
        Take all the height that is left.
    """

    def __init__(self, content: QWidget, *, fills: bool = False) -> None:
        super().__init__()
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        policy = QSizePolicy.Policy
        self.setSizePolicy(
            policy.Preferred, policy.Expanding if fills else policy.Maximum
        )
        content.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Grow and shrink with the content; Qt's own scroll areas do not."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        elif event.type() == QEvent.Type.Show:
            # The rows get their final height from napari's style sheet right after.
            QTimer.singleShot(0, self.updateGeometry)
        return bool(super().eventFilter(watched, event))

    def sizeHint(self) -> QSize:
        """All of the content; napari's style gives a border even to no frame."""
        hint, margins = self.widget().sizeHint(), self.contentsMargins()
        return QSize(hint.width(), hint.height() + margins.top() + margins.bottom())

    def minimumSizeHint(self) -> QSize:
        """The content's width with room for the bar, and two rows."""
        bar = self.verticalScrollBar().sizeHint().width()
        height = min(self.sizeHint().height(), 60)
        return QSize(self.widget().minimumSizeHint().width() + bar, height)


class PathField(QWidget):
    """A path to type or to choose; ``changed`` is emitted for every other text.

    Parameters
    ----------
    placeholder : str
    question : str
        Title of the dialog that asks for a folder.
    file : tuple of str, optional
        Where a file will do as well: what it is called, and the filter of its dialog.
    """

    changed = Signal()

    def __init__(
        self, placeholder: str, question: str, file: tuple[str, str] | None = None
    ) -> None:
        super().__init__()
        self._question = question
        self.line = QLineEdit()
        self.line.setPlaceholderText(placeholder)
        self.line.textChanged.connect(self.changed)
        self.button = quiet_button("…", question)
        self.button.setFixedWidth(30)
        if file is None:
            self.button.clicked.connect(self._ask_folder)
        else:
            self._file, self._filter = file
            self.menu = QMenu(self)
            self.menu.addAction("Folder…").triggered.connect(self._ask_folder)
            self.menu.addAction(f"{self._file}…").triggered.connect(self._ask_file)
            # Not its own menu: Qt would draw an arrow over the dots.
            self.button.clicked.connect(self._show_menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.button)

    @property
    def path(self) -> Path | None:
        """What is chosen; None if nothing is."""
        text = self.line.text().strip()
        if not text:
            return None
        try:
            return Path(text).expanduser()
        except RuntimeError:  # ~name of somebody whom the system does not know
            return Path(text)

    def set_path(self, path: Path | str) -> None:
        """Choose."""
        self.line.setText(str(path))

    def _show_menu(self) -> None:
        self.menu.popup(self.button.mapToGlobal(self.button.rect().bottomLeft()))

    def _ask_folder(self) -> None:
        found = QFileDialog.getExistingDirectory(
            self, self._question, self.line.text().strip()
        )
        if found:
            self.set_path(found)

    def _ask_file(self) -> None:
        found, _ = QFileDialog.getOpenFileName(
            self, self._file, self.line.text().strip(), self._filter
        )
        if found:
            self.set_path(found)


class Docked(QWidget):
    """Notices when napari docks it or takes it out of its dock; no closeEvent tells.

    ``entered`` and ``left`` are emitted. What :meth:`keep_aligned` was given is called
    when napari's style sheet has set the fonts, and again after every other one.
    """

    entered = Signal()
    left = Signal()
    _is_docked = False
    _align: Callable[[], None] | None = None

    def keep_aligned(self, align: Callable[[], None]) -> None:
        """Have the fields aligned whenever the fonts may have changed."""
        self._align = align

    def showEvent(self, event: Any) -> None:
        """Align the fields: napari's style sheet has set the fonts by now."""
        super().showEvent(event)
        if self._align is not None:
            self._align()

    def changeEvent(self, event: Any) -> None:
        """Align them again when another style has come."""
        super().changeEvent(event)
        # Only when shown: while the widget is being made there is nothing to align.
        is_other = event.type() == QEvent.Type.StyleChange and self.isVisible()
        if is_other and self._align is not None:
            QTimer.singleShot(0, self._align)

    def event(self, event: Any) -> bool:
        """Look who the parent is now."""
        if event.type() == QEvent.Type.ParentChange:
            was_docked, self._is_docked = self._is_docked, self.parent() is not None
            if was_docked and not self._is_docked:
                self.left.emit()
            elif self._is_docked and not was_docked:
                self.entered.emit()
        return bool(super().event(event))


class Sentence(QLabel):
    """One sentence to the user, marked by its tone; it can be copied.

    Words that would widen the dock, such as the long names of layers, are shortened in
    their middle; the tooltip has all of them.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def say(self, text: str, tone: Tone) -> None:
        """Show another one."""
        self.setText(MARKS[tone] + UNBROKEN.sub(_shortened, text))
        self.setToolTip(text)


def _shortened(word: re.Match[str]) -> str:
    """Both ends of a word."""
    half = MOST_LETTERS // 2
    return f"{word[0][:half]}…{word[0][-half:]}"


def show_share(bar: QProgressBar, share: float | None, text: str) -> None:
    """Show the share that is done; without one, only that work goes on."""
    if share is None:
        bar.setRange(0, 0)
        return
    bar.setRange(0, 1000)
    bar.setValue(round(1000 * share))
    bar.setFormat(f"%p %  ·  {text}" if text else "%p %")


def quiet_button(text: str, tip: str) -> QPushButton:
    """A button that a click gives no focus, which stays with the canvas; Tab does."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    made.setStyleSheet(FOCUSED)
    return made


def emphasised(button: QPushButton) -> QPushButton:
    """The button in bold: what a dock is there for."""
    font = button.font()
    font.setBold(True)
    button.setFont(font)
    return button


def progress_bar(tip: str, *, keeps_room: bool) -> QProgressBar:
    """A bar with its percentage; `keeps_room` is where nothing may jump."""
    made = QProgressBar()
    made.setTextVisible(True)
    made.setToolTip(tip)
    policy = made.sizePolicy()
    policy.setRetainSizeWhenHidden(keeps_room)
    made.setSizePolicy(policy)
    return made


def side_by_side(*parts: tuple[QWidget, int]) -> QHBoxLayout:
    """Widgets side by side, each with its share of the width."""
    made = QHBoxLayout()
    made.setSpacing(6)
    for widget, stretch in parts:
        made.addWidget(widget, stretch)
    return made


def choose(box: Any, value: str) -> None:
    """Choose a remembered value if it is still among the choices."""
    index = box.findData(value)
    if index >= 0:
        box.setCurrentIndex(index)
