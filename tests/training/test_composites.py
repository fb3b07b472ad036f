"""Made-up pictures: their truth is exact, and they are of many kinds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from napari_segrefiner.io.pairs import Pair
from napari_segrefiner.training import shapes as shapes_module
from napari_segrefiner.training.composites import Composer, CompositeOptions
from napari_segrefiner.training.fields import blur, random_field
from napari_segrefiner.training.optics import double, halve
from napari_segrefiner.training.pictures import Picture, picture_of
from napari_segrefiner.training.shapes import ShapeMaker, label_shape
from napari_segrefiner.training.textures import KINDS, Look, draw_look, paint
from napari_segrefiner.training.tissue import draw_tissue

SIDE = 64
RULES = (
    "fourier_star",
    "ellipse",
    "rod",
    "corner_polygon",
    "amoeba",
    "branching",
    "curved_worm",
    "crescent",
    "bunch",
)


@pytest.fixture(scope="module")
def picture() -> Picture:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:80, :90]
    labels = ((y - 40) ** 2 + (x - 40) ** 2 < 400).astype(np.uint8)
    image = rng.integers(0, 120, (80, 90, 3)).astype(np.uint8)
    image[labels == 1] += 100
    made = picture_of(Pair("a", "a", image, labels))
    assert made is not None
    return made


@pytest.fixture(scope="module")
def composer(picture: Picture) -> Composer:
    shape = label_shape(picture, picture.things[0])
    return Composer([[picture]], ShapeMaker([[shape]]), SIDE)


def _only(**values: Any) -> CompositeOptions:
    zero = {
        item.name: 0.0
        for item in dataclasses.fields(CompositeOptions)
        if isinstance(item.default, float)
    }
    return CompositeOptions(**{**zero, **values})


def test_composites_are_sound(composer: Composer) -> None:
    patches = 0
    for i in range(150):
        made = composer.draw(np.random.default_rng(i))
        assert made.image.shape == (3, SIDE, SIDE)
        assert made.image.dtype == np.float32
        assert np.isfinite(made.image).all()
        assert made.image.min() >= 0
        assert made.image.max() <= 1
        assert made.fine.any()
        assert not made.fine.all()
        assert not (made.fine & made.others).any()
        patches += made.is_patch
    assert 10 <= patches <= 50


def test_the_same_generator_gives_the_same_composite(composer: Composer) -> None:
    for i in range(20):
        first, second = (composer.draw(np.random.default_rng(i)) for _ in range(2))
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.fine, second.fine)


class _BlackAndWhite(Composer):
    """Paints the ground black, and the object and what is like it white."""

    def _ground(self, rng: np.random.Generator) -> Any:
        return super()._ground(rng)[0], np.zeros((3, self.side, self.side), np.float32)

    def _paint(self, rng: np.random.Generator, look: Look) -> Any:
        return np.ones((3, self.side, self.side), np.float32)


@pytest.mark.parametrize("beyond", [0.0, 1.0])
def test_the_masks_are_where_the_bodies_are(beyond: float) -> None:
    options = _only(same_look=1.0, beyond_window=beyond, soft_edge=(1e-3, 1e-3))
    composer = _BlackAndWhite([], ShapeMaker([]), SIDE, options)
    with_neighbours = 0
    for i in range(60):
        made = composer.draw(np.random.default_rng(i))
        drawn = made.image[0] > 0.5
        assert np.mean(drawn != (made.fine | made.others)) < 0.02
        with_neighbours += made.others.any()
    assert with_neighbours > 15


def test_a_pasted_object_lies_where_its_mask_says(picture: Picture) -> None:
    options = _only(pasted=1.0)
    composer = Composer([[picture]], ShapeMaker([]), SIDE, options)
    areas = [
        np.count_nonzero(composer.draw(np.random.default_rng(i)).fine)
        for i in range(20)
    ]
    # Its pixels come from a disc in windows of 1.2 to 2.6 times its size.
    assert 200 < np.median(areas) < SIDE**2 / 2


def test_tiny_objects_are_shown_at_twice_their_size() -> None:
    composer = Composer([], ShapeMaker([]), SIDE, _only(tiny=1.0))
    for i in range(10):
        image = composer.draw(np.random.default_rng(i)).image
        rough = np.abs(np.diff(image, 2, axis=2)).mean()
        again = double(halve(image))
        assert np.abs(again - image).mean() <= rough + 0.02


def test_halving_a_doubled_picture_keeps_a_slope() -> None:
    slope = np.tile(np.arange(8, dtype=np.float32), (8, 1))
    assert np.allclose(halve(double(slope))[:, 1:-1], slope[:, 1:-1])


def test_cells_of_a_tissue_fill_the_window_and_meet() -> None:
    canvas = np.full((3, SIDE, SIDE), 0.5, np.float32)
    colour = np.full(3, 0.5, np.float32)
    filled = 0
    for i in range(30):
        image, fine, others = draw_tissue(
            np.random.default_rng(i), canvas, colour, lambda _: canvas
        )
        assert image.shape == canvas.shape
        assert not (fine & others).any()
        assert others.any()
        filled += (fine | others).all()
    assert filled >= 15


@pytest.mark.parametrize("name", RULES)
def test_shapes_have_about_the_asked_size_and_place(name: str) -> None:
    rule = getattr(shapes_module, name)
    for i in range(10):
        cover = rule(np.random.default_rng(i), 10.0, (30.0, 34.0), SIDE)
        assert cover.shape == (SIDE, SIDE)
        assert cover.min() >= 0
        assert cover.max() <= 1
        radius = np.sqrt(cover.sum() / np.pi)
        assert 2.5 < radius < 21
        y, x = ndimage.center_of_mass(cover)
        assert abs(y - 29.5) < 15
        assert abs(x - 33.5) < 15


def test_an_ellipse_has_the_area_of_its_radius() -> None:
    for i in range(20):
        rng = np.random.default_rng(i)
        cover = shapes_module.ellipse(rng, 10.0, (32.0, 32.0), SIDE)
        # Rounded boxes are larger than ellipses, up to 4 / pi.
        assert 0.97 < cover.sum() / (np.pi * 100) < 4 / np.pi + 0.03


def test_of_several_pieces_the_largest_is_kept() -> None:
    cover = np.zeros((SIDE, SIDE), np.float32)
    cover[2:5, 2:5], cover[10:30, 10:30] = 1, 0.5
    kept = shapes_module.keep_largest(cover)
    assert np.array_equal(kept, np.where(cover == 0.5, cover, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_materials_have_their_colour_and_strength(kind: str, picture: Picture) -> None:
    colour = np.array([0.2, 0.5, 0.7], np.float32)
    look = draw_look(np.random.default_rng(0), colour, 1)
    look = dataclasses.replace(
        look, kind=kind, strength=0.1, tint=np.ones(3, np.float32)
    )
    surface = paint(np.random.default_rng(1), look, [picture], SIDE)
    assert np.allclose(surface.mean(axis=(1, 2)), colour, atol=1e-3)
    spread = surface.std(axis=(1, 2))
    assert spread == pytest.approx(0 if kind == "flat" else 0.1, abs=0.035)


def test_fields_are_standardised_and_blurs_keep_the_mean() -> None:
    field = random_field(np.random.default_rng(0), SIDE)
    assert field.mean() == pytest.approx(0, abs=1e-5)
    assert field.std() == pytest.approx(1, abs=1e-4)
    expected = ndimage.gaussian_filter(field, 1.5)
    assert np.abs(blur(field, 1.5) - expected).max() < 1e-5
    assert np.array_equal(blur(field, 0.0), field)


def test_without_pictures_or_labels_composites_are_drawn_too() -> None:
    composer = Composer([], ShapeMaker([[], []]), SIDE)
    images: list[npt.NDArray[np.float32]] = [
        composer.draw(np.random.default_rng(i)).image for i in range(40)
    ]
    assert len({image.tobytes() for image in images}) == 40
