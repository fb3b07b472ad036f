"""The n-th sample of a seed is always the same, of the sets and kinds asked for."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.io.datasets import find_sets
from napari_segrefiner.io.pairs import Pair
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training.augment import AugmentOptions
from napari_segrefiner.training.samples import SampleOptions, Samples

NO_COLOUR = AugmentOptions(
    **{item.name: 0.0 for item in dataclasses.fields(AugmentOptions)}
)


def _pair(brightness: int, radius: int = 14, size: int = 100) -> Pair:
    """Discs on a flat ground of a given brightness, so that samples show their set."""
    y, x = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.uint8)
    for label, (cy, cx) in enumerate([(30, 30), (70, 65)], 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = label
    image = np.full((size, size, 3), brightness, np.uint8)
    return Pair("a", "a", image, labels, (np.roll(labels, 4, axis=1),))


SETS = [("dark", [_pair(10)]), ("bright", [_pair(240), _pair(240)])]


@pytest.fixture(scope="module")
def samples() -> Samples:
    return Samples(SETS, seed=3)


def test_the_largest_seed_is_taken_and_a_larger_one_refused() -> None:
    largest = TrainOptions(seed=2**63 - 1).seed
    assert Samples(SETS, seed=largest).sample(0)[1].any()
    with pytest.raises(OptionError, match=f"at most {largest} is expected"):
        TrainOptions(seed=largest + 1)


def test_a_sample_depends_on_seed_and_number_alone(samples: Samples) -> None:
    first = [samples.sample(i) for i in range(12)]
    again = [samples.sample(i) for i in reversed(range(12))][::-1]
    copied = pickle.loads(pickle.dumps(samples))
    for i, ((image, fine, coarse), other) in enumerate(zip(first, again, strict=True)):
        for made in (other, copied.sample(i)):
            assert np.array_equal(image, made[0])
            assert np.array_equal(fine, made[1])
            assert np.array_equal(coarse, made[2])
    different = Samples(SETS, seed=4).sample(0)[0]
    assert not np.array_equal(first[0][0], different)
    assert not np.array_equal(first[0][0], first[1][0])


def test_samples_have_the_promised_types(samples: Samples) -> None:
    for image, fine, coarse in map(samples.sample, range(5)):
        assert image.shape == (3, 64, 64)
        assert image.dtype == np.float32
        assert fine.shape == coarse.shape == (64, 64)
        assert fine.dtype == coarse.dtype == bool
        assert image.min() >= 0
        assert image.max() <= 1
        assert fine.any()
        assert coarse.any()


def test_sets_are_drawn_by_weight_not_by_size() -> None:
    options = SampleOptions(composite_share=0, colour=NO_COLOUR)
    brightness = []
    for weights in ({"dark": 1.0, "bright": 3.0}, {"bright": 0.0}, {}):
        made = Samples(SETS, seed=0, weights=weights, options=options)
        brightness.append(np.mean([made.sample(i)[0].mean() for i in range(120)]))
    share = (np.array(brightness) - 10 / 255) / (230 / 255)
    assert share == pytest.approx([0.75, 0, 0.5], abs=0.12)


def test_real_coarse_masks_are_used_as_often_as_asked() -> None:
    for chance in (0.0, 1.0):
        options = SampleOptions(composite_share=0, real_coarse=chance, colour=NO_COLOUR)
        made = Samples(SETS, seed=0, options=options)
        shifts = 0
        for i in range(30):
            _, fine, coarse = made.sample(i)
            # A real one here is the object moved: of its size, and nothing else is.
            same_area = abs(int(fine.sum()) - int(coarse.sum())) < 0.03 * fine.sum()
            shifts += same_area and not np.array_equal(fine, coarse)
        assert (shifts >= 20) == (chance == 1.0)


def test_composites_have_their_share() -> None:
    for share in (0.0, 1.0):
        options = SampleOptions(composite_share=share, colour=NO_COLOUR)
        made = Samples(SETS, seed=0, options=options)
        flat = sum(bool(np.ptp(made.sample(i)[0]) < 1e-6) for i in range(20))
        assert flat == 20 if share == 0 else flat < 5


def test_without_composites_nothing_stands_in_for_a_picture() -> None:
    pair = _pair(10)
    full = dataclasses.replace(pair, labels=np.ones_like(pair.labels), coarse=())
    for share in (0.0, 0.01):
        options = SampleOptions(composite_share=share, colour=NO_COLOUR)
        samples = Samples([("full", [full])], seed=0, options=options)
        if share:
            assert samples.sample(1)[1].any()
            continue
        with pytest.raises(InputError, match="100 windows in a row"):
            samples.sample(1)


def test_other_windows_have_other_sides() -> None:
    samples = Samples(SETS, seed=0, window=96)
    for image, fine, _ in map(samples.sample, range(6)):
        assert image.shape == (3, 96, 96)
        assert fine.any()


def test_large_windows_show_large_objects() -> None:
    pair = _pair(10, radius=28, size=200)
    labels = pair.labels.copy()
    labels[labels != 1] = 0
    labels[140:154, 140:154] = 2  # far from a disc, a small square
    sets = [("one", [dataclasses.replace(pair, labels=labels, coarse=())])]
    options = SampleOptions(composite_share=0.0)
    samples = Samples(sets, seed=4, options=options)
    large = samples.enlarged()
    areas = [large.sample(i)[1] for i in range(40)]
    assert areas[0].shape == (128, 128)
    assert samples.sample(0)[1].shape == (64, 64)
    # Even enlarged the square is smaller than any part of the disc; drawn alike, half
    # of the windows would show it.
    small = sum(np.count_nonzero(area) < 400 for area in areas)
    assert small <= 0.15 * len(areas)


def test_a_data_set_with_one_image_and_one_object_is_enough() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[5:12, 5:12] = 1
    pair = Pair("a", "a", np.zeros((20, 20, 3), np.uint8), labels)
    samples = Samples([("one", [pair])], seed=0)
    assert all(np.isfinite(samples.sample(i)[0]).all() for i in range(20))


def test_what_cannot_be_used_is_refused_in_words() -> None:
    with pytest.raises(OptionError, match="window is 50"):
        Samples(SETS, seed=0, window=50)
    with pytest.raises(OptionError, match="dark 0, bright -1"):
        Samples(SETS, seed=0, weights={"dark": 0.0, "bright": -1.0})
    labels = np.zeros((20, 20), np.uint8)
    labels[5, 5] = 1
    dot = Pair("a", "a", np.zeros((20, 20, 3), np.uint8), labels)
    with pytest.raises(InputError, match="fewer than 16 pixels"):
        Samples([("dots", [dot])], seed=0)


def test_sets_found_on_disk_are_read(tmp_path: Path) -> None:
    pair = _pair(100)
    for kind, array in (("images", pair.image), ("labels", pair.labels)):
        folder = tmp_path / "cells" / "train" / kind
        folder.mkdir(parents=True)
        Image.fromarray(array).save(folder / "a.png")
    made = Samples(find_sets(tmp_path, "train"), seed=0)
    assert [name for name, _ in made.sets] == ["cells"]
    assert len(made.sets[0][1][0].things) == 2
