"""Uncertainty of one object."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segrefiner.core.report import measure_uncertainty
from tests import golden
from tests.core.stubs import disk


@pytest.mark.parametrize("case", ["a", "b", "lost"])
def test_uncertainty_has_the_golden_values(case: str) -> None:
    data = golden.load("process")
    probability = data[f"unc_{case}_prob"]
    got = measure_uncertainty(
        data[f"unc_{case}_coarse"].astype(bool), probability >= 0.5, probability
    )
    golden.check("process: uncertainty", got, data[f"unc_{case}_result"], 1e-12)


def test_a_decided_object_is_certain_and_an_even_one_is_not() -> None:
    mask = disk((40, 40), 20, 20, 10)
    assert measure_uncertainty(mask, mask, mask.astype(np.float32)).mean == 0
    even = np.full((40, 40), 0.5, np.float32)
    assert measure_uncertainty(mask, mask, even)[:2] == (1, 1)


def test_an_object_without_a_boundary_is_certain() -> None:
    mask = np.ones((8, 8), bool)
    assert measure_uncertainty(mask, mask, np.full((8, 8), 0.6, np.float32)) == (
        0,
        0,
        0,
    )
