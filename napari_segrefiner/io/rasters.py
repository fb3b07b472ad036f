"""Arrays of pixels in TIFF, PNG, JPEG and NPY files, read with care.

The format is known by a file's first bytes, not by its name. What a file claims to hold
is checked before memory is taken for it, and nothing in it is ever executed.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.memory import check_memory
from napari_segrefiner.wording import size_text

logger = logging.getLogger(__name__)

Format = Literal["TIFF", "PNG", "JPEG", "NPY"]

_MAGIC: dict[bytes, Format] = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\x93NUM": "NPY",
}

#: Lossless compression does not make more than this many bytes of one (deflate: 1032).
_LARGEST_RATIO = 2048
#: TIFF's names of such compressions, and of none at all.
_BOUNDED = (1, 5, 8, 32773, 32946)
#: Claims below this many bytes do no harm, even if the file does not keep them.
_HARMLESS = 2**28

#: What a TIFF may call the second of two samples: alpha, not another channel.
_ALPHA = (
    (tifffile.EXTRASAMPLE.ASSOCALPHA,),
    (tifffile.EXTRASAMPLE.UNASSALPHA,),
)

#: The tag by which a TIFF says how to turn its pixels, and what undoes that.
_ORIENTATION = 274
_TURNS_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

#: What the readers raise for damaged files. They trust what they parse, so that a wrong
#: byte can end in a division by zero, a failed token or any other error but their own.
_DAMAGE = (Exception,)


@dataclass(frozen=True)
class Raster:
    """What an image file holds.

    Attributes
    ----------
    array : (..., Y, X[, C]) array
        Bool, integer or real, in the machine's byte order; palette images as indices.
    format : {"TIFF", "PNG", "JPEG", "NPY"}
        By the file's first bytes.
    is_colour : bool
        Whether the file says that its pixels are colours (RGB, RGBA, grey with alpha).
    has_planes : bool
        Whether these colours are stored as planes, (..., C, Y, X).
    is_from_array : bool
        Whether tifffile wrote the file from a plain array, of which it calls any that
        has 3 or 4 planes colours.
    palette : (n, 3) uint8 array or None
        Colours of the indices.
    step : int
        What grey values of 2 or 4 bits were multiplied by, to reach white.
    """

    array: npt.NDArray[Any]
    format: Format
    is_colour: bool = False
    has_planes: bool = False
    is_from_array: bool = False
    palette: npt.NDArray[np.uint8] | None = None
    step: int = 1


def read_raster(path: Path | str) -> Raster:
    """Read a TIFF, PNG, JPEG or NPY file.

    Raises
    ------
    InputError
        If the file is missing, empty, cut, damaged, of another format, without pixels,
        larger than the free memory, or holds anything but real numbers.
    """
    path = Path(path)
    format = file_format(path)
    readers = {"TIFF": _read_tiff, "NPY": _read_npy}
    raster = readers[format](path) if format in readers else _read_pil(path, format)
    array = raster.array
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        msg = f"{path} holds {array.dtype} values; integers, floats or bool are read."
        raise InputError(msg)
    if array.ndim < 2 or array.size == 0:
        shape = size_text(array.shape) or "a single number"
        msg = f"{path} holds no image ({shape}); an array of rows and columns is read."
        raise InputError(msg)
    return raster


def file_format(path: Path) -> Format:
    """The format by the file's first bytes.

    Raises
    ------
    InputError
        If the file is missing, empty, or none of the known formats.
    """
    try:
        is_folder, is_pipe = path.is_dir(), path.is_fifo()
        head = b"" if is_folder or is_pipe else _first_bytes(path)
    except FileNotFoundError as error:
        msg = f"There is no file {path}; check the name and the folder."
        raise InputError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}); check its permissions."
        raise InputError(msg) from error
    if is_folder:
        msg = f"{path} is a folder; name a file in it."
        raise InputError(msg)
    if is_pipe:  # files are read more than once, pipes cannot be
        msg = f"{path} is a pipe; save what comes out of it and name that file."
        raise InputError(msg)
    if not head:
        msg = f"{path} is empty; save it again."
        raise InputError(msg)
    for magic, found in _MAGIC.items():
        if head.startswith(magic):
            return found
    msg = f"{path} is not a TIFF, PNG, JPEG or NPY file; convert it to one of these."
    raise InputError(msg)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _damaged(path: Path, error: BaseException | str) -> InputError:
    """The sentence for a file that cannot be decoded."""
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return InputError(f"{path} is cut or damaged ({reason}); save it again.")


def _exceeds(path: Path, claimed: int) -> bool:
    """Whether a file cannot hold so many bytes of pixels, however well compressed."""
    return claimed > max(_HARMLESS, _LARGEST_RATIO * path.stat().st_size)


def _forged(path: Path, claimed: int) -> InputError:
    """The sentence for a file that cannot hold what it says."""
    return InputError(
        f"{path} claims {claimed / 2**30:.1f} GB of pixels in {path.stat().st_size} "
        "bytes, which cannot be; save it again."
    )


# NPY --------------------------------------------------------------------------------


def _read_npy(path: Path) -> Raster:
    """Read an array of numbers; arrays of Python objects are refused, not unpickled."""
    try:
        # Mapped first: takes no memory, and fails if the file is shorter than it says.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGE as error:
        if "object" in str(error).lower():
            msg = (
                f"{path} holds Python objects, which are never unpickled; save an "
                "array of numbers."
            )
            raise InputError(msg) from error
        raise _damaged(path, error) from error
    check_memory(path, mapped.nbytes)
    return Raster(np.array(mapped, dtype=mapped.dtype.newbyteorder("=")), "NPY")


# PNG and JPEG -----------------------------------------------------------------------


@contextlib.contextmanager
def open_pil(path: Path, format: Format) -> Iterator[Image.Image]:
    """A picture as pillow opens it, nothing decoded yet.

    Pillow's first limit of pixels only warns, which is kept quiet: claims are checked
    here. What is above the second raises its DecompressionBombError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path, formats=[format]) as image:
            yield image


