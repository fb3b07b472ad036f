"""docs/pack_data.py: what is carried to another machine is a folder to train with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_segrefiner.io.datasets import find_sets

SCRIPT = Path(__file__).parents[1] / "docs" / "pack_data.py"


def make_set(folder: Path, n: int, side: int, coarse: bool = False) -> None:
    rng = np.random.default_rng(n)
    names = ["images", "labels", *(["coarse"] if coarse else [])]
    for name in names:
        (folder / name).mkdir(parents=True)
        for k in range(n):
            values = rng.integers(0, 256, (side, side), dtype=np.uint8)
            imsave(folder / name / f"{k:02d}.png", values, check_contrast=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three sets; one large, one with real coarse masks, one that is to be left out."""
    folder = tmp_path / "data"
    for split, n in (("train", 12), ("val", 5)):
        make_set(folder / "large" / split, n, 100)
        make_set(folder / "small" / split, n, 30, coarse=True)
        make_set(folder / "other" / split, n, 30)
    (folder / "groups.json").write_text("{}")
    (folder / "preview.png").write_bytes(bytes(1000))
    return folder


def pack(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def stems(root: Path, split: str) -> dict[str, list[str]]:
    found = find_sets(root, split)  # type: ignore[arg-type]
    return {one.name: [item.stem for item in one.items] for one in found}


def test_a_pack_fits_and_leaves_out_evenly_of_the_largest_set(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pack"
    given = ("--exclude", "other", "--megabytes", "0.25", "--validation", "2")
    done = pack(data, out, *given)
    assert done.returncode == 0, done.stderr
    learnt = stems(out, "train")
    assert learnt["small"] == [f"{k:02d}" for k in range(12)]
    assert "other" not in learnt
    kept = [int(stem) for stem in learnt["large"]]
    assert 3 <= len(kept) < 12
    assert np.ptp(np.diff([*kept, 12])) <= 1
    assert {name: len(some) for name, some in stems(out, "val").items()} == {
        "large": 2,
        "small": 2,
        "other": 2,
    }
    files = [path for path in out.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 250_000 + 2
    for path in files:
        assert path.read_bytes() == (data / path.relative_to(out)).read_bytes()
    assert len(list((out / "small/train/coarse").iterdir())) == 12
    assert not (out / "preview.png").exists()
    assert f"{len(kept)} of 12 to learn from, 2 to validate with" in done.stdout


def test_what_cannot_fit_and_folders_that_exist_are_refused(
    data: Path, tmp_path: Path
) -> None:
    done = pack(data, tmp_path / "pack", "--megabytes", "0.001")
    assert done.returncode == 1
    assert "more than 0.001 MB" in done.stderr
    assert not (tmp_path / "pack").exists()
    done = pack(data, data)
    assert (done.returncode, "name a new folder" in done.stderr) == (1, True)
