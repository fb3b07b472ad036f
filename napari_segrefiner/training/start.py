"""What a training starts from: its configuration and its first weights."""

from __future__ import annotations

import dataclasses
import logging
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_segrefiner.errors import InputError, ModelError, OptionError
from napari_segrefiner.models.card import Grids, ModelCard
from napari_segrefiner.models.catalogue import load_model
from napari_segrefiner.models.files import BEST
from napari_segrefiner.models.install import check_name
from napari_segrefiner.models.published import card_of_published_kind
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import SMALL, NetworkConfig
from napari_segrefiner.train_options import NONE, TrainOptions, known
from napari_segrefiner.training.curves import CURVES
from napari_segrefiner.training.examples import EXAMPLES
from napari_segrefiner.training.run_state import (
    KEPT,
    LOG,
    VALIDATION,
    RunConfig,
    RunFolder,
)

if TYPE_CHECKING:
    from napari_segrefiner.models.checkpoint import Model
    from napari_segrefiner.options import Device
    from napari_segrefiner.training.distributed import Team

logger = logging.getLogger(__name__)

#: The small network of the published kind (method 8), for trials and tests.
REDUCED = NetworkConfig(
    widths=(32, 32, 64, 64), blocks_down=1, blocks_up=2, attention_strides=(4, 8)
)
#: Options that may be different when a run goes on: they change no result.
CHANGEABLE = ("iterations", "workers", "threads", "device", "checkpoint_minutes")


def start(
    run: RunFolder, data: Path, options: TrainOptions, *, resume: bool, team: Team
) -> tuple[RunConfig, DenoisingUNet]:
    """Read or write the run's configuration; the network has its first weights.

    Raises
    ------
    OptionError
        If the folder holds a run and `resume` is False, or the options contradict each
        other or the run.
    InputError
        If the model to start from, or the folder, cannot be used.
    """
    is_used, has_state = run.is_used, run.has_state
    if is_used and not resume:
        message = (
            f"{run.path} holds a training already; continue it with --resume, or "
            "choose another folder."
        )
        raise OptionError(message)
    if not is_used:
        _check_files(run)
    team.wait()  # before the first process writes what the others look for
    if is_used:
        config = run.read_config()
        config = dataclasses.replace(config, options=_continued(config, options))
        if Path(config.data) != data.resolve():
            logger.warning(
                "The run began with %s and goes on with %s.", config.data, data
            )
        if has_state:
            return config, DenoisingUNet(config.card.network)
        options = config.options  # ended before its first checkpoint: it begins anew
    config, network = _first(run, data, options)
    run.write_config(config)
    team.wait()
    return config, network


def _check_files(run: RunFolder) -> None:
    """Refuse a folder with files of no training that this one would replace."""
    names = (BEST, Path(BEST).with_suffix(".json").name, LOG, VALIDATION, CURVES)
    for name in (*names, EXAMPLES, KEPT):
        if (run.path / name).exists():
            message = (
                f"{run.path / name} is of no training here, and would be replaced; "
                "choose another folder."
            )
            raise InputError(message)


def device_of(run: RunFolder, options: TrainOptions) -> Device:
    """The device that is asked for, or else that of the run or the preset.

    Raises
    ------
    InputError
        If the run's configuration cannot be read.
    """
    if options.device is None:
        options = run.read_config().options if run.is_used else options.resolved()
    return known(options.device)


def _continued(config: RunConfig, options: TrainOptions) -> TrainOptions:
    """The run's own options, with those of now that change no result."""
    stored, unset = config.options, TrainOptions()
    for item in dataclasses.fields(TrainOptions):
        value = getattr(options, item.name)
        is_same = value in (getattr(unset, item.name), getattr(stored, item.name))
        if item.name not in CHANGEABLE and not is_same:
            flag = "--" + item.name.replace("_", "-")
            message = (
                f"{flag} is {value} but the run was started with "
                f"{getattr(stored, item.name)}; leave it out, or start a new run."
            )
            raise OptionError(message)
    given = {name: getattr(options, name) for name in CHANGEABLE}
    changed = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(stored, **changed)


