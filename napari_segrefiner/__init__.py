"""Refine coarse masks and labels by discrete diffusion.

The public names are resolved on first use, so that importing the package is cheap: it
loads no torch, napari, Qt or scikit-image.

Examples
--------
>>> from napari_segrefiner import RefineOptions
>>> RefineOptions(steps=3).steps
3
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_segrefiner.core.events import MasksResult, RefineResult
    from napari_segrefiner.core.masks import refine_masks
    from napari_segrefiner.core.refiner import Refiner, refine
    from napari_segrefiner.errors import (
        DeviceError,
        InputError,
        ModelError,
        OptionError,
        SegRefinerError,
    )
    from napari_segrefiner.models.catalogue import load_model
    from napari_segrefiner.options import RefineOptions

__version__ = "0.1.0"

#: Where each public name lives. Imported through this table and not by statements, so
#: that low rooms can read the version without importing the high ones.
_HOMES = {
    "DeviceError": "napari_segrefiner.errors",
    "InputError": "napari_segrefiner.errors",
    "MasksResult": "napari_segrefiner.core.events",
    "ModelError": "napari_segrefiner.errors",
    "OptionError": "napari_segrefiner.errors",
    "RefineOptions": "napari_segrefiner.options",
    "RefineResult": "napari_segrefiner.core.events",
    "Refiner": "napari_segrefiner.core.refiner",
    "SegRefinerError": "napari_segrefiner.errors",
    "load_model": "napari_segrefiner.models.catalogue",
    "refine": "napari_segrefiner.core.refiner",
    "refine_masks": "napari_segrefiner.core.masks",
}

__all__ = [
    "DeviceError",
    "InputError",
    "MasksResult",
    "ModelError",
    "OptionError",
    "RefineOptions",
    "RefineResult",
    "Refiner",
    "SegRefinerError",
    "__version__",
    "load_model",
    "refine",
    "refine_masks",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Show the public names also before their first use."""
    return sorted({*globals(), *__all__})
