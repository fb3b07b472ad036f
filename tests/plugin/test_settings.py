"""What is remembered when napari is closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_segrefiner.plugin.settings import Settings


def test_values_are_there_in_the_next_session(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "dock.json"
    Settings(path).set("target", "into this layer")
    assert Settings(path).get("target", "new layer") == "into this layer"
    assert [p.name for p in path.parent.iterdir()] == ["dock.json"]


@pytest.mark.parametrize("text", ["{", "[1]", '{"target": 3}', "\x00\xff"])
def test_a_damaged_file_means_defaults(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dock.json"
    path.write_text(text, encoding="latin-1")
    assert Settings(path).get("target", "new layer") == "new layer"


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    settings = Settings(blocked / "dock.json")
    settings.set("target", "into this layer")
    assert settings.get("target", "") == "into this layer"


def test_without_a_file_values_last_as_long_as_the_session() -> None:
    settings = Settings(None)
    settings.set("a", "b")
    assert settings.get("a", "") == "b"


def test_two_docks_do_not_undo_what_the_other_remembers(tmp_path: Path) -> None:
    path = tmp_path / "dock.json"
    one, other = Settings(path), Settings(path)
    one.set("model", "mine")
    other.set("training_run", "/runs/1")
    one.set("device", "cpu")
    found = Settings(path)
    assert [found.get(k, "") for k in ("model", "training_run", "device")] == [
        "mine",
        "/runs/1",
        "cpu",
    ]
