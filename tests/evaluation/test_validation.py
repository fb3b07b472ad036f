"""A model's gain on coarse sets, in several runs."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_segrefiner.errors import InputError, OptionError
from napari_segrefiner.evaluation.baselines import Baseline
from napari_segrefiner.evaluation.coarse_sets import CoarsePlan, make_coarse_sets
from napari_segrefiner.evaluation.scores import Total
from napari_segrefiner.evaluation.tuning import Choice, Tuned, find_baselines, tune
from napari_segrefiner.evaluation.validation import (
    Row,
    means,
    table_head,
    table_line,
    validate,
    variants,
)
from napari_segrefiner.io.labels import write_labels
from napari_segrefiner.options import RefineOptions
from tests.core.stubs import bright, disk, oracle, stub_model


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two bright disks in a picture, eroded."""
    folder = tmp_path_factory.mktemp("sets")
    labels = np.zeros((90, 150), np.uint8)
    labels[disk(labels.shape, 45, 40, 16)] = 1
    labels[disk(labels.shape, 45, 108, 20)] = 2
    for part, values in (("images", 40 + 160 * (labels > 0)), ("labels", labels)):
        (folder / "data" / part).mkdir(parents=True)
        write_labels(folder / "data" / part / "a.png", values.astype(np.uint8))
    plan = CoarsePlan(str(folder / "data"), kinds=("eroded",))
    return list(make_coarse_sets(folder / "out", plan))


def test_a_model_that_sees_the_objects_gains_all_there_is(sets):
    (row,) = validate(sets, stub_model(bright), variants(RefineOptions(), (1, 2)))
    assert (row.kind, row.name, row.n) == ("eroded", "data", 2)
    assert list(row.totals) == ["coarse", "1", "2"]
    assert 0.6 < row.totals["coarse"]["iou"].value < 0.9
    assert row.totals["1"]["iou"].value > 0.95
    assert row.totals["1"]["improved_02"] == Total(1.0, 2)
    assert row.totals["1"]["worse_05"] == Total(0.0, 2)


def test_a_model_that_changes_nothing_scores_as_the_coarse_masks(sets):
    (row,) = validate(sets, stub_model(oracle), variants(RefineOptions(), (1,)))
    assert row.totals["1"]["iou"] == row.totals["coarse"]["iou"]
    assert row.totals["1"]["improved_02"].value == 0


def test_options_reach_the_refinement(sets):
    options = RefineOptions(min_area=10_000)
    (row,) = validate(sets, stub_model(bright), variants(options, (1,)))
    assert row.totals["1"]["iou"] == row.totals["coarse"]["iou"]


def test_every_run_has_its_own_options_and_baselines_have_those_of_the_first(sets):
    gone = Baseline("gone", lambda image, mask, settings: 0.0 * image[0], ({},), {})
    tuned = Tuned((Choice("gone", "data", {}, 0.0, 0.0, 1),))
    runs = {
        "1 skips": RefineOptions(steps=1, min_area=10_000),
        "2": RefineOptions(steps=2),
    }
    (row,) = validate(sets, stub_model(bright), runs, baselines=[gone], tuned=tuned)
    assert list(row.totals) == ["coarse", "1 skips", "2", "gone"]
    coarse = row.totals["coarse"]["iou"]
    assert row.totals["1 skips"]["iou"] == row.totals["gone"]["iou"] == coarse
    assert row.totals["2"]["iou"].value > 0.95


@pytest.mark.parametrize("command", ["validate", "tune"])
def test_an_image_without_values_is_named(tmp_path, command):
    labels = np.zeros((64, 64), np.uint8)
    labels[disk(labels.shape, 30, 30, 12)] = 1
    values = np.full(labels.shape, np.nan, np.float32)
    for part, array in (("images", values), ("labels", labels)):
        (tmp_path / "cells" / part).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "cells" / part / "a.tif", array)
    plan = CoarsePlan(str(tmp_path / "cells"), kinds=("eroded",))
    sets = make_coarse_sets(tmp_path / "out", plan)
    model = stub_model(bright)
    found = {
        "validate": validate(sets, model, variants(RefineOptions(), (1,))),
        "tune": tune(sets, find_baselines(["smooth"]), model.card, RefineOptions()),
    }[command]
    with pytest.raises(InputError, match=r"^cells/a\.tif: The image is NaN"):
        list(found)


