"""Devices are chosen and their failures named."""

from __future__ import annotations

import pytest
import torch

from napari_segrefiner.core import device
from napari_segrefiner.core.device import OutOfMemory, choose_device, translated_errors
from napari_segrefiner.errors import DeviceError, ModelError


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"cpu"}, "cpu"),
        ({"cpu", "mps"}, "mps"),
        ({"cpu", "cuda"}, "cuda"),
        ({"cpu", "cuda", "mps"}, "cuda"),
    ],
)
def test_auto_takes_cuda_then_mps_then_the_cpu(
    there: set[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "is_available", there.__contains__)
    assert choose_device("auto").type == expected


def test_a_device_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "is_available", {"cpu"}.__contains__)
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(DeviceError, match="cuda is not there"):
        choose_device("cuda")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."),
        MemoryError(),
    ],
)
def test_running_out_of_memory_is_recognised(error: Exception) -> None:
    with (
        pytest.raises(OutOfMemory, match="while refining 3 crops") as caught,
        translated_errors("refining 3 crops"),
    ):
        raise error
    assert caught.value.__cause__ is error
    assert isinstance(caught.value, DeviceError)
    assert not isinstance(caught.value, RuntimeError)


def test_other_failures_of_torch_become_model_errors() -> None:
    error = RuntimeError("size mismatch\nand a long story")
    with (
        pytest.raises(ModelError, match=r"\(size mismatch\)\.$") as caught,
        translated_errors("refining"),
    ):
        raise error
    assert caught.value.__cause__ is error


def test_own_errors_pass_as_they_are() -> None:
    with pytest.raises(DeviceError, match=r"^mine$"), translated_errors("refining"):
        raise DeviceError("mine")  # noqa: EM101 - the test's own
