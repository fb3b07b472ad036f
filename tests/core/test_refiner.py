"""A run as a whole: what changes, what must not, and what is told of it."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from napari_segrefiner.core.events import BatchDone, RunDone, RunStarted, StepDone
from napari_segrefiner.core.keywords import OptionKeywords
from napari_segrefiner.core.masks import refine_masks
from napari_segrefiner.core.refiner import Refiner, refine
from napari_segrefiner.core.report import measure_uncertainty
from napari_segrefiner.errors import DeviceError, InputError, ModelError, OptionError
from napari_segrefiner.metrics import iou
from napari_segrefiner.options import RefineOptions
from tests.core.stubs import (
    bright,
    by_id,
    disk,
    everything,
    nothing,
    oracle,
    stub_model,
    tiny_network,
)

Array = np.ndarray[Any, Any]
ORACLE = stub_model(oracle)


def scene(shape: tuple[int, int] = (200, 260)) -> tuple[Array, Array]:
    """Bright disks of many sizes on a dark ground, and labels shifted against them."""
    image = np.full(shape, 40, np.uint8)
    labels = np.zeros(shape, np.int32)
    places = [(20, 20, 8), (60, 70, 14), (60, 150, 22), (140, 60, 30), (150, 180, 40)]
    for id, (y, x, radius) in enumerate(places, start=3):
        image[disk(shape, y, x, radius)] = 200
        labels[disk(shape, y + 2, x - 2, radius)] = id * 11
    return image, labels


def all_shapes() -> list[tuple[str, Array]]:
    """Label images that have gone wrong somewhere, or could."""
    rng = np.random.default_rng(4)
    cases: dict[str, Array] = {}
    cases["one pixel"] = np.zeros((50, 60), int)
    cases["one pixel"][30, 20] = 1
    cases["one pixel in a corner"] = np.zeros((50, 60), int)
    cases["one pixel in a corner"][49, 59] = 1
    cases["fills the image"] = np.ones((70, 90), int)
    cases["fills a small image"] = np.ones((3, 5), int)
    cases["an image of one pixel"] = np.ones((1, 1), int)
    cases["a single row"] = np.repeat([[0, 1, 1, 2, 0, 3]], 30, axis=1)
    cases["smaller than the grid"] = np.pad(np.ones((4, 9), int), 6)
    cases["elongated"] = np.zeros((60, 900), int)
    cases["elongated"][20:24, 3:880] = 5
    cases["diagonal"] = np.zeros((400, 400), int)
    for k in range(5, 390):
        cases["diagonal"][k, k : k + 3] = 5
    cases["larger than the largest grid"] = disk((400, 420), 190, 230, 160) * 7
    cases["at a border, large"] = disk((300, 300), 280, 10, 150) * 7
    cases["in many parts"] = (rng.random((150, 150)) < 0.2) * 9
    cases["touching"] = np.repeat(np.repeat([[1, 2], [3, 4]], 40, 0), 40, 1)
    cases["nested"] = disk((90, 90), 45, 45, 40) + disk((90, 90), 45, 45, 20)
    return list(cases.items())


@pytest.mark.parametrize(
    ("name", "labels"), all_shapes(), ids=[name for name, _ in all_shapes()]
)
def test_an_identity_network_changes_nothing(name: str, labels: Array) -> None:
    image = np.random.default_rng(0).integers(0, 256, labels.shape, dtype=np.uint8)
    result = refine(image, labels, model=ORACLE)
    np.testing.assert_array_equal(result.labels, labels)
    assert {entry.status for entry in result.report} <= {"unchanged", "held"}


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("last", ["soft", "sampled"])
@pytest.mark.parametrize("transition", ["marginal", "absorbing"])
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_an_identity_network_changes_nothing_whatever_the_process(
    steps: int, transition: Any, last: Any, flips: bool
) -> None:
    image, labels = scene()
    result = refine(
        image,
        labels,
        model=ORACLE,
        steps=steps,
        transition=transition,
        last=last,
        flips=flips,
    )
    np.testing.assert_array_equal(result.labels, labels)


def test_objects_move_to_where_the_network_sees_them() -> None:
    image, labels = scene()
    result = refine(image, labels, model=stub_model(bright))
    truth = image == 200
    before, after = (iou(x > 0, truth) for x in (labels, result.labels))
    assert before < 0.9
    assert after > 0.97
    assert {entry.status for entry in result.report} == {"refined"}


def test_objects_at_their_own_resolution_are_refined_to_the_pixel() -> None:
    shape = (160, 160)
    truth = disk(shape, 70, 80, 26)
    coarse = disk(shape, 73, 78, 24)
    result = refine(truth * np.uint8(200), coarse * 4, model=stub_model(bright))
    np.testing.assert_array_equal(result.labels, truth * 4)
    (entry,) = result.report
    assert entry.area_before == coarse.sum()
    assert entry.area_after == truth.sum()
    assert entry.iou == pytest.approx((coarse & truth).sum() / (coarse | truth).sum())


KINDS: dict[str, Callable[[Array], Array]] = {
    "RGB": lambda grey: np.stack([grey] * 3, axis=-1),
    "channels first": lambda grey: np.stack([grey] * 3),
    "RGBA": lambda grey: np.stack([grey, grey, grey, grey ^ 255], axis=-1),
    "16 bit": lambda grey: grey.astype(np.uint16) * 257,
    "signed, big-endian": lambda grey: grey.astype(">i4") - 100,
    "bool": lambda grey: grey > 100,
    "float": lambda grey: grey / 255.0,
    "NaN": lambda grey: np.where(_is_eighth(grey), np.nan, grey),
    "infinity": lambda grey: np.where(_is_eighth(grey), -np.inf, grey),
    "columns first in memory": np.asfortranarray,
}


def _is_eighth(grey: Array) -> Array:
    return np.arange(grey.size).reshape(grey.shape) == 7


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_every_kind_give_the_same_result(kind: str) -> None:
    image, labels = scene()
    expected = refine(image, labels, model=stub_model(bright)).labels
    result = refine(KINDS[kind](image), labels, model=stub_model(bright)).labels
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">u2", "<i4", "u4", ">i8", "u8"])
def test_ids_and_type_are_kept(dtype: str) -> None:
    image, labels = scene()
    largest = np.iinfo(dtype).max
    is_five = labels == 55
    labels = (labels // 11).astype(dtype)
    labels[is_five] = largest
    result = refine(image, labels, model=stub_model(bright))
    assert result.labels.dtype == np.dtype(dtype)
    assert set(np.unique(result.labels)) == set(np.unique(labels))
    assert largest in by_id(result)


def test_bool_labels_are_one_object_and_come_back_as_bool() -> None:
    shape = (100, 120)
    truth, coarse = disk(shape, 50, 60, 20), disk(shape, 52, 61, 21)
    result = refine(truth * np.uint8(99), coarse, model=stub_model(bright))
    assert result.labels.dtype == np.bool_
    assert [entry.id for entry in result.report] == [1]
    np.testing.assert_array_equal(result.labels, truth)


def test_inputs_are_never_written_to() -> None:
    image, labels = scene()
    image.flags.writeable = labels.flags.writeable = False
    result = refine(image, labels, model=stub_model(bright))
    assert not np.shares_memory(result.labels, labels)
    assert result.labels.flags.writeable


def test_chosen_labels_alone_are_refined() -> None:
    image, labels = scene()
    result = refine(image, labels, model=stub_model(everything), ids=[44, 66])
    for id in (33, 55, 77):
        np.testing.assert_array_equal(result.labels == id, labels == id)
    statuses = {id: entry.status for id, entry in by_id(result).items()}
    assert statuses == {
        33: "skipped",
        44: "refined",
        55: "skipped",
        66: "refined",
        77: "skipped",
    }
    assert np.isnan(by_id(result)[33].uncertainty)


def test_pixels_outside_of_all_crops_are_untouched() -> None:
    image, labels = scene()
    boxes = []
    for event in Refiner(stub_model(everything)).steps(image, labels):
        if isinstance(event, StepDone):
            boxes += event.boxes
        if isinstance(event, RunDone):
            result = event.result
    outside = np.ones(labels.shape, bool)
    for box in boxes:
        outside[box.slices] = False
    assert outside.any()
    np.testing.assert_array_equal(result.labels[outside], labels[outside])
    assert (result.labels[~outside] != labels[~outside]).any()


def test_small_objects_are_left_alone_when_told_so() -> None:
    image, labels = scene()
    result = refine(image, labels, model=stub_model(bright), min_area=1000)
    skipped = [id for id, entry in by_id(result).items() if entry.status == "skipped"]
    assert skipped == [33, 44]
    np.testing.assert_array_equal(result.labels == 33, labels == 33)


def test_objects_that_would_vanish_keep_their_coarse_mask() -> None:
    image, labels = scene()
    result = refine(image, labels, model=stub_model(nothing))
    np.testing.assert_array_equal(result.labels, labels)
    assert {entry.status for entry in result.report} == {"kept"}
    assert {entry.uncertainty for entry in result.report} == {1.0}
    doubting = refine(image, labels, model=stub_model(nothing, doubt=0.35))
    assert {entry.status for entry in doubting.report} == {"kept"}


def test_uncertain_objects_are_held() -> None:
    image, labels = scene()

    def unsure(x: Tensor, index: Tensor) -> Tensor:
        return bright(x, index) * 0.01

    held = refine(image, labels, model=stub_model(unsure, doubt=0.35))
    assert {entry.status for entry in held.report} == {"held"}
    np.testing.assert_array_equal(held.labels, labels)
    free = refine(image, labels, model=stub_model(unsure, doubt=0.35), doubt=1.0)
    assert {entry.status for entry in free.report} == {"refined"}


def test_doubtful_pixels_keep_their_coarse_label() -> None:
    image, labels = scene()

    def unsure(x: Tensor, index: Tensor) -> Tensor:
        return bright(x, index) * 0.01  # |2P - 1| is about 0.1

    held = refine(image, labels, model=stub_model(unsure), pixel_doubt=0.2)
    np.testing.assert_array_equal(held.labels, labels)
    assert {entry.status for entry in held.report} == {"unchanged"}
    free = refine(image, labels, model=stub_model(unsure), pixel_doubt=0.05)
    assert (free.labels != labels).any()


def test_objects_that_would_hardly_change_are_told_to_be_unchanged() -> None:
    image, labels = scene()
    changed = refine(image, labels, model=stub_model(bright))
    shares = {entry.id: 1 - entry.iou for entry in changed.report}
    assert min(shares.values()) < max(shares.values())
    limit = (min(shares.values()) + max(shares.values())) / 2
    result = refine(image, labels, model=stub_model(bright), least_change=limit)
    for entry in result.report:
        is_kept = shares[entry.id] < limit
        assert entry.status == ("unchanged" if is_kept else "refined")
        was = labels if is_kept else changed.labels
        np.testing.assert_array_equal(result.labels == entry.id, was == entry.id)


@pytest.mark.parametrize("limit", [0.0, 0.1])
def test_objects_that_stay_give_nothing_to_surer_neighbours(limit: float) -> None:
    labels = np.zeros((60, 90), np.uint8)
    labels[20:40, 20:40], labels[20:40, 40:75] = 1, 2

    def greedy(x: Tensor, index: Tensor) -> Tensor:
        """Squares stay as they are, long masks grow and are surer of it."""
        mask = x[:, 3:]
        is_long = mask.mean((1, 2, 3), keepdim=True) < 0.25
        grown = torch.nn.functional.max_pool2d(mask, 9, 1, 4)
        return torch.where(is_long, 20 * grown - 10, 4 * mask - 2)

    image = np.zeros(labels.shape, np.uint8)
    result = refine(image, labels, model=stub_model(greedy), least_change=limit)
    assert {e.id: e.status for e in result.report} == {1: "unchanged", 2: "refined"}
    np.testing.assert_array_equal(result.labels == 1, labels == 1)


def test_an_object_too_thin_for_its_grid_is_held() -> None:
    labels = np.zeros((1200, 1200), np.uint8)
    labels[600, 100:1100] = 1
    result = refine(labels, labels, model=stub_model(everything), windows=False)
    assert result.report[0].status == "held"
    np.testing.assert_array_equal(result.labels, labels)


def test_touching_cells_get_no_slits() -> None:
    coarse = np.zeros((90, 90), np.int32)
    coarse[10:45, 10:45], coarse[10:45, 45:80] = 1, 2
    coarse[45:80, 10:45], coarse[45:80, 45:80] = 3, 4

    def shrunk(x: Tensor, index: Tensor) -> Tensor:
        outside = torch.nn.functional.max_pool2d(1 - x[:, 3:], 7, 1, 3)
        return 20 - 40 * outside

    image = np.zeros(coarse.shape, np.uint8)
    inner = np.s_[20:70, 20:70]
    result = refine(image, coarse, model=stub_model(shrunk))
    np.testing.assert_array_equal(result.labels[inner], coarse[inner])
    assert (result.labels[10] == 0).all()
    alone = refine(image, coarse, model=stub_model(shrunk), ids=(1,))
    np.testing.assert_array_equal(alone.labels[20:45, 20:80], coarse[20:45, 20:80])
    open_ = refine(image, coarse, model=stub_model(shrunk), close_gaps=False)
    assert (open_.labels[20:35, 44:46] == 0).all()


@pytest.mark.parametrize("shape", [(0, 0), (0, 9), (30, 40)])
def test_nothing_to_do_is_no_failure(shape: tuple[int, int]) -> None:
    labels = np.zeros(shape, np.uint16)
    result = refine(np.zeros(shape), labels, model=ORACLE)
    assert result.report == ()
    np.testing.assert_array_equal(result.labels, labels)


def random_run(**options: Any) -> Array:
    image, labels = scene()
    options = {"precision": "float32", "steps": 3, **options}
    return refine(image, labels, model=stub_model(tiny_network()), **options).labels


def test_objects_without_windows_are_judged_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The guard that decides about windows is not asked where there are none."""
    image, labels = scene()
    judged = []

    def measure(coarse: Any, *rest: Any) -> Any:
        judged.append(coarse)
        return measure_uncertainty(coarse, *rest)

    monkeypatch.setattr("napari_segrefiner.core.settle.measure_uncertainty", measure)
    result = refine(image, labels, model=stub_model(bright), windows=True, doubt=0.5)
    n_with_windows = sum(one.n_windows > 0 for one in result.report)
    assert 0 < n_with_windows < len(result.report)
    assert len(judged) == len(result.report) + n_with_windows


