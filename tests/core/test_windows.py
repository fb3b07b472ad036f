"""Windows of full resolution: where they go, how they blend, what they change."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_segrefiner.core import window_pass
from napari_segrefiner.core.blend import Blend
from napari_segrefiner.core.boundary import edge
from napari_segrefiner.core.crops import Crop, CropRule
from napari_segrefiner.core.draft import Draft
from napari_segrefiner.core.events import (
    BatchDone,
    RunDone,
    StepDone,
    WindowsPlanned,
)
from napari_segrefiner.core.refiner import Refiner, refine
from napari_segrefiner.core.resampling import without_thin_changes
from napari_segrefiner.core.windows import BoundaryWindows, choose_centres
from napari_segrefiner.errors import DeviceError, OptionError
from napari_segrefiner.geometry import Box
from napari_segrefiner.metrics import iou
from napari_segrefiner.options import RefineOptions
from tests.core.stubs import (
    bright,
    disk,
    everything,
    oracle,
    stub_model,
    tiny_network,
)

Array = np.ndarray[Any, Any]
RULE = CropRule(padding=0.35, min_padding=2)


def draft_of(mask: Array, fine: float = 0.0) -> Draft:
    """A draft of the one object of a mask."""
    y, x = np.nonzero(mask)
    box = Box(int(y.min()), int(x.min()), int(y.max()) + 1, int(x.max()) + 1)
    crop = RULE.plan(box, mask.shape)
    part = mask[crop.inside.slices]
    grid_fine = np.full((crop.grid, crop.grid), fine, np.float32)
    return Draft(crop, part, part.copy(), part.astype(np.float32), grid_fine)


def large_scene(shape: tuple[int, int] = (420, 500)) -> tuple[Array, Array, Array]:
    """A bright body with fine teeth, its truth, and a smooth coarse mask of it."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    angle = np.arctan2(rows - 210, columns - 250)
    truth = np.hypot(rows - 210, columns - 250) <= 150 + 6 * np.sign(np.sin(40 * angle))
    image = np.where(truth, 200, 40).astype(np.uint8)
    return image, truth, disk(shape, 212, 247, 152)


@pytest.mark.parametrize("side", [129, 200, 321, 1000, 5000, 40_000])
def test_zooms_end_at_full_resolution_in_steps_that_are_not_too_large(
    side: int,
) -> None:
    square = Box(0, 0, side, side)
    sides = [side / 2, *BoundaryWindows(64).sides(Crop(square, square, 128))]
    assert sides[-1] == 64
    assert all(a / b <= 2.55 for a, b in itertools.pairwise(sides))
    assert sides == sorted(sides, reverse=True)


def test_objects_in_full_detail_get_no_windows() -> None:
    for side in (60, 64, 100, 128):
        square = Box(0, 0, side, side)
        grid = max(64, min(side, 128))
        assert BoundaryWindows(64).sides(Crop(square, square, grid)) == []


@pytest.mark.parametrize("pitch", [1, 7, 26])
def test_every_pixel_of_a_line_has_a_place_near_it(pitch: int) -> None:
    rng = np.random.default_rng(3)
    line = edge(disk((300, 300), 150, 140, 100)) | (rng.random((300, 300)) < 1e-3)
    centres = choose_centres(line, pitch)
    y, x = np.nonzero(line)
    away = np.maximum(
        np.abs(y[:, None] - centres[:, 0]), np.abs(x[:, None] - centres[:, 1])
    )
    assert away.min(axis=1).max() < 1.5 * pitch + 1
    between = np.abs(centres[:, None] - centres).max(axis=-1)
    between[np.diag_indices(len(centres))] = pitch
    assert between.min() >= pitch


def test_no_pixels_no_places() -> None:
    assert choose_centres(np.zeros((9, 9), bool), 5).shape == (0, 2)


@pytest.mark.parametrize("shape", [(420, 500), (1300, 90), (150, 1300)])
def test_windows_lie_in_the_image_where_they_fit(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, bool)
    mask[: shape[0] - 5, 3 : shape[1] - 1] = True
    draft = draft_of(mask)
    n_rounds = 0
    for planned in BoundaryWindows(64, everywhere=True).rounds(draft):
        n_rounds += 1
        assert planned.windows
        for window in planned.windows:
            assert window.box.shape == (window.box.height,) * 2
            assert window.inside == window.box.clip(shape)
            for inside, box, size in zip(
                window.inside.shape, window.box.shape, shape, strict=True
            ):
                assert inside == min(box, size)
    assert n_rounds == len(BoundaryWindows(64).sides(draft.crop)) > 0


