"""Labels in parts: classes as wholes, and objects whose parts lie far apart."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from napari_segrefiner.core import refiner, window_pass
from napari_segrefiner.core.coarse import CoarseLabels
from napari_segrefiner.core.crops import CropRule
from napari_segrefiner.core.cuts import Cut
from napari_segrefiner.core.events import RunStarted, StepDone
from napari_segrefiner.core.noise import SeededNoise
from napari_segrefiner.core.parts import Split, split_class, split_object
from napari_segrefiner.core.refiner import Refiner, refine
from napari_segrefiner.core.report import Uncertainty, mean_uncertainty
from napari_segrefiner.errors import OptionError
from napari_segrefiner.geometry import Box
from napari_segrefiner.metrics import iou
from napari_segrefiner.options import RefineOptions
from tests.core.stubs import (
    bright,
    by_id,
    disk,
    nothing,
    oracle,
    stub_model,
    tiny_network,
)

Array = np.ndarray[Any, Any]
RULE = CropRule(padding=0.35, min_padding=2)
SHAPE = (300, 400)


def whole(mask: Array) -> Box:
    return Box(0, 0, *mask.shape)


def check_split(split: Split, mask: Array) -> None:
    """All pixels are in one part each, tight boxes hold them, crops show them."""
    np.testing.assert_array_equal(split.numbers > 0, mask)
    assert sum(split.areas) == mask.sum()
    for number, (box, centre) in enumerate(
        zip(split.boxes, split.centres, strict=True), start=1
    ):
        own = split.numbers == number
        assert own.any()
        assert own.sum() == own[box.slices].sum()
        assert own[box.y0].any()
        assert own[:, box.x1 - 1].any()
        shown = RULE.plan(centre, mask.shape).inside
        assert shown.union(box) == shown


def test_components_of_a_class_are_parts() -> None:
    mask = disk(SHAPE, 60, 60, 20) | disk(SHAPE, 60, 110, 22) | disk(SHAPE, 250, 350, 9)
    split = split_class(mask, whole(mask), RULE, SHAPE)
    check_split(split, mask)
    assert len(split.boxes) == 3


def test_specks_belong_to_the_large_part_beside_them() -> None:
    body = disk(SHAPE, 150, 200, 50)
    mask = body | disk(SHAPE, 150, 258, 2) | disk(SHAPE, 20, 20, 2)
    mask[95, 150] = True
    split = split_class(mask, whole(mask), RULE, SHAPE)
    check_split(split, mask)
    assert len(split.boxes) == 2
    assert split.numbers[150, 258] == split.numbers[95, 150] == split.numbers[150, 200]
    assert split.centres[0] == Box(100, 150, 201, 251)


def test_parts_of_an_object_are_split_where_they_lie_far_apart() -> None:
    parts = [disk(SHAPE, 40, 40, 15), disk(SHAPE, 260, 350, 20)]
    mask = parts[0] | parts[1]
    split = split_object(mask, whole(mask), RULE, SHAPE)
    assert split is not None
    check_split(split, mask)
    assert len(split.boxes) == 2
    for part in parts:
        assert len(np.unique(split.numbers[part])) == 1


@pytest.mark.parametrize(
    "mask",
    [
        disk(SHAPE, 150, 200, 100),
        disk(SHAPE, 100, 100, 60) | disk(SHAPE, 180, 260, 70),
        np.random.default_rng(0).random(SHAPE) < 0.05,
        disk(SHAPE, 150, 200, 140) & ~disk(SHAPE, 150, 200, 130)
        | disk(SHAPE, 150, 200, 9),
        np.ones((3, 300), bool),
    ],
)
def test_parts_that_are_near_stay_together(mask: Array) -> None:
    assert split_object(mask, whole(mask), RULE, mask.shape) is None


def test_three_parts_of_which_two_are_near() -> None:
    mask = disk(SHAPE, 40, 40, 15) | disk(SHAPE, 40, 78, 15) | disk(SHAPE, 270, 370, 12)
    split = split_object(mask, whole(mask), RULE, SHAPE)
    assert split is not None
    check_split(split, mask)
    assert len(split.boxes) == 2
    assert split.numbers[40, 40] == split.numbers[40, 78] != split.numbers[270, 370]


def mask_of(boxes: list[Box], shape: tuple[int, int]) -> Array:
    mask = np.zeros(shape, bool)
    for box in boxes:
        mask[box.slices] = True
    return mask


def test_parts_that_have_joined_are_compared_with_all_others_again() -> None:
    """Two parts are near each other; a third one reaches what holds both, not them."""
    shape = (600, 600)
    first, second = Box(60, 200, 72, 288), Box(130, 304, 189, 324)
    third = Box(245, 33, 423, 211)
    crop = RULE.plan(third, shape).inside
    assert not crop.overlaps(first)
    assert not crop.overlaps(second)
    assert crop.overlaps(first.union(second))
    assert not RULE.plan(first.union(second), shape).inside.overlaps(third)
    mask = mask_of([first, second, third], shape)
    assert split_object(mask, whole(mask), RULE, shape) is None
    alone = mask_of([first, third], shape)
    split = split_object(alone, whole(alone), RULE, shape)
    assert split is not None
    assert set(split.boxes) == {first, third}


def test_no_part_reaches_into_the_crop_of_another() -> None:
    rng = np.random.default_rng(0)
    shape, n_splits = (600, 600), 0
    for _ in range(60):
        sides = rng.integers(6, 80, (int(rng.integers(3, 7)), 1))
        corners = rng.integers(0, 520, (len(sides), 2))
        boxes = [Box(*row) for row in np.hstack([corners, corners + sides]).tolist()]
        mask = mask_of(boxes, shape)
        split = split_object(mask, whole(mask), RULE, shape)
        if split is None:
            continue
        check_split(split, mask)
        crops = [RULE.plan(box, shape).inside for box in split.boxes]
        for a, b in itertools.permutations(range(len(crops)), 2):
            assert not crops[a].overlaps(split.boxes[b])
        n_splits += 1
    assert n_splits > 30


PLACES = [(y, x) for y in range(30, 290, 60) for x in range(30, 390, 60)]


def class_scene() -> tuple[Array, Array, Array]:
    """Two classes of many bodies, side by side; image, truth, coarse map."""
    truth = np.zeros(SHAPE, np.uint8)
    for k, (y, x) in enumerate(
        (y, x) for y in range(30, 290, 60) for x in range(30, 390, 60)
    ):
        truth[disk(SHAPE, y, x, 10 + k % 12)] = 1 + k % 2
    image = np.array([40, 120, 220], np.uint8)[truth]
    return image, truth, np.roll(truth, (2, -2), (0, 1))


def test_classes_are_refined_part_by_part() -> None:
    _, truth, coarse = class_scene()
    image = (truth > 0) * np.uint8(200)
    model = stub_model(bright)
    options: dict[str, Any] = {"labels_are": "classes"}
    result = refine(image, coarse, model=model, **options)
    for id in (1, 2):
        before = iou(coarse == id, truth == id)
        assert before < 0.9 < 0.97 < iou(result.labels == id, truth == id)
    assert result.labels.dtype == coarse.dtype
    assert [entry.id for entry in result.report] == [1, 2]
    for entry in result.report:
        assert entry.status == "refined"
        assert entry.area_before == (coarse == entry.id).sum()
        assert entry.area_after == (result.labels == entry.id).sum()
        expected = iou(coarse == entry.id, result.labels == entry.id)
        assert entry.iou == pytest.approx(expected)
    run = Refiner(model, RefineOptions(**options)).steps(image, coarse)
    started = next(run)
    assert isinstance(started, RunStarted)
    assert started.n_objects == 2
    n_crops = sum(
        len(event.ids)
        for event in run
        if isinstance(event, StepDone) and event.step == 0
    )
    assert n_crops == len(PLACES)


def test_a_part_sees_the_pixels_of_its_class_around_it_as_its_own() -> None:
    coarse = disk(SHAPE, 100, 100, 25) | disk(SHAPE, 100, 155, 25)
    seen: list[Array] = []

    def watched(x: Tensor, index: Tensor) -> Tensor:
        seen.extend(x[:, 3].numpy())
        return oracle(x, index)

    options: dict[str, Any] = {"labels_are": "classes", "steps": 1}
    refine(coarse * 9, coarse, model=stub_model(watched), **options)
    assert len(seen) == 2
    for mask in seen:
        # the other body's rim, at the left or the right of the crop
        assert mask[:, [0, -1]].any()


def test_each_part_decides_about_its_own_pixels() -> None:
    """What one crop gives up is not taken back by another that shows it."""
    coarse = disk(SHAPE, 100, 100, 25) | disk(SHAPE, 100, 160, 25)

    def first_goes(x: Tensor, index: Tensor) -> Tensor:
        answer = oracle(x, index)
        answer[0] = -20
        return answer

    options: dict[str, Any] = {"labels_are": "classes", "steps": 1}
    result = refine(coarse * 9, coarse, model=stub_model(first_goes), **options)
    np.testing.assert_array_equal(result.labels, disk(SHAPE, 100, 160, 25))


@pytest.mark.parametrize("labels_are", ["objects", "classes"])
@pytest.mark.parametrize("mode", ["objects", "auto"])
def test_an_identity_network_changes_no_pixel(labels_are: Any, mode: Any) -> None:
    rng = np.random.default_rng(0)
    shapes = [
        rng.integers(0, 4, (90, 110)),
        np.kron(rng.integers(0, 3, (20, 24)), np.ones((13, 13), int)),
        class_scene()[2].astype(int),
        disk((600, 900), 60, 60, 20) * 3 + disk((600, 900), 560, 850, 30) * 3,
        np.ones((40, 50), int),
    ]
    for labels in shapes:
        image = rng.integers(0, 256, labels.shape, dtype=np.uint8)
        options = {"labels_are": labels_are, "mode": mode, "steps": 1}
        result = refine(image, labels, model=stub_model(oracle), **options)
        np.testing.assert_array_equal(result.labels, labels)


def test_between_classes_the_higher_probability_wins_and_background_stays() -> None:
    shape = (90, 120)
    coarse = np.zeros(shape, np.uint8)
    coarse[20:70, 20:60], coarse[20:70, 60:100] = 1, 2

    def eager(x: Tensor, index: Tensor) -> Tensor:
        """Sure of the object where the picture is as its middle, else hardly."""
        level = (x[:, :1] * x[:, 3:]).sum((2, 3), keepdim=True)
        level = level / x[:, 3:].sum((2, 3), keepdim=True)
        inside = (x[:, :1] - x[:, :1].amin((2, 3), keepdim=True)) > 0.5
        near = (x[:, :1] - level).abs() < 0.6
        return (10.0 * near + 0.5) * (2.0 * inside - 1)

    truth = np.zeros(shape, np.uint8)
    truth[20:70, 20:66], truth[20:70, 66:100] = 1, 2
    image = np.array([10, 120, 230], np.uint8)[truth]
    options: dict[str, Any] = {"labels_are": "classes", "steps": 1}
    result = refine(image, coarse, model=stub_model(eager), **options)
    np.testing.assert_array_equal(result.labels, truth)


def test_all_labels_together_may_be_one_object() -> None:
    shape = (300, 400)
    truth = disk(shape, 150, 200, 60)
    coarse = np.roll(truth, 4, axis=0).astype(np.uint16) * 7
    coarse[:, 200:] *= 3  # 7 left, 21 right
    coarse[disk(shape, 30, 370, 9)] = 5
    image = truth * np.uint8(200)
    model = stub_model(bright)
    labels_are: Any = "parts"
    result = refine(image, coarse, model=model, labels_are=labels_are, ids=(21, 7))
    assert result.labels.dtype == np.uint16
    np.testing.assert_array_equal(result.labels == 7, truth)
    np.testing.assert_array_equal(result.labels == 5, coarse == 5)
    assert set(np.unique(result.labels)) == {0, 5, 7}
    statuses = {entry.id: entry.status for entry in result.report}
    assert statuses == {5: "skipped", 7: "refined"}
    everyone = refine(image, coarse, model=model, labels_are=labels_are)
    alone = refine(image, coarse > 0, model=model)
    np.testing.assert_array_equal(everyone.labels, alone.labels * np.uint16(5))
    with pytest.raises(OptionError, match="no label 9"):
        refine(image, coarse, model=model, labels_are=labels_are, ids=(7, 9))


@pytest.mark.parametrize("dtype", ["<u8", ">u8"])
def test_small_and_very_large_labels_are_made_one_exactly(dtype: str) -> None:
    large = 2**63 + 7
    labels = CoarseLabels(np.array([[5, 0, large, large + 1]], dtype))
    assert labels.as_one((5, large)).labels.tolist() == [[5, 0, 5, large + 1]]
    assert labels.as_one((large, large + 1)).labels.tolist() == [[5, 0, large, large]]


def test_parts_that_are_skipped_keep_their_labels() -> None:
    coarse = disk(SHAPE, 60, 60, 20) * np.uint16(3) + disk(SHAPE, 150, 150, 20) * 7
    options: dict[str, Any] = {"labels_are": "parts", "min_area": 50_000}
    result = refine(coarse > 0, coarse, model=stub_model(oracle), **options)
    assert {entry.status for entry in result.report} == {"skipped"}
    np.testing.assert_array_equal(result.labels, coarse)
    assert result.labels.dtype == coarse.dtype
    assert not np.shares_memory(result.labels, coarse)


def test_an_object_in_far_parts_does_not_lose_one_of_them_unseen() -> None:
    truth = disk((900, 900), 60, 60, 20) | disk((900, 900), 840, 840, 24)
    coarse = np.roll(truth, 3, axis=0)
    image = truth * np.uint8(200)
    model = stub_model(bright)
    result = refine(image, coarse, model=model, windows=False)
    assert iou(result.labels, truth) == 1.0
    (entry,) = result.report
    assert (entry.mode, entry.n_windows, entry.status) == ("objects", 0, "refined")
    kept = refine(image * 0, coarse, model=stub_model(nothing), windows=False)
    assert by_id(kept)[1].status == "kept"
    np.testing.assert_array_equal(kept.labels, coarse)


def test_a_part_that_vanishes_is_let_go_while_its_label_lives() -> None:
    shape = (300, 300)
    body, speck = disk(shape, 60, 60, 20), disk(shape, 250, 250, 3)
    image = body * np.uint8(200)

    def lit(x: Tensor, index: Tensor) -> Tensor:
        return bright(x, index) - 40 * (x[:, :1].amax((2, 3), keepdim=True) < 1)

    result = refine(image, body | speck, model=stub_model(lit), labels_are="classes")
    np.testing.assert_array_equal(result.labels, body)


def test_noise_of_parts_differs() -> None:
    coarse = disk(SHAPE, 100, 100, 25) | disk(SHAPE, 100, 300, 25)
    seen: list[Array] = []

    def unsure(x: Tensor, index: Tensor) -> Tensor:
        seen.append(x[:, 3].numpy().copy())
        return 0 * x[:, 3:] - 0.5

    options: dict[str, Any] = {"labels_are": "classes", "steps": 2}
    refine(coarse * 9, coarse, model=stub_model(unsure), **options)
    (first, second), (first_drawn, second_drawn) = seen
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first_drawn, second_drawn)


@pytest.mark.parametrize("labels_are", ["objects", "classes"])
def test_no_noise_of_an_object_is_drawn_twice(
    labels_are: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crops and windows of all its parts, in every round and batch."""
    drawn: list[tuple[int, int]] = []

    class Watched(SeededNoise):
        def __init__(self, seed: int, ids: Any, side: int, streams: Any) -> None:
            drawn.extend(zip(ids, streams, strict=True))
            super().__init__(seed, ids, side, streams)

    for module in (refiner, window_pass):
        monkeypatch.setattr(module, "SeededNoise", Watched)
    shape = (1300, 1300)
    coarse = disk(shape, 200, 200, 160) | disk(shape, 1100, 1100, 160)
    options: dict[str, Any] = {"labels_are": labels_are, "steps": 1, "batch_size": 7}
    image = coarse * np.uint8(200)
    (entry,) = refine(image, coarse, model=stub_model(oracle), **options).report
    assert entry.n_windows > 80
    assert len(drawn) == 2 + entry.n_windows
    assert len(set(drawn)) == len(drawn)