def test_the_seed_decides_and_nothing_else() -> None:
    first = random_run(seed=5)
    torch.rand(7)
    np.testing.assert_array_equal(random_run(seed=5), first)
    assert (random_run(seed=6) != first).any()


@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_batch_size_does_not_matter(batch_size: int) -> None:
    expected = random_run()
    off = np.count_nonzero(random_run(batch_size=batch_size) != expected)
    assert off <= 0.001 * np.count_nonzero(expected)


def test_neighbours_in_the_run_do_not_matter() -> None:
    image, labels = scene()
    model = stub_model(tiny_network(), close_gaps=False)
    for id in (33, 55, 77):
        alone, among = (
            refine(image, only, model=model, ids=ids, steps=3, precision="float32")
            for only, ids in ((labels * (labels == id), ()), (labels, (id,)))
        )
        free = (labels == 0) | (labels == id)
        off = (alone.labels == id)[free] != (among.labels == id)[free]
        assert off.mean() <= 0.001


def test_renumbering_that_keeps_an_id_keeps_its_result() -> None:
    image, labels = scene()
    model = stub_model(tiny_network())
    result = refine(image, labels, model=model, precision="float32")
    apart = np.where(labels == 55, 55, labels * (labels != 55) * 1000)
    renumbered = refine(image, apart, model=model, precision="float32")
    before, after = by_id(result)[55], by_id(renumbered)[55]
    assert after.uncertainty == pytest.approx(before.uncertainty, abs=1e-5)


