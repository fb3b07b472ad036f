"""A training from its data to its model: a generator of typed events."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from napari_segrefiner.core.device import choose_device
from napari_segrefiner.errors import (
    CollapseError,
    DeviceError,
    InputError,
    OptionError,
    SegRefinerError,
)
from napari_segrefiner.io.datasets import find_sets
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.catalogue import load_model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import SMALL
from napari_segrefiner.training.batches import (
    Draws,
    TrainingBatches,
    iterate_batches,
)
from napari_segrefiner.training.events import (
    Event,
    Saved,
    TrainDone,
    TrainStarted,
    Validated,
)
from napari_segrefiner.training.learner import (
    Arithmetic,
    Learner,
    measure_precision,
    rate_at,
)
from napari_segrefiner.training.progress import Clock, Recorder
from napari_segrefiner.training.run_state import (
    LOG,
    VALIDATION,
    Counters,
    RunConfig,
    RunFolder,
)
from napari_segrefiner.training.samples import SampleOptions, Samples
from napari_segrefiner.training.validate import Windows, draw_windows, validate

if TYPE_CHECKING:
    from napari_segrefiner.options import TrainOptions

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

#: ``init`` that stands for fresh weights.
FRESH = "none"
#: A validation this much lower than the best one (IoU) does not replace the kept model.
SCORE_NOISE = 0.005
#: Seed of validation windows: the same in every run, other than any training's.
VALIDATION_SEED = 715_517


def train(
    data: Path, folder: Path, options: TrainOptions, *, resume: bool = False
) -> Generator[Event, None, None]:
    """Train a model; drain the generator to the end, or close it to stop.

    Parameters
    ----------
    data : Path
        Folder with one or several sets, see :func:`napari_segrefiner.io.datasets`.
    folder : Path
        Run folder: checkpoint, log, and the model so far.
    options : TrainOptions
        When a run is resumed, its stored options hold; of these only ``iterations``,
        ``workers``, ``threads``, ``device`` and ``checkpoint_minutes`` count.
    resume : bool
        Continue the run in `folder`; an empty one starts.

    Yields
    ------
    Event
        After closing, a checkpoint of the last iteration lies in the folder.

    Raises
    ------
    InputError
        If the data, or the folder, cannot be used.
    OptionError
        If the folder holds a run and `resume` is False.
    CollapseError
        If the loss is not finite or the predictions are dead; the checkpoint stays.
    DeviceError
        If the device is missing or out of memory.
    """
    run = RunFolder(folder)
    config, network = _prepare(run, data, options, resume)
    counters = run.read_counters() if run.has_state else Counters()
    if resume and options.iterations is not None:
        counters.iterations = options.iterations
    if counters.is_finished:
        yield TrainDone(counters.iterations, run.best)
        return
    try:
        yield from _run(run, data, config.options, network, counters)
    except torch.OutOfMemoryError as error:
        message = "The device is out of memory; choose a smaller --batch-size."
        raise DeviceError(message) from error
    except RuntimeError as error:
        message = (
            f"The training stopped: {error}. Its last checkpoint is kept; continue "
            "with --resume, with --workers 0 if a worker process has ended."
        )
        raise SegRefinerError(message) from error


def _prepare(
    run: RunFolder, data: Path, options: TrainOptions, resume: bool
) -> tuple[RunConfig, DenoisingUNet]:
    """Read or write the run's configuration; the network has its first weights."""
    if run.is_used and not resume:
        message = (
            f"{run.path} holds a training already; continue it with --resume, or "
            "choose another folder."
        )
        raise OptionError(message)
    if run.has_state:
        config = run.read_config()
        kept = {
            name: getattr(options, name)
            for name in ("workers", "threads", "device", "checkpoint_minutes")
        }
        stored = dataclasses.replace(config.options, **kept)
        config = dataclasses.replace(config, options=stored)
        return config, DenoisingUNet(config.network)
    options = options.resolved()
    network = _first_network(options)
    config = RunConfig(str(data.resolve()), options, network.config)
    run.write_config(config)
    return config, network


