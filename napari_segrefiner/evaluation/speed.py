"""How many objects a second are refined, on made scenes of known content."""

from __future__ import annotations

import dataclasses
import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_segrefiner.core.events import RefineResult, RunDone, StepDone
from napari_segrefiner.core.whole_published import MAX_IOU
from napari_segrefiner.geometry import non_maximum_suppression

if TYPE_CHECKING:
    from torch import Tensor

    from napari_segrefiner.core.refiner import Refiner
    from napari_segrefiner.evaluation.stages import Stages
    from napari_segrefiner.models.checkpoint import Model
    from napari_segrefiner.options import RefineOptions

#: Side of every scene in pixels.
SIDE = 1024
#: Scenes as (number of objects, side of their crops in pixels).
SCENES = ((64, 64), (64, 128), (16, 256))
#: Steps of the published method, shown beside those of the model's card.
PUBLISHED_STEPS = 6
#: Side of the grid that it plans windows on.
PUBLISHED_GRID = 256


@dataclass(frozen=True)
class Scene:
    """An image of bright bodies on a darker ground, with masks that are a little off.

    ``image`` is (Y, X) uint8, ``labels`` (Y, X) uint16.
    """

    n_objects: int
    crop: int
    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint16]

    @property
    def name(self) -> str:
        """Such as "64 objects in crops of 128 px"."""
        return f"{self.n_objects} objects in crops of {self.crop} px"


@dataclass(frozen=True)
class Timing:
    """Times of one scene with one number of steps, everything but loading included.

    ``seconds`` is that of the whole run, ``first_preview`` that until the first step of
    the first objects can be shown, ``shares`` those of the stages (see
    :mod:`napari_segrefiner.evaluation.stages`), ``flops`` the network's operations in
    the whole run.
    """

    scene: str
    steps: int
    n_objects: int
    seconds: float
    first_preview: float
    shares: dict[str, float] = dataclasses.field(default_factory=dict)
    flops: int = 0

    @property
    def flops_per_second(self) -> float:
        """The network's operations in a second, over the whole run."""
        return self.flops / self.seconds

    @property
    def objects_per_second(self) -> float:
        """Objects refined in a second."""
        return self.n_objects / self.seconds


@dataclass(frozen=True)
class Machine:
    """What the times were taken with; ``precision`` is what "auto" came down to.

    ``peak`` is the operations per second of large matrix products in that precision;
    0 where it was not measured (on a GPU it is).
    """

    device: str
    precision: str
    threads: int
    version: str
    model: str
    sha256: str
    peak: float = 0.0


