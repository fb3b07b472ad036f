"""The process of a training: its words, what it tells, how it ends."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_segrefiner.cli import train
from napari_segrefiner.cli.flags import read_flags
from napari_segrefiner.errors import SegRefinerError
from napari_segrefiner.plugin.training_process import (
    NICENESS,
    TrainingProcess,
    training_command,
)
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training.event_lines import Noted
from napari_segrefiner.training.events import Progress, Stopped, TrainDone, Validated

FAKE = Path(__file__).with_name("fake_training.py")


def fake(command: list[str]) -> TrainingProcess:
    """The fake instead of the command that follows ``train``."""
    words = command[command.index("train") + 1 :]
    return TrainingProcess([sys.executable, str(FAKE), *words])


def started(kind: str, run: Path) -> TrainingProcess:
    options = TrainOptions()
    return fake(training_command(Path(kind), run, options, resume=False))


def wait(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    "options",
    [
        TrainOptions(),
        TrainOptions(preset="paper-hr", init="-odd name", exclude=("a", "b")),
        TrainOptions(uniform_index=True, learning_rate=3e-5, keep=(3, 9), minutes=1.5),
        TrainOptions(uniform_index=False, workers=0, device="cpu", milestones=()),
        TrainOptions().resolved(),
    ],
)
def test_the_words_say_exactly_the_options(options: TrainOptions) -> None:
    command = training_command(Path("in"), Path("out"), options, resume=True)
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    arguments = parser.parse_args(command[command.index("train") + 1 :])
    assert read_flags(arguments, TrainOptions) == options
    assert (arguments.data, arguments.output) == (Path("in"), Path("out"))
    assert arguments.resume
    assert arguments.events


def test_events_come_in_order_and_other_lines_are_left_out(tmp_path: Path) -> None:
    process = started("good", tmp_path / "run")
    wait(lambda: process.has_ended)
    events = process.take()
    kinds = [type(event) for event in events[1:]]
    assert kinds == [Noted, Validated, *[Progress] * 4, Validated, TrainDone]
    assert process.code == 0
    assert process.take() == []


def test_stop_lets_it_save_and_kill_does_not(tmp_path: Path) -> None:
    for end in ("stop", "kill"):
        run = tmp_path / end
        process = started("waits", run)
        wait((run / "alive").exists)
        assert process.code is None
        getattr(process, end)()
        wait(lambda process=process: process.has_ended)
        assert (run / "saved").exists() == (end == "stop")
        assert any(isinstance(e, Stopped) for e in process.take()) == (end == "stop")
        assert process.is_killed == (end == "kill")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_it_gives_way_and_has_a_session_of_its_own(tmp_path: Path) -> None:
    process = started("waits", tmp_path / "run")
    wait((tmp_path / "run" / "alive").exists)
    pid = process._process.pid
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(mine + NICENESS, 19)
    assert os.getsid(pid) == pid
    process.stop()
    wait(lambda: process.has_ended)


def test_a_failure_is_its_sentence(tmp_path: Path) -> None:
    process = started("bad", tmp_path / "run")
    wait(lambda: process.has_ended)
    assert process.code == 2
    assert process.complaint == "No pairs in bad; use --init."


def test_a_program_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(SegRefinerError, match="cannot be started"):
        TrainingProcess(["/no/such/program"])
