"""The models that this installation knows by name; readable without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_data_path

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.files import SUFFIX, read_card
from napari_segrefiner.models.published import published

if TYPE_CHECKING:
    from napari_segrefiner.models.card import ModelCard
    from napari_segrefiner.models.checkpoint import Model

DEFAULT = "default"
#: Of the folder of the user's own models.
NAME = "napari-segrefiner"
PACKAGE_FOLDER = Path(__file__).parent / "weights"
#: Environment variable that moves the folder of the user's own models.
FOLDER_VARIABLE = "NAPARI_SEGREFINER_MODELS"


@dataclass(frozen=True)
class Entry:
    """A model known by name."""

    name: str
    weights: Path

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own, not the package's."""
        return self.weights.parent != PACKAGE_FOLDER

    @property
    def card(self) -> ModelCard:
        """Its card, read from the disk."""
        return read_card(self.weights)


def user_folder() -> Path:
    """Where the user's own models lie; it need not exist.

    A folder of data, not a cache: what was learnt cannot be fetched again.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else user_data_path(NAME, appauthor=False)


def entries() -> tuple[Entry, ...]:
    """Models of the package, then the user's own; names are the files' stems."""
    found: dict[str, Entry] = {}
    for folder in (PACKAGE_FOLDER, user_folder()):
        for weights in sorted(folder.glob("*" + SUFFIX)):
            found.setdefault(weights.stem, Entry(weights.stem, weights))
    return tuple(found.values())


def find_model(model: str | Path) -> Path:
    """The weight file or folder that `model` names.

    Parameters
    ----------
    model : str or Path
        A name of the catalogue, a .safetensors file, or a folder that holds one.

    Raises
    ------
    ModelError
        If it is neither, or the system refuses the name; a published model that is not
        installed is told how to get.
    """
    known = {entry.name: entry.weights for entry in entries()}
    if str(model) in known:
        return known[str(model)]
    if _exists(Path(model)):
        return Path(model)
    if str(model) in published():
        message = (
            f"The model {str(model)!r} is not installed; get it with: "
            f"napari-segrefiner models fetch {model}"
        )
        raise ModelError(message)
    message = (
        f"There is no model {str(model)!r}; choose {', '.join(known) or 'a file'}, or "
        f"give the path of a {SUFFIX} file."
    )
    raise ModelError(message)


def _exists(path: Path) -> bool:
    """Whether there is such a file or folder; ModelError where nobody may look."""
    try:
        return path.exists()
    except OSError as error:  # such as a name that is too long, or a closed folder
        message = (
            f"The model {str(path)!r} cannot be read ({error.strerror}); give a name "
            "of the list of models, or the path of a file."
        )
        raise ModelError(message) from error


def load_model(model: str | Path = DEFAULT) -> Model:
    """Load a model by name, file or folder; see :func:`find_model`.

    Raises
    ------
    ModelError
        If it is unknown, incomplete or damaged, or neither a name nor a path.
    """
    given: Any = model
    if not isinstance(given, str | Path):
        message = (
            f"The model is of type {type(given).__name__}; a name, a path or a loaded "
            "model is expected."
        )
        raise ModelError(message)
    from napari_segrefiner.models.checkpoint import read_model  # brings torch

    return read_model(find_model(model))
