"""Folders with one mask per image, as DIS5K, ThinObject-5K and BIG are laid out.

::

    im/NAME.jpg      gt/NAME.png         also images, image, img; masks, mask
    NAME_im.jpg      NAME_gt.png         side by side in one folder
    list/train.txt   list/val.txt        names of each side, if there are lists

A folder whose name ends with a side (DIS-TR, DIS-VD, train, val) belongs to it, one for
tests (DIS-TE1, test) to none. Others, and the folder that was asked for, are split by
name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

#: Endings of images and of masks, in order of preference when a stem occurs twice.
IMAGES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".npy")
MASKS = (".png", ".tif", ".tiff", ".npy")
IMAGE_FOLDERS = ("im", "images", "image", "img")
MASK_FOLDERS = ("gt", "masks", "mask")
#: Real or prepared coarse masks beside them.
COARSE_FOLDERS = ("coarse", "coarse_expand")


@dataclass(frozen=True)
class MaskFile:
    """An image with the file of its mask and of coarse ones."""

    stem: str
    image: Path
    mask: Path
    coarse: tuple[Path, ...]


def is_mask_folder(folder: Path) -> bool:
    """Whether a folder is laid out in one of these ways."""
    return _parts(folder) is not None or _is_side_by_side(folder)


def find_masks(folder: Path) -> tuple[list[MaskFile], list[str]]:
    """Every image with a mask, and a sentence for each image or mask left alone."""
    parts = _parts(folder)
    if parts is None:
        images, twice = by_stem(folder, IMAGES, "_im")
        masks, masks_twice = by_stem(folder, MASKS, "_gt")
        where = folder
    else:
        images, twice = by_stem(parts[0], IMAGES)
        masks, masks_twice = by_stem(parts[1], MASKS)
        where = parts[1]
    coarse = [by_stem(folder / name, MASKS)[0] for name in COARSE_FOLDERS]
    found, problems = [], [*twice, *masks_twice]
    for stem, image in images.items():
        if stem not in masks:
            problems.append(f"{image} has no mask; add it to {where}.")
            continue
        extra = tuple(files[stem] for files in coarse if stem in files)
        found.append(MaskFile(stem, image, masks[stem], extra))
    problems += [
        f"{path} has no image; add one or remove it."
        for stem, path in masks.items()
        if stem not in images
    ]
    return found, problems


def side_of(name: str) -> str | None:
    """The side that the last word of a name says: train, val, test; else None.

    Examples
    --------
    >>> [side_of(name) for name in ("DIS-TR", "instances_val2017", "DIS-TE2", "cells")]
    ['train', 'val', 'test', None]
    """
    words = re.findall(r"[a-z]+", name.lower())
    for side, names in (
        ("train", {"tr", "train", "training"}),
        ("val", {"vd", "val", "valid", "validation"}),
        ("test", {"te", "test", "testing"}),
    ):
        if words and words[-1] in names:
            return side
    return None


def listed(folder: Path, split: str) -> set[str] | None:
    """Stems that a list of names gives for a side; None without one.

    Raises
    ------
    OSError, ValueError
        If the list is there but cannot be read.
    """
    for path in (folder / "list" / f"{split}.txt", folder / f"{split}.txt"):
        if path.is_file():
            lines = path.read_text(encoding="utf-8").split("\n")
            return {_stem_of(line.strip()) for line in lines if line.strip()}
    return None


def _stem_of(name: str) -> str:
    """A name of a list without its ending, if it has one: others have dots as well."""
    path = Path(name)
    return path.stem if path.suffix.lower() in (*IMAGES, *MASKS) else path.name


def _parts(folder: Path) -> tuple[Path, Path] | None:
    for images in IMAGE_FOLDERS:
        for masks in MASK_FOLDERS:
            if (folder / images).is_dir() and (folder / masks).is_dir():
                return folder / images, folder / masks
    return None


def _is_side_by_side(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    stems = {path.stem for path in folder.iterdir()}
    return any(s.endswith("_gt") and s[:-3] + "_im" in stems for s in stems)


def by_stem(
    folder: Path, endings: tuple[str, ...], tail: str = ""
) -> tuple[dict[str, Path], list[str]]:
    """Files by stem without `tail`, and a sentence for each whose stem occurs twice."""
    found: dict[str, Path] = {}
    problems: list[str] = []
    if not folder.is_dir():
        return found, problems
    files = [path for path in folder.iterdir() if path.suffix.lower() in endings]
    for path in sorted(files, key=lambda p: (p.stem, endings.index(p.suffix.lower()))):
        if path.name.startswith("."):  # leftovers of file managers and of copying
            continue
        if not path.stem.endswith(tail):
            continue
        first = found.setdefault(path.stem.removesuffix(tail), path)
        if first is not path:
            problems.append(f"{path} is not used; {first} has the same name.")
    return found, problems
