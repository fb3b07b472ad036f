"""The record of a run: all that is needed to make its result again, as plain JSON."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch

import napari_segrefiner

if TYPE_CHECKING:
    from napari_segrefiner.core.denoiser import Arithmetic
    from napari_segrefiner.core.plan import Plan
    from napari_segrefiner.models.checkpoint import Model
    from napari_segrefiner.options import RefineOptions


def make_record(
    *,
    model: Model,
    options: RefineOptions,
    plan: Plan,
    device: torch.device,
    precision: Arithmetic,
    has_given_noise: bool,
) -> dict[str, Any]:
    """What is kept of a run.

    Parameters
    ----------
    model : Model
    options : RefineOptions
        Resolved: the values that were used, also where the user left the choice.
    plan : Plan
        For the channels and the intensity limits that were found, and how many crops
        are refined in which way.
    device : torch.device
    precision : {"float32", "bfloat16", "float16"}
        What "auto" came down to.
    has_given_noise : bool
        Whether the caller gave the noise, so that the seed says nothing.
    """
    picture, pinned = plan.picture, plan.pinned
    return {
        "software": "napari-segrefiner",
        "version": napari_segrefiner.__version__,
        "torch": torch.__version__,
        "model": {"name": model.name, "sha256": model.sha256},
        "options": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(options).items()
        },
        "seed": options.seed,
        "modes": dict(sorted(Counter(job.mode for job in plan.jobs).items())),
        "n_pinned": 0 if pinned is None else int(pinned.sum()),
        "noise": "given" if has_given_noise else "seeded",
        "device": _describe(device),
        "precision": precision,
        "image": {
            "shape": list(picture.image.shape),
            "dtype": picture.image.dtype.name,
            "channel_axis": picture.channel_axis,
            "channels": list(picture.channels),
            "limits": [list(limits) for limits in picture.limits],
        },
        "labels": plan.coarse.facts,
    }


def _describe(device: torch.device) -> str:
    """The device with its maker's name, where it has one."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return device.type
