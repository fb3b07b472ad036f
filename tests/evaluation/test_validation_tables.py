"""The tables of a validation, and the file that it goes on from."""

import json
import math

import pytest

from napari_segrefiner.errors import InputError
from napari_segrefiner.evaluation.scores import Total
from napari_segrefiner.evaluation.validation import Row
from napari_segrefiner.evaluation.validation_file import read_rows, write_rows
from napari_segrefiner.evaluation.validation_tables import (
    harmed_cells,
    to_markdown,
    worse_cells,
    worse_line,
)

SETTINGS = {
    "model": {"name": "m"},
    "plan": {"seed": 0},
    "data_files": "a1",
    "runs": {},
    "baselines": {},
}


def row(kind, name, before, after, harmed=0.0):
    """A row; `before` and `after` are IoU and boundary IoU."""

    def layer(scores, **shares):
        names = ("iou", "boundary_iou")
        totals = dict(zip(names, scores, strict=True)) | shares
        return {metric: Total(value, 10) for metric, value in totals.items()}

    refined = layer(after, improved_02=0.5, worse_05=harmed)
    layers = {"coarse": layer(before), "2": refined}
    return Row(kind, name, layers, {"2": 0.25}, {"2": 1})


ROWS = [
    row("eroded", "cells", (0.7, 0.4), (0.8, 0.5)),
    row("eroded", "dogs", (0.7, 0.4), (0.69, 0.45)),
    row("accurate", "cells", (0.99, 0.9), (0.9899, 0.88), harmed=0.04),
]


def table_after(text, heading):
    """Lines of the table below a heading, as lists of cells."""
    below = text.split(f"{heading}\n\n")[1].split("\n\n")[0]
    lines = [line.strip("|").split("|") for line in below.splitlines()]
    return [[cell.strip() for cell in line] for line in lines]


def test_what_fell_below_its_input_is_found_and_by_how_much():
    worse = worse_cells(ROWS, "2")
    assert [(one.kind, one.name, one.by) for one in worse] == [
        ("eroded", "dogs", {"iou": pytest.approx(-0.01)}),
        ("accurate", "cells", {"boundary_iou": pytest.approx(-0.02)}),
    ]
    assert worse_line(ROWS, "2") == (
        "2 steps: 2 of 3 worse than their input: eroded/dogs IoU -0.010; "
        "accurate/cells boundary IoU -0.020"
    )
    assert worse_line(ROWS[:1], "2") == "2 steps: 0 of 1 worse than their input"


def test_more_than_three_objects_in_a_hundred_is_harm():
    rows = [*ROWS, row("eroded", "ants", (0.7, 0.4), (0.8, 0.5), harmed=0.03)]
    assert [(one.kind, one.name) for one in harmed_cells(rows, "2")] == [
        ("accurate", "cells")
    ]


def test_means_count_what_got_worse_and_tell_the_time():
    head, _, coarse, model = table_after(to_markdown(ROWS), "## Means")
    assert coarse[:3] == ["coarse", ".797", ".567"]
    assert dict(zip(head, model, strict=True)) == {
        "": "2 steps",
        "IoU": ".827",
        "boundary IoU": ".610",
        "better": "50.0 %",
        "worse": "1.3 %",
        "lower in IoU": "1",
        "lower in boundary IoU": "1",
        "over 3% worse": "1",
        "ms per object": "25",
        "no answer": "3",
    }


def test_changes_stand_in_one_table_of_sets_and_kinds():
    heading = "### 2 steps: change of IoU / boundary IoU, in .001"
    text = to_markdown(ROWS, left_out=["dogs"])
    assert table_after(text, heading)[0] == ["", "eroded", "accurate"]
    assert table_after(text, heading)[2:] == [
        ["cells", "+100 / +100", "0 / -20▼"],
        ["dogs \\*", "-10▼ / +50", ""],
    ]


def test_every_kind_has_a_table_of_its_sets_with_their_mean():
    table = table_after(to_markdown(ROWS), "### eroded")
    assert table[0] == ["", "cells", "dogs", "**mean**"]
    assert table[2] == ["coarse", ".700 / .400", ".700 / .400", ".700 / .400"]
    assert table[3][1:] == [
        ".800 / .500, 50.0 %, 0.0 %",
        ".690▼ / .450, 50.0 %, 0.0 %",
        ".745 / .475, 50.0 %, 0.0 %",
    ]


def test_sets_left_out_of_the_training_have_means_of_their_own():
    text = to_markdown(ROWS, left_out=["dogs"])
    means = table_after(text, "### Sets left out of the training (\\*)")
    assert means[2][:2] == ["coarse", ".700"]
    assert "left out" not in to_markdown(ROWS)


def test_a_file_gives_its_rows_back(tmp_path):
    path = tmp_path / "scores.json"
    undefined = {"mba": Total(math.nan, 0)}
    layers = {name: layer | undefined for name, layer in ROWS[0].totals.items()}
    rows = [Row("eroded", "cells", layers, {"2": 0.25}, {"2": 1})]
    write_rows(path, SETTINGS, rows)
    (read,) = read_rows(path, SETTINGS)
    assert math.isnan(read.totals["2"].pop("mba").value)
    assert read.totals["2"] == ROWS[0].totals["2"]
    assert (read.kind, read.name) == ("eroded", "cells")
    assert (read.seconds, read.failed) == ({"2": 0.25}, {"2": 1})
    assert read_rows(tmp_path / "none.json", SETTINGS) == []


def test_a_file_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "scores.json"
    write_rows(path, SETTINGS, ROWS)
    with pytest.raises(InputError, match=r"other settings \(plan\)"):
        read_rows(path, {**SETTINGS, "plan": {"seed": 1}})
    with pytest.raises(InputError, match="The data have changed since"):
        read_rows(path, {**SETTINGS, "data_files": "b2"})
    path.write_text(json.dumps([1]))
    with pytest.raises(InputError, match="not written by validate"):
        read_rows(path, SETTINGS)
