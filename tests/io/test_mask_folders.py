"""Folders with one mask per image, as the public sets of fine masks have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_segrefiner.io.datasets import find_sets
from napari_segrefiner.io.pairs import read_item, read_mask
from napari_segrefiner.io.sizes import plane_size


def _picture(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


def _pair(image: Path, mask: Path) -> None:
    _picture(image, np.full((12, 16, 3), 90))
    values = np.zeros((12, 16))
    values[2:9, 3:8], values[2, 3:8] = 255, 127
    _picture(mask, values)


def test_dis_folders_learn_and_validate_by_their_names(tmp_path: Path) -> None:
    for side, names in (("TR", "abc"), ("VD", "de"), ("TE1", "f")):
        for name in names:
            folder = tmp_path / "DIS5K" / f"DIS-{side}"
            _pair(folder / "im" / f"{name}.jpg", folder / "gt" / f"{name}.png")
    for root in (tmp_path, tmp_path / "DIS5K"):
        (train,) = find_sets(root, "train")
        (val,) = find_sets(root, "val")
        assert (train.name, len(train.items)) == ("DIS-TR", 3)
        assert (val.name, len(val.items)) == ("DIS-VD", 2)
    (pair,) = read_item(train.items[0])
    assert pair.labels.dtype == np.uint8
    assert np.count_nonzero(pair.labels == 1) == 30  # 127 is less than half


def test_lists_of_names_decide_where_there_are_some(tmp_path: Path) -> None:
    for name in "abcd":
        _pair(tmp_path / "images" / f"{name}.jpg", tmp_path / "masks" / f"{name}.png")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "train.txt").write_text("b.jpg\nc.jpg\n")
    (tmp_path / "list" / "val.txt").write_text("a\n")
    stems = [
        [item.stem for item in find_sets(tmp_path, side)[0].items]  # type: ignore[arg-type]
        for side in ("train", "val")
    ]
    assert stems == [["b", "c"], ["a"]]


def test_names_of_a_list_may_have_dots_and_no_endings(tmp_path: Path) -> None:
    for name in ("a.0", "a.1", "b.0"):
        _pair(tmp_path / "images" / f"{name}.jpg", tmp_path / "masks" / f"{name}.png")
    (tmp_path / "train.txt").write_text("a.0\nimages/a.1.JPG\n")
    (found,) = find_sets(tmp_path, "train")
    assert [item.stem for item in found.items] == ["a.0", "a.1"]


def test_images_and_masks_may_lie_side_by_side(tmp_path: Path) -> None:
    for name in ("x", "y_1", "z"):
        _pair(tmp_path / f"{name}_im.jpg", tmp_path / f"{name}_gt.png")
    _picture(tmp_path / "lone_im.jpg", np.zeros((9, 9, 3)))
    found = [*find_sets(tmp_path, "train"), *find_sets(tmp_path, "val")]
    stems = sorted(item.stem for one in found for item in one.items)
    assert stems == ["x", "y_1", "z"]
    assert all("lone_im.jpg has no mask" in one.problems[0] for one in found)


def test_prepared_coarse_masks_come_along(tmp_path: Path) -> None:
    _pair(tmp_path / "im" / "a.jpg", tmp_path / "gt" / "a.png")
    for folder in ("coarse", "coarse_expand"):
        _picture(tmp_path / folder / "a.png", np.full((12, 16), 255))
    ((one,), *_) = (found.items for found in find_sets(tmp_path, "train"))
    assert [path.parent.name for path in one.coarse] == ["coarse", "coarse_expand"]
    (pair,) = read_item(one)
    assert (pair.coarse[0] == 1).all()


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_white_is_the_brightest_value_of_the_type(tmp_path: Path, white: int) -> None:
    values = np.zeros((6, 6), np.uint16 if white > 255 else np.uint8)
    values[2:4] = white
    Image.fromarray(values).save(tmp_path / "m.png")
    assert np.count_nonzero(read_mask(tmp_path / "m.png")) == 12


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", ">u4", "f4"])
@pytest.mark.parametrize("value", [1, 100, 255])
def test_of_two_values_the_other_one_is_the_object(
    tmp_path: Path, dtype: str, value: int
) -> None:
    values = np.zeros((6, 6), dtype)
    values[2:4] = value
    np.save(tmp_path / "m.npy", values)
    assert np.array_equal(read_mask(tmp_path / "m.npy"), values != 0)


@pytest.mark.parametrize(
    ("dtype", "values", "n_inside"),
    [
        ("uint8", (0, 60, 120), 0),
        ("int8", (0, 63, 127), 1),
        ("uint16", (0, 127, 255), 1),
        ("int32", (3, 128, 255), 2),
        ("uint16", (0, 255, 65535), 1),
        ("uint16", (0, 255, 30000), 0),
        ("f4", (0, 0.4, 0.6), 1),
        ("f4", (np.nan, 0, 1), 1),
    ],
)
def test_of_more_values_half_of_white_is_the_object(
    tmp_path: Path, dtype: str, values: tuple[float, ...], n_inside: int
) -> None:
    np.save(tmp_path / "m.npy", np.array([values], dtype))
    assert np.count_nonzero(read_mask(tmp_path / "m.npy")) == n_inside


def test_sizes_are_read_without_decoding(tmp_path: Path) -> None:
    _picture(tmp_path / "a.png", np.zeros((5, 7)))
    _picture(tmp_path / "a.jpg", np.zeros((5, 7, 3)))
    _picture(tmp_path / "a.tif", np.zeros((5, 7)))
    _picture(tmp_path / "a.tiff", np.zeros((5, 7, 3)))
    np.save(tmp_path / "a.npy", np.zeros((3, 5, 7)))
    for ending in ("png", "jpg", "tif", "tiff", "npy"):
        assert plane_size(tmp_path / f"a.{ending}") == (5, 7)


def test_of_two_masks_of_one_name_the_readable_one_is_taken(tmp_path: Path) -> None:
    _pair(tmp_path / "im" / "a.jpg", tmp_path / "gt" / "a.png")
    _picture(tmp_path / "gt" / "a.bmp", np.zeros((12, 16)))
    np.save(tmp_path / "gt" / "a.npy", np.zeros((12, 16)))
    (one,) = find_sets(tmp_path, "train")
    assert [item.labels.name for item in one.items] == ["a.png"]
    (problem,) = one.problems
    assert "a.npy is not used" in problem
    assert "a.png has the same name" in problem
