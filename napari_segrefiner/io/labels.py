"""Label images from files and into files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.atomic import check_destination, write_whole
from napari_segrefiner.io.rasters import read_raster

#: Endings that labels are written to.
ENDINGS = (".tif", ".tiff", ".png", ".npy")
_PNG_TYPES = ("bool", "uint8", "uint16")


def read_labels(path: Path | str) -> npt.NDArray[Any]:
    """Read a label image from a TIFF, PNG or NPY file.

    Returns
    -------
    (..., Y, X) integer or bool array
        With the file's dtype; 0 is background, indices of a palette are the labels.

    Raises
    ------
    InputError
        If the file cannot be read, is a JPEG (its compression changes numbers), or
        holds colours, floats or negative numbers.
    """
    path = Path(path)
    raster = read_raster(path)
    labels = raster.array
    if raster.format == "JPEG":
        msg = (
            f"{path} is a JPEG, whose compression changes the numbers of labels; save "
            "the labels as TIFF, PNG or NPY."
        )
        raise InputError(msg)
    if raster.is_colour:
        msg = (
            f"{path} is a colour picture; labels have one whole number per pixel, so "
            "save them in grey (tifffile: photometric='minisblack') or with a palette."
        )
        raise InputError(msg)
    if labels.dtype.kind == "f":
        msg = (
            f"{path} holds {labels.dtype} values; labels are whole numbers, so convert "
            'them, as with labels.astype("int32").'
        )
        raise InputError(msg)
    if labels.dtype.kind == "i" and int(labels.min()) < 0:
        msg = (
            f"{path} holds the negative value {labels.min()}; labels are 0 for the "
            "background and positive for objects."
        )
        raise InputError(msg)
    return labels


def check_writable(
    path: Path | str, labels: npt.NDArray[Any], *, overwrite: bool = False
) -> Path:
    """The path as a Path, if `labels` can be written to it; nothing is touched.

    Parameters
    ----------
    path : path
        Its ending says the format.
    labels : (..., Y, X) integer or bool array
        What is to be written.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        If the format is unknown or cannot hold these labels unchanged, or the file must
        not be written there.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending in (".jpg", ".jpeg"):
        msg = f"{path}: JPEG changes the numbers of labels; use .tif, .png or .npy."
        raise InputError(msg)
    if ending not in ENDINGS:
        msg = f"{path} has an unknown ending for labels; use .tif, .png or .npy."
        raise InputError(msg)
    if ending == ".png" and labels.dtype.name not in _PNG_TYPES:
        msg = f"{path}: PNG holds labels up to 65535, not {labels.dtype}; use .tif."
        raise InputError(msg)
    if ending == ".png" and labels.ndim != 2:
        msg = f"{path}: PNG holds one plane, not {labels.ndim} axes; use .tif."
        raise InputError(msg)
    return check_destination(path, overwrite=overwrite)


def write_labels(
    path: Path | str, labels: npt.NDArray[Any], overwrite: bool = False
) -> None:
    """Write labels to a TIFF, PNG or NPY file, whole or not at all, dtype kept.

    Parameters and errors are those of :func:`check_writable`; SegRefinerError if
    writing fails, such as on a full disk.
    """
    path = check_writable(path, labels, overwrite=overwrite)
    with write_whole(path, overwrite=overwrite) as part:
        encode_labels(part, labels, path.suffix)


def encode_labels(path: Path, labels: npt.NDArray[Any], ending: str) -> None:
    """Write labels to `path` in the format of `ending`, whatever `path` is called."""
    ending = ending.lower()
    labels = labels.astype(labels.dtype.newbyteorder("="), copy=False)
    if ending == ".npy":
        with path.open("wb") as file:
            np.save(file, labels, allow_pickle=False)
    elif ending == ".png":
        Image.fromarray(labels).save(path, format="PNG")
    else:
        tifffile.imwrite(
            path, labels, photometric="minisblack", compression="zlib", software=False
        )