def test_certain_boundaries_get_no_windows_unless_all_do() -> None:
    mask = disk((420, 500), 200, 250, 150)
    draft = draft_of(mask, fine=0.95)
    assert not next(BoundaryWindows(64).rounds(draft)).windows
    # cells of the grid: about the left half of the object
    draft = draft_of(mask, fine=0.95)
    draft.grid_fine[:, :64] = 0.3
    some = next(BoundaryWindows(64).rounds(draft)).windows
    everywhere = next(BoundaryWindows(64, everywhere=True).rounds(draft)).windows
    assert 0.3 < len(some) / len(everywhere) < 0.7
    assert all(w.box.x0 + w.box.x1 < 2 * 260 for w in some)


def blended(windows: list[Crop], answers: list[Array], mask: Array) -> Draft:
    """A draft of the whole mask after windows that saw it."""
    height, width = mask.shape
    image = Box(0, 0, height, width)
    crop = Crop(image, image, 64)
    fine = np.zeros((64, 64), np.float32)
    draft = Draft(crop, mask, mask.copy(), mask.astype(np.float32), fine)
    blend = Blend(draft, is_tapered=True)
    for window, answer in zip(windows, answers, strict=True):
        blend.finish(above=window.inside.y0)
        seen = mask[window.inside.slices]
        blend.add(window, seen, answer, answer, answer)
    blend.finish()
    return draft


def native(y0: int, x0: int) -> Crop:
    box = Box(y0, x0, y0 + 64, x0 + 64)
    return Crop(box, box, 64)


def test_the_middle_of_a_window_counts_more_than_its_rim() -> None:
    mask = np.zeros((64, 128), bool)
    high, low = np.full((64, 64), 0.9, np.float32), np.full((64, 64), 0.2, np.float32)
    draft = blended([native(0, 0), native(0, 32)], [high, low], mask)
    row = draft.probability[30]
    assert np.allclose(row[:32], 0.9)
    assert np.allclose(row[64:96], 0.2)
    assert np.allclose(row[96:], 0.0)
    overlap_ = row[32:64]
    assert (np.diff(overlap_) < 0).all()
    assert overlap_[0] > 0.89
    assert overlap_[-1] < 0.21
    np.testing.assert_array_equal(draft.mask[:, :96], draft.probability[:, :96] >= 0.5)
    assert np.allclose(draft.fine[:, :96], draft.probability[:, :96])


def test_rows_are_written_as_if_all_windows_were_summed_at_once() -> None:
    rng = np.random.default_rng(1)
    mask = rng.random((400, 200)) < 0.5
    places = sorted((int(y), int(x)) for y, x in rng.integers(0, (336, 136), (30, 2)))
    places += [(336, 0)]
    answers = [rng.random((64, 64), dtype=np.float32) for _ in places]
    draft = blended([native(*place) for place in places], answers, mask)
    taper = np.sin(np.pi * (np.arange(64) + 0.5) / 64) ** 2
    weights, total = np.zeros(mask.shape), np.zeros(mask.shape)
    for (y, x), answer in zip(places, answers, strict=True):
        weights[y : y + 64, x : x + 64] += np.outer(taper, taper)
        total[y : y + 64, x : x + 64] += np.outer(taper, taper) * answer
    covered = weights > 0
    mean = total[covered] / weights[covered]
    np.testing.assert_allclose(draft.probability[covered], mean, atol=1e-5)
    np.testing.assert_array_equal(draft.mask[~covered], mask[~covered])


def test_windows_bring_detail_that_the_reduced_crop_cannot_have() -> None:
    image, truth, coarse = large_scene()
    model = stub_model(bright)
    reduced = refine(image, coarse, model=model, windows=False).labels
    result = refine(image, coarse, model=model)
    assert iou(coarse, truth) < iou(reduced, truth) < 0.99
    assert iou(result.labels, truth) == 1.0
    (entry,) = result.report
    assert entry.mode == "objects"
    assert entry.n_windows > 30


