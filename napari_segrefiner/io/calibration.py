"""Axes and pixel sizes of TIFF files: read with care, and written beside labels."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy.typing as npt
import tifffile

from napari_segrefiner.io.rasters import complaints, file_format, parts_elsewhere

#: Leading and plane axes in the order in which ImageJ has them.
AXES = "TZCYX"
#: Axes of OME-TIFFs by their number, where nobody says what they are.
USUAL_AXES = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TZCYX"}
#: Types that an OME-TIFF can hold, and those that ImageJ reads unchanged.
OME_TYPES = ("bool", "uint8", "uint16", "uint32", "int8", "int16", "int32")
IMAGEJ_TYPES = ("uint8", "uint16")
#: ImageJ's files have 32-bit offsets; some room is for what is not pixels.
IMAGEJ_BYTES = 2**32 - 2**25

#: Units by what files call them, and how many micrometres they are.
_UNITS = {
    "nm": "nm",
    "um": "um",
    "µm": "um",
    "\N{GREEK SMALL LETTER MU}m": "um",
    "\\u00B5m": "um",
    "micron": "um",
    "microns": "um",
    "mm": "mm",
    "cm": "cm",
    "inch": "inch",
    "in": "inch",
}
_MICROMETRES = {"nm": 1e-3, "um": 1.0, "mm": 1e3, "cm": 1e4, "inch": 25400.0}
#: What OME calls them; without a unit sizes are in pixels.
_OME_UNITS = {"um": "µm", "inch": "in", "": "pixel"}
_TIFF_UNITS = {2: "inch", 3: "cm"}
#: Sizes beyond are no sizes of pixels in any of these units.
_SMALLEST, _LARGEST = 1e-6, 1e6


@dataclass(frozen=True)
class Calibration:
    """What a file says of its axes and of the size of its pixels.

    Attributes
    ----------
    axes : str
        Letters of :data:`AXES`, one for each axis; empty if unknown.
    x, y, z : float
        Size of a pixel and distance of the planes, in `unit`; 0 if unknown.
    unit : {"nm", "um", "mm", "cm", "inch", ""}
    """

    axes: str = ""
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    unit: str = ""

    def completed(self, other: Calibration) -> Calibration:
        """With the axes or the sizes of another where they are not known."""
        has_sizes = any((self.x, self.y, self.z))
        return dataclasses.replace(
            self if has_sizes else other, axes=self.axes or other.axes
        )


def read_calibration(path: Path, shape: tuple[int, ...]) -> Calibration:
    """What a file that was read says of labels of this shape; nothing if it is odd.

    Examples
    --------
    >>> Calibration("ZYX").completed(Calibration("YX", 0.5, 0.5, unit="um"))
    Calibration(axes='ZYX', x=0.5, y=0.5, z=0.0, unit='um')
    """
    if file_format(path) != "TIFF":
        return Calibration()
    try:
        is_ome = False if parts_elsewhere(path) else None
        with complaints(), tifffile.TiffFile(path, is_ome=is_ome) as file:
            series = file.series[0]
            axes = _axes(series.axes, series.shape, shape)
            text = file.ome_metadata
            sizes = _ome_sizes(text) if text else _sizes(file)
    except Exception:  # noqa: BLE001 - the readers trust what they parse
        return Calibration()
    return dataclasses.replace(sizes, axes=axes)


def tiff_arguments(
    labels: npt.NDArray[Any], calibration: Calibration, *, is_ome: bool
) -> dict[str, Any]:
    """How tifffile is to write labels, so that their axes and sizes come back."""
    axes = calibration.axes
    x, y, z, unit = calibration.x, calibration.y, calibration.z, calibration.unit
    if is_ome:
        facts: dict[str, Any] = {"axes": axes or USUAL_AXES[labels.ndim]}
        for name, size in (("X", x), ("Y", y), ("Z", z)):
            if size:
                facts[f"PhysicalSize{name}"] = size
                facts[f"PhysicalSize{name}Unit"] = _OME_UNITS.get(unit, unit)
        return {"ome": True, "metadata": facts}
    facts = {"axes": axes, "spacing": z, "unit": unit}
    facts = {name: value for name, value in facts.items() if value}
    if not facts and not x:
        return {}
    sizes = {"resolution": (1 / x, 1 / y), "resolutionunit": "NONE"} if x and y else {}
    is_imagej = (
        bool(axes)
        and labels.dtype.name in IMAGEJ_TYPES
        and labels.nbytes < IMAGEJ_BYTES
        and min(labels.shape) > 1  # it knows no axes of one plane
        and [*axes] == sorted(axes, key=AXES.index)
    )
    return {"imagej": is_imagej, "metadata": facts, **sizes}


def _axes(axes: str, file_shape: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """The axes of labels, by those of their file or of the image they belong to."""
    pairs = list(zip(axes, file_shape, strict=True))
    if file_shape != shape:  # the image, with channels
        pairs = [(axis, side) for axis, side in pairs if axis not in "CS"]
    found = "".join(axis for axis, _ in pairs)
    fits = tuple(side for _, side in pairs) == shape and found.endswith("YX")
    is_known = len({*found}) == len(found) and {*found} <= {*AXES}
    return found if fits and is_known else ""


def _sizes(file: tifffile.TiffFile) -> Calibration:
    """The sizes in ImageJ's or tifffile's notes and in the tags."""
    notes: Any = file.imagej_metadata or (file.shaped_metadata or ({},))[0]
    page = file.pages.first
    of_tags = _TIFF_UNITS.get(page.resolutionunit, "")
    unit = _UNITS.get(str(notes["unit"]).strip(), "") if "unit" in notes else of_tags
    x, y = (_checked(1 / number if number else 0) for number in page.resolution)
    z = _checked(notes.get("spacing", 0))
    if not any((x, y, z)) or (x, y, z, unit) == (1, 1, 0, ""):
        return Calibration()  # the latter is written where nothing is known
    return Calibration("", x, y, z, unit)


def _ome_sizes(text: str) -> Calibration:
    """The sizes in the notes of an OME-TIFF, in micrometres."""
    if "<!DOCTYPE" in text:  # OME has none; entities could grow without bounds
        return Calibration()
    found = (e for e in ElementTree.fromstring(text).iter() if e.tag.endswith("Pixels"))
    notes = next(found, None)
    if notes is None:
        return Calibration()
    sizes: dict[str, Any] = {}
    for axis in "XYZ":
        unit = _UNITS.get(notes.get(f"PhysicalSize{axis}Unit", "um"), "")
        size = float(notes.get(f"PhysicalSize{axis}", 0))
        sizes[axis.lower()] = _checked(size * _MICROMETRES.get(unit, 0))
    return Calibration(**sizes, unit="um") if any(sizes.values()) else Calibration()


def _checked(value: Any) -> float:
    """A size that can be one, else 0."""
    size = float(value)
    return size if math.isfinite(size) and _SMALLEST <= size <= _LARGEST else 0.0
