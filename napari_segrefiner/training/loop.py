"""A training from its data to its model: a generator of typed events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_segrefiner.errors import (
    CollapseError,
    DeviceError,
    InputError,
    ModelError,
    OptionError,
    SegRefinerError,
)
from napari_segrefiner.io.datasets import find_sets, fingerprint
from napari_segrefiner.train_options import TrainOptions, known
from napari_segrefiner.training.batches import (
    Draws,
    TrainingBatches,
    iterate_batches,
    large_batch,
)
from napari_segrefiner.training.distributed import Team, assembled
from napari_segrefiner.training.events import (
    Event,
    Progress,
    Saved,
    Stopped,
    TrainDone,
    TrainStarted,
)
from napari_segrefiner.training.finish import install_best
from napari_segrefiner.training.judge import Judge
from napari_segrefiner.training.learner import (
    Learner,
    measure_precision,
    rate_at,
)
from napari_segrefiner.training.progress import MEASURED, Clock, Recorder
from napari_segrefiner.training.run_lock import alone_in
from napari_segrefiner.training.run_state import (
    LOG,
    VALIDATION,
    Counters,
    RunConfig,
    RunFolder,
    is_installed,
)
from napari_segrefiner.training.sources import (
    Held,
    count_workers,
    held_back,
    training_samples,
)
from napari_segrefiner.training.start import device_of, start

if TYPE_CHECKING:
    from napari_segrefiner.core.denoiser import Arithmetic
    from napari_segrefiner.network import DenoisingUNet
    from napari_segrefiner.options import Precision
    from napari_segrefiner.training.sources import CountedSource

logger = logging.getLogger(__name__)


def train(
    data: Path,
    folder: Path,
    options: TrainOptions,
    *,
    resume: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Train a model; drain the generator to the end, or close it to stop.

    Under torchrun, every process calls this with the same arguments, and they train one
    network together.

    Parameters
    ----------
    data : Path
        Data set or sets, see :func:`napari_segrefiner.io.datasets.find_sets`.
    folder : Path
        Run folder: checkpoint, log, curves, pictures, and the model so far.
    options : TrainOptions
        When a run is resumed, its stored options hold; of these only ``iterations``,
        ``workers``, ``threads``, ``device`` and ``checkpoint_minutes`` may differ. None
        is as stored.
    resume : bool
        Continue the run in `folder`; an empty one starts.
    should_stop : callable
        Asked after every iteration; when it says True, the run saves its state and
        ends. With several processes this is the way to stop, as they have to agree.

    Yields
    ------
    Event
        After closing, a checkpoint of the last iteration lies in the folder.

    Raises
    ------
    InputError
        If the data, or the folder, cannot be used.
    OptionError
        If the folder holds a run and `resume` is False, another process trains there,
        or options contradict each other or the run.
    CollapseError
        If the loss is not finite or the predictions are dead; the checkpoint stays.
    DeviceError
        If the device is missing or out of memory.
    """
    with assembled(device_of(RunFolder(folder), options)) as team:
        run = RunFolder(folder, writes=team.is_first)
        try:
            run.make()
            with alone_in(run):
                yield from _alone(run, data, options, resume, should_stop, team)
        except torch.OutOfMemoryError as error:
            message = (
                "The device is out of memory; choose a smaller --at-once, which "
                "changes no result, or a smaller --batch-size."
            )
            raise DeviceError(message) from error
        except RuntimeError as error:
            message = (
                f"The training stopped: {error}. Its last checkpoint is kept; continue "
                "with --resume, with --workers 0 if a worker process has ended. (In a "
                "script, workers need train() under if __name__ == '__main__'.)"
            )
            raise SegRefinerError(message) from error


