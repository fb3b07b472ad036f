"""What is drawn of a training is where its numbers say, in both themes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QFontMetrics, QImage

from napari_segrefiner.plugin.training_chart import ChartView
from napari_segrefiner.plugin.training_live import Live, table
from napari_segrefiner.plugin.training_pictures import COLUMNS, MOST, Pictures
from napari_segrefiner.training.charts import ORANGE, SKY, Chart, Line
from napari_segrefiner.training.events import SetScore
from napari_segrefiner.training.examples import Example

pytestmark = pytest.mark.gui

SETS = ("a", "b")
THEMES = {"dark": ("#262930", "#f0f1f2"), "light": ("#efebe9", "#3b3a39")}


def pixels(widget: Any, width: int = 300, height: int = 0) -> np.ndarray:
    """The widget as (Y, X, 3) int array."""
    widget.resize(width, height or widget.sizeHint().height())
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGBA8888)
    bits = image.constBits()
    if hasattr(bits, "setsize"):  # PyQt
        bits.setsize(image.sizeInBytes())
    flat = np.frombuffer(bits, np.uint8)
    return (
        flat.reshape(image.height(), -1)[:, : 4 * image.width()]
        .reshape(image.height(), image.width(), 4)[..., :3]
        .astype(int)
    )


def where(picture: np.ndarray, colour: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.nonzero(np.abs(picture - np.asarray(colour)).max(axis=2) < 40)


def test_what_the_mark_is_called_covers_no_name_of_a_line(qtbot: Any) -> None:
    view = ChartView("Loss")
    qtbot.addWidget(view)
    font = view.font()
    font.setPixelSize(11)
    above = 2 * QFontMetrics(font).height() + 2  # title and legend
    pictures = []
    for mark in (None, (0, "kept model")):
        line = Line("a line with a long name", [0, 1], [0.0, 1.0], SKY)
        view.show_chart(Chart("Loss", [line], mark=mark))
        pictures.append(pixels(view))
    np.testing.assert_array_equal(pictures[0][:above], pictures[1][:above])
    assert (pictures[0][above:] != pictures[1][above:]).any()


@pytest.mark.parametrize("theme", THEMES)
def test_a_rising_line_rises_and_its_text_can_be_read(theme: str, qtbot: Any) -> None:
    view = ChartView("Loss")
    qtbot.addWidget(view)
    ground, ink = THEMES[theme]
    view.setStyleSheet(f"background: {ground}; color: {ink};")
    up = Line("up", range(60), [k / 10 for k in range(60)], SKY)
    view.show_chart(Chart("Loss", [up], mark=(30, "kept model")))
    picture = pixels(view)
    rows, columns = where(picture[45:], SKY)
    left = rows[columns < columns.min() + 10].mean()
    right = rows[columns > columns.max() - 10].mean()
    assert left - right > 40
    assert columns.max() - columns.min() > 200
    strong = int(ink[1:3], 16)
    n_text = (np.abs(picture[:16] - strong).max(axis=2) < 60).sum()
    assert n_text > 30


@pytest.mark.parametrize(
    ("x", "y"), [([], []), ([3], [0.5]), ([0, 1], [math.nan] * 2), ([0, 1], [1.0, 1.0])]
)
def test_charts_without_extent_are_drawn_all_the_same(
    x: Any, y: Any, qtbot: Any
) -> None:
    view = ChartView("c")
    qtbot.addWidget(view)
    dashed = Line("a", x, y, ORANGE, is_dashed=True)
    view.show_chart(Chart("c", [dashed], mark=(0, "here")))
    assert pixels(view, width=60).any()


def example(side: int = 32) -> Example:
    masks = [np.zeros((side, side), bool) for _ in range(3)]
    for k, mask in enumerate(masks):
        mask[4 : 28 - 4 * k, 4:28] = True
    return Example(np.full((side, side, 3), 60, np.uint8), *masks)


def test_masks_stand_under_their_names_in_their_colours(qtbot: Any) -> None:
    pictures = Pictures()
    qtbot.addWidget(pictures)
    pictures.show_examples([("cells", example())])
    picture = pixels(pictures)
    side = (300 - 8) // 3
    for column, (_, colour) in enumerate(COLUMNS[:2]):
        _, columns = where(picture[30:], colour)
        assert columns.min() >= column * (side + 4)
        assert columns.max() < column * (side + 4) + side
    pictures.show_examples([])
    assert pictures.sizeHint().height() == 0


def test_the_shown_windows_are_of_as_many_sets_as_possible(qtbot: Any) -> None:
    pictures = Pictures()
    qtbot.addWidget(pictures)
    given = [(name, example()) for name in "aaabbbcde"]
    pictures.show_examples(given)
    assert [name for name, _ in pictures.examples] == ["a", "b", "c", "d"][:MOST]
    pictures.show_examples(given[:5])
    assert [name for name, _ in pictures.examples] == ["a", "b", "a", "b"]


def test_the_mean_stands_below_several_sets() -> None:
    scores = [SetScore(name, 4, 0.5, 0.6, 0.7, 0.0, 1.0) for name in (*SETS, "mean")]
    text = table(scores)
    assert text.index(">a<") < text.index(">b<") < text.index("<b>mean</b>")
    assert "mean" not in table([scores[0], scores[2]])
    assert table([]) == ""
    assert "<i>" not in table([SetScore("<i>", 4, 0.5, 0.6, 0.7, 0.0, 1.0)])


def test_notes_open_with_the_first_and_keep_what_the_user_chose(qtbot: Any) -> None:
    live = Live()
    qtbot.addWidget(live)
    assert live.notes.isHidden()
    live.show_notes(["one"])
    assert live.notes.is_open
    live.notes.set_open(False)
    live.show_notes(["one", "two\n  three"])
    assert not live.notes.is_open
    assert live.note_text.text() == "one<br>two<br>three"
