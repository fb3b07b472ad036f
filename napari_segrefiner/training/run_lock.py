"""One process at a time trains in a run's folder."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from napari_segrefiner.errors import OptionError

if TYPE_CHECKING:
    from napari_segrefiner.training.run_state import RunFolder

logger = logging.getLogger(__name__)

LOCK = "lock"


@contextlib.contextmanager
def alone_in(run: RunFolder) -> Iterator[None]:
    """Hold the folder while the block runs; the system lets go when a process dies.

    Of a team, the process that writes holds it for all.

    Raises
    ------
    OptionError
        If another process holds it.
    InputError
        If it cannot be written.
    """
    if not run.writes:
        yield
        return
    try:
        file = (run.path / LOCK).open("ab")
    except OSError as error:
        raise run.unwritable(error) from error
    with file:
        try:
            _lock(file.fileno())
        except (BlockingIOError, PermissionError) as error:
            message = (
                f"{run.path} is being trained by another process; wait until that has "
                "stopped, or choose another folder."
            )
            raise OptionError(message) from error
        except OSError as error:  # some network drives know no locks
            logger.info("%s cannot be locked: %s", run.path, error)
        yield


def _lock(descriptor: int) -> None:
    """Lock an open file until it is closed; never waits."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
