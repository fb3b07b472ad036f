"""Layers become data that a training reads back as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_segrefiner.errors import InputError, SegRefinerError
from napari_segrefiner.io.datasets import find_sets
from napari_segrefiner.io.pairs import Pair, read_sets
from napari_segrefiner.plugin.training_data import pair_of, write_pairs
from tests.plugin.stage import squares

RNG = np.random.default_rng(3)


def read_back(folder: Path, split: Any = "train") -> list[Pair]:
    ((_, pairs),) = read_sets(find_sets(folder, split))
    return pairs


def written(run: Path, *layers: Any, channel: int | None = None) -> list[Pair]:
    image, labels, *coarse = layers
    pair = pair_of(image, labels, coarse[0] if coarse else None, channel)
    return read_back(write_pairs(run, [pair]))


def test_a_grey_image_with_coarse_masks_comes_back(tmp_path: Path) -> None:
    labels = squares()
    image = RNG.integers(0, 255, labels.shape, dtype=np.uint8)
    coarse = np.roll(labels, 2, axis=0)
    layers = Image(image, name="a/b c"), Labels(labels), Labels(coarse)
    (pair,) = written(tmp_path / "run", *layers)
    np.testing.assert_array_equal(pair.image[..., 0], image)
    np.testing.assert_array_equal(pair.labels, labels)
    np.testing.assert_array_equal(pair.coarse[0], coarse)
    names = [path.name for path in (tmp_path / "run" / "layers" / "images").iterdir()]
    assert names == ["001_a_b_c.npy"]


def test_colours_channels_and_stacks_come_back(tmp_path: Path) -> None:
    labels = squares((40, 80))
    colour = RNG.integers(0, 255, (40, 80, 3), dtype=np.uint8)
    (pair,) = written(tmp_path, Image(colour), Labels(labels))
    np.testing.assert_array_equal(pair.image, colour)
    channels = np.moveaxis(colour, -1, 1)  # (Y, C, X), as no file has them
    (pair,) = written(tmp_path, Image(channels, rgb=False), Labels(labels))
    np.testing.assert_array_equal(pair.image, colour)
    (pair,) = written(tmp_path, Image(channels, rgb=False), Labels(labels), channel=1)
    np.testing.assert_array_equal(pair.image[..., 0], colour[..., 1])
    first = np.moveaxis(colour, -1, 0)[None]
    (pair,) = written(tmp_path, Image(first), Labels(labels[None]))
    np.testing.assert_array_equal(pair.image, colour)
    (pair,) = written(tmp_path, Image(first[:, :1]), Labels(labels))
    np.testing.assert_array_equal(pair.image[..., 0], colour[..., 0])
    stack = np.stack([labels, labels * 0, np.roll(labels, 3, axis=1)])
    films = RNG.integers(0, 255, stack.shape, dtype=np.uint8)
    pairs = written(tmp_path, Image(films), Labels(stack))
    assert len(pairs) == 2  # the empty plane teaches nothing
    np.testing.assert_array_equal(pairs[1].image[..., 0], films[2])
    np.testing.assert_array_equal(pairs[1].labels, stack[2])
    pairs = written(tmp_path, Image(films[0]), Labels(stack))
    np.testing.assert_array_equal(pairs[1].image[..., 0], films[0])


def test_of_several_pairs_some_only_validate(tmp_path: Path) -> None:
    labels = squares()
    image = Image((labels > 0) * np.uint8(200), name="same name")
    pairs = [pair_of(image, Labels(labels), None, None) for _ in range(5)]
    folder = write_pairs(tmp_path, pairs)
    sides = [{pair.stem for pair in read_back(folder, s)} for s in ("train", "val")]
    assert len(sides[0] | sides[1]) == 5
    assert not sides[0] & sides[1]


def test_labels_are_taken_as_they_were_and_other_data_stay(tmp_path: Path) -> None:
    labels = Labels(squares())
    pair = pair_of(Image(np.ones((60, 80), np.uint8)), labels, None, None)
    labels.data[:] = 1
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "mine.txt").write_text("")
    folder = write_pairs(tmp_path, [pair])
    assert folder.name == "layers-2"
    np.testing.assert_array_equal(read_back(folder)[0].labels, squares())
    assert [path.name for path in (tmp_path / "layers").iterdir()] == ["mine.txt"]


def test_what_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    image, labels = Image(np.ones((60, 80))), Labels(squares(), name="cells")
    small = Labels(squares((40, 80)), name="small")
    for given, sentence in (
        ((None, labels, None), "There is no image"),
        ((image, None, None), "has no labels"),
        ((image, small, None), "'small' are 40 x 80 but"),
        ((image, labels, labels), "'cells' cannot be both true and coarse"),
        ((image, labels, small), "'small' are 40 x 80 but the true"),
    ):
        with pytest.raises(InputError, match=sentence):
            pair_of(*given, None)
    empty = Labels(np.zeros((60, 80), int))
    with pytest.raises(InputError, match="have no objects"):
        write_pairs(tmp_path, [pair_of(image, empty, None, None)])
    other = Labels((squares() > 0).astype(int) * 77)
    with pytest.raises(InputError, match="give both the same ids"):
        write_pairs(tmp_path, [pair_of(image, labels, other, None)])
    (tmp_path / "file").write_text("")
    with pytest.raises(SegRefinerError, match="cannot be written"):
        write_pairs(tmp_path / "file", [pair_of(image, labels, None, None)])
