"""What a user can choose about a training, declared once, and what the presets say.

``None`` means "what the preset says"; :meth:`TrainOptions.resolved` fills it in from
:data:`TRAIN_PRESETS`.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from napari_segrefiner.errors import OptionError
from napari_segrefiner.options import Device, Precision, check_options, option
from napari_segrefiner.options import known as known

TrainPreset = Literal["custom", "quick", "default-model", "paper-lr", "paper-hr"]
FreshNetwork = Literal["default", "published", "reduced"]
Crops = Literal["windows", "objects", "patches"]
Simulator = Literal["mixed", "published"]

#: ``init`` that stands for fresh weights, ``name`` that stands for no installation.
NONE = "none"
#: Largest seed that the generators take beside a sample's number.
MAX_SEED = 2**63 - 1
#: Batch that the learning rates of ``custom`` and ``quick`` are meant for.
REFERENCE_BATCH = 32

#: How the machine is used, which changes no result.
_MACHINE: dict[str, Any] = {
    "checkpoint_minutes": 3.0,
    "workers": -1,
    "threads": 0,
    "device": "auto",
}

#: How models like the shipped one are trained (method 11).
_WINDOWS: dict[str, Any] = {
    "minutes": 0.0,
    "network": "default",
    "crops": "windows",
    "simulator": "mixed",
    "uniform_index": False,
    "batch_size": 32,
    "at_once": 0,
    "window": 64,
    "large_share": 0.25,
    "final_rate": 0.02,
    "milestones": (),
    "weight_decay": 1e-4,
    "clip": 1.0,
    "ema": 0.9985,
    "own_share": 0.7,
    "map_dropout": 0.1,
    "validate_every": 1000,
    "validation_windows": 256,
    "early_stop": 0,
    "keep": (),
    "precision": "auto",
    **_MACHINE,
}

#: The published training (method 9, 10); batches are those of the paper's supplement.
_PUBLISHED: dict[str, Any] = {
    "init": NONE,
    "minutes": 0.0,
    "network": "published",
    "crops": "objects",
    "simulator": "published",
    "uniform_index": True,
    "iterations": 120_000,
    "batch_size": 64,
    "at_once": 8,
    "window": 256,
    "large_share": 0.0,
    "learning_rate": 4e-4,
    "final_rate": 0.0,
    "milestones": (80_000, 100_000),
    "warm_up": 0,
    "weight_decay": 0.0,
    "clip": 0.0,
    "ema": 0.0,
    "own_share": 0.0,
    "own_after": 0,
    "map_dropout": 0.0,
    "validate_every": 5000,
    "validation_windows": 64,
    "early_stop": 0,
    "keep": (80_000,),
    "precision": "float32",
    **_MACHINE,
}

#: What the training presets stand for, where an option is None.
TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "custom": {
        **_WINDOWS,
        "init": "default",
        "iterations": 3000,
        "learning_rate": 3e-4,
        "warm_up": 200,
        "own_after": 0,
        "validate_every": 250,
        "early_stop": 8,
    },
    "quick": {
        **_WINDOWS,
        "init": "default",
        "iterations": 400,
        "minutes": 4.0,
        "large_share": 0.0,
        "learning_rate": 2e-4,
        "warm_up": 50,
        "own_after": 0,
        "validate_every": 100,
    },
    "default-model": {
        **_WINDOWS,
        "init": NONE,
        "iterations": 30_000,
        "large_share": 0.5,
        "learning_rate": 1e-3,
        "warm_up": 200,
        "own_after": 2000,
    },
    "paper-lr": _PUBLISHED,
    "paper-hr": {
        **_PUBLISHED,
        "init": None,  # has to be given
        "crops": "patches",
        "batch_size": 128,  # 64 samples, each an object crop and a patch
        "iterations": 40_000,
        "milestones": (20_000, 35_000),
        "keep": (),
    },
}

#: Presets whose learning rate follows the batch, by the root of its size.
_SCALED = ("custom", "quick")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of one training; None means "what the preset says" (TRAIN_PRESETS)."""

    preset: TrainPreset = option(
        "custom",
        "custom: own data; quick: minutes; default-model: as the shipped one "
        "began; "
        "paper-lr, paper-hr: the published training.",
    )
    init: str | None = option(
        None,
        "Model to start from: a catalogue name, a file, the folder of a run, or none "
        "for fresh weights.",
    )
    name: str = option(
        "",
        "Name of the finished model among your models; by default that of the run "
        "folder, none: it stays in the run folder alone.",
    )
    network: FreshNetwork | None = option(
        None,
        "Shape of fresh networks; reduced is a small one of the published kind.",
        source="method 8",
    )
    crops: Crops | None = option(
        None,
        "windows: objects and parts at all scales; objects, patches: published crops "
        "of LR and HR.",
        source="method 10, 11",
    )
    simulator: Simulator | None = option(
        None,
        "How coarse masks are made: mixed damages, or as published.",
        source="method 10, 11",
    )
    exclude: tuple[str, ...] = option(
        (),
        "Sets not to learn from, as in camvid,yeast; they are still validated.",
    )
    iterations: int | None = option(
        None, "Batches to learn from; a longer run learns more.", minimum=1
    )
    minutes: float | None = option(
        None,
        "At most this long; becomes iterations once, after the first 50; 0 is off.",
        minimum=0,
        maximum=100_000,
        unit="min",
    )
    batch_size: int | None = option(
        None,
        "Windows per iteration, of all processes together.",
        minimum=1,
        maximum=4096,
        source="method 10, 11",
    )
    at_once: int | None = option(
        None,
        "Windows in memory at once; gradients of a batch's parts add up; 0: all.",
        minimum=0,
        maximum=4096,
    )
    window: int | None = option(
        None,
        "Side of a window.",
        minimum=16,
        maximum=1024,
        unit="px",
        source="method 10, 11",
    )
    large_share: float | None = option(
        None,
        "Share of batches with a quarter as many windows of twice the side, which show "
        "large objects as they are refined.",
        minimum=0,
        maximum=1,
    )
    learning_rate: float | None = option(
        None,
        "Highest learning rate; that of custom and quick follows the batch's size.",
        minimum=0,
        maximum=1,
        source="method 10, 11",
    )
    final_rate: float | None = option(
        None,
        "Learning rate at the end, as a share of the highest (cosine between them).",
        minimum=0,
        maximum=1,
        source="method 11",
    )
    milestones: tuple[int, ...] | None = option(
        None,
        "Iterations at which the learning rate halves instead, as in 80000,100000.",
        source="method 10",
    )
    warm_up: int | None = option(
        None, "Iterations over which the learning rate rises.", minimum=0
    )
    weight_decay: float | None = option(
        None,
        "Decay of the weights (AdamW).",
        minimum=0,
        maximum=1,
        source="method 10, 11",
    )
    clip: float | None = option(
        None, "Largest norm of the gradient; 0 is off.", minimum=0, source="method 11"
    )
    ema: float | None = option(
        None,
        "Memory of the running mean of the weights, which is the model; 0 is off.",
        minimum=0,
        maximum=0.99999,
        source="method 11",
    )
    uniform_index: bool | None = option(
        None,
        "All diffusion steps are learnt equally often, as published.",
        source="method 9",
    )
    own_share: float | None = option(
        None,
        "Share of later steps' samples that start from the network's own mask; more is "
        "bolder.",
        minimum=0,
        maximum=1,
        source="method 11",
    )
    own_after: int | None = option(
        None, "Iterations before own masks are used.", minimum=0, source="method 11"
    )
    map_dropout: float | None = option(
        None,
        "Share of samples that do without the maps of colours.",
        minimum=0,
        maximum=1,
        source="method 11",
    )
    seed: int = option(
        0, "Seed of all that is drawn; the same seed gives the same run.", minimum=0
    )
    validate_every: int | None = option(
        None, "Iterations between two validations.", minimum=1
    )
    validation_windows: int | None = option(
        None, "Windows of each validation, over all sets.", minimum=0, maximum=100_000
    )
    early_stop: int | None = option(
        None,
        "Validations in a row without a gain after which the run ends; 0 is off.",
        minimum=0,
    )
    keep: tuple[int, ...] | None = option(
        None,
        "Iterations whose model is kept for good, as in 80000.",
        source="method 10",
    )
    checkpoint_minutes: float | None = option(
        None, "Time between two checkpoints.", minimum=0, maximum=1440, unit="min"
    )
    workers: int | None = option(
        None,
        "Processes that prepare windows; -1: one, beside a GPU all cores but two, 16 "
        "at most; 0: windows are prepared in between. They change no result.",
        minimum=-1,
    )
    threads: int | None = option(
        None, "Processor threads of the network; 0: all.", minimum=0
    )
    device: Device | None = option(None, "auto takes cuda, then mps, then cpu.")
    precision: Precision | None = option(
        None,
        "Arithmetic; auto takes float32 or bfloat16, as measured. float16 is for GPUs "
        "that lack bfloat16; its loss is scaled.",
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.seed > MAX_SEED:
            message = f"seed is {self.seed}; at most {MAX_SEED} is expected."
            raise OptionError(message)

    def resolved(self) -> TrainOptions:
        """The options with the preset's values in place of None.

        Raises
        ------
        OptionError
            If the options contradict each other, or one has to be given.
        """
        missing = {
            name: value
            for name, value in TRAIN_PRESETS[self.preset].items()
            if getattr(self, name) is None
        }
        filled = dataclasses.replace(self, **missing)
        if filled.init is None:
            message = (
                f"Preset {self.preset} starts from the kept checkpoint of a paper-lr "
                "run; name its folder with --init RUN (or --init none)."
            )
            raise OptionError(message)
        if "learning_rate" in missing and self.preset in _SCALED:
            scale = math.sqrt(known(filled.batch_size) / REFERENCE_BATCH)
            rate = missing["learning_rate"] * scale
            filled = dataclasses.replace(filled, learning_rate=min(rate, 1.0))
        if filled.crops != "windows" and filled.simulator != "published":
            message = (
                f"Crops {filled.crops} go with the published simulator alone; leave "
                "--simulator out, or choose --crops windows."
            )
            raise OptionError(message)
        if filled.crops != "windows" and filled.large_share:
            message = (
                f"Crops {filled.crops} have one size; leave --large-share out, or "
                "choose --crops windows."
            )
            raise OptionError(message)
        if filled.crops == "patches" and known(filled.batch_size) % 2:
            message = (
                f"batch_size is {filled.batch_size}; with patches every sample is a "
                "pair, so an even number is expected."
            )
            raise OptionError(message)
        return filled
