"""Pairs of any dtype and axes become 8-bit colours with labels, or a sentence."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from napari_segrefiner.errors import InputError
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.datasets import ImageSet, Item
from napari_segrefiner.io.pairs import read_item, read_sets, to_rgb
from napari_segrefiner.io.picture import open_picture


def _item(
    folder: Path, image: npt.NDArray[Any], labels: npt.NDArray[Any], stem: str = "a"
) -> Item:
    paths = folder / f"{stem}_image.tif", folder / f"{stem}_labels.tif"
    tifffile.imwrite(paths[0], image, photometric="minisblack")
    tifffile.imwrite(paths[1], labels, photometric="minisblack")
    return Item(stem, *paths)


def _labels(*shape: int) -> npt.NDArray[np.uint16]:
    labels = np.zeros(shape, np.uint16)
    labels[..., 2:5, 3:6] = 1
    return labels


def test_grey_bytes_are_repeated_unchanged(tmp_path: Path) -> None:
    image = np.arange(80, dtype=np.uint8).reshape(8, 10)
    (pair,) = read_item(_item(tmp_path, image, _labels(8, 10)))
    assert pair.image.dtype == np.uint8
    assert np.array_equal(pair.image, np.repeat(image[..., None], 3, axis=-1))
    assert np.array_equal(pair.labels, _labels(8, 10))
    assert pair.labels.dtype == np.uint8


@pytest.mark.parametrize(
    "shape",
    [
        (8, 10),
        (8, 10, 3),
        (8, 10, 5),
        (2, 8, 10),
        (3, 8, 10, 3),
        (4, 3, 8, 10),
        (3, 2, 8, 10),  # channels in front of the rows, as ImageJ has them
        (3, 3, 8, 10),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int8, bool])
def test_pictures_are_learnt_as_they_are_refined(
    shape: tuple[int, ...], dtype: type
) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(30, 20, shape) * rng.uniform(0.2, 2, shape[-1])
    image = np.clip(values, 0, 127).astype(dtype)
    of_labels = (3, 8, 10) if len(shape) == 4 else (8, 10)
    shown = to_rgb(image, np.zeros(of_labels, np.uint8))
    assert shown.shape == (*of_labels, 3)
    for index in np.ndindex(of_labels[:-2]):
        is_first = shape[0] == 4
        plane = image[(slice(None), *index)] if is_first else image[index]
        plane = image if len(shape) < 4 else plane
        seen = open_picture(plane, (8, 10)).read(Box(0, 0, 8, 10))
        expected = np.broadcast_to(np.moveaxis(seen, 0, -1) * 255, (8, 10, 3))
        np.testing.assert_allclose(shown[index], expected, atol=0.501)


def test_a_flat_float_image_gives_no_error() -> None:
    image = np.full((5, 5), np.nan, np.float32)
    assert not to_rgb(image, np.zeros((5, 5), bool)).any()


def test_alpha_is_dropped() -> None:
    image = np.random.default_rng(0).integers(0, 255, (6, 6, 4)).astype(np.uint8)
    assert np.array_equal(to_rgb(image, np.zeros((6, 6), bool)), image[..., :3])


def test_planes_of_a_stack_that_have_objects_become_pairs(tmp_path: Path) -> None:
    labels = np.zeros((4, 8, 10), np.uint16)
    labels[1, 2:4, 2:4], labels[3, 5:7, 5:7] = 7, 2
    image = np.stack([np.full((8, 10), 10 * z, np.uint8) for z in range(4)])
    pairs = read_item(_item(tmp_path, image, labels, "stack"))
    assert [pair.stem for pair in pairs] == ["stack_1", "stack_3"]
    assert {pair.group for pair in pairs} == {"stack"}
    assert [int(pair.image.max()) for pair in pairs] == [10, 30]
    assert np.array_equal(pairs[0].labels, labels[1])


def test_very_large_labels_are_renumbered_alike_in_coarse_masks(tmp_path: Path) -> None:
    labels = np.zeros((8, 10), np.uint32)
    labels[1:3, 1:3], labels[5:7, 5:7] = 4_000_000_000, 70_000
    coarse = np.zeros_like(labels)
    coarse[1:4, 1:4], coarse[0, 9] = 4_000_000_000, 5
    item = _item(tmp_path, np.zeros((8, 10), np.uint8), labels)
    tifffile.imwrite(tmp_path / "coarse.tif", coarse)
    item = Item(item.stem, item.image, item.labels, (tmp_path / "coarse.tif",))
    (pair,) = read_item(item)
    assert np.array_equal(pair.labels, 2 * (labels > 70_000) + (labels == 70_000))
    assert np.array_equal(pair.coarse[0], 2 * (coarse > 70_000))


def test_mismatched_and_empty_pairs_are_refused_with_sizes(tmp_path: Path) -> None:
    image = np.zeros((8, 10), np.uint8)
    with pytest.raises(InputError, match=r"labels\.tif is 8 x 9 but .* is 8 x 10"):
        read_item(_item(tmp_path, image, _labels(8, 9)))
    with pytest.raises(InputError, match="has no objects"):
        read_item(_item(tmp_path, image, np.zeros((8, 10), np.uint16)))
    item = _item(tmp_path, image, _labels(8, 10))
    tifffile.imwrite(tmp_path / "coarse.tif", _labels(9, 10))
    bad = Item("a", item.image, item.labels, (tmp_path / "coarse.tif",))
    with pytest.raises(InputError, match=r"coarse\.tif is 9 x 10 but"):
        read_item(bad)


def test_bad_pairs_are_listed_in_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = np.zeros((8, 10), np.uint8)
    good = _item(tmp_path, image, _labels(8, 10), "good")
    empty = _item(tmp_path, image, np.zeros((8, 10), np.uint16), "empty")
    missing = Item("gone", tmp_path / "gone.png", good.labels)
    with caplog.at_level(logging.WARNING):
        ((name, pairs),) = read_sets(
            [ImageSet("cells", (good, empty, missing), ("x.png has no labels.",))]
        )
    assert (name, [pair.stem for pair in pairs]) == ("cells", ["good"])
    (record,) = caplog.records
    text = record.getMessage()
    assert text.startswith("3 pairs cannot be used")
    assert "x.png" in text
    assert "empty_labels.tif has no objects" in text
    assert "gone.png" in text


def test_without_one_good_pair_the_reasons_are_the_error(tmp_path: Path) -> None:
    missing = Item("gone", tmp_path / "gone.png", tmp_path / "gone_labels.png")
    with pytest.raises(
        InputError, match=r"(?s)No image with labels.*1 pair.*gone\.png"
    ):
        read_sets([ImageSet("cells", (missing,))])