def toothed() -> Array:
    """A large body with teeth 6 px wide, one or two cells of any reduced grid."""
    rows, columns = np.ogrid[:500, :500]
    angle = np.arctan2(rows - 250, columns - 250)
    teeth = 6 * (np.sin(95 * angle) > 0)
    return np.hypot(rows - 250, columns - 250) <= 180 + teeth


@pytest.mark.parametrize("mode", ["objects", "whole"])
def test_reduced_passes_leave_teeth_to_the_windows_that_see_them(mode: Any) -> None:
    truth = toothed()

    def smooths(x: Tensor, index: Tensor) -> Tensor:
        """Takes away what is a cell or two wide, and is not quite sure."""
        mean = torch.nn.functional.avg_pool2d(x[:, 3:], 3, stride=1, padding=1)
        return 8 * (mean - 0.5)

    result = refine(truth * np.uint8(200), truth, model=stub_model(smooths), mode=mode)
    assert result.report[0].n_windows > 40
    assert iou(result.labels, truth) > 0.985


def test_reduced_passes_decide_about_what_is_no_detail() -> None:
    truth = disk((500, 500), 250, 250, 180)
    coarse = truth & ~disk(truth.shape, 250, 430, 40) | disk(truth.shape, 250, 70, 40)
    image = truth * np.uint8(200)
    for mode in ("objects", "whole"):
        options: dict[str, Any] = {"mode": mode, "steps": 1}
        model = stub_model(lambda x, index: bright(x, index) * 0.02)
        result = refine(image, coarse, model=model, **options)
        assert iou(result.labels, truth) == 1.0


def test_details_and_moves_within_a_cell_are_left_to_windows() -> None:
    """A smooth boundary moves by two cells, not by one; a tooth goes with its base."""
    seen = np.zeros((40, 40), bool)
    seen[:, :20] = True
    shivers = seen.copy()
    shivers[:, 20] = True
    kept, is_thin = without_thin_changes(shivers.astype(np.float32), seen)
    np.testing.assert_array_equal(kept, seen)
    np.testing.assert_array_equal(is_thin, shivers & ~seen)
    moves = shivers.copy()
    moves[:, 21] = True
    kept, is_thin = without_thin_changes(moves.astype(np.float32), seen)
    np.testing.assert_array_equal(kept, moves)
    assert not is_thin.any()
    toothed = seen.copy()
    toothed[10:12, 20:26] = True
    kept, is_thin = without_thin_changes(seen.astype(np.float32), toothed)
    np.testing.assert_array_equal(kept, toothed)
    np.testing.assert_array_equal(is_thin, toothed & ~seen)
    gone = np.zeros_like(seen)
    kept, is_thin = without_thin_changes(gone.astype(np.float32), toothed)
    assert not kept[:, :20].any()


@pytest.mark.parametrize("mode", ["whole", "auto"])
def test_mode_auto_treats_large_objects_as_mode_whole_does(mode: Any) -> None:
    image, _, coarse = large_scene()
    labels = coarse * 3 + disk(coarse.shape, 20, 20, 12) * 5
    image[disk(coarse.shape, 22, 21, 12)] = 200

    def unsure(x: Tensor, index: Tensor) -> Tensor:
        return bright(x, index) * 0.02

    model = stub_model(unsure)
    result = refine(image, labels, model=model, mode=mode)
    small = "objects" if mode == "auto" else "whole"
    assert [entry.mode for entry in result.report] == ["whole", small]
    assert [entry.n_windows > 0 for entry in result.report] == [True, False]
    modes = {"auto": {"objects": 1, "whole": 1}, "whole": {"whole": 2}}
    assert result.record["modes"] == modes[mode]
    expected = refine(image, labels, model=model, mode="whole").labels
    np.testing.assert_array_equal(result.labels, expected)


