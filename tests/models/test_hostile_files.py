"""Broken and hostile weight files: one sentence each, nothing run, nothing left."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.catalogue import FOLDER_VARIABLE
from napari_segrefiner.models.checkpoint import save_model
from napari_segrefiner.models.import_model import import_model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.network_config import NetworkConfig
from tests.models.official import TINY, published_content, save, weights_of

#: Each writes the file it is given the path of.
Maker = Callable[[Path], object]


class Zeros:
    """Unpickling this takes memory: bytearray is harmless otherwise."""

    def __reduce__(self) -> object:
        return bytearray, (2**34,)


class Code:
    """Unpickling this makes a folder: the proof that something was executed."""

    def __init__(self, path: Path) -> None:
        self.proof = str(path.with_name("executed"))

    def __reduce__(self) -> object:
        return os.mkdir, (self.proof,)


def changed(**tensors: torch.Tensor | None) -> Maker:
    """A checkpoint with some tensors replaced, or left out where None is given."""

    def make(path: Path) -> None:
        weights = weights_of() | {n.replace("__", "."): t for n, t in tensors.items()}
        content = {name: t for name, t in weights.items() if t is not None}
        save(path, published_content(content))

    return make


def safetensors(header: object, data: bytes = b"", length: int | None = None) -> Maker:
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()

    def make(path: Path) -> None:
        size = len(text) if length is None else length
        path.write_bytes(struct.pack("<Q", size) + text + data)

    return make


def archive(path: Path) -> bytes:
    """A sound checkpoint as bytes."""
    save(path, published_content(weights_of()))
    return path.read_bytes()


def cut(share: float) -> Maker:
    def make(path: Path) -> None:
        whole = archive(path)
        path.write_bytes(whole[: int(len(whole) * share)])

    return make


def packed_bomb(path: Path) -> None:
    """30 MB of zeros in 30 kB, where the unpickler would look first."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x/data.pkl", bytes(30 * 2**20))
        file.writestr("x/version", "3\n")


def overlapping_bomb(path: Path) -> None:
    """One member that the directory lists a hundred times."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data/0", bytes(2**16))
        file.filelist *= 100


def big_pickle(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", bytes(16 * 2**20 + 1))


def many_members(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", b"N.")
        file.filelist *= 20_001


def member_beyond_the_end(path: Path) -> None:
    """The directory's first offset, at byte 42 of its entry, points far away."""
    whole = bytearray(archive(path))
    directory = whole.index(b"PK\x01\x02")
    whole[directory + 42 : directory + 46] = struct.pack("<I", 2**31)
    path.write_bytes(whole)


def storage_beyond_the_end(path: Path) -> None:
    """A tensor of 2**40 values whose storage has four."""

    class Long:
        def __reduce__(self) -> object:
            arguments = (torch.zeros(4).untyped_storage(), 0, (2**40,), (1,), False, {})
            return torch._utils._rebuild_tensor_v2, arguments

    save(path, {"a": torch.zeros(1)})
    content = {"out.2.bias": Long()}
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=2)
    pickler.persistent_id = lambda thing: (  # type: ignore[method-assign]
        ("storage", torch.FloatStorage, "0", "cpu", 2**40)
        if isinstance(thing, torch.UntypedStorage)
        else None
    )
    pickler.dump(content)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", buffer.getvalue())
        file.writestr("x/byteorder", "little")
        file.writestr("x/data/0", bytes(16))
        file.writestr("x/version", "3\n")


def claims(path: Path) -> None:
    """The published network's 475 MB from tensors of one value each."""
    with torch.device("meta"):
        shapes = dict(DenoisingUNet(NetworkConfig()).named_shapes())
    save(path, {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()})


def foreign_card(path: Path) -> None:
    """Tiny weights with the card of a large network."""
    card = ModelCard(name="x", description="", licence="", network=NetworkConfig())
    save_model(path, weights_of(), card)


def pickled(content: Callable[[Path], object], **options: object) -> Maker:
    return lambda path: save(path, content(path), **options)


NAN, INFINITE = torch.tensor([torch.nan]), torch.tensor([torch.inf])
OLD = {"_use_new_zipfile_serialization": False}
BIAS = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}

