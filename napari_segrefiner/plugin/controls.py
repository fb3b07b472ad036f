"""Options as form rows: every widget, bound and tooltip comes from the declaration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_segrefiner.errors import OptionError
from napari_segrefiner.options import OptionSpec
from napari_segrefiner.plugin.widgets import quiet_button

#: What stands in a widget for None, with what that means.
FROM_MODEL, FROM_PRESET = "from model", "preset"
MEANINGS = {
    FROM_MODEL: "the value on the model's card",
    FROM_PRESET: "what the preset says",
}
#: Where a declaration has no upper bound; Qt's own limit for whole numbers.
MOST = 2**31 - 1
DECIMALS = 2


class SteadySpinBox(QSpinBox):
    """A spin box that leaves the wheel to the scroll area around it."""

    def wheelEvent(self, event: Any) -> None:
        """Do not change a value in passing."""
        event.ignore()


class SteadyDoubleSpinBox(QDoubleSpinBox):
    """As SteadySpinBox, with decimals, those that are needed."""

    def textFromValue(self, value: float) -> str:
        """The number without zeros at its end."""
        text, point = str(super().textFromValue(value)), self.locale().decimalPoint()
        return text.rstrip("0").removesuffix(point) if point in text else text

    def wheelEvent(self, event: Any) -> None:
        """Do not change a value in passing."""
        event.ignore()


class SteadyComboBox(QComboBox):
    """A combo box that shrinks with the dock, and leaves the wheel to it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.setMinimumContentsLength(8)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: Any) -> None:
        """Do not change a value in passing."""
        event.ignore()


class OptionForm(QWidget):
    """A form with one row per option.

    Parameters
    ----------
    specs : iterable of OptionSpec
        The options to show, as napari_segrefiner.options.specs gives them.
    unset : str
        What stands for None: FROM_MODEL or FROM_PRESET.
    decimals : int
        Of numbers.
    """

    def __init__(
        self,
        specs: Iterable[OptionSpec],
        parent: QWidget | None = None,
        *,
        unset: str = FROM_MODEL,
        decimals: int = DECIMALS,
    ) -> None:
        super().__init__(parent)
        self._specs = tuple(specs)
        self._unset = unset
        self.widgets: dict[str, QWidget] = {}
        layout = form_layout(self)
        for spec in self._specs:
            widget = option_widget(spec, unset, decimals)
            widget.setObjectName(spec.name)
            widget.setToolTip(tooltip(spec, unset))
            self.widgets[spec.name] = widget
            layout.addRow(title(spec), widget)
            label = layout.labelForField(widget)
            if label is not None:
                label.setToolTip(widget.toolTip())

    def values(self) -> dict[str, Any]:
        """The values that differ from the declared defaults.

        Raises
        ------
        OptionError
            If a text is none of the option's kind.
        """
        found = {}
        for spec in self._specs:
            value = read(spec, self.widgets[spec.name])
            if value != spec.default:
                found[spec.name] = value
        return found

    def reset(self) -> None:
        """Back to the declared defaults."""
        for spec in self._specs:
            write(spec, self.widgets[spec.name], spec.default)

    def show_defaults(self, defaults: Mapping[str, Any]) -> None:
        """Tell which values the model or preset gives to options left to it."""
        for spec in self._specs:
            if spec.optional and spec.name in defaults:
                widget = self.widgets[spec.name]
                name_default(widget, defaults[spec.name], self._unset)


class Fold(QWidget):
    """A title that shows or hides what is below it; hidden at first."""

    def __init__(self, name: str, content: QWidget) -> None:
        super().__init__()
        self._name = name
        self._content = content
        self.button = quiet_button("", "")
        self.button.setFlat(True)
        self.button.setStyleSheet(
            "QPushButton {text-align: left; background: transparent; padding: 2px 0;}"
            + self.button.styleSheet()
        )
        self.button.clicked.connect(self.toggle)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.button)
        layout.addWidget(content)
        self.set_open(False)

    @property
    def is_open(self) -> bool:
        """Whether the content is shown."""
        return not self._content.isHidden()

    def set_open(self, is_open: bool) -> None:
        """Show or hide the content."""
        self._content.setVisible(is_open)
        self.button.setText(f"{'▾' if is_open else '▸'}  {self._name}")

    def toggle(self) -> None:
        """Show what is hidden, hide what is shown."""
        self.set_open(not self.is_open)


def form_layout(parent: QWidget) -> QFormLayout:
    """An empty form layout in the style of the dock."""
    layout = QFormLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setVerticalSpacing(4)
    layout.setHorizontalSpacing(8)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return layout