def test_noise_of_parts_does_not_depend_on_batches() -> None:
    image, _, coarse = class_scene()
    model = stub_model(tiny_network())
    options: dict[str, Any] = {"labels_are": "classes", "steps": 3}
    options["precision"] = "float32"
    first, second = (
        refine(image, coarse, model=model, batch_size=n, **options).labels
        for n in (32, 3)
    )
    assert np.count_nonzero(first != second) <= 1e-3 * np.count_nonzero(coarse)


def test_uncertainty_of_parts_is_the_mean_over_their_bands() -> None:
    parts = [Uncertainty(0.2, 0.1, 30), Uncertainty(1, 1, 0), Uncertainty(0.8, 0.5, 10)]
    mean = mean_uncertainty(parts)
    assert mean.mean == pytest.approx(0.35)
    assert mean.undecided_share == pytest.approx(0.2)
    assert mean.n_pixels == 40
    lost = Uncertainty(1, 1, 0)
    assert mean_uncertainty([Uncertainty(0, 0, 0), lost]) == lost


def test_cuts_show_their_pixels_in_any_box() -> None:
    mask = disk((20, 30), 9, 12, 6)
    box = Box(3, 6, 16, 19)
    cut = Cut(box, mask[box.slices])
    np.testing.assert_array_equal(cut.within(Box(0, 0, 20, 30)), mask)
    part = Box(8, 0, 20, 12)
    np.testing.assert_array_equal(cut.within(part), mask[part.slices])
    assert not cut.within(Box(16, 19, 18, 22)).any()
    both = cut.union(Cut(Box(0, 0, 2, 2), np.ones((2, 2), bool)))
    assert both.box == Box(0, 0, 16, 19)
    assert both.mask.sum() == mask.sum() + 4
