"""The command line as a whole: help, versions, ways to fail."""

from __future__ import annotations

import importlib
import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_segrefiner import __version__
from napari_segrefiner.cli.flags import help_text
from napari_segrefiner.cli.main import COMMANDS, main
from napari_segrefiner.options import RefineOptions, specs


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_has_help(name, capsys):
    module = importlib.import_module(f"napari_segrefiner.cli.{name}")
    assert callable(module.run)
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert COMMANDS[name] in shown


def test_help_of_refine_shows_every_option_with_its_text(capsys):
    with pytest.raises(SystemExit):
        main(["refine", "--help"])
    shown = " ".join(capsys.readouterr().out.split()).replace("- ", "-")
    for spec in specs(RefineOptions):
        assert spec.flag in shown
        assert help_text(spec).split(" ")[0] in shown


def test_help_of_tune_shows_the_defaults_that_hold(capsys):
    with pytest.raises(SystemExit):
        main(["tune", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for text in ("(default: train)", "per set and kind (default: 60)", "(default: 1)"):
        assert text in shown


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["refine"], ["--nonsense"]])
def test_misuse_is_one_line_and_exit_code_2(arguments, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("napari-segrefiner: ")


def test_debug_shows_where_an_error_came_from(tmp_path, capsys):
    missing = str(tmp_path / "none.tif")
    arguments = ["refine", missing, missing, "-o", str(tmp_path / "out.tif")]
    assert main([*arguments, "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_info_names_what_is_installed(capsys):
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    assert __version__ in shown
    for name in ("torch", "napari", "numpy", "cpu"):
        assert f"\n{name}:" in shown


def test_info_survives_a_torch_that_cannot_be_imported(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["info"]) == 0
    assert "torch cannot be imported" in capsys.readouterr().out


TELL = "from napari_segrefiner.cli.main import main; import sys; sys.exit(main())"


def help_into(stdout):
    """The help, written by a process of its own; it keeps its output back at first."""
    return subprocess.run(
        [sys.executable, "-c", TELL, "--help"],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other pipes")
def test_an_output_that_nobody_reads_is_no_complaint():
    reader, writer = os.pipe()
    os.close(reader)
    done = help_into(writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a full disk")
def test_an_output_that_cannot_be_written_is_one_line():
    with Path("/dev/full").open("wb") as full:
        done = help_into(full)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr


def test_names_that_the_terminal_does_not_know_are_printed(monkeypatch):
    def tell(arguments):
        sys.stdout.write("\N{GREEK SMALL LETTER ALPHA}\udcff.tif\n")
        return 0

    monkeypatch.setattr("napari_segrefiner.cli.info.run", tell)
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["info"]) == 0
    assert terminal.buffer.getvalue() == b"\\u03b1\\udcff.tif\n"


def test_the_package_is_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "napari_segrefiner", "refine", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("usage: napari-segrefiner refine ")


def test_help_loads_no_torch():
    code = (
        "import sys\n"
        "from napari_segrefiner.cli.main import main\n"
        "try: main(['refine', '--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'napari', 'skimage') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(28, "No space left"), TypeError("two\nlines")]
)
def test_whatever_fails_is_one_line_and_exit_code_1(error, monkeypatch, capsys):
    def fail(arguments):
        raise error

    monkeypatch.setattr("napari_segrefiner.cli.info.run", fail)
    assert main(["info"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--debug" in said


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_commands_work_without_an_error_output(tmp_path):
    """As services and schedulers start programs; progress is written there."""
    labels = np.zeros((60, 60), np.uint8)
    labels[20:40, 20:40] = 1
    np.save(tmp_path / "a.npy", labels)
    words = [sys.executable, "-m", "napari_segrefiner", "refine", "a.npy", "a.npy"]
    command = shlex.join([*words, "-o", "out.npy", "--steps", "1"]) + " 2>&-"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert np.load(tmp_path / "out.npy").shape == (60, 60)