def _alone(
    run: RunFolder,
    data: Path,
    options: TrainOptions,
    resume: bool,
    should_stop: Callable[[], bool],
    team: Team,
) -> Generator[Event, None, None]:
    """The training once the folder is held: nobody else writes there from here on."""
    is_new, training = not run.is_used, None
    try:
        config, network = start(run, data, options, resume=resume, team=team)
        counters = run.read_counters() if run.has_state else Counters()
        if resume and options.iterations not in (None, counters.iterations):
            counters.iterations = known(options.iterations)
            counters.stale = 0  # a longer run is given time for its gains
        if counters.is_complete:
            name = ""
            if not is_installed(config, counters):
                name = install_best(run, config, counters)
            yield TrainDone(
                counters.iteration, run.best, name, counters.best_iteration, False
            )
            return
        training = _Training(
            run, config, data, network, counters, team, should_stop, is_new=is_new
        )
        yield from training.events()
    except (InputError, OptionError, ModelError):
        has_begun = training is not None and training.has_begun
        if is_new and not has_begun:  # a model or data that do not fit
            run.forget()
        raise


class _Training:
    """One run between its start and its end."""

    def __init__(
        self,
        run: RunFolder,
        config: RunConfig,
        data: Path,
        network: DenoisingUNet,
        counters: Counters,
        team: Team,
        should_stop: Callable[[], bool],
        *,
        is_new: bool,
    ) -> None:
        self.run = run
        self.config = config
        self.options = config.options
        self.data = data
        self.network = network
        self.counters = counters
        self.team = team
        self.should_stop = should_stop
        self.is_new = is_new
        self.has_begun = False
        self.is_sound = True

    def events(self) -> Generator[Event, None, None]:
        """The run itself, from its counters on."""
        options, counters, run = self.options, self.counters, self.run
        if options.threads:
            torch.set_num_threads(options.threads)
        clock = Clock(counters, known(options.checkpoint_minutes))
        train_sets = find_sets(self.data, "train", options.exclude)
        self._note_data(fingerprint(train_sets))
        told: set[str] = set()
        samples = training_samples(train_sets, options, run.path, told)
        batches = TrainingBatches(samples, self._draws())
        held = Held([], "")
        if run.writes:
            held = held_back(self.data, train_sets, self.config, run.path, told)
        learner = self._learner(batches)
        judge = Judge(run, self.config, held, _facts(self.data, samples, options))
        self._restore(learner)
        self.has_begun = True
        yield TrainStarted(
            sets=samples.names,
            iteration=counters.iteration,
            iterations=counters.iterations,
            precision=learner.precision,
            folder=run.path,
            processes=self.team.size,
        )
        if judge.is_due(counters):
            yield judge.judge(learner, counters)
        self._keep(learner, judge)
        clock.begin()
        recorder = Recorder(run)
        workers = count_workers(known(options.workers), self.team)
        stream = iterate_batches(batches, counters.iteration, workers)
        is_early = bool(self.team.agree(judge.has_enough(counters)))
        try:
            while not counters.is_finished and not is_early:
                yield self._learn(learner, next(stream), recorder, clock)
                is_stopped = self.team.any(self.should_stop())
                is_validated = judge.is_due(counters)
                if is_validated:
                    recorder.write_row()  # the curves that are drawn go as far
                    yield judge.judge(learner, counters)
                    is_early = bool(self.team.agree(judge.has_enough(counters)))
                self._keep(learner, judge)
                if is_validated or clock.is_checkpoint_due():
                    # Of a killed run, the curves go as far as it can be resumed.
                    recorder.write_row()
                    run.save(learner, counters)
                    judge.draw(counters)
                    yield Saved(counters.iteration)
                if is_stopped and not counters.is_finished:
                    yield Stopped(counters.iteration)
                    return
        finally:
            try:  # the checkpoint first: workers may be in the midst of a batch
                if self.is_sound:
                    self._save(learner, judge, recorder, is_early=is_early)
            finally:
                stream.close()
        name = install_best(run, self.config, counters)
        yield TrainDone(
            counters.iteration,
            run.best,
            name,
            counters.best_iteration,
            is_early,
            held.limits,
        )

    def _note_data(self, found: str) -> None:
        """Say so if a run goes on with other files than it began with."""
        counters = self.counters
        if counters.data not in ("", found) and self.run.writes:
            logger.warning(
                "Files in %s have been added, removed or changed since the last "
                "checkpoint; the run goes on with them as they are now.",
                self.data,
            )
        counters.data = found

    def _learn(
        self, learner: Learner, batch: Any, recorder: Recorder, clock: Clock
    ) -> Progress:
        """One iteration."""
        options, counters = self.options, self.counters
        rate = rate_at(
            counters.iteration,
            counters.iterations,
            highest=known(options.learning_rate),
            final=known(options.final_rate),
            warm_up=known(options.warm_up),
            milestones=known(options.milestones),
        )
        result = learner.learn(batch, counters.iteration, rate)
        self.is_sound = recorder.is_sound(result)
        if not self.is_sound:
            raise CollapseError(recorder.complaint(self.run.path))
        counters.iteration += 1
        clock.tick()
        if not counters.iterations and counters.iteration >= MEASURED:
            fitting = clock.iterations_in(
                known(options.minutes), known(options.iterations)
            )
            counters.iterations = int(self.team.agree(fitting))
        return recorder.progress(result, counters, rate, clock)

    def _keep(self, learner: Learner, judge: Judge) -> None:
        """Keep the model for good if its iteration was asked for."""
        counters = self.counters
        if counters.iteration in known(self.options.keep):
            card = judge.card(learner, counters)
            self.run.keep(learner, card, counters.iteration)

    def _save(
        self, learner: Learner, judge: Judge, recorder: Recorder, *, is_early: bool
    ) -> None:
        """Leave a folder that can be read and resumed, however the run has ended.

        A step that was cut off leaves the last checkpoint.
        """
        run, counters = self.run, self.counters
        recorder.write_row()
        if is_early:
            counters.iterations = counters.iteration
        if learner.reached == counters.iteration:
            if counters.best_iteration < 0:
                # Stopped before the first validation: better this model than none.
                run.save_best(learner, judge.early_card(learner, counters))
            run.save(learner, counters)
        judge.draw(counters)

    def _learner(self, batches: TrainingBatches) -> Learner:
        options, counters = self.options, self.counters
        self.network.to(self.team.device)
        if counters.precision is None:
            counters.precision = self._precision(batches)
        return Learner(
            self.network,
            weight_decay=known(options.weight_decay),
            clip=known(options.clip),
            ema=known(options.ema),
            precision=counters.precision,
            at_once=known(options.at_once),
            team=self.team,
        )

    def _restore(self, learner: Learner) -> None:
        """Continue from the checkpoint, or begin; what was told beyond it goes."""
        run, counters = self.run, self.counters
        if not self.is_new:
            run.trim(LOG, counters.iteration if run.has_state else -1)
            run.trim(VALIDATION, counters.validated)
        if run.has_state:
            run.restore(learner)
        elif not self.options.minutes or known(self.options.iterations) <= MEASURED:
            counters.iterations = known(self.options.iterations)
        self.team.wait()

    def _precision(self, batches: TrainingBatches) -> Arithmetic:
        wanted: Precision = known(self.options.precision)
        if wanted != "auto":
            return wanted
        found: Arithmetic = "float32"
        if self.team.is_first:
            at_once = known(self.options.at_once)
            found = measure_precision(self.network, batches[0], at_once)
        is_half = self.team.agree(float(found == "bfloat16"))
        return "bfloat16" if is_half else "float32"

    def _draws(self) -> Draws:
        options, team = self.options, self.team
        team.share(known(options.batch_size))
        large = large_batch(known(options.batch_size))
        if options.large_share and large % team.size:
            message = (
                f"--batch-size is {options.batch_size}, so that a batch of large "
                f"windows has {large}; a multiple of the {team.size} processes is "
                "expected, or --large-share 0."
            )
            raise OptionError(message)
        return Draws(
            seed=options.seed,
            batch_size=known(options.batch_size),
            own_share=known(options.own_share),
            own_after=known(options.own_after),
            map_dropout=known(options.map_dropout),
            large_share=known(options.large_share),
            uniform_index=known(options.uniform_index),
            normalisation=self.config.card.normalisation,
            rank=team.rank,
            size=team.size,
        )


def _facts(data: Path, samples: CountedSource, options: TrainOptions) -> dict[str, Any]:
    """What the card says about the data: names and numbers, no paths."""
    return {
        "name": data.resolve().name,
        "sets": samples.counts,
        "left_out": list(options.exclude),
    }
