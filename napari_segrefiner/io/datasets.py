"""Data sets on disk: which image belongs to which labels, coarse masks and group."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_segrefiner.errors import InputError
from napari_segrefiner.io.coco import CocoImage, is_coco, read_index
from napari_segrefiner.io.mask_folders import (
    by_stem,
    find_masks,
    is_mask_folder,
    listed,
    side_of,
)

logger = logging.getLogger(__name__)

Split = Literal["train", "val"]
#: Endings that are looked for, in order of preference when a stem occurs twice.
ENDINGS = (".png", ".tif", ".tiff", ".npy", ".jpg", ".jpeg")
#: Share of the groups that validates, in a set without train and val folders.
VAL_SHARE = 0.2
#: Beginnings of annotation files that hold no outlines of objects.
NO_OUTLINES = ("captions", "person_keypoints", "image_info", "panoptic", "stuff")
#: File that tells the groups of sets, and how many wrong names of one are shown.
GROUPS, NAMES_SHOWN = "groups.json", 3


@dataclass(frozen=True)
class Item:
    """One image file with its truth.

    Attributes
    ----------
    stem : str
    image : Path
    labels : Path
        A label image; with ``is_mask`` a picture of one mask, bright inside; with
        ``annotations`` the file that they are from.
    coarse : tuple of Path
        Real coarse masks with the ids of the labels.
    group : str
        Items of a group (frames of a film, pictures of a slide) stay on one side of a
        split.
    is_mask : bool
    annotations : CocoImage or None
    """

    stem: str
    image: Path
    labels: Path
    coarse: tuple[Path, ...] = ()
    group: str = ""
    is_mask: bool = False
    annotations: CocoImage | None = None


@dataclass(frozen=True)
class ImageSet:
    """Images of one kind; ``problems`` are the sentences about files left out."""

    name: str
    items: tuple[Item, ...]
    problems: tuple[str, ...] = ()


def find_sets(
    root: Path | str, split: Split, exclude: Iterable[str] = ()
) -> list[ImageSet]:
    """Find the sets in a folder; images are not opened.

    Parameters
    ----------
    root : path
        One of: a folder with images/ and labels/; a folder with train/ and val/ that
        hold them; a folder with one mask per image (see :mod:`.mask_folders`); a COCO
        or LVIS annotation file, or a folder with such files; or a folder of such
        folders, as a rule with groups.json beside them (see :func:`read_groups`).
        Beside labels/, folders coarse/ and coarse_*/ hold real coarse masks.
    split : "train" or "val"
        A set that is not split is split by group, a fifth for validation, by a hash of
        the group's name: the same files always fall on the same side.
    exclude : iterable of str
        Names of sets to leave out.

    Returns
    -------
    list of ImageSet
        Sorted by folder, whose name is theirs; where two have one name, those above are
        joined to it by dashes. Sets without a single pair on this side are not listed,
        their problems are logged.

    Raises
    ------
    InputError
        If there is no such folder, an excluded name is unknown, nothing is found, or
        groups.json is damaged.
    """
    root = Path(root)
    if not root.is_dir() and not is_coco(root):
        msg = (
            f"{root} is not a folder, and no COCO annotation file; give the folder "
            "that holds images/ and labels/, or one of several that do."
        )
        raise InputError(msg)
    names = _names(root)
    excluded = set(exclude)
    unknown = excluded - set(names.values())
    if unknown:
        msg = (
            f"The sets to exclude ({', '.join(sorted(unknown))}) are not in {root}; it "
            f"holds {', '.join(names.values()) or 'no set'}."
        )
        raise InputError(msg)
    if names and excluded == set(names.values()):
        msg = (
            f"Every set in {root} is excluded ({', '.join(sorted(excluded))}); at "
            "least one is needed."
        )
        raise InputError(msg)
    found = [
        _find(
            name,
            source,
            split,
            read_groups(root, source, name),
            is_root=source == root,
        )
        for source, name in names.items()
        if name not in excluded
    ]
    sets = [one for one in found if one.items]
    problems = [text for one in found for text in one.problems]
    if not sets:
        msg = (
            f"No pairs of images and labels for {split} in {root}; an image "
            "images/NAME.png goes with labels/NAME.png or .tif."
        )
        if root.is_file() and side_of(root.stem) not in (None, split):
            msg = (
                f"{root} is for {side_of(root.stem)}, as its name says, and pairs for "
                f"{split} are wanted; rename it, or name a folder with files for both."
            )
        if problems:
            msg += "\n" + report(problems)
        raise InputError(msg)
    for one in found:
        if one.problems and not one.items:
            logger.warning("%s", report(one.problems))
    return sets


def report(problems: Sequence[str], limit: int = 20) -> str:
    """All problems of some sets as one text, the first `limit` in full.

    Examples
    --------
    >>> print(report(["a.png has no labels."]))
    1 pair cannot be used:
      a.png has no labels.
    """
    head = f"{len(problems)} pair{'s' if len(problems) != 1 else ''} cannot be used:"
    lines = [f"  {text}" for text in problems[:limit]]
    if len(problems) > limit:
        lines.append(f"  ... and {len(problems) - limit} more.")
    return "\n".join([head, *lines])


def fingerprint(sets: Iterable[ImageSet], *, has_times: bool = False) -> str:
    """A digest that is another one when files were added, removed or changed.

    Of names and sizes in bytes; with `has_times` also of when the files were written,
    which differs between copies. Their contents are not read. Files that have gone
    count as empty.
    """
    digest = hashlib.sha256()
    for one in sets:
        for item in one.items:
            digest.update(os.fsencode(f"{one.name}/{item.stem}"))
            for path in (item.image, item.labels, *item.coarse):
                try:
                    facts = path.stat()
                except OSError:
                    digest.update(b"|")
                    continue
                times = facts.st_mtime_ns if has_times else ""
                text = f"|{path.name} {facts.st_size} {times}"
                digest.update(os.fsencode(text))
    return digest.hexdigest()


@dataclass(frozen=True)
class Groups:
    """The group of every stem of a set, and what is wrong with what was said of it."""

    path: Path | None = None
    of: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def group(self, stem: str) -> str:
        """The group of an image; those of no group are one each."""
        return self.of.get(stem, stem)

    def unknown(self, name: str, stems: Collection[str]) -> list[str]:
        """A sentence if it names images that the set `name` does not have."""
        wrong = [stem for stem in self.of if stem not in stems]
        if not wrong:
            return []
        shown = ", ".join(wrong[:NAMES_SHOWN])
        if len(wrong) > NAMES_SHOWN:
            shown += f" and {len(wrong) - NAMES_SHOWN} more"
        text = (
            f"{self.path} names {shown}, but {name} has no such image; write names "
            "without their endings, or remove these."
        )
        return [text]


def read_groups(root: Path, source: Path, name: str) -> Groups:
    """The groups of a set from groups.json, {set: {split: {group: [stems]}}}.

    Parameters
    ----------
    root : Path
        What was asked for.
    source, name : Path and str
        The set's folder or annotation file, in or under `root`, and its name.

    Returns
    -------
    Groups
        Of the nearest file that names the set or its folder: in this folder, where a
        file of a single set is about it whatever its name, or above, up to `root`; for
        what lies in `root` itself also beside that. Empty without one.

    Raises
    ------
    InputError
        If a file is there but cannot be understood, beside `root` excepted.
    """
    folder, top = (path.parent if path.is_file() else path for path in (source, root))
    places = [folder]
    while places[-1] != top:
        places.append(places[-1].parent)
    beside = folder.resolve().parent if folder == top else None
    if beside is not None:
        places.append(beside)
    names = (name, _without_ending(source).name, folder.resolve().name)
    problems = []
    for path in (place / GROUPS for place in places):
        if not path.is_file():
            continue
        try:
            tree = _read_tree(path)
            known = [one for one in names if one in tree]
            if path.parent == source and not known:
                known = list(tree) if len(tree) == 1 else []
                if len(tree) > 1:
                    problems.append(
                        f"{path} does not name {name} (it has {', '.join(tree)}), so "
                        "that its images count as one group each; correct the name."
                    )
            if known:
                return Groups(path, _by_group(path, tree[known[0]]))
        except InputError as error:
            if path.parent != beside:
                raise
            problems.append(str(error))  # it may be about something else
    return Groups(problems=tuple(problems))


def _read_tree(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(tree, dict):
        raise _unreadable(path, "no sets in it")
    return tree


def _by_group(path: Path, splits: Any) -> dict[str, str]:
    """The group of every stem of a set."""
    parts = list(splits.values()) if isinstance(splits, dict) else [splits]
    found: dict[str, str] = {}
    for part in parts:
        if not isinstance(part, dict):
            raise _unreadable(path, f"{part!r:.60} where groups are expected")
        for group, stems in part.items():
            if not isinstance(stems, list) or not all(
                isinstance(stem, str) for stem in stems
            ):
                reason = f"{stems!r:.60} where a list of names is expected"
                raise _unreadable(path, reason)
            found.update(dict.fromkeys(stems, group))
    return found


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path} cannot be read as {{set: {{split: {{group: [stems]}}}}}} ({reason}); "
        "correct the file, or remove it to split by file."
    )


def is_data(path: Path, root: Path) -> bool:
    """Whether a file in or under `root` may be a part of its sets."""
    is_named = path.suffix.lower() in ENDINGS or path.name == GROUPS
    return is_named and path.resolve().is_relative_to(root.resolve())


def annotation_files(root: Path) -> list[Path]:
    """The annotation files among the sets in or under `root`, if it is there."""
    return [one for one in _sources(root) if one.is_file()] if root.exists() else []


def _sources(root: Path) -> list[Path]:
    """Sets in or under `root`, two levels deep: folders, or annotation files."""
    own = _own_sources(root)
    if own:
        return own
    found = []
    for child in sorted(path for path in root.iterdir() if path.is_dir()):
        inside = _own_sources(child)
        if not inside:
            deeper = sorted(path for path in child.iterdir() if path.is_dir())
            inside = [one for path in deeper for one in _own_sources(path)]
        found += inside
    return found


def _own_sources(path: Path) -> list[Path]:
    """`path` if it is a set, or the annotation files that it holds."""
    if path.is_file() or _is_set(path) or is_mask_folder(path):
        return [path]
    files = [*path.glob("*.json"), *path.glob("annotations/*.json")]
    return [
        file
        for file in sorted(files)
        if not file.name.startswith(NO_OUTLINES) and is_coco(file)
    ]


def _names(root: Path) -> dict[Path, str]:
    """The sets in or under `root` by name; of equal names all folders are told."""
    paths = {source: _without_ending(source) for source in _sources(root)}
    times = Counter(path.name for path in paths.values())
    return {
        source: _name_of(path)
        if times[path.name] == 1
        else "-".join(path.relative_to(root).parts)
        for source, path in paths.items()
    }


def _without_ending(source: Path) -> Path:
    """A set's folder, or its annotation file without its ending."""
    return source.with_suffix("") if source.is_file() else source


