"""The end of a run: its best model becomes one of the user's models."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.catalogue import entries
from napari_segrefiner.models.checkpoint import read_model
from napari_segrefiner.models.install import install_model, remove_model
from napari_segrefiner.train_options import NONE
from napari_segrefiner.training.start import choose_name

if TYPE_CHECKING:
    from napari_segrefiner.models.catalogue import Entry
    from napari_segrefiner.training.run_state import Counters, RunConfig, RunFolder

logger = logging.getLogger(__name__)


def install_best(run: RunFolder, config: RunConfig, counters: Counters) -> str:
    """Put the best model of a finished run into the user's catalogue.

    An earlier model of the same run is replaced. If the catalogue cannot take it, the
    run is complete all the same: that is logged, and the model stays in its folder.

    Returns
    -------
    str
        The model's name there; empty if it was not to go there, is no better than the
        one that the run started from, or could not.
    """
    is_wanted = config.options.name != NONE and counters.best_iteration > 0
    if not is_wanted or not run.writes:
        return ""
    model = read_model(run.best)
    name = model.card.name
    known = {entry.name: entry for entry in entries()}
    try:
        if name in known and _is_of_run(known[name], config):
            remove_model(name)
        elif name in known:
            name = choose_name("", run.path)
        card = dataclasses.replace(model.card, name=name)
        install_model(card, model.network.state_dict(), half=True)
    except ModelError as error:
        logger.warning("The model stays in %s alone. %s", run.best, error)
        return ""
    return name


def is_installed(config: RunConfig) -> bool:
    """Whether a model of the run is in the user's catalogue, or is not to go there."""
    if config.options.name == NONE or not config.run_id:  # of none it can be told
        return True
    return any(_is_of_run(entry, config) for entry in entries())


def _is_of_run(entry: Entry, config: RunConfig) -> bool:
    try:
        recipe: Any = entry.card.recipe
    except ModelError:
        return False
    is_same = isinstance(recipe, dict) and recipe.get("run") == config.run_id
    return is_same and bool(config.run_id) and entry.is_own
