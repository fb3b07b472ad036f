"""The mean of models' weights: often steadier than each of them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.card import without_run
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
        With the first one's card, but data, recipes, licences and limits of all where
        they differ. It has no metrics: nobody has measured the mean yet.

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
    limits = [model.card.limits for model in models if model.card.limits]
    card = dataclasses.replace(
        first.card,
        description=_description(models),
        data=_of_all(models, [model.card.data for model in models], "data"),
        recipe=_of_all(
            models, [without_run(model.card.recipe) for model in models], "recipe"
        ),
        limits=" ".join(dict.fromkeys(limits)),
        source=f"Mean of the weights of {names}. {first.card.source}".strip(),
        licence="; ".join(dict.fromkeys(model.card.licence for model in models)),
        metrics=None,
        sha256="",
    )
    return Model(network, card)


def _description(models: Sequence[Model]) -> str:
    texts = list(dict.fromkeys(model.card.description for model in models))
    if len(texts) == 1:
        return texts[0]
    return f"Mean of {len(models)} models. {' '.join(texts)}".strip()


def _of_all(models: Sequence[Model], facts: Sequence[Any], name: str) -> Any:
    """What the cards say: once if they agree, else with the model that it is of."""
    if all(one == facts[0] for one in facts):
        return facts[0]
    return [
        {"model": model.origin, name: one}
        for model, one in zip(models, facts, strict=True)
    ]
