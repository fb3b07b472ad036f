"""The upper bound of methods that stay within a band around the coarse boundary."""

import numpy as np
import pytest

from napari_segrefiner.cli.main import main
from napari_segrefiner.evaluation.oracle import oracle_band
from napari_segrefiner.evaluation.pairing import pair_objects
from napari_segrefiner.io.labels import read_labels, write_labels
from tests.core.stubs import disk

SHAPE = (80, 120)


def bound(truth, coarse, **more):
    return oracle_band(truth, coarse, pair_objects(truth, coarse, "overlap"), **more)


def test_errors_near_the_boundary_are_mended_and_others_stay():
    truth = np.zeros(SHAPE, np.uint8)
    truth[10:50, 10:50] = 3
    coarse = np.where(truth, 7, 0).astype(np.uint8)
    coarse[:14] = 0
    coarse[60:63, 70:73] = 7  # a speck has a boundary of its own
    found = bound(truth, coarse, share=0.1)  # 4 px
    assert np.array_equal(found, np.where(truth, 7, 0))
    coarse = np.where(truth, 7, 0).astype(np.uint8)
    coarse[:20] = 0
    found = bound(truth, coarse, share=0.1)  # 3 px, the object is smaller
    assert (found[17:50, 10:50] == 7).all()
    assert not found[:17].any()


def test_a_wider_band_is_never_worse():
    rng = np.random.default_rng(0)
    truth = np.zeros(SHAPE, np.int32)
    truth[disk(SHAPE, 40, 35, 25)] = 1
    truth[disk(SHAPE, 40, 90, 20)] = 2
    coarse = np.roll(truth, 6, 1)
    coarse[rng.random(SHAPE) < 0.02] = 0
    wrong = [
        np.count_nonzero(bound(truth, coarse, share=share) != truth)
        for share in (0.05, 0.1, 0.2)
    ]
    assert wrong[0] > wrong[1] >= wrong[2]
    assert np.count_nonzero(coarse != truth) > wrong[0]


def test_objects_without_a_true_one_stay_and_true_pixels_win():
    truth = np.zeros(SHAPE, np.uint16)
    truth[20:60, 20:60] = 1
    truth[20:60, 60:100] = 2
    coarse = np.where(truth == 1, 11, 0).astype(np.uint16)
    coarse[20:60, 60:66] = 11
    coarse[20:60, 66:100] = 12
    coarse[:4, :4] = 900
    found = bound(truth, coarse)
    assert np.array_equal(found[20:60, 20:100], 10 + truth[20:60, 20:100])
    assert (found[:4, :4] == 900).all()
    assert np.count_nonzero(found) == 40 * 80 + 16


def test_a_true_pixel_near_one_object_is_not_kept_by_another_deep_inside():
    truth = np.zeros(SHAPE, np.uint8)
    truth[20:60, :60] = 1
    truth[30:50, 60:72] = 2
    coarse = truth.copy()
    coarse[20:60, 52:60] = 0
    coarse[30:50, 52:72] = 2  # its band is 4 px wide, that of object 1 is 9
    assert np.array_equal(bound(truth, coarse), truth)


def test_an_object_that_fills_the_picture_has_no_band():
    full = np.ones((12, 12), np.uint8)
    truth = full.copy()
    truth[:2, :2] = 0
    assert np.array_equal(bound(truth, full), full)
    as_bool = bound(truth.astype(bool), full.astype(bool))
    assert as_bool.dtype == bool


@pytest.mark.parametrize("n", [1, 2])
def test_evaluate_scores_it_beside_baselines(tmp_path, capsys, n):
    truth = np.zeros((n, *SHAPE) if n > 1 else SHAPE, np.uint8)
    truth[..., disk(SHAPE, 40, 40, 20)] = 1
    coarse = np.roll(truth, 2, -1)
    for name, labels in (("truth", truth), ("coarse", coarse)):
        (tmp_path / name).mkdir()
        write_labels(tmp_path / name / "a.tif", labels)
    words = [f"--{name}={tmp_path / name}" for name in ("truth", "coarse")]
    assert main(["evaluate", *words, "--baselines", "oracle_band"]) == 0
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[:3] == ["oracle_band", str(n), "1.0000"]
    assert read_labels(tmp_path / "coarse/a.tif").shape == truth.shape
