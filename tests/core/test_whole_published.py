"""The published global-local strategy gives the published results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from napari_segrefiner.core.crops import CropRule
from napari_segrefiner.core.draft import Draft
from napari_segrefiner.core.events import RunDone, StepDone, WindowsPlanned
from napari_segrefiner.core.objects import LabelledObject
from napari_segrefiner.core.plan import Job
from napari_segrefiner.core.preprocessing import normalise
from napari_segrefiner.core.refiner import Refiner, refine
from napari_segrefiner.core.resampling import from_grid, mask_on_grid, to_grid
from napari_segrefiner.core.whole_published import (
    PublishedWindows,
    patch_boxes,
    uncertain_cells,
)
from napari_segrefiner.diffusion import Step
from napari_segrefiner.errors import InputError
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.picture import open_picture
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.checkpoint import Model
from napari_segrefiner.options import RefineOptions
from tests import golden
from tests.core.stubs import disk, oracle, stub_model, tiny_network

Golden = dict[str, np.ndarray[Any, Any]]
Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def coffee() -> Golden:
    return golden.load("global_local_coffee")


def unpack(bits: Array, *shape: int) -> Array:
    """Masks from packed bits."""
    flat = np.unpackbits(bits, axis=-1)[..., : np.prod(shape[-2:])]
    return flat.reshape(shape).astype(bool)


def to_xy(boxes: Any) -> list[list[int]]:
    """Boxes in the order of the golden file, x before y."""
    return [[x0, y0, x1, y1] for y0, x0, y1, x1 in boxes]


def draft_of(fine: Array, mask: Array, side: int) -> Draft:
    """A draft after the global steps."""
    rule = CropRule(0, 0, grid=side, is_published=True, is_whole=True)
    crop = rule.plan(Box(0, 0, 1, 1), mask.shape)
    return Draft(crop, mask, mask.copy(), mask.astype(np.float32), fine)


def test_the_global_steps_see_the_published_inputs(coffee: Golden) -> None:
    mask = coffee["coarse_mask"] > 0
    draft = draft_of(np.zeros((256, 256), np.float32), mask, 256)
    seen = mask_on_grid(mask, draft.crop)
    golden.check("global_local_coffee: input mask", seen, coffee["global_mask_in"] > 0)
    picture = open_picture(coffee["image"], mask.shape)
    shown = torch.from_numpy(to_grid(picture.read, draft.crop))[None]
    image = normalise(shown, "imagenet")[0, :, ::4, ::4].numpy()
    expected = coffee["global_image_sub4"]
    golden.check("global_local_coffee: input image", image, expected, 2e-6)


def test_the_global_mask_is_enlarged_as_published(coffee: Golden) -> None:
    draft = draft_of(coffee["global_fine"], coffee["coarse_mask"] > 0, 256)
    enlarged = from_grid(coffee["global_prob"], draft.crop) >= 0.5
    expected = unpack(coffee["global_mask_full"], 400, 600)
    golden.check("global_local_coffee: enlarged mask", enlarged, expected)


def test_stored_fine_probabilities_give_the_published_patches(coffee: Golden) -> None:
    fine, shape = coffee["global_fine"], (400, 600)
    points, scores = uncertain_cells(fine, shape)
    assert len(points) == coffee["n_points"] == len(scores)
    boxes = patch_boxes(points, shape, 256)
    expected = coffee["boxes_before_nms"]
    golden.check("global_local_coffee: boxes", to_xy(boxes.tolist()), expected)
    draft = draft_of(fine, unpack(coffee["global_mask_full"], *shape), 256)
    (planned,) = PublishedWindows(256).rounds(draft)
    found = to_xy(window.box for window in planned.windows)
    expected = coffee["boxes_after_content_test"]
    golden.check("global_local_coffee: chosen boxes", found, expected)


@pytest.mark.parametrize("shape", [(300, 500), (64, 64), (777, 400)])
def test_patches_of_other_sizes_are_the_published_ones(
    coffee: Golden, shape: tuple[int, int]
) -> None:
    height, width = shape
    name = f"nms2_{height}x{width}"
    points, _ = uncertain_cells(coffee["nms2_fine"], shape)
    expected = coffee[f"{name}_centres_xy"]
    golden.check("global_local_coffee: centres", points[:, ::-1], expected)
    boxes = patch_boxes(points, shape, 64)
    expected = coffee[f"{name}_boxes_before"]
    golden.check("global_local_coffee: boxes", to_xy(boxes.tolist()), expected)
    mask = np.zeros(shape, bool)
    mask[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = True
    (planned,) = PublishedWindows(64).rounds(draft_of(coffee["nms2_fine"], mask, 64))
    found = to_xy(window.box for window in planned.windows)
    expected = coffee[f"{name}_boxes_content"]
    golden.check("global_local_coffee: chosen boxes", found, expected)


class Watched:
    """The reverse process of a refiner, with the last step of every batch kept."""

    def __init__(self, refiner: Refiner) -> None:
        self.ends: list[Step] = []
        self._run = refiner._process.run
        refiner._process.run = self  # type: ignore[assignment,method-assign]

    def __call__(self, *arguments: Any, **keywords: Any) -> Iterator[Step]:
        for step in self._run(*arguments, **keywords):
            yield step
        self.ends.append(step)


def reduced_refiner() -> Refiner:
    card = ModelCard("reduced", "", "", golden.REDUCED, normalisation="imagenet")
    options = RefineOptions(preset="published", mode="whole", device="cpu")
    return Refiner(Model(golden.formula_network(golden.REDUCED), card), options)


def check_end(coffee: Golden, boxes: Any, mask: Array) -> None:
    """Compare patches and the final mask with the golden ones."""
    expected = coffee["boxes_after_content_test"]
    golden.check("global_local_coffee: chosen boxes", to_xy(boxes), expected)
    off = mask != unpack(coffee["final_mask"], 400, 600)
    golden.check("global_local_coffee: share of the final mask", off.mean(), 0, 2e-3)


def test_the_local_step_gives_the_published_mask(coffee: Golden) -> None:
    refiner = reduced_refiner()
    watched = Watched(refiner)
    coarse = coffee["coarse_mask"] > 0
    draft = draft_of(coffee["global_fine"], coarse, 256)
    draft.mask = unpack(coffee["global_mask_full"], 400, 600)
    picture = open_picture(coffee["image"], coarse.shape)
    windows = refiner._strategy._passes["whole"]
    job = Job(LabelledObject(1, 0, draft.crop.box), draft.crop, 0)
    planned, *steps = windows.refine(job, picture, draft)
    assert isinstance(planned, WindowsPlanned)
    assert {step.index for step in steps if isinstance(step, StepDone)} == {0}
    # The pass works from top to bottom, the file is in order of choice.
    boxes = planned.boxes
    order = sorted(range(len(boxes)), key=lambda k: boxes[k][:2])
    local = np.concatenate([step.probability[:, 0].numpy() for step in watched.ends])
    expected = coffee["local_prob"][order]
    golden.check("global_local_coffee: local probability", local, expected, 2e-3)
    check_end(coffee, boxes, draft.mask)


@pytest.mark.slow
def test_the_whole_chain_gives_the_published_mask(coffee: Golden) -> None:
    refiner = reduced_refiner()
    watched = Watched(refiner)
    noise = golden.uniforms(coffee["noise_k"])[None].numpy()
    indices = []
    for event in refiner.steps(coffee["image"], coffee["coarse_mask"] > 0, noise=noise):
        if isinstance(event, StepDone) and not event.windows:
            indices.append(event.index)
        elif isinstance(event, WindowsPlanned):
            boxes = event.boxes
        elif isinstance(event, RunDone):
            result = event.result
    assert indices == coffee["steps_global"].tolist()
    whole = watched.ends[0]
    probability = whole.probability[0, 0].numpy()
    expected = coffee["global_prob"]
    golden.check("global_local_coffee: global probability", probability, expected, 2e-3)
    fine = whole.fine_probability[0, 0].numpy()
    golden.check("global_local_coffee: global fine", fine, coffee["global_fine"], 1e-3)
    # Answers to patches are not compared: a pixel of the global mask that tips over is
    # enough for random weights to answer otherwise.
    check_end(coffee, boxes, result.labels)


def published(labels: Array, **options: Any) -> Array:
    model = stub_model(oracle)
    image = np.zeros(labels.shape, np.uint8)
    options = {"preset": "published", "mode": "whole", "grid": 64, **options}
    return refine(image, labels, model=model, **options).labels


def test_masks_of_at_most_128_px_are_erased_as_published() -> None:
    labels = np.zeros((200, 200), np.uint8)
    labels[10:18, 10:26] = 1
    assert not published(labels).any()
    labels[18, 10] = 1
    assert published(labels).any()


def test_labels_are_refined_one_after_the_other() -> None:
    labels = disk((128, 192), 60, 50, 20) * 3 + disk((128, 192), 60, 130, 30) * 9
    together = published(labels)
    for id in (3, 9):
        np.testing.assert_array_equal(together == id, published(labels == id))


def test_steps_are_adjustable_in_both_passes() -> None:
    labels = disk((128, 192), 60, 90, 30)
    options = RefineOptions(
        preset="published", mode="whole", grid=64, steps=3, local_steps=2
    )
    model = stub_model(tiny_network())
    events = Refiner(model, options).steps(labels * 9, labels)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [s.index for s in steps if not s.windows] == [5, 4, 3]
    assert [s.index for s in steps if s.windows][:2] == [1, 0]


def test_an_image_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(InputError, match=r"200 x 300 px.*at least 256"):
        published(np.ones((200, 300), np.uint8), grid=256)
