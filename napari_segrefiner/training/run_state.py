"""A training's folder: options, checkpoint, log and the model that it has made so far.

Every file is written beside its place and renamed, so that a process killed at any time
leaves a folder that can be resumed. The whole state is one file: its parts always fit.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_segrefiner.errors import InputError
from napari_segrefiner.models.checkpoint import save_model
from napari_segrefiner.network_config import NetworkConfig
from napari_segrefiner.options import TrainOptions

if TYPE_CHECKING:
    from napari_segrefiner.models.card import ModelCard
    from napari_segrefiner.training.learner import Arithmetic, Learner

CONFIG = "config.json"
STATE = "state.safetensors"
LOG = "log.csv"
VALIDATION = "validation.csv"
BEST = "best.safetensors"

MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass
class Counters:
    """Scalars of a run.

    ``iteration``: done so far. ``iterations``: planned, 0 while not known. ``seconds``
    spent. ``precision`` once chosen. ``best_score``: validation of the kept model.
    """

    iteration: int = 0
    iterations: int = 0
    seconds: float = 0.0
    precision: Arithmetic | None = None
    best_score: float = 0.0

    @property
    def is_finished(self) -> bool:
        """All planned iterations are done."""
        return 0 < self.iterations <= self.iteration


@dataclass(frozen=True)
class RunConfig:
    """What a run was started with."""

    data: str
    options: TrainOptions
    network: NetworkConfig


class RunFolder:
    """The files of one training.

    Parameters
    ----------
    path : Path
        Need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

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

    def write_config(self, config: RunConfig) -> None:
        """Make the folder and store what the run was started with."""
        text = json.dumps(dataclasses.asdict(config), indent=1)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            part = self.path / (CONFIG + ".part")
            part.write_text(text + "\n", encoding="utf-8")
            part.replace(self.path / CONFIG)
        except OSError as error:
            raise self._unwritable(error) from error

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
                options=TrainOptions(**_tuples(entries["options"])),
                network=NetworkConfig(**_tuples(entries["network"])),
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            message = (
                f"{path} is not the configuration of a training ({error}); start a new "
                "run in another folder."
            )
            raise InputError(message) from error

    def save(self, learner: Learner, counters: Counters) -> None:
        """Write the checkpoint: weights, their mean, moments and counters."""
        tensors = {
            **_named("network", learner.network.state_dict()),
            **_named("mean", learner.mean_network.state_dict()),
        }
        for name, parameter in learner.network.named_parameters():
            moments = learner.optimizer.state.get(parameter, {})
            tensors |= {
                f"{key}.{name}": moments[key] for key in MOMENTS if key in moments
            }
        plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        steps = {"steps": learner.steps_taken}
        metadata = {"counters": json.dumps(dataclasses.asdict(counters) | steps)}
        part = self.path / (STATE + ".part")
        try:
            save_file(plain, part, metadata=metadata)
            part.replace(self.path / STATE)
        except (OSError, SafetensorError) as error:
            with suppress(OSError):
                part.unlink()
            raise self._unwritable(error) from error

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
        counters, steps = self._counters()
        try:
            with safe_open(self.path / STATE, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            learner.network.load_state_dict(_part("network", tensors))
            learner.mean_network.load_state_dict(_part("mean", tensors))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise self._damaged(error) from error
        moments = {key: _part(key, tensors) for key in MOMENTS}
        for name, parameter in learner.network.named_parameters():
            if name not in moments[MOMENTS[0]]:
                continue
            learner.optimizer.state[parameter] = {
                "step": torch.tensor(float(steps), device=_step_device(parameter)),
                **{
                    # same layout as the weights: AdamW walks through both at once
                    key: torch.empty_like(parameter).copy_(moments[key][name])
                    for key in MOMENTS
                },
            }
        return counters

    def save_best(self, learner: Learner, card: ModelCard) -> None:
        """Write the mean network as the model to refine with."""
        try:
            save_model(self.best, learner.mean_network.state_dict(), card)
        except (OSError, SafetensorError) as error:
            raise self._unwritable(error) from error

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Add a row to a CSV file, with a header if it is new."""
        path = self.path / name
        try:
            is_new = not path.exists()
            with path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(row))
                if is_new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise self._unwritable(error) from error

    def trim(self, name: str, iteration: int) -> None:
        """Drop rows of a CSV file beyond `iteration`: they will be written again."""
        path = self.path / name
        if not path.exists():
            return
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if _is_up_to(row, iteration)]
            columns = reader.fieldnames or ()
        part = path.with_name(name + ".part")
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        part.replace(path)

    def _counters(self) -> tuple[Counters, int]:
        """The counters and the optimiser's steps."""
        try:
            with safe_open(self.path / STATE, framework="pt") as file:
                entries = json.loads(file.metadata()["counters"])
            steps = entries.pop("steps")
            return Counters(**entries), steps
        except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{self.path / STATE} is not the checkpoint of this training ({error}); "
            "start a new run in another folder."
        )

    def _unwritable(self, error: Exception) -> InputError:
        return InputError(
            f"The run folder {self.path} cannot be written ({error}); make room or "
            "choose another one. A run that was stopped continues with --resume."
        )


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


def _step_device(parameter: Tensor) -> torch.device:
    """The fused AdamW keeps its step counter where the weights are."""
    return parameter.device


def _tuples(entries: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that frozen dataclasses hold."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in entries.items()}
