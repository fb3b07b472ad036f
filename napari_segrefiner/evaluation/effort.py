"""How many points a hurried polygon needs, with refinement and without."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.evaluation.defects import HURRIED_SPREAD, hurried_polygon
from napari_segrefiner.evaluation.perturb import random_for
from napari_segrefiner.metrics import iou
from napari_segrefiner.wording import json_text

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.folders import LeftOut

#: Numbers of points that are drawn.
POINTS = (4, 6, 8, 10, 12, 16, 20, 24)
#: IoU at which saved points are counted.
TARGETS = (0.85, 0.90)

Labels = npt.NDArray[Any]
#: From an image and drawn labels to refined ones.
Refine = Callable[[npt.NDArray[Any], Labels], Labels]


@dataclass(frozen=True)
class Drawing:
    """IoU of some objects of one image, drawn with so many points each."""

    points: int
    drawn: npt.NDArray[np.float64]
    refined: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Effort:
    """Mean IoU by number of points.

    Attributes
    ----------
    points : tuple of int
    drawn, refined : tuple of float
        Mean IoU with so many points.
    n : int
        Objects.
    """

    points: tuple[int, ...]
    drawn: tuple[float, ...]
    refined: tuple[float, ...]
    n: int

    def needed(self, target: float, *, is_refined: bool) -> float:
        """Points for a mean IoU of `target`, between two numbers linearly.

        The least number where even that suffices; NaN where the most does not.
        """
        values = self.refined if is_refined else self.drawn
        best = np.maximum.accumulate(values)
        if target > best[-1]:
            return math.nan
        k = int(np.argmax(best >= target))
        if k == 0:
            return float(self.points[0])
        share = (target - best[k - 1]) / (best[k] - best[k - 1])
        return float(self.points[k - 1] + share * (self.points[k] - self.points[k - 1]))

    def saved(self, target: float) -> float:
        """Points that refinement saves at `target`; NaN where it is not reached."""
        return self.needed(target, is_refined=False) - self.needed(
            target, is_refined=True
        )

    def saved_in_words(self, target: float) -> str:
        """``6.0`` or, where fewer points were not tried, ``at least 6.0``; or nothing.

        Nothing is said where one side is not known, or both are below what was tried.
        """
        plain, refined = (
            self.needed(target, is_refined=side) for side in (False, True)
        )
        fewest, saved = self.points[0], self.saved(target)
        if not math.isfinite(saved) or plain == fewest:
            return ""
        return f"{'at least ' if refined == fewest else ''}{saved:z.1f}"


def draw(
    image: npt.NDArray[Any],
    truth: Labels,
    ids: Sequence[int],
    refine: Refine,
    *,
    points: Sequence[int] = POINTS,
    seed: int = 0,
    name: str = "",
) -> Iterator[Drawing]:
    """Draw objects with each number of points and refine them.

    Parameters
    ----------
    image : array
    truth : (Y, X) integer array
    ids : sequence of int
        Objects to draw; all of them at once, as a user would.
    refine : callable
    points : sequence of int
        Each point is off by a normal error of .03 of the object's size.
    seed, name : int, str
        Decide all that is random.
    """
    for n in points:
        canvas = np.zeros_like(truth)
        for i in ids:
            rng = random_for(f"effort/{seed}/{name}/{i}/{n}")
            mask = hurried_polygon(truth == i, n, rng)
            # As in an editor, a later drawing does not take what is there already.
            canvas[mask & (canvas == 0)] = i
        drawn = [i for i in ids if (canvas == i).any()]
        refined = refine(image, canvas) if drawn else canvas
        yield Drawing(
            n,
            np.array([iou(truth == i, canvas == i) for i in ids]),
            np.array([iou(truth == i, refined == i) for i in ids]),
        )


def summarise(drawings: Sequence[Drawing]) -> Effort:
    """Mean IoU over all objects, by number of points."""
    points = sorted({one.points for one in drawings})
    values = [
        [
            np.concatenate([getattr(one, side) for one in drawings if one.points == n])
            for n in points
        ]
        for side in ("drawn", "refined")
    ]
    means = [tuple(float(v.mean()) for v in side) for side in values]
    n = len(values[0][0]) if points else 0
    return Effort(tuple(points), means[0], means[1], n)


def format_effort(effort: Effort) -> str:
    """IoU by number of points, and the points saved."""
    head = f"{'points':8}" + "".join(f"{n:>7}" for n in effort.points)
    lines = [head]
    for name, values in (("drawn", effort.drawn), ("refined", effort.refined)):
        lines.append(f"{name:8}" + "".join(f"{value:7.3f}" for value in values))
    for target in TARGETS:
        plain, refined = (
            points_text(effort, effort.needed(target, is_refined=side))
            for side in (False, True)
        )
        saved = effort.saved_in_words(target)
        gain = f": {saved} saved" if saved else ""
        lines.append(f"IoU {target:.2f} needs {plain} points, {refined} with{gain}")
    lines.append(
        f"{effort.n} objects; every point is off by {HURRIED_SPREAD:g} of their size."
    )
    return "\n".join(lines)


def points_text(
    effort: Effort, needed: float, *, more: str = "more than", most: str = "at most"
) -> str:
    """A number of points; at the ends of what was tried it is a bound."""
    if not math.isfinite(needed):
        return f"{more} {effort.points[-1]}"
    if needed == effort.points[0]:
        return f"{most} {needed:.0f}"
    return f"{needed:.1f}"


def effort_json(effort: Effort, left_out: Sequence[LeftOut] = ()) -> str:
    """The curves as JSON text; what is not reached is null."""
    content = {
        "points": list(effort.points),
        "drawn": list(effort.drawn),
        "refined": list(effort.refined),
        "n": effort.n,
        "needed": {
            f"{target:.2f}": {
                "drawn": effort.needed(target, is_refined=False),
                "refined": effort.needed(target, is_refined=True),
                "saved": effort.saved(target),
            }
            for target in TARGETS
        },
        "left_out": [asdict(one) for one in left_out],
    }
    return json_text(content)
