"""BIG and DIS5K: one mask per image, refined and scored as the paper does.

::

    BIG        NAME_im.jpg NAME_gt.png side by side; coarse NAME_seg.png
    DIS5K      DIS-VD/im/NAME.jpg DIS-VD/gt/NAME.png; coarse NAME.png, in DIS-VD/ or not
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_segrefiner.errors import InputError, naming
from napari_segrefiner.io.atomic import is_same_file
from napari_segrefiner.io.images import read_image
from napari_segrefiner.io.labels import write_labels
from napari_segrefiner.io.mask_folders import MaskFile, find_masks
from napari_segrefiner.io.pairs import white_of
from napari_segrefiner.metrics import mba, overlap

if TYPE_CHECKING:
    from napari_segrefiner.models.checkpoint import Model
    from napari_segrefiner.options import RefineOptions

Mask = npt.NDArray[np.bool_]
Refine = Callable[[npt.NDArray[Any], Mask], Mask]

#: Grey values of 255 from here on are the object (published scripts).
THRESHOLD = 128
#: What coarse and refined files may have behind the name; the first that is there is
#: taken, as all files of a set may lie in one folder. So it is with endings.
COARSE_TAILS = ("", "_seg", "_gt")
REFINED_TAILS = ("", "_refine", "_seg", "_gt")
ENDINGS = (".png", ".tif", ".tiff", ".npy", ".jpg")


@dataclass(frozen=True)
class MaskCase:
    """An image with its true mask, a coarse one and perhaps a refined one."""

    stem: str
    image: Path
    truth: Path
    coarse: Path
    refined: Path | None = None


@dataclass(frozen=True)
class MaskScore:
    """Pixels in both masks and in either, and the boundary accuracy, of one image."""

    stem: str
    both: int
    either: int
    mba: float


@dataclass(frozen=True)
class MaskScores:
    """One image before and after."""

    coarse: MaskScore
    refined: MaskScore


def find_cases(
    data: Path, coarse: Path, refined: Path | None = None, part: str = ""
) -> tuple[list[MaskCase], list[str]]:
    """Match images, true and coarse masks by name.

    Parameters
    ----------
    data, coarse, refined : Path
        Folders; those of a set of DIS5K, or above it.
    part : str
        Such a set, as "VD"; "" for BIG.

    Returns
    -------
    cases : list of MaskCase
    problems : list of str
        A sentence for whatever is left out.

    Raises
    ------
    InputError
        If a folder is missing, or nothing can be matched.
    """
    data, coarse = _inside(data, part), _inside(coarse, part)
    files, problems = find_masks(data)
    before = _by_stem(coarse, COARSE_TAILS)
    after = _by_stem(_inside(refined, part), REFINED_TAILS) if refined else {}
    cases = []
    for one in sorted(files, key=lambda file: file.stem):
        if _is_missing(before, one):
            problems.append(f"There is no coarse mask of {one.stem} in {coarse}.")
        elif refined and _is_missing(after, one):
            problems.append(f"There is no refined mask of {one.stem} in {refined}.")
        else:
            cases.append(
                MaskCase(
                    one.stem,
                    one.image,
                    one.mask,
                    before[one.stem],
                    after.get(one.stem),
                )
            )
    if not cases:
        msg = (
            f"No image of {data} has a true and a coarse mask ("
            f"{problems[0] if problems else 'the folder holds none'}); give the folder "
            "of the images and that of the coarse masks."
        )
        raise InputError(msg)
    return cases, problems


def files_of(cases: Sequence[MaskCase]) -> list[Path]:
    """All files of some cases: not to be replaced."""
    return [
        path
        for case in cases
        for path in (case.image, case.truth, case.coarse, case.refined)
        if path is not None
    ]


def _inside(folder: Path, part: str) -> Path:
    """The folder of a set inside `folder`, or `folder` itself."""
    if not folder.is_dir():
        msg = f"{folder} is not a folder; name the folder of the data set."
        raise InputError(msg)
    for name in (f"DIS-{part}", part) if part else ():
        if (folder / name).is_dir():
            return folder / name
    return folder


def _by_stem(folder: Path, tails: Sequence[str]) -> dict[str, Path]:
    """Mask files by the stem of their image."""
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in ENDINGS and not path.name.startswith(".")
    ]
    by_preference = sorted(files, key=lambda path: ENDINGS.index(path.suffix.lower()))
    found: dict[str, Path] = {}
    for tail in tails:
        for path in by_preference:
            if path.stem.endswith(tail):
                found.setdefault(path.stem.removesuffix(tail), path)
    return found


def _is_missing(masks: Mapping[str, Path], one: MaskFile) -> bool:
    """Whether there is no mask of an image but the true one, which would be perfect."""
    path = masks.get(one.stem)
    return path is None or is_same_file(path, one.mask)


def read_grey_mask(path: Path, shape: tuple[int, int] | None = None) -> Mask:
    """A mask, as large as `shape`: grey values are resized before the threshold.

    White is 255 in 8 bits, in more the only value but 0, else as
    :func:`.pairs.white_of` says.

    Raises
    ------
    InputError
        If the file is no grey or coloured picture.
    """
    grey = read_image(path)
    if grey.ndim == 3:  # without what the last of 2 or 4 channels hides
        grey = grey[..., : {2: 1, 4: 3}.get(grey.shape[-1], 3)]
    white, highest = white_of(grey), grey.max(initial=0)
    is_wide = grey.dtype.kind in "iu" and grey.dtype.itemsize > 1
    if is_wide and np.all((grey == 0) | (grey == highest)):
        white = highest or 1
    if grey.dtype.kind == "f" and grey.max(initial=0) > 1:
        white = 255
    if grey.ndim == 3:
        grey = grey.mean(-1)
    if grey.ndim != 2:
        msg = f"{path} has the shape {grey.shape}; a plain picture is expected."
        raise InputError(msg)
    grey = grey.astype(np.float32) * np.float32(255 / white)
    if shape is not None and grey.shape != shape:
        picture = Image.fromarray(grey)
        size = (shape[1], shape[0])
        grey = np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
    mask: Mask = np.asarray(grey >= THRESHOLD)
    return mask


def refiner_of(model: Model, options: RefineOptions) -> Refine:
    """A function that refines one mask by a model."""
    from napari_segrefiner.core.refiner import refine

    def run(image: npt.NDArray[Any], mask: Mask) -> Mask:
        result = refine(image, mask, model=model, options=options)
        refined: Mask = result.labels.astype(bool)
        return refined

    return run


def score_cases(
    cases: Sequence[MaskCase], refine: Refine | None, output: Path | None = None
) -> Iterator[MaskScores]:
    """Refine (or read the refined masks) and score, image by image.

    Parameters
    ----------
    cases : sequence of MaskCase
    refine : callable or None
        From image and coarse mask to the refined mask; None if the cases have one.
    output : Path, optional
        Folder that gets the refined masks as STEM.png, 0 and 255.

    Raises
    ------
    InputError
        With the file, if a picture cannot be read or refined.
    """
    for case in cases:
        truth = read_grey_mask(case.truth)
        shape = (truth.shape[0], truth.shape[1])
        coarse = read_grey_mask(case.coarse, shape)
        if refine is not None:
            image = read_image(case.image)
            with naming(case.image):
                refined = refine(image, coarse)
        elif case.refined is not None:
            refined = read_grey_mask(case.refined, shape)
        else:
            refined = coarse
        if output is not None:
            write_labels(
                output / f"{case.stem}.png",
                255 * refined.astype(np.uint8),
                overwrite=True,
            )
        yield MaskScores(
            *(
                MaskScore(case.stem, *overlap(truth, mask), mba(truth, mask))
                for mask in (coarse, refined)
            )
        )


def aggregate(scores: Sequence[MaskScore]) -> dict[str, float]:
    """The paper's two numbers in per cent.

    ``iou_agg`` is summed intersections over summed unions, ``mba`` the mean over the
    images that have a boundary.
    """
    both = sum(score.both for score in scores)
    either = sum(score.either for score in scores)
    accuracies = np.array([score.mba for score in scores])
    valid = accuracies[np.isfinite(accuracies)]
    return {
        "iou_agg": 100 * both / either if either else float("nan"),
        "mba": 100 * float(valid.mean()) if len(valid) else float("nan"),
    }
