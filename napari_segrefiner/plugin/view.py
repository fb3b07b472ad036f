"""What the controller may ask of whatever shows the dock; tests put a mock here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from napari_segrefiner.options import RefineOptions
from napari_segrefiner.plugin.engine import ModelFacts

if TYPE_CHECKING:
    from napari.layers import Image, Labels

Target = Literal["new layer", "into this layer"]
#: ``busy`` work goes on, ``done`` it went well, ``notice`` the user should read it.
Tone = Literal["busy", "done", "notice"]
#: What is at work: a run on one object or on many, or a model learns.
Job = Literal["object", "objects", "learning"]


@dataclass(frozen=True)
class Choices:
    """What is chosen in the dock.

    ``channel`` is one channel of an image with a channel axis, None all of them;
    ``slider`` the axis of the labels whose planes are all refined, None the displayed
    plane alone; ``show_windows`` whether a Shapes layer shows where windows lie.
    """

    image: Image | None
    labels: Labels | None
    channel: int | None
    slider: int | None
    model: str
    options: RefineOptions
    target: Target
    show_windows: bool = False


class View(Protocol):
    """The dock, seen from the controller; showing must not change any choice."""

    def read(self) -> Choices:
        """The choices at this moment."""

    def show_job(self, job: Job | None) -> None:
        """Switch between ready (None) and at work; at work, tick the controller."""

    def show_progress(self, share: float | None, text: str) -> None:
        """Show the share that is done, None if it cannot be told, with a short text."""

    def show_message(self, text: str, tone: Tone) -> None:
        """Show one sentence."""

    def show_facts(self, facts: ModelFacts) -> None:
        """Show what is known of the loaded model."""

    def show_model(self, name: str) -> None:
        """Offer a new model and choose it, as if the user had."""

    def show_review(self, can_review: bool) -> None:
        """Offer or withhold what needs a result."""

    def count_soon(self) -> None:
        """Have the controller count the corrected objects after a moment."""

    def show_counts(self, n_corrected: int, n_others: int) -> None:
        """Show how many objects are corrected, and how many could be refined again."""
