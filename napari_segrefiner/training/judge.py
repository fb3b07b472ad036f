"""Which model of a run is kept: validations, their pictures, the best one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_segrefiner.core.denoiser import autocast
from napari_segrefiner.io.atomic import write_whole
from napari_segrefiner.train_options import NONE, known
from napari_segrefiner.training.curves import draw_curves
from napari_segrefiner.training.events import Validated
from napari_segrefiner.training.examples import EXAMPLES, Example, write_examples
from napari_segrefiner.training.run_state import VALIDATION, Counters, RunFolder
from napari_segrefiner.training.tiles import (
    COARSE,
    FINE,
    REFINED,
    Row,
    draw_rows,
    outlined,
    overlap,
)
from napari_segrefiner.training.validate import (
    SHOWN,
    Validation,
    validate,
)

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from napari_segrefiner.models.card import Defaults, ModelCard
    from napari_segrefiner.training.events import SetScore
    from napari_segrefiner.training.learner import Learner
    from napari_segrefiner.training.run_state import RunConfig
    from napari_segrefiner.training.sources import Held

#: Validations this close (IoU) count as equal: then less harm decides.
SCORE_NOISE = 0.005
#: What is said of a model that was stopped too early.
NOT_YET = (
    "The model was not validated, because its training was stopped before the first "
    "validation."
)
PICTURES = "pictures"
#: Smallest side of a tile in pictures, px.
TILE = 128


class Judge:
    """Validates, and keeps the best model.

    Parameters
    ----------
    run : RunFolder
    config : RunConfig
    held : Held
        Without windows the newest model is the best; the limits are told by the card.
    data : mapping
        What the card says about the data.
    """

    def __init__(
        self,
        run: RunFolder,
        config: RunConfig,
        held: Held,
        data: Any,
    ) -> None:
        self.run = run
        self.config = config
        self.sets = held.windows
        self.limits = held.limits
        self.data = data
        self._drawn: tuple[int, int] = (-1, -1)

    def judge(self, learner: Learner, counters: Counters) -> Validated:
        """Score the mean network, keep it as the model if it is the best so far."""
        found = self._validate(learner)
        judged = dataclasses.replace(counters, validated=counters.iteration)
        is_best = keeps(judged, found.scores)
        if is_best:
            card = self.card(learner, counters, found.scores)
            self.run.save_best(learner, card)
        for score in found.scores:
            row = {"iteration": counters.iteration, **dataclasses.asdict(score)}
            self.run.append(VALIDATION, row)
        self._draw(found.examples, judged)
        # Last and all at once: what is stopped before this is judged again.
        vars(counters).update(vars(judged))
        return Validated(counters.iteration, found.scores, is_best)

    def is_due(self, counters: Counters) -> bool:
        """Whether a model of this moment is to be judged and has not been.

        One that a run starts from only if there are windows.
        """
        options = self.config.options
        if counters.validated == counters.iteration:
            return False
        if not counters.iteration:
            return bool(self.sets) and options.init != NONE
        is_time = counters.iteration % known(options.validate_every) == 0
        return is_time or counters.is_finished

    def has_enough(self, counters: Counters) -> bool:
        """Whether the run is to end early: no gain for too many validations."""
        patience = known(self.config.options.early_stop)
        return bool(self.sets) and 0 < patience <= counters.stale

    def card(
        self, learner: Learner, counters: Counters, scores: Sequence[SetScore] = ()
    ) -> ModelCard:
        """The card of the model as it is now."""
        return dataclasses.replace(
            self.config.card,
            data=self.data,
            recipe={
                **dataclasses.asdict(self.config.options),
                "run": self.config.run_id,
                "iteration": counters.iteration,
                "iterations": counters.iterations or None,
                "minutes_taken": round(counters.seconds / 60, 1),
                "precision": learner.precision,
                "processes": learner.team.size,
            },
            metrics=_metrics(scores, self.config.card.defaults),
            limits=self.limits,
        )

    def early_card(self, learner: Learner, counters: Counters) -> ModelCard:
        """The card of a model that no validation has seen."""
        card = self.card(learner, counters)
        if not self.sets:
            return card  # its limits say so
        return dataclasses.replace(card, limits=f"{NOT_YET} {self.limits}".strip())

    def draw(self, counters: Counters) -> None:
        """Draw the curves anew."""
        state = counters.iteration, counters.iterations
        if not self.run.writes or state == self._drawn:
            return
        self._drawn = state
        names = ", ".join(self.data["sets"])
        of = f" of {counters.iterations:,}" if counters.iterations else ""
        text = f"iteration {counters.iteration:,}{of}; {names}"
        draw_curves(self.run, _cut(text, 130), counters.best_iteration)

    def _validate(self, learner: Learner) -> Validation:
        if not self.run.writes:
            return Validation((), {})

        def network(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            with autocast(x.device, learner.precision):
                logits: torch.Tensor = learner.mean_network(x, index)
            return logits.float()

        defaults = self.config.card.defaults
        return validate(
            network,
            self.sets,
            device=learner.device,
            steps=defaults.steps,
            last=defaults.last,
            threshold=defaults.threshold,
            batch_size=learner.at_once or 32,
        )

    def _draw(
        self, examples: Mapping[str, Sequence[Example]], counters: Counters
    ) -> None:
        self.draw(counters)
        if not any(examples.values()) or not self.run.writes:
            return
        sheet = draw_rows(
            [row for name, given in examples.items() for row in _rows(name, given)],
            title=f"Iteration {counters.iteration:,}",
            legend=(("coarse", COARSE), ("refined", REFINED), ("truth", FINE)),
            group=3,
        )
        path = self.run.path / PICTURES / f"{counters.iteration:06d}.png"
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise self.run.unwritable(error) from error
        with write_whole(path, overwrite=True) as part:
            sheet.save(part, format="PNG", optimize=True)
        write_examples(self.run.path / EXAMPLES, examples)


def keeps(counters: Counters, scores: Sequence[SetScore]) -> bool:
    """Whether the newest model becomes the kept one; updates `counters` accordingly.

    Without scores the newest always does. Otherwise it has to be clearly better than
    the kept one, or as good within SCORE_NOISE and not more harmful; and never clearly
    below the highest score of the run, so that ties do not lead downhill.
    """
    if not scores:
        counters.best_iteration = counters.iteration
        return True
    score, worse = scores[-1].refined, scores[-1].worse
    is_first = counters.best_iteration < 0
    gain = score - counters.best_score
    is_tie = abs(gain) <= SCORE_NOISE and worse <= counters.best_worse
    is_near_top = score >= counters.highest - SCORE_NOISE
    is_best = is_first or (is_near_top and (gain > SCORE_NOISE or is_tie))
    if is_first or score > counters.highest:
        counters.highest, counters.stale = score, 0
    else:
        counters.stale += 1
    if is_best:
        counters.best_score, counters.best_worse = score, worse
        counters.best_iteration = counters.iteration
    return is_best


def _metrics(scores: Sequence[SetScore], defaults: Defaults) -> Any:
    """Scores as JSON for the card."""
    if not scores:
        return None
    return {
        "what": "mean IoU of validation windows with simulated or real coarse masks, "
        f"{defaults.steps} steps, cut at {defaults.threshold:g}, without guards; "
        "worse: share that lost more than .05, better: that gained more than .02",
        "sets": {
            score.name: {
                name: value if isinstance(value, int) else round(value, 4)
                for name, value in dataclasses.asdict(score).items()
                if name != "name"
            }
            for score in scores
        },
    }


def _rows(name: str, examples: Sequence[Example]) -> list[Row]:
    """SHOWN examples to a row."""
    parts = [examples[i : i + SHOWN] for i in range(0, len(examples), SHOWN)]
    return [_row("" if k else name, part) for k, part in enumerate(parts)]


def _row(name: str, examples: Sequence[Example]) -> Row:
    tiles: list[Image.Image] = []
    captions: list[str] = []
    for one in examples:
        side = max(TILE, min(len(one.picture), 192))
        for mask, colour in (
            (one.coarse, COARSE),
            (one.refined, REFINED),
            (one.fine, FINE),
        ):
            tiles.append(outlined(one.picture, [(mask, colour)], side))
        captions += [
            overlap(one.coarse, one.fine),
            overlap(one.refined, one.fine),
            "",
        ]
    return Row(name, tiles, captions)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
