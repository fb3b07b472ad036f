"""A real Ctrl-C in a real process: exit code 130, one line, no file."""

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
def test_ctrl_c_during_a_run_leaves_no_file(tmp_path):
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
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "napari-segrefiner: Stopped."
    assert "Traceback" not in said
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["image.npy", "labels.npy"]
