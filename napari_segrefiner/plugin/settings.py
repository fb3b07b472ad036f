"""What the docks remember once napari is closed: a file beside napari's settings."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from napari_segrefiner.io.atomic import whole_file

logger = logging.getLogger(__name__)

NAME = "napari-segrefiner-dock.json"


class Settings:
    """Remembered choices; a file that cannot be read or written is no error.

    Beside napari's own file, so that whoever isolates napari isolates this too.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._values: dict[str, Any] = {}
        self._read()

    @classmethod
    def of_napari(cls) -> Settings:
        """The settings beside napari's; in memory only if napari keeps none."""
        from napari.settings import get_settings

        config = get_settings().config_path
        return cls(None if config is None else Path(config).with_name(NAME))

    def get(self, name: str, default: str) -> str:
        """A remembered text."""
        value = self._values.get(name, default)
        return value if isinstance(value, str) else default

    def set(self, name: str, value: str) -> None:
        """Remember a text at once."""
        # Another dock may have written meanwhile.
        self._read()
        if self._values.get(name) == value:
            return
        self._values[name] = value
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._path) as part:
                part.write_text(json.dumps(self._values, indent=1), encoding="utf-8")
        except OSError as error:
            logger.warning("%s cannot be written: %s", self._path, error)

    def _read(self) -> None:
        """Take what is in the file, if that can be read."""
        if self._path is None or not self._path.is_file():
            return
        try:
            values = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            logger.warning("%s cannot be read: %s", self._path, error)
            return
        if isinstance(values, dict):
            self._values |= values
