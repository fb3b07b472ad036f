"""Masks that may overlap: refined each for itself, given back as they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_segrefiner
from napari_segrefiner.core.masks import refine_masks
from napari_segrefiner.core.refiner import refine
from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.io.run_lengths import decode, encode
from tests.core.stubs import bright, disk, everything, nothing, oracle, stub_model

Array = np.ndarray[Any, Any]
SHAPE = (260, 300)


def scene() -> tuple[Array, Array]:
    """A picture, and masks of its bodies: overlapping, large, empty, whole."""
    bodies = [
        disk(SHAPE, 70, 70, 25),
        disk(SHAPE, 70, 95, 25),
        disk(SHAPE, 170, 190, 70),
    ]
    image = np.where(np.any(bodies, axis=0), 200, 40).astype(np.uint8)
    masks = [np.roll(body, (3, -3), (0, 1)) for body in bodies]
    masks += [np.zeros(SHAPE, bool), np.ones(SHAPE, bool)]
    return image, np.stack(masks)


@pytest.mark.parametrize("mode", ["objects", "whole", "auto"])
def test_every_mask_comes_out_as_if_it_were_alone(mode: Any) -> None:
    image, masks = scene()
    model = stub_model(bright)
    result = refine_masks(image, masks, model=model, mode=mode)
    assert result.masks.dtype == np.bool_
    assert result.masks.shape == masks.shape
    for mask, refined in zip(masks, result.masks, strict=True):
        alone = refine(image, mask, model=model, mode=mode)
        np.testing.assert_array_equal(refined, alone.labels)
    assert (result.masks[0] & result.masks[1]).any()
    assert [entry.id for entry in result.report] == [1, 2, 3, 5]
    assert result.record["labels"] == {"shape": [5, *SHAPE], "dtype": "bool"}


@pytest.mark.parametrize("kind", ["plain", "text", "bytes"])
def test_codes_come_back_as_codes_of_the_same_kind(kind: Any) -> None:
    image, masks = scene()
    model = stub_model(bright)
    codes = [encode(mask, kind) for mask in masks]
    result = refine_masks(image, codes, model=model)
    expected = refine_masks(image, masks, model=model).masks
    for code, refined in zip(result.masks, expected, strict=True):
        assert type(code["counts"]) is type(codes[0]["counts"])
        np.testing.assert_array_equal(decode(code), refined)


@pytest.mark.parametrize("labels_are", ["objects", "classes"])
def test_an_identity_network_changes_no_mask(labels_are: Any) -> None:
    image, masks = scene()
    masks = np.concatenate([masks, [np.random.default_rng(0).random(SHAPE) < 0.02]])
    model = stub_model(oracle)
    result = refine_masks(image, masks, model=model, labels_are=labels_are, steps=1)
    np.testing.assert_array_equal(result.masks, masks)


def test_masks_keep_their_type_and_are_not_written_to() -> None:
    image, masks = scene()
    given = masks.astype(np.uint8)
    given.flags.writeable = False
    result = refine_masks(image, given, model=stub_model(bright))
    assert result.masks.dtype == np.uint8
    assert set(np.unique(result.masks)) == {0, 1}


@pytest.mark.parametrize(
    ("dtype", "values"),
    [("u1", (255, 255, 7, 1, 2)), (">u2", (9, 65535, 1, 1, 2)), ("i1", (-1,) * 5)],
)
def test_masks_keep_the_values_that_they_had(
    dtype: str, values: tuple[int, ...]
) -> None:
    image, masks = scene()
    given = masks * np.array(values, dtype)[:, None, None]
    given[0, :72] = np.minimum(given[0, :72], 1)  # of several values the highest counts
    result = refine_masks(image, given, model=stub_model(bright))
    expected = refine_masks(image, given != 0, model=stub_model(bright)).masks
    assert result.masks.dtype == given.dtype
    for refined, mask, value in zip(result.masks, expected, values, strict=True):
        np.testing.assert_array_equal(refined, mask * np.array(value, dtype))


def test_chosen_masks_alone_are_refined() -> None:
    image, masks = scene()
    result = refine_masks(image, masks, model=stub_model(everything), ids=(2,))
    for k in (0, 2, 3, 4):
        np.testing.assert_array_equal(result.masks[k], masks[k])
    assert (result.masks[1] != masks[1]).any()
    statuses = [entry.status for entry in result.report]
    assert statuses == ["skipped", "refined", "skipped", "skipped"]


def test_masks_that_would_vanish_are_kept_and_pinned_pixels_stay() -> None:
    image, masks = scene()
    result = refine_masks(image, masks, model=stub_model(nothing))
    np.testing.assert_array_equal(result.masks, masks)
    assert {entry.status for entry in result.report} == {"kept"}
    pinned = np.random.default_rng(1).random(SHAPE) < 0.1
    result = refine_masks(image, masks, model=stub_model(everything), pinned=pinned)
    np.testing.assert_array_equal(result.masks[:, pinned], masks[:, pinned])


@pytest.mark.parametrize(
    "masks", [np.zeros((0, *SHAPE), bool), [], np.zeros((2, *SHAPE), bool)]
)
def test_nothing_to_do_is_no_failure(masks: Any) -> None:
    for image in (np.zeros(SHAPE), np.zeros((*SHAPE, 3)), np.zeros((3, *SHAPE))):
        result = refine_masks(image, masks, model=stub_model(bright))
        assert len(result.masks) == len(masks)
        assert result.report == ()


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        (np.zeros(SHAPE, bool), "shape"),
        (np.zeros((2, *SHAPE)), "float64"),
        (np.zeros((2, 9, 9), bool), "9 x 9"),
        ([{"size": [9, 9], "counts": [80]}], "mask 0"),
        ([{"size": [9, 9]}], "counts"),
        ([{"size": [10**6, 10**6], "counts": [10**12]}], "more than the image's"),
        ([[1, 2], [3]], "no array"),
        ([encode(np.ones((3, 3), bool)), encode(np.ones((3, 4), bool))], "sizes"),
    ],
)
def test_what_are_no_masks_is_refused_in_one_sentence(masks: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        refine_masks(np.zeros(SHAPE), masks, model=stub_model(bright))


@pytest.mark.parametrize("shape", [(9,), (2, 3, 40, 50)])
def test_without_masks_the_image_must_be_a_plane(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="one plane"):
        refine_masks(np.zeros(shape), [], model=stub_model(bright))


@pytest.mark.parametrize(
    ("shape", "axis", "plane"),
    [
        ((40, 3, 50), "first", (3, 50)),
        ((40, 3, 50), "last", (40, 3)),
        ((40, 3, 50), "auto", (3, 50)),
        ((50, 3, 2), "auto", (50, 3)),
    ],
)
def test_without_masks_the_channel_axis_tells_the_plane(
    shape: tuple[int, ...], axis: Any, plane: tuple[int, int]
) -> None:
    model = stub_model(bright)
    result = refine_masks(np.zeros(shape), [], model=model, channel_axis=axis)
    assert result.record["labels"]["shape"] == [0, *plane]


def test_without_masks_a_missing_channel_axis_is_told() -> None:
    with pytest.raises(InputError, match="channel axis 'none'"):
        refine_masks(np.zeros((9, 9, 3)), [], model=stub_model(), channel_axis="none")


def test_an_image_that_is_no_array_is_told() -> None:
    with pytest.raises(InputError, match="image's values are no array"):
        refine_masks([[1, 2], [3]], np.ones((1, *SHAPE), bool), model=stub_model())


def test_masks_are_not_parts_of_one_object() -> None:
    masks = np.ones((2, *SHAPE), bool)
    with pytest.raises(OptionError, match="each for itself"):
        refine_masks(np.zeros(SHAPE), masks, model=stub_model(), labels_are="parts")


def test_it_is_a_public_name() -> None:
    assert napari_segrefiner.refine_masks is refine_masks
