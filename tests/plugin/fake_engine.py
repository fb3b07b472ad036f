"""A refiner without weights: objects grow by a pixel per step, in twos."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from napari_segrefiner.core.events import (
    BatchDone,
    Event,
    ObjectReport,
    RefineResult,
    RunDone,
    RunStarted,
    StepDone,
    WindowsPlanned,
)
from napari_segrefiner.errors import InputError
from napari_segrefiner.geometry import Box
from napari_segrefiner.options import RefineOptions
from napari_segrefiner.plugin.engine import Added, Learnt, ModelFacts
from napari_segrefiner.training.correction_data import Correction
from napari_segrefiner.training.events import (
    LearningEvent,
    LearningProgress,
    LearningStarted,
    LearningTest,
)

BATCH = 2
STEPS = 3


def grown(mask: np.ndarray, by: int) -> np.ndarray:
    """The mask with `by` pixels more all around."""
    return ndimage.binary_dilation(mask, iterations=by) if by else mask


def expected(labels: np.ndarray, ids: tuple[int, ...] = (), by: int = STEPS) -> Any:
    """What the engine makes of labels: the truth of the tests."""
    out = labels.copy()
    for label in ids or np.unique(labels[labels > 0]):
        out[grown(labels == label, by) & (out == 0)] = label
    return out


class FakeEngine:
    """Yields the events of a run; `gate` holds it back before each step."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self.pause_s = pause_s
        self.gate: threading.Semaphore | None = None
        self.error: BaseException | None = None
        self.add_error: Exception | None = None
        self.added: Added | None = None
        self.warm_error: Exception | None = None
        self.calls: list[tuple[str, RefineOptions, np.ndarray, np.ndarray]] = []
        self.lessons: list[tuple[str, RefineOptions, list[Correction]]] = []
        self.learnt = Learnt("taught", "IoU 0.8 before, 0.9 after.")
        self.by = STEPS  # pixels by which objects have grown in the end
        self.n_closed = 0
        self.n_warmed = 0

    def add_model(self, path: str) -> Added:
        if self.add_error is not None:
            raise self.add_error
        return self.added or Added(Path(path).stem)

    def warm(self, model: str, options: RefineOptions) -> ModelFacts:
        self.n_warmed += 1
        if self.warm_error is not None:
            raise self.warm_error
        return ModelFacts("fake", "grows objects", {"steps": STEPS, "flips": False})

    def learn(
        self, model: str, options: RefineOptions, lessons: list[Correction]
    ) -> Iterator[LearningEvent | Learnt]:
        self.lessons.append((model, options, lessons))
        try:
            yield LearningStarted(sum(len(one.ids) for one in lessons), 4, 1)
            yield LearningTest()
            for step in range(1, STEPS + 1):
                if self.gate is not None:
                    self.gate.acquire(timeout=10)
                if self.error is not None:
                    raise self.error
                yield LearningProgress(step / STEPS, 30.0 * (STEPS - step), 0.1, 0.1)
                yield LearningTest()
            yield self.learnt
        except GeneratorExit:
            self.n_closed += 1
            raise

    def steps(
        self, model: str, options: RefineOptions, image: np.ndarray, labels: np.ndarray
    ) -> Iterator[Event]:
        self.calls.append((model, options, image, labels.copy()))
        try:
            yield from self._steps(options, labels)
        except GeneratorExit:
            self.n_closed += 1
            raise

    def _steps(self, options: RefineOptions, labels: np.ndarray) -> Iterator[Event]:
        present = [int(i) for i in np.unique(labels) if i]
        missing = set(options.ids) - set(present)
        if missing:
            message = f"{missing} are not in the labels."
            raise InputError(message)
        ids = list(options.ids) or present
        yield RunStarted(len(ids), STEPS, {"seed": options.seed})
        done = 0
        for first in range(0, len(ids), BATCH):
            batch = tuple(ids[first : first + BATCH])
            boxes = tuple(box_of(labels == label, labels.shape) for label in batch)
            for step in range(STEPS):
                if self.gate is not None:
                    self.gate.acquire(timeout=10)
                time.sleep(self.pause_s)
                if self.error is not None:
                    raise self.error
                done += len(batch)

                def mask(k: int, by: int = step + 1, ids=batch, boxes=boxes):
                    return grown(labels == ids[k], by)[boxes[k].slices]

                yield StepDone(
                    step=step,
                    index=STEPS - 1 - step,
                    n_steps=STEPS,
                    ids=batch,
                    boxes=boxes,
                    mask=mask,
                    progress=done / (len(ids) * STEPS),
                )
            if options.mode != "objects":
                for label in batch:
                    yield from windows_of(label, labels, done / (len(ids) * STEPS))
            yield BatchDone(batch, done / (len(ids) * STEPS))
        yield RunDone(result(options, labels, present, ids, self.by))


def windows_of(label: int, labels: np.ndarray, progress: float) -> Iterator[Event]:
    """Two windows, the upper and the lower half of the object's box."""
    box = box_of(labels == label, labels.shape)
    middle = (box.y0 + box.y1) // 2
    halves = (
        Box(box.y0, box.x0, middle, box.x1),
        Box(middle, box.x0, box.y1, box.x1),
    )
    yield WindowsPlanned(label, halves, 0, 1)
    for half in halves:
        yield StepDone(
            step=0,
            index=0,
            n_steps=1,
            ids=(label,),
            boxes=(half,),
            mask=lambda _, half=half: grown(labels == label, 2)[half.slices],
            progress=progress,
            windows=(half,),
        )


def result(
    options: RefineOptions,
    labels: np.ndarray,
    present: list[int],
    ids: list[int],
    by: int,
) -> RefineResult:
    refined = expected(labels, tuple(ids), by)
    report = []
    for label in present:
        before, after = labels == label, refined == label
        report.append(
            ObjectReport(
                id=label,
                status="refined" if label in ids else "skipped",
                area_before=int(before.sum()),
                area_after=int(after.sum()),
                iou=float((before & after).sum() / (before | after).sum()),
                uncertainty=0.1 * label,
                undecided_share=0.0,
                box=box_of(before, labels.shape, margin=0),
                mode="whole" if is_whole(options, label) else "objects",
                n_windows=2 if options.mode != "objects" else 0,
            )
        )
    return RefineResult(refined, tuple(report), {"seed": options.seed})


def is_whole(options: RefineOptions, label: int) -> bool:
    """In mode auto label 9 alone is taken as a whole."""
    return options.mode == "whole" or (options.mode == "auto" and label == 9)


def box_of(mask: np.ndarray, shape: tuple[int, int], margin: int = 4) -> Box:
    rows, columns = np.nonzero(mask)
    box = Box(rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
    return Box(*(int(v) for v in box.expand(margin).clip(shape)))
