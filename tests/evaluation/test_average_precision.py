"""AP through the library equals the golden values; results survive being written."""

import json
import sys

import numpy as np
import pytest

from napari_segrefiner.errors import MissingExtraError
from napari_segrefiner.evaluation.average_precision import average_precision
from napari_segrefiner.evaluation.detections import encode
from napari_segrefiner.evaluation.lvis_on_coco import SYNSETS, is_lvis, on_coco
from napari_segrefiner.io.coco import decode
from tests.golden import check, load


@pytest.fixture(scope="module")
def golden_set():
    pytest.importorskip("faster_coco_eval")
    values = load("metrics")
    height, width = values["coco/size"].tolist()

    def masks(name):
        return np.unpackbits(values[name], axis=-1)[..., :width].astype(bool)

    annotations = {
        "images": [
            {
                "id": i,
                "height": height,
                "width": width,
                "neg_category_ids": [
                    c for c in (1, 2, 3) if values["coco/lvis_neg"][i - 1, c]
                ],
                "not_exhaustive_category_ids": [
                    c for c in (1, 2, 3) if values["coco/lvis_not_exhaustive"][i - 1, c]
                ],
            }
            for i in range(1, 9)
        ],
        "annotations": [
            {
                "id": k + 1,
                "image_id": int(image),
                "category_id": int(category),
                "segmentation": encode(mask),
                "area": int(mask.sum()),
                "bbox": [0, 0, 1, 1],
                "iscrowd": 0,
            }
            for k, (mask, image, category) in enumerate(
                zip(
                    masks("coco/gt_masks"),
                    values["coco/gt_image"],
                    values["coco/gt_cat"],
                    strict=True,
                )
            )
        ],
        "categories": [
            {"id": c, "name": str(c), "frequency": f}
            for c, f in zip((1, 2, 3), "rcf", strict=True)
        ],
    }
    detections = [
        {
            "image_id": int(image),
            "category_id": int(category),
            "segmentation": encode(mask),
            "score": float(score),
        }
        for mask, image, category, score in zip(
            masks("coco/dt_masks"),
            values["coco/dt_image"],
            values["coco/dt_cat"],
            values["coco/dt_score"],
            strict=True,
        )
    ]
    return annotations, detections, values


@pytest.mark.parametrize("kind", ["segm", "boundary"])
@pytest.mark.parametrize("rules", ["coco", "lvis"])
def test_ap_equals_the_reference(golden_set, kind, rules):
    annotations, detections, values = golden_set
    key = f"coco_{kind}_stats" if rules == "coco" else f"coco_lvis_{kind}"
    found = average_precision(annotations, detections, kind, is_lvis=rules == "lvis")
    # The reference says -1 where there is no truth.
    check(f"metrics: {key}", np.nan_to_num([*found.values()], nan=-1), values[key][:6],
          1e-9)  # fmt: skip


def test_nothing_found_is_zero_and_no_truth_is_undefined(golden_set):
    annotations, _, _ = golden_set
    assert average_precision(annotations, [], "segm", is_lvis=False)["AP"] == 0
    empty = {**annotations, "annotations": []}
    assert np.isnan(average_precision(empty, [], "segm", is_lvis=False)["AP"])


def test_a_missing_library_names_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(MissingExtraError, match="pip install faster-coco-eval"):
        average_precision({}, [], "segm", is_lvis=False)


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 1])
def test_run_lengths_are_read_back(share):
    rng = np.random.default_rng(0)
    mask = np.kron(rng.random((40, 30)) < share, np.ones((5, 3))) > 0
    code = json.loads(json.dumps(encode(mask)))
    np.testing.assert_array_equal(decode(code, *mask.shape), mask)


def test_lvis_is_cut_to_the_images_and_categories_of_coco():
    annotations = {
        "images": [
            {"id": 1, "coco_url": "http://x/val2017/1.jpg", "neg_category_ids": [7, 9],
             "not_exhaustive_category_ids": [9]},
            {"id": 2, "coco_url": "http://x/train2017/2.jpg", "neg_category_ids": [],
             "not_exhaustive_category_ids": []},
        ],
        "annotations": [
            {"id": 5, "image_id": 1, "category_id": 7},
            {"id": 6, "image_id": 1, "category_id": 8},
            {"id": 7, "image_id": 2, "category_id": 7},
        ],
        "categories": [
            {"id": 7, "synset": "beef.n.01"},
            {"id": 8, "synset": "unicorn.n.01"},
            {"id": 9, "synset": "frank.n.02"},
        ],
    }  # fmt: skip
    assert is_lvis(annotations)
    found = on_coco(annotations)
    assert [one["id"] for one in found["images"]] == [1]
    assert found["images"][0]["neg_category_ids"] == [21, 58]
    assert found["images"][0]["not_exhaustive_category_ids"] == [58]
    (only,) = found["annotations"]
    assert (only["image_id"], only["category_id"]) == (1, 21)
    assert [one["id"] for one in found["categories"]] == [21, 58]
    assert len(SYNSETS) == len(set(SYNSETS.values())) == 80
