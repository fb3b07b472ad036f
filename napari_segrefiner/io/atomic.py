"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from napari_segrefiner.errors import InputError, SegRefinerError


def check_destination(path: Path | str, *, overwrite: bool = False) -> Path:
    """The path as a Path, if a file may be written there; nothing is touched.

    To be asked before a long run, so that its result does not meet a closed door. A
    symbolic link stands for the file that it points to.

    Raises
    ------
    InputError
        If its folder does not exist or is closed, it is a folder, a device or a pipe
        itself, or it exists and `overwrite` is false or it is write-protected.
    """
    path = Path(path)
    try:
        return _checked(path, overwrite=overwrite)
    except OSError as error:  # such as a name that is too long, or a closed folder
        msg = f"{path} cannot be written ({error.strerror}); write somewhere else."
        raise InputError(msg) from error


def check_destinations(
    *paths: Path | None, overwrite: bool = False, inputs: Iterable[Path | None] = ()
) -> None:
    """Check the files that one command is to write; None is passed over.

    Raises
    ------
    InputError
        As :func:`check_destination`; also if two of them are the same file, or one is
        the same as one of the `inputs`.
    """
    named = [path for path in paths if path is not None]
    for path in named:
        check_destination(path, overwrite=overwrite)
    resolved = [os.path.realpath(path) for path in named]
    for path in named:
        if resolved.count(os.path.realpath(path)) > 1:
            msg = f"{path} is named twice; give every output a name of its own."
            raise InputError(msg)
    used = [path for path in inputs if path is not None]
    for path in named:
        if any(is_same_file(path, other) for other in used):
            msg = f"{path} is one of the inputs; name another file."
            raise InputError(msg)


def is_same_file(path: Path, other: Path) -> bool:
    """Whether both are there and one file."""
    try:
        return path.samefile(other)
    except OSError:
        return False


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
    if path.is_symlink():
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            msg = f"{path} is a link to itself; name another file."
            raise InputError(msg)
        path = target
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
    if path.exists() and not path.is_file():
        msg = f"{path} is a device or a pipe; name a file."
        raise InputError(msg)
    if path.exists() and not overwrite:
        raise _taken(path)
    if path.exists() and not os.access(path, os.W_OK):
        msg = f"{path} is write-protected; choose another name."
        raise InputError(msg)
    return path


def _taken(path: Path) -> InputError:
    """The sentence for a file that must not be replaced."""
    return InputError(f"{path} exists already; choose another name, or overwrite it.")


@contextlib.contextmanager
def whole_file(
    path: Path, *, is_only_writer: bool = False, is_new: bool = False
) -> Iterator[Path]:
    """Give a file beside `path` to write to, and rename it when all went well.

    Whatever ends the block early, an interrupt included, leaves `path` as it was and
    removes the file beside it. A file at `path` is replaced and keeps its permissions,
    and what the disk refuses stays an OSError: for files that users name there is
    :func:`write_whole`. A symbolic link stays, and the file that it points to is
    written.

    Parameters
    ----------
    path : Path
        The file that is to appear.
    is_only_writer : bool
        No other process writes it. The file beside it then always has the same name, so
        that the next one takes the place of what a killed process left.
    is_new : bool
        FileExistsError if a file has appeared at `path` by the end.

    Yields
    ------
    Path
        A name in the same folder, so that renaming never copies.
    """
    path = Path(os.path.realpath(path))
    if is_only_writer:
        part = path.with_name(path.name + ".part")
    else:
        # Not the whole name, which may be as long as names can be.
        part = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
    try:
        yield part
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(path, part)
        if is_new:
            _move_to_new(part, path)
        else:
            part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error says what is wrong
            part.unlink()
        raise


def _move_to_new(part: Path, path: Path) -> None:
    """Rename to a name that is free; FileExistsError if it is not.

    Looking first is not enough: two writers may both find it free. A second name for a
    file is refused in one step, on disks that know such names.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:
        part.replace(path)
    else:
        part.unlink()


@contextlib.contextmanager
def write_whole(path: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """Write as :func:`whole_file` does, to where a user wants it.

    Parameters
    ----------
    path : path
        The file that is to appear.
    overwrite : bool
        Whether it may replace an existing one.

    Yields
    ------
    Path
        The file beside it, to write to.

    Raises
    ------
    InputError
        As :func:`check_destination`; also if the file appeared in the meantime.
    SegRefinerError
        If writing fails, such as on a full disk.
    """
    path = check_destination(path, overwrite=overwrite)
    try:
        with whole_file(path, is_new=not overwrite) as part:
            yield part
            check_destination(path, overwrite=overwrite)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        reason = error.strerror or error
        msg = f"{path} cannot be written ({reason}); make room or write elsewhere."
        raise SegRefinerError(msg) from error


def write_text(path: Path | str, text: str, *, overwrite: bool = False) -> None:
    """Write a text file in UTF-8, whole or not at all; see :func:`write_whole`.

    What UTF-8 does not know, as in names of files from elsewhere, becomes escapes.
    """
    with write_whole(path, overwrite=overwrite) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
