"""The guide says what the commands really take."""

from pathlib import Path

from napari_segrefiner.cli.flags import option_table
from napari_segrefiner.cli.main import COMMANDS
from napari_segrefiner.core.events import Status
from napari_segrefiner.io.labels import ENDINGS
from napari_segrefiner.options import RefineOptions

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "command_line.md"


def test_the_guide_has_every_option_as_declared():
    # Made with option_table: print it again when an option has changed.
    assert option_table(RefineOptions) in GUIDE.read_text(encoding="utf-8")


def test_the_guide_has_every_command():
    text = GUIDE.read_text(encoding="utf-8")
    for name, help_text in COMMANDS.items():
        assert f"| `{name}` | {help_text} |" in text


def test_the_guide_has_every_status_and_format():
    text = GUIDE.read_text(encoding="utf-8")
    for status in Status.__args__:
        assert f"| `{status}` |" in text
    for ending in {*ENDINGS} - {".tiff"}:
        assert f"`{ending}`" in text
