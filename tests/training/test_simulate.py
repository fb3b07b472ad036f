"""Coarse masks: each damage does what its name says, and the strengths are as asked."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from napari_segrefiner.training import simulate as sim
from napari_segrefiner.training.simulate import Scene, SimulatorOptions, iou, simulate

SIDE = 64
Mask = npt.NDArray[np.bool_]


def _disc(y: float, x: float, radius: float) -> Mask:
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    mask: Mask = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
    return mask


def _scene(radius: float = 15) -> Scene:
    fine = _disc(30, 32, radius)
    others = _disc(30, 32 + 2 * radius, radius) & ~fine
    rng = np.random.default_rng(0)
    grey = 0.3 + 0.4 * fine + 0.02 * rng.standard_normal((SIDE, SIDE))
    return Scene(fine, others, grey.astype(np.float32))


def _only(**chances: float) -> SimulatorOptions:
    """Options with every probability at 0 except the given ones."""
    zero = {
        item.name: 0.0
        for item in dataclasses.fields(SimulatorOptions)
        if isinstance(item.default, float)
    }
    return SimulatorOptions(**{**zero, **chances})


def test_signed_distance_of_a_half_plane_is_exact() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:, 20:] = True
    expected = np.arange(SIDE) - 19.5
    assert np.array_equal(sim.signed_distance(mask), np.tile(expected, (SIDE, 1)))


@pytest.mark.parametrize("value", [False, True])
def test_signed_distance_without_a_boundary_has_one_sign(value: bool) -> None:
    distance = sim.signed_distance(np.full((SIDE, SIDE), value))
    assert ((distance > 0) == value).all()


@pytest.mark.parametrize("target", [0.55, 0.7, 0.9])
def test_the_strength_found_meets_the_iou(target: float) -> None:
    scene = _scene()
    distance = sim.signed_distance(scene.fine)
    for seed in range(5):
        field = sim.random_field(np.random.default_rng(seed), SIDE)
        strength = sim.find_strength(distance, field, scene.fine, target)
        reached = iou(distance + np.float32(strength) * field > 0, scene.fine)
        assert target - 1e-9 <= reached < target + 0.1


def test_a_mask_below_its_target_needs_no_strength() -> None:
    distance = sim.signed_distance(_disc(30, 32, 9))
    field = np.ones((SIDE, SIDE), np.float32)
    assert sim.find_strength(distance, field, _disc(30, 32, 15), 0.8) == 0


def test_shifted_moves_whole_pixels_and_repeats_the_border() -> None:
    mask = _disc(30, 32, 10)
    moved = sim.shifted(mask, 3.2, -4.9)
    assert np.array_equal(moved[3:, :-5], mask[:-3, 5:])
    assert sim.shifted(np.ones((SIDE, SIDE), bool), 5, 5).all()


@pytest.mark.parametrize("name", sorted(sim.PLAIN))
def test_plain_damages_change_masks_but_not_beyond_recognition(name: str) -> None:
    scene = _scene()
    before = scene.fine.copy()
    reached = []
    for seed in range(40):
        coarse = sim.PLAIN[name](np.random.default_rng(seed), scene.fine, scene)
        assert coarse.dtype == bool
        assert coarse.shape == (SIDE, SIDE)
        reached.append(iou(coarse, scene.fine))
    assert np.array_equal(scene.fine, before)
    assert 0.5 < np.median(reached) < 0.995
    assert min(reached) > 0.2


def test_constant_offset_is_a_smaller_or_larger_disc() -> None:
    scene = _scene()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        coarse = sim.constant_offset(rng, scene.fine, scene)
        radius = np.sqrt(np.count_nonzero(coarse) / np.pi)
        assert iou(coarse, _disc(30, 32, radius)) > 0.93
        assert 0.6 < abs(radius - 15) < 4.4


def test_hurried_polygons_have_straight_sides() -> None:
    scene = _scene(20)
    coarse = sim.hurried_polygon(np.random.default_rng(3), scene.fine, scene)
    points = sim.contour(coarse)
    steps = np.diff(np.concatenate([points, points[:1]]), axis=0)
    assert len(points) > 60
    assert iou(coarse, scene.fine) > 0.5
    assert len({tuple(step) for step in np.round(steps, 3).tolist()}) < len(points) / 3


def test_a_merge_adds_a_piece_of_the_neighbour_and_loses_nothing() -> None:
    scene = _scene()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        merged = sim.merged_neighbour(rng, scene.fine, scene)
        assert not (scene.fine & ~merged).any()
        assert np.count_nonzero(merged & scene.others) > 20


def test_a_staircase_has_no_detail_below_its_step() -> None:
    scene = _scene(20)
    for seed in range(12):
        coarse = sim.staircase(np.random.default_rng(seed), scene.fine, scene)
        single = coarse[1:-1, 1:-1] & ~coarse[:-2, 1:-1] & ~coarse[2:, 1:-1]
        assert not single.any()


def test_a_threshold_follows_the_picture() -> None:
    scene = _scene()
    scene.grey[:, 40:] = 0.7  # as bright as the object, beside it
    found = [
        sim.threshold(np.random.default_rng(seed), scene.fine, scene)
        for seed in range(20)
    ]
    leaked = [np.count_nonzero(mask & _disc(30, 50, 5)) for mask in found]
    assert sum(n > 0 for n in leaked) >= 5


def test_straight_cuts_and_smoothing_only_take_or_round() -> None:
    scene = _scene()
    for seed in range(10):
        cut = sim.straight_cut(np.random.default_rng(seed), scene.fine, scene)
        lost = 1 - np.count_nonzero(cut) / scene.area
        assert not (cut & ~scene.fine).any()
        assert 0.0 < lost < 0.4


def test_an_exact_copy_and_a_plain_damage_can_be_asked_for() -> None:
    scene = _scene()
    rng = np.random.default_rng(0)
    copy = simulate(rng, scene.fine, scene.others, scene.grey, options=_only(exact=1))
    assert np.array_equal(copy, scene.fine)
    assert copy is not scene.fine
    plain = simulate(rng, scene.fine, scene.others, scene.grey, options=_only(plain=1))
    assert not np.array_equal(plain, scene.fine)


def test_spared_stretches_of_the_outline_stay_exactly_where_they_are() -> None:
    scene = _scene()
    distance = sim.signed_distance(scene.fine)
    along = np.abs(distance) < 2
    force = np.ones_like(distance)
    shares = []
    for seed in range(40):
        left = sim.spared(np.random.default_rng(seed), force, distance)
        assert left.min() >= 0
        assert left.max() <= 1
        shares.append(np.mean(left[along] == 0))
    assert 0.25 < min(shares) < 0.4
    assert 0.7 < max(shares) < 0.85
    only = _only(field=1, spared=1)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        coarse = simulate(rng, scene.fine, scene.others, scene.grey, options=only)
        is_kept = (coarse == scene.fine)[np.abs(distance) < 0.6]
        assert 0.25 < is_kept.mean() < 1


def test_a_merged_neighbour_counts_as_unlabelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sim, "PLAIN", {sim.MERGED: sim.merged_neighbour})
    scene = _scene()
    only = _only(plain=1, labelled_neighbours=1)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        coarse = simulate(rng, scene.fine, scene.others, scene.grey, options=only)
        assert np.count_nonzero(coarse & scene.others) > 20


def test_labelled_neighbours_are_not_covered_unless_they_are_merged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = {name: damage for name, damage in sim.PLAIN.items() if name != sim.MERGED}
    monkeypatch.setattr(sim, "PLAIN", others)
    scene = _scene()
    options = dataclasses.replace(SimulatorOptions(), labelled_neighbours=1.0)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        fallback = dataclasses.replace(options, lowest_iou=0.0)
        coarse = simulate(rng, scene.fine, scene.others, scene.grey, options=fallback)
        assert not (coarse & scene.others).any()


def test_the_ious_of_many_masks_are_spread_as_meant() -> None:
    scene = _scene()
    reached = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        coarse = simulate(rng, scene.fine, scene.others, scene.grey)
        assert coarse.any()
        reached.append(iou(coarse, scene.fine))
    low, middle, high = np.quantile(reached, (0.1, 0.5, 0.9))
    assert 0.48 < low < 0.62
    assert 0.72 < middle < 0.86
    assert 0.93 < high <= 1
    assert min(reached) >= 0.25


def test_patches_are_off_by_pixels_not_by_shares() -> None:
    fine = np.zeros((SIDE, SIDE), bool)
    fine[:, :30] = True
    options = _only(field=1)
    reached = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        coarse = simulate(
            rng,
            fine,
            np.zeros_like(fine),
            np.zeros((SIDE, SIDE), np.float32),
            is_patch=True,
            options=options,
        )
        reached.append(np.abs(np.argmin(coarse, axis=1) - 30).mean())
    assert 0.3 < np.median(reached) < 6


@pytest.mark.parametrize(
    "fine",
    [
        np.zeros((SIDE, SIDE), bool),
        np.ones((SIDE, SIDE), bool),
        _disc(32, 32, 0.8),
        _disc(0, 0, 20),
    ],
    ids=["empty", "full", "one pixel", "at the corner"],
)
def test_odd_objects_give_masks_too(fine: Mask) -> None:
    grey = np.zeros((SIDE, SIDE), np.float32)
    for seed in range(40):
        for is_patch in (False, True):
            coarse = simulate(
                np.random.default_rng(seed),
                fine,
                np.zeros_like(fine),
                grey,
                is_patch=is_patch,
            )
            assert coarse.any() == fine.any()


def test_the_same_generator_gives_the_same_mask() -> None:
    scene = _scene()
    first, second = (
        [
            simulate(np.random.default_rng(i), scene.fine, scene.others, scene.grey)
            for i in range(20)
        ]
        for _ in range(2)
    )
    assert np.array_equal(first, second)
