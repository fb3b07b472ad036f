"""Height and width of image files without decoding them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.rasters import file_format, open_pil


def plane_size(path: Path) -> tuple[int, int]:
    """Height and width of a file's planes, in an NPY those of one value per pixel.

    Raises
    ------
    InputError
        If the file is missing, or its header cannot be understood.
    """
    format = file_format(path)
    try:
        if format == "NPY":
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        elif format == "TIFF":
            with tifffile.TiffFile(path) as file:
                page = file.pages.first
                shape = page.imagelength, page.imagewidth
        else:
            with open_pil(path, format) as image:
                shape = image.height, image.width
        height, width = shape[-2:]
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        message = f"{path} is cut or damaged ({reason}); save it again."
        raise InputError(message) from error
    return int(height), int(width)
