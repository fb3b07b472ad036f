"""Label images from files and into files."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.atomic import check_destination, write_whole
from napari_segrefiner.io.calibration import (
    OME_TYPES,
    USUAL_AXES,
    Calibration,
    tiff_arguments,
)
from napari_segrefiner.io.rasters import read_raster
from napari_segrefiner.io.stacks import fits

if TYPE_CHECKING:
    from napari_segrefiner.io.rasters import Raster

logger = logging.getLogger(__name__)

#: Endings that labels are written to.
ENDINGS = (".tif", ".tiff", ".png", ".npy")
_PNG_TYPES = ("bool", "uint8", "uint16")


def read_labels(
    path: Path | str, like: tuple[int, ...] | None = None
) -> npt.NDArray[Any]:
    """Read a label image from a TIFF, PNG or NPY file.

    Parameters
    ----------
    path : path
    like : tuple of int, optional
        Shape of the image that it belongs to, or of other labels of that. It helps to
        tell a stack of 3 or 4 planes from a picture in colours.

    Returns
    -------
    (..., Y, X) integer or bool array
        With the file's dtype; 0 is background, indices of a palette are the labels.
        Whole numbers that were saved as floats become integers.

    Raises
    ------
    InputError
        If the file cannot be read, is a JPEG (its compression changes numbers), or
        holds colours, fractions or negative numbers.
    """
    path = Path(path)
    raster = read_raster(path)
    labels = raster.array // raster.step if raster.step > 1 else raster.array
    if raster.format == "JPEG":
        msg = (
            f"{path} is a JPEG, whose compression changes the numbers of labels; save "
            "the labels as TIFF, PNG or NPY."
        )
        raise InputError(msg)
    if raster.is_colour and not _is_stack(path, raster, like):
        msg = (
            f"{path} is a colour picture; labels have one whole number per pixel, so "
            "save them in grey (tifffile: photometric='minisblack') or with a palette."
        )
        raise InputError(msg)
    if labels.dtype.kind == "f":
        labels = _as_integers(path, labels)
    if labels.dtype.kind == "i" and int(labels.min()) < 0:
        msg = (
            f"{path} holds the negative value {labels.min()}; labels are 0 for the "
            "background and positive for objects."
        )
        raise InputError(msg)
    return labels


def _as_integers(path: Path, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Whole numbers that were saved as floats, in the smallest type that holds them."""
    limit = 2 ** (np.finfo(values.dtype).nmant + 1)  # beyond, numbers are left out
    with np.errstate(invalid="ignore"):
        low, high = values.min(), values.max()
        # NaN is neither above nor below.
        is_whole = -limit < low and high < limit and (values == np.floor(values)).all()
    if not is_whole:
        msg = (
            f"{path} holds {values.dtype} values that are no labels; whole numbers "
            f"below {limit:,} are expected, so save it as integers."
        )
        raise InputError(msg)
    return values.astype(np.int64 if low < 0 else np.min_scalar_type(int(high)))


def _is_stack(path: Path, raster: Raster, like: tuple[int, ...] | None) -> bool:
    """Whether what a TIFF calls colours are planes of labels.

    tifffile, by which napari saves, calls any array of 3 or 4 planes colours.
    """
    if not raster.has_planes:
        return False
    if raster.array.dtype.itemsize > 2:  # no picture has so many colours
        return True
    is_stack = raster.is_from_array if like is None else fits(like, raster.array.shape)
    if is_stack:
        _tell_of_planes(path, raster.array.shape[-3])
    return is_stack


@lru_cache(maxsize=4096)
def _tell_of_planes(path: Path, n_planes: int) -> None:
    """Tell once of each file: a training reads them again and again."""
    logger.warning(
        "%s can be a picture in colours or a stack; it is read as %d planes of labels.",
        path,
        n_planes,
    )


def check_writable(
    path: Path | str,
    labels: npt.NDArray[Any],
    *,
    overwrite: bool = False,
    calibration: Calibration | None = None,
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
    calibration : Calibration, optional
        Axes and sizes that a TIFF is to tell. If one is given, even without a word,
        the ending ``.ome.tif`` makes an OME-TIFF.

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
    if calibration is not None and _is_ome(path):
        if labels.dtype.name not in OME_TYPES:
            msg = f"{path}: OME-TIFF does not hold {labels.dtype}; use another .tif."
            raise InputError(msg)
        if labels.ndim not in USUAL_AXES:
            msg = (
                f"{path}: OME-TIFF does not hold {labels.ndim} axes; use another .tif."
            )
            raise InputError(msg)
    return check_destination(path, overwrite=overwrite)


def _is_ome(path: Path) -> bool:
    return path.name.lower().endswith((".ome.tif", ".ome.tiff"))


def write_labels(
    path: Path | str,
    labels: npt.NDArray[Any],
    overwrite: bool = False,
    calibration: Calibration | None = None,
) -> None:
    """Write labels to a TIFF, PNG or NPY file, whole or not at all, dtype kept.

    Parameters and errors are those of :func:`check_writable`; SegRefinerError if
    writing fails, such as on a full disk.
    """
    # The format is that of the name given, also where this is a link to another name.
    path = Path(path)
    check_writable(path, labels, overwrite=overwrite, calibration=calibration)
    ending = path.suffix.lower()
    labels = labels.astype(labels.dtype.newbyteorder("="), copy=False)
    how: dict[str, Any] = {}
    if calibration is not None:
        how = tiff_arguments(labels, calibration, is_ome=_is_ome(path))
    with write_whole(path, overwrite=overwrite) as part:
        if ending == ".npy":
            with part.open("wb") as file:
                np.save(file, labels, allow_pickle=False)
        elif ending == ".png":
            Image.fromarray(labels).save(part, format="PNG")
        else:
            tifffile.imwrite(
                part,
                labels,
                photometric="minisblack",
                compression="zlib",
                software=False,
                **how,
            )
