"""Samples of the published training: which objects, which crops, in which order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_segrefiner.errors import InputError
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.datasets import find_sets
from napari_segrefiner.training import published_samples
from napari_segrefiner.training.epochs import TOGETHER, EpochOrder
from napari_segrefiner.training.published_crops import (
    draw_object_crop,
    draw_object_window,
    draw_patch,
    resize_image,
    resize_mask,
)
from napari_segrefiner.training.published_samples import PublishedSamples
from napari_segrefiner.training.simulate_published import Simulated


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_an_epoch_shows_every_image_with_its_own_kind() -> None:
    is_wide = [k % 3 == 0 for k in range(50)]
    order = EpochOrder(is_wide, seed=4)
    shown = [order.image(n) for n in range(2 * order.length)]
    assert order.length % TOGETHER == 0
    first, second = shown[: order.length], shown[order.length :]
    for epoch in (first, second):
        assert set(epoch) == set(range(50))
        for start in range(0, order.length, TOGETHER):
            kinds = {is_wide[image] for image in epoch[start : start + TOGETHER]}
            assert len(kinds) == 1
    assert first != second
    again = EpochOrder(is_wide, seed=4)
    assert [again.image(n) for n in (70, 3, 70)] == [shown[70], shown[3], shown[70]]
    other = EpochOrder(is_wide, seed=5)
    assert [other.image(n) for n in range(order.length)] != first


def test_another_image_is_of_the_same_kind() -> None:
    order = EpochOrder([True, False, True, False], seed=0)
    assert {order.another(_rng(k), 0) for k in range(20)} == {0, 2}


def test_the_window_of_lr_has_forty_pixels_of_slack_around_the_object() -> None:
    box = Box(50, 100, 80, 160)
    starts = set()
    for seed in range(300):
        window = draw_object_window(_rng(seed), box, (300, 400))
        assert window.shape == (70, 100)
        assert window.y0 <= box.y0
        assert window.y1 >= box.y1
        assert window.x0 <= box.x0
        assert window.x1 >= box.x1
        starts.add(box.x0 - window.x0)
    assert starts == set(range(41))


def test_the_window_of_lr_stays_in_the_image() -> None:
    assert draw_object_window(_rng(), Box(0, 0, 50, 60), (50, 60)) == Box(0, 0, 50, 60)
    for seed in range(50):
        window = draw_object_window(_rng(seed), Box(0, 90, 20, 100), (100, 100))
        assert window.y0 == 0
        assert window.x1 == 100
        assert window.shape == (60, 50)


def test_the_crop_of_hr_begins_before_and_ends_behind_the_object() -> None:
    for seed in range(50):
        crop = draw_object_crop(_rng(seed), Box(10, 0, 40, 30), (50, 30))
        assert (crop.x0, crop.x1) == (0, 30)
        assert 0 <= crop.y0 < 10
        assert 40 <= crop.y1 < 50


def test_a_patch_shows_both_classes_at_full_resolution() -> None:
    fine = np.zeros((300, 280), bool)
    fine[100:140, 100:140] = True
    for seed in range(30):
        patch = draw_patch(_rng(seed), fine, 64)
        assert patch is not None
        assert patch.shape == (64, 64)
        inside = fine[patch.slices]
        assert inside.any()
        assert not inside.all()
    small = draw_patch(_rng(), fine[90:151, 90:200], 64)
    assert small is not None
    assert small.shape == (30, 30)  # half of the shorter side
    assert draw_patch(_rng(), np.ones((99, 99), bool), 64) is None


def test_images_are_resized_bilinearly_and_masks_by_nearest_neighbours() -> None:
    ramp = np.repeat(np.arange(0, 200, 10, dtype=np.uint8)[None, :, None], 20, 0)
    image = np.repeat(ramp, 3, axis=2)
    wide = resize_image(image, 40)
    # place i looks at (i + .5) / 2 - .5
    expected = np.clip((np.arange(40) + 0.5) / 2 - 0.5, 0, 19) * 10
    assert np.array_equal(wide[0, :, 0], np.floor(expected + 0.5))
    assert np.array_equal(resize_image(image, 20), image)
    mask = np.array([[True, False, False]])
    assert resize_mask(mask, 6).tolist() == [[True, True] + [False] * 4] * 6
    assert resize_mask(np.eye(8, dtype=bool), 4).tolist() == np.eye(4).tolist()
    assert (
        resize_mask(np.arange(5)[None] == 3, 3).tolist() == [[False] * 2 + [True]] * 3
    )


def _labels(folder: Path, name: str, labels: np.ndarray) -> None:
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    image = np.where(labels > 0, 60 + 60 * labels, 20).astype(np.uint8)
    Image.fromarray(image).save(folder / "images" / f"{name}.png")
    Image.fromarray(labels.astype(np.uint8)).save(folder / "labels" / f"{name}.png")


def _disc(shape: tuple[int, int], y: int, x: int, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(rows - y, columns - x) < radius


@pytest.fixture
def discs_folder(tmp_path: Path) -> Path:
    """Images with a large disc (label 1) and one below 512 px (label 2)."""
    folder = tmp_path / "sets" / "one"
    for k in range(6):
        labels = np.zeros((90, 120) if k % 2 else (120, 90), np.uint8)
        labels[_disc(labels.shape, 50, 45 + k, 25)] = 1
        labels[_disc(labels.shape, 10, 10, 7)] = 2
        _labels(folder / "train", str(k), labels)
    return folder


def _train(
    folder: Path, *, has_patches: bool = False, seed: int = 0
) -> PublishedSamples:
    sets = find_sets(folder, "train")
    return PublishedSamples(sets, seed=seed, side=64, has_patches=has_patches)


def test_lr_samples_are_large_objects_in_their_windows(discs_folder: Path) -> None:
    samples = _train(discs_folder)
    assert samples.names == ("one",)
    assert samples.counts == {"one": {"images": 6}}
    for number in range(12):
        image, fine, coarse = samples.sample(number)
        assert image.shape == (3, 64, 64)
        assert image.dtype == np.float32
        # the object of 49 px in a window of 89 px, so 35 of 64
        box = Box.around(fine)
        assert abs(box.height - 35) <= 2
        assert abs(image[0][ndimage.binary_erosion(fine)].mean() - 120 / 255) < 0.01
        both = np.count_nonzero(fine & coarse) / np.count_nonzero(fine | coarse)
        assert 0.4 < both < 1


def test_a_sample_depends_on_seed_and_number_alone(discs_folder: Path) -> None:
    for has_patches in (False, True):
        first = _train(discs_folder, has_patches=has_patches)
        made = [first.sample(n) for n in range(6)]
        again = _train(discs_folder, has_patches=has_patches)
        for n in (5, 0, 3, 2):
            for ours, theirs in zip(again.sample(n), made[n], strict=True):
                assert np.array_equal(ours, theirs)
        other = _train(discs_folder, has_patches=has_patches, seed=1).sample(0)
        assert not np.array_equal(other[2], made[0][2])


def test_images_with_small_objects_only_are_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "s" / "train"
    small = _disc((80, 80), 40, 40, 10)
    for k in range(7):
        _labels(folder, str(k), small)
    with pytest.raises(InputError, match="objects of at least 513 px"):
        _train(folder.parent).sample(0)
    _labels(folder, "7", _disc((80, 80), 40, 40, 20))
    samples = _train(folder.parent)
    areas = [np.count_nonzero(samples.sample(n)[1]) for n in range(16)]
    assert min(areas) > 500


def test_small_images_and_unreadable_truths_are_left_out(
    discs_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = discs_folder / "train"
    _labels(train, "tiny", np.ones((31, 90)))
    (train / "labels" / "0.png").write_bytes(b"\x89PNG nonsense")
    assert _train(discs_folder).counts == {"one": {"images": 5}}
    assert "0.png is cut or damaged" in caplog.text


@pytest.fixture
def masks_folder(tmp_path: Path) -> Path:
    """Large pictures of one ring each."""
    folder = tmp_path / "thin"
    for k in range(3):
        ring = _disc((200, 220), 100, 100 + k, 70) & ~_disc((200, 220), 100, 100, 30)
        for kind, values in (("im", ring * 180 + 20), ("gt", ring * 255)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            path = folder / kind / f"{k}.png"
            Image.fromarray(values.astype(np.uint8)).save(path)
    return folder


def test_hr_samples_are_pairs_of_object_and_patch(
    masks_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copied(_: object, fine: np.ndarray) -> Simulated:
        return Simulated(fine.copy(), fine, 0)

    monkeypatch.setattr(published_samples, "simulate_published", copied)
    samples = _train(masks_folder, has_patches=True)
    whole_is_filled, patch_is_filled = [], []
    for number in range(0, 120, 2):
        _, fine, coarse = samples.sample(number)
        assert Box.around(fine).height > 30
        whole_is_filled.append(not np.array_equal(coarse, fine))
        if whole_is_filled[-1]:
            assert np.array_equal(coarse, ndimage.binary_fill_holes(fine))
        _, fine, coarse = samples.sample(number + 1)
        assert fine.any()
        assert not fine.all()
        assert not (fine & ~coarse).any()
        patch_is_filled.append(not np.array_equal(coarse, fine))
    # half the masks have lost the hole; half the patches have one made anew
    assert 20 <= sum(whole_is_filled) <= 40
    assert not any(
        p and not w for p, w in zip(patch_is_filled, whole_is_filled, strict=True)
    )
    assert 0 < sum(patch_is_filled) < sum(whole_is_filled)


def test_hr_coarse_masks_of_an_image_are_two_that_never_change(
    masks_folder: Path,
) -> None:
    samples = _train(masks_folder, has_patches=True)
    with Image.open(masks_folder / "gt" / "0.png") as picture:
        fine = np.asarray(picture.convert("L")) > 0
    hole = _disc((200, 220), 100, 100, 25)
    for is_expanded in (False, True):
        masks = [
            samples._stored_coarse(0, fine, is_expanded=is_expanded) for _ in range(2)
        ]
        assert np.array_equal(*masks)
        assert (masks[0][hole].mean() > 0.5) == is_expanded


def test_made_coarse_masks_are_kept_and_used_again(
    masks_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets, cache = find_sets(masks_folder, "train"), tmp_path / "cache"
    plain, kept = (
        PublishedSamples(sets, seed=0, side=64, has_patches=True, cache=folder)
        for folder in (None, cache)
    )
    first = [kept.sample(n) for n in range(0, 12, 2)]
    assert 1 <= len(list(cache.iterdir())) <= 4
    for number in range(0, 12, 2):
        for ours, theirs in zip(plain.sample(number), first[number // 2], strict=True):
            assert np.array_equal(ours, theirs)

    made = published_samples.simulate_published

    def only_patches(rng: np.random.Generator, fine: np.ndarray) -> Simulated:
        assert fine.shape == (64, 64)
        return made(rng, fine)

    monkeypatch.setattr(published_samples, "simulate_published", only_patches)
    again = PublishedSamples(sets, seed=0, side=64, has_patches=True, cache=cache)
    assert np.array_equal(again.sample(0)[2], first[0][2])


def test_kept_coarse_masks_belong_to_their_images_when_files_come(
    tmp_path: Path,
) -> None:
    folder, cache = tmp_path / "thin", tmp_path / "cache"

    def overlaps(*names: str) -> list[float]:
        for name in names:
            y = {"a": 60, "b": 100, "c": 140}[name]
            for kind in ("im", "gt"):
                (folder / kind).mkdir(parents=True, exist_ok=True)
                values = _disc((200, 220), y, 3 * y // 2, 40) * 255
                image = Image.fromarray(values.astype(np.uint8))
                image.save(folder / kind / f"{name}.png")
        (folder / "train.txt").write_text("\n".join(names))
        samples = PublishedSamples(
            find_sets(folder, "train"), seed=0, side=64, has_patches=True, cache=cache
        )
        made = [samples.sample(number)[1:] for number in range(0, 16, 2)]
        return [(fine & coarse).sum() / (fine | coarse).sum() for fine, coarse in made]

    assert min(overlaps("b", "c")) > 0.5
    assert min(overlaps("a", "b", "c")) > 0.5


def test_prepared_coarse_masks_are_taken(masks_folder: Path) -> None:
    for name in ("coarse", "coarse_expand"):
        (masks_folder / name).mkdir()
        for k in range(3):
            values = np.zeros((200, 220), np.uint8)
            values[:, :110] = 255 if name == "coarse" else 0
            Image.fromarray(values).save(masks_folder / name / f"{k}.png")
    samples = _train(masks_folder, has_patches=True)
    shares = {round(float(samples.sample(n)[2].mean()), 1) for n in range(0, 20, 2)}
    assert 0.0 in shares
    assert 0.5 in shares or 0.4 in shares or 0.6 in shares


def test_objects_of_annotation_files_keep_their_overlaps(tmp_path: Path) -> None:
    Image.fromarray(np.full((100, 110), 99, np.uint8)).save(tmp_path / "a.png")

    def square(x: int, side: int) -> list[list[int]]:
        return [[x, 10, x + side, 10, x + side, 10 + side, x, 10 + side]]

    outlines = [
        {
            "image_id": 1,
            "segmentation": square(10, 50),
            "area": 2500,
            "bbox": [10, 10, 50, 50],
        },
        {
            "image_id": 1,
            "segmentation": square(30, 60),
            "area": 3600,
            "bbox": [30, 10, 60, 60],
        },
        {"image_id": 1, "segmentation": square(0, 99), "area": 9801, "iscrowd": 1},
        {"image_id": 1, "segmentation": square(0, 9), "area": 81},
    ]
    tree = {
        "images": [{"id": 1, "file_name": "a.png", "height": 100, "width": 110}],
        "annotations": outlines,
    }
    (tmp_path / "train.json").write_text(json.dumps(tree))
    samples = PublishedSamples(
        find_sets(tmp_path / "train.json", "train"), seed=0, side=64, has_patches=False
    )
    shares = {round(float(samples.sample(n)[1].mean()), 2) for n in range(12)}
    whole = {round((50 / 90) ** 2, 2), round(60 / 100 * 60 / 100, 2)}
    assert all(min(abs(share - one) for one in whole) < 0.02 for share in shares)
    assert len(shares) >= 2