def _name_of(path: Path) -> str:
    """A folder's name, also of ``.`` and ``..``."""
    return path.name if path.name not in ("", "..") else path.resolve().name


def _is_set(folder: Path) -> bool:
    return any(
        (folder / part / "images").is_dir() and (folder / part / "labels").is_dir()
        for part in (".", "train", "val")
    )


def _find(
    name: str, source: Path, split: Split, groups: Groups, *, is_root: bool
) -> ImageSet:
    if source.is_file():
        return _find_annotated(name, source, split, groups)
    if not _is_set(source):
        return _find_masked(name, source, split, groups, is_root=is_root)
    return _find_set(name, source, split, groups)


def _find_annotated(name: str, file: Path, split: Split, groups: Groups) -> ImageSet:
    """The images of an annotation file."""
    side = side_of(file.stem)
    if side not in (None, split):
        return ImageSet(name, ())
    indexed, problems = read_index(file)
    items = [
        Item(
            one.stem,
            one.image,
            file,
            annotations=one.annotations,
            group=groups.group(one.stem),
        )
        for one in indexed
    ]
    if side is None:
        stems = {item.stem for item in items}
        if not stems & groups.of.keys():  # images without objects are no items
            problems += groups.unknown(name, stems)
        items = _on_side(items, split)
    return ImageSet(name, tuple(items), tuple(problems))


