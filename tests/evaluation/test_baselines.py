"""Baselines: each moves a boundary to where the picture says, in the core's crops."""

from dataclasses import replace

import numpy as np
import pytest

from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.evaluation.baseline_runs import baseline_layers, refine_with
from napari_segrefiner.evaluation.baselines import (
    BASELINES,
    available,
    band_of,
    colour_costs,
    cut,
)
from napari_segrefiner.evaluation.coarse_sets import CoarsePlan, make_coarse_sets
from napari_segrefiner.evaluation.folders import Loaded
from napari_segrefiner.evaluation.tuning import (
    Choice,
    Tuned,
    find_baselines,
    read_tuned,
    tune,
    write_tuned,
)
from napari_segrefiner.evaluation.validation import (
    table_head,
    table_line,
    validate,
    variants,
)
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.labels import write_labels
from napari_segrefiner.metrics import iou
from napari_segrefiner.options import RefineOptions
from tests.core.stubs import bright, disk, oracle, stub_model

LOOKING = ("graph_cut", "random_walker", "edge_snap")


def scene(radius=14, off=2):
    """Two bright disks, and masks of them that are too small."""
    rng = np.random.default_rng(0)
    truth = np.zeros((80, 120), np.uint8)
    coarse = truth.copy()
    for k, x in enumerate((35, 85)):
        truth[disk(truth.shape, 40, x, radius)] = k + 1
        coarse[disk(truth.shape, 40, x, radius - off)] = k + 1
    image = 60 + 100 * (truth > 0) + rng.normal(0, 6, truth.shape)
    return image.astype(np.uint8), truth, coarse


def run(name, image, labels, settings=None, model=None):
    one = BASELINES[name]
    return refine_with(
        one,
        settings or one.default,
        image,
        labels,
        card=(model or stub_model()).card,
        options=RefineOptions(),
    )


@pytest.mark.parametrize("name", LOOKING)
def test_methods_that_look_find_the_true_boundary(name):
    image, truth, coarse = scene()
    result = run(name, image, coarse)
    assert result.labels.dtype == coarse.dtype
    assert result.n_failed == 0
    for k in (1, 2):
        assert iou(truth == k, coarse == k) < 0.8
        assert iou(truth == k, result.labels == k) > 0.9


def test_nothing_changes_nothing_and_smoothing_does_not_look():
    image, _, coarse = scene()
    np.testing.assert_array_equal(run("nothing", image, coarse).labels, coarse)
    other = run("smooth", image[::-1].copy(), coarse).labels
    np.testing.assert_array_equal(run("smooth", image, coarse).labels, other)
    rough = coarse.copy()
    rough[22:24, 34:36] = 1  # a speck
    for settings in ({"sigma": 2}, {"radius": 2}):
        assert run("smooth", image, rough, settings).labels[22, 35] == 0


@pytest.mark.parametrize("name", LOOKING)
def test_flat_pictures_and_whole_frames_do_no_harm(name):
    flat = np.full((40, 40), 7, np.uint8)
    full = np.ones((40, 40), np.uint8)
    result = run(name, flat, full)
    np.testing.assert_array_equal(result.labels, full)
    one_pixel = np.zeros((40, 40), np.uint8)
    one_pixel[20, 20] = 5
    assert set(np.unique(run(name, flat, one_pixel).labels)) == {0, 5}


def test_touching_objects_are_merged_by_the_core():
    image, _, _ = scene()
    labels = np.zeros((80, 120), np.uint8)
    labels[26:54, 20:35], labels[26:54, 35:50] = 1, 2
    for name in LOOKING:
        found = run(name, image, labels).labels
        assert set(np.unique(found)) == {0, 1, 2}


def test_the_cut_is_the_cheapest_of_all():
    rng = np.random.default_rng(1)
    image = rng.random((1, 3, 4)).astype(np.float32)
    fore, back, unknown = (np.zeros((3, 4), bool) for _ in range(3))
    fore[:, 0], back[:, 3], unknown[:, 1:3] = True, True, True
    mask = np.zeros((3, 4), bool)
    mask[:, :2] = True
    costs = colour_costs(image, mask, 4)
    band = band_of(np.pad(mask, 20), 0.1)._replace(
        fore=fore, back=back, unknown=unknown
    )
    found = cut(image, band, *costs, 2.0)

    pairs = [(np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])]
    squared = [(image[0][a] - image[0][b]) ** 2 for a, b in pairs]
    mean = np.concatenate([s.ravel() for s in squared]).mean()

    def price(labels):
        total = costs[0][labels & unknown].sum() + costs[1][~labels & unknown].sum()
        for (a, b), s in zip(pairs, squared, strict=True):
            total += 2.0 * np.exp(-s / (2 * mean))[labels[a] != labels[b]].sum()
        return total

    every = []
    for bits in range(64):
        labels = fore.copy()
        labels[unknown] = [bits >> k & 1 for k in range(6)]
        every.append(price(labels))
    assert price(found) == pytest.approx(min(every), abs=0.02)