def test_given_noise_replaces_the_seed() -> None:
    image, labels = scene()
    rng = np.random.default_rng(0)
    noise = rng.random((5, 2, 64, 64), dtype=np.float32)
    model = stub_model(tiny_network())

    def run(seed: int, noise: Array | None) -> Array:
        options = {"grid": 64, "steps": 3, "seed": seed, "precision": "float32"}
        return refine(image, labels, model=model, noise=noise, **options).labels

    np.testing.assert_array_equal(run(0, noise), run(1, noise))
    assert (run(0, noise) != run(0, noise[::-1])).any()
    assert (run(0, None) != run(1, None)).any()
    with pytest.raises(InputError, match="noise has the shape"):
        run(0, noise[:, :1])


def test_given_noise_follows_its_object_through_the_batches() -> None:
    image, labels = scene()
    noise = np.random.default_rng(0).random((5, 2, 64, 64), dtype=np.float32)

    def run(batch_size: int) -> Array:
        result = refine(
            image,
            labels,
            model=stub_model(tiny_network()),
            noise=noise,
            grid=64,
            steps=3,
            precision="float32",
            batch_size=batch_size,
        )
        return result.labels

    off = np.count_nonzero(run(2) != run(5))
    assert off <= 0.001 * np.count_nonzero(labels)


