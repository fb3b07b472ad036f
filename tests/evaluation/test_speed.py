"""The benchmark's scenes are what they say, and its numbers are times of real runs."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_segrefiner.cli.main import main
from napari_segrefiner.core.crops import CropRule
from napari_segrefiner.core.refiner import refine
from napari_segrefiner.evaluation import speed
from napari_segrefiner.evaluation.stages import STAGES, network_flops
from napari_segrefiner.geometry import Box
from napari_segrefiner.models.card import Defaults, ModelCard
from napari_segrefiner.models.checkpoint import save_model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import NetworkConfig
from napari_segrefiner.options import RefineOptions
from tests.core.stubs import stub_model

TINY = NetworkConfig(
    widths=(8, 16), blocks_down=1, blocks_up=1, attention_strides=(), groups=4
)


@pytest.mark.parametrize(("n_objects", "crop"), speed.SCENES)
def test_every_object_of_a_scene_gets_a_crop_of_the_named_size(n_objects, crop):
    rule = CropRule(padding=0.35, min_padding=2)
    scene = speed.make_scene(n_objects, crop, rule.padding, rule.min_padding)
    assert scene.image.shape == scene.labels.shape == (speed.SIDE, speed.SIDE)
    boxes = ndimage.find_objects(scene.labels)
    assert len(boxes) == n_objects
    for rows, columns in boxes:
        box = Box(rows.start, columns.start, rows.stop, columns.stop)
        planned = rule.plan(box, scene.labels.shape)
        assert crop - 2 <= planned.box.height <= crop


def test_scenes_show_their_objects_and_depend_on_the_seed_alone():
    scene = speed.make_scene(16, 128, 0.35, 2)
    again = speed.make_scene(16, 128, 0.35, 2)
    other = speed.make_scene(16, 128, 0.35, 2, seed=1)
    np.testing.assert_array_equal(scene.image, again.image)
    assert (scene.labels != other.labels).any()
    inside, outside = scene.image[scene.labels > 0], scene.image[scene.labels == 0]
    assert inside.mean() > outside.mean() + 40


@pytest.fixture
def threads():
    """Put the number of threads back afterwards."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_benchmark_prints_and_writes_objects_per_second(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(speed, "SCENES", ((2, 32), (1, 48)))
    monkeypatch.setattr(speed, "SIDE", 128)
    card = ModelCard(
        name="tiny",
        description="Untrained.",
        licence="BSD-3-Clause",
        network=TINY,
        defaults=Defaults(steps=2),
    )
    model = tmp_path / "tiny.safetensors"
    save_model(model, DenoisingUNet(TINY).state_dict(), card)
    path = tmp_path / "times.json"
    words = ["benchmark", "--model", model, "--repeats", "1", "--json", path]
    words += ["--precision", "float32", "--threads", "1"]
    before = model.read_bytes()
    taken = [str(word) for word in words[:-5]] + [str(model), "--overwrite"]
    assert main(taken) == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert model.read_bytes() == before
    assert main([str(word) for word in words]) == 0
    content = json.loads(path.read_text())
    assert content["precision"] == "float32"
    assert content["model"] == "tiny"
    assert content["threads"] == 1
    found = [(t["scene"], t["steps"], t["n_objects"]) for t in content["timings"]]
    assert found == [
        ("2 objects in crops of 32 px", 2, 2),
        ("2 objects in crops of 32 px", 6, 2),
        ("1 objects in crops of 48 px", 2, 1),
        ("1 objects in crops of 48 px", 6, 1),
    ]
    for timing in content["timings"]:
        rate = timing["n_objects"] / timing["seconds"]
        assert timing["objects_per_second"] == pytest.approx(rate)
        assert 0 < timing["first_preview"] < timing["seconds"]
        assert sum(timing["shares"].values()) == pytest.approx(1, abs=0.02)
        # A stage whose functions the run does not call would be 0.
        assert all(timing["shares"][stage] > 0 for stage in STAGES)
    assert content["peak_memory"] > 2**20
    first, second = content["timings"][:2]
    assert second["flops"] == 3 * first["flops"] > 0
    assert content["load_seconds"] > 0
    assert content["suppression_seconds"] > 0
    shown = capsys.readouterr().out
    assert "65,536 equal windows" in shown
    assert "tiny on cpu, float32" in shown
    table = [line for line in shown.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 4
    assert len({line.count("|") for line in table}) == 1
    assert main([str(word) for word in words]) == 2
    assert "exists already" in capsys.readouterr().err


def test_operations_of_windows_count(monkeypatch):
    monkeypatch.setattr(speed, "SIDE", 256)
    model = stub_model(DenoisingUNet(TINY))
    scene = speed.make_scene(1, 200, 0.35, 2)
    options = RefineOptions(steps=1, local_steps=1, device="cpu", precision="float32")
    flops = {}
    for windows in (False, True):
        chosen = dataclasses.replace(options, windows=windows)
        flops[windows] = speed._look_inside(model, chosen, scene)[1]
    found = refine(
        scene.image, scene.labels, model=model, options=options, windows=True
    )
    n, side = found.report[0].n_windows, model.card.grids.base
    assert flops[False] == network_flops(model, model.card.grids.largest)
    more = flops[True] - flops[False]
    # Windows without a boundary in them are not shown to the network.
    assert 0 < more <= n * network_flops(model, side)


def test_operations_are_those_of_a_known_network():
    model = stub_model(torch.nn.Conv2d(4, 8, 3, padding=1, bias=False))
    conv = model.network
    conv.forward = lambda x, index, forward=conv.forward: forward(x)
    # 2 x inputs x outputs x kernel x pixels
    assert network_flops(model, 16) == 2 * 4 * 8 * 9 * 16 * 16
