"""COCO's run-length codes, read and written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_segrefiner.io.run_lengths import (
    compress,
    decode,
    decompress,
    encode,
    kind_of,
)

RNG = np.random.default_rng(0)
MASKS = [
    np.zeros((4, 6), bool),
    np.ones((4, 6), bool),
    np.eye(7, dtype=bool),
    ~np.eye(7, dtype=bool),
    RNG.random((40, 31)) < 0.5,
    np.kron(RNG.random((9, 8)) < 0.4, np.ones((60, 50), bool)),
    np.zeros((0, 5), bool),
    np.ones((1, 1), bool),
]


@pytest.mark.parametrize("kind", ["plain", "text", "bytes"])
@pytest.mark.parametrize("k", range(len(MASKS)))
def test_a_mask_is_read_as_it_was_written(k: int, kind: Any) -> None:
    code = encode(MASKS[k], kind)
    assert kind_of(code) == kind
    assert code["size"] == list(MASKS[k].shape)
    np.testing.assert_array_equal(decode(code), MASKS[k])


def test_a_small_code_as_worked_out_by_hand() -> None:
    mask = np.zeros((6, 8), bool)
    mask[1:4, 1:4] = True
    runs = [7, 3, 3, 3, 3, 3, 26]
    assert encode(mask, "plain") == {"size": [6, 8], "counts": runs}
    # 7, 3, 3 as they are; then differences to the last but one: 0, 0, 0, 23
    assert encode(mask)["counts"] == "733000g0"
    assert decompress("733000g0") == runs


@pytest.mark.parametrize(
    ("size", "runs"),
    [([2, 2], [2, 2]), ([2, 2], [0, 4]), ([2, 2], [4]), ([3, 1], [0, 1, 2])],
)
def test_codes_are_as_short_as_those_of_coco(size: list[int], runs: list[int]) -> None:
    for counts in (runs, compress(runs), compress(runs).encode()):
        code = {"size": size, "counts": counts}
        assert encode(decode(code), kind_of(code)) == code


@pytest.mark.parametrize(
    "runs", [[0, 5], [100_000, 1, 99_999, 2, 3], [1, 1, 70, 1, 1], [16, 15, 31, 32, 33]]
)
def test_large_and_falling_runs_survive_compression(runs: list[int]) -> None:
    assert decompress(compress(runs)) == runs


@pytest.mark.parametrize(
    "code",
    [
        {"size": [4, 4], "counts": [3, 4]},
        {"size": [4, 4], "counts": [20, -4]},
        {"size": [4, 4]},
        {"size": [4, 4], "counts": 7},
        {"size": [2, 2, 2], "counts": [8]},
        {"size": [2, 2], "counts": ["a"]},
        {"size": [2, 2], "counts": "~~~"},
        {"size": [2, 2], "counts": [float("inf")]},
    ],
)
def test_broken_codes_are_refused(code: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, OverflowError)):
        decode(code)


def test_a_number_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ValueError, match="more than 64 bits"):
        decode({"size": [2, 2], "counts": "o" * 1000})
