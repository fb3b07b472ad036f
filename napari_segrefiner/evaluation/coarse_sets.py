"""Sets of images with coarse labels in a folder: made once, scored often.

::

    FOLDER/record.json                     what the folder was made with
    FOLDER/<kind>/<set>/images/<stem>.*    copies of the images
                        truth/<stem>.tif   the true labels of the objects that count
                        coarse/<stem>.tif  coarse labels with the same ids

A stem that names folders has %2F between them.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_segrefiner.errors import InputError, OptionError, naming
from napari_segrefiner.evaluation.perturb import (
    KINDS,
    MIXED,
    Coarse,
    perturb,
    random_for,
)
from napari_segrefiner.io.atomic import make_folder, write_text, write_whole
from napari_segrefiner.io.datasets import (
    ImageSet,
    Item,
    Split,
    find_sets,
    fingerprint,
    report,
)
from napari_segrefiner.io.images import read_image
from napari_segrefiner.io.labels import read_labels, write_labels
from napari_segrefiner.io.pairs import read_mask, read_truth
from napari_segrefiner.wording import json_text, size_text

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

#: Real coarse masks beside the labels, by the folder that holds them.
REAL = {"real": 0, "real2": 1}
ALL_KINDS = (*KINDS, *REAL)
RECORD = "record.json"
#: Entry of the record: what the files of the data were like.
DATA = "data_files"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CoarsePlan:
    """What decides a folder of coarse sets.

    Attributes
    ----------
    data : str
        Folder of the data sets.
    split : {"train", "val"}
    kinds : tuple of str
        Of ALL_KINDS; real ones are made where real masks exist.
    seed : int
    limit : int
        Most objects per set and kind.
    exclude : tuple of str
        Sets to leave out.
    """

    data: str
    split: Split = "val"
    kinds: tuple[str, ...] = (MIXED,)
    seed: int = 0
    limit: int = 100
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in ALL_KINDS]
        if unknown or not self.kinds:
            msg = (
                f"There is no kind {', '.join(unknown) or 'given'} of coarse masks; "
                f"choose from {', '.join(ALL_KINDS)}."
            )
            raise OptionError(msg)
        if self.seed < 0:
            msg = f"seed is {self.seed}; a whole number of at least 0 is expected."
            raise OptionError(msg)
        if self.limit < 1:
            msg = f"limit is {self.limit}; a whole number of at least 1 is expected."
            raise OptionError(msg)


@dataclass(frozen=True)
class CoarseSet:
    """One kind of coarse masks of one set: files of equal stems in three folders."""

    kind: str
    name: str
    folder: Path

    @property
    def stems(self) -> list[str]:
        """The names of its images."""
        return sorted(path.stem for path in (self.folder / "truth").glob("*.tif"))

    def read(self, stem: str) -> tuple[npt.NDArray[Any], Coarse]:
        """Image, true labels and coarse labels of one name."""
        image = self._image(stem)
        truth = read_labels(self.folder / "truth" / f"{stem}.tif")
        coarse = read_labels(self.folder / "coarse" / f"{stem}.tif")
        return read_image(image), Coarse(truth, coarse)

    def naming(self, stem: str) -> AbstractContextManager[None]:
        """Errors about an image begin with SET/FILE: the folder may be gone by then."""
        return naming(f"{self.name}/{self._image(stem).name}")

    def _image(self, stem: str) -> Path:
        found = (self.folder / "images").iterdir()
        image = next((path for path in found if path.stem == stem), None)
        if image is None:
            msg = f"{self.folder / 'images' / stem}.* is missing; make the folder anew."
            raise InputError(msg)
        return image


def coarse_sets(folder: Path) -> list[CoarseSet]:
    """The coarse sets in a folder, by kind and name."""
    found = sorted(folder.glob("*/*/truth"), key=lambda path: path.parts[-3:])
    sets = [
        CoarseSet(path.parent.parent.name, path.parent.name, path.parent)
        for path in found
    ]
    return sorted(sets, key=lambda one: (ALL_KINDS.index(one.kind), one.name))


def is_made(folder: Path, plan: CoarsePlan) -> bool:
    """Whether a folder holds what `plan` asks for.

    Raises
    ------
    InputError
        If it holds anything else, or the data were changed since, or have gone.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return False
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = None
    if record is None:
        msg = (
            f"{folder} is not empty and holds no finished masks; name another folder, "
            "or remove it if a run that was killed has left it."
        )
        raise InputError(msg)
    made_of = record.pop(DATA, None) if isinstance(record, dict) else None
    if made_of is None or record != _settings(plan):
        msg = (
            f"{folder} is not empty, and not made with these settings; name another "
            "folder or remove it."
        )
        raise InputError(msg)
    if made_of != data_files(plan):
        msg = (
            f"{plan.data} has changed since the masks in {folder} were made of it; "
            "name another folder or remove it."
        )
        raise InputError(msg)
    return True


