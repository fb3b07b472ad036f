"""Axes and pixel sizes of files come back in what is written; odd ones do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.calibration import Calibration, read_calibration
from napari_segrefiner.io.labels import read_labels, write_labels

Array = npt.NDArray[Any]
KNOWN = Calibration("ZYX", 1 / 3, 1 / 3, 2.5, "um")


def _labels(*shape: int, dtype: str = "uint16") -> Array:
    return (np.arange(np.prod(shape)) % 5).astype(dtype).reshape(shape)


def _imagej(path: Path, array: Array, axes: str = "ZYX", **notes: Any) -> None:
    notes = {"spacing": 2.5, "unit": "um", **notes}
    tifffile.imwrite(
        path, array, imagej=True, resolution=(3, 3), metadata={"axes": axes, **notes}
    )


def _is_near(found: Calibration, wanted: Calibration) -> bool:
    sizes = [[one.x, one.y, one.z] for one in (found, wanted)]
    words = [(one.axes, one.unit) for one in (found, wanted)]
    return words[0] == words[1] and np.allclose(*sizes, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int32", "int64"])
@pytest.mark.parametrize("shape", [(3, 20, 30), (5, 20, 30), (1, 20, 30)])
def test_axes_and_sizes_of_imagej_come_back_in_every_type(
    tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    labels = _labels(*shape, dtype=dtype)
    write_labels(tmp_path / "out.tif", labels, calibration=KNOWN)
    read = read_labels(tmp_path / "out.tif")
    assert read.dtype == labels.dtype
    np.testing.assert_array_equal(read, labels)
    assert _is_near(read_calibration(tmp_path / "out.tif", shape), KNOWN)


def test_imagej_itself_reads_what_it_can_hold(tmp_path: Path) -> None:
    _imagej(tmp_path / "a.tif", _labels(4, 20, 30))
    found = read_calibration(tmp_path / "a.tif", (4, 20, 30))
    assert _is_near(found, KNOWN)
    write_labels(tmp_path / "out.tif", _labels(4, 20, 30), calibration=found)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        notes = file.imagej_metadata
        assert notes is not None
        assert (notes["spacing"], notes["unit"], notes["slices"]) == (2.5, "um", 4)
        assert file.pages.first.resolution == pytest.approx((3, 3))


@pytest.mark.parametrize("dtype", ["bool", "uint16", "int32"])
@pytest.mark.parametrize("known", [KNOWN, Calibration()])
def test_an_ome_tiff_is_one(tmp_path: Path, dtype: str, known: Calibration) -> None:
    labels = _labels(4, 20, 30, dtype=dtype)
    path = tmp_path / "out.OME.tif"
    write_labels(path, labels, calibration=known)
    np.testing.assert_array_equal(read_labels(path), labels)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        assert file.series[0].axes == "ZYX"
        assert ("PhysicalSizeZ" in str(file.ome_metadata)) == bool(known.z)
    assert read_calibration(path, labels.shape).z == pytest.approx(known.z)


def test_an_ome_tiff_holds_no_64_bits_and_names_what_does(tmp_path: Path) -> None:
    labels = _labels(20, 30, dtype="int64")
    with pytest.raises(InputError, match="does not hold int64; use another"):
        write_labels(tmp_path / "a.ome.tif", labels, calibration=Calibration())
    write_labels(tmp_path / "a.ome.tif", labels)  # a name that nobody chose
    assert read_labels(tmp_path / "a.ome.tif").dtype == np.int64


def test_units_of_ome_become_micrometres(tmp_path: Path) -> None:
    sizes = {"PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}
    tifffile.imwrite(
        tmp_path / "a.ome.tif", _labels(20, 30), metadata={"axes": "YX", **sizes}
    )
    found = read_calibration(tmp_path / "a.ome.tif", (20, 30))
    assert _is_near(found, Calibration("YX", 0.25, 0.25, 0, "um"))


@pytest.mark.parametrize("axes", ["ZCYX", "TZCYX"])
def test_an_image_with_channels_tells_the_axes_of_its_labels(
    tmp_path: Path, axes: str
) -> None:
    shape = (2, 4, 3, 20, 30)[-len(axes) :]
    _imagej(tmp_path / "a.tif", _labels(*shape), axes)
    labels = (*shape[:-3], 20, 30)
    found = read_calibration(tmp_path / "a.tif", labels)
    assert found.axes == axes.replace("C", "")
    assert read_calibration(tmp_path / "a.tif", (9, 20, 30)).axes == ""


@pytest.mark.parametrize(
    ("notes", "resolution", "wanted"),
    [
        ({"unit": "furlong"}, (3, 3), ("", 1 / 3, 2.5)),
        ({"spacing": float("nan")}, (3, 3), ("um", 1 / 3, 0)),
        ({"spacing": -2.0}, (3, 3), ("um", 1 / 3, 0)),
        ({"spacing": 1e30}, (3, 3), ("um", 1 / 3, 0)),
        ({}, (0, 0), ("um", 0, 2.5)),
        ({"spacing": "much"}, (3, 3), ("", 0, 0)),
    ],
)
def test_what_cannot_be_a_size_is_none(
    tmp_path: Path, notes: Any, resolution: Any, wanted: tuple[str, float, float]
) -> None:
    facts = {"axes": "ZYX", "spacing": 2.5, "unit": "um", **notes}
    labels = _labels(4, 20, 30)
    tifffile.imwrite(
        tmp_path / "a.tif",
        labels,
        photometric="minisblack",
        resolution=resolution,
        metadata=facts,
    )
    found = read_calibration(tmp_path / "a.tif", labels.shape)
    assert (found.unit, found.z) == (wanted[0], wanted[2])
    assert found.x == pytest.approx(wanted[1])
    write_labels(tmp_path / "out.tif", labels, calibration=found)
    np.testing.assert_array_equal(read_labels(tmp_path / "out.tif"), labels)


def test_files_that_say_nothing_are_written_as_ever(tmp_path: Path) -> None:
    labels = _labels(4, 20, 30)
    write_labels(tmp_path / "plain.tif", labels)
    found = read_calibration(tmp_path / "plain.tif", labels.shape)
    assert found == Calibration()
    write_labels(tmp_path / "again.tif", labels, calibration=found)
    plain, again = (tmp_path / f"{name}.tif" for name in ("plain", "again"))
    assert plain.read_bytes() == again.read_bytes()
    np.save(tmp_path / "a.npy", labels)
    assert read_calibration(tmp_path / "a.npy", labels.shape) == Calibration()
