"""Corrections become training data without losing what they mean."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_segrefiner.errors import InputError
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.picture import open_picture
from napari_segrefiner.training.correction_data import (
    Correction,
    Subject,
    able_subjects,
    as_integers,
    find_subjects,
    split_subjects,
    training_pairs,
    whole_objects,
    without,
)
from napari_segrefiner.training.pictures import picture_of


def grid_of_discs(n: int = 12, ids: tuple[int, ...] | None = None) -> Correction:
    """A 16-bit image of bright discs; coarse labels are moved, ids begin at 1000."""
    rows, columns = np.mgrid[:130, :170]
    fine = np.zeros((130, 170), np.int32)
    for k in range(n):
        y, x = 20 + 40 * (k // 4), 22 + 40 * (k % 4)
        fine[np.hypot(rows - y, columns - x) < 9 + k % 3] = 1000 + k
    noise = np.random.default_rng(2).normal(0, 60, fine.shape)
    image = (np.where(fine > 0, 3000, 900) + noise).clip(0, 60000).astype(np.uint16)
    coarse = np.roll(fine, (2, -3), axis=(0, 1))
    chosen = tuple(range(1000, 1000 + n)) if ids is None else ids
    return Correction(image, coarse, fine, chosen)


def test_objects_that_are_too_small_or_gone_do_not_count() -> None:
    one = grid_of_discs()
    one.fine[one.fine == 1003] = 0
    one.fine[5, 5] = 1003
    ids = (1000, 1001, 1001, 1002, 1003, 1004, 77)
    with pytest.raises(InputError, match=r"^4 objects .* Accept or correct 1 more\.$"):
        find_subjects([one._replace(ids=ids)])
    found = find_subjects([one._replace(ids=(1005, 1006)), one._replace(ids=ids)])
    assert found[:3] == [Subject(0, 1005), Subject(0, 1006), Subject(1, 1000)]
    assert len(found) == 6


def test_an_image_may_be_read_when_its_turn_comes() -> None:
    one = grid_of_discs()._replace(name="discs")
    later = one._replace(image=lambda: one.image, ids=(np.int64(1000), 0))
    (plain,) = as_integers([later])
    assert np.array_equal(plain.image, one.image)
    assert (plain.ids, plain.name) == ((1000,), "discs")


def test_arrays_that_do_not_fit_are_refused() -> None:
    one = grid_of_discs()
    with pytest.raises(InputError, match="130 x 169 but the corrected ones 130 x 170"):
        find_subjects([one._replace(coarse=one.coarse[:, 1:])])
    with pytest.raises(InputError, match="float64 were given"):
        as_integers([one._replace(fine=one.fine.astype(float))])


@pytest.mark.parametrize(
    ("n", "sizes"), [(5, [3, 2]), (9, [5, 4]), (23, [12, 11]), (24, [8]), (40, [14])]
)
def test_few_objects_are_held_back_in_two_folds(n: int, sizes: list[int]) -> None:
    before = {Subject(0, k): 0.8 for k in range(n)}
    objects = {one: one for one in before}
    parts = split_subjects(before, objects, seed=1)
    assert [len(part) for part in parts] == sizes
    flat = [subject for part in parts for subject in part]
    assert len(set(flat)) == len(flat)
    assert set(flat) <= set(before)
    assert split_subjects(before, objects, seed=1) == parts
    assert split_subjects(before, objects, seed=2) != parts


@pytest.mark.parametrize(("n", "n_wrong"), [(12, 4), (12, 9), (30, 6), (30, 1)])
def test_what_was_wrong_and_what_was_right_is_dealt_out_alike(
    n: int, n_wrong: int
) -> None:
    before = {Subject(0, k): 0.8 if k < n_wrong else 1.0 for k in range(n)}
    parts = split_subjects(before, {one: one for one in before}, seed=0)
    shares = [sum(subject.label < n_wrong for subject in part) for part in parts]
    wanted = [n_wrong - n_wrong // 2, n_wrong // 2] if n < 24 else [-(-n_wrong // 3)]
    assert shares == wanted


@pytest.mark.parametrize("n_planes", [4, 8])
def test_planes_of_an_object_are_held_back_together(n_planes: int) -> None:
    planes = [grid_of_discs(5)._replace(name="stack") for _ in range(n_planes)]
    planes[1].coarse[planes[1].coarse == 1002] = 0  # drawn anew in this plane
    subjects = find_subjects(planes)
    objects = whole_objects(subjects, planes)
    able = able_subjects(subjects, planes)
    parts = split_subjects(dict.fromkeys(able, 0.8), objects, seed=0)
    assert len(parts) == 2  # five objects are few, in however many planes
    for part in parts:
        held = {subject.label for subject in part}
        learnt = {subject.label for subject in without(objects, part)}
        assert held
        assert learnt
        assert not held & learnt


def test_equal_labels_of_other_images_are_other_objects() -> None:
    images = [grid_of_discs(5), grid_of_discs(5), grid_of_discs(5)._replace(name="a")]
    objects = whole_objects(find_subjects(images), images)
    assert len(set(objects.values())) == 15


def test_planes_of_a_single_object_are_held_back_one_by_one() -> None:
    planes = [grid_of_discs(1)._replace(name="stack") for _ in range(6)]
    objects = whole_objects(find_subjects(planes), planes)
    parts = split_subjects(dict.fromkeys(objects, 0.8), objects, seed=0)
    assert [len(part) for part in parts] == [3, 3]
    assert len(without(objects, parts[0])) == 3


def test_objects_without_a_coarse_mask_cannot_be_held_back() -> None:
    one = grid_of_discs(7)
    one.coarse[np.isin(one.coarse, (1001, 1002))] = 0
    able = able_subjects(find_subjects([one]), [one])
    assert [subject.label for subject in able] == [1000, 1003, 1004, 1005, 1006]


def test_pairs_hold_the_surroundings_with_the_stretch_of_the_whole_image() -> None:
    one = grid_of_discs()
    one.image[120:, 150:] = 60000  # far from the chosen object, but part of the image
    (pair,) = training_pairs([one], [Subject(0, 1000), Subject(0, 1001)])
    height, width = pair.labels.shape
    assert height < 130
    box = Box(0, 0, height, width)  # the margin reaches the corner of the image
    whole = open_picture(one.image, (130, 170)).read(box)[0]
    assert np.abs(pair.image[..., 0] / 255 - whole).max() < 0.003
    assert np.array_equal(pair.labels == 1, one.fine[box.slices] == 1000)
    assert np.array_equal(pair.coarse[0] == 2, one.coarse[box.slices] == 1001)
    assert pair.ids == (1, 2)


def test_other_objects_are_neighbours_but_nothing_to_learn() -> None:
    one = grid_of_discs()
    (pair,) = training_pairs([one], [Subject(0, 1005)])
    picture = picture_of(pair)
    assert picture is not None
    assert [thing.label for thing in picture.things] == [1]
    assert picture.things[0].coarse == (0,)
    others = (pair.labels > 1).sum()
    assert others > 500
    assert training_pairs([one, one], [Subject(1, 1005)])[0].stem == "1"


@pytest.mark.parametrize(("side", "dtype"), [(10, np.uint8), (264, np.uint32)])
def test_any_number_of_labels_may_lie_around_an_object(side: int, dtype: type) -> None:
    labels = np.arange(1, side**2 + 1).reshape(side, side)
    labels[:4, :4] = 1
    # Two far corners: all labels lie between them.
    labels[-4:, -4:] = side**2
    one = Correction(np.zeros(labels.shape, np.uint8), labels, labels, ())
    chosen = [Subject(0, 1), Subject(0, side**2)]
    (pair,) = training_pairs([one], chosen)
    assert pair.labels.dtype == dtype
    assert pair.labels.shape == labels.shape
    assert pair.labels.max() == len(np.unique(labels))
    assert np.array_equal(pair.labels == 2, labels == side**2)
    assert np.array_equal(pair.coarse[0], pair.labels)
    picture = picture_of(pair)
    assert picture is not None
    assert [thing.label for thing in picture.things] == [1, 2]


def test_many_objects_take_hardly_longer_than_few() -> None:
    squares = np.arange(1, 24**2 + 1).reshape(24, 24)
    labels = np.kron(squares, np.ones((30, 30), int))

    def seconds(n: int) -> float:
        one = Correction(np.zeros(labels.shape), labels, labels, tuple(range(1, n + 1)))
        began = time.process_time()
        subjects = find_subjects([one])
        able = able_subjects(subjects, [one])
        took = time.process_time() - began
        assert able == subjects
        assert len(subjects) == n
        return took

    assert seconds(24**2) < 10 * seconds(5)