def _find_masked(
    name: str, folder: Path, split: Split, groups: Groups, *, is_root: bool
) -> ImageSet:
    """The images of a folder with one mask per image."""
    side = None if is_root else side_of(folder.name)
    if side not in (None, split):
        return ImageSet(name, ())
    files, problems = find_masks(folder)
    problems += groups.problems
    items = [
        Item(
            one.stem,
            one.image,
            one.mask,
            one.coarse,
            groups.group(one.stem),
            is_mask=True,
        )
        for one in files
    ]
    try:
        names = listed(folder, split)
    except (OSError, ValueError) as error:
        msg = f"The list of {split} names in {folder} cannot be read ({error})."
        raise InputError(msg) from error
    if names is not None:
        items = [item for item in items if item.stem in names]
    elif side is None:
        problems += groups.unknown(name, {item.stem for item in items})
        items = _on_side(items, split)
    return ImageSet(name, tuple(items), tuple(problems))


def _find_set(name: str, folder: Path, split: Split, groups: Groups) -> ImageSet:
    is_flat = (folder / "images").is_dir() and (folder / "labels").is_dir()
    part = folder if is_flat else folder / split
    if not (part / "images").is_dir():
        return ImageSet(name, ())
    images, twice = by_stem(part / "images", ENDINGS)
    labels, _ = by_stem(part / "labels", ENDINGS)
    coarse = [by_stem(path, ENDINGS)[0] for path in sorted(part.glob("coarse*"))]
    problems = [*twice, *groups.problems]
    items = []
    for stem, image in images.items():
        if stem not in labels:
            problems.append(f"{image} has no labels; add {part / 'labels' / stem}.png.")
            continue
        extra = tuple(files[stem] for files in coarse if stem in files)
        items.append(Item(stem, image, labels[stem], extra, groups.group(stem)))
    problems += [
        f"{path} has no image; add {part / 'images' / stem}.png or remove it."
        for stem, path in labels.items()
        if stem not in images
    ]
    if is_flat:
        problems += groups.unknown(name, images)
        items = _on_side(items, split)
    return ImageSet(name, tuple(items), tuple(problems))


def _on_side(items: list[Item], split: Split) -> list[Item]:
    """Those of a set that is not split whose group falls on one side."""
    kept = _split_groups({item.group for item in items}, split)
    return [item for item in items if item.group in kept]


def _split_groups(groups: set[str], split: Split) -> set[str]:
    """The groups on one side; with two or more groups, both sides get at least one."""
    ordered = sorted(
        groups, key=lambda group: hashlib.sha256(os.fsencode(group)).hexdigest()
    )
    if len(ordered) < 2:  # a lone image serves both sides: better than no validation
        return set(ordered)
    n_val = max(1, round(VAL_SHARE * len(ordered)))
    return set(ordered[:n_val] if split == "val" else ordered[n_val:])