SHAPES = {
    "large": disk((420, 460), 190, 230, 160),
    "at a border": disk((300, 300), 280, 10, 150),
    "filling": np.ones((330, 270), bool),
    "filling an image smaller than a window in one way": np.ones((20, 700), bool),
    "a thin bar": np.pad(np.ones((4, 800), bool), ((50, 60), (20, 60))),
    "a thin diagonal": np.pad(np.eye(700, dtype=bool), 4),
    "far parts": disk((600, 900), 60, 60, 20) | disk((600, 900), 560, 850, 5),
    "noise": np.random.default_rng(0).random((260, 260)) < 0.2,
    "a ring": disk((500, 500), 250, 250, 240) & ~disk((500, 500), 250, 250, 225),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("mode", ["objects", "whole", "auto"])
def test_an_identity_network_changes_no_pixel(name: str, mode: Any) -> None:
    mask = SHAPES[name]
    image = np.random.default_rng(0).integers(0, 256, mask.shape, dtype=np.uint8)
    result = refine(image, mask, model=stub_model(oracle), mode=mode, local_steps=2)
    np.testing.assert_array_equal(result.labels, mask)


def test_a_bar_too_thin_for_its_grid_is_refined_in_windows() -> None:
    truth = np.zeros((400, 900), bool)
    truth[200:204, 50:850] = True
    coarse = np.roll(truth, 2, axis=0)
    image = truth * np.uint8(200)
    result = refine(image, coarse, model=stub_model(bright))
    assert result.report[0].status == "refined"
    assert iou(result.labels, truth) > 0.95


def random_run(**options: Any) -> Array:
    image, _, coarse = large_scene()
    options = {"precision": "float32", "local_steps": 2, **options}
    return refine(image, coarse, model=stub_model(tiny_network()), **options).labels


def test_the_number_of_windows_at_once_does_not_matter() -> None:
    expected = random_run()
    off = np.count_nonzero(random_run(batch_size=5) != expected)
    assert off <= 1e-3 * np.count_nonzero(expected)
    assert (random_run(seed=1) != expected).any()


def test_windows_are_told_of_and_shown() -> None:
    image, _, coarse = large_scene()
    options = RefineOptions(steps=2, local_steps=2, batch_size=9)
    labels = coarse.astype(np.uint8) * 7
    events = list(Refiner(stub_model(bright), options).steps(image, labels))
    planned = [event for event in events if isinstance(event, WindowsPlanned)]
    assert [(event.level, event.n_levels) for event in planned] == [(0, 2), (1, 2)]
    steps = [event for event in events if isinstance(event, StepDone)]
    progress = [e.progress for e in events if isinstance(e, StepDone | BatchDone)]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    whole, local = steps[:2], steps[2:]
    assert [event.index for event in whole] == [5, 0]
    assert [event.index for event in local] == [4, 0] * (len(local) // 2)
    assert not any(event.windows for event in whole)
    told = [box for event in planned for box in event.boxes]
    shown = [box for event in local[::2] for box in event.windows]
    assert len(told) == len(shown)
    assert set(told) == set(shown)
    for event in local:
        (box,) = event.boxes
        assert event.ids == (7,)
        assert all(window == window.clip(labels.shape) for window in event.windows)
        assert all(box.union(window) == box for window in event.windows)


def test_the_last_picture_of_windows_is_nearly_the_result() -> None:
    image, _, coarse = large_scene()
    shown = coarse.copy()
    for event in Refiner(stub_model(bright)).steps(image, coarse):
        if isinstance(event, StepDone):
            mask = event.mask(0)
            assert mask.shape == event.boxes[0].shape
            shown[event.boxes[0].slices] = mask
        elif isinstance(event, RunDone):
            result = event.result.labels
    assert iou(shown, result) > 0.999


@pytest.mark.parametrize("n_events", [3, 4, 5, 9])
def test_a_run_can_be_stopped_among_its_windows(n_events: int) -> None:
    image, _, coarse = large_scene()
    before = coarse.copy()
    run = Refiner(stub_model(oracle)).steps(image, coarse)
    for _ in range(n_events):
        next(run)
    run.close()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(coarse, before)
    assert not torch.is_inference_mode_enabled()


def test_memory_that_runs_out_halves_the_windows_at_once() -> None:
    image, _, coarse = large_scene()
    sizes: list[int] = []

    def tight(x: Tensor, index: Tensor) -> Tensor:
        if x.shape[-1] == 64:
            sizes.append(len(x))
            if len(x) > 4:
                message = "out of memory"
                raise torch.OutOfMemoryError(message)
        return bright(x, index)

    result = refine(image, coarse, model=stub_model(tight))
    assert sizes[:4] == [15, 7, 3, 3]
    expected = refine(image, coarse, model=stub_model(bright))
    np.testing.assert_array_equal(result.labels, expected.labels)

    def greedy(x: Tensor, index: Tensor) -> Tensor:
        if x.shape[-1] == 64:
            message = "out of memory"
            raise torch.OutOfMemoryError(message)
        return bright(x, index)

    with pytest.raises(DeviceError, match="1 windows of 64 x 64 px"):
        refine(image, coarse, model=stub_model(greedy))


def test_memory_follows_the_height_of_windows_not_their_number() -> None:
    """Rows that are held while windows go down a long object."""
    mask = np.zeros((3000, 300), bool)
    mask[20:2980, 40:260] = True
    draft = draft_of(mask)
    rows = 0
    original = window_pass.Blend

    class Watched(original):  # type: ignore[misc, valid-type]
        def add(self, *arguments: Any) -> None:
            nonlocal rows
            super().add(*arguments)
            rows = max(rows, self._sums.shape[1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_pass, "Blend", Watched)
        refine(mask * np.uint8(9), mask, model=stub_model(oracle), batch_size=4)
    assert 64 <= rows < 3 * max(BoundaryWindows(64).sides(draft.crop))


def test_published_windows_belong_to_the_whole_mode() -> None:
    with pytest.raises(OptionError, match="mode whole"):
        Refiner(stub_model(), RefineOptions(preset="published", windows=True))


def test_the_published_preset_has_no_mode_auto() -> None:
    with pytest.raises(OptionError, match="no mode auto"):
        Refiner(stub_model(), RefineOptions(preset="published", mode="auto"))


def test_published_objects_have_no_parts() -> None:
    for mode in ("objects", "whole"):
        options = RefineOptions(preset="published", mode=mode, labels_are="classes")
        with pytest.raises(OptionError, match="preset default for classes"):
            Refiner(stub_model(), options)


def test_a_whole_mask_that_is_to_vanish_keeps_its_pixels() -> None:
    _, _, coarse = large_scene()
    image = np.full(coarse.shape, 7, np.uint8)

    def nowhere(x: Tensor, index: Tensor) -> Tensor:
        return -everything(x, index)

    result = refine(image, coarse, model=stub_model(nowhere), mode="whole")
    assert result.report[0].status == "kept"
    np.testing.assert_array_equal(result.labels, coarse)


def test_a_windows_pixel_of_doubt_stays_coarse() -> None:
    image, truth, coarse = large_scene()

    def unsure(x: Tensor, index: Tensor) -> Tensor:
        return bright(x, index) * 0.01

    model = stub_model(unsure)
    kept = refine(image, coarse, model=model, pixel_doubt=0.5)
    np.testing.assert_array_equal(kept.labels, coarse)
    assert iou(refine(image, coarse, model=model).labels, truth) > 0.98


def test_windows_use_the_grid_that_the_model_was_trained_on() -> None:
    image, _, coarse = large_scene()
    sides: set[int] = set()

    def watched(x: Tensor, index: Tensor) -> Tensor:
        sides.add(x.shape[-1])
        return bright(x, index)

    model = stub_model(watched)
    grids = dataclasses.replace(model.card.grids, base=96, largest=192)
    card = dataclasses.replace(model.card, grids=grids)
    refine(image, coarse, model=dataclasses.replace(model, card=card))
    assert sides == {96, 192}


def test_objects_in_doubt_get_no_windows_which_would_make_the_network_sure() -> None:
    image, _, coarse = large_scene()

    def unsure_at_first(x: Tensor, index: Tensor) -> Tensor:
        is_reduced = x.shape[-1] > 64
        return bright(x, index) * (0.01 if is_reduced else 1.0)

    model = stub_model(unsure_at_first)
    held = refine(image, coarse, model=model, doubt=0.3).report[0]
    assert (held.status, held.n_windows) == ("held", 0)
    assert held.uncertainty > 0.3
    free = refine(image, coarse, model=model, doubt=1.0).report[0]
    assert free.n_windows > 0
    assert free.uncertainty < 0.3


def test_windows_alone_in_doubt_do_not_take_the_object_back() -> None:
    image, _, coarse = large_scene()

    def unsure_at_last(x: Tensor, index: Tensor) -> Tensor:
        is_reduced = x.shape[-1] > 64
        return bright(x, index) * (1.0 if is_reduced else 0.01)

    late = refine(image, coarse, model=stub_model(unsure_at_last), doubt=0.3).report[0]
    assert late.n_windows > 0
    assert late.uncertainty > 0.3
    assert late.status == "refined"
