"""Importing weight files: what is accepted, what comes out, what is kept of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from napari_segrefiner.errors import DownloadError, ModelError
from napari_segrefiner.models.card import Grids, ModelCard
from napari_segrefiner.models.catalogue import load_model
from napari_segrefiner.models.checkpoint import read_model, save_model
from napari_segrefiner.models.import_model import import_model
from napari_segrefiner.models.install import WORK_PREFIX
from napari_segrefiner.models.published import published
from napari_segrefiner.network_config import NetworkConfig
from napari_segrefiner.options import PUBLISHED
from tests import golden
from tests.models.official import (
    PREFIX,
    TINY,
    published_content,
    save,
    training_state,
    weights_of,
)


def assert_same_weights(model, weights):
    stored = model.network.state_dict()
    assert stored.keys() == weights.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(stored[name], tensor, rtol=0, atol=0)


@torch.inference_mode()
def test_a_published_style_file_gives_the_golden_logits(tmp_path, folder):
    weights = weights_of(golden.REDUCED)
    path = save(tmp_path / "own run.pth", published_content(weights))
    imported = import_model(path)
    assert imported.name == "own-run"
    model = load_model("own-run")
    assert model.card.network == golden.REDUCED
    stored = golden.load("unet_forward")
    x = torch.from_numpy(stored["input_small"])
    index = torch.from_numpy(stored["small_mixed_t"])
    logits, expected = model.network(x, index), stored["small_mixed_out"]
    golden.check("unet_forward: reduced, imported", logits, expected, 1e-3)


@pytest.mark.slow
@torch.inference_mode()
def test_the_published_network_is_imported_and_gives_the_golden_logits(
    tmp_path, folder
):
    weights = weights_of(NetworkConfig())
    path = save(tmp_path / "segrefiner_lr_latest.pth", published_content(weights))
    del weights
    assert path.stat().st_size > 474_418_764
    imported = import_model(path)
    path.unlink()
    assert imported.name == "segrefiner-lr"
    assert "third party" in imported.notes[0]
    model = load_model("segrefiner-lr")
    imported.weights.unlink()
    stored = golden.load("unet_forward")
    x = torch.from_numpy(stored["input_64"])
    index = torch.from_numpy(stored["full_64_t"][:1].astype("int64"))
    logits, expected = model.network(x, index), stored["full_64_out"][:1]
    golden.check("unet_forward: 128 channels, imported", logits, expected, 1e-3)


@pytest.mark.parametrize(
    "content",
    [
        published_content,
        training_state,
        dict,
        lambda weights: {"state_dict": weights},
        lambda weights: published_content(weights, "module." + PREFIX),
        lambda weights: {"module." + name: t for name, t in weights.items()},
    ],
    ids=["published", "training", "plain", "wrapped", "module published", "module"],
)
def test_every_form_of_the_official_code_is_accepted(tmp_path, folder, content):
    weights = weights_of()
    import_model(save(tmp_path / "run.pth", content(weights)))
    assert_same_weights(load_model("run"), weights)
    assert sorted(p.name for p in folder.iterdir()) == ["run.json", "run.safetensors"]


def test_the_format_of_old_torch_is_accepted(tmp_path, folder):
    weights = weights_of()
    content = published_content(weights)
    path = tmp_path / "old.pth"
    import_model(save(path, content, _use_new_zipfile_serialization=False))
    assert_same_weights(load_model("old"), weights)


def test_the_extension_does_not_matter(tmp_path, folder):
    weights = weights_of()
    import_model(save(tmp_path / "iter_40000", published_content(weights)))
    assert_same_weights(load_model("iter_40000"), weights)
    save_file(weights, tmp_path / "mislabelled.pth")
    import_model(tmp_path / "mislabelled.pth")
    assert_same_weights(load_model("mislabelled"), weights)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_converted_without_loss(tmp_path, folder, dtype):
    weights = {name: t.to(dtype) for name, t in weights_of().items()}
    import_model(save(tmp_path / "run.pth", published_content(weights)))
    as_float32 = {name: t.to(torch.float32) for name, t in weights.items()}
    assert_same_weights(load_model("run"), as_float32)


def test_views_of_one_buffer_are_taken_apart(tmp_path, folder):
    weights = weights_of()
    buffer = torch.cat([tensor.flatten() for tensor in weights.values()])
    views, start = {}, 0
    for name, tensor in weights.items():
        views[name] = buffer[start : start + tensor.numel()].view(tensor.shape)
        start += tensor.numel()
    import_model(save(tmp_path / "flat.pth", views))
    assert_same_weights(load_model("flat"), weights)


def test_the_card_stands_for_the_published_code(tmp_path, folder):
    path = save(tmp_path / "run.pth", published_content(weights_of()))
    imported = import_model(path)
    card = load_model("run").card
    defaults = dataclasses.asdict(card.defaults)
    assert {k: v for k, v in PUBLISHED.items() if k in defaults} == defaults
    assert card.normalisation == "imagenet"
    assert card.grids == Grids(base=256, largest=256, multiple=4, enlarge=256.0)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert card.recipe == {"imported": {"file": "run.pth", "sha256": digest}}
    assert card.sha256 == hashlib.sha256(imported.weights.read_bytes()).hexdigest()
    # the card inside is enough where the one beside it was lost
    imported.weights.with_suffix(".json").unlink()
    assert load_model("run").card == dataclasses.replace(card, sha256="")


def test_a_card_beside_the_checkpoint_says_what_tensors_cannot(tmp_path, folder):
    network = dataclasses.replace(TINY, heads=2, groups=4)
    path = save(tmp_path / "run.pth", published_content(weights_of()))
    card = ModelCard(
        name="Two heads!", description="d", licence="l", network=network, sha256="0"
    )
    path.with_suffix(".json").write_text(card.to_json())
    assert import_model(path).name == "Two-heads"
    model = load_model("Two-heads")
    assert model.network.config == network
    assert model.card.licence == "l"


def test_a_trained_model_is_imported_with_its_card(tmp_path, folder):
    network = dataclasses.replace(TINY, stem="colour_likelihood", head="plain")
    card = ModelCard(name="My cells", description="d", licence="l", network=network)
    weights = weights_of(network)
    save_model(tmp_path / "best.safetensors", weights, card)
    imported = import_model(tmp_path / "best.safetensors")
    assert imported.name == "My-cells"
    model, original = load_model("My-cells"), read_model(tmp_path / "best.safetensors")
    assert_same_weights(model, original.network.state_dict())
    assert model.card.network == network
    assert model.name == "My-cells"
    with safe_open(imported.weights, framework="pt") as file:
        assert file.get_tensor("out.2.bias").dtype == torch.float16


def test_a_model_that_its_card_disowns_is_refused(tmp_path, folder):
    card = ModelCard(name="x", description="d", licence="l", network=TINY)
    path = tmp_path / "x.safetensors"
    save_model(path, weights_of(), card)
    claimed = dataclasses.replace(card, sha256="f" * 64)
    path.with_suffix(".json").write_text(claimed.to_json())
    with pytest.raises(ModelError, match="its card says ffff"):
        import_model(path)
    assert not folder.exists()


def test_published_files_are_known_by_their_names(tmp_path, folder, small_catalogue):
    path = save(tmp_path / "segrefiner_hr_latest.pth", published_content(weights_of()))
    imported = import_model(path)
    assert imported.name == "segrefiner-hr"
    card = load_model("segrefiner-hr").card
    model = published()["segrefiner-hr"]
    assert (card.source, card.citation) == (model.source, model.citation)
    assert card.licence.startswith("Apache-2.0")


def test_a_first_checksum_is_recorded_and_another_file_refused_ever_after(
    tmp_path, folder, small_catalogue
):
    weights = weights_of()
    path = save(tmp_path / "a.pth", published_content(weights))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (note,) = import_model(path, "segrefiner-hr").notes
    assert digest in note
    record = folder / "checksums.txt"
    assert record.read_text() == f"{digest}  segrefiner_hr_latest.pth\n"
    (folder / "segrefiner-hr.safetensors").unlink()
    assert import_model(path, "segrefiner-hr").notes == ()
    (folder / "segrefiner-hr.safetensors").unlink()
    other = save(tmp_path / "b.pth", published_content(weights, prefix=""))
    with pytest.raises(DownloadError, match=digest):
        import_model(other, "segrefiner-hr")
    assert record.read_text() == f"{digest}  segrefiner_hr_latest.pth\n"
    assert not (folder / "segrefiner-hr.safetensors").exists()
    import_model(other, "other")


def test_a_refused_file_leaves_no_checksum(tmp_path, folder, small_catalogue):
    weights = weights_of()
    del weights["out.2.bias"]
    path = save(tmp_path / "segrefiner_hr_latest.pth", published_content(weights))
    with pytest.raises(ModelError, match=r"is not segrefiner-hr: out\.2\.bias"):
        import_model(path)
    assert not (folder / "checksums.txt").exists()


def test_a_second_hand_checksum_is_a_note_only(tmp_path, folder, small_catalogue):
    path = save(tmp_path / "segrefiner_lr_latest.pth", published_content(weights_of()))
    (note,) = import_model(path).notes
    assert "d5806a41" in note
    assert not (folder / "checksums.txt").exists()
    entries = json.loads(small_catalogue.read_text())
    entries["segrefiner-lr"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    small_catalogue.write_text(json.dumps(entries))
    (folder / "segrefiner-lr.safetensors").unlink()
    assert import_model(path).notes == ()


def test_another_network_is_no_published_model(tmp_path, folder, small_catalogue):
    weights = weights_of(dataclasses.replace(TINY, widths=(8, 16, 32)))
    path = save(tmp_path / "segrefiner_lr_latest.pth", published_content(weights))
    first = r"input_blocks\.5\.0\.emb_layers\.1\.bias has the shape \(32,\), \(16,\)"
    with pytest.raises(ModelError, match=f"is not segrefiner-lr: {first}"):
        import_model(path)
    card = ModelCard(name="x", description="", licence="", network=NetworkConfig())
    own = dataclasses.replace(card, network=dataclasses.replace(TINY, heads=2))
    save_model(tmp_path / "own.safetensors", weights_of(), own)
    with pytest.raises(ModelError, match="its network differs"):
        import_model(tmp_path / "own.safetensors", "segrefiner-lr")


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "x" * 65, "ä"])
def test_names_that_are_no_file_names_are_refused(tmp_path, folder, name):
    path = save(tmp_path / "run.pth", published_content(weights_of()))
    with pytest.raises(ModelError, match="cannot be called"):
        import_model(path, name)
    assert not folder.exists()


def test_a_taken_name_is_refused_and_its_model_stays(tmp_path, folder):
    path = save(tmp_path / "run.pth", published_content(weights_of()))
    before = import_model(path).weights.read_bytes()
    for name in (None, "run"):
        with pytest.raises(ModelError, match="remove it first"):
            import_model(path, name)
    with pytest.raises(ModelError, match="in the package; choose another one"):
        import_model(path, "default")
    assert (folder / "run.safetensors").read_bytes() == before


def test_a_closed_folder_is_told(tmp_path, folder):
    folder.write_text("a file where the folder should be")
    path = save(tmp_path / "run.pth", published_content(weights_of()))
    with pytest.raises(ModelError, match=r"cannot be written .* NAPARI_SEGREFINER"):
        import_model(path)


def test_a_failing_disk_leaves_nothing(tmp_path, folder, monkeypatch):
    path = save(tmp_path / "run.pth", published_content(weights_of()))

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_segrefiner.models.checkpoint.save_file", full)
    with pytest.raises(ModelError, match="No space left"):
        import_model(path)
    assert list(folder.iterdir()) == []


def test_work_that_another_program_finishes_meanwhile_is_no_error(
    tmp_path, folder, monkeypatch
):
    plain = Path.glob

    def glob(self, pattern):
        gone = [self / f"{WORK_PREFIX}gone"] if pattern.startswith(WORK_PREFIX) else []
        return iter([*plain(self, pattern), *gone])

    monkeypatch.setattr(Path, "glob", glob)
    path = save(tmp_path / "run.pth", published_content(weights_of()))
    assert import_model(path).weights.is_file()


def test_work_abandoned_by_a_killed_program_is_cleared_after_a_day(tmp_path, folder):
    for name, age in (("old", 25), ("new", 1)):
        work = folder / f".unfinished-{name}"
        work.mkdir(parents=True)
        (work / "part").write_text("x")
        moment = time.time() - age * 3600
        os.utime(work, (moment, moment))
    import_model(save(tmp_path / "run.pth", published_content(weights_of())))
    assert not (folder / ".unfinished-old").exists()
    assert (folder / ".unfinished-new").exists()
