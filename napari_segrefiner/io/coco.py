"""COCO and LVIS annotation files: an index of what they hold, read object by object.

Such a file can hold a million objects. The index keeps only where in the file each
annotation stands; the annotations of an image are parsed when they are needed.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from skimage.draw import polygon

from napari_segrefiner.errors import InputError, naming
from napari_segrefiner.io import run_lengths
from napari_segrefiner.io.memory import check_memory

Mask = npt.NDArray[np.bool_]

#: Folders beside an annotation file, or above it, that images are looked for in.
IMAGE_FOLDERS = ("", "images", "train2017", "val2017", "JPEGImages")
#: What such a file begins with, as a rule; with anything else it has such a list.
FIRST_KEYS = (b"info", b"images", b"annotations", b"categories", b"licenses", b"type")
LIST = re.compile(rb'"(?:images|annotations)"\s*:\s*\[\s*\{')
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
#: What is raised where something else stands than was expected.
_MISREAD = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
)


@dataclass(frozen=True)
class CocoObject:
    """One annotated object.

    Attributes
    ----------
    area : float
        As stated, else (also if that is 0) of its box; px.
    box : (float, float, float, float)
        x, y, width, height; px.
    is_crowd, is_ignored : bool
        It outlines several things, or does not count.
    segmentation : any
        Polygons, or a run-length code.
    height, width : int
        Of the image.
    """

    area: float
    box: tuple[float, float, float, float]
    is_crowd: bool
    is_ignored: bool
    segmentation: Any
    height: int
    width: int

    @property
    def mask(self) -> Mask:
        """Its pixels, (height, width) bool; not kept, as there can be very many.

        Raises
        ------
        InputError
            If the outline cannot be understood.
        """
        return decode(self.segmentation, self.height, self.width)


@dataclass(frozen=True)
class CocoImage:
    """The objects of one image: its name, and where they stand in the file."""

    file: Path
    name: str
    height: int
    width: int
    spans: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        """What errors call it."""
        return f"{self.name} in {self.file}"

    def objects(self) -> list[CocoObject]:
        """Read the objects, in the file's order; those without an outline are left out.

        Raises
        ------
        InputError
            If the file has changed since it was indexed, an annotation is none, or the
            stated size is more than the free memory.
        """
        check_memory(str(self), 4 * self.height * self.width)
        try:
            with self.file.open("rb") as file:
                entries = [_entry(file, *span) for span in self.spans]
        except (OSError, ValueError) as error:
            message = (
                f"{self.file} cannot be read any more ({_reason(error)}); start again "
                "when the file is complete."
            )
            raise InputError(message) from error
        try:
            return [self._object(one) for one in entries if one.get("segmentation")]
        except _MISREAD as error:
            message = (
                f"{self} has an annotation that cannot be understood "
                f"({_reason(error)}); COCO's are expected."
            )
            raise InputError(message) from error

    def labels(self) -> npt.NDArray[np.int32]:
        """All objects as one label image, 1 for the first; smaller ones lie on top.

        Crowds are left out, and objects of which less than half is left to see.

        Raises
        ------
        InputError
            As :meth:`objects`; also if an outline cannot be understood.
        """
        objects = self.objects()
        labels = np.zeros((self.height, self.width), np.int32)
        shown = [one for one in objects if not one.is_crowd]
        with naming(self):
            # Decoded twice: all masks at once can be larger than the memory.
            areas = [int(np.count_nonzero(one.mask)) for one in shown]
            for i in sorted(range(len(shown)), key=lambda i: -areas[i]):
                labels[shown[i].mask] = i + 1
        seen = np.bincount(labels.ravel(), minlength=len(shown) + 1)
        hidden = [i + 1 for i, area in enumerate(areas) if 2 * seen[i + 1] < area]
        labels[np.isin(labels, hidden)] = 0
        return labels

    def _object(self, entry: dict[str, Any]) -> CocoObject:
        x, y, w, h = entry.get("bbox") or (0.0, 0.0, self.width, self.height)
        return CocoObject(
            area=float(entry.get("area") or w * h),
            box=(float(x), float(y), float(w), float(h)),
            is_crowd=bool(entry.get("iscrowd", 0)),
            is_ignored=bool(entry.get("ignore", 0)),
            segmentation=entry["segmentation"],
            height=self.height,
            width=self.width,
        )


def _entry(file: BinaryIO, start: int, stop: int) -> Any:
    """The annotation that stands at a place of its file."""
    file.seek(start)
    return json.loads(file.read(stop - start))


@dataclass(frozen=True)
class Indexed:
    """An annotated image: its stem, its file, its objects."""

    stem: str
    image: Path
    annotations: CocoImage


def _reason(error: Exception) -> str:
    """Why something was misread, in words that need no knowledge of Python."""
    if isinstance(error, json.JSONDecodeError):
        text = f"no JSON from character {error.pos:,} of {len(error.doc):,} on"
    elif isinstance(error, KeyError):
        text = f"{error.args[0]!r} is missing"
    elif isinstance(error, ValueError | OSError):
        text = str(error)
    else:
        text = "something else stands where it has numbers, texts or lists"
    return " ".join(text.split())[:120]


def is_coco(path: Path) -> bool:
    """Whether a file begins as a COCO or LVIS annotation file does."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
            file.seek(-min(path.stat().st_size, 1 << 16), 2)
            tail = file.read()
    except OSError:
        return False
    first = re.match(rb'\s*\{\s*"([^"]*)"\s*:', head.removeprefix(codecs.BOM_UTF8))
    if first is None:
        return False
    text = head + tail
    if first[1] in FIRST_KEYS:
        return b'"images"' in text or b'"annotations"' in text
    return LIST.search(text) is not None


