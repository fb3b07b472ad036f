"""The mean of models' weights: often steadier than each of them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

import torch

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.checkpoint import Model


def average_models(models: Sequence[Model]) -> Model:
    """Give a network the mean of the weights of several.

    It makes sense for models that were trained further from one another: they lie so
    near to each other that their mean is a good network too.

    Parameters
    ----------
    models : sequence of Model
        At least one, all of the same network and normalisation.

    Returns
    -------
    Model
        With the first one's card, whose source and licence name all. It has no
        metrics: nobody has measured the mean yet.

    Raises
    ------
    ModelError
        If their networks or normalisations differ.
    """
    first = models[0]
    for other in models[1:]:
        for what in ("network", "normalisation"):
            if getattr(other.card, what) != getattr(first.card, what):
                message = (
                    f"{first.name} and {other.name} differ in their {what}; models of "
                    "the same kind are expected for a mean."
                )
                raise ModelError(message)
    states = [model.network.state_dict() for model in models]
    network = copy.deepcopy(first.network)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            tensor.copy_(torch.stack([state[name].float() for state in states]).mean(0))
    names = ", ".join(model.origin for model in models)
    card = dataclasses.replace(
        first.card,
        source=f"Mean of the weights of {names}. {first.card.source}".strip(),
        licence="; ".join(dict.fromkeys(model.card.licence for model in models)),
        metrics=None,
        sha256="",
    )
    return Model(network, card)
