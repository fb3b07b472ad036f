"""Models as files to hand on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from napari_segrefiner.errors import InputError, ModelError, SegRefinerError
from napari_segrefiner.models import checkpoint
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.checkpoint import Model, read_model
from napari_segrefiner.models.export import export_model, read_facts
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import NetworkConfig

TINY = NetworkConfig(
    widths=(8, 16), blocks_down=1, blocks_up=1, attention_strides=(), groups=4
)


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    card = ModelCard(name="a", description="b", licence="c", network=TINY)
    return Model(DenoisingUNet(TINY).eval(), card, sha256="0" * 64)


def test_an_exported_model_is_read_with_its_new_facts(tmp_path, model):
    facts = {"licence": "BSD-3-Clause", "defaults": {"steps": 3}, "network": {"x": 1}}
    path = tmp_path / "mine.safetensors"
    written = export_model(model, path, facts)
    found = read_model(path)
    assert found.card == written
    assert (found.card.licence, found.card.defaults.steps) == ("BSD-3-Clause", 3)
    assert found.card.network == TINY
    assert found.card.sha256 == found.sha256 != model.sha256
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "mine.json",
        "mine.safetensors",
    ]


def test_a_former_card_serves_as_facts(tmp_path, model):
    export_model(model, tmp_path / "old.safetensors", {"licence": "MIT"})
    facts = read_facts(tmp_path / "old.json")
    card = export_model(model, tmp_path / "new.safetensors", facts)
    assert card.licence == "MIT"


def test_existing_files_and_other_endings_are_refused(tmp_path, model):
    path = tmp_path / "mine.safetensors"
    export_model(model, path, {})
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        export_model(model, path, {"licence": "MIT"})
    assert path.read_bytes() == before
    export_model(model, path, {"licence": "MIT"}, overwrite=True)
    with pytest.raises(InputError, match="does not end in"):
        export_model(model, tmp_path / "mine.pth", {})
    with pytest.raises(InputError, match="does not exist"):
        export_model(model, tmp_path / "none" / "mine.safetensors", {})


def test_an_export_that_fails_is_a_sentence_and_leaves_nothing(
    tmp_path, model, monkeypatch
):
    def fill_the_disk(tensors, path, metadata):
        path.write_bytes(b"half of")
        message = "No space left on device"
        raise SafetensorError(message)

    monkeypatch.setattr(checkpoint, "save_file", fill_the_disk)
    with pytest.raises(SegRefinerError, match="No space left"):
        export_model(model, tmp_path / "mine.safetensors", {})
    assert not list(tmp_path.iterdir())


def test_weights_stay_as_they_were_if_their_card_cannot_be_written(
    tmp_path, model, monkeypatch
):
    path = tmp_path / "mine.safetensors"
    path.write_text("precious")

    def fill_the_disk(self, *_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fill_the_disk)
        with pytest.raises(SegRefinerError, match="cannot be written"):
            export_model(model, path, {}, overwrite=True)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_place_of_the_card_is_told_before_anything_is_written(
    tmp_path, model
):
    (tmp_path / "mine.json").mkdir()
    with pytest.raises(InputError, match=r"mine\.json is a folder"):
        export_model(model, tmp_path / "mine.safetensors", {}, overwrite=True)
    assert not (tmp_path / "mine.safetensors").exists()


def test_a_name_as_long_as_the_system_takes_is_exported(tmp_path, model):
    path = tmp_path / ("a" * 243 + ".safetensors")
    export_model(model, path, {})
    assert read_model(path).card.name == "a"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("facts", [{"colour": 1}, {"defaults": {"speed": 1}}])
def test_facts_that_a_card_does_not_know_are_refused(tmp_path, model, facts):
    with pytest.raises(ModelError, match="do not fit"):
        export_model(model, tmp_path / "mine.safetensors", facts)
    assert not list(tmp_path.iterdir())


def test_facts_that_are_none_are_refused(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text(json.dumps([1]))
    with pytest.raises(InputError, match="no JSON object"):
        read_facts(path)
