"""The sentences of the training dock."""

from __future__ import annotations

import re
from pathlib import Path

from napari_segrefiner.options import specs
from napari_segrefiner.plugin.controls import title
from napari_segrefiner.plugin.messages import time_left
from napari_segrefiner.plugin.training_folder import RunLook
from napari_segrefiner.plugin.view import Tone
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training.events import (
    Progress,
    Stopped,
    TrainDone,
    TrainStarted,
    Validated,
)
from napari_segrefiner.wording import listed

READY = "Choose images with true labels, then press Start."
WRITING = "Writing the layers into the run folder…"
STARTING = "Starting; the data are read and the model is scored first…"
STOPPING = "Stopping after this iteration; press again to end at once."
CANCELLING = "Stopping once the layers are written…"
CANCELLED = "Stopped before the training began; Start begins it."
NO_FOLDER = "No data are chosen; name a folder that holds images/ and labels/."
NO_RUN = "No run folder is chosen; name a new folder for the model, or press New."


def unfinished(run: Path, iteration: int, iterations: int, data: str) -> str:
    """The offer to go on with a run."""
    of = f" of {iterations:,}" if iterations else ""
    return (
        f"The training '{run.name}' stopped at iteration {iteration:,}{of}. Resume "
        f"goes on with its options and {data}; New begins another one."
    )


def finished(run: Path, iteration: int) -> str:
    """The sentence on a run folder that is complete."""
    return (
        f"The training '{run.name}' is complete ({iteration:,} iterations); press New "
        "to begin another one."
    )


def learning(event: TrainStarted) -> str:
    """The sentence when the first iteration begins."""
    names = list(event.sets[:4])
    more = len(event.sets) - len(names)
    if more:
        names.append(f"{more} more set{'s' if more > 1 else ''}")
    return f"Learning from {listed(names)}."


def validated(event: Validated) -> str:
    """The sentence after a validation."""
    if not event.scores:
        return f"Iteration {event.iteration:,}: nothing to validate with; kept."
    mean = event.mean
    kept = "; the best so far" if event.is_best else ""
    if mean.refined < mean.coarse:  # a young network does harm
        kept += ", not yet a gain" if kept else "; not yet a gain"
    return (
        f"Iteration {event.iteration:,}: IoU {mean.coarse:.3f} before, "
        f"{mean.refined:.3f} after refinement{kept}."
    )


def offer(look: RunLook | None) -> tuple[str, Tone]:
    """The sentence on a run folder, with its tone."""
    if look is None or look.state == "free":
        return READY, "busy"
    if look.state == "finished":
        return finished(look.folder, look.iteration), "done"
    data = look.config.data if look.config is not None else ""
    text = unfinished(look.folder, look.iteration, look.iterations, data)
    return text, "notice"


def progress(event: Progress, minutes: float) -> tuple[float | None, str]:
    """The share that is done, None while that is unknown, and a short text."""
    if event.iterations:
        share = min(event.iteration / event.iterations, 1.0)
        left, of = event.remaining, f" of {event.iterations:,}"
    elif minutes:
        # A guess until the iterations are known; only those can be complete.
        share = min(event.seconds / 60 / minutes, 0.99)
        left, of = minutes * 60 - event.seconds, ""
    else:
        return None, ""
    time = f"  ·  {time_left(left)}" if left > 0 else ""  # NaN: unknown
    return min(share, 1.0), f"{event.iteration:,}{of}{time}"


def done(event: TrainDone) -> str:
    """The sentence at the end."""
    early = ", as validations got no better" if event.is_early else ""
    head = f"Done after {event.iterations:,} iterations{early}"
    if event.best_iteration == 0:
        return (
            f"{head}; no validation was better than the model that it began with, so "
            "there is no new one."
        )
    where = (
        f"the model '{event.name}' is ready in the SegRefiner dock"
        if event.name
        else f"the model is {event.model}"
    )
    return f"{head}; {where}. {event.limits}".rstrip()


def stopped(event: Stopped, best: Path) -> str:
    """The sentence after Stop."""
    return (
        f"Stopped at iteration {event.iteration:,}; Resume goes on. The best model so "
        f"far is {best}."
    )


def killed(iteration: int | None) -> str:
    """The sentence after the second press of Stop."""
    if iteration is None:
        return "Ended at once, before the first checkpoint."
    return f"Ended at once; Resume goes on from iteration {iteration:,}."


def failed(code: int | None, complaint: str, can_resume: bool) -> str:
    """The sentence when the process has ended early.

    Examples
    --------
    >>> failed(-9, "", True)
    'The training process was ended from outside (signal 9), perhaps for want of \
memory; Resume goes on from the last checkpoint.'
    """
    if code is not None and code < 0:
        text = (
            f"The training process was ended from outside (signal {-code}), perhaps "
            "for want of memory"
        )
        return text + (
            "; Resume goes on from the last checkpoint." if can_resume else "."
        )
    return in_words(complaint) or f"The training process ended with code {code}."


def in_words(sentence: str) -> str:
    """Flags of the command line as the names that they have in the dock.

    Examples
    --------
    >>> in_words("Choose a lower --learning-rate, or continue with --resume.")
    'Choose a lower “Learning rate”, or continue with Resume.'
    """
    names = {spec.flag: f"“{title(spec)}”" for spec in specs(TrainOptions)}
    names |= {"--resume": "Resume", "--init": "“Start from”"}
    return re.sub(r"--[a-z][a-z-]*", lambda m: names.get(m[0], m[0]), sentence)
