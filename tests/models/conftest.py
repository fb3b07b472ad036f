"""A folder of one's own models, and a catalogue of small published ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_segrefiner.models import published as published_module
from napari_segrefiner.models.catalogue import FOLDER_VARIABLE
from tests.models.official import TINY


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's models; it does not exist yet."""
    path = tmp_path / "models"
    monkeypatch.setenv(FOLDER_VARIABLE, str(path))
    return path


@pytest.fixture
def small_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real catalogue, its networks replaced by a tiny one."""
    entries = json.loads(published_module.CATALOGUE.read_text("utf-8"))
    for entry in entries.values():
        entry["network"] = {
            "widths": TINY.widths,
            "blocks_down": TINY.blocks_down,
            "blocks_up": TINY.blocks_up,
            "attention_strides": TINY.attention_strides,
        }
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(entries))
    monkeypatch.setattr(published_module, "CATALOGUE", path)
    return path