def test_thin_objects_keep_their_skeleton_as_sure():
    mask = np.zeros((40, 40), bool)
    mask[19:21, 5:35] = True
    band = band_of(mask, 0.2)
    assert band.fore.any()
    assert not (band.fore & ~mask).any()
    assert (band.fore | band.back | band.unknown).all()


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    image, truth, _ = scene()
    for part, values in (("images", image), ("labels", truth)):
        (folder / "data" / part).mkdir(parents=True)
        write_labels(folder / "data" / part / "a.png", values)
    plan = CoarsePlan(str(folder / "data"), kinds=("eroded",))
    return list(make_coarse_sets(folder / "out", plan))


def test_tuning_takes_what_scores_best_and_freezes_it(sets, tmp_path):
    model = stub_model()
    baselines = find_baselines(["smooth", "edge_snap"])
    choices = list(tune(sets, baselines, model.card, RefineOptions()))
    assert [one.baseline for one in choices] == ["smooth", "edge_snap"]
    snap = choices[1]
    assert snap.set_name == "data"
    assert snap.n == 2
    assert snap.score > snap.coarse
    tuned = Tuned(tuple(choices), {"seed": 1})
    write_tuned(tmp_path / "t.json", tuned)
    assert read_tuned(tmp_path / "t.json") == tuned
    assert tuned.settings("edge_snap", "data") == snap.settings


def test_unknown_sets_get_the_common_choice_and_untuned_baselines_their_default():
    choices = [
        Choice("smooth", name, {"sigma": s}, 1, 1, 1)
        for name, s in (("a", 1), ("b", 3), ("c", 3))
    ]
    tuned = Tuned(tuple(choices))
    assert tuned.settings("smooth", "a") == {"sigma": 1}
    assert tuned.settings("smooth", "z") == {"sigma": 3}
    assert tuned.settings("edge_snap", "a") == BASELINES["edge_snap"].default


def test_names_are_checked(tmp_path):
    assert len(find_baselines(["all"])) == len(available()) - 1
    with pytest.raises(OptionError, match="no baseline magic"):
        find_baselines(["magic"])
    if "cascade_psp" not in available():
        with pytest.raises(OptionError, match="CascadePSP"):
            find_baselines(["cascade_psp"])
    with pytest.raises(InputError, match="napari-segrefiner tune"):
        read_tuned(tmp_path / "none.json")


@pytest.mark.parametrize("settings", [{"x": 1}, "band", {"sigma": "2", "band": 0.1}])
def test_settings_that_no_baseline_has_are_refused(tmp_path, settings):
    choice = Choice("edge_snap", "cells", settings, 1, 1, 1)
    write_tuned(tmp_path / "t.json", Tuned((choice,)))
    with pytest.raises(InputError, match="edge_snap has no settings"):
        read_tuned(tmp_path / "t.json")


def test_baselines_are_columns_of_the_validation(sets):
    names = ("nothing", "edge_snap")
    (row,) = validate(
        sets,
        stub_model(bright),
        variants(RefineOptions(), (1,)),
        baselines=find_baselines(names),
    )
    assert list(row.totals) == ["coarse", "1", *names]
    assert row.totals["nothing"]["iou"] == row.totals["coarse"]["iou"]
    assert row.totals["edge_snap"]["iou"].value > row.totals["coarse"]["iou"].value
    head = table_head(("1", *names)).splitlines()
    assert "edge snap" in head[0]
    assert len(table_line("x", 2, row.totals)) == len(head[1])


def test_a_stack_gets_a_layer_of_every_baseline_plane_by_plane():
    image, truth, coarse = scene()
    images, stack = np.stack([image, image[:, ::-1]]), np.stack([coarse, 0 * coarse])
    found = Loaded(np.stack([truth, truth]), {"coarse": stack}, images)
    tuned = Tuned((Choice("smooth", "cells", {"sigma": 5}, 0.0, 0.0, 1),))
    words, card = ("edge_snap", "smooth"), stub_model().card
    layers = baseline_layers("cells", found, find_baselines(words), tuned, card)
    assert tuple(layers) == words
    for name, settings in (("edge_snap", None), ("smooth", {"sigma": 5})):
        assert np.array_equal(
            layers[name][0], run(name, image, coarse, settings).labels
        )
        assert not layers[name][1].any()
    assert np.array_equal(stack[0], coarse)
    blind = replace(found, image=None)
    with pytest.raises(InputError, match="Baselines look at images"):
        baseline_layers("cells", blind, find_baselines(words), tuned, card)


def test_baselines_see_the_crops_of_the_model():
    seen = []

    def network(x, index):
        seen.append(x.shape[-1])
        return oracle(x, index)

    image, _, coarse = scene(radius=30, off=3)
    model = stub_model(network, padding=0.2)
    from napari_segrefiner.core.refiner import refine
    from napari_segrefiner.evaluation.baseline_runs import plan_as, show

    refine(image, coarse, model=model)
    plan = plan_as(model.card, RefineOptions(), image, coarse)
    grids = {show(plan, job).seen.shape[0] for job in plan.jobs}
    assert grids == set(seen)


def test_baselines_see_the_whole_image_where_the_published_model_does():
    from napari_segrefiner.evaluation.baseline_runs import plan_as

    image, _, coarse = scene()
    options = RefineOptions(preset="published", mode="whole", grid=64)
    plan = plan_as(stub_model(oracle).card, options, image, coarse)
    assert [job.crop.box for job in plan.jobs] == [Box(0, 0, 80, 120)] * 2
