"""The published preset gives the published results: the whole golden pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_segrefiner.core.crops import CropRule
from napari_segrefiner.core.events import RunDone, StepDone
from napari_segrefiner.core.objects import find_objects
from napari_segrefiner.core.preprocessing import normalise
from napari_segrefiner.core.refiner import Refiner
from napari_segrefiner.core.resampling import mask_on_grid, to_grid, transfer
from napari_segrefiner.io.picture import open_picture
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.checkpoint import Model
from napari_segrefiner.options import RefineOptions
from tests import golden

Golden = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def coins() -> Golden:
    return golden.load("instance_coins")


def published_masks(coins: Golden) -> np.ndarray[Any, Any]:
    """Final masks in published order, (26, 303, 384) bool."""
    n, height, width = coins["final_shape"]
    bits = np.unpackbits(coins["final_masks_packed"], axis=1)[:, : height * width]
    return bits.reshape(n, height, width).astype(bool)


def test_boxes_order_and_inputs_are_the_published_ones(coins: Golden) -> None:
    labels = coins["coarse_labels"]
    picture = open_picture(coins["image"], labels.shape)
    rule = CropRule(padding=0, min_padding=20, grid=64, is_published=True)
    found = [o for o in find_objects(labels) if o.area >= 512]
    expected = coins["order_of_output"][:24]
    golden.check("instance_coins: order", [o.id for o in found], expected)
    for k, target in enumerate(found):
        crop = rule.plan(target.box, labels.shape)
        y0, x0, y1, x1 = crop.box
        golden.check("instance_coins: boxes", [x0, y0, x1, y1], coins["boxes_xyxy"][k])
        mask = mask_on_grid(labels[crop.inside.slices] == target.id, crop)
        golden.check("instance_coins: input masks", mask, coins["resized_masks"][k])
        shown = torch.from_numpy(to_grid(picture.read, crop)).expand(1, 3, -1, -1)
        image = normalise(shown, "imagenet")[0].numpy()
        expected = coins["resized_images"][k]
        golden.check("instance_coins: input images", image[:1], expected, 2e-6)
        if k == 0:
            corner, expected = image[:, :4, :4], coins["normalized_channel_check"]
            golden.check("instance_coins: input images", corner, expected, 2e-6)


def test_crops_on_the_published_grid_of_256_px_are_equal(coins: Golden) -> None:
    labels = coins["coarse_labels"]
    picture = open_picture(coins["image"], labels.shape)
    rule = CropRule(padding=0, min_padding=20, grid=256, is_published=True)
    found = {o.id: o for o in find_objects(labels)}
    for k, id in enumerate(coins["r256_object_ids"].tolist()):
        crop = rule.plan(found[id].box, labels.shape)
        mask = mask_on_grid(labels[crop.inside.slices] == id, crop)
        expected = np.unpackbits(coins["r256_masks"][k]).reshape(256, 256)
        golden.check("instance_coins: input masks", mask, expected)
        shown = torch.from_numpy(to_grid(picture.read, crop)).expand(1, 3, -1, -1)
        image = normalise(shown, "imagenet")[0, 0, ::2, ::2].numpy()
        expected = coins["r256_images_ch0"][k]
        golden.check("instance_coins: input images", image, expected, 2e-6)


def test_golden_probabilities_are_pasted_to_the_golden_masks(coins: Golden) -> None:
    labels = coins["coarse_labels"]
    rule = CropRule(padding=0, min_padding=20, grid=64, is_published=True)
    found = {o.id: o for o in find_objects(labels)}
    expected = published_masks(coins)
    for k, id in enumerate(coins["order_of_output"][:24].tolist()):
        crop = rule.plan(found[id].box, labels.shape)
        coarse = labels[crop.inside.slices] == id
        pasted = np.zeros(labels.shape, bool)
        seen = coins["resized_masks"][k] > 0
        pasted[crop.inside.slices] = transfer(
            coins["final_prob"][k], seen, coarse, crop
        )[0]
        golden.check("instance_coins: pasted masks", pasted, expected[k])


def run(coins: Golden, ids: list[int], device: Any = "cpu") -> dict[str, float]:
    """Largest deviations of a run of the given objects from the golden ones."""
    order = coins["order_of_output"].tolist()
    ranks = [order.index(id) for id in ids]
    card = ModelCard("reduced", "", "", golden.REDUCED, normalisation="imagenet")
    refiner = Refiner(
        Model(golden.formula_network(golden.REDUCED), card),
        RefineOptions(
            preset="published", grid=64, batch_size=8, ids=tuple(ids), device=device
        ),
    )
    original = refiner._process.run

    def watched(*arguments: Any, **keywords: Any) -> Any:
        for step in original(*arguments, **keywords):
            watched.last = step  # type: ignore[attr-defined]
            yield step

    refiner._process.run = watched  # type: ignore[method-assign]
    expected = published_masks(coins)
    worst = dict.fromkeys(("probability", "fine", "mask", "uncertainty", "share"), 0.0)
    noise = golden.uniforms(coins["noise_k"][ranks]).numpy()
    for event in refiner.steps(coins["image"], coins["coarse_labels"], noise=noise):
        if isinstance(event, StepDone) and event.step == 5:
            step = watched.last  # type: ignore[attr-defined]
            for k, id in enumerate(event.ids):
                rank = order.index(id)
                for name, tensor, key in (
                    ("probability", step.probability, "final_prob"),
                    ("fine", step.fine_probability, "final_fine"),
                ):
                    off = np.abs(tensor[k, 0].cpu().numpy() - coins[key][rank]).max()
                    worst[name] = max(worst[name], float(off))
                full = np.zeros(expected.shape[1:], bool)
                full[event.boxes[k].slices] = event.mask(k)
                union = np.count_nonzero(full | expected[rank])
                off = np.count_nonzero(full ^ expected[rank]) / max(union, 1)
                worst["mask"] = max(worst["mask"], off)
        elif isinstance(event, RunDone):
            for entry in event.result.report:
                if entry.id in ids:
                    rank = order.index(entry.id)
                    for name, value, key in (
                        ("uncertainty", entry.uncertainty, "uncertainty_mean"),
                        ("share", entry.undecided_share, "uncertainty_undecided_share"),
                    ):
                        worst[name] = max(worst[name], abs(value - coins[key][rank]))
    return worst


def check(worst: dict[str, float]) -> None:
    for name, allowed in (
        ("probability", 2e-3),
        ("fine", 1e-3),
        ("mask", 1e-3),
        ("uncertainty", 1e-3),
        ("share", 5e-3),
    ):
        golden.check(f"instance_coins: final {name}", worst[name], 0, allowed)


def test_some_objects_come_out_as_published(coins: Golden) -> None:
    check(run(coins, [2, 9, 17]))


@pytest.mark.slow
def test_all_objects_come_out_as_published(coins: Golden) -> None:
    check(run(coins, coins["order_of_output"][:24].tolist()))


@pytest.mark.gpu
def test_a_gpu_gives_the_published_results_too(coins: Golden) -> None:
    check(run(coins, coins["order_of_output"][:24].tolist(), device="cuda"))


def test_fewer_published_steps_cut_the_chain_off(coins: Golden) -> None:
    card = ModelCard("reduced", "", "", golden.REDUCED, normalisation="imagenet")
    model = Model(golden.formula_network(golden.REDUCED), card)

    def visited(preset: Any) -> list[int]:
        options = RefineOptions(
            preset=preset, grid=64, steps=3, ids=(2,), windows=False, device="cpu"
        )
        events = Refiner(model, options).steps(coins["image"], coins["coarse_labels"])
        return [event.index for event in events if isinstance(event, StepDone)]

    assert visited("published") == [5, 4, 3]
    assert visited("default") == [5, 3, 0]