def make_scene(
    n_objects: int, crop: int, padding: float, min_padding: int, seed: int = 0
) -> Scene:
    """Draw a scene whose objects all get crops of one size.

    Parameters
    ----------
    n_objects : int
        At most as many as fit side by side.
    crop : int
        Side of the crops in pixels.
    padding, min_padding : float, int
        The rule that makes crops from boxes, see RefineOptions.
    seed : int
        Of shapes and noise.
    """
    rng = np.random.default_rng([seed, n_objects, crop])
    diameter = math.floor((crop - 2 * min_padding) / (1 + 2 * padding))
    per_row = math.ceil(math.sqrt(n_objects))
    pitch = SIDE // per_row
    truth = np.zeros((SIDE, SIDE), dtype=np.uint16)
    for k in range(n_objects):
        top = pitch * (k // per_row) + (pitch - diameter) // 2
        left = pitch * (k % per_row) + (pitch - diameter) // 2
        body = _body(diameter, rng)
        truth[top : top + diameter, left : left + diameter][body] = k + 1
    image = _photograph(truth, rng)
    # Masks off by a few pixels keep the size of their boxes, and so of their crops.
    labels = np.roll(truth, (2, -2), axis=(0, 1))
    return Scene(n_objects, crop, image, labels)


def _body(diameter: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A wavy round body that touches all sides of its box."""
    at = (np.arange(diameter) - (diameter - 1) / 2) / (diameter / 2)
    angle = np.arctan2(at[:, None], at)
    waves, phase = int(rng.integers(3, 7)), rng.uniform(0, 2 * math.pi)
    reach = 0.9 + 0.1 * np.sin(waves * angle + phase)
    body = np.hypot(at[:, None], at) <= reach
    middle = diameter // 2
    body[[0, -1], middle] = body[middle, [0, -1]] = True
    return np.asarray(body)


def _photograph(
    truth: npt.NDArray[np.uint16], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """The bodies lit unevenly, blurred and with noise."""
    light = np.linspace(70, 110, truth.shape[1])
    sharp = light + 60 * (truth > 0) + rng.normal(0, 12, truth.shape)
    return np.asarray(
        np.clip(ndimage.gaussian_filter(sharp, 1), 0, 255), dtype=np.uint8
    )


def measure(
    model: Model, options: RefineOptions, *, repeats: int = 3
) -> Iterator[Timing | Machine]:
    """Refine every scene with six steps and with the steps of the model's card.

    Parameters
    ----------
    model : Model
    options : RefineOptions
        Steps excepted; a number of steps given there is measured instead of the card's.
    repeats : int
        The median of so many runs is taken.

    Yields
    ------
    Machine, then Timing
    """
    from napari_segrefiner.models.card import resolve

    chosen = resolve(options, model.card)
    padding, min_padding = chosen.padding or 0.0, chosen.min_padding or 0
    steps = sorted({chosen.steps or PUBLISHED_STEPS, PUBLISHED_STEPS})
    for n_objects, crop in SCENES:
        scene = make_scene(n_objects, crop, padding, min_padding)
        for n_steps in steps:
            own = dataclasses.replace(options, steps=n_steps)
            runs = _time(model, own, scene, repeats)
            stages, flops = _look_inside(model, own, scene)
            if (n_objects, crop) == SCENES[0] and n_steps == steps[0]:
                yield _machine(model, runs[0].result.record)
            yield Timing(
                scene.name,
                n_steps,
                n_objects,
                statistics.median(run.seconds for run in runs),
                statistics.median(run.first_preview for run in runs),
                stages.shares,
                flops,
            )


def suppression_seconds(repeats: int = 3) -> float:
    """Best time to choose among the boxes of a whole image that are all the same.

    So many windows the published strategy plans where every cell of its grid is
    uncertain.
    """
    boxes = np.tile([0, 0, PUBLISHED_GRID, PUBLISHED_GRID], (PUBLISHED_GRID**2, 1))
    scores = np.ones(len(boxes), np.float32)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        non_maximum_suppression(boxes, scores, MAX_IOU)
        times.append(time.perf_counter() - start)
    return min(times)


def peak_memory() -> int | None:
    """Bytes of memory that this process held at its worst; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


@dataclass(frozen=True)
class _Run:
    """One run and its times in seconds."""

    result: RefineResult
    seconds: float
    first_preview: float


def _time(
    model: Model, options: RefineOptions, scene: Scene, repeats: int
) -> list[_Run]:
    """Run a scene several times."""
    from napari_segrefiner.core.refiner import Refiner

    # One object first: what is slow only once does not count.
    _drain(Refiner(model, dataclasses.replace(options, ids=(1,))), scene)
    refiner = Refiner(model, options)
    return [_drain(refiner, scene) for _ in range(repeats)]


def _look_inside(
    model: Model, options: RefineOptions, scene: Scene
) -> tuple[Stages, int]:
    """Where the time of one more run goes, and the network's operations in it."""
    from napari_segrefiner.core.refiner import Refiner
    from napari_segrefiner.evaluation.stages import network_flops, profile

    refiner = Refiner(model, options)
    #: How many grids of each side the network is shown, crops and windows alike.
    shown: Counter[int] = Counter()

    def count(_: object, inputs: tuple[Tensor, Tensor]) -> None:
        shown[inputs[0].shape[-1]] += len(inputs[0])

    hook = model.network.register_forward_pre_hook(count)
    try:
        stages = profile(refiner, scene.image, scene.labels)
    finally:
        hook.remove()
    return stages, sum(n * network_flops(model, side) for side, n in shown.items())


def _drain(refiner: Refiner, scene: Scene) -> _Run:
    """Run to the end."""
    start = time.perf_counter()
    first_preview = math.nan
    for event in refiner.steps(scene.image, scene.labels):
        if isinstance(event, StepDone) and math.isnan(first_preview):
            event.mask(0)
            first_preview = time.perf_counter() - start
        elif isinstance(event, RunDone):
            result = event.result
    return _Run(result, time.perf_counter() - start, first_preview)


def _machine(model: Model, record: dict[str, Any]) -> Machine:
    """What the record of a run says about where it ran."""
    import torch

    from napari_segrefiner.evaluation.stages import matrix_peak

    device = next(model.network.parameters()).device
    precision = str(record["precision"])
    return Machine(
        peak=matrix_peak(device, precision) if device.type == "cuda" else 0.0,
        device=str(record["device"]),
        precision=precision,
        threads=torch.get_num_threads(),
        version=str(record["torch"]),
        model=model.name,
        sha256=model.sha256,
    )


def format_timings(
    timings: Sequence[Timing], machine: Machine, memory: int | None = None
) -> str:
    """A table to read, and to paste where Markdown is read."""
    stages = list(timings[0].shares)
    heads = ["scene", "steps", "objects/s", "preview, s", "GFLOP/object", "GFLOP/s"]
    heads += [f"{stage}, %" for stage in stages]
    rows = [
        [
            one.scene,
            str(one.steps),
            f"{one.objects_per_second:.1f}",
            f"{one.first_preview:.2f}",
            f"{one.flops / one.n_objects / 1e9:.2f}",
            f"{one.flops_per_second / 1e9:.0f}",
            *(f"{100 * one.shares[stage]:.0f}" for stage in stages),
        ]
        for one in timings
    ]
    if machine.peak:
        heads.append("of peak, %")
        for row, one in zip(rows, timings, strict=True):
            row.append(f"{100 * one.flops_per_second / machine.peak:.1f}")
    table = [heads, *rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(heads))]
    lines = []
    for row in table:
        cells = [f"{row[0]:{widths[0]}}"]
        cells += [f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    marks = ["-" * widths[0]] + ["-" * (w - 1) + ":" for w in widths[1:]]
    lines.insert(1, f"| {' | '.join(marks)} |")
    about = (
        f"{machine.model} on {machine.device}, {machine.precision}, "
        f"{machine.threads} threads, torch {machine.version}"
    )
    if memory:
        about += f", largest memory {memory / 2**30:.2f} GiB"
    if machine.peak:
        about += f", matrix peak {machine.peak / 1e12:.1f} TFLOP/s"
    return "\n".join([*lines, "", about])
