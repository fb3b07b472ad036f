"""The newest validation windows with their masks, kept for whoever shows them.

No torch here: docks read the file while another process trains.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from napari_segrefiner.io.atomic import write_whole

EXAMPLES = "examples.npz"


class Example(NamedTuple):
    """A window with its masks: (S, S, 3) uint8 picture, (S, S) bool masks."""

    picture: npt.NDArray[np.uint8]
    coarse: npt.NDArray[np.bool_]
    refined: npt.NDArray[np.bool_]
    fine: npt.NDArray[np.bool_]


def write_examples(path: Path, examples: Mapping[str, Sequence[Example]]) -> None:
    """Write the examples of some sets, all of one size; the file appears whole.

    Raises
    ------
    SegRefinerError
        If it cannot be written.
    """
    flat = [(name, one) for name, given in examples.items() for one in given]
    with write_whole(path, overwrite=True) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            names=np.array([name for name, _ in flat]),
            pictures=np.stack([one.picture for _, one in flat]),
            masks=np.stack([np.stack(one[1:]) for _, one in flat]),
        )


def read_examples(path: Path) -> list[tuple[str, Example]]:
    """The examples with the names of their sets; none if there is no readable file."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            parts = zip(file["names"], file["pictures"], file["masks"], strict=True)
            return [(str(name), Example(p, *masks)) for name, p, masks in parts]
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error):
        return []
