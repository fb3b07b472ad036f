"""A small data set on disk, options for tiny runs, and made samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from napari_segrefiner.models.catalogue import FOLDER_VARIABLE
from napari_segrefiner.train_options import TrainOptions


class Discs:
    """Samples without files: a bright disc; the coarse mask is a shifted one."""

    def __init__(self, side: int = 16) -> None:
        self.side = side

    def sample(
        self, index: int, /
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        rng = np.random.default_rng(index)
        y, x = np.mgrid[: self.side, : self.side]
        centre, radius = rng.uniform(6, 10, 2), rng.uniform(3, 5)
        fine = np.hypot(y - centre[0], x - centre[1]) < radius
        coarse = np.hypot(y - centre[0] - 1, x - centre[1] + 1) < radius
        image = np.where(fine, 0.8, 0.2) + rng.normal(0, 0.05, (3, *fine.shape))
        return image.clip(0, 1).astype(np.float32), fine, coarse


@pytest.fixture
def discs() -> Discs:
    return Discs()


@pytest.fixture(scope="session")
def set_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of four pictures with two objects each, split by file."""
    folder = tmp_path_factory.mktemp("blobs")
    rng = np.random.default_rng(5)
    for part in ("images", "labels"):
        (folder / part).mkdir()
    y, x = np.mgrid[:64, :64]
    for k in range(4):
        labels = np.zeros((64, 64), np.uint16)
        for label, (cy, cx) in enumerate(((18, 20), (44, 42)), start=1):
            labels[np.hypot(y - cy - k, x - cx + k) < 9] = label
        image = np.where(labels > 0, 170, 60) + rng.normal(0, 12, labels.shape)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(
            folder / "images" / f"{k}.png"
        )
        Image.fromarray(labels).save(folder / "labels" / f"{k}.png")
    return folder


@pytest.fixture(autouse=True)
def catalogue_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for models that trainings install."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def tiny_options() -> TrainOptions:
    """Four iterations, seconds on one core."""
    return TrainOptions(
        preset="default-model",
        iterations=4,
        batch_size=2,
        window=32,
        warm_up=2,
        own_after=2,
        own_share=1.0,
        validation_windows=0,
        workers=0,
        precision="float32",
    )
