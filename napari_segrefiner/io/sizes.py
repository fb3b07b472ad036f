"""Height and width of image files without decoding them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.rasters import file_format, open_pil


def plane_size(path: Path) -> tuple[int, int]:
    """Height and width of the planes of a file with one value per pixel.

    For PNG and JPEG, also with colours.

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
                shape = file.series[0].shape
        else:
            with open_pil(path, format) as image:
                shape = image.height, image.width
        height, width = shape[-2:]
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        message = f"{path} is cut or damaged ({reason}); save it again."
        raise InputError(message) from error
    return int(height), int(width)
