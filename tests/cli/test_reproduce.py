"""Reproduce: miniature data sets in the formats of the public ones."""

import json

import numpy as np
import pytest
from PIL import Image

from napari_segrefiner.cli.main import main
from napari_segrefiner.evaluation.detections import refine_detections
from napari_segrefiner.evaluation.figure import draw_figure, places_of_difference
from napari_segrefiner.evaluation.mask_sets import read_grey_mask
from napari_segrefiner.evaluation.published_rows import find_row, row_names
from napari_segrefiner.io.coco import decode
from napari_segrefiner.io.images import read_image
from napari_segrefiner.io.run_lengths import encode
from napari_segrefiner.metrics import iou, mba
from napari_segrefiner.options import RefineOptions
from tests.core.stubs import bright, disk, nothing, oracle, stub_model

SHAPE = (120, 160)


def scene(k=0):
    """A bright disk and a mask that lacks its lower part."""
    truth = disk(SHAPE, 60, 70 + 10 * k, 34)
    coarse = truth.copy()
    coarse[80:] = False
    image = np.full((*SHAPE, 3), 40, np.uint8)
    image[truth] = 210
    return image, truth, coarse


def large(k=0):
    """The same three times as large: the published way needs sides of 256 px."""
    return [array.repeat(3, 0).repeat(3, 1) for array in scene(k)]


@pytest.fixture
def model(monkeypatch):
    """The command's model: it answers where the picture is bright."""
    made = stub_model(bright)
    monkeypatch.setattr(
        "napari_segrefiner.models.catalogue.load_model", lambda name: made
    )
    return made


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def grey(mask):
    return (255 * mask).astype(np.uint8)


def reproduce(*words):
    return main(["reproduce", *map(str, words)])


@pytest.fixture
def big(tmp_path):
    for k in range(2):
        image, truth, coarse = large(k)
        save(tmp_path / "big" / f"obj{k}_im.jpg", image)
        save(tmp_path / "big" / f"obj{k}_gt.png", grey(truth))
        save(tmp_path / "coarse" / f"obj{k}_seg.png", grey(coarse))
    return tmp_path


def test_big_prints_our_numbers_beside_the_paper_s(big, model, capsys):
    words = ["big", "--data", big / "big", "--coarse", big / "coarse"]
    words += ["--row", "PSPNet", "-o", big / "out", "--json", big / "r.json"]
    assert reproduce(*words) == 0
    content = json.loads((big / "r.json").read_text())
    pairs = [large(k)[1:] for k in range(2)]
    both = sum((t & c).sum() for t, c in pairs)
    either = sum((t | c).sum() for t, c in pairs)
    ours = content["ours"]["coarse"]
    assert ours["iou_agg"] == pytest.approx(100 * both / either)
    assert ours["mba"] == pytest.approx(100 * np.mean([mba(t, c) for t, c in pairs]))
    assert content["ours"]["refined"]["iou_agg"] > 95
    assert content["published"]["refined"] == {"iou_agg": 95.3, "mba": 77.46}
    shown = capsys.readouterr().out
    assert "90.49" in shown
    assert f"{ours['iou_agg'] - 90.49:+8.2f}" in shown
    assert "Other weights: stub" in shown
    assert "2 of the paper's 100 images" in shown
    assert "Other coarse masks" in shown
    assert "Other settings" not in shown
    assert "spread (of what is not said): IoU +-0.03 to +-0.06" in shown
    refined = read_image(big / "out" / "obj0.png")
    assert set(np.unique(refined)) == {0, 255}
    assert iou(large()[1], refined > 127) > 0.95
    # The masks that were written score the same again.
    again = [*words[:5], "--refined", big / "out", "--json", big / "s.json"]
    assert reproduce(*again) == 0
    second = json.loads((big / "s.json").read_text())
    assert second["ours"] == content["ours"]


