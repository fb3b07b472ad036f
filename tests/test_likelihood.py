"""The likelihood maps: positive on what looks like the inside, whatever the colours."""

from __future__ import annotations

import pytest
import torch

from napari_segrefiner.likelihood import likelihood_maps

SIDE = 48
COLOURS = [(0.9, 0.9, 0.9), (0.1, 0.4, 0.4), (0.4, 0.1, 0.7)]


def square() -> tuple[torch.Tensor, torch.Tensor]:
    """A square object, and a coarse mask of it that is shifted by 4 px."""
    truth = torch.zeros(1, 1, SIDE, SIDE)
    truth[..., 12:36, 12:36] = 1
    return truth, truth.roll((4, 4), (2, 3))


def paint(truth: torch.Tensor, colour: tuple[float, float, float]) -> torch.Tensor:
    """The object in one colour on grey, with a little noise."""
    generator = torch.Generator().manual_seed(1)
    inside = torch.tensor(colour)[None, :, None, None]
    image = 0.4 * (1 - truth) + inside * truth
    return image + 0.01 * torch.randn(image.shape, generator=generator)


def agreement(likelihood: torch.Tensor, truth: torch.Tensor) -> float:
    """Share of pixels where the sign of the map is right."""
    return float(((likelihood > 0).float() == truth).float().mean())


@pytest.mark.parametrize("colour", COLOURS)
def test_the_window_map_is_positive_exactly_on_the_coloured_object(colour):
    truth, mask = square()
    maps = likelihood_maps(paint(truth, colour), mask, is_local=False)
    assert maps.shape == (1, 1, SIDE, SIDE)
    assert agreement(maps, truth) > 0.98


@pytest.mark.parametrize("colour", COLOURS)
def test_the_local_map_is_positive_on_the_coloured_object(colour):
    truth, mask = square()
    maps = likelihood_maps(paint(truth, colour), mask, is_local=True)
    assert agreement(maps[:, 1:], truth) > 0.9


def test_the_local_map_tells_two_coloured_objects_from_two_coloured_grounds():
    truth, mask = square()
    left = torch.arange(SIDE) < SIDE // 2
    # The left half of the object has the colour of the right half of the ground.
    value = torch.where(left, truth, 1 - truth)
    image = value.expand(1, 3, SIDE, SIDE).clone()
    near = (torch.arange(SIDE) - SIDE // 2).abs() >= 6  # away from the change itself
    window, local = likelihood_maps(image, mask, is_local=True)[0]
    assert agreement(window[:, near], truth[0, 0][:, near]) < 0.75
    assert agreement(local[:, near], truth[0, 0][:, near]) > 0.9


@pytest.mark.parametrize("is_local", [False, True])
def test_gain_and_offset_do_not_matter(is_local):
    truth, mask = square()
    image = paint(truth, (0.9, 0.2, 0.5))
    torch.testing.assert_close(
        likelihood_maps(image * 3.0 - 7.0, mask, is_local=is_local),
        likelihood_maps(image, mask, is_local=is_local),
        atol=5e-3,
        rtol=0,
    )


@pytest.mark.parametrize("filled", [0.0, 1.0])
def test_masks_without_outside_or_inside_give_finite_maps(filled):
    truth, _ = square()
    mask = torch.full_like(truth, filled)
    maps = likelihood_maps(paint(truth, (0.9, 0.2, 0.5)), mask, is_local=True)
    assert torch.isfinite(maps).all()


def test_a_flat_picture_says_nothing_about_any_pixel():
    _, mask = square()
    flat = torch.full((1, 3, SIDE, SIDE), 0.3)
    maps = likelihood_maps(flat, mask, is_local=True)
    assert torch.isfinite(maps).all()
    assert float(maps.std(dim=(2, 3)).max()) < 1e-6
