"""A training's folder: options, checkpoint, log and the model that it has made so far.

Every file is written beside its place and renamed, so that a process killed at any time
leaves a folder that can be resumed. The whole state is one file: its parts always fit.
Torch is imported where weights are read or written: docks look at runs without it.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from napari_segrefiner.errors import InputError, ModelError
from napari_segrefiner.io.atomic import whole_file
from napari_segrefiner.models.card import ModelCard, as_tuples
from napari_segrefiner.models.catalogue import entries
from napari_segrefiner.models.files import BEST
from napari_segrefiner.network_config import NetworkConfig
from napari_segrefiner.train_options import NONE, TrainOptions
from napari_segrefiner.training.run_lock import LOCK

if TYPE_CHECKING:
    from torch import Tensor

    from napari_segrefiner.core.denoiser import Arithmetic
    from napari_segrefiner.models.catalogue import Entry
    from napari_segrefiner.training.learner import Learner

CONFIG = "config.json"
STATE = "state.safetensors"
LOG = "log.csv"
VALIDATION = "validation.csv"
#: Names of sets that are no UTF-8 come back as they were.
NAMES = "surrogateescape"
KEPT = "kept"

MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass
class Counters:
    """Scalars of a run.

    ``iteration``: done so far. ``iterations``: planned, 0 while not known. ``seconds``
    spent. ``precision`` once chosen. Of the model in ``best.safetensors``:
    ``best_score`` and ``best_worse``, its validation (IoU, share of windows made
    worse), and ``best_iteration``, -1 while there is none. ``highest``: the highest
    score ever. ``stale``: validations since it was reached. ``validated``: iteration of
    the last validation, -1 before the first. ``data``: digest of the files that are
    learnt from, empty while not known.
    """

    iteration: int = 0
    iterations: int = 0
    seconds: float = 0.0
    precision: Arithmetic | None = None
    best_score: float = 0.0
    best_worse: float = 1.0
    best_iteration: int = -1
    highest: float = 0.0
    stale: int = 0
    validated: int = -1
    data: str = ""

    @property
    def is_finished(self) -> bool:
        """All planned iterations are done."""
        return 0 < self.iterations <= self.iteration

    @property
    def is_complete(self) -> bool:
        """So is their validation."""
        return self.is_finished and self.validated == self.iteration


@dataclass(frozen=True)
class RunConfig:
    """What a run was started with.

    ``card`` holds what is known of the model before it is trained; ``run_id`` tells a
    model of this run from others of its name.
    """

    data: str
    options: TrainOptions
    card: ModelCard
    run_id: str = ""


class RunFolder:
    """The files of one training.

    Parameters
    ----------
    path : Path
        Need not exist.
    writes : bool
        False in all but the first of several processes: nothing is written then.
    """

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path = path
        self.writes = writes

    @property
    def best(self) -> Path:
        """The model to refine with."""
        return self.path / BEST

    @property
    def is_used(self) -> bool:
        """A training was started here."""
        return (self.path / CONFIG).exists() or self.has_state

    @property
    def has_state(self) -> bool:
        """There is a checkpoint to resume from."""
        return (self.path / STATE).exists()

    def make(self) -> None:
        """Make the folder, if it is not there yet.

        Raises
        ------
        InputError
            If it cannot be made.
        """
        if not self.writes:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self.unwritable(error) from error

    def write_config(self, config: RunConfig) -> None:
        """Make the folder and store what the run was started with."""
        if not self.writes:
            return
        self.make()
        text = json.dumps(dataclasses.asdict(config), indent=1)
        try:
            with self._whole(CONFIG) as part:
                part.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise self.unwritable(error) from error

    def forget(self) -> None:
        """Leave no trace of a run that could not start: the next one may be right."""
        if not self.writes:
            return
        with suppress(OSError):  # what else is in the folder stays
            (self.path / CONFIG).unlink(missing_ok=True)
            (self.path / LOCK).unlink(missing_ok=True)
            self.path.rmdir()

    def read_config(self) -> RunConfig:
        """What the run was started with.

        Raises
        ------
        InputError
            If the file is missing or not what :meth:`write_config` writes.
        """
        path = self.path / CONFIG
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            return RunConfig(
                data=entries["data"],
                # Options that are younger than the file come from its preset.
                options=TrainOptions(**as_tuples(entries["options"])).resolved(),
                card=self._read_card(entries),
                run_id=entries.get("run_id", ""),
            )
        except (OSError, ValueError, TypeError, KeyError, ModelError) as error:
            message = (
                f"{path} is not the configuration of a training ({error}); start a new "
                "run in another folder."
            )
            raise InputError(message) from error

    def _read_card(self, entries: dict[str, Any]) -> ModelCard:
        if "card" in entries:
            return ModelCard.from_json(json.dumps(entries["card"]))
        # A run of the first version, which knew one kind of card.
        return ModelCard(
            name=self.path.resolve().name,
            description="Trained by napari-segrefiner train.",
            licence="As its training data allow.",
            network=NetworkConfig(**as_tuples(entries["network"])),
        )

    def save(self, learner: Learner, counters: Counters) -> None:
        """Write the checkpoint: weights, their mean, moments, scale and counters."""
        if not self.writes:
            return
        from napari_segrefiner.models.checkpoint import write_tensors

        tensors = _named("network", learner.network.state_dict())
        if learner.mean_network is not learner.network:
            tensors |= _named("mean", learner.mean_network.state_dict())
        for name, parameter in learner.network.named_parameters():
            moments = learner.optimizer.state.get(parameter, {})
            tensors |= {
                f"{key}.{name}": moments[key] for key in MOMENTS if key in moments
            }
        plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        entries = dataclasses.asdict(counters) | {
            "steps": learner.steps_taken,
            "scaler": learner.scaler.state_dict(),
        }
        metadata = {"counters": json.dumps(entries)}
        try:
            with self._whole(STATE) as part:
                write_tensors(part, plain, metadata)
        except (OSError, SafetensorError) as error:
            raise self.unwritable(error) from error

    def read_counters(self) -> Counters:
        """The counters of the checkpoint alone."""
        return self._counters()[0]

    def restore(self, learner: Learner) -> Counters:
        """Put the checkpoint's state into `learner` (in place); returns the counters.

        Raises
        ------
        InputError
            If the checkpoint is damaged or of another network.
        """
        import torch

        counters, steps, scaler = self._counters()
        try:
            with safe_open(self.path / STATE, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            learner.network.load_state_dict(_part("network", tensors))
            if learner.mean_network is not learner.network:
                learner.mean_network.load_state_dict(_part("mean", tensors))
            learner.scaler.load_state_dict(scaler)
            learner.reached = counters.iteration
        except (OSError, SafetensorError, RuntimeError) as error:
            raise self._damaged(error) from error
        moments = {key: _part(key, tensors) for key in MOMENTS}
        for name, parameter in learner.network.named_parameters():
            if name not in moments[MOMENTS[0]]:
                continue
            learner.optimizer.state[parameter] = {
                # the fused AdamW keeps its step counter where the weights are
                "step": torch.tensor(float(steps), device=parameter.device),
                **{
                    # same layout as the weights: AdamW walks through both at once
                    key: torch.empty_like(parameter).copy_(moments[key][name])
                    for key in MOMENTS
                },
            }
        return counters

    def save_best(self, learner: Learner, card: ModelCard) -> None:
        """Write the mean network as the model to refine with."""
        self._save_model(self.best, learner, card, half=True)

    def keep(self, learner: Learner, card: ModelCard, iteration: int) -> None:
        """Write the mean network in full precision, to stay for good."""
        path = self.path / KEPT / f"{iteration}.safetensors"
        self._save_model(path, learner, card, half=False)

    def kept(self) -> list[Path]:
        """The models that stay for good, by iteration."""
        found = (self.path / KEPT).glob("*.safetensors")
        numbered = [path for path in found if path.stem.isdigit()]
        return sorted(numbered, key=lambda path: int(path.stem))

    def _save_model(
        self, path: Path, learner: Learner, card: ModelCard, *, half: bool
    ) -> None:
        if not self.writes:
            return
        from napari_segrefiner.models.checkpoint import save_model

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            weights = learner.mean_network.state_dict()
            save_model(path, weights, card, half=half, is_only_writer=True)
        except (OSError, SafetensorError) as error:
            raise self.unwritable(error) from error

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Add a row to a CSV file, with a header if it is new."""
        if not self.writes:
            return
        path = self.path / name
        try:
            columns = self._columns(name)
            if columns and columns != list(row):
                # Written by another version; what it did not know stays empty.
                self._rewrite(
                    name, self.rows(name), list(dict(row) | dict.fromkeys(columns))
                )
                columns = self._columns(name)
            with path.open("a", newline="", encoding="utf-8", errors=NAMES) as file:
                writer = csv.DictWriter(file, columns or list(row))
                if not columns:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise self.unwritable(error) from error

    def trim(self, name: str, iteration: int) -> None:
        """Drop rows of a CSV file beyond `iteration`: they will be written again."""
        columns = self._columns(name)
        if not columns or not self.writes:
            return
        rows = [row for row in self.rows(name) if _is_up_to(row, iteration)]
        try:
            self._rewrite(name, rows, columns)
        except OSError as error:
            raise self.unwritable(error) from error

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a CSV file; none if it is not there."""
        path = self.path / name
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8", errors=NAMES) as file:
            return list(csv.DictReader(file))

    def _columns(self, name: str) -> list[str]:
        path = self.path / name
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8", errors=NAMES) as file:
            return next(csv.reader(file), [])

    def _rewrite(
        self, name: str, rows: list[dict[str, Any]], columns: list[str]
    ) -> None:
        with (
            self._whole(name) as part,
            part.open("w", newline="", encoding="utf-8", errors=NAMES) as file,
        ):
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    def _whole(self, name: str) -> AbstractContextManager[Path]:
        """A file to write to; one process at a time trains in the folder."""
        return whole_file(self.path / name, is_only_writer=True)

    def _counters(self) -> tuple[Counters, int, dict[str, Any]]:
        """The counters, the optimiser's steps and the state of float16's scale."""
        try:
            with safe_open(self.path / STATE, framework="numpy") as file:
                entries = json.loads(file.metadata()["counters"])
            steps, scaler = entries.pop("steps"), entries.pop("scaler", {})
            # Of a checkpoint that does not say so, all validations count as done.
            entries.setdefault("validated", entries["iteration"])
            return Counters(**entries), steps, scaler
        except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{self.path / STATE} is not the checkpoint of this training ({error}); "
            "start a new run in another folder."
        )

    def unwritable(self, error: Exception) -> InputError:
        """The error that says why the folder cannot be written, and what to do."""
        return InputError(
            f"The run folder {self.path} cannot be written ({error}); make room or "
            "choose another one. A run that was stopped continues with --resume."
        )


def is_done(config: RunConfig, counters: Counters) -> bool:
    """Whether nothing is left to do: the run is complete, and its model installed."""
    return counters.is_complete and is_installed(config, counters)


def is_installed(config: RunConfig, counters: Counters) -> bool:
    """Whether a model of the run is in the user's catalogue, or is not to go there."""
    if not has_model(config, counters) or not config.run_id:  # of none it can be told
        return True
    return any(is_of_run(entry, config) for entry in entries())


def has_model(config: RunConfig, counters: Counters) -> bool:
    """Whether the run has a model of its own that is to go into the catalogue."""
    return config.options.name != NONE and counters.best_iteration > 0


def is_of_run(entry: Entry, config: RunConfig) -> bool:
    """Whether a model of the catalogue was made by the run."""
    try:
        recipe: Any = entry.card.recipe
    except ModelError:
        return False
    is_same = isinstance(recipe, dict) and recipe.get("run") == config.run_id
    return is_same and bool(config.run_id) and entry.is_own


def _named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _part(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = prefix + "."
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }


def _is_up_to(row: Mapping[str, str | None], iteration: int) -> bool:
    """False also for a row that was cut off by a kill."""
    number = row.get("iteration") or ""
    is_whole = None not in row.values()
    return is_whole and number.isdigit() and int(number) <= iteration
