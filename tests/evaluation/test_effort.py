"""Points saved: polygons by number of points, and what refinement makes of them."""

import json
import math

import numpy as np
import pytest

from napari_segrefiner.cli.main import main
from napari_segrefiner.evaluation.effort import (
    Drawing,
    Effort,
    draw,
    format_effort,
    summarise,
)
from napari_segrefiner.io.labels import write_labels
from tests.core.stubs import bright, disk, stub_model


def truth():
    labels = np.zeros((80, 120), np.uint8)
    labels[disk(labels.shape, 40, 35, 20)] = 1
    labels[disk(labels.shape, 40, 85, 20)] = 2
    return labels


def test_more_points_draw_better_and_refinement_is_scored_beside():
    labels = truth()
    found = draw(labels, labels, [1, 2], lambda image, drawn: image, name="a")
    effort = summarise(list(found))
    assert effort.points == (4, 6, 8, 10, 12, 16, 20, 24)
    assert effort.n == 2
    assert effort.drawn[0] < 0.75 < 0.88 < effort.drawn[-1]
    assert effort.refined == (1.0,) * 8


def test_drawings_depend_on_seed_and_name_alone():
    labels = truth()

    def curve(**more):
        found = draw(labels, labels, [1], lambda image, drawn: drawn, **more)
        return summarise(list(found)).drawn

    assert curve(name="a") == curve(name="a")
    assert curve(name="a") != curve(name="b")
    assert curve(name="a") != curve(name="a", seed=1)


def test_needed_points_lie_between_those_drawn():
    effort = Effort((4, 8, 12), (0.6, 0.8, 0.9), (0.86, 0.87, 0.88), 5)
    assert effort.needed(0.85, is_refined=False) == pytest.approx(10)
    assert effort.needed(0.85, is_refined=True) == 4
    assert effort.saved(0.85) == pytest.approx(6)
    assert math.isnan(effort.saved(0.90))
    text = format_effort(effort)
    assert "10.0 points, 4.0 with: 6.0 saved" in text
    assert "needs 12.0 points, more than 12 with" in text


def test_means_are_over_objects_not_images():
    drawings = [
        Drawing(4, np.array([0.2]), np.array([1.0])),
        Drawing(4, np.array([0.8, 0.8, 0.8]), np.array([1.0, 1.0, 0.6])),
    ]
    effort = summarise(drawings)
    assert effort.drawn == pytest.approx((0.65,))
    assert effort.refined == pytest.approx((0.9,))


def test_the_command_draws_and_refines(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "napari_segrefiner.models.catalogue.load_model", lambda name: stub_model(bright)
    )
    for part, values in (("truth", truth()), ("images", 200 * (truth() > 0))):
        (tmp_path / part).mkdir()
        write_labels(tmp_path / part / "a.png", values.astype(np.uint8))
    words = ["evaluate", "--effort", "--truth", tmp_path / "truth"]
    words += ["--images", tmp_path / "images", "--json", tmp_path / "e.json"]
    assert main([str(word) for word in words]) == 0
    content = json.loads((tmp_path / "e.json").read_text())
    assert content["n"] == 2
    assert content["refined"][0] > content["drawn"][0]
    assert "points" in capsys.readouterr().out
