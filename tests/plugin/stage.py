"""A controller without a window: a viewer model, a mock view, work done on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import Mock

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_segrefiner.options import RefineOptions
from napari_segrefiner.plugin.controller import Controller
from napari_segrefiner.plugin.view import Choices, View
from napari_segrefiner.plugin.worker import Work, WorkerEvent, guarded
from tests.plugin.fake_engine import FakeEngine


def squares(shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    """Labels 2, 5 and 9, apart from each other."""
    labels = np.zeros(shape, np.uint16)
    labels[8:16, 8:18] = 2
    labels[30:40, 10:20] = 5
    labels[20:32, 50:64] = 9
    return labels


class SteppedWork:
    """Work that is done an event at a time, when the test says so."""

    def __init__(
        self,
        work: Work,
        on_event: Callable[[WorkerEvent], None],
        on_end: Callable[[], None],
    ) -> None:
        self.cancelled = threading.Event()
        self._events: Iterator[WorkerEvent] = guarded(work, self.cancelled)
        self._on_event, self._on_end = on_event, on_end
        self.has_ended = False

    def cancel(self) -> None:
        self.cancelled.set()

    def step(self, n: int = 1) -> None:
        for _ in range(n):
            if self.has_ended:
                return
            try:
                event = next(self._events)
            except StopIteration:
                self.has_ended = True
                self._on_end()
                return
            self._on_event(event)

    def finish(self) -> None:
        while not self.has_ended:
            self.step()


@dataclass
class SteppedRunner:
    """Hands out work; `is_eager` does it at once."""

    is_eager: bool = False
    works: list[SteppedWork] = field(default_factory=list)

    def start(self, work: Work, on_event: Any, on_end: Any) -> SteppedWork:
        stepped = SteppedWork(work, on_event, on_end)
        self.works.append(stepped)
        if self.is_eager:
            stepped.finish()
        return stepped


class Stage:
    """Everything around one controller."""

    def __init__(self, image: np.ndarray, labels: np.ndarray, **layer: Any) -> None:
        self.viewer = ViewerModel()
        self.image = Image(image, name="picture", rgb=image.shape[-1] == 3)
        self.labels = Labels(labels, name="cells", **layer)
        self.viewer.layers.extend([self.image, self.labels])
        self.engine = FakeEngine()
        self.runner = SteppedRunner()
        self.view = Mock(spec=View)
        self.choices = Choices(
            image=self.image,
            labels=self.labels,
            channel=None,
            slider=None,
            model="default",
            options=RefineOptions(),
            target="new layer",
        )
        self.view.read.side_effect = lambda: self.choices
        self.controller = Controller(self.viewer, self.view, self.engine, self.runner)

    def choose(self, **changes: Any) -> None:
        self.choices = replace(self.choices, **changes)

    @property
    def work(self) -> SteppedWork:
        """What was started last."""
        return self.runner.works[-1]

    def run(self) -> None:
        """Refine all, to the end."""
        self.controller.refine()
        self.work.finish()

    def point_at(self, *position: float) -> None:
        """Put the cursor somewhere, in world coordinates."""
        self.viewer.cursor.position = position

    @property
    def message(self) -> str:
        """The last sentence shown."""
        return str(self.view.show_message.call_args.args[0])

    @property
    def tone(self) -> str:
        """Its tone."""
        return str(self.view.show_message.call_args.args[1])

    @property
    def result(self) -> Labels:
        """The one result layer."""
        (layer,) = (x for x in self.viewer.layers if "refined" in x.name)
        return layer
