"""Errors that are gone, errors that are new, near and far from the coarse boundary."""

import numpy as np
import pytest

from napari_segrefiner.evaluation.balance import count_errors
from napari_segrefiner.evaluation.pairing import pair_objects
from napari_segrefiner.evaluation.scores import image_sums, score_image, totals


def square(y0, x0, y1, x1, shape=(40, 60), value=1):
    labels = np.zeros(shape, np.uint8)
    labels[y0:y1, x0:x1] = value
    return labels


def test_errors_are_told_apart_by_kind_and_distance():
    truth = square(10, 10, 30, 30)
    coarse = square(10, 10, 30, 20)  # the right half is missing
    coarse[5:7, 12] = 1  # 2 px too much, 3 px above the object
    refined = square(10, 10, 30, 25)
    counts = count_errors(*(a.astype(int) - 1 for a in (truth, coarse, refined)), [1])
    # Columns 20 and 21 are near, 22 to 29 far; a single column is all boundary.
    assert counts.coarse == {
        ("fp", "near"): 2,
        ("fp", "far"): 0,
        ("fn", "near"): 40,
        ("fn", "far"): 160,
    }
    assert counts.changes == {
        ("fp_removed", "near"): 2,
        ("fp_removed", "far"): 0,
        ("fn_recovered", "near"): 40,
        ("fn_recovered", "far"): 60,
        ("fp_added", "near"): 0,
        ("fp_added", "far"): 0,
        ("fn_added", "near"): 0,
        ("fn_added", "far"): 0,
    }


def test_new_errors_are_counted_and_the_balance_is_the_gain():
    rng = np.random.default_rng(0)
    truth, coarse, refined = (rng.integers(0, 3, (30, 30)) - 1 for _ in range(3))
    counts = count_errors(truth, coarse, refined, [True, True])
    gone = sum(counts.changes[k, z] for k in ("fp_removed", "fn_recovered")
               for z in ("near", "far"))  # fmt: skip
    new = sum(counts.changes[k, z] for k in ("fp_added", "fn_added")
              for z in ("near", "far"))  # fmt: skip

    def errors(labels):
        wrong = labels != truth
        return np.sum(wrong & (labels >= 0)) + np.sum(wrong & (truth >= 0))

    assert counts.n_coarse == errors(coarse)
    assert counts.n_coarse - gone + new == errors(refined)


def test_the_frame_is_no_boundary_and_objects_without_partner_do_not_count():
    truth = square(0, 0, 10, 60) + square(20, 20, 30, 30, value=2)
    coarse = square(0, 0, 10, 60)
    refined = square(6, 0, 10, 60)
    counts = count_errors(
        *(a.astype(int) - 1 for a in (truth, coarse, refined)), [True, False]
    )
    assert counts.n_coarse == 0
    # Rows 0 to 5 are lost; the coarse boundary is below row 9: rows 8 and 9 are near.
    assert counts.changes["fn_added", "near"] == 0
    assert counts.changes["fn_added", "far"] == 360


def test_totals_are_shares_of_all_coarse_errors():
    truth, coarse = square(10, 10, 30, 30), square(10, 10, 30, 20)
    layers = {"coarse": coarse, "r": square(10, 10, 30, 25), "same": coarse}
    scored = score_image("a", truth, layers, pair_objects(truth, coarse))
    found = totals([scored, scored])
    assert found["coarse"]["fn_near"].value == pytest.approx(40 / 200)
    assert found["coarse"]["fn_far"].value == pytest.approx(160 / 200)
    assert found["r"]["fn_recovered"].value == pytest.approx(0.5)
    assert found["r"]["fn_recovered_far"].value == pytest.approx(60 / 200)
    assert found["r"]["fp_added"].value == 0
    assert found["same"]["fn_recovered"].value == 0
    assert found["r"]["fn_recovered"].n == 2


def test_labels_without_errors_have_no_shares():
    truth = square(10, 10, 30, 30)
    layers = {"coarse": truth, "r": square(10, 10, 30, 25)}
    scored = score_image("a", truth, layers, pair_objects(truth, truth))
    assert image_sums(scored)["r"]["fn_added"].n == 0
    assert np.isnan(totals([scored])["r"]["fn_added"].value)