def test_events_come_in_order_and_progress_rises_to_one() -> None:
    image, labels = scene()
    refiner = Refiner(ORACLE, RefineOptions(steps=3, batch_size=2))
    events = list(refiner.steps(image, labels))
    assert isinstance(events[0], RunStarted)
    assert (events[0].n_objects, events[0].n_steps) == (5, 3)
    assert isinstance(events[-1], RunDone)
    middle = events[1:-1]
    progress = [e.progress for e in middle if isinstance(e, StepDone | BatchDone)]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    done: list[int] = []
    steps: list[tuple[int, int]] = []
    for event in middle:
        if isinstance(event, StepDone) and not event.windows:
            steps.append((event.step, event.index))
        elif isinstance(event, BatchDone):
            assert steps == [(0, 5), (1, 3), (2, 0)]
            done += event.ids
            steps = []
    assert sorted(done) == [33, 44, 55, 66, 77]


def test_objects_on_equal_grids_share_a_batch_and_small_ones_come_first() -> None:
    labels = np.zeros((120, 480), np.uint8)
    for id in range(1, 7):
        side = 10 if id % 2 else 50
        labels[20 : 20 + side, 80 * id - 70 : 80 * id - 70 + side] = id
    events = Refiner(ORACLE, RefineOptions(steps=1)).steps(labels, labels)
    batches = [event.ids for event in events if isinstance(event, BatchDone)]
    assert batches == [(1, 3, 5), (2, 4, 6)]