def _first(
    run: RunFolder, data: Path, options: TrainOptions
) -> tuple[RunConfig, DenoisingUNet]:
    filled = options.resolved()
    name = choose_name(options.name, run.path)
    if filled.init == NONE:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(filled.seed)
            card = _fresh_card(name, filled)
            network = DenoisingUNet(card.network)
    else:
        model = find_start(known(filled.init), filled)
        if options.window is None and filled.crops == "windows":
            # Networks that know one grid only are taught on that grid.
            filled = dataclasses.replace(filled, window=model.card.grids.base)
        card = _card_from(model, name)
        network = model.network.requires_grad_(True)
    multiple = card.network.multiple
    if known(filled.window) % multiple:
        message = (
            f"window is {filled.window}; this network takes multiples of {multiple} px."
        )
        raise OptionError(message)
    run_id = secrets.token_hex(6)
    return RunConfig(str(data.resolve()), filled, card, run_id), network


def _fresh_card(name: str, options: TrainOptions) -> ModelCard:
    facts: dict[str, Any] = {
        "description": f"Trained by napari-segrefiner train, preset {options.preset}.",
        "licence": "As its training data allow.",
        "source": "Trained from fresh weights.",
    }
    if options.network == "default":
        return ModelCard(name=name, network=SMALL, **facts)
    network = NetworkConfig() if options.network == "published" else REDUCED
    card = card_of_published_kind(name, network, **facts)
    side = known(options.window)
    grids = Grids(side, side, network.multiple, float(side))
    return dataclasses.replace(card, grids=grids)


def _card_from(model: Model, name: str) -> ModelCard:
    """Normalisation, grids and defaults of the model, but nothing of its past."""
    return ModelCard(
        name=name,
        description=f"{model.name}, trained further by napari-segrefiner train.",
        licence=f"That of {model.name} ({model.card.licence}), and as the data allow.",
        network=model.card.network,
        normalisation=model.card.normalisation,
        grids=model.card.grids,
        defaults=model.card.defaults,
        source=f"Trained from {model.origin}. {model.card.source}".strip(),
        citation=model.card.citation,
    )


def find_start(init: str, options: TrainOptions) -> Model:
    """The model to start from: of the catalogue, a file, or of a run's folder.

    Preset ``paper-hr`` takes the kept checkpoint of a run, the others its best model.

    Raises
    ------
    InputError
        If the run has no such model.
    ModelError
        If there is no such model, or it is damaged.
    """
    run = RunFolder(Path(init))
    if not run.is_used:
        return load_model(init)
    if options.preset != "paper-hr":
        if not run.best.exists():
            message = f"The run {run.path} has no model yet; let it train for longer."
            raise InputError(message)
        return load_model(run.best)
    kept = run.kept()
    if not kept:
        reached = run.read_counters().iteration if run.has_state else 0
        message = (
            f"The run {run.path} has kept no checkpoint (it is at iteration "
            f"{reached}); let it train on, or name a model file with --init."
        )
        raise InputError(message)
    return load_model(kept[-1])


def choose_name(wanted: str, folder: Path) -> str:
    """The model's name: as wanted, or that of the run's folder with a number if taken.

    Raises
    ------
    OptionError
        If the wanted name is taken or no name.
    """
    if wanted and wanted != NONE:
        try:
            check_name(wanted)
        except ModelError as error:
            raise OptionError(str(error)) from error
        return wanted
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._")[:56]
    stem = stem or "model"
    for number in range(1, 10_000):
        name = stem if number == 1 else f"{stem}-{number}"
        if wanted == NONE or _is_free(name):
            break
    return name


def _is_free(name: str) -> bool:
    try:
        check_name(name)
    except ModelError:
        return False
    return True
