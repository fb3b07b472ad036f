"""``napari-segrefiner train`` from its flags to its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_segrefiner.cli.main import main
from napari_segrefiner.models.catalogue import FOLDER_VARIABLE, load_model
from napari_segrefiner.training.run_state import BEST, RunFolder
from tests.cells import FEW, write_cells


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set of three pictures with one object each."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    return write_cells(tmp_path / "cells")


def test_a_training_ends_with_a_model_and_a_second_call_says_so(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    assert main(["train", str(cells), "-o", run, *FEW, "--iterations", "2"]) == 0
    said = capsys.readouterr().err
    assert "Learning from cells; float32" in said
    assert "Iteration 2; kept" in said
    assert "--model run" in said
    assert main(["train", str(cells), "-o", run, "--resume"]) == 0
    assert "is complete: 2 iterations" in capsys.readouterr().err
    assert main(["train", str(cells), "-o", run]) == 2
    refused = capsys.readouterr().err
    assert refused.startswith("napari-segrefiner: ")
    assert "holds a training already" in refused


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--batch-size", "0"], "--batch-size is 0; a whole number from 1"),
        (["--preset", "fast"], "preset is 'fast'; choose one of custom, quick"),
        (["--init", "nonsense"], "There is no model 'nonsense'"),
        (["--exclude", "mice"], "The sets to exclude (mice) are not in"),
        (["--preset", "paper-hr"], "name its folder with --init RUN"),
        (["--name", "a b"], "A model cannot be called 'a b'"),
    ],
)
def test_what_cannot_be_is_one_line(
    cells: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    start = [] if "--init" in words or "paper-hr" in words else ["--init", "none"]
    call = ["train", str(cells), "-o", str(tmp_path / "run"), *start, *words]
    assert main(call) in (1, 2)
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_start_that_is_refused_leaves_no_run_behind(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["-o", str(run), "--init", "none"]
    assert main(["train", str(tmp_path / "wrong"), *words]) == 2
    assert not run.exists()
    run.mkdir()
    (run / "notes.txt").write_text("mine")
    assert main(["train", str(tmp_path / "wrong"), *words]) == 2
    assert [path.name for path in run.iterdir()] == ["notes.txt"]
    capsys.readouterr()
    assert main(["train", str(cells), *words, "--exclude", "mice"]) == 2
    assert "holds a training" not in capsys.readouterr().err


def test_bad_pairs_are_listed_once_before_the_training_starts(
    cells: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(cells / "labels" / "9.png")
    Image.fromarray(np.ones((9, 9), np.uint8)).save(cells / "labels" / "0.png")
    words = [*FEW, "--iterations", "1", "--name", "none"]
    assert main(["train", str(cells), "-o", str(tmp_path / "run"), *words]) == 0
    assert caplog.text.count("9.png has no image") == 1
    assert caplog.text.count("0.png is 9 x 9 but") == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize(
    ("number", "ends_with"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (getattr(signal, "SIGKILL", 9), -9)],
)
def test_a_process_that_was_ended_goes_on_where_it_was(
    cells: Path, tmp_path: Path, number: int, ends_with: int
) -> None:
    run = RunFolder(tmp_path / "run")
    words = ["train", str(cells), "-o", str(run.path), *FEW, "--iterations", "100000"]
    code = "import sys; from napari_segrefiner.cli.main import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words, "--checkpoint-minutes", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        patience = time.monotonic() + 120
        while not run.has_state and time.monotonic() < patience:
            time.sleep(0.2)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == ends_with
    if ends_with > 0:
        assert "Stopped at iteration" in said
        assert "Traceback" not in said
    reached = run.read_counters().iteration
    assert reached > 0
    more = ["--resume", "--iterations", str(reached + 1), "--workers", "0"]
    assert main(["train", str(cells), "-o", str(run.path), *more]) == 0
    assert run.read_counters().iteration == reached + 1
    iterations = [int(row["iteration"]) for row in run.rows("log.csv")]
    assert iterations == sorted(set(iterations))


def test_a_set_of_one_image_is_told_to_be_no_honest_validation(
    cells: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [*FEW, "--iterations", "1", "--name", "none"]
    sentence = "No validation was possible: there is a single labelled image"
    assert main(["train", str(cells), "-o", str(tmp_path / "three"), *words]) == 0
    assert sentence not in caplog.text + capsys.readouterr().err
    assert not load_model(tmp_path / "three" / BEST).card.limits
    for part in ("images", "labels"):
        for name in ("1.png", "2.png"):
            (cells / part / name).unlink()
    assert main(["train", str(cells), "-o", str(tmp_path / "one"), *words]) == 0
    assert caplog.text.count(sentence) == 1
    report = capsys.readouterr().err.partition("Done after")[2]
    assert sentence in report
    assert "a second labelled image is needed" in report
    model = load_model(tmp_path / "one" / BEST)
    assert model.card.limits.startswith(sentence)
    assert model.card.metrics["sets"]["cells"]["n_windows"] == 4


@pytest.mark.parametrize("name", ["best.safetensors", "best.json", "log.csv", "kept"])
def test_files_of_others_are_not_replaced_by_a_run(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / name).write_bytes(b"mine")
    words = ["train", str(cells), "-o", str(run), *FEW, "--iterations", "2"]
    for call in (words, [*words, "--resume"]):
        assert main(call) == 2
        assert f"{name} is of no training here" in capsys.readouterr().err
    assert (run / name).read_bytes() == b"mine"
    assert [path.name for path in run.iterdir() if path.name != "lock"] == [name]