def test_the_mask_of_a_step_lies_in_its_box() -> None:
    image, labels = scene()
    last: dict[int, tuple[Any, Array]] = {}
    for event in Refiner(stub_model(bright)).steps(image, labels):
        if isinstance(event, StepDone):
            for k, (id, box) in enumerate(zip(event.ids, event.boxes, strict=True)):
                mask = event.mask(k)
                assert mask.shape == box.shape == labels[box.slices].shape
                assert mask.dtype == np.bool_
                last[id] = box, mask
        elif isinstance(event, RunDone):
            result = event.result
    for id, (box, mask) in last.items():
        final = result.labels[box.slices]
        assert (final[mask] != 0).all()
        assert mask[final == id].all()


@pytest.mark.parametrize("n_events", range(8))
def test_a_run_can_be_stopped_after_every_event(n_events: int) -> None:
    image, labels = scene()
    before = labels.copy()
    run = Refiner(ORACLE, RefineOptions(steps=2, batch_size=2)).steps(image, labels)
    for _ in range(n_events):
        next(run)
    run.close()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(labels, before)
    assert not torch.is_inference_mode_enabled()
    assert torch.backends.cudnn.allow_tf32


def test_memory_that_runs_out_halves_the_batch() -> None:
    image, labels = scene()
    sizes: list[int] = []

    def tight(x: Tensor, index: Tensor) -> Tensor:
        sizes.append(len(x))
        if len(x) > 1:
            message = "out of memory"
            raise torch.OutOfMemoryError(message)
        return bright(x, index)

    result = refine(image, labels, model=stub_model(tight), grid=64)
    assert sizes[:3] == [5, 2, 1]
    expected = refine(image, labels, model=stub_model(bright), grid=64)
    np.testing.assert_array_equal(result.labels, expected.labels)


def test_memory_that_one_crop_exceeds_is_an_error() -> None:
    def greedy(x: Tensor, index: Tensor) -> Tensor:
        message = "MPS backend out of memory"
        raise RuntimeError(message)

    with pytest.raises(DeviceError, match="refining 1 crops of 64 x 64 px"):
        refine(*scene(), model=stub_model(greedy), grid=64)


