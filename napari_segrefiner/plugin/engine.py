"""The refiner as the dock sees it: something that yields events; torch comes late."""

from __future__ import annotations

import dataclasses
import itertools
import re
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_segrefiner.core.events import Event
from napari_segrefiner.errors import MissingExtraError
from napari_segrefiner.options import RefineOptions
from napari_segrefiner.training.correction_data import Correction
from napari_segrefiner.training.events import LearningDone, LearningEvent

if TYPE_CHECKING:
    from napari_segrefiner.models.checkpoint import Model

#: End of the names of models that were corrected, and letters that may come before it.
SUFFIX_LEARNT, MOST_LETTERS = "-corrected", 40


@dataclass(frozen=True)
class ModelFacts:
    """What the dock shows of a loaded model.

    ``defaults`` holds the values that stand behind None in the options.
    """

    name: str
    description: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Added:
    """A model that has joined the user's; ``notes`` are sentences to be read."""

    name: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Learnt:
    """A model has learnt; ``name`` in the user's models, empty if it is no better."""

    name: str
    sentence: str


class Engine(Protocol):
    """What a run needs; all methods are called in a worker thread."""

    def add_model(self, path: str) -> Added:
        """Check a weight file and put it into the user's models."""

    def warm(self, model: str, options: RefineOptions) -> ModelFacts:
        """Load a model and everything that the first run would wait for."""

    def learn(
        self, model: str, options: RefineOptions, corrections: Sequence[Correction]
    ) -> Generator[LearningEvent | Learnt, None, None]:
        """Teach a model; at the end ``Learnt`` instead of ``LearningDone``."""

    def steps(
        self,
        model: str,
        options: RefineOptions,
        image: npt.NDArray[Any],
        labels: npt.NDArray[Any],
    ) -> Iterator[Event]:
        """Refine one (Y, X) plane; the events of core.events."""


@dataclass(frozen=True)
class _Loaded:
    """A model in memory, and of which file it is.

    ``in_use`` is held by whoever works with it: preparing the network for a run moves
    its weights, and another thread that computes with them then would crash.
    """

    stamp: tuple[Path, int]
    model: Model
    in_use: threading.Lock = field(default_factory=threading.Lock)


class PackagedEngine:
    """The engine of this package; each model is read once and kept."""

    def __init__(self) -> None:
        self._models: dict[str, _Loaded] = {}
        # The model is warmed in one worker while a run may ask for it in another.
        self._lock = threading.Lock()

    def add_model(self, path: str) -> Added:
        """Import a weight file; where its name is taken, a number makes it free."""
        check_torch()
        from napari_segrefiner.models.import_model import import_model

        imported = import_model(path, free_name(Path(path)))
        return Added(imported.name, imported.notes)

    def warm(self, model: str, options: RefineOptions) -> ModelFacts:
        """Load the model, then refine one made-up square: the first pass is slow."""
        from napari_segrefiner.models.card import resolve

        card = self._loaded(model).model.card
        image = np.zeros((64, 64), np.uint8)
        image[16:48, 16:48] = 200
        short = dataclasses.replace(options, steps=1)
        for _ in self.steps(model, short, image, (image > 0).astype(np.uint8)):
            pass
        return ModelFacts(
            name=card.name,
            description=card.description,
            defaults=dataclasses.asdict(resolve(options, card)),
        )

    def learn(
        self, model: str, options: RefineOptions, corrections: Sequence[Correction]
    ) -> Generator[LearningEvent | Learnt, None, None]:
        """Teach a model; if it is no worse, it joins the user's models."""
        loaded = self._loaded(model)
        from napari_segrefiner.training.corrections import learn

        with loaded.in_use, spared_core():
            for event in learn(
                corrections, loaded.model, options=options, device=options.device
            ):
                if isinstance(event, LearningDone):
                    name = _keep(event.model, model, corrections)
                    yield Learnt(name, event.sentence)
                else:
                    yield event

    def steps(
        self,
        model: str,
        options: RefineOptions,
        image: npt.NDArray[Any],
        labels: npt.NDArray[Any],
    ) -> Iterator[Event]:
        """Refine one plane with the package's refiner."""
        loaded = self._loaded(model)
        from napari_segrefiner.core.refiner import Refiner

        with loaded.in_use, spared_core():
            yield from Refiner(loaded.model, options).steps(image, labels)

    def _loaded(self, name: str) -> _Loaded:
        """The loaded model."""
        check_torch()
        from napari_segrefiner.models.catalogue import find_model, load_model

        weights = find_model(name)
        # Another file may have come under the same name.
        stamp = (weights, weights.stat().st_mtime_ns)
        with self._lock:
            known = self._models.get(name)
            if known is None or known.stamp != stamp:
                known = self._models[name] = _Loaded(stamp, load_model(name))
            return known


