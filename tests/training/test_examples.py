"""Examples are read as they were written, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from napari_segrefiner.errors import SegRefinerError
from napari_segrefiner.training.examples import (
    Example,
    read_examples,
    write_examples,
)


def example(seed: int) -> Example:
    rng = np.random.default_rng(seed)
    masks = rng.random((3, 8, 8)) < 0.5
    return Example(rng.integers(0, 255, (8, 8, 3)).astype(np.uint8), *masks)


def test_examples_come_back_with_the_names_of_their_sets(tmp_path: Path) -> None:
    path = tmp_path / "examples.npz"
    given = {"cells": [example(1), example(2)], "ä": [example(3)]}
    write_examples(path, given)
    found = read_examples(path)
    assert [name for name, _ in found] == ["cells", "cells", "ä"]
    for (_, one), seed in zip(found, (1, 2, 3), strict=True):
        for ours, theirs in zip(one, example(seed), strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype
    assert [p.name for p in tmp_path.iterdir()] == ["examples.npz"]


def test_a_write_that_fails_leaves_the_last_examples_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "examples.npz"
    write_examples(path, {"cells": [example(1)]})
    before = path.read_bytes()

    def runs_full(file: IO[bytes], **_: object) -> None:
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez_compressed", runs_full)
    with pytest.raises(SegRefinerError, match=r"No space left .*; make room"):
        write_examples(path, {"cells": [example(2)]})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["examples.npz"]


def test_a_missing_or_damaged_file_has_no_examples(tmp_path: Path) -> None:
    path = tmp_path / "examples.npz"
    assert read_examples(path) == []
    write_examples(path, {"cells": [example(1)]})
    whole = path.read_bytes()
    for damaged in (b"", b"PK", whole[: len(whole) // 2], whole[:-5]):
        path.write_bytes(damaged)
        assert read_examples(path) == []