def test_other_failures_of_the_network_are_model_errors() -> None:
    def broken(x: Tensor, index: Tensor) -> Tensor:
        return x @ torch.zeros(3, 3)

    with pytest.raises(ModelError, match="refining") as caught:
        refine(*scene(), model=stub_model(broken))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_network_that_answers_no_numbers_is_refused() -> None:
    def broken(x: Tensor, index: Tensor) -> Tensor:
        return x[:, :1] * torch.nan

    with pytest.raises(ModelError, match="no numbers"):
        refine(*scene(), model=stub_model(broken))


class NoDoubles(TorchDispatchMode):
    """A device like Apple's: it has no float64."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple | list) else [result]
        for tensor in results:
            assert not (isinstance(tensor, Tensor) and tensor.dtype == torch.float64)
        return result


@pytest.mark.parametrize("transition", ["marginal", "absorbing"])
def test_no_tensor_has_float64(transition: Any) -> None:
    image, labels = scene()
    model = stub_model(tiny_network())
    with NoDoubles():
        refine(image * 1.5, labels, model=model, steps=3, transition=transition)
    with pytest.raises(AssertionError), NoDoubles():
        torch.zeros(3, dtype=torch.float64)


def test_the_record_tells_all_and_is_json() -> None:
    image, labels = scene()
    result = refine(image.astype(np.uint16), labels, model=ORACLE, seed=9, steps=2)
    record = json.loads(json.dumps(result.record))
    assert record == result.record
    assert record["options"]["seed"] == 9
    assert record["options"]["padding"] == 0.35
    assert record["model"] == {"name": "stub", "sha256": ""}
    assert record["image"]["limits"] == [[40, 200]]
    assert record["precision"] == "float32"
    again = {k: v for k, v in record["options"].items() if v is not None}
    np.testing.assert_array_equal(
        refine(image.astype(np.uint16), labels, model=ORACLE, **again).labels,
        result.labels,
    )


def test_options_are_typed_keywords_of_refine() -> None:
    fields = {field.name for field in dataclasses.fields(RefineOptions)}
    hints = typing.get_type_hints(RefineOptions)
    assert typing.get_type_hints(OptionKeywords) == {k: hints[k] for k in fields}
    parameters = inspect.signature(refine).parameters
    assert fields <= set(parameters)
    assert parameters["batch_size"].default == RefineOptions().batch_size


def test_keywords_win_over_options() -> None:
    image, labels = scene()
    options = RefineOptions(steps=6, seed=4)
    result = refine(image, labels, model=ORACLE, options=options, steps=1)
    assert result.record["options"]["steps"] == 1
    assert result.record["options"]["seed"] == 4


@pytest.mark.parametrize("act", [refine, refine_masks])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("step", "There is no option step; say steps, if you mean that."),
        ("batchsize", "There is no option batchsize; say batch_size, if"),
        ("xyz", "There is no option xyz; choose from mode, preset, "),
    ],
)
def test_an_unknown_keyword_names_the_nearest_option(
    act: Callable[..., Any], name: str, said: str
) -> None:
    image, labels = scene()
    with pytest.raises(OptionError) as refused:
        act(image, labels, model=ORACLE, **{name: 3})
    assert str(refused.value).startswith(said)


def test_numbers_of_numpy_are_as_good_as_pythons() -> None:
    options = RefineOptions(
        ids=np.array([3, 7], np.uint16),  # type: ignore[arg-type]
        channels=[np.int64(0)],  # type: ignore[arg-type]
        seed=np.int64(4),  # type: ignore[arg-type]
        padding=np.float32(0.5),  # type: ignore[arg-type]
        flips=np.True_,  # type: ignore[arg-type]
    )
    plain = RefineOptions(ids=(3, 7), channels=(0,), seed=4, padding=0.5, flips=True)
    assert options == plain
    assert json.dumps(dataclasses.asdict(options)) == json.dumps(
        dataclasses.asdict(plain)
    )


@pytest.mark.parametrize("ids", ["37", (True,), (3.0,), np.array(3), ((3, 7),)])
def test_ids_that_are_no_whole_numbers_are_refused(ids: Any) -> None:
    with pytest.raises(OptionError, match=r"^ids is .* of type (int|tuple)"):
        RefineOptions(ids=ids)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"labels": np.zeros((9, 9))}, InputError, "float64"),
        ({"labels": np.full((200, 260), -1)}, InputError, "-1"),
        ({"labels": np.zeros((9, 9), int)}, InputError, "9 x 9.*200 x 260"),
        ({"image": np.zeros((9, 9), object)}, InputError, "object"),
        ({"ids": (5,)}, OptionError, "no label 5"),
        ({"ids": 5}, OptionError, "ids is 5; a value of type tuple"),
        ({"steps": 7}, OptionError, "1 to 6"),
        ({"grid": 70}, OptionError, "multiple of 4"),
        ({"channels": (1,)}, OptionError, "Channel 1"),
        ({"image": [[1, 2], [3]]}, InputError, "image's values are no array"),
        ({"labels": [[1, 2], [3]]}, InputError, "labels are no array"),
        ({"pinned": [[1, 2], [3]]}, InputError, "pinned pixels are no array"),
        ({"noise": [1, 2]}, InputError, "noise is given"),
        ({"options": {"steps": 3}}, OptionError, "RefineOptions is expected"),
        ({"model": None}, ModelError, "of type NoneType; a name"),
        ({"device": "cuda"}, DeviceError, "cuda"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(
    change: dict[str, Any], error: type[Exception], words: str
) -> None:
    if change.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    image, labels = scene()
    arguments = {"image": image, "labels": labels, "model": ORACLE, **change}
    with pytest.raises(error, match=words):
        refine(**arguments)


def test_a_dictionary_is_no_options() -> None:
    with pytest.raises(OptionError, match="RefineOptions is expected"):
        Refiner(ORACLE, {"steps": 3})  # type: ignore[arg-type]


def test_a_name_is_no_loaded_model() -> None:
    with pytest.raises(ModelError, match="load_model"):
        Refiner("default")  # type: ignore[arg-type]


BLANK = {
    "NaN": np.full((60, 70), np.nan, np.float32),
    "infinite": np.full((60, 70), np.inf),
    "NaN and infinite": np.tile([np.nan, np.inf, -np.inf], (60, 24))[:, :70],
    "NaN in all channels": np.full((60, 70, 3), np.nan),
}


@pytest.mark.parametrize("kind", BLANK)
def test_an_image_without_a_finite_value_is_refused_if_there_are_objects(
    kind: str,
) -> None:
    labels = disk((60, 70), 30, 30, 12)
    with pytest.raises(InputError, match=r"everywhere.*clear the label"):
        refine(BLANK[kind], labels, model=ORACLE)
    with pytest.raises(InputError, match="NaN or infinite everywhere"):
        refine_masks(BLANK[kind], labels[None], model=ORACLE)
    result = refine(BLANK[kind], labels * 0, model=ORACLE)
    assert result.report == ()


def test_some_finite_values_in_a_channel_that_is_looked_at_are_enough() -> None:
    labels = disk((60, 70), 30, 30, 12)
    image = np.full((60, 70, 2), np.nan)
    image[59, 69, 1] = 4
    assert refine(image, labels, model=ORACLE).report[0].status == "unchanged"
    assert refine(image, labels, model=ORACLE, channels=(1,)).report
    with pytest.raises(InputError, match="everywhere"):
        refine(image, labels, model=ORACLE, channels=(0,))


@pytest.mark.slow
def test_two_thousand_objects_in_a_large_image_need_little_memory() -> None:
    """4,000 x 4,000 px stay below 1.5 GB, torch and the network included."""
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", MANY_OBJECTS],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    n_objects, gigabytes = done.stdout.split()
    assert int(n_objects) == 2000
    assert float(gigabytes) < 1.5


MANY_OBJECTS = """
import resource, sys
import numpy as np
from napari_segrefiner import refine
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.checkpoint import Model
from napari_segrefiner.network import SMALL, DenoisingUNet