def _first_network(options: TrainOptions) -> DenoisingUNet:
    """Fresh weights from the seed, or those of the model to start from."""
    if options.init not in (None, FRESH):
        return load_model(options.init).network.requires_grad_(True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        return DenoisingUNet(SMALL)


def _run(
    run: RunFolder,
    data: Path,
    options: TrainOptions,
    network: DenoisingUNet,
    counters: Counters,
) -> Generator[Event, None, None]:
    """The training itself, from `counters` on."""
    if options.threads:
        torch.set_num_threads(options.threads)
    network.to(choose_device(options.device))
    samples = Samples(
        find_sets(data, "train", options.exclude),
        seed=options.seed,
        window=options.window,
    )
    batches = TrainingBatches(samples, _draws(options))
    checks = _validation_sets(data, options)
    if counters.precision is None:
        counters.precision = _precision(options, network, batches)
    learner = Learner(
        network,
        weight_decay=options.weight_decay,
        clip=options.clip,
        ema=options.ema,
        precision=counters.precision,
    )
    if run.has_state:
        counters = dataclasses.replace(
            run.restore(learner), iterations=counters.iterations
        )
        for name in (LOG, VALIDATION):
            run.trim(name, counters.iteration)
    elif not options.minutes:
        counters.iterations = _known(options.iterations)
    yield TrainStarted(
        sets=tuple(name for name, _ in samples.sets),
        iteration=counters.iteration,
        iterations=counters.iterations,
        precision=learner.precision,
        folder=run.path,
    )
    recorder = Recorder(run)
    clock = Clock(counters, options.checkpoint_minutes)
    stream = iterate_batches(batches, counters.iteration, options.workers)
    is_sound = True
    try:
        while not counters.is_finished:
            batch = next(stream)
            rate = rate_at(
                counters.iteration,
                counters.iterations,
                highest=_known(options.learning_rate),
                final=options.final_rate,
                warm_up=_known(options.warm_up),
            )
            result = learner.learn(batch, counters.iteration, rate)
            is_sound = recorder.is_sound(result)
            if not is_sound:
                raise CollapseError(recorder.complaint(run.path))
            counters.iteration += 1
            clock.tick(options.minutes)
            yield recorder.progress(result, counters, rate, clock)
            is_time = counters.iteration % options.validate_every == 0
            is_validated = is_time or counters.is_finished
            if is_validated:
                yield _validate(run, learner, checks, counters, options)
            if is_validated or clock.is_checkpoint_due():
                recorder.write_row()
                run.save(learner, counters)
                yield Saved(counters.iteration)
    finally:
        stream.close()
        if is_sound:
            # Also where the generator is closed: that is how a training is stopped.
            recorder.write_row()
            run.save(learner, counters)
            if not run.best.exists():
                run.save_best(learner, _card(run, options, learner, counters))
    yield TrainDone(counters.iterations, run.best)


def _validate(
    run: RunFolder,
    learner: Learner,
    checks: list[Windows],
    counters: Counters,
    options: TrainOptions,
) -> Validated:
    """Score the mean network, keep it as the model unless it got clearly worse."""

    def network(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        with torch.autocast(
            x.device.type, torch.bfloat16, enabled=learner.precision == "bfloat16"
        ):
            logits: torch.Tensor = learner.mean_network(x, index)
        return logits.float()

    scores = validate(network, checks, device=learner.device)
    for score in scores:
        row = {"iteration": counters.iteration, **dataclasses.asdict(score)}
        run.append(VALIDATION, row)
    reached = (scores[-1].one_step + scores[-1].two_steps) / 2 if scores else 0.0
    if reached >= counters.best_score - SCORE_NOISE:
        counters.best_score = max(reached, counters.best_score)
        run.save_best(learner, _card(run, options, learner, counters))
    return Validated(counters.iteration, scores)


def _known(value: T | None) -> T:
    """A resolved option."""
    if value is None:
        message = "The options are not resolved; call TrainOptions.resolved() first."
        raise OptionError(message)
    return value


def _draws(options: TrainOptions) -> Draws:
    return Draws(
        seed=options.seed,
        batch_size=options.batch_size,
        own_share=options.own_share,
        own_after=_known(options.own_after),
        map_dropout=options.map_dropout,
    )


def _validation_sets(data: Path, options: TrainOptions) -> list[Windows]:
    """Fixed windows of every set's validation side, left-out sets included."""
    if not options.validation_windows:
        return []
    try:
        found = find_sets(data, "val")
    except InputError as error:
        _LOG.warning("The training goes without validation: %s", error)
        return []
    n = max(1, options.validation_windows // len(found))
    only_real = SampleOptions(composite_share=0.0)
    return [
        draw_windows(
            one.name,
            Samples(
                [one], seed=VALIDATION_SEED, window=options.window, options=only_real
            ),
            n,
            VALIDATION_SEED,
        )
        for one in found
    ]


def _precision(
    options: TrainOptions, network: DenoisingUNet, batches: TrainingBatches
) -> Arithmetic:
    if options.precision == "auto":
        return measure_precision(network, batches[0])
    return options.precision


def _card(
    run: RunFolder, options: TrainOptions, learner: Learner, counters: Counters
) -> ModelCard:
    """Facts of the model as far as the training knows them."""
    return ModelCard(
        name=run.path.resolve().name,
        description="Trained by napari-segrefiner train.",
        licence="As its training data allow.",
        network=learner.network.config,
        recipe={**dataclasses.asdict(options), **dataclasses.asdict(counters)},
    )
