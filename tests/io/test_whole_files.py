"""Files that the package writes for itself: whole or not at all, like any new file."""

from pathlib import Path

import pytest

from napari_segrefiner.io.atomic import whole_file


@pytest.mark.parametrize("is_only_writer", [False, True])
def test_a_file_is_replaced_and_gets_the_permissions_of_a_new_one(
    tmp_path: Path, is_only_writer: bool
) -> None:
    path, plain = tmp_path / "a.txt", tmp_path / "plain.txt"
    path.write_text("old")
    path.chmod(0o600)
    plain.write_text("plain")
    with whole_file(path, is_only_writer=is_only_writer) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode == plain.stat().st_mode
    assert sorted(tmp_path.iterdir()) == [path, plain]


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
