"""CascadePSP (Cheng et al. 2020), if its package and its weights are there.

Nothing is ever downloaded: without the package ``segmentation-refinement`` or its
weight file the method is absent.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]

PACKAGE = "segmentation_refinement"
#: Where the package keeps its weights, under the user's home.
WEIGHTS = Path(".segmentation-refinement") / "model"
#: Longest side that the network works at (the package's own).
LONGEST = 900


def why_absent() -> str | None:
    """A sentence why the method cannot be used; None if it can."""
    if importlib.util.find_spec(PACKAGE) is None:
        return (
            "CascadePSP is not installed; pip install segmentation-refinement brings "
            "it."
        )
    weights = Path.home() / WEIGHTS
    if not weights.is_file():
        return f"CascadePSP has no weights; put its file to {weights}."
    return None


def cascade_psp(
    image: Plane, mask: Mask, settings: Mapping[str, float]
) -> Plane | None:
    """Refine a mask (S, S) on an image (C, S, S) in [0, 1]; gives probabilities."""
    if why_absent() is not None:
        return None
    colours = np.broadcast_to(image, (3, *mask.shape))[::-1]  # the package wants BGR
    picture = np.rint(255 * colours).astype(np.uint8).transpose(1, 2, 0)
    grey = _refiner().refine(
        np.ascontiguousarray(picture),
        255 * mask.astype(np.uint8),
        fast=True,
        L=LONGEST,
    )
    return np.asarray(grey / 255, np.float32)


@cache
def _refiner() -> Any:
    import torch

    package = importlib.import_module(PACKAGE)
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    return package.Refiner(
        device=device, model_folder=str((Path.home() / WEIGHTS).parent)
    )
