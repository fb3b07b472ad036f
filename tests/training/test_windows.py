"""Windows show what is there: pixels, turns, scales and borders."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from napari_segrefiner.io.pairs import Pair
from napari_segrefiner.training.pictures import Picture, picture_of
from napari_segrefiner.training.windows import (
    Window,
    WindowOptions,
    draw_window,
    warp_mask,
    warp_window,
)

SIDE = 32


def _picture(
    labels: npt.NDArray[np.uint8], image: npt.NDArray[np.uint8] | None = None
) -> Picture:
    if image is None:
        image = np.repeat((255 * (labels == 1))[..., None], 3, axis=-1).astype(np.uint8)
    picture = picture_of(Pair("a", "a", image, labels, (np.roll(labels, 2, axis=1),)))
    assert picture is not None
    return picture


def _disc(size: int, radius: float, label: int = 1) -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[:size, :size] + 0.5
    inside = (y - size / 2) ** 2 + (x - size / 2) ** 2 < radius**2
    return (label * inside).astype(np.uint8)


@pytest.fixture
def random_picture() -> Picture:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (96, 96, 3)).astype(np.uint8)
    labels = np.zeros((96, 96), np.uint8)
    labels[30:50, 40:70], labels[52:60, 40:70] = 1, 2
    return _picture(labels, image)


def test_an_unturned_window_at_scale_1_is_the_crop(random_picture: Picture) -> None:
    image, fine, others, coarse = warp_window(
        random_picture, Window(48, 50, 1.0), SIDE, 1, 0
    )
    crop = slice(32, 64), slice(34, 66)
    expected = random_picture.levels[0][crop].transpose(2, 0, 1) / np.float32(255)
    assert np.array_equal(image, expected)
    assert np.array_equal(fine, random_picture.labels[crop] == 1)
    assert np.array_equal(others, random_picture.labels[crop] == 2)
    assert coarse is not None
    assert np.array_equal(coarse, random_picture.coarse[0][crop] == 1)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_right_angles_and_flips_only_move_pixels(
    random_picture: Picture, turns: int, mirrored: bool
) -> None:
    plain, fine, _, _ = warp_window(random_picture, Window(48, 50, 1.0), SIDE, 1)
    window = Window(48, 50, 1.0, turns * np.pi / 2, mirrored)
    image, turned, _, _ = warp_window(random_picture, window, SIDE, 1)
    expected = np.rot90(plain, turns, axes=(1, 2))
    expected_fine = np.rot90(fine, turns)
    if mirrored:
        expected, expected_fine = expected[..., ::-1], expected_fine[:, ::-1]
    assert np.abs(image - expected).max() < 1.5 / 255
    assert np.array_equal(turned, expected_fine)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_reduced_window_shows_means_of_blocks(
    random_picture: Picture, scale: int
) -> None:
    side = 16
    image, _, _, _ = warp_window(random_picture, Window(48, 48, scale), side, 1)
    low, high = 48 - 8 * scale, 48 + 8 * scale
    crop = random_picture.levels[0][low:high, low:high].astype(float)
    blocks = crop.reshape(side, scale, side, scale, 3).mean(axis=(1, 3))
    assert np.abs(image - blocks.transpose(2, 0, 1) / 255).max() < 3 / 255


@pytest.mark.parametrize("scale", [0.4, 0.7, 1.0, 1.3, 2.9, 5.0])
def test_picture_and_mask_stay_together(scale: float) -> None:
    # The picture shows the object alone, so that it can be compared with the mask.
    picture = _picture(_disc(512, 20 * scale))
    for angle in (0.0, 0.6, 2.0):
        window = Window(256 + 3 * scale, 256 - 2 * scale, scale, angle, True)
        image, fine, _, _ = warp_window(picture, window, 64, 1)
        assert np.mean((image[0] >= 0.5) != fine) < 0.01
        assert np.count_nonzero(fine) == pytest.approx(np.pi * 20**2, rel=0.05)


@pytest.mark.parametrize("direction", [0.0, 0.7, np.pi / 2])
def test_a_stretched_window_shows_a_disc_as_an_ellipse_of_its_area(
    direction: float,
) -> None:
    picture, side, stretch = _picture(_disc(160, 40)), 96, 0.3
    window = Window(80, 80, 1.25, stretch=stretch, direction=direction)
    image, fine, *_ = warp_window(picture, window, side, 1)
    assert np.mean((image[0] > 0.5) != fine) < 0.002  # picture and mask alike
    radius = 40 / 1.25
    assert fine.sum() == pytest.approx(np.pi * radius**2, rel=0.01)
    y, x = np.argwhere(fine).T - (side - 1) / 2
    along = x * np.cos(direction) + y * np.sin(direction)
    across = y * np.cos(direction) - x * np.sin(direction)
    # More of the picture is seen along the direction: what is there looks shorter.
    assert np.abs(along).max() == pytest.approx(radius * np.exp(-stretch), abs=1)
    assert np.abs(across).max() == pytest.approx(radius * np.exp(stretch), abs=1)


def test_half_of_the_windows_are_stretched_and_none_too_far() -> None:
    picture = _picture(_disc(60, 20))
    rng = np.random.default_rng(5)

    def stretches(options: WindowOptions) -> npt.NDArray[np.float64]:
        drawn = [
            draw_window(rng, picture, picture.things[0], SIDE, options)
            for _ in range(800)
        ]
        return np.array([window.stretch for window in drawn])

    found = stretches(WindowOptions())
    assert np.mean(found > 0) == pytest.approx(0.5, abs=0.05)
    assert found.max() == 0.5
    assert np.median(found[found > 0]) == pytest.approx(0.17, abs=0.03)
    assert not stretches(WindowOptions(stretched=0)).any()


def test_beyond_the_border_picture_and_masks_are_mirrored() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[:6, 10:30] = 1
    image, fine, _, _ = warp_window(_picture(labels), Window(0, 20, 1.0), SIDE, 1)
    assert np.array_equal(fine, fine[::-1])
    assert np.array_equal(image, image[:, ::-1])
    assert np.count_nonzero(fine) == 2 * 6 * 20


def test_windows_of_small_objects_show_all_of_them() -> None:
    picture = _picture(_disc(200, 9))
    (thing,) = picture.things
    for i in range(60):
        rng = np.random.default_rng(i)
        window = draw_window(rng, picture, thing, 64, WindowOptions())
        assert not window.is_patch
        assert 1 / 2.5 <= window.scale <= 1.25
        _, fine, _, _ = warp_window(picture, window, 64, 1)
        area = np.pi * 9**2 / window.scale**2
        assert np.count_nonzero(fine) == pytest.approx(area, rel=0.08)


def test_large_objects_are_shown_whole_or_along_their_boundary() -> None:
    picture = _picture(_disc(400, 150))
    (thing,) = picture.things
    windows = [
        draw_window(np.random.default_rng(i), picture, thing, 64, WindowOptions())
        for i in range(200)
    ]
    patches = [window for window in windows if window.is_patch]
    assert 85 <= len(patches) <= 135  # 55 %
    for window in patches:
        away = np.hypot(window.y - 200, window.x - 200)
        assert abs(away - 150) < 25 * window.scale
        assert window.scale >= 1 / 1.4 - 1e-6
    for window in set(windows) - set(patches):
        assert window.scale * 64 >= 1.2 * 300


def test_with_a_coarse_mask_half_of_the_patches_lie_on_its_boundary() -> None:
    labels = _disc(400, 100)
    image = np.zeros((400, 400, 3), np.uint8)
    picture = picture_of(Pair("a", "a", image, labels, (_disc(400, 150),)))
    assert picture is not None
    options = WindowOptions(patch=1, patch_jitter=0)
    away = []
    for i in range(100):
        rng = np.random.default_rng(i)
        window = draw_window(rng, picture, picture.things[0], 64, options, 0)
        away.append(np.hypot(window.y - 200, window.x - 200))
    on_fine = np.abs(np.array(away) - 100) < 2
    on_coarse = np.abs(np.array(away) - 150) < 2
    assert (on_fine | on_coarse).all()
    assert 30 <= np.count_nonzero(on_coarse) <= 70


@pytest.mark.parametrize("radius", [5.0, 12.0, 20.0])
def test_a_stored_mask_is_shown_at_the_asked_radius_and_place(radius: float) -> None:
    mask = _disc(70, 30).astype(bool)
    shown = warp_mask(mask, radius, 64, Window(30.0, 34.0, 1.0, 0.7, True))
    assert shown.sum() == pytest.approx(np.pi * radius**2, rel=0.05)
    y, x = np.mgrid[:64, :64] + 0.5
    assert (shown * y).sum() / shown.sum() == pytest.approx(30, abs=0.3)
    assert (shown * x).sum() / shown.sum() == pytest.approx(34, abs=0.3)


def test_objects_of_a_few_pixels_are_not_drawn() -> None:
    labels = np.zeros((50, 50), np.uint8)
    labels[10:13, 10:13] = 1
    image = np.zeros((50, 50, 3), np.uint8)
    assert picture_of(Pair("a", "a", image, labels)) is None
    labels[30:35, 30:35] = 3
    picture = picture_of(Pair("a", "a", image, labels))
    assert picture is not None
    assert [(thing.label, thing.area) for thing in picture.things] == [(3, 25)]
