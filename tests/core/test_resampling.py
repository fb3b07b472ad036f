"""Onto the grid and back: exact means, mirrored borders, and no change by itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_segrefiner.core import resampling
from napari_segrefiner.core.crops import Crop, CropRule
from napari_segrefiner.core.resampling import (
    area_weights,
    bilinear_weights,
    from_grid,
    mask_on_grid,
    to_grid,
    transfer,
)
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.picture import open_picture
from tests.core.stubs import disk

RNG = np.random.default_rng(2)


@pytest.mark.parametrize(("n_in", "n_out"), [(5, 5), (7, 3), (9, 1), (300, 128)])
def test_area_means_share_every_pixel_out_completely(n_in: int, n_out: int) -> None:
    weights = area_weights(n_in, n_out)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights.sum(axis=0), n_out / n_in)


@pytest.mark.parametrize(("n_in", "n_out"), [(5, 5), (3, 7), (1, 9), (9, 4)])
def test_bilinear_weights_keep_constants_and_ramps(n_in: int, n_out: int) -> None:
    weights = bilinear_weights(n_in, n_out)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    centres = (np.arange(n_out) + 0.5) * n_in / n_out - 0.5
    np.testing.assert_allclose(
        weights @ np.arange(n_in), np.clip(centres, 0, n_in - 1), atol=1e-12
    )


@pytest.mark.parametrize("box", [Box(-7, 20, 57, 84), Box(-10, -10, 54, 54)])
def test_beyond_the_border_the_image_is_mirrored(box: Box) -> None:
    image = RNG.integers(0, 256, (50, 60), dtype=np.uint8)
    picture = open_picture(image, image.shape)
    crop = Crop(box, box.clip(image.shape), 64)
    padded = np.pad(image, 64, mode="symmetric")
    expected = padded[box.shift(64, 64).slices] / 255
    np.testing.assert_allclose(to_grid(picture.read, crop)[0], expected, atol=1e-6)


def test_an_image_smaller_than_the_crop_is_mirrored_again_and_again() -> None:
    image = np.array([[0, 255]], np.uint8)
    crop = Crop(Box(-2, -3, 4, 3), Box(0, 0, 1, 2), 6)
    shown = to_grid(open_picture(image, image.shape).read, crop)[0]
    np.testing.assert_allclose(shown, np.tile([1, 1, 0, 0, 1, 1], (6, 1)), atol=1e-6)


def test_a_crop_is_reduced_to_exact_means_strip_by_strip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = RNG.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    picture = open_picture(image, image.shape[:2])
    box = Box(0, 0, 128, 128)
    expected = image.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3)).transpose(2, 0, 1) / 255
    for rows in (1000, 13):
        monkeypatch.setattr(resampling, "STRIP_ROWS", rows)
        got = to_grid(picture.read, Crop(box, box, 32))
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_values_come_back_to_the_pixels_they_were_taken_from() -> None:
    image = np.zeros((300, 300), np.uint8)
    ramp = np.linspace(0, 255, 300).astype(np.uint8)
    image[:] = ramp
    picture = open_picture(image, image.shape)
    for box in (Box(20, 30, 70, 80), Box(-9, 5, 241, 255), Box(50, 200, 178, 328)):
        crop = Crop(box, box.clip(image.shape), 64)
        shown = to_grid(picture.read, crop)[0]
        back = from_grid(shown, crop)
        assert back.shape == crop.inside.shape
        inner = slice(8, -8)  # the mirrored border bends the ramp
        expected = image[crop.inside.slices] / 255
        np.testing.assert_allclose(back[:, inner], expected[:, inner], atol=0.02)


SIZES = [1, 2, 3, 5, 8, 13, 20, 31, 37, 40, 55, 72, 75, 90, 130, 257, 600]


@pytest.mark.parametrize("side", SIZES)
@pytest.mark.parametrize("corner", [(0, 0), (301, 203)])
@pytest.mark.parametrize("aspect", [1.0, 0.1])
def test_an_answer_that_repeats_what_was_seen_changes_no_pixel(
    side: int, corner: tuple[int, int], aspect: float
) -> None:
    shape = (700, 900)
    box = Box(*corner, corner[0] + max(1, int(side * aspect)), corner[1] + side)
    box = box.clip(shape)
    crop = CropRule(padding=0.35, min_padding=2).plan(box, shape)
    mask = np.zeros(shape, bool)
    mask[box.slices] = RNG.random(box.shape) < 0.7
    mask[box.y0, box.x0] = True
    coarse = mask[crop.inside.slices]
    seen = mask_on_grid(coarse, crop)
    sure = 1 / (1 + np.exp(20 - 40 * seen.astype(np.float32)))
    got, values = transfer(sure, seen, coarse, crop)
    np.testing.assert_array_equal(got, coarse)
    assert values.shape == coarse.shape


def test_only_what_the_answer_changes_is_carried_over() -> None:
    shape = (600, 600)
    mask = disk(shape, 300, 300, 120)
    mask[150:450:7] ^= True  # lines that the reduced grid cannot show
    crop = CropRule(padding=0.35, min_padding=2).plan(Box(150, 180, 450, 421), shape)
    coarse = mask[crop.inside.slices]
    seen = mask_on_grid(coarse, crop)
    answer = seen.astype(np.float32)
    answer[:40] = 0
    got, _ = transfer(answer, seen, coarse, crop)
    top = int(40 * crop.box.height / crop.grid)
    was_seen = from_grid(seen.astype(np.float32), crop) >= 0.5
    assert was_seen[: top - 3].any()
    assert not (got & was_seen)[: top - 3].any()
    np.testing.assert_array_equal(got[top + 5 :], coarse[top + 5 :])


@pytest.mark.parametrize("radius", [90, 140])
def test_a_boundary_that_moves_leaves_no_crumbs_and_no_pinholes(radius: int) -> None:
    shape = (600, 600)
    rough = RNG.random(shape) < 0.5
    mask = np.where(rough, disk(shape, 300, 300, 117), disk(shape, 300, 300, 121))
    crop = CropRule(padding=0.35, min_padding=2).plan(Box(180, 180, 421, 421), shape)
    coarse = mask[crop.inside.slices]
    assert ndimage.label(coarse)[1] + ndimage.label(~coarse)[1] > 30
    seen = mask_on_grid(coarse, crop)
    answer = mask_on_grid(disk(shape, 300, 300, radius)[crop.inside.slices], crop)
    got, _ = transfer(answer.astype(np.float32), seen, coarse, crop)
    assert ndimage.label(got)[1] == 1
    assert ndimage.label(~got)[1] == 1


def test_matrices_of_large_crops_are_not_kept_in_memory() -> None:
    def show(side: int) -> None:
        square = Box(0, 0, side, side)
        resampling.from_grid(np.zeros((16, 16), np.float32), Crop(square, square, 16))

    resampling._kept.cache_clear()
    show(resampling.LONGEST_KEPT)
    assert resampling._kept.cache_info().currsize == 1  # of rows and columns alike
    show(resampling.LONGEST_KEPT + 1)
    assert resampling._kept.cache_info().currsize == 1