def data_files(plan: CoarsePlan) -> str:
    """A digest of the files that a plan finds, as they are now."""
    return fingerprint(_find(plan), has_times=True)


def make_coarse_sets(folder: Path, plan: CoarsePlan) -> Iterator[CoarseSet]:
    """Make coarse labels; yields every set of a kind when it is written.

    The record is written last: a folder that was not finished is not taken for one.

    Raises
    ------
    InputError
        If `folder` holds anything or cannot be made, no data are found, or no coarse
        mask of these kinds can be made of them.
    """
    if is_made(folder, plan):
        yield from coarse_sets(folder)
        return
    sets = _find(plan)
    # The data as they are before they are read.
    record = _settings(plan) | {DATA: fingerprint(sets, has_times=True)}
    make_folder(folder)
    is_any = False
    try:
        for kind in plan.kinds:
            for one in sets:
                made = CoarseSet(kind, one.name, folder / kind / one.name)
                if _make(made, one, plan):
                    is_any = True
                    yield made
        if not is_any:
            msg = (
                f"No coarse mask of kind {', '.join(plan.kinds)} can be made of the "
                f"{plan.split} images in {plan.data}; choose other kinds or data."
            )
            raise InputError(msg)
        write_text(folder / RECORD, json_text(record))
    finally:
        if not (folder / RECORD).exists():
            for kind in plan.kinds:
                shutil.rmtree(folder / kind, ignore_errors=True)


def _settings(plan: CoarsePlan) -> dict[str, Any]:
    """The plan as it is read from a file."""
    return json.loads(json.dumps(asdict(plan)))  # type: ignore[no-any-return]


def _find(plan: CoarsePlan) -> list[ImageSet]:
    return find_sets(plan.data, plan.split, plan.exclude)


def _make(made: CoarseSet, one: ImageSet, plan: CoarsePlan) -> bool:
    """Write one set of one kind; returns whether there was anything."""
    if one.problems and made.kind == plan.kinds[0]:  # told once
        logger.warning("%s", report(one.problems))
    usable = [item for item in one.items if _has_kind(item, made.kind)]
    truths = {}
    for item in usable:
        try:
            truth = read_truth(item)
        except InputError as error:
            logger.warning("%s", error)
            continue
        if truth.ndim == 2 and truth.any():
            truths[item.stem] = truth
        elif truth.ndim != 2:
            logger.warning("%s is a stack; it is left out.", item.labels)
    chosen = choose_objects(truths, plan.limit, f"{plan.seed}/{one.name}")
    is_any = False
    for item in usable:
        if item.stem not in chosen:
            continue
        truth, ids = truths[item.stem], chosen[item.stem]
        try:
            coarse = _coarse(item, truth, made.kind, ids, plan)
        except InputError as error:
            logger.warning("%s", error)
            continue
        if coarse.labels.any():
            _write(made, item, coarse)
            is_any = True
    return is_any


