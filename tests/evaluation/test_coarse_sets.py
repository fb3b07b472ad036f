"""Folders of coarse sets: what is in them, made once, and never half."""

import json
import os

import numpy as np
import pytest

from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.evaluation import coarse_sets as module
from napari_segrefiner.evaluation.coarse_sets import (
    CoarsePlan,
    choose_objects,
    coarse_sets,
    is_made,
    make_coarse_sets,
)
from napari_segrefiner.io.labels import read_labels, write_labels


def grid_labels(rows, columns):
    """Rectangles on a grid, numbered from 1."""
    labels = np.zeros((24 * rows, 24 * columns), np.uint16)
    for k in range(rows * columns):
        y, x = divmod(k, columns)
        labels[24 * y + 4 : 24 * y + 19, 24 * x + 4 : 24 * x + 18] = k + 1
    return labels


def write_set(folder, sizes, coarse=()):
    """Images and labels of some grids; `coarse` names folders of real masks."""
    for part in ("images", "labels", *coarse):
        (folder / part).mkdir(parents=True)
    for name, (rows, columns) in sizes.items():
        labels = grid_labels(rows, columns)
        image = (labels > 0).astype(np.uint8) * 90 + 20
        write_labels(folder / "images" / f"{name}.png", image)
        write_labels(folder / "labels" / f"{name}.png", labels)
        for part in coarse:
            real = np.roll(np.where(labels == 1, 0, labels), 2, 0)
            write_labels(folder / part / f"{name}.png", real)


@pytest.fixture
def data(tmp_path):
    """Two sets; one has real masks for all but object 1."""
    write_set(tmp_path / "data/cells/val", {"a": (2, 3), "b": (1, 1)})
    write_set(tmp_path / "data/things/val", {"c": (1, 2)}, coarse=("coarse",))
    return tmp_path / "data"


def test_every_set_of_every_kind_is_written_and_read_again(data, tmp_path):
    plan = CoarsePlan(str(data), kinds=("eroded", "accurate"))
    made = list(make_coarse_sets(tmp_path / "out", plan))
    assert [(one.kind, one.name, one.stems) for one in made] == [
        ("eroded", "cells", ["a", "b"]),
        ("eroded", "things", ["c"]),
        ("accurate", "cells", ["a", "b"]),
        ("accurate", "things", ["c"]),
    ]
    again = coarse_sets(tmp_path / "out")
    assert [(one.kind, one.name) for one in again] == [(x.kind, x.name) for x in made]
    image, coarse = again[0].read("a")
    assert image.shape == (48, 72)
    assert np.array_equal(coarse.truth, grid_labels(2, 3))
    assert set(np.unique(coarse.labels)) == set(range(7))
    assert not (coarse.labels & ~coarse.truth).any()


def test_real_masks_are_taken_as_they_are(data, tmp_path):
    plan = CoarsePlan(str(data), kinds=("real",))
    (one,) = make_coarse_sets(tmp_path / "out", plan)
    _, coarse = one.read("c")
    assert (one.name, set(np.unique(coarse.truth))) == ("things", {0, 2})
    real = read_labels(data / "things/val/coarse/c.png")
    assert np.array_equal(coarse.labels, np.where(real == 2, 2, 0))


def test_kinds_of_which_there_is_nothing_are_refused(data, tmp_path):
    plan = CoarsePlan(str(data), kinds=("real",), exclude=("things",))
    with pytest.raises(InputError, match=f"kind real can be made.*{data}"):
        list(make_coarse_sets(tmp_path / "out", plan))
    assert not list((tmp_path / "out").iterdir())


def test_masks_of_a_second_network_are_a_kind_of_their_own(tmp_path):
    write_set(tmp_path / "d", {"c": (1, 2)}, coarse=("coarse_rvos",))
    kinds = ("real", "real2")
    made = list(
        make_coarse_sets(tmp_path / "o", CoarsePlan(str(tmp_path / "d"), kinds=kinds))
    )
    assert [one.kind for one in made] == ["real2"]


