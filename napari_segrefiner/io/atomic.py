"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from napari_segrefiner.errors import InputError, SegRefinerError


def check_destination(path: Path | str, *, overwrite: bool = False) -> Path:
    """The path as a Path, if a file may be written there; nothing is touched.

    To be asked before a long run, so that its result does not meet a closed door.

    Raises
    ------
    InputError
        If its folder does not exist or is closed, it is a folder itself, or it exists
        and `overwrite` is false.
    """
    path = Path(path)
    try:
        return _checked(path, overwrite=overwrite)
    except OSError as error:  # such as a name that is too long, or a closed folder
        msg = f"{path} cannot be written ({error.strerror}); write somewhere else."
        raise InputError(msg) from error


def check_destinations(*paths: Path | None, overwrite: bool = False) -> None:
    """Check the files that one command is to write; None is passed over.

    Raises
    ------
    InputError
        As :func:`check_destination`; also if two of them are the same file.
    """
    named = [path for path in paths if path is not None]
    for path in named:
        check_destination(path, overwrite=overwrite)
    resolved = [path.resolve() for path in named]
    for path in named:
        if resolved.count(path.resolve()) > 1:
            msg = f"{path} is named twice; give every output a name of its own."
            raise InputError(msg)


def make_folder(folder: Path) -> Path:
    """Make `folder` if it is not there, and those above it.

    Raises
    ------
    InputError
        If something else is in its place, or the disk is write-protected.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"The folder {folder} cannot be made ({error.strerror}); choose another."
        raise InputError(msg) from error
    return folder


def _checked(path: Path, *, overwrite: bool) -> Path:
    folder = path.parent
    if not folder.is_dir():
        msg = f"The folder {folder} does not exist; create it or write somewhere else."
        raise InputError(msg)
    if path.is_dir():
        msg = f"{path} is a folder; name a file in it."
        raise InputError(msg)
    if not os.access(folder, os.W_OK):
        msg = f"The folder {folder} is write-protected; write somewhere else."
        raise InputError(msg)
    if path.exists() and not overwrite:
        msg = f"{path} exists already; choose another name, or overwrite it."
        raise InputError(msg)
    return path


@contextlib.contextmanager
def write_whole(path: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a file beside `path` to write to, and rename it when all went well.

    Whatever ends the block early, an interrupt included, leaves `path` as it was and
    removes the file beside it.

    Parameters
    ----------
    path : path
        The file that is to appear.
    overwrite : bool
        Whether it may replace an existing one.

    Yields
    ------
    Path
        A fresh name in the same folder, so that renaming never copies.

    Raises
    ------
    InputError
        As :func:`check_destination`; also if the file appeared in the meantime.
    SegRefinerError
        If writing fails, such as on a full disk.
    """
    path = check_destination(path, overwrite=overwrite)
    # Not the whole name, which may be as long as names can be.
    part = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
    try:
        yield part
        check_destination(path, overwrite=overwrite)
        part.replace(path)
    except OSError as error:
        reason = error.strerror or error
        msg = f"{path} cannot be written ({reason}); make room or write elsewhere."
        raise SegRefinerError(msg) from error
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path | str, text: str, *, overwrite: bool = False) -> None:
    """Write a text file in UTF-8, whole or not at all; see :func:`write_whole`."""
    with write_whole(path, overwrite=overwrite) as part:
        part.write_text(text, encoding="utf-8")
