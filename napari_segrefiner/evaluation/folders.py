"""Label files of several folders that belong together, found by their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError
from napari_segrefiner.evaluation.pairing import Pairing, Pairs, pair_objects
from napari_segrefiner.evaluation.scores import COARSE, ImageScores, score_image
from napari_segrefiner.io.atomic import is_same_file
from napari_segrefiner.io.images import read_image
from napari_segrefiner.io.labels import read_labels
from napari_segrefiner.metrics import number, overlaps
from napari_segrefiner.wording import size_text

#: Endings that are looked for; of one stem the first is taken.
ENDINGS = (".png", ".tif", ".tiff", ".npy")
#: What the folder of the truth may be called inside of a set.
TRUTHS = ("truth", "labels")
#: The endings of images.
IMAGE_ENDINGS = (*ENDINGS, ".jpg", ".jpeg")


@dataclass(frozen=True)
class LabelFiles:
    """The files of one picture: the truth, and a file of every layer."""

    set_name: str
    stem: str
    truth: Path
    layers: Mapping[str, Path]
    image: Path | None = None

    @property
    def name(self) -> str:
        """The stem, with its set in front if there is one."""
        return f"{self.set_name}/{self.stem}" if self.set_name else self.stem


@dataclass(frozen=True)
class LeftOut:
    """Something that was not scored, and a sentence why."""

    name: str
    reason: str


@dataclass
class Found:
    """Files to score, and what was left out."""

    files: list[LabelFiles] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def find_files(
    truth: Path,
    coarse: Path,
    refined: Sequence[Path] = (),
    images: Path | None = None,
    *,
    roles: Sequence[str] = (COARSE,),
) -> Found:
    """Match the files of folders by stem.

    Parameters
    ----------
    truth, coarse : Path
        Folders that hold STEM.png (.tif, .npy) each, or such a folder called truth/
        and coarse/; or folders of sets, SET/STEM.png or SET/truth/STEM.png and
        SET/coarse/STEM.png.
    refined : sequence of Path
        As `coarse`, with SET/refined/STEM.png; a layer is called as its folder.
    images : Path, optional
        As `coarse`, with SET/images/STEM.jpg; a picture without one is left out.
    roles : sequence of str
        What the folder of the coarse labels may be called inside of a set. With those
        of the truth it stands for the labels before; else a picture one of whose
        layers is the truth's own file is left out, as it would be perfect.

    Raises
    ------
    InputError
        If a folder is missing, two layers have one name, or no file has a partner.
    """
    folders = {COARSE: coarse}
    for folder in refined:
        name = folder.resolve().name
        if name in folders:
            msg = f"Two folders are called {name}, which names a result; rename one."
            raise InputError(msg)
        folders[name] = folder
    found = Found()
    unused = found.left_out
    true_files = _files_of(truth, TRUTHS, unused)
    layer_files = {
        name: _files_of(folder, roles if name == COARSE else ("refined",), unused)
        for name, folder in folders.items()
    }
    image_files = (
        _files_of(images, ("images",), unused, IMAGE_ENDINGS) if images else {}
    )
    of_truth = []
    for key, true_file in sorted(true_files.items()):
        layers = {n: files[key] for n, files in layer_files.items() if key in files}
        missing = [str(folders[n]) for n in folders if n not in layers]
        if images and key not in image_files:
            missing.append(str(images))
        one = LabelFiles(*key, true_file, layers, image_files.get(key))
        same = [n for n, path in layers.items() if is_same_file(path, true_file)]
        if missing:
            reason = f"There is no {key[1]} in {' and '.join(missing)}."
            found.left_out.append(LeftOut(one.name, reason))
        elif same and roles != TRUTHS:
            reason = (
                f"{true_file} is given both as the truth and as {same[0]}; name "
                "another folder for one of them."
            )
            of_truth.append(LeftOut(one.name, reason))
        else:
            found.files.append(one)
    if not found.files and of_truth:
        told = [of_truth[0], *unused[:1]]
        raise InputError(" ".join(one.reason for one in told))
    unused += of_truth
    for name, files in layer_files.items():
        for key in sorted(files.keys() - true_files.keys()):
            one_name = "/".join(part for part in key if part)
            reason = f"There is a file in {folders[name]} but no truth."
            found.left_out.append(LeftOut(one_name, reason))
    if not found.files:
        msg = (
            f"No label file in {truth} has a partner of the same name in "
            f"{' and '.join(str(f) for f in folders.values())}; files belong together "
            "by name, as in truth/a.png and coarse/a.tif."
        )
        raise InputError(" ".join([msg, *(one.reason for one in unused[:1])]))
    return found


def _files_of(
    folder: Path,
    roles: Sequence[str],
    unused: list[LeftOut],
    endings: Sequence[str] = ENDINGS,
) -> dict[tuple[str, str], Path]:
    """Files by (set, stem); the set is "" if the folder is one itself.

    Files whose name another one has already are added to `unused`, and the sets in a
    folder that is one itself.
    """
    if not folder.is_dir():
        msg = f"{folder} is not a folder; give the folder that holds the label files."
        raise InputError(msg)
    own, inner = _by_stem(folder, unused, endings), _role_in(folder, roles)
    is_by_role = False
    if not own and inner is not None:
        own, is_by_role = _by_stem(inner, unused, endings), True
    found = {("", stem): path for stem, path in own.items()}
    for one in sorted(path for path in folder.iterdir() if path.is_dir()):
        held = _role_in(one, roles)
        files = _by_stem(held or one, [] if own else unused, endings)
        if not own:
            found |= {(one.name, stem): path for stem, path in files.items()}
        elif files and (held or not is_by_role):
            reason = (
                f"{one} is not scored, as {folder} holds label files itself; move "
                "those to score the sets in it."
            )
            told = LeftOut(one.name, reason)
            unused += [told] if told not in unused else []
    return found


def _role_in(folder: Path, roles: Sequence[str]) -> Path | None:
    """The first folder inside `folder` that is called as one of the roles."""
    return next((folder / role for role in roles if (folder / role).is_dir()), None)


def _by_stem(
    folder: Path, unused: list[LeftOut], endings: Sequence[str]
) -> dict[str, Path]:
    """The files of a folder with one of the endings, by their stems."""
    files = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in endings and not path.name.startswith(".")
    ]
    by_preference = sorted(files, key=lambda path: endings.index(path.suffix.lower()))
    found: dict[str, Path] = {}
    for path in by_preference:
        first = found.setdefault(path.stem, path)
        if path is not first:
            reason = f"{path} is not used; {first} has the same name."
            unused.append(LeftOut(path.name, reason))
    return found


@dataclass(frozen=True)
class Loaded:
    """The arrays of one picture: truth, layers and, where asked for, the image."""

    truth: npt.NDArray[Any]
    layers: dict[str, npt.NDArray[Any]]
    image: npt.NDArray[Any] | None = None


#: From the name of a set and what was read to more layers by name.
MoreLayers = Callable[[str, Loaded], Mapping[str, npt.NDArray[Any]]]


def load(files: LabelFiles, more: MoreLayers | None = None) -> Loaded:
    """Read the files of a picture, and make the layers that `more` adds.

    Raises
    ------
    InputError
        If a file cannot be read, or sizes differ.
    """
    image = read_image(files.image) if files.image else None
    truth = read_labels(files.truth, None if image is None else image.shape)
    layers = {
        name: read_labels(path, truth.shape) for name, path in files.layers.items()
    }
    for name, labels in layers.items():
        if labels.shape != truth.shape:
            sizes = size_text(truth.shape), size_text(labels.shape)
            msg = f"The truth is {sizes[0]} but {name} is {sizes[1]}."
            raise InputError(msg)
    # One object in each, whether it is written as 1 or as 255; but not where the truth
    # has an object of the number 255.
    is_one = _is_mask(truth) or not (truth == 255).any()
    if is_one and all(_is_mask(labels) for labels in layers.values()):
        layers = {name: labels.astype(bool) for name, labels in layers.items()}
        truth = truth.astype(bool) if _is_mask(truth) else truth
    found = Loaded(truth, layers, image)
    if more is None:
        return found
    added = more(files.set_name, found)
    return dataclasses.replace(found, layers={**layers, **added})


def _is_mask(labels: npt.NDArray[Any]) -> bool:
    """Whether it can be a mask of one object: 0 and 1, 0 and 255, or nothing."""
    largest = int(labels.max(initial=0))
    return largest <= 1 or (largest == 255 and bool(np.isin(labels, (0, 255)).all()))


def score_files(
    files: LabelFiles, pairing: Pairing = "auto", more: MoreLayers | None = None
) -> Iterator[ImageScores | LeftOut]:
    """Score a picture; of a stack every plane that has a true object.

    Objects of a stack are paired in all planes together.

    Parameters
    ----------
    files : LabelFiles
    pairing : {"auto", "id", "overlap"}
    more : callable, optional
        Makes layers from those that were read, see :func:`load`.

    Yields
    ------
    ImageScores or LeftOut
        LeftOut for what cannot be scored, and for labels without truth or, in refined
        layers, without a coarse label.
    """
    try:
        found = load(files, more)
        yield from score_loaded(files.name, found, pairing)
    except InputError as error:
        yield LeftOut(files.name, str(error))


def score_loaded(
    name: str, found: Loaded, pairing: Pairing = "auto"
) -> Iterator[ImageScores | LeftOut]:
    """Score arrays; see :func:`score_files`.

    Raises
    ------
    InputError
        If the truth holds no object.
    """
    pairs = _pair(found, pairing)
    if len(pairs.surplus):
        reason = f"Coarse labels without truth: {_listed(pairs.surplus)}."
        yield LeftOut(name, reason)
    known = number(found.layers[COARSE])[0]
    for layer, labels in found.layers.items():
        others = np.setdiff1d(number(labels)[0], known)
        if len(others):
            reason = (
                f"Labels of {layer} that no coarse label is called: {_listed(others)}; "
                "refined labels keep the ids of the coarse ones."
            )
            yield LeftOut(name, reason)
        elsewhere = np.intersect1d(_elsewhere(found.layers[COARSE], labels), known)
        if len(elsewhere):
            reason = (
                f"Labels of {layer} that lie on other coarse labels, and nowhere on "
                f"that of their number: {_listed(elsewhere)}; renumbered ones score as "
                "losses."
            )
            yield LeftOut(name, reason)
    truth = found.truth
    for index in np.ndindex(truth.shape[:-2]):
        if truth.ndim == 2 or truth[index].any():
            own = _pairs_in(pairs, truth[index]) if index else pairs
            planes = {key: labels[index] for key, labels in found.layers.items()}
            plane = plane_name(name, index)
            yield score_image(plane, truth[index], planes, own, is_whole=True)


def _elsewhere(
    coarse: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """Labels that share pixels with coarse ones of other numbers alone."""
    pairs = overlaps(coarse, labels)
    ids = pairs.ids[pairs.columns]
    is_own = pairs.truth_ids[pairs.rows] == ids
    return np.setdiff1d(ids[~is_own], ids[is_own])


def _listed(ids: npt.NDArray[np.int64], most: int = 10) -> str:
    """Ids in a sentence, the first of many."""
    more = ", ..." if len(ids) > most else ""
    return ", ".join(map(str, ids[:most].tolist())) + more


def plane_name(name: str, index: tuple[int, ...]) -> str:
    """What a plane is called in reports."""
    return name + "".join(f"[{i}]" for i in index)


def _pair(found: Loaded, pairing: Pairing) -> Pairs:
    """Refuse a truth without objects, then pair."""
    if not found.truth.any():
        msg = "The truth holds no object."
        raise InputError(msg)
    return pair_objects(found.truth, found.layers[COARSE], pairing)


def _pairs_in(pairs: Pairs, plane: npt.NDArray[Any]) -> Pairs:
    """Those pairs whose true object is in a plane."""
    here = np.isin(pairs.truth_ids, np.unique(plane))
    return Pairs(pairs.truth_ids[here], pairs.coarse_ids[here], pairs.surplus)