@pytest.mark.parametrize("output", ["DIS-VD/gt", "refined", "coarse"])
def test_masks_are_not_written_over_those_that_are_read(tmp_path, output, capsys):
    image, truth, coarse = scene()
    save(tmp_path / "DIS-VD" / "im" / "a.jpg", image)
    for folder, mask in (("DIS-VD/gt", truth), ("refined", truth), ("coarse", coarse)):
        save(tmp_path / folder / "a.png", grey(mask) // 255 * 200)
    before = (tmp_path / output / "a.png").read_bytes()
    words = ["dis5k", "--data", tmp_path, "--coarse", tmp_path / "coarse"]
    words += ["--set", "VD", "--refined", tmp_path / "refined"]
    assert reproduce(*words, "-o", tmp_path / output, "--overwrite") == 2
    assert "name another folder" in capsys.readouterr().err
    assert (tmp_path / output / "a.png").read_bytes() == before
    assert reproduce(*words, "--json", tmp_path / output / "a.png", "--overwrite") == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert (tmp_path / output / "a.png").read_bytes() == before


def test_dis5k_finds_the_set_and_resizes_grey_masks_before_the_threshold(
    tmp_path, model, capsys
):
    image, truth, coarse = large()
    save(tmp_path / "DIS-TE2" / "im" / "a.jpg", image)
    save(tmp_path / "DIS-TE2" / "gt" / "a.png", grey(truth))
    half = Image.fromarray(grey(coarse)).resize((240, 180), Image.Resampling.BOX)
    save(tmp_path / "net" / "DIS-TE2" / "a.png", np.asarray(half))
    words = ["dis5k", "--data", tmp_path, "--coarse", tmp_path / "net", "--set", "TE2"]
    words += ["--row", "IS-Net", "--json", tmp_path / "r.json"]
    assert reproduce(*words) == 0
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["published"]["coarse"] == {"iou_agg": 67.05, "mba": 74.03}
    expected = 100 * iou(truth, coarse)
    assert content["ours"]["coarse"]["iou_agg"] == pytest.approx(expected, abs=1)
    assert reproduce(*words[:-2], "--preset", "default") == 0
    assert "Other settings: preset default" in capsys.readouterr().out


def test_what_cannot_be_matched_is_told(big, model, capsys):
    (big / "coarse" / "obj1_seg.png").unlink()
    words = ["big", "--data", big / "big", "--coarse", big / "coarse"]
    assert reproduce(*words) == 0
    told = capsys.readouterr()
    assert "no coarse mask of obj1" in told.err
    assert "1 image," in told.out
    assert "--row prints" in told.out
    assert reproduce(*words[:3], "--coarse", big / "none") == 2
    assert reproduce(*words, "--row", "Luck") == 2
    assert "choose from FCN-8s" in capsys.readouterr().err


def test_of_files_in_one_folder_each_is_taken_for_what_it_is(big, capsys):
    folder = big / "big"
    for k in range(2):
        (big / "coarse" / f"obj{k}_seg.png").rename(folder / f"obj{k}_seg.png")
    _, truth, coarse = large()
    save(folder / "obj0_refine.png", grey(truth | np.roll(coarse, 9, axis=1)))
    words = ["big", "--data", folder, "--coarse", folder, "--refined", folder]
    assert reproduce(*words, "--json", big / "r.json") == 0
    assert "no refined mask" not in capsys.readouterr().err  # obj1_seg.png is one
    ours = json.loads((big / "r.json").read_text())["ours"]
    assert ours["coarse"]["iou_agg"] < ours["refined"]["iou_agg"] < 100
    for k in range(2):
        (folder / f"obj{k}_seg.png").unlink()
    assert reproduce(*words) == 2  # the true masks are left, which are no coarse ones
    assert "no coarse mask of obj0" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("channels", [2, 4])
def test_what_hides_pixels_is_no_part_of_a_mask(tmp_path, channels):
    values = np.full((2, 6, channels), 255, np.uint8)
    values[1, :, : channels - 1] = 100
    np.save(tmp_path / "m.npy", values)
    assert read_grey_mask(tmp_path / "m.npy").sum() == 6


@pytest.mark.parametrize(
    ("dtype", "values", "inside"),
    [
        ("uint8", (0, 127, 128, 255), 2),
        ("uint8", (0, 1, 1, 1), 3),
        ("bool", (0, 0, 1, 1), 2),
        ("uint16", (0, 3000, 40000, 65535), 2),
        ("uint16", (0, 127, 128, 255), 2),
        ("uint16", (0, 1000, 1000, 1000), 3),
        ("uint8", (0, 100, 100, 100), 0),
        ("f4", (0, 0.4, 0.6, 1), 2),
        ("f4", (0, 127, 128, 255), 2),
    ],
)
def test_half_of_white_is_where_a_mask_begins(tmp_path, dtype, values, inside):
    np.save(tmp_path / "m.npy", np.array([values], dtype))
    assert read_grey_mask(tmp_path / "m.npy").sum() == inside


def test_an_image_that_does_not_fit_its_masks_is_named(big, model, capsys):
    save(big / "big" / "obj1_im.jpg", scene()[0])
    words = ["big", "--data", big / "big", "--coarse", big / "coarse"]
    assert reproduce(*words) == 2
    told = capsys.readouterr().err
    assert "obj1_im.jpg: The labels are 360 x 480 but the image is 120 x 160" in told


@pytest.fixture
def coco(tmp_path):
    """Two detections of two objects in one image, LVIS annotations."""
    pytest.importorskip("faster_coco_eval")
    image, first, coarse = scene()
    second = disk(SHAPE, 60, 145, 13)
    image[second] = 210
    save(tmp_path / "val2017" / "000000000007.png", image)
    annotations = {
        "images": [
            {"id": 7, "height": SHAPE[0], "width": SHAPE[1],
             "coco_url": "http://x/val2017/000000000007.png",
             "neg_category_ids": [], "not_exhaustive_category_ids": []}
        ],
        "annotations": [
            {"id": k + 1, "image_id": 7, "category_id": 3, "area": int(m.sum()),
             "bbox": [0, 0, 9, 9], "segmentation": encode(m)}
            for k, m in enumerate((first, second))
        ],
        "categories": [{"id": 3, "synset": "dog.n.01", "frequency": "f",
                        "name": "dog"}],
    }  # fmt: skip
    results = [
        {"image_id": 7, "category_id": 18, "score": s, "segmentation": encode(m)}
        for s, m in ((0.9, coarse), (0.8, np.roll(second, 4, axis=0)))
    ]
    (tmp_path / "lvis.json").write_text(json.dumps(annotations))
    (tmp_path / "results.json").write_text(json.dumps(results))
    return tmp_path


def test_coco_refines_every_detection_alone_and_scores_it(coco, model, capsys):
    words = ["coco", "--data", coco / "lvis.json", "--images", coco / "val2017"]
    words += ["--coarse", coco / "results.json", "-o", coco / "refined.json"]
    words += ["--row", "SOLO", "--json", coco / "r.json"]
    assert reproduce(*words) == 0
    before = json.loads((coco / "results.json").read_text())
    after = json.loads((coco / "refined.json").read_text())
    for old, new in zip(before, after, strict=True):
        assert (new["score"], new["category_id"]) == (old["score"], 18)
    assert iou(scene()[1], decode(after[0]["segmentation"], *SHAPE)) > 0.8
    content = json.loads((coco / "r.json").read_text())
    ours = content["ours"]
    assert ours["refined"]["AP"] > ours["coarse"]["AP"]
    assert set(ours["coarse"]) >= {"AP", "AP50", "APL", "bAP", "bAPS"}
    assert content["published"]["refined"]["bAP"] == 31.3
    assert "rules of LVIS" in capsys.readouterr().out


def test_coco_s_own_annotations_are_scored_by_its_own_rules(coco, model, capsys):
    annotations = json.loads((coco / "lvis.json").read_text())
    annotations["info"] = {"description": "COCO 2017 Dataset", "year": 2017}
    annotations["licenses"] = [{"id": 1, "name": "CC BY"}]
    annotations["images"] = [
        {"id": 7, "height": SHAPE[0], "width": SHAPE[1],
         "file_name": "000000000007.png"}
    ]  # fmt: skip
    annotations["categories"] = [{"id": 18, "name": "dog"}]
    for one in annotations["annotations"]:
        one |= {"category_id": 18, "iscrowd": 0}
    (coco / "coco.json").write_text(json.dumps(annotations))
    words = ["coco", "--data", coco / "coco.json", "--images", coco / "val2017"]
    words += ["--coarse", coco / "results.json", "--json", coco / "r.json"]
    assert reproduce(*words) == 0
    ours = json.loads((coco / "r.json").read_text())["ours"]
    assert ours["refined"]["AP"] > ours["coarse"]["AP"] > 0
    assert "rules of COCO" in capsys.readouterr().out


def test_a_detection_that_vanishes_keeps_its_coarse_mask(coco, model, monkeypatch):
    monkeypatch.setattr(
        "napari_segrefiner.models.catalogue.load_model",
        lambda name: stub_model(nothing),
    )
    words = ["coco", "--data", coco / "lvis.json", "--images", coco / "val2017"]
    words += ["--coarse", coco / "results.json", "-o", coco / "refined.json"]
    assert reproduce(*words) == 0
    before = json.loads((coco / "results.json").read_text())
    after = json.loads((coco / "refined.json").read_text())
    assert [a["segmentation"] for a in after] == [b["segmentation"] for b in before]
    rows, columns = np.nonzero(scene()[2])
    x, y, width, height = after[0]["bbox"]
    assert (x, x + width) == (columns.min(), columns.max() + 1)
    assert (y, y + height) == (rows.min(), rows.max() + 1)


def test_the_image_of_a_detection_that_cannot_be_read_is_named(coco, model, capsys):
    results = json.loads((coco / "results.json").read_text())
    results[1]["segmentation"]["size"] = [9, 9]
    (coco / "results.json").write_text(json.dumps(results))
    words = ["coco", "--data", coco / "lvis.json", "--images", coco / "val2017"]
    assert reproduce(*words, "--coarse", coco / "results.json") == 2
    assert "000000000007.png: An outline cannot" in capsys.readouterr().err


def test_detections_of_categories_that_are_not_annotated_are_told(coco, model, capsys):
    results = json.loads((coco / "results.json").read_text())
    results += [{**results[0], "category_id": 1}] * 3
    (coco / "results.json").write_text(json.dumps(results), encoding="utf-8-sig")
    words = ["coco", "--data", coco / "lvis.json", "--images", coco / "val2017"]
    assert reproduce(*words, "--coarse", coco / "results.json") == 0
    told = capsys.readouterr()
    assert "lvis.json are left out: 3." in told.err
    assert "2 detections in 1 images" in told.out


def test_results_are_not_written_over_what_is_read(coco, model, capsys):
    words = ["coco", "--data", coco / "lvis.json", "--images", coco / "val2017"]
    words += ["--coarse", coco / "results.json", "--overwrite"]
    for name, flag in (("results.json", "-o"), ("lvis.json", "--json")):
        before = (coco / name).read_bytes()
        assert reproduce(*words, flag, coco / name) == 2
        assert "is one of the inputs" in capsys.readouterr().err
        assert (coco / name).read_bytes() == before


def test_detections_as_polygons_are_refused(coco, model, capsys):
    results = json.loads((coco / "results.json").read_text())
    results[1]["segmentation"] = [[20, 10, 60, 10, 60, 25, 20, 25]]
    (coco / "results.json").write_text(json.dumps(results))
    words = ["coco", "--data", coco / "lvis.json", "--images", coco / "val2017"]
    assert reproduce(*words, "--coarse", coco / "results.json") == 2
    assert "holds polygons; a results file with" in capsys.readouterr().err


def test_overlapping_detections_do_not_take_pixels_from_each_other(tmp_path):
    first, second = disk(SHAPE, 60, 60, 24), disk(SHAPE, 60, 90, 24)
    save(tmp_path / "i.png", scene()[0])
    given = [
        {"image_id": 7, "category_id": 1, "score": 1.0, "segmentation": encode(mask)}
        for mask in (first, np.zeros(SHAPE, bool), second)
    ]
    (found,) = refine_detections(
        given, {7: tmp_path / "i.png"}, stub_model(oracle), RefineOptions()
    )
    codes = [one["segmentation"] for one in found.detections]
    assert (first & second).any()
    assert codes == [one["segmentation"] for one in given]
    assert (found.image_id, found.n_kept) == (7, 0)
    assert [one["bbox"] for one in found.detections][1] == [0, 0, 0, 0]


def test_files_that_are_none_are_one_line(coco, capsys):
    words = ["coco", "--images", coco / "val2017", "--data", coco / "lvis.json"]
    assert reproduce(*words, "--coarse", coco / "lvis.json") == 2
    assert "no COCO results file" in capsys.readouterr().err
    words[-1] = coco / "results.json"
    assert reproduce(*words, "--coarse", coco / "results.json") == 2
    assert "annotations" in capsys.readouterr().err


def test_published_rows_are_those_of_the_tables():
    assert find_row("big", "FCN-8s").refined == {"iou_agg": 86.95, "mba": 72.81}
    assert find_row("coco", "Mask R-CNN R50").coarse["bAP75"] == 25.2
    assert find_row("dis5k", "IS-Net", "VD").refined["iou_agg"] == 68.27
    assert find_row("big", "") is None
    assert len(row_names("dis5k", "TE4")) == 6


def test_a_figure_shows_every_layer_and_looks_where_they_differ(tmp_path):
    image, truth, coarse = scene()
    layers = {"coarse": coarse.astype(np.uint8), "ours": truth.astype(np.uint8)}
    sheet = draw_figure(image, layers)
    single = draw_figure(image, {"coarse": layers["coarse"]})
    assert sheet.width > single.width
    assert sheet.height > single.height  # close-ups need two layers
    (box, *_) = places_of_difference(list(layers.values()), 2)
    differs = (coarse != truth)[box.slices]
    assert differs.mean() > 0.4
    assert places_of_difference([coarse, coarse], 2) == []
    for name, values in (("i.png", image), ("c.png", grey(coarse)),
                         ("r.png", grey(truth))):  # fmt: skip
        save(tmp_path / name, values)
    words = ["figure", "--image", tmp_path / "i.png", "--coarse", tmp_path / "c.png"]
    words += ["--result", f"ours={tmp_path / 'r.png'}", "-o", tmp_path / "f.png"]
    assert reproduce(*words) == 0
    with Image.open(tmp_path / "f.png") as written:
        assert written.size == sheet.size
    assert reproduce(*words) == 2


def test_a_figure_takes_no_stack_and_replaces_no_input(tmp_path, capsys):
    image, _, coarse = scene()
    for name, values in (("c.npy", coarse), ("s.npy", [coarse] * 2)):
        np.save(tmp_path / name, np.array(values, np.uint8))
    save(tmp_path / "i.png", image)
    before = (tmp_path / "i.png").read_bytes()
    words = ["figure", "--image", tmp_path / "i.png", "-o", tmp_path / "i.png"]
    words += ["--overwrite", "--coarse"]
    assert reproduce(*words, tmp_path / "c.npy") == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert (tmp_path / "i.png").read_bytes() == before
    words[4] = tmp_path / "f.jpg"
    assert reproduce(*words, tmp_path / "c.npy") == 2
    assert "let it end with .png" in capsys.readouterr().err
    words[4] = tmp_path / "f.png"
    assert reproduce(*words, tmp_path / "s.npy") == 2
    assert "coarse has 3 axes" in capsys.readouterr().err
