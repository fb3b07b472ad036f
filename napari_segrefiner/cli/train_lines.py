"""``train --events``: a training that another program starts, watches and stops."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable

from napari_segrefiner.training.event_lines import LineEvent, Noted, to_line
from napari_segrefiner.training.events import Event, Stopped


def tell(events: Iterable[Event]) -> bool:
    """Write a line for every event, and for what is logged meanwhile.

    Returns
    -------
    bool
        Whether the training came to its end; False if it was stopped.
    """
    notes = _Notes()
    logger = logging.getLogger("napari_segrefiner")
    logger.addHandler(notes)
    is_complete = True
    try:
        for event in events:
            _write(event)
            is_complete = not isinstance(event, Stopped)
    finally:
        logger.removeHandler(notes)
    return is_complete


def when_input_ends(act: Callable[[], None]) -> None:
    """Call `act` once the standard input says anything, or ends with whoever held it.

    Unlike a signal this works on every system, and when the other program was killed.
    """
    threading.Thread(target=_wait, args=(act,), daemon=True).start()


def _wait(act: Callable[[], None]) -> None:
    # Not through sys.stdin: Python waits at its exit for whoever reads from that.
    os.read(0, 1)
    act()


def leave_a_core() -> None:
    """Use one processor core fewer than there are; ``--threads`` overrides that.

    The window of the other program needs one. Torch's threads wait for each other after
    every layer: where one of them has to share its core, all are slower than one fewer.
    """
    import torch

    most = max(1, (os.cpu_count() or 1) - 1)
    torch.set_num_threads(min(torch.get_num_threads(), most))


class _Notes(logging.Handler):
    """Turns warnings into lines."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the warning."""
        _write(Noted(record.getMessage()))


def _write(event: LineEvent) -> None:
    sys.stdout.write(to_line(event) + "\n")
    sys.stdout.flush()
