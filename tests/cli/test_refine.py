"""``refine`` from files: results, and bad input refused in one sentence."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from napari_segrefiner.cli.main import main
from napari_segrefiner.core.refiner import Refiner
from napari_segrefiner.models.card import Defaults, ModelCard
from napari_segrefiner.models.checkpoint import save_model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import NetworkConfig

TINY = NetworkConfig(
    widths=(8, 16), blocks_down=1, blocks_up=1, attention_strides=(), groups=4
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that always answers "inside": every object fills its band."""
    network = DenoisingUNet(TINY)
    with torch.no_grad():
        network.out[2].weight.zero_()
        network.out[2].bias.fill_(6.0)
    card = ModelCard(
        name="filler",
        description="Answers inside.",
        licence="BSD-3-Clause",
        network=TINY,
        defaults=Defaults(steps=1),
    )
    path = tmp_path_factory.mktemp("model") / "filler.safetensors"
    save_model(path, network.state_dict(), card)
    return path


@pytest.fixture
def files(tmp_path, model):
    """Image and labels as files, and the start of a command that refines them."""
    labels = np.zeros((60, 70), np.uint16)
    labels[10:20, 10:22] = 3
    labels[35:50, 40:60] = 700
    image = np.full((60, 70), 40, np.uint8)
    image[labels > 0] = 200
    tifffile.imwrite(tmp_path / "image.tif", image)
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    return tmp_path


def refine(
    folder, model, *extra, out="out.tif", image="image.tif", labels="labels.tif"
):
    """Run the command with paths in `folder`; returns its exit code."""
    paths = [str(folder / image), str(folder / labels), "-o", str(folder / out)]
    return main(["refine", *paths, "--model", str(model), *extra])


