"""``napari-segrefiner info``: what is installed here, and what is missing."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from napari_segrefiner import __version__

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

#: Packages worth naming when something does not work.
PACKAGES = (
    "torch",
    "napari",
    "npe2",
    "magicgui",
    "qtpy",
    "PyQt6",
    "PySide6",
    "numpy",
    "scipy",
    "scikit-image",
    "tifffile",
    "pillow",
    "pooch",
    "safetensors",
)
#: Of these, any one is enough.
QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command: none."""


def run(arguments: argparse.Namespace) -> int:
    """Print the facts; returns the exit code."""
    for part in (_system(), _packages(), _devices(), _models()):
        for name, value in part:
            print(f"{name + ':':<14} {value}")
        print()
    for line in _missing():
        print(f"Missing: {line}")
    return 0


def _system() -> Iterator[tuple[str, str]]:
    yield "segrefiner", __version__
    yield "python", sys.version.split()[0]
    yield "system", platform.platform()
    yield "processors", str(os.cpu_count())


def _packages() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        version = _version(name)
        if version or name not in QT_BINDINGS:
            yield name, version or "not installed"


def _devices() -> Iterator[tuple[str, str]]:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library that does not load
        yield "devices", f"torch cannot be imported: {error}"
        return
    yield "cpu", f"{torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(i)
            size = properties.total_memory / 2**30
            yield f"cuda:{i}", f"{properties.name}, {size:.0f} GiB"
    else:
        yield "cuda", "not available"
    has_mps = torch.backends.mps.is_available()
    yield "mps", "available" if has_mps else "not available"


def _models() -> Iterator[tuple[str, str]]:
    from napari_segrefiner.models.catalogue import entries, user_folder

    for entry in entries():
        yield "model", f"{entry.name} ({entry.weights})"
    yield "own models", str(user_folder())


def _missing() -> Iterator[str]:
    """What is missing, with the remedy."""
    if not _version("torch"):
        yield "torch; pip install torch"
    if not _version("napari"):
        yield "napari; pip install napari (the command line and Python work without)"
    elif not any(_version(name) for name in QT_BINDINGS):
        yield "a Qt binding for napari's window; pip install 'napari[pyqt6]'"


def _version(name: str) -> str:
    """A package's version, empty if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
