"""The end of a run: its best model becomes one of the user's models."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.catalogue import entries
from napari_segrefiner.models.checkpoint import read_model
from napari_segrefiner.models.install import install_model, remove_model
from napari_segrefiner.training.run_state import has_model, is_of_run
from napari_segrefiner.training.start import choose_name

if TYPE_CHECKING:
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
    if not has_model(config, counters) or not run.writes:
        return ""
    model = read_model(run.best)
    name = model.card.name
    known = {entry.name: entry for entry in entries()}
    try:
        if name in known and is_of_run(known[name], config):
            remove_model(name)
        elif name in known:
            name = choose_name("", run.path)
        card = dataclasses.replace(model.card, name=name)
        install_model(card, model.network.state_dict(), half=True)
    except ModelError as error:
        logger.warning("The model stays in %s alone. %s", run.best, error)
        return ""
    return name