def names(folder):
    """Names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_labels_are_refined_into_a_new_file_and_inputs_stay(files, model, capsys):
    before = [(files / n).read_bytes() for n in names(files)]
    assert refine(files, model) == 0
    refined = tifffile.imread(files / "out.tif")
    coarse = tifffile.imread(files / "labels.tif")
    assert refined.dtype == np.uint16
    assert set(np.unique(refined)) == {0, 3, 700}
    for label in (3, 700):  # the model fills the crop around the object
        assert (refined == label).sum() > (coarse == label).sum()
        assert (refined == label)[coarse == label].all()
    assert [(files / n).read_bytes() for n in ("image.tif", "labels.tif")] == before
    assert capsys.readouterr().out.startswith("2 refined; written to ")


class Terminal(io.StringIO):
    """Takes what is printed, and has the size that its file says."""

    def __init__(self, file):
        super().__init__()
        self._file = file

    def isatty(self):
        """Say that it is one."""
        return True

    def fileno(self):
        """Give the file that is asked for the size."""
        return self._file


def test_a_terminal_shows_the_time_left_and_then_the_sentence_alone(
    files, model, monkeypatch, capsys
):
    """Also one that says that it has no size, as in containers."""
    pty = pytest.importorskip("pty")
    for name in ("image", "labels"):
        stack = np.stack([tifffile.imread(files / f"{name}.tif")] * 5)
        np.save(files / f"{name}.npy", stack)
    paths = {"image": "image.npy", "labels": "labels.npy"}
    monkeypatch.delenv("COLUMNS", raising=False)
    ends = pty.openpty()
    terminal = Terminal(ends[1])
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", terminal)
        assert refine(files, model, **paths) == 0
    for end in ends:
        os.close(end)
    shown = terminal.getvalue()
    assert "Refining:   0%" in shown
    assert " left" in shown
    assert "\n" not in shown  # the bar is wiped out
    assert shown.rsplit("\r", 2)[-2].strip() == ""
    assert capsys.readouterr().out.startswith("10 refined; written to ")
    assert refine(files, model, "--overwrite", **paths) == 0
    assert capsys.readouterr().err == ""  # no terminal, no bar


def test_the_sentence_tells_what_mode_auto_chose(files, model, capsys):
    assert refine(files, model, "--mode", "auto") == 0
    said = capsys.readouterr().out
    assert said.startswith("2 refined; auto took 2 in crops; written to ")
    large = np.zeros((300, 300), np.uint8)
    large[40:260, 50:250] = 1
    tifffile.imwrite(files / "large.tif", large)
    paths = {"image": "large.tif", "labels": "large.tif", "out": "large_out.tif"}
    assert refine(files, model, "--mode", "auto", **paths) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 refined; auto took 1 as a whole; written to ")


def test_labels_saved_as_floats_are_refined_as_integers(files, model):
    labels = tifffile.imread(files / "labels.tif")
    tifffile.imwrite(files / "float.tif", labels.astype(np.float32))
    assert refine(files, model, labels="float.tif") == 0
    assert refine(files, model, out="same.tif") == 0
    refined = tifffile.imread(files / "out.tif")
    assert refined.dtype == np.uint16
    np.testing.assert_array_equal(refined, tifffile.imread(files / "same.tif"))


@pytest.mark.parametrize("who", ["image", "labels"])
def test_axes_and_sizes_of_the_inputs_are_kept(files, model, who):
    stacks = {}
    for name in ("image", "labels"):
        stacks[name] = np.stack([tifffile.imread(files / f"{name}.tif")] * 4)
        np.save(files / f"{name}.npy", stacks[name])
    notes = {"axes": "ZYX", "spacing": 2.5, "unit": "um"}
    path = files / f"{who}.tif"
    tifffile.imwrite(path, stacks[who], imagej=True, resolution=(3, 3), metadata=notes)
    paths = {"image": "image.npy", "labels": "labels.npy", who: f"{who}.tif"}
    for out in ("out.tif", "out.ome.tif"):
        assert refine(files, model, out=out, **paths) == 0
    with tifffile.TiffFile(files / "out.tif") as file:
        assert file.series[0].axes == "ZYX"
        assert file.imagej_metadata["spacing"] == 2.5
        assert file.imagej_metadata["unit"] == "um"
        assert file.pages[0].resolution == (3, 3)
    with tifffile.TiffFile(files / "out.ome.tif") as file:
        assert file.series[0].axes == "ZYX"
        assert 'PhysicalSizeZ="2.5"' in file.ome_metadata
    wide = stacks["labels"].astype(np.int64)
    np.save(files / "wide.npy", wide)
    assert (
        refine(files, model, out="o.ome.tif", labels="wide.npy", image="image.npy") == 2
    )


def test_only_the_named_labels_change(files, model):
    assert refine(files, model, "--ids", "700") == 0
    refined = tifffile.imread(files / "out.tif")
    coarse = tifffile.imread(files / "labels.tif")
    np.testing.assert_array_equal(refined == 3, coarse == 3)
    assert (refined == 700).sum() > (coarse == 700).sum()


def test_ids_next_to_each_other_are_told_apart_however_large(files, model, capsys):
    large = 2**60 + np.uint64(3) * (tifffile.imread(files / "labels.tif") == 3)
    np.save(files / "large.npy", large.astype(np.uint64))
    ids = ["--overwrite", "--ids"]
    assert refine(files, model, *ids, str(2**60 + 3), labels="large.npy") == 0
    assert refine(files, model, *ids, str(2**60 + 1), labels="large.npy") == 2
    assert f"no label {2**60 + 1} in the labels" in capsys.readouterr().err


def test_the_report_is_json_with_every_object_and_the_record(files, model):
    assert refine(files, model, "--ids", "3", "--report", str(files / "r.json")) == 0
    (plane,) = json.loads((files / "r.json").read_text())
    by_id = {entry["id"]: entry for entry in plane["objects"]}
    assert by_id[3]["status"] == "refined"
    assert by_id[700]["status"] == "skipped"
    assert by_id[700]["uncertainty"] is None
    assert plane["record"]["options"]["ids"] == [3]
    assert plane["record"]["model"]["name"] == "filler"


def test_stacks_go_plane_by_plane_with_their_ids(files, model):
    image = np.stack([tifffile.imread(files / "image.tif")] * 3)
    labels = np.stack([tifffile.imread(files / "labels.tif")] * 3)
    labels[1] = 0
    labels[2][labels[2] == 3] = 9
    tifffile.imwrite(files / "stack.tif", image, photometric="minisblack")
    np.save(files / "stack.npy", labels)
    done = refine(files, model, "--ids", "9,700", image="stack.tif", labels="stack.npy")
    assert done == 0
    refined = tifffile.imread(files / "out.tif")
    assert refined.shape == labels.shape
    assert not refined[1].any()
    np.testing.assert_array_equal(refined[0] == 3, labels[0] == 3)
    assert (refined[2] == 9).sum() > (labels[2] == 9).sum()


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_stacks_of_three_planes_as_napari_saves_them(files, model, dtype):
    image = np.stack([tifffile.imread(files / "image.tif")] * 3)
    labels = np.stack([tifffile.imread(files / "labels.tif")] * 3).astype(dtype)
    pinned = np.zeros(labels.shape, np.uint8)
    pinned[:, :15] = 1
    names = {"image": image, "labels": labels, "pinned": pinned}
    for name, array in names.items():
        colours = {"photometric": "rgb", "planarconfig": "separate"}
        tifffile.imwrite(files / f"{name}.tif", array, **colours)
    assert refine(files, model, "--pinned", str(files / "pinned.tif")) == 0
    refined = tifffile.imread(files / "out.tif")
    assert refined.dtype == dtype
    np.testing.assert_array_equal(refined[:, :15], labels[:, :15])
    for plane, coarse in zip(refined, labels, strict=True):
        assert (plane == 700).sum() > (coarse == 700).sum()


def test_a_plane_that_was_not_recorded_is_told_unless_it_has_no_labels(
    files, model, capsys
):
    image = np.stack([tifffile.imread(files / "image.tif").astype(np.float32)] * 2)
    labels = np.stack([tifffile.imread(files / "labels.tif")] * 2)
    image[1] = np.nan
    np.save(files / "stack_im.npy", image)
    np.save(files / "stack.npy", labels)
    assert refine(files, model, image="stack_im.npy", labels="stack.npy") == 2
    error = capsys.readouterr().err
    assert "NaN or infinite everywhere in plane 1, where there are labels" in error
    assert "Refining" not in error  # known before any work
    assert not (files / "out.tif").exists()
    labels[1] = 0
    np.save(files / "stack.npy", labels)
    assert refine(files, model, image="stack_im.npy", labels="stack.npy") == 0


def test_a_plane_without_values_in_the_channels_looked_at_is_told_before_any_work(
    files, model, capsys, monkeypatch
):
    monkeypatch.setattr(Refiner, "steps", lambda *_, **__: pytest.fail("work began"))
    image = np.stack([tifffile.imread(files / "image.tif").astype(np.float32)] * 4)
    image = np.stack([image, image], axis=-1)
    image[2, ..., 1] = image[3, ..., 1] = np.nan
    np.save(files / "stack_im.npy", image)
    np.save(files / "stack.npy", np.stack([tifffile.imread(files / "labels.tif")] * 4))
    paths = {"image": "stack_im.npy", "labels": "stack.npy"}
    assert refine(files, model, "--channels", "1", **paths) == 2
    assert "everywhere in plane 2; 3, where there are" in capsys.readouterr().err


def test_a_run_ends_well_though_its_inputs_were_moved_meanwhile(
    files, model, monkeypatch
):
    def moving(self, *arguments, **keywords):
        for name in ("image.tif", "labels.tif"):
            (files / name).rename(files / f"moved_{name}")
        return steps(self, *arguments, **keywords)

    steps = Refiner.steps
    monkeypatch.setattr(Refiner, "steps", moving)
    assert refine(files, model) == 0
    assert (files / "out.tif").exists()


def test_an_existing_output_is_kept_unless_overwritten(files, model, capsys):
    (files / "out.tif").write_bytes(b"mine")
    assert refine(files, model) == 2
    assert (files / "out.tif").read_bytes() == b"mine"
    assert "exists already" in capsys.readouterr().err
    assert refine(files, model, "--overwrite") == 0
    assert tifffile.imread(files / "out.tif").shape == (60, 70)


def test_the_input_is_never_the_output(files, model, capsys):
    assert refine(files, model, "--overwrite", out="labels.tif") == 2
    assert "is one of the inputs" in capsys.readouterr().err


@pytest.mark.parametrize("named", ["", "filler.safetensors"])
@pytest.mark.parametrize("taken", ["filler.safetensors", "filler.json"])
def test_no_file_of_the_model_is_replaced(files, model, capsys, named, taken):
    folder = files / "folder"
    folder.mkdir()
    for ending in (".safetensors", ".json"):
        source = model.with_suffix(ending)
        content = source.read_bytes() if source.exists() else b"{}"
        (folder / source.name).write_bytes(content)
    before = (folder / taken).read_bytes()
    words = ["--report", str(folder / taken), "--overwrite"]
    assert refine(files, str(folder / named), *words) == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert (folder / taken).read_bytes() == before


@pytest.mark.parametrize("ids", ["", ",", " "])
def test_ids_that_name_no_label_are_not_all_labels(files, model, capsys, ids):
    assert refine(files, model, "--ids", ids) == 2
    assert "--ids names no label; give some" in capsys.readouterr().err
    assert not (files / "out.tif").exists()


def make_bad_files(folder):
    """Files that cannot be used, by name."""
    (folder / "empty.tif").touch()
    (folder / "cut.tif").write_bytes((folder / "image.tif").read_bytes()[:200])
    (folder / "text.png").write_text("no picture")
    np.save(folder / "object.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.save(folder / "float.npy", np.full((60, 70), 0.5))
    np.save(folder / "nan.npy", np.full((60, 70), np.nan))
    np.save(folder / "negative.npy", np.full((60, 70), -1, np.int32))
    np.save(folder / "small.npy", np.ones((5, 5), np.uint8))
    Image.new("L", (70, 60)).save(folder / "labels.jpg")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"image": "missing.tif"}, "missing.tif"),
        ({"image": "empty.tif"}, "empty"),
        ({"image": "cut.tif"}, "cut.tif"),
        ({"image": "text.png"}, "text.png"),
        ({"image": "object.npy"}, "object"),
        ({"image": "nan.npy"}, "NaN or infinite everywhere"),
        ({"labels": "missing.tif"}, "missing.tif"),
        ({"labels": "object.npy"}, "object"),
        ({"labels": "float.npy"}, "float64"),
        ({"labels": "negative.npy"}, "negative"),
        ({"labels": "small.npy"}, "5 x 5"),
        ({"labels": "labels.jpg"}, "JPEG"),
        ({"out": "out.jpg"}, ".tif"),
        ({"out": "out.xyz"}, ".tif"),
        ({"out": "nowhere/out.tif"}, "does not exist"),
        ({"extra": ("--ids", "5")}, "no label 5"),
        ({"extra": ("--ids", "3,x")}, "--ids"),
        ({"extra": ("--device", "tpu")}, "--device"),
        ({"extra": ("--preset", "mine")}, "--preset"),
        ({"extra": ("--steps", "0")}, "from 1 to 6"),
        ({"extra": ("--steps", "many")}, "--steps"),
        ({"extra": ("--padding", "-1")}, "--padding"),
        ({"extra": ("--batch-size", "0")}, "--batch-size"),
        ({"extra": ("--surprise",)}, "--surprise"),
    ],
)
def test_bad_input_gets_one_sentence_and_writes_nothing(
    files, model, capsys, where, said
):
    make_bad_files(files)
    before = names(files)
    where = dict(where)
    code = refine(files, model, *where.pop("extra", ()), **where)
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1
    assert said in error
    assert "usage" not in error
    assert names(files) == before


def test_an_unknown_model_fails_with_the_known_ones(files, capsys):
    assert refine(files, "nonsense") == 2
    assert "no model 'nonsense'" in capsys.readouterr().err
    assert names(files) == ["image.tif", "labels.tif"]


def test_a_model_name_that_the_system_refuses_gets_a_sentence(files, capsys):
    assert refine(files, "a" * 300) == 2
    assert "give a name of the list of models" in capsys.readouterr().err
    assert names(files) == ["image.tif", "labels.tif"]


def test_a_png_that_cannot_hold_the_type_names_the_format_to_use(files, model, capsys):
    labels = tifffile.imread(files / "labels.tif").astype(np.int32)
    np.save(files / "labels.npy", labels)
    assert refine(files, model, labels="labels.npy", out="out.png") == 2
    assert "use .tif" in capsys.readouterr().err


def test_an_interrupt_leaves_nothing(files, model, monkeypatch, capsys):
    from napari_segrefiner.core.refiner import Refiner

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Refiner, "steps", interrupted)
    assert refine(files, model) == 130
    assert names(files) == ["image.tif", "labels.tif"]
    assert capsys.readouterr().err.endswith("Stopped.\n")


def test_pinned_pixels_of_a_file_keep_their_label(files, model):
    labels = tifffile.imread(files / "labels.tif")
    pinned = np.zeros(labels.shape, np.uint8)
    pinned[:, :15] = 255
    Image.fromarray(pinned).save(files / "pinned.png")
    assert refine(files, model, out="free.tif") == 0
    free = tifffile.imread(files / "free.tif")
    assert (free != labels)[:, :15].any()
    assert refine(files, model, "--pinned", str(files / "pinned.png")) == 0
    refined = tifffile.imread(files / "out.tif")
    np.testing.assert_array_equal(refined[:, :15], labels[:, :15])
    assert (refined != labels).any()


def test_a_pinned_mask_of_another_size_is_refused(files, model, capsys):
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(files / "pinned.png")
    assert refine(files, model, "--pinned", str(files / "pinned.png")) != 0
    error = capsys.readouterr().err
    assert "pinned.png has the shape (9, 9)" in error
    assert "out.tif" not in names(files)