def test_images_of_folders_keep_files_of_their_own(tmp_path):
    """Annotation files name folders; a/b, a_b and a%2Fb are three images."""
    stems = ("a/b", "a_b", "a%2Fb")
    images, annotations = [], []
    for k, stem in enumerate(stems):
        file = tmp_path / "d" / "images" / f"{stem}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_labels(file, np.full((40, 50), 10 + k, np.uint8))
        images.append({"id": k, "file_name": f"{stem}.png", "height": 40, "width": 50})
        square = [[5, 5, 30, 5, 30, 30, 5, 30]]
        annotations.append({"image_id": k, "segmentation": square, "iscrowd": 0})
    tree = {"images": images, "annotations": annotations, "categories": []}
    (tmp_path / "d" / "val.json").write_text(json.dumps(tree))
    plan = CoarsePlan(str(tmp_path / "d"), kinds=("eroded",))
    (one,) = make_coarse_sets(tmp_path / "out", plan)
    greys = {int(one.read(stem)[0][0, 0]) for stem in one.stems}
    assert (len(one.stems), greys) == (3, {10, 11, 12})
    assert "a_b" in one.stems


def test_a_finished_folder_is_not_made_again(data, tmp_path, monkeypatch):
    plan, out = CoarsePlan(str(data)), tmp_path / "out"
    first = list(make_coarse_sets(out, plan))
    monkeypatch.setattr(module, "perturb", None)
    assert is_made(out, plan)
    assert list(make_coarse_sets(out, plan)) == first


def test_a_folder_with_something_else_is_refused_and_left_alone(data, tmp_path):
    out = tmp_path / "out"
    list(make_coarse_sets(out, CoarsePlan(str(data))))
    before = sorted(out.rglob("*"))
    with pytest.raises(InputError, match="not made with these settings"):
        list(make_coarse_sets(out, CoarsePlan(str(data), seed=1)))
    assert sorted(out.rglob("*")) == before
    with pytest.raises(InputError, match="holds no finished masks"):
        is_made(data, CoarsePlan(str(data)))


def test_masks_of_labels_that_were_corrected_since_are_not_used(data, tmp_path):
    plan, out = CoarsePlan(str(data)), tmp_path / "out"
    list(make_coarse_sets(out, plan))
    os.utime(data / "things/val/labels/c.png", ns=(1, 1))  # as if written anew
    with pytest.raises(InputError, match="has changed since the masks in"):
        is_made(out, plan)


def test_what_was_interrupted_is_removed(data, tmp_path):
    out = tmp_path / "out"
    making = make_coarse_sets(out, CoarsePlan(str(data)))
    next(making)
    making.close()
    assert list(out.iterdir()) == []
    assert not is_made(out, CoarsePlan(str(data)))


def test_the_record_tells_the_settings(data, tmp_path):
    plan = CoarsePlan(str(data), kinds=("eroded",), seed=4, limit=7)
    list(make_coarse_sets(tmp_path / "out", plan))
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert (record["kinds"], record["seed"], record["limit"]) == (["eroded"], 4, 7)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kinds": ("soft",)}, "no kind soft"),
        ({"kinds": ()}, "no kind given"),
        ({"limit": 0}, "limit is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_plans_that_cannot_work_are_refused(settings, words):
    with pytest.raises(OptionError, match=words):
        CoarsePlan("data", **settings)


def test_objects_are_chosen_evenly_over_images_and_beside_each_other():
    truths = {"a": grid_labels(4, 5), "b": grid_labels(1, 2), "c": grid_labels(4, 5)}
    chosen = choose_objects(truths, 10, "x")
    assert {stem: len(ids) for stem, ids in chosen.items()} == {"a": 4, "b": 2, "c": 4}
    places = np.array(np.divmod(np.array(chosen["a"]) - 1, 5)).T
    assert np.ptp(places, axis=0).max() <= 3
    assert chosen == choose_objects(truths, 10, "x")
    assert choose_objects(truths, 999, "x")["a"] == list(range(1, 21))