FILES: dict[str, tuple[str, Maker, str]] = {
    "code in a checkpoint": (
        "x.pth",
        pickled(lambda p: {"a": Code(p)}),
        "nothing was executed",
    ),
    "code in old format": (
        "x.pth",
        pickled(lambda p: {"a": Code(p)}, **OLD),
        "nothing was executed",
    ),
    "code beside the weights": (
        "x.pth",
        pickled(lambda p: {"state_dict": weights_of(), "meta": Code(p)}),
        "asks for posix.mkdir,|asks for nt.mkdir,",
    ),
    "call that takes memory": (
        "x.pth",
        pickled(lambda p: [Zeros()]),
        "asks for __builtin__.bytearray,",
    ),
    "call that takes memory in old format": (
        "x.pth",
        pickled(lambda p: [Zeros()], **OLD),
        "asks for __builtin__.bytearray,",
    ),
    "code in new pickle": (
        "x.pth",
        pickled(lambda p: {"a": Code(p)}, pickle_protocol=4),
        "asks for STACK_GLOBAL,",
    ),
    "plain pickle": (
        "x.pth",
        lambda p: p.write_bytes(pickle.dumps(Code(p))),
        "no weight file",
    ),
    "whole network, not its weights": (
        "x.pth",
        pickled(lambda p: DenoisingUNet(TINY)),
        "asks for napari_segrefiner.network.DenoisingUNet,",
    ),
    "packed bomb": ("x.pth", packed_bomb, r"unpacks to 31,457,2\d\d in 2 members"),
    "overlapping bomb": ("x.pth", overlapping_bomb, "unpacks to 6,553,600 in 100"),
    "big pickle": ("x.pth", big_pickle, "16,777,217 bytes beside the tensors"),
    "many members": ("x.pth", many_members, "in 20,001 members"),
    "member beyond the end": ("x.pth", member_beyond_the_end, "beyond|no complete"),
    "storage beyond the end": ("x.pth", storage_beyond_the_end, "no complete"),
    "475 MB claimed by 0.1 MB": ("x.pth", claims, "its tensors claim 474,418,692"),
    "half a file": ("x.pth", cut(0.5), "no complete checkpoint"),
    "nearly whole file": ("x.pth", cut(0.999), "no complete checkpoint"),
    "a few bytes": ("x.pth", lambda p: p.write_bytes(b"PK\x03\x04"), "no complete"),
    "cut old file": (
        "x.pth",
        lambda p: (
            save(p, weights_of(), **OLD),
            p.write_bytes(p.read_bytes()[:9000]),
        ),
        "no complete",
    ),
    "empty": ("x.pth", lambda p: p.touch(), "no weight file"),
    "text": ("x.pth", lambda p: p.write_text("version 1\n"), "no weight file"),
    "web page": (
        "x.pth",
        lambda p: p.write_text("\n<!DOCTYPE html><title>Sign in</title>"),
        r'a web page \("Sign in"\)',
    ),
    "another archive": (
        "x.pth",
        lambda p: zipfile.ZipFile(p, "w").writestr("word/document.xml", "<x/>"),
        "without a checkpoint in it",
    ),
    "missing": ("x.pth", lambda p: None, "No such file"),
    "folder": ("x.pth", lambda p: p.mkdir(), "cannot be read"),
    "list in place of names": (
        "x.pth",
        pickled(lambda p: [torch.zeros(1)]),
        "is of type list",
    ),
    "number in place of a tensor": (
        "x.pth",
        pickled(lambda p: {"a": 1}),
        "x.pth: a is of type int",
    ),
    "numbers in place of names": (
        "x.pth",
        pickled(lambda p: {3: torch.zeros(1)}),
        "no tensor's name",
    ),
    "lines in a name": (
        "x.pth",
        changed(**{"a\nb": torch.zeros(1)}),
        "no tensor's name",
    ),
    "endless name": (
        "x.pth",
        changed(**{"a" * 201: torch.zeros(1)}),
        "no tensor's name",
    ),
    "other network": (
        "x.pth",
        pickled(lambda p: {"conv1.weight": torch.zeros(3)}),
        "no weights of this network",
    ),
    "tensor under two prefixes": (
        "x.pth",
        pickled(lambda p: weights_of() | {"module.out.0.bias": torch.zeros(8)}),
        "out.0.bias under two prefixes",
    ),
    "sparse tensor": (
        "x.pth",
        changed(out__0__bias=torch.eye(8).to_sparse()),
        "asks for torch._utils._rebuild_sparse_tensor,",
    ),
    "tensor without values": (
        "x.pth",
        changed(out__0__bias=torch.zeros(8, device="meta")),
        "asks for torch._utils._rebuild_meta_tensor_no_storage,",
    ),
    "tensor missing": (
        "x.pth",
        changed(out__0__bias=None),
        "out.0.bias has the shape none",
    ),
    "tensor too many": (
        "x.pth",
        changed(zz=torch.zeros(1)),
        r"zz has the shape \(1,\), none",
    ),
    "wrong shape": (
        "x.pth",
        changed(out__2__bias=torch.zeros(2)),
        r"out.2.bias has the shape \(2,\), \(1,\) is expected",
    ),
    "other number of steps": (
        "x.pth",
        changed(time_embed__weight=torch.zeros(10, 32)),
        r"time_embed.weight has the shape \(10, 32\), \(6, 32\)",
    ),
    "whole numbers": (
        "x.pth",
        changed(out__2__bias=torch.ones(1, dtype=torch.int32)),
        "holds torch.int32; floats are expected",
    ),
    "complex numbers": (
        "x.pth",
        changed(out__2__bias=torch.ones(1, dtype=torch.complex64)),
        "holds torch.complex64",
    ),
    "NaN": ("x.pth", changed(out__2__bias=NAN), "out.2.bias holds NaN"),
    "infinite weight": (
        "x.pth",
        changed(out__2__bias=INFINITE),
        "out.2.bias holds NaN or",
    ),
    "weight too large for float32": (
        "x.pth",
        changed(out__2__bias=torch.tensor([1e300], dtype=torch.float64)),
        "out.2.bias holds NaN or infinite",
    ),
    "huge header": (
        "x.safetensors",
        safetensors({}, length=2**60),
        "no complete safetensors file",
    ),
    "header beyond the end": (
        "x.safetensors",
        safetensors({}, length=10_000),
        "no complete safetensors file",
    ),
    "header of nothing": (
        "x.safetensors",
        safetensors(b"{" + b"[" * 5000),
        "no complete safetensors file",
    ),
    "offsets beyond the end": (
        "x.safetensors",
        safetensors({"out.2.bias": BIAS | {"data_offsets": [0, 2**40]}}, bytes(4)),
        "no complete safetensors file",
    ),
    "offsets and shape differ": (
        "x.safetensors",
        safetensors({"out.2.bias": BIAS | {"shape": [2**40]}}, bytes(4)),
        "no complete safetensors file",
    ),
    "overlapping tensors": (
        "x.safetensors",
        safetensors({"a": BIAS, "b": BIAS}, bytes(4)),
        "no complete safetensors file",
    ),
    "unknown dtype": (
        "x.safetensors",
        safetensors({"a": BIAS | {"dtype": "CODE"}}, bytes(4)),
        "no complete safetensors file",
    ),
    "empty safetensors": (
        "x.safetensors",
        lambda p: p.touch(),
        "no complete safetensors file",
    ),
    "safetensors of others": (
        "x.safetensors",
        safetensors({"a": BIAS}, bytes(4)),
        "no weights of this network",
    ),
    "safetensors of whole numbers": (
        "x.safetensors",
        lambda p: save_file({n: t.int() for n, t in weights_of().items()}, p),
        "floats are expected",
    ),
    "card of another network": (
        "x.safetensors",
        foreign_card,
        "does not fit its network: input_blocks.0.0.bias",
    ),
    "card that is none": (
        "x.safetensors",
        lambda p: save_file(weights_of(), p, metadata={"card": '{"name": 1}'}),
        "x.safetensors: The model's card cannot be read",
    ),
}


