"""The report: one page with pictures, nothing from elsewhere, every name escaped."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from napari_segrefiner.cli.main import main
from napari_segrefiner.evaluation.drawings import outline
from napari_segrefiner.evaluation.examples import cut_out, pick
from napari_segrefiner.evaluation.pairing import pair_objects
from napari_segrefiner.evaluation.scores import score_image
from napari_segrefiner.io.labels import write_labels

EVIL = "a<script>alert(1)&"


def labels(lack):
    """Six squares of 10 px, each without its first columns."""
    found = np.zeros((20, 90), np.uint8)
    for k, columns in enumerate(lack):
        found[5:15, 15 * k + columns : 15 * k + 10] = k + 1
    return found


@pytest.fixture
def folder(tmp_path):
    for part, values in (
        ("truth", labels([0] * 6)),
        ("coarse", labels([4] * 6)),
        ("better", labels([0, 1, 2, 3, 4, 6])),
        ("images", (labels([0] * 6) > 0) * np.uint8(200)),
    ):
        (tmp_path / part).mkdir()
        write_labels(tmp_path / part / f"{EVIL}.png", values)
    return tmp_path


def evaluate(folder, *more):
    words = ["evaluate", "--truth", folder / "truth", "--coarse", folder / "coarse"]
    return main([str(word) for word in (*words, *more)])


class Tags(HTMLParser):
    """Open tags, to see that all are closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [v for k, v in attrs if k in ("href", "src")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [v for k, v in attrs if k in ("href", "src")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_every_name_is_escaped(folder):
    page = folder / "report.html"
    words = ["--refined", folder / "better", "--images", folder / "images"]
    assert evaluate(folder, *words, "--html", page) == 0
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "a&lt;script&gt;alert(1)&amp;" in text
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.links
    assert all(link.startswith("data:image/png;base64,") for link in tags.links)
    assert not re.search(r"url\(|@import|https?:", text)
    assert text.count('class="card"') == 6
    for title in ("Best", "Median", "Worst"):
        assert f"<h2>{title}" in text
    # The objects gained .4, .3, ... and the last lost.
    assert "(+0.400)" in text
    assert "(-0.200)" in text


def test_coarse_labels_alone_and_no_images_make_a_page_too(folder):
    page = folder / "report.html"
    assert evaluate(folder, "--html", page) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count('class="card"') == 6
    assert "data:image" not in text
    assert "after refinement" not in text
    assert evaluate(folder, "--html", page) == 2


def test_several_sets_get_rows_of_their_own_and_a_mean(tmp_path):
    for name, lack in (("cells", 4), ("dogs", 2)):
        for part, values in (
            ("truth", labels([0] * 6)),
            ("coarse", labels([lack] * 6)),
        ):
            (tmp_path / part / name).mkdir(parents=True)
            write_labels(tmp_path / part / name / "a.png", values)
    page = tmp_path / "report.html"
    assert evaluate(tmp_path, "--html", page) == 0
    text = page.read_text(encoding="utf-8")
    scores = text.split("<tbody>")[1].split("</tbody>")[0]
    rows = [re.sub("<small>.*?</small>|<[^>]+>", " ", row).split()
            for row in scores.split("<tr")[1:]]  # fmt: skip
    names = [" ".join(row[: row.index("coarse")]).split("> ")[-1] for row in rows]
    assert names == ["all objects", "mean of sets", "cells", "dogs"]
    assert [row[row.index("coarse") + 2] for row in rows] == [
        "0.700", "0.700", "0.600", "0.800",
    ]  # fmt: skip


def test_the_best_layer_is_bold_and_the_oracle_cannot_win(folder):
    page = folder / "report.html"
    words = ["--refined", folder / "better", "--baselines", "oracle_band"]
    assert evaluate(folder, *words, "--html", page) == 0
    text = page.read_text(encoding="utf-8").split("<tbody>")[1]
    iou = {
        row.split("</th><th>")[1].split("<")[0]: row.split("<td>")[2].split("</td>")[0]
        for row in text.split("</tbody>")[0].split("<tr")[1:]
    }
    assert iou == {
        "coarse": "0.600",
        "better": "<b>0.733</b>",
        "oracle_band": "0.900",  # three of the four columns
    }


def test_baselines_are_layers_of_the_evaluation(folder, capsys):
    assert evaluate(folder, "--baselines", "nothing") == 2
    assert "--images" in capsys.readouterr().err


def test_the_best_the_middle_and_the_worst_are_picked_once_each():
    truth, coarse = labels([0] * 6), labels([4] * 6)
    layers = {"coarse": coarse, "r": labels([0, 1, 2, 3, 4, 6])}
    scored = score_image("x", truth, layers, pair_objects(truth, coarse))
    found = pick([scored], "r")
    ids = {name: [one.truth_id for one in group] for name, group in found.items()}
    assert ids == {"best": [1, 2], "median": [3, 4], "worst": [6, 5]}


def test_an_object_is_cut_out_with_its_surroundings():
    truth, coarse = labels([0] * 6), labels([4] * 6)
    layers = {"coarse": coarse, "r": coarse}
    scored = score_image("x", truth, layers, pair_objects(truth, coarse))
    picked = pick([scored], "r")["best"][0]
    shown = cut_out("x", picked, None, truth, coarse, coarse)
    assert shown.truth.shape == (20, 22)  # 10 + 2 x 6, as high as the picture
    assert shown.truth.sum() == 100
    assert shown.coarse.sum() == 60


def test_outlines_run_along_the_pixels_edges():
    mask = np.zeros((4, 5), bool)
    mask[1:3, 1:4] = True
    numbers = np.array(re.findall(r"[\d.]+", outline(mask)), float).reshape(-1, 2)
    assert numbers.min(0).tolist() == [1, 1]
    assert numbers.max(0).tolist() == [4, 3]
