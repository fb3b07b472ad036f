"""COCO and LVIS files: outlines, run lengths, and which image they belong to."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_segrefiner.errors import InputError
from napari_segrefiner.io import coco, memory
from napari_segrefiner.io.coco import decode, is_coco, read_index
from napari_segrefiner.io.datasets import find_sets
from napari_segrefiner.io.pairs import read_sets


def _square(x: int, y: int, side: int) -> list[list[int]]:
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


def _write(path: Path, images: list[Any], annotations: list[Any], **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = {"info": {"year": 1}, "images": images, "annotations": annotations, **more}
    path.write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    return path


def _image(path: Path, height: int = 20, width: int = 30) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(height * width).reshape(height, width) % 251
    Image.fromarray(values.astype(np.uint8)).save(path)


def _entry(i: int, name: str, height: int = 20, width: int = 30) -> dict[str, Any]:
    return {"id": i, "file_name": name, "height": height, "width": width}


def test_a_polygon_holds_the_pixels_whose_middle_is_inside() -> None:
    mask = decode([[2, 1, 5, 1, 5, 3, 2, 3], [7.6, 0, 9.4, 0, 9.4, 1, 7.6, 1]], 4, 10)
    expected = np.zeros((4, 10), bool)
    expected[1:3, 2:5] = True
    expected[0, 8] = True
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize(
    ("outline", "said"),
    [
        ([[1, 2, 3]], r"a polygon has 3 numbers, not pairs of x and y"),
        ([[1, 1, 5, 1, float("nan"), 4]], "a corner that is NaN or infinite"),
        ([[1, 1, 5, 1, float("inf"), 4]], "a corner that is NaN or infinite"),
        ({"counts": [9]}, "'size' is missing"),
        ([5], "An outline cannot be understood"),
        ([[{}, 2]], "something else stands where it has numbers"),
    ],
)
def test_outlines_are_refused_in_words_without_python(outline: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        decode(outline, 3, 3)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.95, 0.999])
def test_a_file_that_is_cut_off_is_told_as_such(tmp_path: Path, share: float) -> None:
    _image(tmp_path / "a.png")
    boxes = [{"image_id": 1, "segmentation": _square(2, 3, 5)} for _ in range(9)]
    path = _write(tmp_path / "a.json", [_entry(1, "a.png")], boxes)
    text = path.read_text()
    path.write_text(text[: int(share * len(text))])
    with pytest.raises(
        InputError, match=r"no JSON from character|it ends in its"
    ) as error:
        read_index(path)
    assert "Error" not in str(error.value)


def test_run_lengths_go_down_the_columns() -> None:
    mask = decode({"size": [3, 2], "counts": [2, 3, 1]}, 3, 2)
    assert mask.astype(int).tolist() == [[0, 1], [0, 1], [1, 0]]


def test_compressed_run_lengths_are_those_of_the_format() -> None:
    # 3; 40 in two characters; 5; 2 as the difference to 40, which is negative.
    runs = [3, 40, 5, 2]
    text = decode({"size": [10, 5], "counts": "3X15jN"}, 10, 5)
    assert np.array_equal(text, decode({"size": [10, 5], "counts": runs}, 10, 5))
    assert np.count_nonzero(text) == 42


@pytest.mark.parametrize(
    "outline",
    [
        {"size": [3, 3], "counts": [2, 3]},
        {"size": [9, 9], "counts": [81]},
        {"counts": [9]},
        [[1, 2, 3]],
        {"size": [3, 3], "counts": [float("inf")]},
        "polygon",
    ],
)
def test_outlines_that_are_none_are_refused(outline: Any) -> None:
    with pytest.raises(InputError, match="outline cannot be understood"):
        decode(outline, 3, 3)


def test_an_index_finds_images_and_reads_their_objects(tmp_path: Path) -> None:
    _image(tmp_path / "images" / "häuser.png")
    _image(tmp_path / "train2017" / "7.png")
    file = _write(
        tmp_path / "annotations" / "a.json",
        [
            _entry(1, "häuser.png"),
            {
                "id": 7,
                "height": 20,
                "width": 30,
                "coco_url": "http://images.example/train2017/7.png",
            },
            _entry(8, "gone.png"),
            _entry(9, "empty.png"),
        ],
        [
            {
                "image_id": 7,
                "segmentation": _square(1, 1, 3),
                "area": 9,
                "bbox": [1, 1, 3, 3],
            },
            {"image_id": 1, "segmentation": _square(0, 0, 20), "iscrowd": 1},
            {"image_id": 7, "segmentation": _square(5, 5, 4), "ignore": 1},
            {"image_id": 7, "segmentation": []},
            {"image_id": 8, "segmentation": _square(5, 5, 4)},
        ],
        categories=[{"id": 1, "name": '[{"é'}],
    )
    found, problems = read_index(file)
    assert [one.stem for one in found] == ["häuser", "train2017/7"]
    assert len(problems) == 1
    assert "gone.png" in problems[0]
    first, second = found[1].annotations.objects()
    assert (first.area, first.box, first.is_ignored) == (9, (1, 1, 3, 3), False)
    assert (second.area, second.is_ignored) == (600, True)
    assert np.count_nonzero(second.mask) == 16
    assert found[0].annotations.objects()[0].is_crowd


@pytest.mark.parametrize("name", ["cafés.png", "細胞.png"])
@pytest.mark.parametrize("is_escaped", [True, False])
def test_names_beyond_ascii_are_found_however_they_are_written(
    tmp_path: Path, name: str, is_escaped: bool
) -> None:
    _image(tmp_path / "images" / name)
    outline = {"image_id": 1, "segmentation": _square(2, 2, 5)}
    path = _write(tmp_path / "a.json", [_entry(1, name)], [outline])
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content, ensure_ascii=is_escaped), encoding="utf-8")
    found, problems = read_index(path)
    assert [one.image.name for one in found] == [name]
    assert not problems


def test_smaller_objects_lie_on_top_and_hidden_ones_are_gone(tmp_path: Path) -> None:
    _image(tmp_path / "a.png")
    file = _write(
        tmp_path / "a.json",
        [_entry(1, "a.png")],
        [
            {"image_id": 1, "segmentation": _square(2, 2, 4)},
            {"image_id": 1, "segmentation": _square(1, 1, 12)},
            {"image_id": 1, "segmentation": _square(2, 2, 5)},  # 16 of 25 are covered
            {"image_id": 1, "segmentation": _square(14, 0, 9), "iscrowd": 1},
        ],
    )
    (one,), _ = read_index(file)
    labels = one.annotations.labels()
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert np.count_nonzero(labels == 1) == 16
    assert np.count_nonzero(labels == 2) == 144 - 25


def test_what_is_no_annotation_file_is_refused(tmp_path: Path) -> None:
    for k, text in enumerate(("", "[1]", '{"images": [{"id"', '{"images": [{}]}')):
        path = tmp_path / f"{k}.json"
        path.write_text(text)
        if k < 3:
            with pytest.raises(InputError, match="not a COCO or LVIS"):
                read_index(path)
    assert not is_coco(tmp_path / "1.json")
    assert is_coco(tmp_path / "3.json")
    assert not is_coco(tmp_path / "none.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"height": -20},
        {"height": float("inf")},
        {"file_name": None, "coco_url": 7},
    ],
)
def test_images_that_cannot_be_are_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    _image(tmp_path / "a.png")
    outline = {"image_id": 1, "segmentation": _square(2, 2, 4)}
    entry = _entry(1, "a.png") | changes
    with pytest.raises(InputError, match="not a COCO or LVIS"):
        read_index(_write(tmp_path / "a.json", [entry], [outline]))


def test_lists_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"images": ' + "[" * 100_000)
    with pytest.raises(InputError, match="not a COCO or LVIS"):
        read_index(path)


def test_a_size_beyond_the_memory_is_refused_before_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**30)
    _image(tmp_path / "a.png")
    outline = {"image_id": 1, "segmentation": _square(2, 2, 4)}
    entry = _entry(1, "a.png", 20_000, 20_000)
    (one,), _ = read_index(_write(tmp_path / "a.json", [entry], [outline]))
    with pytest.raises(InputError, match=r"a\.json holds .* GB of pixels"):
        one.annotations.labels()


@pytest.mark.parametrize(
    "changes", [{"bbox": [0, 0]}, {"area": "large"}, {"segmentation": [[1, 2, 3]]}]
)
def test_an_annotation_that_is_none_is_told_with_its_file(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    _image(tmp_path / "a.png")
    outline = {"image_id": 1, "segmentation": _square(2, 2, 4)} | changes
    file = _write(tmp_path / "a.json", [_entry(1, "a.png")], [outline])
    (one,), _ = read_index(file)
    with pytest.raises(InputError, match=r"a\.json.* cannot be understood"):
        one.annotations.labels()


def test_a_file_that_changed_since_is_named(tmp_path: Path) -> None:
    _image(tmp_path / "a.png")
    outline = {"image_id": 1, "segmentation": _square(2, 2, 4)}
    file = _write(tmp_path / "a.json", [_entry(1, "a.png")], [outline])
    (one,), _ = read_index(file)
    file.write_text("{}")
    with pytest.raises(InputError, match="cannot be read any more"):
        one.annotations.objects()


def test_annotation_files_are_data_sets(tmp_path: Path) -> None:
    entries = [_entry(i, f"{i}.png") for i in range(10)]
    outlines = [{"image_id": i, "segmentation": _square(3, 3, 6)} for i in range(10)]
    for i in range(10):
        _image(tmp_path / "images" / f"{i}.png")
    folder = tmp_path / "annotations"
    _write(folder / "instances_train2017.json", entries[:7], outlines[:7])
    _write(folder / "instances_val2017.json", entries[7:], outlines[7:])
    _write(folder / "captions_train2017.json", entries, [])
    (train,), (val,) = find_sets(tmp_path, "train"), find_sets(tmp_path, "val")
    assert (train.name, len(train.items)) == ("instances_train2017", 7)
    assert (val.name, len(val.items)) == ("instances_val2017", 3)
    ((_, pairs),) = read_sets([train])
    assert pairs[0].image.shape == (20, 30, 3)
    assert np.count_nonzero(pairs[0].labels == 1) == 36
    with pytest.raises(InputError, match="is for val, as its name says"):
        find_sets(folder / "instances_val2017.json", "train")
    whole = _write(tmp_path / "all.json", entries, outlines)
    sides = [find_sets(whole, side)[0].items for side in ("train", "val")]  # type: ignore[arg-type]
    stems = [{item.stem for item in side} for side in sides]
    assert (len(stems[0]), len(stems[1])) == (8, 2)
    assert not stems[0] & stems[1]


@pytest.mark.parametrize("name", ["../other/a.png", "..\\other\\a.png", "{absolute}"])
def test_annotations_do_not_lead_out_of_their_folder(tmp_path: Path, name: str) -> None:
    _image(tmp_path / "other" / "a.png")
    name = name.format(absolute=tmp_path / "other" / "a.png")
    one = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": _square(2, 2, 9)}
    path = _write(tmp_path / "data" / "annotations.json", [_entry(1, name)], [one])
    found, problems = read_index(path)
    assert not found
    assert len(problems) == 1
    _image(tmp_path / "data" / "images" / "a.png")
    found, _ = read_index(path)
    assert found[0].image == tmp_path / "data" / "images" / "a.png"


def _outline(image: Any, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "segmentation": _square(2, 2, 4), **more}


def test_an_outline_that_is_none_is_told_with_its_image(tmp_path: Path) -> None:
    _image(tmp_path / "b.png")
    outline = _outline(1) | {"segmentation": "polygon"}
    file = _write(tmp_path / "a.json", [_entry(1, "b.png")], [outline])
    (one,), _ = read_index(file)
    with pytest.raises(InputError, match=r"b\.png in .*a\.json: An outline"):
        one.annotations.labels()


def test_an_area_that_is_not_known_is_that_of_the_box(tmp_path: Path) -> None:
    _image(tmp_path / "a.png")
    outline = _outline(1, area=None, bbox=[2, 2, 4, 5])
    (one,), _ = read_index(_write(tmp_path / "a.json", [_entry(1, "a.png")], [outline]))
    assert one.annotations.objects()[0].area == 20


def test_files_may_begin_otherwise(tmp_path: Path) -> None:
    _image(tmp_path / "a.png")
    path = _write(tmp_path / "a.json", [_entry(1, "a.png")], [_outline(1)])
    content = json.loads(path.read_text(encoding="utf-8"))
    for encoding, first in (("utf-8-sig", {}), ("utf-8", {"contributor": "me"})):
        path.write_text(json.dumps({**first, **content}), encoding=encoding)
        assert is_coco(path)
        (one,), _ = read_index(path)
        assert np.count_nonzero(one.annotations.labels()) == 16
    path.write_text(json.dumps({"totals": {}, "images": []}))  # evaluate's scores
    assert not is_coco(path)
    facts = {"name": "cells", "images": 120, "categories": ["nucleus"]}
    path.write_text(json.dumps(facts))  # of a data set
    assert not is_coco(path)


@pytest.mark.parametrize(("listed", "given"), [("7", 7), (7, "7"), (7, 7.0)])
def test_numbers_of_images_may_be_texts(
    tmp_path: Path, listed: Any, given: Any
) -> None:
    _image(tmp_path / "a.png")
    file = _write(tmp_path / "a.json", [_entry(listed, "a.png")], [_outline(given)])
    found, problems = read_index(file)
    assert [one.stem for one in found] == ["a"]
    assert not problems


def test_annotations_of_no_image_and_images_listed_twice_are_told(
    tmp_path: Path,
) -> None:
    _image(tmp_path / "a.png")
    _image(tmp_path / "a.jpg")
    entries = [_entry(1, "a.png"), _entry(2, "a.png"), _entry(3, "a.jpg")]
    outlines = [_outline(i) for i in (1, 2, 3, "x", "x")]
    (one,), problems = read_index(_write(tmp_path / "a.json", entries, outlines))
    assert one.image == tmp_path / "a.png"
    assert [text.split()[0] for text in problems] == ["a.png", "a.jpg", "Annotations"]
    assert "an image of the same name before it" in problems[0]
    assert "does not list (such as 'x'), 2 in all" in problems[2]


def test_masks_of_many_objects_are_not_held_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[Any]] = []

    def hold(*given: Any) -> Any:
        mask = decode(*given)
        held.append(weakref.ref(mask))
        assert sum(one() is not None for one in held) <= 2
        return mask

    monkeypatch.setattr(coco, "decode", hold)
    _image(tmp_path / "a.png")
    outlines = [
        _outline(1) | {"segmentation": _square(x, 2, 2)} for x in range(0, 20, 3)
    ]
    (one,), _ = read_index(_write(tmp_path / "a.json", [_entry(1, "a.png")], outlines))
    assert one.annotations.labels().max() == 7
