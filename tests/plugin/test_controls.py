"""Widgets made from the declared options."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt

from napari_segrefiner.errors import OptionError
from napari_segrefiner.options import RefineOptions, specs
from napari_segrefiner.plugin.controls import (
    FROM_MODEL,
    FROM_PRESET,
    OptionForm,
    option_widget,
    read,
    tooltip,
    write,
)
from napari_segrefiner.plugin.widgets import PathField
from napari_segrefiner.train_options import TRAIN_PRESETS, TrainOptions

SPECS = [s for s in specs(RefineOptions) if s.kind is not tuple]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_widgets_hold_default_bounds_and_none(spec: Any, qtbot: Any) -> None:
    widget = option_widget(spec)
    qtbot.addWidget(widget)
    assert read(spec, widget) == spec.default
    values = list(spec.choices)
    if spec.kind is bool:
        values = [True, False]
    values += [v for v in (spec.minimum, spec.maximum) if v is not None]
    if spec.optional:
        values.append(None)
    for value in values:
        write(spec, widget, value)
        assert read(spec, widget) == value
        spec.check(read(spec, widget))


@pytest.mark.parametrize("preset", TRAIN_PRESETS)
def test_every_option_of_a_training_can_be_chosen_exactly(
    preset: Any, qtbot: Any
) -> None:
    form = OptionForm(specs(TrainOptions), unset=FROM_PRESET, decimals=5)
    qtbot.addWidget(form)
    assert form.values() == {}
    given = TRAIN_PRESETS[preset]
    form.show_defaults(given)
    assert form.values() == {}
    for spec in specs(TrainOptions):
        if spec.name in given:
            write(spec, form.widgets[spec.name], given[spec.name])
    # No text means "what the preset says": of these, nothing else can be meant.
    chosen = {name: v for name, v in given.items() if v not in (None, ())}
    assert form.values() == chosen


def test_what_is_typed_below_the_least_value_becomes_it(qtbot: Any) -> None:
    by_name = {spec.name: spec for spec in SPECS}
    for name, typed, least in (("threshold", "0.03", 0.05), ("padding", "-0.02", 0.0)):
        box: Any = option_widget(by_name[name])
        qtbot.addWidget(box)
        box.setValue(0.5)
        box.lineEdit().selectAll()
        qtbot.keyClicks(box.lineEdit(), typed)
        assert read(by_name[name], box) == least  # an option in the midst of typing
        qtbot.keyClick(box.lineEdit(), Qt.Key.Key_Return)
        assert box.value() == least
        box.setValue(box.minimum())
        assert read(by_name[name], box) is None


def test_numbers_are_shown_as_short_as_they_are(qtbot: Any) -> None:
    form = OptionForm(specs(TrainOptions), unset=FROM_PRESET, decimals=5)
    qtbot.addWidget(form)
    form.show_defaults({"learning_rate": 0.0002, "keep": (80000,), "milestones": ()})
    rate: Any = form.widgets["learning_rate"]
    assert rate.text() == "preset (0.0002)"
    assert form.widgets["keep"].placeholderText() == "preset (80000)"
    assert form.widgets["milestones"].placeholderText() == "preset (-)"
    for value, text in ((0.0003, "0.0003"), (1.0, "1"), (0.1, "0.1"), (0.0, "0")):
        rate.setValue(value)
        assert rate.text() == text


def test_a_list_that_is_none_is_told(qtbot: Any) -> None:
    (spec,) = (spec for spec in specs(TrainOptions) if spec.name == "keep")
    widget: Any = option_widget(spec)
    qtbot.addWidget(widget)
    widget.setText(" 3, 9 ")
    assert read(spec, widget) == (3, 9)
    widget.setText("3;9")
    with pytest.raises(OptionError, match="Keep is '3;9'; whole numbers with commas"):
        read(spec, widget)


def test_form_makes_options_and_resets(qtbot: Any) -> None:
    form = OptionForm(SPECS)
    qtbot.addWidget(form)
    assert form.values() == {}
    form.widgets["steps"].setValue(3)
    form.widgets["close_gaps"].setCurrentIndex(2)
    form.widgets["padding"].setValue(0.35)
    values = form.values()
    assert values == {"steps": 3, "close_gaps": False, "padding": 0.35}
    assert RefineOptions(**values).padding == 0.35
    form.reset()
    assert form.values() == {}


def test_options_left_to_the_model_show_its_values(qtbot: Any) -> None:
    form = OptionForm(SPECS)
    qtbot.addWidget(form)
    form.show_defaults({"steps": 2, "flips": True, "band": 0.5, "grid": None})
    texts = {name: _text(form.widgets[name]) for name in ("steps", "flips", "band")}
    assert texts == {
        "steps": f"{FROM_MODEL} (2)",
        "flips": f"{FROM_MODEL} (on)",
        "band": f"{FROM_MODEL} (0.5)",
    }
    assert _text(form.widgets["grid"]) == FROM_MODEL
    assert form.values() == {}


def test_every_widget_explains_itself(qtbot: Any) -> None:
    form = OptionForm(SPECS)
    qtbot.addWidget(form)
    for spec in SPECS:
        assert spec.help in form.widgets[spec.name].toolTip()
    steps = next(s for s in SPECS if s.name == "steps")
    assert "from 1 to 6" in tooltip(steps)


def test_the_wheel_changes_nothing_in_passing(qtbot: Any) -> None:
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    form = OptionForm(SPECS)
    qtbot.addWidget(form)
    for name in ("seed", "preset", "padding"):
        event = QWheelEvent(
            QPointF(3, 3),
            QPointF(3, 3),
            QPoint(0, 120),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(form.widgets[name], event)
    assert form.values() == {}


def test_all_fields_but_those_with_a_place_of_their_own_are_offered() -> None:
    from napari_segrefiner.plugin.refine_form import ELSEWHERE

    names = {field.name for field in dataclasses.fields(RefineOptions)}
    assert names >= ELSEWHERE
    assert {s.name for s in SPECS} >= names - ELSEWHERE


def _text(widget: Any) -> str:
    current = getattr(widget, "currentText", None)
    return str(current() if current is not None else widget.text())


@pytest.mark.gui
def test_a_folder_of_an_unknown_user_is_taken_as_it_is_typed(qtbot: Any) -> None:
    field = PathField("folder", "Choose")
    qtbot.addWidget(field)
    field.line.setText("~nobody-of-that-name/run")
    assert field.path == Path("~nobody-of-that-name/run")