def align_labels(*forms: QFormLayout) -> None:
    """One left edge for the fields of these forms, hidden rows included.

    To be called once napari's style sheet has set the fonts.
    """
    labels = [
        form.itemAt(row, QFormLayout.ItemRole.LabelRole).widget()
        for form in forms
        for row in range(form.rowCount())
    ]
    for label in labels:
        label.ensurePolished()
    width = max(label.sizeHint().width() for label in labels)
    for label in labels:
        label.setMinimumWidth(width)


def option_widget(
    spec: OptionSpec, unset: str = FROM_MODEL, decimals: int = DECIMALS
) -> QWidget:
    """The widget that fits an option, set to its default."""
    widget: QWidget
    if spec.choices or spec.kind is bool:
        widget = SteadyComboBox()
        if spec.optional:
            widget.addItem(unset, None)
        for value in spec.choices or (True, False):
            text = str(value) if spec.choices else ("on" if value else "off")
            widget.addItem(text, value)
    elif spec.kind is int:
        widget = _spin_box(spec, SteadySpinBox(), 1, unset)
    elif spec.kind is float:
        box = SteadyDoubleSpinBox()
        box.setDecimals(decimals)
        widget = _spin_box(spec, box, 0.05, unset)
    else:
        widget = QLineEdit()
        widget.setPlaceholderText(unset if spec.optional else "")
    write(spec, widget, spec.default)
    return widget


def _spin_box(spec: OptionSpec, box: Any, step: float, unset: str) -> Any:
    """Bounds and unit; an optional one has a value below them, meaning None."""
    low = 0 if spec.minimum is None else spec.minimum
    high = MOST if spec.maximum is None else spec.maximum
    number = int if spec.kind is int else float
    if spec.optional:
        # Below all that can be meant: Qt shows the special text for it.
        box.editingFinished.connect(partial(_lift, box, number(low)))
        low -= step
        box.setSpecialValueText(unset)
    box.setRange(number(low), number(high))
    box.setSingleStep(number(step))
    box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    if spec.unit:
        box.setSuffix(f" {spec.unit}")
    return box


def _lift(box: Any, least: float) -> None:
    """What was typed below the least value becomes it; the special text may stay."""
    if box.minimum() < box.value() < least:
        box.setValue(least)


def read(spec: OptionSpec, widget: Any) -> Any:
    """The option's value in its widget, None for what is left to model or preset.

    Raises
    ------
    OptionError
        If a text is none of the option's kind.
    """
    if isinstance(widget, QComboBox):
        return widget.currentData()
    if isinstance(widget, QLineEdit):
        return _from_text(spec, widget.text().strip())
    if spec.optional and widget.value() == widget.minimum():
        return None
    value = (
        widget.value() if spec.kind is int else round(widget.value(), widget.decimals())
    )
    # While somebody is typing, it may be below.
    return value if spec.minimum is None else max(value, spec.kind(spec.minimum))


def _from_text(spec: OptionSpec, text: str) -> Any:
    if not text:
        return spec.default
    if spec.kind is not tuple:
        return text
    try:
        return tuple(spec.element(part.strip()) for part in text.split(","))
    except ValueError as error:
        message = (
            f"{title(spec)} is {text!r}; whole numbers with commas, as in 3,7, are "
            "expected."
        )
        raise OptionError(message) from error


def write(spec: OptionSpec, widget: Any, value: Any) -> None:
    """Set the widget to a value of the option."""
    if isinstance(widget, QComboBox):
        widget.setCurrentIndex(widget.findData(value))
    elif isinstance(widget, QLineEdit):
        values = value if isinstance(value, tuple) else (value,)
        widget.setText(",".join("" if one is None else str(one) for one in values))
    else:
        widget.setValue(widget.minimum() if value is None else value)


def title(spec: OptionSpec) -> str:
    """The option's name for people."""
    return spec.name.replace("_", " ").capitalize()


def tooltip(spec: OptionSpec, unset: str = FROM_MODEL) -> str:
    """Its help, and where it comes from."""
    text = spec.help
    if spec.optional:
        text += f"\n{unset.capitalize()}: {MEANINGS[unset]}."
    if spec.minimum is not None or spec.maximum is not None:
        text += f"\nAllowed: {spec.bounds_text()}."
    return text


def name_default(widget: Any, value: Any, unset: str = FROM_MODEL) -> None:
    """Tell in a widget which value stands behind what is left to model or preset."""
    if value is None:
        text = unset
    elif isinstance(value, bool):
        text = f"{unset} ({'on' if value else 'off'})"
    elif isinstance(value, float):
        text = f"{unset} ({value:g})"
    elif isinstance(value, tuple):
        text = f"{unset} ({', '.join(map(str, value)) or '-'})"
    else:
        text = f"{unset} ({value})"
    if isinstance(widget, QComboBox):
        widget.setItemText(widget.findData(None), text)
    elif isinstance(widget, QLineEdit):
        widget.setPlaceholderText(text)
    else:
        widget.setSpecialValueText(text)
