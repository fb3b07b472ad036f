"""Images from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from napari_segrefiner.io.rasters import read_raster


def read_image(path: Path | str) -> npt.NDArray[Any]:
    """Read an image from a TIFF, PNG, JPEG or NPY file.

    Returns
    -------
    (..., Y, X[, C]) array
        Bool, integer or real, with the values of the file; colours of a palette are
        looked up, and the alpha of grey pixels is left out. Rows and columns are as
        stored: no turning by camera notes.

    Raises
    ------
    InputError
        If the file cannot be read as an image; the sentence says why.
    """
    raster = read_raster(path)
    if raster.palette is not None:
        colours: npt.NDArray[Any] = raster.palette[raster.array]
        return colours
    if raster.is_colour and raster.array.shape[-1] == 2:
        return raster.array[..., 0]
    return raster.array