labels = np.zeros((4000, 4000), np.int32)
for id in range(2000):
    y, x = divmod(id, 45)
    labels[y * 88 + 10 : y * 88 + 42, x * 88 + 10 : x * 88 + 40] = id + 1
image = np.zeros((4000, 4000, 3), np.uint8)
card = ModelCard("default", "", "", SMALL)
model = Model(DenoisingUNet(SMALL).requires_grad_(False), card)
result = refine(image, labels, model=model, steps=1)
# macOS counts bytes, others kilobytes
unit = 1e9 if sys.platform == "darwin" else 1e6
print(len(result.report), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
"""


def ringed() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A bright disk within a ring of half its brightness, and too large a mask."""
    shape = (100, 100)
    core, ring = disk(shape, 50, 50, 18), disk(shape, 50, 50, 22)
    image = np.where(core, 200, np.where(ring, 100, 0)).astype(np.uint8)
    return image, disk(shape, 50, 50, 28).astype(np.uint8)


def three_answers(x: Tensor, index: Tensor) -> Tensor:
    """P is .99 where it is bright, .45 where it is grey and .01 elsewhere."""
    low, high = (x[:, :1].amin((2, 3), True), x[:, :1].amax((2, 3), True))
    share = (x[:, :1] - low) / (high - low)
    p = torch.where(share > 0.75, 0.99, torch.where(share > 0.25, 0.45, 0.01))
    return torch.logit(p)


def test_pixels_belong_to_an_object_from_the_threshold_on() -> None:
    image, coarse = ringed()
    model = stub_model(three_answers, threshold=0.4)
    result = refine(image, coarse, model=model)
    np.testing.assert_array_equal(result.labels > 0, image >= 100)
    half = refine(image, coarse, model=model, threshold=0.5)
    np.testing.assert_array_equal(half.labels > 0, image == 200)
    assert result.report[0].uncertainty == half.report[0].uncertainty
    assert result.record["options"]["threshold"] == 0.4


def test_the_last_step_shows_what_the_threshold_makes_of_it() -> None:
    image, coarse = ringed()
    refiner = Refiner(stub_model(three_answers, threshold=0.4))
    shown = dict[int, Array]()
    for event in refiner.steps(image, coarse):
        if isinstance(event, StepDone):
            shown[event.step] = event.mask(0)
            (box,) = event.boxes
    np.testing.assert_array_equal(shown[max(shown)], image[box.slices] >= 100)


def test_a_drawn_end_knows_no_threshold() -> None:
    image, coarse = ringed()
    results = [
        refine(
            image,
            coarse,
            model=stub_model(three_answers),
            last="sampled",
            threshold=threshold,
        )
        for threshold in (0.05, 0.5)
    ]
    np.testing.assert_array_equal(results[0].labels, results[1].labels)


def test_what_is_right_at_one_half_is_left_at_any_threshold() -> None:
    image, _ = ringed()
    coarse = (image == 200).astype(np.uint8)
    model = stub_model(three_answers, threshold=0.1, least_change=0.02)
    result = refine(image, coarse, model=model)
    np.testing.assert_array_equal(result.labels, coarse)
    assert result.report[0].status == "unchanged"


def test_guards_hold_at_the_threshold_too() -> None:
    image, coarse = ringed()
    model = stub_model(three_answers, threshold=0.4)
    result = refine(image, coarse, model=model, pixel_doubt=0.5)
    # The grey pixels are in doubt: they keep their coarse value, which is the object's.
    np.testing.assert_array_equal(result.labels > 0, image >= 100)
    smaller = (image == 200) & (np.arange(100) > 50)
    kept = refine(image, smaller.astype(np.uint8), model=model, pixel_doubt=0.5)
    np.testing.assert_array_equal(kept.labels > 0, image == 200)


def test_a_reduced_grid_without_windows_is_cut_at_one_half() -> None:
    image, coarse = (array.repeat(4, 0).repeat(4, 1) for array in ringed())
    assert coarse.any(axis=0).sum() > 128  # more than the largest grid
    model = stub_model(three_answers, threshold=0.4)
    results = [
        refine(image, coarse, model=model, windows=False, threshold=threshold)
        for threshold in (0.4, 0.5)
    ]
    np.testing.assert_array_equal(results[0].labels, results[1].labels)
    windows = refine(image, coarse, model=model, windows=True)
    grey = image == 100
    assert windows.report[0].n_windows > 0
    assert (windows.labels[grey] > 0).mean() > (results[0].labels[grey] > 0).mean()
