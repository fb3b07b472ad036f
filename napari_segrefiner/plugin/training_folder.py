"""What the folder of a run holds: nothing yet, or a training that can go on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_segrefiner.errors import InputError, SegRefinerError
from napari_segrefiner.training.run_state import RunConfig, RunFolder, is_done

#: Name of the setting that remembers the last run folder.
LAST_RUN = "training_run"

State = Literal["free", "unfinished", "finished"]


@dataclass(frozen=True)
class RunLook:
    """What a run folder holds.

    ``free``: no checkpoint, so a training can start there; ``is_begun`` tells that one
    has failed before its first. ``finished``: all is validated and the model installed.
    ``config`` is known where there is a checkpoint.
    """

    folder: Path
    state: State
    is_begun: bool = False
    iteration: int = 0
    iterations: int = 0
    config: RunConfig | None = None


def look_at(folder: Path) -> RunLook:
    """What a run folder holds; torch is not needed.

    Raises
    ------
    InputError
        If it is a file, cannot be read, or holds a damaged run.
    """
    run = RunFolder(folder)
    try:
        is_file = folder.exists() and not folder.is_dir()
        has_state, is_used = run.has_state, run.is_used
    except (OSError, ValueError) as error:
        message = f"{folder} cannot be read ({error}); name another folder for the run."
        raise InputError(message) from error
    if is_file:
        message = f"{folder} is a file; name a folder for the run."
        raise InputError(message)
    if not has_state:
        return RunLook(folder, "free", is_begun=is_used)
    counters, config = run.read_counters(), run.read_config()
    return RunLook(
        folder,
        "finished" if is_done(config, counters) else "unfinished",
        is_begun=True,
        iteration=counters.iteration,
        iterations=counters.iterations,
        config=config,
    )


def is_unfinished(folder: Path) -> bool:
    """Whether a remembered run can go on; a damaged one is nothing to offer."""
    try:
        return look_at(folder).state == "unfinished"
    except SegRefinerError:
        return False
