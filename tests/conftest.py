"""What every test stands on: few threads, isolated settings, the golden files."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import sys
from pathlib import Path

import pytest

# Before torch, numpy and llvmpipe are loaded: they read these once. Two threads keep
# the suite quick and its sums in the same order on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("LP_NUM_THREADS", "1")
# Scripts of this environment first, so that subprocesses find napari-segrefiner.
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
)

HAS_SCREEN = not sys.platform.startswith("linux") or bool(
    os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
)
if not HAS_SCREEN:
    # Widgets without a viewer still work; without this Qt would abort the whole run.
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

SECONDS_TO_END = 120  # the run takes a few after the last test


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let one ask how far the golden values are off."""
    text = "print the largest deviation from each golden value, of the tests that ran"
    parser.addoption("--deviations", action="store_true", help=text)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the deviations as a table."""
    if not config.getoption("--deviations"):
        return
    from tests.golden import DEVIATIONS

    terminalreporter.section("largest deviations from the golden files")
    width = max(map(len, DEVIATIONS), default=0)
    for what, (worst, allowed) in sorted(DEVIATIONS.items()):
        terminalreporter.line(f"{what:{width}}  {worst:8.1e}  of  {allowed:g}")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the user's napari settings out of the tests, and the tests out of them."""
    if "NAPARI_CONFIG" not in os.environ:
        folder = config.rootpath / ".pytest_cache" / "napari"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["NAPARI_CONFIG"] = str(folder / "settings.yaml")
        os.environ["XDG_CONFIG_HOME"] = str(folder)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail for processes that tests left behind: Python would wait for them."""
    left = multiprocessing.active_children()
    for process in left:
        process.kill()
    if left:
        sys.stderr.write(f"\nTests left processes behind: {left}\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure() -> None:
    """Tell what holds up the end of the run, and end it."""
    faulthandler.dump_traceback_later(SECONDS_TO_END, exit=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, and say so, what this machine cannot run."""
    if not HAS_SCREEN:
        skip = pytest.mark.skip(
            reason="no screen; run make test, or xvfb-run -a pytest"
        )
        for item in items:
            if item.get_closest_marker("gui"):
                item.add_marker(skip)
    gpu_items = [item for item in items if item.get_closest_marker("gpu")]
    if gpu_items:
        import torch

        if not torch.cuda.is_available():
            skip = pytest.mark.skip(reason="no CUDA device")
            for item in gpu_items:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the golden files; tests/data/README.md tells what they are."""
    return Path(__file__).parent / "data"
