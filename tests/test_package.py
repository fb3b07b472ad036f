"""The package as a whole: what an import costs, what it offers, how it fails."""

from __future__ import annotations

import subprocess
import sys

import pytest

import napari_segrefiner
from napari_segrefiner import errors

HEAVY = ("torch", "napari", "qtpy", "PyQt6", "skimage", "scipy")


def modules_loaded_by(module: str, candidates: tuple[str, ...]) -> list[str]:
    """Those of `candidates` that a fresh interpreter has loaded after the import."""
    code = (
        f"import sys, {module}; "
        f"print(*[name for name in {candidates!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout.split()


@pytest.mark.parametrize(
    "module",
    ["napari_segrefiner", "napari_segrefiner.__main__", "napari_segrefiner.cli.main"],
)
def test_import_loads_nothing_heavy(module: str) -> None:
    assert modules_loaded_by(module, HEAVY) == []


@pytest.mark.gui
@pytest.mark.parametrize("name", ["dock", "training_dock"])
def test_importing_a_dock_loads_no_torch(name: str) -> None:
    assert modules_loaded_by(f"napari_segrefiner.plugin.{name}", ("torch",)) == []


@pytest.mark.parametrize("name", ["curves", "event_lines", "examples", "run_state"])
def test_a_training_can_be_watched_without_torch(name: str) -> None:
    assert modules_loaded_by(f"napari_segrefiner.training.{name}", ("torch",)) == []


def test_the_import_check_sees_heavy_modules() -> None:
    assert modules_loaded_by("scipy", HEAVY) == ["scipy"]


def test_every_error_is_of_the_family_and_none_is_a_runtime_error() -> None:
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert len(classes) >= 8
    for value in classes:
        assert issubclass(value, errors.SegRefinerError)
        assert not issubclass(value, RuntimeError)


@pytest.mark.parametrize("name", napari_segrefiner.__all__)
def test_public_name_resolves_and_is_listed(name: str) -> None:
    assert getattr(napari_segrefiner, name) is not None
    assert name in dir(napari_segrefiner)


def test_table_of_public_names_is_complete() -> None:
    assert {*napari_segrefiner._HOMES, "__version__"} == {*napari_segrefiner.__all__}


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'polish'"):
        _ = napari_segrefiner.polish