def read_index(path: Path) -> tuple[list[Indexed], list[str]]:
    """Index an annotation file.

    Returns
    -------
    images : list of Indexed
        Images that are there and have at least one object.
    problems : list of str
        A sentence for each annotated image whose file is missing or that is listed
        twice, and one for annotations of images that are not listed.

    Raises
    ------
    InputError
        If the file is no COCO or LVIS annotation file.
    """
    entries: list[dict[str, Any]] = []
    spans: dict[Any, list[tuple[int, int]]] = {}
    try:
        # As Latin-1 a character is a byte, so that places in the text are places in
        # the file; names are turned back into UTF-8 below.
        content = path.read_bytes()
        start = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
        for key, value, span in _members(content.decode("latin-1"), start):
            if key == "images":
                entries.append(value)
            elif key == "annotations":
                spans.setdefault(value["image_id"], []).append(span)
        found, missing = _match(path, entries, spans)
    except (*_MISREAD, OSError, RecursionError) as error:
        message = (
            f"{path} is not a COCO or LVIS annotation file ({_reason(error)}); one "
            "with images and annotations is expected."
        )
        raise InputError(message) from error
    return found, missing


def _match(
    path: Path,
    entries: list[dict[str, Any]],
    spans: dict[Any, list[tuple[int, int]]],
) -> tuple[list[Indexed], list[str]]:
    found: list[Indexed] = []
    problems = []
    stems: set[str] = set()
    strange = dict(spans)
    for entry in entries:
        key = entry["id"] if entry["id"] in spans else _as_other_type(entry["id"])
        own = spans.get(key)
        strange.pop(key, None)
        if not own:
            continue
        name = _file_name(entry)
        stem = str(Path(name).with_suffix(""))
        image = _find_image(path, name)
        if image is None:
            problems.append(
                f"{name} is annotated in {path} but not there; put the images beside "
                "the file or into images/."
            )
            continue
        if stem in stems:
            problems.append(
                f"{name} is not used; {path} has an image of the same name before it."
            )
            continue
        stems.add(stem)
        height, width = int(entry["height"]), int(entry["width"])
        if min(height, width) < 1:
            message = f"{name} is {height} x {width} px"
            raise ValueError(message)
        annotations = CocoImage(path, name, height, width, tuple(own))
        found.append(Indexed(stem, image, annotations))
    n_strange = sum(map(len, strange.values()))
    if n_strange:
        problems.append(
            f"Annotations in {path} are of images that it does not list (such as "
            f"{next(iter(strange))!r}), {n_strange} in all; correct their image_id."
        )
    return found, problems


