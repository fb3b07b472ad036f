"""A training in a process of its own, that ends by itself when nobody listens."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_segrefiner.errors import SegRefinerError
from napari_segrefiner.options import specs
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training.event_lines import LineEvent, from_line

#: How much the training gives way to the window, as a POSIX nice value.
NICENESS = 5
#: Seconds in which the lines of a process that has ended are awaited.
PATIENCE = 3.0
#: Lines of the standard error that are kept.
KEPT_LINES = 40
PROGRAM = "napari-segrefiner: "


def training_command(
    data: Path, folder: Path, options: TrainOptions, *, resume: bool
) -> list[str]:
    """The words that start a training with these options."""
    # -P: a file queue.py in the current folder must not be taken for Python's.
    start = [sys.executable, "-P", "-m", "napari_segrefiner.cli.main", "train"]
    words = [*start, str(data), "--output", str(folder), "--events"]
    return [*words, *(["--resume"] if resume else []), *flags(options)]


def flags(options: TrainOptions) -> list[str]:
    """The command line flags of all options that are not by default."""
    words = []
    for spec in specs(TrainOptions):
        value = getattr(options, spec.name)
        if value == spec.default:
            continue
        if spec.kind is bool:
            words.append(spec.flag if value else f"--no-{spec.flag[2:]}")
        else:
            text = ",".join(map(str, value)) if spec.kind is tuple else str(value)
            # One word: a value may begin with a dash.
            words.append(f"{spec.flag}={text}")
    return words


class TrainingProcess:
    """A running training.

    Not a QProcess: that kills its process when it is deleted, and a training is to
    write its checkpoint after the window has gone. Its standard input is its life line:
    it stops when that says anything, or ends because napari has ended, however.

    Parameters
    ----------
    command : sequence of str
        A training that writes its events as lines.

    Raises
    ------
    SegRefinerError
        If it cannot be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.is_killed = False
        self.is_stopping = False
        self._events: queue.SimpleQueue[LineEvent] = queue.SimpleQueue()
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self._ended_at: float | None = None
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                **_apart(),
            )
        except OSError as error:
            message = f"The training process cannot be started ({error})."
            raise SegRefinerError(message) from error
        _give_way(self._process.pid)
        self._readers = [
            threading.Thread(target=read, daemon=True)
            for read in (self._read_events, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def has_ended(self) -> bool:
        """It has ended, and all that it wrote was read."""
        if self._process.poll() is None:
            return False
        if self._ended_at is None:
            self._ended_at = time.monotonic()
        # A process that it started may hold the other end open for longer.
        is_late = time.monotonic() - self._ended_at > PATIENCE
        return is_late or not any(reader.is_alive() for reader in self._readers)

    @property
    def code(self) -> int | None:
        """The exit code: negative if a signal ended it, None while it runs."""
        return self._process.poll()

    @property
    def complaint(self) -> str:
        """The sentence with which the command has failed, or its last line."""
        lines = [line for line in self._said if line.strip()]
        for line in reversed(lines):
            if line.startswith(PROGRAM):
                return line.removeprefix(PROGRAM).strip()
        return lines[-1].strip() if lines else ""

    def take(self) -> list[LineEvent]:
        """The events since the last call."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._events.get_nowait())
        return found

    def stop(self) -> None:
        """Ask it to end after its iteration and a checkpoint."""
        self.is_stopping = True
        self._close_input()

    def kill(self) -> None:
        """End it now, with the processes that prepare its windows."""
        self.is_killed = self.is_stopping = True
        # The signal first: a closed input would let it begin to save.
        if sys.platform == "win32":
            self._process.kill()
        elif self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._close_input()

    def _read_events(self) -> None:
        assert self._process.stdout is not None  # it is a pipe
        with self._process.stdout as lines:
            for line in lines:
                event = from_line(line.decode("utf-8", "replace"))
                if event is not None:
                    self._events.put(event)
        self._process.wait()
        self._close_input()

    def _close_input(self) -> None:
        assert self._process.stdin is not None  # it is a pipe
        # The process may have ended just now.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None  # it is a pipe
        with self._process.stderr as lines:
            for line in lines:
                self._said.append(line.decode("utf-8", "replace"))


def _apart() -> dict[str, Any]:
    """Out of reach of what ends the terminal that napari was started from."""
    if sys.platform == "win32":
        return {
            "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP
            | subprocess.CREATE_NO_WINDOW
            | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        }
    return {"start_new_session": True}


def _give_way(pid: int) -> None:
    """Lower its priority, so that the window stays as quick as it was."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            before = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, pid, before + NICENESS)
