"""The demo: follows a run, measures honestly, writes its files and replaces them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from napari_segrefiner.cli import demo
from napari_segrefiner.core.events import (
    BatchDone,
    Event,
    ObjectReport,
    RefineResult,
    RunDone,
    StepDone,
)
from napari_segrefiner.errors import InputError, ModelError, SegRefinerError
from napari_segrefiner.geometry import Box
from napari_segrefiner.io.atomic import make_folder
from napari_segrefiner.io.sample import Sample

LABELS = (1, 2)
BOX = {1: Box(2, 2, 14, 14), 2: Box(20, 20, 36, 36)}


@pytest.fixture
def squares() -> Sample:
    """Two squares, the coarse ones a pixel too small on every side."""
    truth = np.zeros((40, 48), np.uint16)
    coarse = np.zeros_like(truth)
    for label in LABELS:
        truth[BOX[label].slices] = label
        coarse[BOX[label].expand(-1).slices] = label
    return Sample(np.where(truth > 0, 200, 30).astype(np.uint8), coarse, truth)


def oracle_run(sample: Sample) -> Iterator[Event]:
    """Two steps, one object per batch; the second step gives the truth."""
    for label in LABELS:
        box = BOX[label].expand(2)
        for step, labels in enumerate((sample.coarse, sample.truth)):

            def mask(
                place: int, cut: npt.NDArray[np.bool_] = labels[box.slices] == label
            ) -> npt.NDArray[np.bool_]:
                return cut

            yield StepDone(step, 1 - step, 2, (label,), (box,), mask, 0.5)
        yield BatchDone((label,), 0.5)
    report = tuple(
        ObjectReport(label, "refined", 100, 144, 0.69, 0.1, 0.0, BOX[label])
        for label in LABELS
    )
    record = {"model": {"name": "oracle", "sha256": "0123456789abcdef"}}
    yield RunDone(RefineResult(sample.truth.copy(), report, record))


def test_every_step_becomes_a_frame_with_all_objects(squares: Sample) -> None:
    first, last = demo.demonstrate(squares, oracle_run(squares)).frames
    np.testing.assert_array_equal(first, squares.coarse)
    np.testing.assert_array_equal(last, squares.truth)


def test_a_step_gives_up_pixels_and_leaves_neighbours_alone() -> None:
    frame = np.array([[1, 1, 2, 2]], np.uint16)
    mask = np.array([[False, True, True]])
    demo.paint_step(
        frame, StepDone(0, 5, 6, (1,), (Box(0, 0, 1, 3),), lambda place: mask, 0.1)
    )
    np.testing.assert_array_equal(frame, [[0, 1, 2, 2]])


def test_agreement_is_measured_against_the_truth(squares: Sample) -> None:
    done = demo.demonstrate(squares, oracle_run(squares))
    assert done.before[1].iou == pytest.approx(100 / 144)
    assert done.after[1] == demo.Agreement(1.0, 1.0)
    assert "IoU 0.730 before, 1.000 after" in demo.mean_line(done)


def test_a_run_without_a_result_is_an_error(squares: Sample) -> None:
    with pytest.raises(SegRefinerError, match="without a result"):
        demo.demonstrate(squares, [])


def test_folder_holds_labels_summary_and_picture_and_replaces_them(
    squares: Sample, tmp_path: Path
) -> None:
    done = demo.demonstrate(squares, oracle_run(squares))
    folder = make_folder(tmp_path / "demo")
    for name in ("summary.txt", "refinement.png"):
        (folder / name).write_text("from an earlier demo")

    demo.write_demonstration(folder, done)

    assert sorted(path.name for path in folder.iterdir()) == [
        "coarse.tif", "image.png", "refined.tif", "refinement.png", "summary.txt",
        "truth.tif",
    ]  # fmt: skip
    refined = tifffile.imread(folder / "refined.tif")
    assert refined.dtype == np.uint16
    np.testing.assert_array_equal(refined, squares.truth)
    assert (
        "Model: oracle (sha256 0123456789ab), steps: 2."
        in (folder / "summary.txt").read_text()
    )
    with Image.open(folder / "refinement.png") as picture:
        assert picture.width == 1640
        colours = np.unique(np.asarray(picture).reshape(-1, 3), axis=0).tolist()
    for colour in ([255, 138, 76], [255, 209, 82], [82, 222, 151]):
        assert colour in colours


def _run(folder: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return demo.run(parser.parse_args(["-o", str(folder), *words]))


@pytest.mark.parametrize("name", demo.FILES)
def test_files_that_no_demo_wrote_are_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name} is not from an earlier demo"):
        _run(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_a_demo_that_was_interrupted_knows_its_folder_again(
    squares: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    done = demo.demonstrate(squares, oracle_run(squares))
    (tmp_path / "notes.txt").write_text("mine")
    with monkeypatch.context() as patched:
        patched.setattr("napari_segrefiner.io.labels.write_labels", interrupt)
        with pytest.raises(KeyboardInterrupt):
            demo.write_demonstration(tmp_path, done)
    demo.check_folder(tmp_path)
    demo.write_demonstration(tmp_path, done)
    demo.check_folder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*demo.FILES, "notes.txt"}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(InputError, match="choose another"):
        make_folder(tmp_path / "demo")
    assert (tmp_path / "demo").read_text() == "mine"


def test_an_unknown_model_leaves_no_folder_behind(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with pytest.raises(ModelError, match="no such model"):
        _run(folder, "--model", "no such model")
    assert not folder.exists()


def test_defaults_need_no_argument() -> None:
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    arguments = parser.parse_args([])
    assert arguments.output == Path("demo")
    assert arguments.model == "default"
    assert arguments.steps is None
