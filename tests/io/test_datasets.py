"""Which files belong together, and what is said about those that do not."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.datasets import find_sets, fingerprint


def _touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


def _flat(root: Path, n: int) -> None:
    _touch(root / "images", *(f"im{i}.png" for i in range(n)))
    _touch(root / "labels", *(f"im{i}.tif" for i in range(n)))


def _sides(root: Path) -> tuple[set[str], set[str]]:
    train, val = (
        {item.stem for one in find_sets(root, side) for item in one.items}
        for side in ("train", "val")
    )
    return train, val


def test_flat_pairs_are_split_without_overlap_and_always_alike(tmp_path: Path) -> None:
    _flat(tmp_path, 20)
    train, val = _sides(tmp_path)
    assert train | val == {f"im{i}" for i in range(20)}
    assert not train & val
    assert len(val) == 4
    assert (train, val) == _sides(tmp_path)


def test_two_flat_pairs_serve_one_side_each_and_one_serves_both(tmp_path: Path) -> None:
    _flat(tmp_path / "two", 2)
    train, val = _sides(tmp_path / "two")
    assert len(train) == len(val) == 1
    assert train != val
    _flat(tmp_path / "one", 1)
    assert _sides(tmp_path / "one") == ({"im0"}, {"im0"})


def test_flat_pairs_of_a_group_stay_on_one_side(tmp_path: Path) -> None:
    _flat(tmp_path, 12)
    films = {f"film{g}": [f"im{i}" for i in range(g, 12, 4)] for g in range(4)}
    (tmp_path / "groups.json").write_text(json.dumps({tmp_path.name: {"all": films}}))
    train, val = _sides(tmp_path)
    assert val
    for stems in films.values():
        assert set(stems) <= train or set(stems) <= val


def test_sets_with_sides_keep_their_sides_and_find_coarse_masks(tmp_path: Path) -> None:
    for side in ("train", "val"):
        _touch(tmp_path / "cells" / side / "images", f"{side}.jpg")
        _touch(tmp_path / "cells" / side / "labels", f"{side}.png")
    _touch(tmp_path / "cells/train/coarse", "train.png")
    _touch(tmp_path / "cells/train/coarse_b", "train.png", "other.png")
    (one,) = find_sets(tmp_path, "train")
    (item,) = one.items
    assert (one.name, item.stem, item.group) == ("cells", "train", "train")
    assert [path.parent.name for path in item.coarse] == ["coarse", "coarse_b"]
    (one,) = find_sets(tmp_path, "val")
    assert one.items[0].coarse == ()


def test_excluded_sets_are_left_out_and_unknown_names_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _touch(tmp_path / name / "train/images", "1.png")
        _touch(tmp_path / name / "train/labels", "1.png")
    assert [one.name for one in find_sets(tmp_path, "train", exclude=["a"])] == ["b"]
    with pytest.raises(InputError, match=r"\(c\) are not in .* holds a, b"):
        find_sets(tmp_path, "train", exclude=["c"])


def test_excluding_every_set_is_refused_as_such(tmp_path: Path) -> None:
    _flat(tmp_path / "cells", 2)
    with pytest.raises(InputError, match=r"Every set in .* is excluded \(cells\)"):
        find_sets(tmp_path, "train", ["cells"])


def test_a_fingerprint_tells_changed_files_from_copied_ones(tmp_path: Path) -> None:
    _flat(tmp_path / "a/cells", 5)
    first = find_sets(tmp_path / "a", "train")
    plain, timed = fingerprint(first), fingerprint(first, has_times=True)
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)
    os.utime(first[0].items[0].labels, ns=(1, 1))  # rewritten, as long as before
    assert fingerprint(first) == plain
    assert fingerprint(first, has_times=True) != timed
    copied = find_sets(tmp_path / "b", "train")
    assert fingerprint(copied) == plain
    copied[0].items[0].labels.write_bytes(b"more")
    assert fingerprint(copied) != plain
    copied[0].items[0].labels.unlink()
    lost = fingerprint(copied)  # as a link to nowhere: no error, another digest
    assert lost != plain
    assert fingerprint(find_sets(tmp_path / "b", "train")) not in (plain, lost)


def test_sets_of_one_name_are_told_apart_by_the_folders_above(tmp_path: Path) -> None:
    for folder in ("first/cells", "second/cells", "third/nuclei"):
        _flat(tmp_path / folder, 2)
    found = find_sets(tmp_path, "train")
    assert [one.name for one in found] == ["first-cells", "second-cells", "nuclei"]
    (left,) = find_sets(tmp_path, "train", ("first-cells", "nuclei"))
    assert "second" in str(left.items[0].image)
    with pytest.raises(InputError, match="holds first-cells, second-cells, nuclei"):
        find_sets(tmp_path, "train", ("cells",))


def test_files_without_partner_or_with_a_twin_are_named(tmp_path: Path) -> None:
    _touch(tmp_path / "s/train/images", "a.png", "b.png", "c.png", "c.jpg", ".d.png")
    _touch(tmp_path / "s/train/labels", "a.png", "c.png", "e.tif")
    (one,) = find_sets(tmp_path, "train")
    assert [item.stem for item in one.items] == ["a", "c"]
    assert one.items[1].image.name == "c.png"
    text = "\n".join(one.problems)
    assert len(one.problems) == 3
    assert "b.png has no labels" in text
    assert "e.tif has no image" in text
    assert "c.jpg is not used" in text


def test_a_folder_without_pairs_is_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        find_sets(tmp_path / "missing", "train")
    _touch(tmp_path / "s/train/images", "a.png")
    _touch(tmp_path / "s/train/labels")
    with pytest.raises(InputError, match=r"(?s)No pairs.*a\.png has no labels"):
        find_sets(tmp_path, "train")


def _write_groups(folder: Path, name: str, films: dict[str, list[str]]) -> None:
    text = json.dumps({name: {"all": films}})
    (folder / "groups.json").write_text(text, encoding="utf-8")


FILMS = {f"film{g}": [f"im{i}" for i in range(g, 12, 4)] for g in range(4)}


def _is_split_by_film(root: Path) -> bool:
    train, val = _sides(root)
    whole = [set(stems) <= train or set(stems) <= val for stems in FILMS.values()]
    return bool(val) and not train & val and all(whole)


@pytest.mark.parametrize("given", [".", "..", "link", "renamed"])
def test_groups_hold_however_the_folder_is_given(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = tmp_path / "cells"
    _flat(cells, 12)
    _write_groups(cells, "cells", FILMS)
    monkeypatch.chdir(cells / "images" if given == ".." else cells)
    root = Path(given)
    if given == "link":
        root = tmp_path / given
        try:
            root.symlink_to(cells, target_is_directory=True)
        except OSError:
            pytest.skip("no links here")
    elif given == "renamed":
        root = tmp_path / given
        shutil.copytree(cells, root)
    assert _is_split_by_film(root)
    if given in (".", ".."):
        assert [one.name for one in find_sets(root, "train")] == ["cells"]


@pytest.mark.parametrize("where", ["more/cells", "more", "."])
def test_groups_hold_for_a_set_inside_and_given_itself(
    where: str, tmp_path: Path
) -> None:
    cells = tmp_path / "more" / "cells"
    _flat(cells, 12)
    _flat(tmp_path / "more" / "others", 1)
    _write_groups(tmp_path / where, "cells", FILMS)
    if where != ".":
        assert _is_split_by_film(cells)
    train, val = (
        next(one for one in find_sets(tmp_path, side) if one.name == "cells")
        for side in ("train", "val")
    )
    assert train.problems == ()
    groups = [{item.group for item in one.items} for one in (train, val)]
    assert groups[0] | groups[1] == set(FILMS)
    assert not groups[0] & groups[1]


def test_groups_hold_for_masks_and_annotations(tmp_path: Path) -> None:
    names = [f"im{i}" for i in range(12)]
    _touch(tmp_path / "masks/im", *(f"{name}.jpg" for name in names))
    _touch(tmp_path / "masks/gt", *(f"{name}.png" for name in names))
    _write_groups(tmp_path, "masks", FILMS)
    assert _is_split_by_film(tmp_path / "masks")
    _touch(tmp_path / "coco/images", *(f"{name}.png" for name in names))
    images = [
        {"id": i, "file_name": f"{name}.png", "height": 9, "width": 9}
        for i, name in enumerate(names)
    ]
    tree = {"images": images, "annotations": [{"image_id": i} for i in range(12)]}
    (tmp_path / "coco" / "cells.json").write_text(json.dumps(tree))
    for name in ("cells", "coco"):
        _write_groups(tmp_path / "coco", name, FILMS)
        assert _is_split_by_film(tmp_path / "coco")
        assert _is_split_by_film(tmp_path / "coco" / "cells.json")


def test_names_in_groups_that_match_nothing_are_told(tmp_path: Path) -> None:
    cells = tmp_path / "cells"
    _flat(cells, 12)
    wrong = {"a": ["im0", "im1.png", "im2.png", "im3.png", "im4.png"]}
    _write_groups(tmp_path, "cells", wrong)
    (one,) = find_sets(cells, "train")
    (text,) = one.problems
    assert "names im1.png, im2.png, im3.png and 1 more, but cells has no" in text
    # a file in the set's own folder is about this set
    two = json.dumps({"flim": {"all": FILMS}, "film": {"all": FILMS}})
    (cells / "groups.json").write_text(two)
    (tmp_path / "groups.json").write_text("{}")
    (one,) = find_sets(cells, "train")
    (text,) = one.problems
    assert "does not name cells (it has flim, film)" in text
    (cells / "groups.json").unlink()
    # one above may be about others
    (tmp_path / "groups.json").write_text(two)
    (one,) = find_sets(cells, "train")
    assert one.problems == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"s": ["a"]}',
        '{"s": {"all": ["a"]}}',
        '{"s": {"all": {"film": "im0"}}}',
        '{"s": {"all": {"film": [0]}}}',
        '[{"s": 1}]',
        "no JSON",
    ],
)
def test_damaged_groups_are_refused_with_their_file(tmp_path: Path, text: str) -> None:
    _flat(tmp_path, 2)
    (tmp_path / "groups.json").write_text(text)
    with pytest.raises(InputError, match=r"groups\.json cannot be read as .*; correct"):
        find_sets(tmp_path, "train")


@pytest.mark.parametrize("text", ["[1, 2]", '{"s": ["x"]}', "no JSON"])
def test_a_strange_file_of_groups_beside_the_data_is_told_and_passed_over(
    tmp_path: Path, text: str
) -> None:
    _flat(tmp_path / "s", 5)
    (tmp_path / "groups.json").write_text(text)
    (one,) = find_sets(tmp_path / "s", "train")
    assert len(one.items) == 4
    (problem,) = one.problems
    assert "groups.json cannot be read as" in problem
    with pytest.raises(InputError, match=r"groups\.json cannot be read as"):
        find_sets(tmp_path, "train")


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_text_are_taken_as_they_are(tmp_path: Path) -> None:
    _flat(tmp_path, 5)
    for part, ending in (("images", b"png"), ("labels", b"tif")):
        name = os.fsencode(tmp_path / part) + b"/zell\xe9." + ending
        Path(os.fsdecode(name)).write_bytes(b"")
    train, val = _sides(tmp_path)
    assert os.fsdecode(b"zell\xe9") in train | val
    assert fingerprint(find_sets(tmp_path, "train"))
