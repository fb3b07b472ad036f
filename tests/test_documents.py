"""The documents: what they point at exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from npe2 import PluginManifest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)
def test_links_to_files_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    files = [target for target in targets if "://" not in target]
    missing = [name for name in files if not (document.parent / name).exists()]
    assert missing == []


def test_sections_of_the_method_that_the_code_cites_exist() -> None:
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^## (\d+) ", text, re.MULTILINE))
    cited = set[str]()
    for path in (ROOT / "napari_segrefiner").rglob("*.py"):
        for numbers in re.findall(
            r"\bmethod (\d+(?:, \d+)*)", path.read_text(encoding="utf-8"), re.IGNORECASE
        ):
            cited |= set(numbers.split(", "))
    assert sections == {str(number) for number in range(1, 12)}
    assert cited <= sections
    assert {"2", "5", "9", "10", "11"} <= cited


def test_readme_names_the_commands_that_the_makefile_has() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^    |`)make ([a-z-]+)", readme, re.MULTILINE))
    assert {"demo", "test", "run"} <= named
    for name in named:
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


def test_menus_are_named_as_napari_shows_them() -> None:
    """Several widgets of a plugin share a submenu, a single sample has none."""
    manifest = PluginManifest.from_file(ROOT / "napari.yaml")
    parts = manifest.contributions
    titles = {command.id: command.title for command in parts.commands}
    shown = {f"Plugins > SegRefiner > {w.display_name}" for w in parts.widgets}
    shown |= {f"File > Open Sample > {s.display_name}" for s in parts.sample_data}
    for menu, items in parts.menus.items():
        *_, above, name = menu.split("/")
        shown |= {f"{above} > {name} > {titles[i.command]}".title() for i in items}
    assert (len(parts.widgets), len(parts.sample_data)) == (3, 1)
    named = re.compile(r"(?:Plugins|File|Layers) > [A-Z]\w+ > [A-Z]")
    for document in DOCUMENTS:
        text = " ".join(document.read_text(encoding="utf-8").split())
        assert "Plugins > SegRefiner" not in text.replace("Plugins > SegRefiner > ", "")
        for found in named.finditer(text):
            rest = text[found.start() :].lower()
            assert any(rest.startswith(path.lower()) for path in shown), rest[:60]
