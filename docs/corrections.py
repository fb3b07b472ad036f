"""Measure the table of what learning from corrections gives (docs/guide/training.md).

    python docs/corrections.py DATA

DATA holds the validation sets. Their masks are made coarse by a generator that no model
learnt from, and refined by the default model. Some objects of each case are corrected,
by the truth where the model got them wrong; the others of the set show what that gave.
One line of the table after the other is printed; it takes some minutes each.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_segrefiner import load_model, refine
from napari_segrefiner.evaluation.coarse_sets import CoarsePlan, make_coarse_sets
from napari_segrefiner.metrics import iou
from napari_segrefiner.training import corrections
from napari_segrefiner.training.events import LearningDone

if TYPE_CHECKING:
    from napari_segrefiner.models.checkpoint import Model

Labels = npt.NDArray[Any]

#: Set, its name in the table, and how many of its objects are corrected.
CASES = (
    ("axons", "axons", 16),
    ("axons", "axons", 7),
    ("plant_cells", "plant cells", 16),
    ("nuinsseg_oesophagus", "nuclei in tissue", 8),
    ("dsb2018_stained", "stained nuclei", 16),
    ("dsb2018_fluo", "fluorescent nuclei", 16),
)
#: Objects of a set, and steps of learning: the same on a fast and on a slow machine.
LIMIT, STEPS = 100, 80
#: IoU with the truth from which on the hand accepts an object as it came.
ACCEPTED = 0.92


class View(NamedTuple):
    """A picture with its coarse, true and refined labels; equal numbers belong."""

    image: npt.NDArray[Any]
    coarse: Labels
    truth: Labels
    refined: Labels
    ids: tuple[int, ...]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    model = load_model("default")
    verdicts: list[bool] = []
    judge = corrections.is_worth_keeping

    def keep_all(done: LearningDone) -> bool:
        """The verdict is noted; what was learnt is handed over in any case."""
        verdicts.append(judge(done))
        return True

    corrections.is_worth_keeping = keep_all
    corrections._Lesson._affordable = lambda *_: STEPS
    print("| corrected (edited + accepted) | edited, held back: before, after ", end="")
    print("| others: before, after | kept |\n| --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        sets = make_coarse_sets(
            Path(folder),
            CoarsePlan(data=str(data), split="val", kinds=("mixed",), limit=LIMIT),
        )
        views = {one.name: seen(one, model) for one in sets}
    for name, title, n in CASES:
        chosen = first(views[name], n)
        *_, done = corrections.learn([correction(*one) for one in chosen], model)
        assert isinstance(done, LearningDone)
        assert done.model is not None
        taken = {(id(view), label) for view, ids in chosen for label in ids}
        others = [
            (view, tuple(k for k in view.ids if (id(view), k) not in taken))
            for view in views[name]
        ]
        n_right = sum(right(view, k) for view, ids in chosen for k in ids)
        n_others = sum(len(ids) for _, ids in others)
        print(
            f"| {n} {title} ({n - n_right} + {n_right}) "
            f"| {done.before:.3f}, {done.after:.3f} "
            f"| {n_others}: {mean_iou(others, model):.3f}, "
            f"{mean_iou(others, done.model):.3f} "
            f"| {'yes' if verdicts[-1] else 'no'} |".replace(" 0.", " ."),
            flush=True,
        )


def seen(one: Any, model: Model) -> list[View]:
    """Pictures of a coarse set as the model refines them."""
    views = []
    for stem in one.stems:
        image, coarse = one.read(stem)
        refined = refine(image, coarse.labels, model=model).labels
        ids = tuple(int(k) for k in np.unique(coarse.labels) if k)
        views.append(View(image, coarse.labels, coarse.truth, refined, ids))
    return views


def first(views: Sequence[View], n: int) -> list[tuple[View, tuple[int, ...]]]:
    """The first `n` objects, from as few pictures as hold them."""
    chosen = []
    for view in views:
        ids = view.ids[:n]
        n -= len(ids)
        if ids:
            chosen.append((view, ids))
    return chosen


def right(view: View, label: int) -> bool:
    """Whether an object counts as accepted as it came."""
    return iou(view.refined == label, view.truth == label) >= ACCEPTED


def correction(view: View, ids: tuple[int, ...]) -> corrections.Correction:
    """What the hand has made of the refined labels: the truth of those not accepted."""
    fine = np.zeros_like(view.truth)
    for label in ids:
        source = view.refined if right(view, label) else view.truth
        fine[source == label] = label
    return corrections.Correction(view.image, view.coarse, fine, ids)


def mean_iou(chosen: Sequence[tuple[View, tuple[int, ...]]], model: Model) -> float:
    """Mean IoU with the truth of objects that `model` refines."""
    found = []
    for view, ids in chosen:
        if ids:
            labels = refine(view.image, view.coarse, model=model, ids=ids).labels
            found += [iou(labels == k, view.truth == k) for k in ids]
    return float(np.mean(found))


if __name__ == "__main__":
    main()