def _read_pil(path: Path, format: Format) -> Raster:
    """Read a PNG or JPEG file, rows and columns as stored (no turning by EXIF)."""
    try:
        with open_pil(path, format) as image:
            n_pixels = image.width * image.height
            depth = _png_depth(path) if format == "PNG" else 0
            claimed = n_pixels * len(image.getbands()) * depth // 8
            if _exceeds(path, claimed):
                raise _forged(path, claimed)
            check_memory(path, n_pixels * 4)
            raster = _from_pil(image, format)
            if image.mode == "L" and depth in (2, 4):  # pillow stretches these
                raster = replace(raster, step=255 // (2**depth - 1))
    except Image.DecompressionBombError as error:
        msg = f"{path} has too many pixels for a {format}; save it as TIFF or NPY."
        raise InputError(msg) from error
    except InputError:
        raise
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    if raster.is_colour and depth == 16:
        _tell_of_bits(path)
    return raster


def _png_depth(path: Path) -> int:
    """Bits per value, the byte behind the format's name, width and height."""
    with path.open("rb") as file:
        return file.read(25)[24]


@lru_cache(maxsize=4096)
def _tell_of_bits(path: Path) -> None:
    """Tell once of each file: a training reads them again and again."""
    logger.warning(
        "%s holds colours of 16 bits, of which 8 are read; a TIFF keeps them all.", path
    )


def _from_pil(image: Image.Image, format: Format) -> Raster:
    """Decode an opened image into an array of its own kind of numbers."""
    if image.mode == "P":
        colours = np.zeros((256, 3), dtype=np.uint8)
        stored = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        colours[: len(stored)] = stored
        return Raster(np.array(image), format, palette=colours)
    if image.mode == "I" and format == "PNG":
        # PNG knows 16 bits at most; older readers hand them over as 32.
        return Raster(np.array(image).astype(np.uint16), format)
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        array = np.array(image)
        return Raster(array.astype(array.dtype.newbyteorder("=")), format)
    if image.mode not in ("LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    return Raster(np.array(image), format, is_colour=True)


# TIFF -------------------------------------------------------------------------------


class _Complaints(logging.Filter):
    """Keeps what one thread's tifffile logs from the terminal, and its errors here."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let through what other threads log."""
        if record.thread != self._thread:
            return True
        if record.levelno >= logging.ERROR:
            self.errors.append(record.getMessage())
        return False


@contextlib.contextmanager
def complaints() -> Iterator[list[str]]:
    """The errors that tifffile logs inside the block and then reads over."""
    readers, kept = logging.getLogger("tifffile"), _Complaints()
    readers.addFilter(kept)
    try:
        yield kept.errors
    finally:
        readers.removeFilter(kept)


def _read_tiff(path: Path) -> Raster:
    """Read the first image or stack of a TIFF file."""
    try:
        with complaints() as told:
            raster = _decode_tiff(path)
    except InputError:
        raise
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    if told:  # a page that points beyond the file's end is left out silently
        raise _damaged(path, told[0])
    return raster


def _decode_tiff(path: Path) -> Raster:
    """Check the claims of a TIFF file's header and decode its first series."""
    is_ome: bool | None = None  # as the file says
    try:
        elsewhere = parts_elsewhere(path)
    except ElementTree.ParseError:
        elsewhere, is_ome = [], False
    if elsewhere:
        is_ome = False
        logger.warning(
            "%s names %s as a part of it; files in other folders are not read.",
            path,
            elsewhere[0],
        )
    with tifffile.TiffFile(path, is_ome=is_ome) as file:
        _check_chain(file)
        if not len(file.series):
            msg = "no image in it"
            raise ValueError(msg)
        series = file.series[0]
        page = series.keyframe
        if len(file.series) > 1:
            logger.warning(
                "%s holds %d images of different kinds; the first is read.",
                path,
                len(file.series),
            )
        n_missing = sum(one is None for one in series) if series.kind == "ome" else 0
        if n_missing:
            logger.warning(
                "%s: %d of %d planes are missing and read as 0; if it has other parts, "
                "put them beside it.",
                path,
                n_missing,
                len(series),
            )
        dtype = np.dtype(series.dtype)
        n_values = math.prod(int(n) for n in series.shape)
        claimed = n_values * page.bitspersample // 8
        if (
            page.compression in _BOUNDED
            and _exceeds(path, claimed)
            and not any(0 in one.databytecounts for one in series if one is not None)
        ):
            raise _forged(path, claimed)
        check_memory(path, n_values * dtype.itemsize)
        if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
            msg = f"{path} holds printing colours (CMYK); convert it to RGB."
            raise InputError(msg)
        colour = page.photometric in (
            tifffile.PHOTOMETRIC.RGB,
            tifffile.PHOTOMETRIC.YCBCR,
        ) or (page.samplesperpixel == 2 and page.extrasamples[:1] in _ALPHA)
        has_planes = colour and series.axes.endswith("SYX")
        is_from_array = series.kind == "shaped"
        try:
            array = series.asarray()
        except _DAMAGE as error:
            if "imagecodecs" not in str(error):
                raise
            array = _read_without_codecs(path, series)
        is_inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        # True is white, as pillow has it; tifffile calls so whatever bool it writes.
        if dtype.kind == "b" and is_inverted and "tifffile" not in page.software:
            array = ~array
        palette, colours = None, page.colormap
        if colours is not None and dtype.itemsize <= 2:
            # All numbers that the pixels can have, as few as the file may name.
            palette = np.zeros((2 ** (8 * dtype.itemsize), 3), dtype=np.uint8)
            stored = colours.T[: len(palette)] >> 8  # 16 bits in the file
            palette[: len(stored)] = stored
    array = array.astype(dtype.newbyteorder("="))
    return Raster(array, "TIFF", colour, has_planes, is_from_array, palette)


def _check_chain(file: tifffile.TiffFile) -> None:
    """Raise ValueError if the last page that can be found points to a further one.

    tifffile only logs that, which does not reach us where logging is turned off.
    """
    position = file.pages.next_page_offset
    if position is None:
        return
    file.filehandle.seek(position)
    n_bytes = file.tiff.offsetsize
    if file.filehandle.read(n_bytes) != bytes(n_bytes):
        msg = "pages are missing at its end"
        raise ValueError(msg)


def parts_elsewhere(path: Path) -> list[str]:
    """Files in other folders that an OME-TIFF names as parts of it.

    tifffile would open every file that is named, wherever it lies. ParseError if its
    notes are no XML.
    """
    with tifffile.TiffFile(path) as file:
        text = file.ome_metadata
    if not text:
        return []
    root = ElementTree.fromstring(text)
    own = root.get("UUID")
    names = [part.get("FileName", "") for part in root.iter() if part.text != own]
    return [name for name in names if PureWindowsPath(name).name != name]


def _read_without_codecs(
    path: Path, series: tifffile.TiffPageSeries
) -> npt.NDArray[Any]:
    """Read what needs tifffile's optional codecs (LZW, JPEG) with pillow's own.

    Pillow decodes what most microscopes and programs write; for the rest the sentence
    names the package that can.
    """
    msg = (
        f"{path} is compressed in a way that needs the package imagecodecs; install it "
        "(pip install imagecodecs), or save the file without compression."
    )
    shape, dtype, page = series.shape, np.dtype(series.dtype), series.keyframe
    is_inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    is_planar = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    pages = [one for one in series.pages if one is not None]
    is_elsewhere = any(one.parent is not page.parent for one in pages)
    if is_elsewhere or len(pages) < len(series.pages):
        raise InputError(msg)
    try:
        with open_pil(path, "TIFF") as image:
            check_memory(path, image.width * image.height * 4 * len(pages))
            frames = [_frame(image, one.index, is_planar=is_planar) for one in pages]
    except InputError:
        raise
    except (Image.DecompressionBombError, *_DAMAGE) as error:
        msg = (
            f"{path} is damaged, or compressed in a way that needs the package "
            "imagecodecs; save it again, or install that (pip install imagecodecs)."
        )
        raise InputError(msg) from error
    first = frames[0]
    is_whole = all(frame.shape == first.shape for frame in frames) and (
        shape[len(shape) - first.ndim :] == first.shape
        and math.prod(shape) == len(frames) * first.size
    )
    if (
        not is_whole
        or first.dtype.itemsize < dtype.itemsize
        or (first.dtype.kind == "f") != (dtype.kind == "f")
    ):
        raise InputError(msg)
    array = np.stack(frames).reshape(shape)
    if is_inverted and array.dtype.name in ("bool", "uint8"):
        array = ~array  # back to what is stored: pillow turns these
    return array.astype(dtype.newbyteorder("="))


def _frame(image: Image.Image, number: int, *, is_planar: bool) -> npt.NDArray[Any]:
    """One page of an opened file, its colours last unless they are stored in planes."""
    image.seek(number)
    turned = image.getexif().get(_ORIENTATION, 1)  # pillow turns pages as it loads them
    if image.mode == "YCbCr":
        image = image.convert("RGB")
    if turned in _TURNS_BACK:
        image = image.transpose(_TURNS_BACK[turned])
    array = np.array(image)
    return np.moveaxis(array, -1, 0) if is_planar and array.ndim == 3 else array
