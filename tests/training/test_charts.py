"""Charts show their lines where their numbers say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_segrefiner.training.charts import (
    ORANGE,
    PANEL,
    SKY,
    Chart,
    Line,
    draw_charts,
    ticks,
)


def _is_colour(picture, colour, tolerance=40):
    distance = np.abs(np.asarray(picture, int) - np.asarray(colour)).max(axis=2)
    return distance < tolerance


def test_a_rising_line_rises_and_has_its_colour() -> None:
    chart = Chart("rising", [Line("up", range(50), [v / 10 for v in range(50)], SKY)])
    picture = np.asarray(draw_charts([chart], title="t"))
    rows, columns = np.nonzero(_is_colour(picture, SKY)[180:, :])
    left = rows[columns < columns.min() + 20].mean()
    right = rows[columns > columns.max() - 20].mean()
    assert left - right > 150
    assert not _is_colour(picture, ORANGE).any()


def test_every_chart_has_its_panel() -> None:
    line = Line("a", [0, 1], [0, 1], SKY)
    one = draw_charts([Chart("1", [line])], title="t")
    four = draw_charts([Chart(str(n), [line]) for n in range(4)], title="t")
    area = [int(_is_colour(p, PANEL, 2).sum()) for p in (one, four)]
    assert area[1] == pytest.approx(4 * area[0], rel=0.05)


@pytest.mark.parametrize(
    ("x", "y"),
    [([], []), ([3], [0.5]), ([0, 1, 2], [math.nan] * 3), ([0, 1], [1.0, 1.0])],
)
def test_lines_without_extent_are_drawn_all_the_same(x, y) -> None:
    faint = Line("a", x, y, SKY, is_faint=True)
    dashed = Line("a", x, y, SKY, is_dashed=True)
    chart = Chart("c", [faint, dashed], level=0.5, mark=(0, "here"), floor=0.0)
    assert draw_charts([chart], title="t").width > 700


def test_a_spike_of_the_single_values_does_not_flatten_the_rest() -> None:
    y = [100.0] + [1 + 0.1 * math.sin(k) for k in range(99)]
    chart = Chart("c", [Line("a", range(100), y, SKY, is_faint=True)])
    flat = Chart("c", [Line("a", range(100), y, SKY)])
    heights = []
    for one in (chart, flat):
        picture = np.asarray(draw_charts([one], title="t"), int)
        blue = (picture[180:, 200:, 2] - picture[180:, 200:, 0]) > 25
        rows = np.flatnonzero(blue.any(axis=1))
        heights.append(np.ptp(rows))
    assert heights[0] > 5 * heights[1]


def test_ticks_are_round_and_inside() -> None:
    for low, high in ((0.0, 0.7), (-0.031, 0.044), (0, 16000), (0.8172, 0.8207)):
        found = ticks(low, high, 5)
        assert 3 <= len(found) <= 8
        assert found[0] >= low - 1e-9
        assert found[-1] <= high + 1e-9
        steps = np.diff(found)
        assert np.allclose(steps, steps[0])