def test_every_number_of_steps_is_run(sets):
    seen = []

    def network(x, index):
        seen.extend(index.unique().tolist())
        return oracle(x, index)

    list(validate(sets, stub_model(network), variants(RefineOptions(), (1, 3))))
    assert len(set(seen)) == 3
    assert len(seen) % (1 + 3) == 0  # as often for every batch


def test_ways_differ_in_what_their_names_say():
    given = RefineOptions(doubt=0.2, band=0.5, seed=3)
    found = variants(given, (1, 2), ("plain", "flips", "unguarded"))
    assert list(found) == [
        "1", "2", "1 flips", "2 flips", "1 unguarded", "2 unguarded",
    ]  # fmt: skip
    assert found["2"] == replace(given, steps=2)
    assert found["1 flips"] == replace(given, steps=1, flips=True)
    bare = replace(
        given,
        steps=2,
        doubt=1.0,
        pixel_doubt=0.0,
        band=0.0,
        least_change=0.0,
        least_piece=0.0,
    )
    assert found["2 unguarded"] == bare
    with pytest.raises(OptionError, match="no way up"):
        variants(given, (1,), ("up",))


def test_time_is_taken_for_each_layer(sets):
    (row,) = validate(sets, stub_model(bright), variants(RefineOptions(), (1, 2)))
    assert list(row.seconds) == ["1", "2"]
    assert all(seconds > 0 for seconds in row.seconds.values())


def test_objects_for_which_a_baseline_has_no_answer_are_counted(sets):
    never = Baseline("never", lambda image, mask, settings: None, ({},), {})
    tuned = Tuned((Choice("never", "data", {}, 0.0, 0.0, 1),))
    found = validate(
        sets,
        stub_model(bright),
        variants(RefineOptions(), (1,)),
        baselines=[never],
        tuned=tuned,
    )
    (row,) = found
    assert row.failed == {"never": 2}
    assert row.totals["never"]["iou"] == row.totals["coarse"]["iou"]


def row(kind, name, coarse, refined, n=10):
    layer = {"iou": Total(coarse, n), "boundary_iou": Total(coarse / 2, n)}
    after = {"iou": Total(refined, n), "boundary_iou": Total(refined / 2, n)}
    shares = {"improved_02": Total(0.5, n), "worse_05": Total(0.02, n)}
    return Row(kind, name, {"coarse": layer, "2": after | shares})


def test_means_count_every_set_the_same_and_left_out_ones_apart():
    rows = [
        row("mixed", "a", 0.7, 0.8, n=1000),
        row("mixed", "b", 0.8, 0.9),
        row("hurried", "b", 0.6, 0.5),
    ]
    found = means(rows, ["b"])
    assert {name: n for name, (n, _) in found.items()} == {
        "all": 3,
        "seen": 1,
        "left out": 2,
        "mixed": 2,
        "hurried": 1,
    }
    assert found["all"][1]["2"]["iou"].value == pytest.approx(2.2 / 3)
    assert found["left out"][1]["2"]["iou"].value == pytest.approx(0.7)
    assert found["mixed"][1]["coarse"]["iou"].value == pytest.approx(0.75)
    assert list(means(rows[:2])) == ["all"]
    assert means([]) == {}


def test_the_table_s_lines_stand_under_its_head():
    head = table_head(("2",)).splitlines()
    line = table_line("mixed/a", 10, row("mixed", "a", 0.7, 0.8).totals)
    assert line.split() == [
        "mixed/a", "10", "0.700", "0.350", "0.800", "0.400", "50.0%", "2.0%",
    ]  # fmt: skip
    assert len(line) == len(head[1])
    assert head[1].index("-.05") == line.index("2.0%")
