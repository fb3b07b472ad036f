"""A real signal in a real process: its exit code, one line, no file."""

import signal
import subprocess
import sys

import numpy as np
import pytest

RUN = """
import sys, time
from napari_segrefiner.cli.main import main
from napari_segrefiner.core.refiner import Refiner

def steps(self, image, labels, **_):
    print("ready", flush=True)
    time.sleep(60)
    yield

Refiner.steps = steps
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_during_a_run_leaves_no_file(tmp_path, number, code):
    np.save(tmp_path / "image.npy", np.zeros((30, 30), np.uint8))
    np.save(tmp_path / "labels.npy", np.ones((30, 30), np.uint8))
    words = ["refine", "image.npy", "labels.npy", "-o", "out.tif", "--report", "r.json"]
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Background jobs of some shells ignore the signal, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert said.splitlines()[-1] == "napari-segrefiner: Stopped."
    assert "Traceback" not in said
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["image.npy", "labels.npy"]


HALF_WAY = """
import os, signal, sys, tempfile
from napari_segrefiner.cli import info
from napari_segrefiner.cli.main import main

def run(arguments):
    with tempfile.TemporaryDirectory(dir="."):
        print("made", len(os.listdir()), flush=True)
        signal.raise_signal(signal.SIGTERM)
        print("went on", flush=True)
    return 0

info.run = run
before = getattr(signal, sys.argv[1])
signal.signal(signal.SIGTERM, before)
code = main(["info"])
print("as before", signal.getsignal(signal.SIGTERM) == before)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("before", "code", "shown", "said"),
    [
        ("SIG_DFL", 143, ["made 1"], ["napari-segrefiner: Stopped."]),
        ("SIG_IGN", 0, ["made 1", "went on"], []),
    ],
)
def test_sigterm_leaves_no_temporary_folder_and_may_be_ignored(
    tmp_path, before, code, shown, said
):
    done = subprocess.run(
        [sys.executable, "-c", HALF_WAY, before],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert done.stdout.splitlines() == [*shown, "as before True"]
    assert done.stderr.splitlines() == said
    assert not list(tmp_path.iterdir())