def refuse(kind: str, folder: Path) -> str:
    """What is said of a bad file that is made in a folder."""
    name, make, _ = FILES[kind]
    make(folder / name)
    with pytest.raises(ModelError) as caught:
        import_model(folder / name)
    return str(caught.value)


@pytest.mark.parametrize("kind", FILES)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path, folder, kind):
    text = refuse(kind, tmp_path)
    assert re.search(FILES[kind][2], text)
    assert "\n" not in text
    assert len(text) < 500
    assert not folder.exists()
    assert not (tmp_path / "executed").exists()


def test_the_guide_has_every_bad_file():
    # Printed by this module, see below; libraries word their part of it anew at times.
    guide = Path(__file__).parents[2] / "docs" / "guide" / "refused_files.md"
    rows = [line.split(" | ")[0] for line in guide.read_text("utf-8").splitlines()]
    assert [row[2:] for row in rows if row.startswith("| ")][2:] == [*FILES]


def test_the_proof_of_execution_would_be_seen(tmp_path):
    path = save(tmp_path / "x.pth", {"a": Code(tmp_path / "x.pth")})
    torch.load(path, weights_only=False)
    assert (tmp_path / "executed").is_dir()


def table() -> Iterator[str]:
    """Every bad file and what is said of it, as Markdown."""
    yield "| file | what is said of it |"
    yield "| --- | --- |"
    for kind in FILES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ[FOLDER_VARIABLE] = str(Path(folder) / "models")
            said = refuse(kind, Path(folder)).replace(f"{folder}{os.sep}", "")
        yield f"| {kind} | {said.replace('|', '/')} |"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in table())
