"""Points saved: polygons by number of points, and what refinement makes of them."""

import json
import math

import numpy as np
import pytest

from napari_segrefiner.cli.main import main
from napari_segrefiner.core.refiner import refine
from napari_segrefiner.evaluation.effort import (
    Drawing,
    Effort,
    draw,
    format_effort,
    summarise,
)
from napari_segrefiner.evaluation.effort_files import choose_subjects, draw_subjects
from napari_segrefiner.evaluation.effort_page import effort_page
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
    # Fewer than 4 points were not tried: they might do as well.
    assert "10.0 points, at most 4 with: at least 6.0 saved" in text
    assert "needs 12.0 points, more than 12 with" in text


def test_nothing_is_said_to_be_saved_where_the_fewest_points_do():
    easy = Effort((4, 8), (0.96, 0.97), (0.97, 0.98), 5)
    text = format_effort(easy)
    assert "needs at most 4 points, at most 4 with" in text
    assert "saved" not in text
    page = effort_page(easy, "m")
    assert page.count("&le; 4") == 4
    same = Effort((4, 8), (0.8, 0.9), (0.8, 0.8999), 5)
    assert same.saved_in_words(0.85) == "0.0"  # and not -0.0
    assert "points saved</small>" not in page


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
    # What cannot be used is told, and the rest is drawn.
    write_labels(tmp_path / "truth/alone.png", truth())
    write_labels(tmp_path / "truth/small.png", truth())
    write_labels(tmp_path / "images/small.png", np.zeros((9, 9), np.uint8))
    (tmp_path / "truth/broken.png").write_bytes(b"no picture")
    write_labels(tmp_path / "images/broken.png", truth())
    words = ["evaluate", "--effort", "--truth", tmp_path / "truth"]
    words += ["--images", tmp_path / "images", "--json", tmp_path / "e.json"]
    words += ["--html", tmp_path / "e.html"]
    assert main([str(word) for word in words]) == 0
    content = json.loads((tmp_path / "e.json").read_text())
    assert content["n"] == 2
    assert content["refined"][0] > content["drawn"][0]
    told = capsys.readouterr()
    assert "points" in told.out
    left_out = {one["name"] for one in content["left_out"]}
    assert left_out == {"alone", "small", "broken"}
    assert all(f"{name}: " in told.err for name in left_out)
    page = (tmp_path / "e.html").read_text()
    assert "refined by <b>stub</b>" in page
    assert "http" not in page


def test_objects_of_files_are_drawn_and_refined(tmp_path):
    values = 200 * (truth() > 0)
    for part, planes in (("truth", truth()), ("images", values)):
        (tmp_path / part).mkdir()
        for stem, array in (("a", planes), ("b", planes), ("c", [planes] * 2)):
            path = tmp_path / part / f"{stem}.tif"
            write_labels(path, np.asarray(array, np.uint8))
    folders = tmp_path / "truth", tmp_path / "images"
    assert sum(len(one.ids) for one in choose_subjects(*folders, 3)[0]) == 3
    subjects, left_out = choose_subjects(*folders, 60)
    assert [(one.name, one.ids) for one in subjects] == [("a", (1, 2)), ("b", (1, 2))]
    assert [one.name for one in left_out] == ["c"]
    assert "only planes are drawn" in left_out[0].reason
    (tmp_path / "images" / "b.tif").write_bytes(b"no picture")
    model = stub_model(bright)
    *drawings, lost = draw_subjects(subjects, model)

    def by_model(image, labels):
        return refine(image, labels, model=model).labels

    wanted = draw(values.astype(np.uint8), truth(), (1, 2), by_model, name="a")
    assert summarise(drawings) == summarise(list(wanted))
    assert lost.name == "b"


def test_the_page_draws_both_curves_and_the_points_saved():
    effort = Effort((4, 8, 12), (0.6, 0.8, 0.92), (0.86, 0.9, 0.93), 5)
    page = effort_page(effort, "a<b>")
    assert "a&lt;b&gt;" in page
    assert page.count("<circle") == 6
    assert page.count('class="reached"') == 2
    assert f"{effort.saved(0.85):.1f} points saved" in page
    never = effort_page(Effort((4, 8), (0.5, 0.6), (0.6, 0.7), 5), "m")
    assert "&gt; 8" in never
    assert 'class="reached"' not in never


def test_no_object_to_draw_is_refused(tmp_path, capsys):
    for part in ("truth", "images"):
        (tmp_path / part).mkdir()
        write_labels(tmp_path / part / "a.png", np.zeros((9, 9), np.uint8))
    words = ["--truth", str(tmp_path / "truth"), "--images", str(tmp_path / "images")]
    assert main(["evaluate", "--effort", *words]) == 2
    assert "holds no plane with objects" in capsys.readouterr().err
