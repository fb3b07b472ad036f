"""Two processes, or a batch in parts, learn the same as one process at once."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_segrefiner.errors import OptionError
from napari_segrefiner.models.catalogue import load_model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training import loop
from napari_segrefiner.training.batches import Draws, TrainingBatches
from napari_segrefiner.training.distributed import Team
from napari_segrefiner.training.events import Progress
from napari_segrefiner.training.learner import Learner
from napari_segrefiner.training.run_state import BEST, RunFolder
from tests.training.conftest import Discs
from tests.training.test_learner import CONFIG

DRAWS = Draws(seed=0, batch_size=12, own_share=0.5, own_after=0, map_dropout=0.2)

SCRIPT = """
import json, os, sys
from pathlib import Path
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training.events import Progress
from napari_segrefiner.training.loop import train

data, folder, options, stop_at = json.loads(sys.argv[1])
options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
is_first = os.environ["RANK"] == "0"
done = 0
events = train(
    Path(data), Path(folder), TrainOptions(**options), resume=True,
    # only one of them is asked to stop
    should_stop=lambda: not is_first and done == stop_at,
)
losses = []
for event in events:
    if isinstance(event, Progress):
        losses.append([event.iteration, event.bce, event.texture])
        done = event.iteration
if is_first:
    Path(folder, "losses.json").write_text(json.dumps(losses))
"""

#: The first of four processes writes what the last one, which is late, must not find.
LATE = """
import sys, time
from pathlib import Path
import torch
from torch import distributed
from napari_segrefiner.training.distributed import Team

rank, folder = int(sys.argv[1]), Path(sys.argv[2])
store = f"file://{folder / 'store'}"
distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=4)
team = Team(rank, 4, torch.device("cpu"))
team.any(False)
if rank == 3:
    time.sleep(1)
    assert not (folder / "written").exists()
team.wait()
if rank == 0:
    (folder / "written").touch()
distributed.destroy_process_group()
"""


def test_parts_of_a_batch_add_up_to_the_whole(discs: Discs) -> None:
    batches = TrainingBatches(discs, DRAWS)
    learners = []
    for at_once in (0, 5):
        torch.manual_seed(0)
        learner = Learner(
            DenoisingUNet(CONFIG),
            weight_decay=0.01,
            clip=1,
            ema=0.9,
            precision="float32",
            at_once=at_once,
        )
        results = [learner.learn(batches[i], i, 1e-3) for i in range(3)]
        learners.append((learner, results))
    (whole, ours), (parts, theirs) = learners
    for one, other in zip(ours, theirs, strict=True):
        assert dataclasses.astuple(one) == pytest.approx(
            dataclasses.astuple(other), rel=1e-4
        )
    for one, other in zip(
        whole.mean_network.parameters(), parts.mean_network.parameters(), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-5)


def test_shares_are_the_whole_batch_in_order(discs: Discs) -> None:
    whole = TrainingBatches(discs, DRAWS)[3]
    shares = [
        TrainingBatches(discs, dataclasses.replace(DRAWS, rank=rank, size=3))[3]
        for rank in range(3)
    ]
    for part, pieces in zip(whole, zip(*shares, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(pieces), part)


def test_a_batch_that_cannot_be_dealt_out_is_refused() -> None:
    team = Team(0, 3, torch.device("cpu"))
    assert team.share(12) == 4
    with pytest.raises(OptionError, match="a multiple of the 3 processes"):
        team.share(32)


def test_without_a_mean_the_network_itself_is_the_model(discs: Discs) -> None:
    learner = Learner(
        DenoisingUNet(CONFIG), weight_decay=0, clip=0, ema=0, precision="float32"
    )
    assert learner.mean_network is learner.network
    before = [p.clone() for p in learner.network.parameters()]
    learner.learn(TrainingBatches(discs, DRAWS)[0], 0, 1e-2)
    assert any(
        not torch.equal(a, b)
        for a, b in zip(before, learner.mean_network.parameters(), strict=True)
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo needs more there")
def test_every_process_waits_for_the_last(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LATE]
    team = [subprocess.Popen([*command, str(rank), str(tmp_path)]) for rank in range(4)]
    assert [one.wait(timeout=300) for one in team] == [0, 0, 0, 0]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo and torchrun need more there")
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 2e-4), ("float16", 2e-3)]
)
def test_two_processes_have_the_losses_of_one_also_when_stopped_and_resumed(
    set_folder: Path, tmp_path: Path, precision: str, tolerance: float
) -> None:
    given = {
        "preset": "default-model",
        "network": "reduced",
        "iterations": 6,
        "batch_size": 8,
        "window": 32,
        "warm_up": 2,
        "own_after": 2,
        "own_share": 1.0,
        "at_once": 1,
        "validation_windows": 4,
        "validate_every": 3,
        "workers": 0,
        "precision": precision,
        "name": "none",
        "keep": [2],
    }
    (tmp_path / "two.py").write_text(SCRIPT)
    two = tmp_path / "two"
    losses = []
    for stop_at in (4, 0):
        options = given if stop_at else {}
        _torchrun(tmp_path, json.dumps([str(set_folder), str(two), options, stop_at]))
        losses += json.loads((two / "losses.json").read_text())
        reached = RunFolder(two).read_counters().iteration
        assert reached == (stop_at or 6)
    options = TrainOptions(**{**given, "keep": (2,)})  # type: ignore[arg-type]
    one = tmp_path / "one"
    expected = [
        [event.iteration, event.bce, event.texture]
        for event in loop.train(set_folder, one, options)
        if isinstance(event, Progress)
    ]
    assert [row[0] for row in losses] == [row[0] for row in expected]
    for ours, theirs in zip(losses, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=tolerance)
    ours = RunFolder(two).rows("validation.csv")
    theirs = RunFolder(one).rows("validation.csv")
    for row, other in zip(ours, theirs, strict=True):
        assert row["name"] == other["name"]
        assert float(row["refined"]) == pytest.approx(float(other["refined"]), abs=0.02)
    assert load_model(two / BEST).card.recipe["processes"] == 2
    first, second = (
        torch.cat([p.flatten() for p in load_model(run.kept()[0]).network.parameters()])
        for run in (RunFolder(one), RunFolder(two))
    )
    # AdamW's first steps are as long for gradients that are nothing but rounding.
    assert (first - second).norm() < 5 * tolerance * first.norm()


def _torchrun(folder: Path, argument: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, "--nproc-per-node", "2", str(folder / "two.py"), argument],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
