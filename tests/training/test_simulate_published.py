"""The published simulator: its parts exactly, its masks by their statistics."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from napari_segrefiner.training.simulate_published import (
    _dilate,
    ellipse_kernel,
    simulate_published,
    trace_contours,
)
from tests import golden

Mask = npt.NDArray[np.bool_]


def _disc(shape: tuple[int, int], y: int, x: int, radius: int) -> Mask:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    mask: Mask = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    return mask


def _star() -> Mask:
    k = np.arange(10)
    reach = np.where(k % 2 == 0, 100, 40)
    x = 128 + reach * np.sin(np.pi * k / 5)
    y = 128 - reach * np.cos(np.pi * k / 5)
    rows, columns = np.mgrid[:256, :256]
    mask = np.zeros((256, 256), bool)
    for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
        crosses = (y0 > rows) != (y1 > rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            mask ^= crosses & (columns < (x1 - x0) * (rows - y0) / (y1 - y0) + x0)
    return mask


def _bar() -> Mask:
    mask = np.zeros((256, 256), bool)
    mask[120:132, 20:236] = True
    return mask


SHAPES: dict[str, Callable[[], Mask]] = {
    "disk_r60_256": lambda: _disc((256, 256), 128, 120, 60),
    "disk_r20_256": lambda: _disc((256, 256), 100, 150, 20),
    "disk_r10_256": lambda: _disc((256, 256), 60, 60, 10),
    "disk_r100_480x640": lambda: _disc((480, 640), 240, 300, 100),
    "disk_r20_480x640": lambda: _disc((480, 640), 240, 300, 20),
    "ring_r80_r40_256": lambda: (
        _disc((256, 256), 128, 128, 80) & ~_disc((256, 256), 128, 128, 40)
    ),
    "star5_256": _star,
    "bar_12x216_256": _bar,
    "disk_r5_64": lambda: _disc((64, 64), 32, 32, 5),
}
#: Draws per shape in the quick run: the tolerance follows from the number.
FEW = {"disk_r5_64": 500, "disk_r10_256": 60, "bar_12x216_256": 60}


def _iou(first: Mask, second: Mask) -> float:
    return float((first & second).sum() / max((first | second).sum(), 1))


def _check_statistics(data_folder: Path, name: str, n: int) -> None:
    stored = json.loads((data_folder / "simulator.json").read_text())["results"][name]
    fine = SHAPES[name]()
    assert fine.shape == tuple(stored["shape"])
    assert int(fine.sum()) == stored["area"]
    rng = np.random.default_rng(1)
    drawn: dict[str, list[float]] = {
        "iou_with_truth": [],
        "iou_after_polygon_stage": [],
        "area_ratio": [],
    }
    for _ in range(n):
        made = simulate_published(rng, fine)
        drawn["iou_with_truth"].append(_iou(made.mask, fine))
        drawn["iou_after_polygon_stage"].append(_iou(made.thinned, fine))
        drawn["area_ratio"].append(made.mask.sum() / fine.sum())
    for key, values in drawn.items():
        reference = stored[key]
        variance = np.var(values) / n + reference["std"] ** 2 / stored["draws"]
        errors = (np.mean(values) - reference["mean"]) / np.sqrt(variance)
        golden.check(f"simulator: mean {key}, standard errors", errors, 0, 4)
        if n >= 500 and key != "area_ratio":  # its two heaps make quartiles jump
            tolerance = 0.02 if stored["area"] >= 1500 else 0.05
            for share in (25, 50, 75):
                found = np.percentile(values, share)
                assert abs(found - reference[f"q{share}"]) <= tolerance, (key, share)


@pytest.mark.parametrize("name", sorted(FEW))
def test_masks_have_the_published_statistics(data_folder: Path, name: str) -> None:
    _check_statistics(data_folder, name, FEW[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_many_masks_have_the_published_statistics(data_folder: Path, name: str) -> None:
    _check_statistics(data_folder, name, 500)


def test_contours_run_along_all_borders_pixel_by_pixel() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        mask = ndimage.gaussian_filter(rng.random((40, 50)), 1 + seed % 3) > 0.5
        contours = trace_contours(mask)
        _, n_pieces = ndimage.label(mask, np.ones((3, 3)))
        _, n_holes = ndimage.label(np.pad(~mask, 1, constant_values=True))
        assert len(contours) == n_pieces + n_holes - 1
        on_border = np.zeros_like(mask)
        for contour in contours:
            on_border[contour[:, 0], contour[:, 1]] = True
            steps = np.abs(np.roll(contour, -1, axis=0) - contour).max(axis=1)
            assert (steps == 1).all() or len(contour) == 1
        inner = ndimage.binary_erosion(mask, border_value=0)  # 4 neighbours
        assert np.array_equal(on_border, mask & ~inner)


def test_a_ring_has_two_contours_and_keeps_its_hole() -> None:
    ring = SHAPES["ring_r80_r40_256"]()
    outer, inner = trace_contours(ring)
    assert len(outer) > 400
    assert 200 < len(inner) < 300
    made = simulate_published(np.random.default_rng(0), ring)
    assert not made.thinned[128, 128]
    assert made.thinned[128, 128 + 60]


@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 9])
@pytest.mark.parametrize("height", [1, 2, 3, 5, 8])
def test_dilation_takes_the_largest_value_under_the_kernel(
    width: int, height: int
) -> None:
    content = np.random.default_rng(0).random((21, 17)) < 0.04
    kernel = ellipse_kernel(width, height)
    expected = np.zeros_like(content)
    for y, x in np.ndindex(content.shape):
        for ky, kx in np.argwhere(kernel):
            sy, sx = y + ky - height // 2, x + kx - width // 2
            if 0 <= sy < 21 and 0 <= sx < 17:
                expected[y, x] |= content[sy, sx]
    assert np.array_equal(_dilate(content, kernel), expected)


def test_elliptic_kernels_are_the_library_s() -> None:
    five = ["00100", "11111", "11111", "11111", "00100"]
    assert ["".join(map(str, row)) for row in ellipse_kernel(5, 5).astype(int)] == five
    assert ellipse_kernel(4, 1).sum() == 1
    assert ellipse_kernel(1, 4).shape == (4, 1)


@pytest.mark.parametrize("shape", [(2, 30), (30, 1), (20, 20)])
def test_tiny_images_and_objects_are_returned_without_thinning(
    shape: tuple[int, int],
) -> None:
    fine = np.zeros(shape, bool)
    fine[0, 0] = True
    made = simulate_published(np.random.default_rng(0), fine)
    assert np.array_equal(made.thinned, fine)
    assert made.mask.shape == shape
    if min(shape) <= 2:
        assert np.array_equal(made.mask, fine)
        assert made.rounds == 0
