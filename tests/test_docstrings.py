"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import napari_segrefiner

ROOT = Path(napari_segrefiner.__file__).parent


def modules_with_examples() -> list[str]:
    """Names of the modules that have examples; those of the plugin need a screen."""
    files = sorted(ROOT.rglob("*.py"))
    return [
        ".".join([ROOT.name, *file.relative_to(ROOT).with_suffix("").parts])
        for file in files
        if ">>> " in file.read_text("utf-8")
        and file.relative_to(ROOT).parts[0] != "plugin"
    ]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_come_out_as_they_say(name: str) -> None:
    module = importlib.import_module(name.removesuffix(".__init__"))
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