def _has_kind(item: Item, kind: str) -> bool:
    return kind not in REAL or _real(item, kind) is not None


def _real(item: Item, kind: str) -> Path | None:
    """The file of a real kind: folder coarse/ holds the first, coarse_*/ the second."""
    is_second = bool(REAL[kind])
    for path in item.coarse:
        if (path.parent.name != "coarse") == is_second:
            return path
    return None


def _coarse(
    item: Item,
    truth: npt.NDArray[Any],
    kind: str,
    ids: Sequence[int],
    plan: CoarsePlan,
) -> Coarse:
    image = read_image(item.image)
    if truth.shape not in (image.shape, image.shape[:2], image.shape[1:]):
        sizes = size_text(truth.shape), size_text(image.shape)
        msg = f"{item.labels} is {sizes[0]} but {item.image} is {sizes[1]}."
        raise InputError(msg)
    if kind in REAL:
        path = _real(item, kind)
        labels = _read_real(item, path, truth)
        held = np.intersect1d(ids, np.unique(labels))
        return Coarse(
            np.where(np.isin(truth, held), truth, 0).astype(truth.dtype),
            np.where(np.isin(labels, held), labels, 0).astype(truth.dtype),
        )
    return perturb(image, truth, kind, ids=ids, seed=plan.seed, name=item.stem)


def _read_real(
    item: Item, path: Path | None, truth: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """A real coarse mask; one of another size than the truth counts as none."""
    if path is None:
        return np.zeros_like(truth)
    labels = read_mask(path) if item.is_mask else read_labels(path, truth.shape)
    if labels.shape == truth.shape:
        return labels
    logger.warning("%s has another size than its truth; it is left out.", path)
    return np.zeros_like(truth)


def _write(made: CoarseSet, item: Item, coarse: Coarse) -> None:
    for part in ("images", "truth", "coarse"):
        make_folder(made.folder / part)
    stem = _file_stem(item.stem)
    name = f"{stem}.tif"
    copy = made.folder / "images" / f"{stem}{item.image.suffix}"
    with write_whole(copy, overwrite=True) as unfinished:
        shutil.copyfile(item.image, unfinished)
    write_labels(made.folder / "truth" / name, coarse.truth, overwrite=True)
    write_labels(made.folder / "coarse" / name, coarse.labels, overwrite=True)


def _file_stem(stem: str) -> str:
    """A name without folders, as annotation files have; another for every stem."""
    return re.sub(r"[%\\/]", lambda found: f"%{ord(found[0]):02X}", stem)


def choose_objects(
    truths: dict[str, npt.NDArray[Any]], limit: int, name: str
) -> dict[str, list[int]]:
    """Choose objects evenly over images; those of one image are neighbours.

    Neighbours because objects compete: a model has to tell touching ones apart.

    Parameters
    ----------
    truths : dict of name to (Y, X) integer array
    limit : int
        Most objects in all.
    name : str
        Decides what is random.

    Returns
    -------
    dict of name to list of int
        Rising ids; images that got none are missing.
    """
    rng = random_for(f"choice/{name}")
    ids = {stem: np.unique(truth[truth != 0]) for stem, truth in truths.items()}
    stems = [str(stem) for stem in rng.permutation(sorted(truths))]
    quota = dict.fromkeys(stems, 0)
    left = min(limit, sum(len(own) for own in ids.values()))
    while left:
        for stem in stems:
            if left and quota[stem] < len(ids[stem]):
                quota[stem] += 1
                left -= 1
    chosen = {}
    for stem in stems:
        if quota[stem]:
            centres = np.array(
                ndimage.center_of_mass(truths[stem] != 0, truths[stem], ids[stem])
            )
            start = centres[int(rng.integers(len(centres)))]
            nearest = np.argsort(np.hypot(*(centres - start).T), kind="stable")
            chosen[stem] = sorted(ids[stem][nearest[: quota[stem]]].tolist())
    return chosen
