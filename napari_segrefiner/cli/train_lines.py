"""``train --events``: a training that another program starts, watches and stops."""

from __future__ import annotations

import contextlib
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
    with contextlib.suppress(OSError):  # closed before: that is an end as well
        os.read(0, 1)
    act()


def leave_a_core() -> None:
    """Use one processor core fewer than there are; ``--threads`` overrides that.

    The window of the other program needs one.
    """
    import torch

    from napari_segrefiner.core.device import threads_beside_a_window

    torch.set_num_threads(threads_beside_a_window())


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
