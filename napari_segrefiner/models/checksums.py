"""Checksums of published files: the first one seen is recorded and checked after that.

The authors state none, so this is what can be known: that a file is still the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_segrefiner.errors import DownloadError
from napari_segrefiner.io.atomic import whole_file

if TYPE_CHECKING:
    from napari_segrefiner.models.published import Published

#: Name of the record in the folder of the user's models; lines as sha256sum writes.
RECORD = "checksums.txt"


class Checksums:
    """The recorded checksums of a folder.

    Parameters
    ----------
    folder : Path
        Need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / RECORD

    def check(self, model: Published, sha256: str) -> None:
        """Raise DownloadError if another file was recorded for `model` before."""
        recorded = self._read().get(model.file, sha256)
        if recorded != sha256:
            message = (
                f"The SHA-256 of {model.file} is {sha256}, {recorded} was recorded "
                "when it was first imported. If the authors replaced the file, remove "
                f"its line from {self.path}; otherwise get it again."
            )
            raise DownloadError(message)

    def note(self, model: Published, sha256: str) -> str:
        """Record `sha256` where none is known; returns what the user should know.

        Call it once the content has proved right.
        """
        if model.sha256:
            if model.sha256 == sha256:
                return ""
            return (
                f"The SHA-256 of {model.file} is {sha256}; a third party states "
                f"{model.sha256}, the authors none. Its tensors are of the right names "
                "and shapes."
            )
        recorded = self._read()
        if model.file in recorded:
            return ""
        recorded[model.file] = sha256
        lines = [f"{value}  {file}\n" for file, value in sorted(recorded.items())]
        with whole_file(self.path) as part:
            part.write_text("".join(lines), encoding="utf-8")
        return (
            f"The authors state no checksum of {model.file}. Its SHA-256 {sha256} was "
            f"recorded in {self.path} and is checked from now on."
        )

    def _read(self) -> dict[str, str]:
        """File name and checksum of every line that has both."""
        if not self.path.is_file():
            return {}
        lines = self.path.read_text("utf-8", errors="replace").splitlines()
        parts = (line.split(maxsplit=1) for line in lines)
        return {part[1]: part[0] for part in parts if len(part) == 2}