def _as_other_type(key: Any) -> Any:
    """An image's number as text, or the number that a text is."""
    if isinstance(key, str):
        return int(key) if key.isdecimal() and str(int(key)) == key else key
    return str(key) if isinstance(key, int) else key


def _members(text: str, start: int) -> Iterator[tuple[str, Any, tuple[int, int]]]:
    """Elements of the lists of the outermost object: key, element, its span."""
    at = _expect(text, start, "{")
    while True:
        at = _skip(text, at)
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _expect(text, at, ":"))
        if _is_at(text, at, "["):
            at = _skip(text, at + 1)
            while not _is_at(text, at, "]"):
                value, end = _DECODER.raw_decode(text, at)
                yield key, value, (at, end)
                at = _skip(text, end)
                if _is_at(text, at, ","):
                    at = _skip(text, at + 1)
            at += 1
        else:
            _, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if _is_at(text, at, "}"):
            return
        at = _expect(text, at, ",")


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, character: str) -> int:
    at = _skip(text, at)
    if not _is_at(text, at, character):
        message = f"{character!r} expected at {at}"
        raise ValueError(message)
    return at + 1


def _is_at(text: str, at: int, character: str) -> bool:
    """Whether a character stands there; ValueError behind the end."""
    if at >= len(text):
        message = f"it ends in its middle, at character {len(text):,}"
        raise ValueError(message)
    return text[at] == character


def _file_name(entry: dict[str, Any]) -> str:
    """The image's name, for LVIS the last two parts of its address."""
    name = entry.get("file_name") or "/".join(entry["coco_url"].split("/")[-2:])
    try:
        return str(name).encode("latin-1").decode("utf-8")
    except UnicodeError:  # written as JSON's escapes, which are no bytes
        return str(name)


def _find_image(path: Path, name: str) -> Path | None:
    short = PureWindowsPath(name).name  # after the last / or \\
    if PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
        name = short  # a file of annotations does not lead out of its folder
    for base in (path.parent, path.parent.parent):
        for folder in IMAGE_FOLDERS:
            for candidate in (base / folder / name, base / folder / short):
                if candidate.is_file():
                    return candidate
    return None


def decode(segmentation: Any, height: int, width: int) -> Mask:
    """The pixels of a COCO outline.

    Parameters
    ----------
    segmentation : list or dict
        Polygons [[x0, y0, x1, y1, ...], ...], of which a pixel is inside if its middle
        is inside any; or a run-length code {"size", "counts"}, plain or compressed.
    height, width : int

    Raises
    ------
    InputError
        If it is neither, or does not fit the image.

    Examples
    --------
    >>> decode([[0, 0, 2, 0, 2, 1, 0, 1]], 2, 3).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    >>> decode({"size": [2, 2], "counts": [1, 2, 1]}, 2, 2).astype(int).tolist()
    [[0, 1], [1, 0]]
    """
    try:
        if isinstance(segmentation, dict):
            return _decode_runs(segmentation, height, width)
        mask = np.zeros((height, width), bool)
        for points in segmentation:
            x, y = _corners(points)
            rows, columns = polygon(y - 0.5, x - 0.5, (height, width))
            mask[rows, columns] = True
    except _MISREAD as error:
        message = (
            f"An outline cannot be understood ({_reason(error)}); COCO's are expected."
        )
        raise InputError(message) from error
    return mask


def _corners(points: Any) -> npt.NDArray[np.float64]:
    """The columns and rows of a polygon's corners, (2, n)."""
    numbers = np.asarray(points, float)
    if numbers.size % 2:
        message = f"a polygon has {numbers.size} numbers, not pairs of x and y"
        raise ValueError(message)
    if not np.isfinite(numbers).all():
        message = "a polygon has a corner that is NaN or infinite"
        raise ValueError(message)
    return numbers.reshape(-1, 2).T


def _decode_runs(code: dict[str, Any], height: int, width: int) -> Mask:
    if list(code["size"]) != [height, width]:
        message = f"its size is {code['size']}, the image is {height} x {width}"
        raise ValueError(message)
    return run_lengths.decode(code)