def free_name(path: Path) -> str | None:
    """A name for the model in a file if its own is taken; None if that is free.

    The published models keep theirs: a second file of one is a mistake to be told.
    """
    from napari_segrefiner.models.catalogue import entries
    from napari_segrefiner.models.files import SUFFIX, find_card
    from napari_segrefiner.models.import_model import as_name
    from napari_segrefiner.models.published import published

    card = find_card(path) if path.suffix == SUFFIX and path.is_file() else None
    name = as_name(path.stem if card is None else card.name)
    taken = {entry.name for entry in entries()}
    return None if name not in taken or name in published() else _numbered(name, taken)


def _numbered(name: str, taken: set[str]) -> str:
    """The name with a number that makes it free."""
    return next(
        candidate
        for number in itertools.count(2)
        if (candidate := f"{name}-{number}") not in taken
    )


def _keep(learnt: Model | None, old: str, corrections: Sequence[Correction]) -> str:
    """Put what was learnt into the user's models; its name, empty if there is none.

    A model that was corrected before gets a higher number, not a longer name.
    """
    if learnt is None:
        return ""
    from napari_segrefiner.models.catalogue import entries
    from napari_segrefiner.models.files import SUFFIX
    from napari_segrefiner.models.install import install_model

    path = Path(old)
    stem = path.stem if path.suffix == SUFFIX else old
    name = re.sub(rf"{SUFFIX_LEARNT}(-\d+)?$", "", stem)[:MOST_LETTERS] + SUFFIX_LEARNT
    taken = {entry.name for entry in entries()}
    if name in taken:
        name = _numbered(name, taken)
    images = list(dict.fromkeys(one.name for one in corrections))
    n_objects = sum(len(one.ids) for one in corrections)
    card = dataclasses.replace(
        learnt.card,
        name=name,
        description=(
            f"{old}, taught by {n_objects} corrected objects of {', '.join(images)}."
        ),
        data={"objects": n_objects, "images": images},
    )
    install_model(card, learnt.network.state_dict(), half=True)
    return name


class _Spared:
    """Who leaves a core to the window, and the number of threads before the first."""

    lock = threading.Lock()
    n_users = 0
    n_threads = 0


@contextmanager
def spared_core() -> Iterator[None]:
    """Leave one core to the window.

    The number of threads is one for the whole process, so the last one to leave sets it
    back.
    """
    import torch

    from napari_segrefiner.core.device import threads_beside_a_window

    with _Spared.lock:
        if not _Spared.n_users:
            _Spared.n_threads = torch.get_num_threads()
            torch.set_num_threads(threads_beside_a_window())
        _Spared.n_users += 1
    try:
        yield
    finally:
        with _Spared.lock:
            _Spared.n_users -= 1
            if not _Spared.n_users:
                torch.set_num_threads(_Spared.n_threads)


def check_torch() -> None:
    """Import torch, or say in one sentence how to get it.

    Raises
    ------
    MissingExtraError
        If it is not installed, or does not load (on Windows an OSError).
    """
    try:
        import torch  # noqa: F401
    except (ImportError, OSError) as error:
        message = (
            f"PyTorch cannot be imported ({error}). Install it with: pip install "
            "torch, then start napari again."
        )
        raise MissingExtraError(message) from error
