"""The guide to training says what the options and presets really are."""

from __future__ import annotations

from pathlib import Path

from napari_segrefiner.cli.flags import option_table
from napari_segrefiner.train_options import TRAIN_PRESETS, TrainOptions

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "training.md"


def preset_table() -> str:
    """The presets' values as a Markdown table, for the guide."""
    names = list(TRAIN_PRESETS)
    options = list(dict.fromkeys(key for one in TRAIN_PRESETS.values() for key in one))
    lines = ["| | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for option in options:
        cells = [_text(TRAIN_PRESETS[name][option]) for name in names]
        lines.append(f"| `{option.replace('_', '-')}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _text(value: object) -> str:
    if value is None:
        return "(give one)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_guide_has_every_option_as_declared() -> None:
    # Made with option_table: print it again when an option has changed.
    assert option_table(TrainOptions) in GUIDE.read_text(encoding="utf-8")


def test_the_guide_has_every_preset_as_declared() -> None:
    # Made with preset_table: print it again when a preset has changed.
    assert preset_table() in GUIDE.read_text(encoding="utf-8")
