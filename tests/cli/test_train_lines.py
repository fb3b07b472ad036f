"""``train --events``: what a program reads that starts and stops a training."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from napari_segrefiner.cli.train_lines import leave_a_core, tell, when_input_ends
from napari_segrefiner.training.event_lines import Noted, from_line
from napari_segrefiner.training.events import Progress, Saved, Stopped, TrainStarted
from napari_segrefiner.training.run_state import RunFolder
from tests.cells import FEW, write_cells


def test_every_event_and_warning_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def events():
        yield Saved(1)
        logging.getLogger("napari_segrefiner.io").warning("%d pairs", 3)
        yield Saved(2)

    assert tell(events())
    lines = capsys.readouterr().out.splitlines()
    assert list(map(from_line, lines)) == [Saved(1), Noted("3 pairs"), Saved(2)]
    logging.getLogger("napari_segrefiner.io").warning("later")
    assert capsys.readouterr().out == ""


def test_a_stopped_training_is_not_complete(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not tell([Saved(1), Stopped(1)])
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (64, 2)])
def test_a_core_is_left_to_the_window(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    try:
        torch.set_num_threads(2)
        leave_a_core()
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("words", [b"stop\n", b""])
def test_a_word_or_the_end_of_the_input_stops_after_a_checkpoint(
    tmp_path: Path, words: bytes
) -> None:
    cells, run = write_cells(tmp_path / "cells"), RunFolder(tmp_path / "run")
    command = [sys.executable, "-m", "napari_segrefiner.cli.main", "train", str(cells)]
    more = ["-o", str(run.path), *FEW, "--iterations", "100000", "--events"]
    found = subprocess.run(
        [*command, *more], input=words, capture_output=True, check=False, timeout=120
    )
    assert found.returncode == 130
    events = list(map(from_line, found.stdout.decode().splitlines()))
    assert isinstance(events[0], TrainStarted)
    assert isinstance(events[1], Progress)
    assert events[-1] == Stopped(run.read_counters().iteration)
    assert run.best.exists()


def test_an_input_that_was_closed_before_is_an_end_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def closed(file: int, n: int) -> bytes:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "read", closed)
    ended = threading.Event()
    when_input_ends(ended.set)
    assert ended.wait(10)
