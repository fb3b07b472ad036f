"""Colours change, shape and range stay."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from napari_segrefiner.training import augment as aug
from napari_segrefiner.training.augment import AugmentOptions, augment


@pytest.fixture
def image() -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(0)
    smooth = rng.random((3, 8, 8), dtype=np.float32).repeat(4, 1).repeat(4, 2)
    return np.ascontiguousarray(0.1 + 0.8 * smooth)


def _only(**chances: float) -> AugmentOptions:
    zero = {item.name: 0.0 for item in dataclasses.fields(AugmentOptions)}
    return AugmentOptions(**{**zero, **chances})


NAMES = [item.name for item in dataclasses.fields(AugmentOptions)]


@pytest.mark.parametrize("name", NAMES)
def test_each_change_alone_keeps_shape_range_and_input(
    name: str, image: npt.NDArray[np.float32]
) -> None:
    before = image.copy()
    changed = [
        augment(np.random.default_rng(i), image, _only(**{name: 1.0}))
        for i in range(10)
    ]
    assert np.array_equal(image, before)
    for one in changed:
        assert one.shape == image.shape
        assert one.dtype == np.float32
        assert one.min() >= 0
        assert one.max() <= 1
    assert any(np.abs(one - image).max() > 0.01 for one in changed)


def test_without_changes_the_image_is_the_same(image: npt.NDArray[np.float32]) -> None:
    assert np.array_equal(augment(np.random.default_rng(0), image, _only()), image)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_picture_of_one_colour_is_not_grey(
    channel: int, image: npt.NDArray[np.float32]
) -> None:
    single = np.zeros_like(image)
    single[channel] = image[channel]
    filtered = aug.filter_at_random(np.random.default_rng(0), single)
    spread = filtered.std(axis=(1, 2))
    # The filter keeps the contrast of the whole: none where it sees no picture.
    assert spread.max() > 0.05
    gained = aug.change_gain(np.random.default_rng(0), single)
    offsets = [gained[c].min() for c in range(3) if c != channel]
    assert offsets[0] != offsets[1]
    noisy = aug.add_noise(np.random.default_rng(1), single)
    assert not np.array_equal(noisy[(channel + 1) % 3], noisy[(channel + 2) % 3])


@pytest.mark.parametrize(
    "name", ["gamma", "gain", "inversion", "noise", "blur", "random_filter"]
)
def test_grey_stays_grey(name: str, image: npt.NDArray[np.float32]) -> None:
    for i in range(5):
        rng = np.random.default_rng(i)
        grey = augment(rng, image, _only(grey=1, **{name: 1.0}))
        assert np.array_equal(grey[0], grey[1])
        assert np.array_equal(grey[0], grey[2])


def test_a_permutation_only_swaps_channels(image: npt.NDArray[np.float32]) -> None:
    swapped = augment(np.random.default_rng(1), image, _only(permutation=1))
    assert sorted(c.sum() for c in swapped) == sorted(c.sum() for c in image)


def test_an_inversion_twice_is_nothing(image: npt.NDArray[np.float32]) -> None:
    rng = np.random.default_rng(0)
    twice = aug.invert(rng, aug.invert(rng, image))
    assert np.abs(twice - image).max() < 1e-6


def _bar() -> npt.NDArray[np.float32]:
    """A bright bar, 12 px wide, in the middle of 64 columns."""
    image = np.full((3, 64, 64), 0.3, np.float32)
    image[:, :, 26:38] = 0.7
    return image


def test_random_filters_show_a_symmetric_thing_symmetrically() -> None:
    image, n_odd = _bar(), 0
    for i in range(60):
        shown = aug.filter_at_random(np.random.default_rng(i), image) - image
        shown -= shown.mean(axis=(1, 2), keepdims=True)
        turned = shown[:, ::-1, ::-1]
        # Even filters keep every edge's place; relief is the opposite on either side.
        # Both are mixed with the picture, which is symmetric itself.
        odd = np.abs(shown - turned).max()
        n_odd += odd > 0.01
        if odd > 0.01:
            mixed = (shown + turned) / 2
            inner = mixed[0, 32, 20:44]
            assert np.corrcoef(inner, image[0, 32, 20:44])[0, 1] == pytest.approx(-1)
    assert 3 <= n_odd <= 25


def test_random_filters_keep_the_mean_and_at_most_the_contrast() -> None:
    rng = np.random.default_rng(5)
    image = rng.random((3, 32, 32), dtype=np.float32)
    for i in range(20):
        shown = aug.filter_at_random(np.random.default_rng(i), image)
        assert np.allclose(shown.mean(axis=(1, 2)), image.mean(axis=(1, 2)), atol=1e-4)
        assert shown.std() < 1.01 * image.std()
        assert np.abs(shown - image).max() > 0.01


def test_a_change_that_would_leave_no_contrast_is_dropped(
    image: npt.NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aug, "change_gain", lambda _, image: image * 0.1)
    changed = augment(np.random.default_rng(0), image, _only(gain=1))
    assert np.array_equal(changed, image)


def test_every_change_happens_as_often_as_its_probability(
    image: npt.NDArray[np.float32],
) -> None:
    changed = [
        np.abs(augment(np.random.default_rng(i), image, _only(inversion=0.3)) - image)
        for i in range(300)
    ]
    assert 60 <= sum(one.max() > 0.01 for one in changed) <= 120
