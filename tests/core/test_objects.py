"""Objects are found in one pass, whatever the type and the size of their ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_segrefiner.core import objects
from napari_segrefiner.core.objects import check_labels, choose, find_objects
from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.geometry import Box

RNG = np.random.default_rng(1)


def found_naively(labels: np.ndarray[Any, Any]) -> list[tuple[int, int, Box]]:
    found = []
    for id in np.unique(labels[labels != 0]):
        y, x = np.nonzero(labels == id)
        found.append((int(id), len(y), Box(y.min(), x.min(), y.max() + 1, x.max() + 1)))
    return found


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i4", "<u4", "i8", ">u8", "u8"])
def test_boxes_and_areas_equal_a_search_label_by_label(dtype: str) -> None:
    labels = RNG.integers(0, 9, (40, 31)) * (RNG.random((40, 31)) < 0.3)
    largest = np.iinfo(dtype).max
    ids = np.array([0, 3, 4, 7, 50, 99, 100, largest - 1, largest], dtype=dtype)
    labels = ids[labels]
    got = [(o.id, o.area, o.box) for o in find_objects(labels)]
    assert got == found_naively(labels)


def test_objects_that_span_several_blocks_of_rows_are_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objects, "BLOCK_ROWS", 4)
    labels = np.zeros((30, 20), np.int32)
    labels[2:27, 5:9] = 10**9
    labels[28:, 0] = 4
    got = [(o.id, o.area, o.box) for o in find_objects(labels)]
    assert got == found_naively(labels)


def test_views_that_are_not_contiguous_are_read_as_they_look() -> None:
    labels = RNG.integers(0, 4, (20, 30))
    view = labels.T[::-2, ::3]
    got = [(o.id, o.area, o.box) for o in find_objects(view)]
    assert got == found_naively(view)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (7, 9)])
def test_nothing_is_found_in_background_or_emptiness(shape: tuple[int, int]) -> None:
    assert find_objects(np.zeros(shape, np.uint16)) == []


def test_bool_labels_are_one_object_and_not_copied() -> None:
    labels = RNG.random((6, 7)) < 0.5
    integers = check_labels(labels)
    assert [o.id for o in find_objects(integers)] == [1]
    assert np.shares_memory(integers, labels)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros((4, 4)), "float64"),
        (np.zeros((4, 4), complex), "complex128"),
        (np.zeros((4, 4), object), "object"),
        (np.array([[0, 1], [-3, 2]]), "-3"),
        (np.zeros((2, 4, 4), int), "plane"),
        (np.zeros(4, int), "plane"),
    ],
)
def test_what_is_no_plane_of_labels_is_refused(
    labels: np.ndarray[Any, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        check_labels(labels)


def test_ids_and_a_smallest_area_choose_objects() -> None:
    labels = np.zeros((9, 9), int)
    labels[0, 0], labels[2:4, 2:4], labels[6:9, 6:9] = 3, 5, 8
    found = find_objects(labels)
    assert [o.id for o in choose(found, (), 1)] == [3, 5, 8]
    assert [o.id for o in choose(found, (), 4)] == [5, 8]
    assert [o.id for o in choose(found, (8, 3), 4)] == [8]


def test_ids_that_the_labels_lack_are_named() -> None:
    found = find_objects(np.array([[0, 3], [5, 5]]))
    with pytest.raises(OptionError, match=r"no label 4, 9.*3 to 5"):
        choose(found, (9, 3, 4), 1)
    with pytest.raises(OptionError, match="none"):
        choose([], (1,), 1)
