"""The command line: one table of commands, one way to fail."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import logging
import os
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

from napari_segrefiner import __version__
from napari_segrefiner.errors import (
    InputError,
    ModelError,
    OptionError,
    SegRefinerError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

PROGRAM = "napari-segrefiner"

#: Exit codes: the command could not be understood or its input not be used; it was
#: understood and failed; Ctrl-C; SIGTERM.
USAGE, FAILED, INTERRUPTED, TERMINATED = 2, 1, 130, 143

#: Command, which is also its module's name, and its help; a new command gets its line
#: here. A module is imported only when its command runs.
COMMANDS = {
    "refine": "Refine the labels of an image.",
    "demo": "Refine a sample and draw what happened.",
    "train": "Train a model on images and labels.",
    "simulate": "Show what training does to your own masks.",
    "evaluate": "Score labels against true ones.",
    "validate": "Show how much better a model makes coarse masks.",
    "perturb": "Make coarse labels from true ones, to try models on.",
    "tune": "Tune the baselines on a training split.",
    "reproduce": "Reproduce the tables and figures of the paper.",
    "benchmark": "Measure how fast this machine refines.",
    "models": "List, import, fetch, export and remove models.",
    "info": "Show versions, devices and models.",
}


class Command(Protocol):
    """What the module of a command offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; returns the exit code."""


class UsageError(Exception):
    """Arguments that the parser refuses."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which a system or a scheduler asks a process to end."""


class Parser(argparse.ArgumentParser):
    """A parser that complains in one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and leaving."""
        complaint = f"{message[:1].upper()}{message[1:]}; see {self.prog} --help."
        raise UsageError(complaint)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process if not given.
    """
    words = sys.argv[1:] if arguments is None else arguments
    # Taken out first, so that it may stand anywhere, behind subcommands too.
    given = [word for word in words if word != "--debug"]
    is_debug = len(given) < len(words)
    logging.basicConfig(
        level=logging.INFO if is_debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    _print_any_name()
    if sys.stderr is None:  # closed by whoever started it; progress is written there
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - until the end
    try:
        try:
            with _cleared_up():
                return _run(given)
        finally:
            _flush()
    except Terminated:
        return _fail("Stopped.", TERMINATED)
    except KeyboardInterrupt:
        return _fail("Stopped.", INTERRUPTED)
    except BrokenPipeError:  # whoever read the output has left, as `head` does
        return FAILED
    except (SegRefinerError, UsageError) as error:
        if is_debug:
            traceback.print_exc()
        is_usage = isinstance(error, InputError | OptionError | ModelError | UsageError)
        return _fail(str(error), USAGE if is_usage else FAILED)
    except Exception as error:  # noqa: BLE001 - whatever it is, it gets one line
        if is_debug:
            traceback.print_exc()
        kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
        return _fail(f"{kind}{error} (--debug shows where)", FAILED)


@contextlib.contextmanager
def _cleared_up() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does; otherwise temporary files would stay.

    What the caller of :func:`main` does at that signal goes on to hold.
    """
    is_ours = (
        threading.current_thread() is threading.main_thread()  # others may not set it
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_ours:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def _print_any_name() -> None:
    """Let names of files be printed that the terminal's encoding does not know."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _flush() -> None:
    """Write what is still buffered, while it can be told that this fails."""
    if sys.stdout is None:  # the process was started without an output
        return
    try:
        sys.stdout.flush()
    except OSError:
        # The rest must not raise again while Python shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _run(given: list[str]) -> int:
    name = next((word for word in given if not word.startswith("-")), None)
    parser = Parser(
        prog=PROGRAM,
        description="Refine segmentation masks by discrete diffusion.",
        epilog=f"{PROGRAM} COMMAND --help shows what a command takes.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--debug", action="store_true", help="anywhere: show where an error came from"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command: Command | None = None
    for known, text in COMMANDS.items():
        one = commands.add_parser(known, help=text, description=text)
        if known == name:
            command = _load(known)
            command.add_arguments(one)
    arguments = parser.parse_args(given)
    if command is None:  # unreachable: the parser demands a known command
        raise UsageError(name)
    return command.run(arguments)


def _load(name: str) -> Command:
    return cast("Command", importlib.import_module(f"napari_segrefiner.cli.{name}"))


def _fail(message: str, code: int) -> int:
    """Print one line to stderr."""
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
