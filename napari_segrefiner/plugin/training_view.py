"""What the training's controller may ask of whatever shows its dock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from napari_segrefiner.plugin.training_data import LayerPair
from napari_segrefiner.plugin.training_folder import RunLook
from napari_segrefiner.plugin.training_history import History
from napari_segrefiner.plugin.view import Tone
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training.examples import Example


@dataclass(frozen=True)
class TrainChoices:
    """What is chosen in the dock: `data` or `pairs`, the other one is None."""

    data: Path | None
    pairs: tuple[LayerPair, ...] | None
    options: TrainOptions


class TrainView(Protocol):
    """The dock, seen from the controller."""

    def folder(self) -> Path | None:
        """The chosen run folder."""

    def read(self) -> TrainChoices:
        """The other choices; raises OptionError or InputError if they are none."""

    def show_running(self, is_running: bool) -> None:
        """Switch between ready and at work; at work, tick the controller."""

    def show_stopping(self) -> None:
        """Tell on the button that the next press ends the process."""

    def show_run(self, look: RunLook | None) -> None:
        """Offer what can be done with the chosen run folder."""

    def show_progress(self, share: float | None, text: str) -> None:
        """Show the share that is done, None if it cannot be told, with a short text."""

    def show_message(self, text: str, tone: Tone) -> None:
        """Show one sentence."""

    def show_history(self, history: History) -> None:
        """Show curves and table."""

    def show_examples(self, examples: Sequence[tuple[str, Example]]) -> None:
        """Show the newest validation windows."""

    def show_notes(self, notes: Sequence[str]) -> None:
        """List what the training has noticed."""

    def hand_over(self, model: str) -> None:
        """Choose a new model in the refine dock."""
