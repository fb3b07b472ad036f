"""Free memory is what the machine and a container leave; caches of files are free."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_segrefiner.io import memory

GIB = 2**30


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 6 GiB free, without a container."""
    (tmp_path / "meminfo").write_text(
        f"MemTotal: {16 * 2**20} kB\nMemAvailable: {6 * 2**20} kB\n"
    )
    monkeypatch.setattr(memory, "MACHINE", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CONTAINER", tmp_path)
    return tmp_path


def contain(folder: Path, limit: str, used: int, cached: tuple[int, int]) -> None:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    entries = {"anon": 7, "active_file": cached[0], "inactive_file": cached[1]}
    text = "".join(f"{name} {n}\n" for name, n in entries.items())
    (folder / "memory.stat").write_text(text)


def test_the_machine_says_what_is_free(system: Path) -> None:
    assert memory.available_bytes() == 6 * GIB
    contain(system, "max", 3 * GIB, (0, 0))  # a container without a limit
    assert memory.available_bytes() == 6 * GIB


def test_a_container_may_allow_less(system: Path) -> None:
    contain(system, str(4 * GIB), 3 * GIB, (0, 0))
    assert memory.available_bytes() == GIB


def test_files_that_a_container_keeps_in_memory_take_none(system: Path) -> None:
    contain(system, str(4 * GIB), 4 * GIB, (GIB, 2 * GIB))
    assert memory.available_bytes() == 3 * GIB


def test_other_systems_say_nothing(system: Path) -> None:
    (system / "meminfo").unlink()
    assert memory.available_bytes() is None
