"""Evaluate: files found by name, totals as JSON, and a list of what is left out."""

import json

import numpy as np
import pytest
import tifffile

from napari_segrefiner import metrics
from napari_segrefiner.cli.main import main
from napari_segrefiner.io.labels import write_labels

METRICS = ["iou", "boundary_iou", "boundary_iou_r02", "iou_agg", "mba"]
CHANGES = ["improved_02", "worse_02", "worse_05", "lost"]
ERRORS = ["fp_near", "fp_far", "fn_near", "fn_far"]
BALANCE = [
    f"{change}{zone}"
    for change in ("fp_removed", "fn_recovered", "fp_added", "fn_added")
    for zone in ("", "_near", "_far")
]


WHOLE = ["aji", "aji_plus", "pq", "seg", "ap_50", "ap_75", "ap_90"]


def picture(seed, n=3):
    """A label image of `n` rectangles."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((50, 30 * n), np.uint16)
    for k in range(n):
        height, width = rng.integers(10, 25, 2)
        labels[10 : 10 + height, 30 * k + 2 : 30 * k + 2 + width] = k + 1
    return labels


def smaller(labels):
    """Every rectangle without its first two rows."""
    return np.where(np.roll(labels, 2, 0) == labels, labels, 0)


@pytest.fixture
def folders(tmp_path):
    """Folders truth, coarse and refined with two pictures each; coarse is worse."""
    for name in ("truth", "coarse", "refined"):
        (tmp_path / name).mkdir()
    for k, stem in enumerate(("a", "b")):
        truth = picture(k)
        write_labels(tmp_path / "truth" / f"{stem}.png", truth)
        write_labels(tmp_path / "coarse" / f"{stem}.tif", smaller(truth))
        write_labels(tmp_path / "refined" / f"{stem}.npy", truth)
    return tmp_path


def evaluate(folder, *more):
    """Run the command on the three folders; exit code."""
    return main(
        [
            "evaluate",
            *("--truth", str(folder / "truth")),
            *("--coarse", str(folder / "coarse")),
            *map(str, more),
        ]
    )


def totals(path):
    """The JSON's content; Python's own NaN is no JSON and fails."""
    return json.loads(path.read_text(), parse_constant=pytest.fail)


def test_totals_are_those_of_the_pictures(folders, capsys):
    path = folders / "scores.json"
    assert evaluate(folders, "--refined", folders / "refined", "--json", path) == 0
    content = totals(path)
    assert next(iter(content)) == "totals"
    assert list(content)[-1] == "images"
    assert list(content["totals"]) == ["coarse", "refined"]
    coarse, refined = content["totals"]["coarse"], content["totals"]["refined"]
    assert list(coarse) == METRICS + ERRORS + WHOLE
    assert list(refined) == METRICS + CHANGES + BALANCE + WHOLE
    pairs = [(picture(k), smaller(picture(k))) for k in range(2)]
    values = [metrics.iou(t == i, c == i) for t, c in pairs for i in (1, 2, 3)]
    assert coarse["iou"] == {"value": pytest.approx(np.mean(values)), "n": 6}
    sums = np.sum([metrics.overlap(t > 0, c > 0) for t, c in pairs], axis=0)
    assert coarse["iou_agg"] == {"value": pytest.approx(sums[0] / sums[1]), "n": 2}
    accuracy = np.mean([metrics.mba(t > 0, c > 0) for t, c in pairs])
    assert coarse["mba"] == {"value": pytest.approx(accuracy), "n": 2}
    assert refined["iou"] == {"value": 1.0, "n": 6}
    assert refined["improved_02"] == {"value": 1.0, "n": 6}
    assert refined["worse_05"] == {"value": 0.0, "n": 6}
    table = capsys.readouterr().out
    assert f"{np.mean(values):.4f}" in table


def test_json_lists_every_object_of_every_image(folders):
    path = folders / "scores.json"
    evaluate(folders, "--json", path)
    images = totals(path)["images"]
    assert [image["name"] for image in images] == ["a", "b"]
    ids = [entry["truth_id"] for entry in images[1]["objects"]]
    assert ids == [1, 2, 3]
    truth = picture(1)
    expected = metrics.iou(truth == 2, smaller(truth) == 2)
    assert images[1]["objects"][1]["coarse"]["iou"] == pytest.approx(expected)


def test_masks_of_0_and_255_match_masks_of_0_and_1(folders):
    for stem in "ab":
        mask = picture(3) > 0
        write_labels(folders / "truth" / f"{stem}.png", mask.astype(np.uint8), True)
        coarse = (255 * mask).astype(np.uint8)
        write_labels(folders / "coarse" / f"{stem}.tif", coarse, True)
        refined = np.where(mask, 1, 0).astype(np.uint8)
        write_labels(folders / "refined" / f"{stem}.npy", refined, True)
    for pairing in ("auto", "id", "overlap"):
        path = folders / f"{pairing}.json"
        words = ["--refined", folders / "refined", "--pair", pairing, "--json", path]
        assert evaluate(folders, *words) == 0
        for layer in ("coarse", "refined"):
            assert totals(path)["totals"][layer]["iou"] == {"value": 1.0, "n": 2}


def test_an_object_that_is_called_255_keeps_its_name(folders):
    for name, stems in (("truth", "b.png"), ("coarse", "b.tif"), ("refined", "b.npy")):
        (folders / name / stems).unlink()
    labels = np.where(picture(0) == 1, 255, picture(0))
    write_labels(folders / "coarse" / "a.tif", labels, True)
    alone = np.where(labels == 255, 255, 0).astype(np.uint8)
    write_labels(folders / "refined" / "a.npy", alone, True)
    path = folders / "scores.json"
    words = ["--refined", folders / "refined", "--pair", "overlap", "--json", path]
    assert evaluate(folders, *words) == 0
    objects = totals(path)["images"][0]["objects"]
    assert [one["coarse"]["iou"] for one in objects] == [1, 1, 1]
    assert [one["refined"]["iou"] for one in objects] == [1, 0, 0]


def test_an_object_that_is_called_255_is_paired_by_its_number(folders):
    for name, stems in (("truth", "b.png"), ("coarse", "b.tif")):
        (folders / name / stems).unlink()
    truth = np.where(picture(0) == 1, 255, picture(0)).astype(np.uint8)
    write_labels(folders / "truth" / "a.png", truth, True)
    alone = np.where(truth == 255, 255, 0).astype(np.uint8)
    write_labels(folders / "coarse" / "a.tif", alone, True)
    path = folders / "scores.json"
    assert evaluate(folders, "--pair", "id", "--json", path) == 0
    objects = totals(path)["images"][0]["objects"]
    assert {one["truth_id"]: one["coarse"]["iou"] for one in objects}[255] == 1


def test_pairing_by_id_scores_equal_numbers_only(folders):
    swapped = np.array([0, 2, 1, 3], np.uint16)[picture(0)]
    write_labels(folders / "coarse" / "a.tif", swapped, True)
    (folders / "truth" / "b.png").unlink()
    (folders / "coarse" / "b.tif").unlink()
    by = {}
    for pairing in ("id", "overlap"):
        path = folders / f"{pairing}.json"
        evaluate(folders, "--pair", pairing, "--json", path)
        by[pairing] = totals(path)["totals"]["coarse"]["iou"]["value"]
    assert by == {"id": pytest.approx(1 / 3), "overlap": 1.0}


def test_sets_in_folders_get_their_own_totals_and_a_mean(folders, capsys):
    root = folders / "sets"
    for k, name in enumerate(("cells", "streets")):
        for role, change in (("truth", lambda t: t), ("coarse", smaller)):
            (root / name / role).mkdir(parents=True)
            for j in range(k + 1):
                labels = change(picture(10 * k + j))
                write_labels(root / name / role / f"p{j}.png", labels)
    path = folders / "scores.json"
    words = ["evaluate", "--truth", root, "--coarse", root, "--json", path]
    assert main([str(word) for word in words]) == 0
    content = totals(path)
    values = [content["sets"][n]["coarse"]["iou"] for n in ("cells", "streets")]
    assert [value["n"] for value in values] == [3, 6]
    mean = content["mean_of_sets"]["coarse"]["iou"]
    expected = np.mean([value["value"] for value in values])
    assert mean == {"value": pytest.approx(expected), "n": 2}
    assert "mean of sets" in capsys.readouterr().out


def test_stacks_are_scored_plane_by_plane(folders):
    stack = np.stack([picture(0), np.zeros_like(picture(0)), picture(0)])
    write_labels(folders / "truth" / "z.tif", stack)
    write_labels(
        folders / "coarse" / "z.tif", smaller(stack.swapaxes(0, 1)).swapaxes(0, 1)
    )
    path = folders / "scores.json"
    assert evaluate(folders, "--json", path) == 0
    names = [image["name"] for image in totals(path)["images"]]
    assert names == ["a", "b", "z[0]", "z[2]"]


def test_what_is_left_out_is_listed_and_not_scored(folders, capsys):
    write_labels(folders / "truth" / "alone.png", picture(4))
    write_labels(folders / "coarse" / "stray.png", picture(4))
    write_labels(folders / "truth" / "small.png", picture(4))
    write_labels(folders / "coarse" / "small.png", picture(4)[:40])
    write_labels(folders / "truth" / "nothing.png", 0 * picture(4))
    write_labels(folders / "coarse" / "nothing.png", picture(4))
    (folders / "truth" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    write_labels(folders / "coarse" / "broken.png", picture(4))
    path = folders / "scores.json"
    assert evaluate(folders, "--json", path) == 0
    content = totals(path)
    left_out = {one["name"]: one["reason"] for one in content["left_out"]}
    assert left_out.keys() == {"alone", "stray", "small", "nothing", "broken"}
    assert "50 x 90 but coarse is 40 x 90" in left_out["small"]
    assert content["totals"]["coarse"]["iou"]["n"] == 6
    told = capsys.readouterr().err
    assert all(name in told for name in left_out)


def test_coarse_labels_without_truth_are_listed(folders):
    surplus = picture(0)
    surplus[45:, :5] = 9
    write_labels(folders / "coarse" / "a.tif", surplus, True)
    path = folders / "scores.json"
    assert evaluate(folders, "--json", path) == 0
    content = totals(path)
    assert "without truth: 9" in content["left_out"][0]["reason"]
    assert content["totals"]["coarse"]["iou"]["n"] == 6


def test_refined_labels_that_were_renumbered_are_listed(folders):
    renumbered = picture(0)
    renumbered[renumbered == 2] = 70
    write_labels(folders / "refined" / "a.npy", renumbered, True)
    path = folders / "scores.json"
    assert evaluate(folders, "--refined", folders / "refined", "--json", path) == 0
    (told,) = totals(path)["left_out"]
    assert told["name"] == "a"
    assert told["reason"].startswith("Labels of refined that no coarse label is called")
    assert "called: 70;" in told["reason"]


def test_refined_labels_whose_numbers_were_exchanged_are_listed(folders):
    labels = picture(0)
    exchanged = np.where(labels == 1, 2, np.where(labels == 2, 1, labels))
    write_labels(folders / "refined" / "a.npy", exchanged.astype(labels.dtype), True)
    path = folders / "scores.json"
    assert evaluate(folders, "--refined", folders / "refined", "--json", path) == 0
    (told,) = totals(path)["left_out"]
    assert "nowhere on that of their number: 1, 2;" in told["reason"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--coarse", "."], "The following arguments are required: --truth"),
        (["--truth", "truth"], "--coarse is missing"),
        (["--truth", "truth", "--effort"], "--effort needs --images"),
        (
            ["--truth", "t", "--effort", "--images", "i", "--coarse", "c"],
            "leave --coarse out",
        ),
        (
            ["--truth", "t", "--effort", "--images", "i", "--baselines", "all"],
            "leave --baselines out",
        ),
        (["--truth", "none", "--coarse", "."], "none is not a folder"),
        (["--truth", "empty", "--coarse", "coarse"], "No label file in empty"),
        (["--truth", "truth", "--coarse", "other"], "No label file in truth"),
        (["--truth", "truth", "--coarse", "coarse", "--pair", "luck"], "--pair"),
        (
            ["--truth", "truth", "--coarse", "coarse", "--json", "truth/a.png"],
            "exists already",
        ),
        (
            ["--truth", "truth", "--coarse", "coarse", "--refined", "coarse"],
            "Two folders are called coarse",
        ),
    ],
)
def test_wrong_arguments_are_one_line(folders, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(folders)
    (folders / "empty").mkdir()
    (folders / "other").mkdir()
    write_labels(folders / "other" / "x.png", picture(0))
    before = sorted(folders.rglob("*"))
    assert main(["evaluate", *words]) == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert sorted(folders.rglob("*")) == before


def test_nothing_to_score_is_an_error(folders, capsys):
    for stem in "ab":
        write_labels(folders / "coarse" / f"{stem}.tif", picture(0)[:9], True)
    assert evaluate(folders) == 2
    assert "No picture could be scored" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoilt", "said", "not_said"),
    [
        ("images", "No image in", "holds no plane"),
        ("truth", "holds no plane with objects", "No image"),
    ],
)
def test_effort_tells_whether_images_or_objects_are_missing(
    folders, capsys, spoilt, said, not_said
):
    (folders / "images").mkdir()
    for stem in "ab":
        image, truth = (folders / part / f"{stem}.png" for part in ("images", "truth"))
        write_labels(image, picture(0))
        if spoilt == "images":
            image.write_bytes(b"no picture")
        else:
            write_labels(truth, 0 * picture(0), overwrite=True)
    words = ["--truth", folders / "truth", "--images", folders / "images", "--effort"]
    assert main(["evaluate", *map(str, words)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert not_said not in told
    assert ("b.png" in told) == (spoilt == "images")


def test_one_file_for_two_outputs_is_refused_before_any_work(folders, capsys):
    out = folders / "out.json"
    assert evaluate(folders, "--json", out, "--html", out) == 2
    assert "named twice" in capsys.readouterr().err
    assert not out.exists()


def test_a_file_that_is_the_truth_itself_is_not_scored(folders, capsys):
    path = folders / "refined" / "b.npy"
    path.unlink()
    path.with_suffix(".png").symlink_to(folders / "truth" / "b.png")
    assert evaluate(folders, "--refined", folders / "refined") == 0
    told = capsys.readouterr()
    assert "b: " in told.err
    assert "is given both as the truth and as refined" in told.err
    assert "1 picture scored" in told.out
    words = ["--truth", folders / "truth", "--coarse", folders / "truth"]
    assert main(["evaluate", *map(str, words)]) == 2
    assert "a.png is given both as the truth and" in capsys.readouterr().err


def test_a_folder_that_holds_truth_and_coarse_is_one_set(folders):
    path = folders / "scores.json"
    words = ["--truth", folders, "--coarse", folders, "--refined", folders]
    assert main(["evaluate", *map(str, words), "--json", str(path)]) == 0
    content = totals(path)
    assert [image["name"] for image in content["images"]] == ["a", "b"]
    assert content["totals"]["coarse"]["iou"]["value"] < 1
    assert content["left_out"] == []


def test_sets_beside_a_stray_file_are_told(folders, capsys):
    (folders / "sets").mkdir()
    for name in ("truth", "coarse"):
        (folders / name).rename(folders / "sets" / name)
    (folders / "sets").rename(folders / "cells")
    write_labels(folders / "preview.png", picture(0))
    words = ["evaluate", "--truth", str(folders), "--coarse", str(folders)]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "preview.png is given both" in told
    assert "cells is not scored" in told
    other = folders / "other"
    other.mkdir()
    write_labels(other / "preview.png", picture(0))
    assert main([*words[:3], "--coarse", str(other)]) == 0
    assert capsys.readouterr().err.count("cells is not scored") == 1


@pytest.mark.parametrize("name", ["truth/b.png", "coarse/b.tif"])
@pytest.mark.parametrize(
    "more", [["--coarse", "coarse"], ["--effort", "--images", "coarse"]]
)
def test_what_is_scored_is_not_replaced(folders, monkeypatch, capsys, name, more):
    monkeypatch.chdir(folders)
    before = (folders / name).read_bytes()
    words = ["evaluate", "--truth", "truth", *more, "--json", name, "--overwrite"]
    assert main(words) == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert (folders / name).read_bytes() == before


def test_a_second_file_of_the_same_name_is_told(folders, capsys):
    write_labels(folders / "coarse" / "a.npy", picture(0))
    assert evaluate(folders) == 0
    told = capsys.readouterr().err
    assert "a.npy is not used" in told
    assert "a.tif has the same name" in told


def test_stacks_of_three_planes_as_napari_saves_them_are_scored(tmp_path, capsys):
    colours = {"photometric": "rgb", "planarconfig": "separate"}
    truth = np.stack([picture(k) for k in range(3)])
    coarse = np.stack([smaller(plane) for plane in truth])
    for name, labels in (("truth", truth), ("coarse", coarse), ("images", coarse)):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "a.tif", labels, **colours)
    assert evaluate(tmp_path, "--json", tmp_path / "all.json") == 0
    assert "colour picture" not in capsys.readouterr().err
    images = ("--images", tmp_path / "images", "--json", tmp_path / "same.json")
    assert evaluate(tmp_path, *images) == 0
    text = (tmp_path / "all.json").read_text()
    assert "a[2]" in text
    assert (tmp_path / "same.json").read_text() == text
