"""Files that the package writes for itself: whole or not at all, like any new file."""

import os
from pathlib import Path
from typing import Any

import pytest

from napari_segrefiner.errors import InputError
from napari_segrefiner.io import atomic
from napari_segrefiner.io.atomic import (
    check_destinations,
    whole_file,
    write_text,
    write_whole,
)


@pytest.mark.parametrize("is_only_writer", [False, True])
def test_a_file_is_replaced_and_keeps_its_permissions(
    tmp_path: Path, is_only_writer: bool
) -> None:
    path, plain, new = (tmp_path / name for name in ("a.txt", "plain.txt", "new.txt"))
    path.write_text("old")
    path.chmod(0o600)
    mode = path.stat().st_mode
    plain.write_text("plain")
    with whole_file(path, is_only_writer=is_only_writer) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    with whole_file(new, is_only_writer=is_only_writer) as part:
        part.write_text("new")
    assert path.read_text() == "new"
    assert path.stat().st_mode == mode
    assert new.stat().st_mode == plain.stat().st_mode
    assert sorted(tmp_path.iterdir()) == [path, new, plain]


@pytest.mark.skipif(os.name == "nt", reason="links need permissions there")
def test_a_link_stands_for_the_file_that_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    target, link = tmp_path / "store" / "a.txt", tmp_path / "link.txt"
    link.symlink_to(target)
    write_text(link, "first")  # it pointed to nothing
    with pytest.raises(InputError, match="exists already"):
        write_text(link, "second")
    write_text(link, "third", overwrite=True)
    assert link.is_symlink()
    assert target.read_text() == "third"
    with whole_file(link) as part:
        part.write_text("fourth")
    assert link.is_symlink()
    assert target.read_text() == "fourth"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for check in (write_text, lambda path, _: check_destinations(path)):
        with pytest.raises(InputError, match="link to itself"):
            check(tmp_path / "loop", "text")


def test_what_is_write_protected_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    # Not by its permissions: an administrator may write anywhere.
    monkeypatch.setattr(os, "access", lambda one, mode: Path(one) != path)
    with pytest.raises(InputError, match="is write-protected"):
        write_text(path, "new", overwrite=True)
    assert path.read_text() == "old"


@pytest.mark.parametrize("is_only_writer", [False, True])
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, OSError])
def test_whatever_ends_the_writing_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, interrupt: type[BaseException], is_only_writer: bool
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_and_fail() -> None:
        with whole_file(path, is_only_writer=is_only_writer) as part:
            part.write_text("half of")
            raise interrupt

    with pytest.raises(interrupt):
        write_and_fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_error_is_the_first_one_and_not_that_of_tidying_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    def write_and_fail() -> None:
        with whole_file(tmp_path / "file" / "a.txt"):
            message = "disk is full"
            raise OSError(message)

    with pytest.raises(OSError, match="disk is full"):
        write_and_fail()


def test_several_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole_file(path) as one, whole_file(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("has_links", [True, False])
def test_only_one_of_two_writers_is_told_that_its_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    path = tmp_path / "a.txt"

    def link(*names: Path) -> None:
        raise PermissionError

    if has_links:  # the check alone comes too early: the other one may be as far
        monkeypatch.setattr(atomic, "check_destination", lambda path, **_: Path(path))
    else:
        monkeypatch.setattr(os, "link", link)

    def write_both() -> None:
        with write_whole(path) as late:
            late.write_text("late")
            write_text(path, "early")

    with pytest.raises(InputError, match="exists already"):
        write_both()
    assert path.read_text() == "early"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a device or a pipe; name a file"):
        write_text(tmp_path / "pipe", "text", overwrite=True)
    assert (tmp_path / "pipe").is_fifo()


def test_a_name_that_is_no_text_does_not_lose_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "é zell\udce9")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "é zell\\udce9"


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_no_input_is_replaced_whatever_it_is_called(tmp_path: Path, link: Any) -> None:
    path, other = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_text("mine")
    link(path, other)
    for name in (path, other):
        with pytest.raises(InputError, match="is one of the inputs; name another"):
            check_destinations(name, overwrite=True, inputs=[None, path])
    check_destinations(tmp_path / "c.txt", inputs=[path, tmp_path / "c.txt"])
