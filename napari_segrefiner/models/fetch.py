"""Published models over the network."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_segrefiner.errors import DownloadError, ModelError
from napari_segrefiner.models.catalogue import entries
from napari_segrefiner.models.install import working_folder
from napari_segrefiner.models.pages import read_page
from napari_segrefiner.models.published import Published, published

if TYPE_CHECKING:
    from napari_segrefiner.models.import_model import Imported

logger = logging.getLogger(__name__)

#: Called with the bytes that have arrived and those expected, 0 where unknown.
Progress = Callable[[int, int], None]

ATTEMPTS = 3
TIMEOUT_SECONDS = 30
CHUNK_BYTES = 2**18


def fetch_model(
    name: str,
    *,
    url: str | None = None,
    progress: Progress | None = None,
    pause: float = 1.0,
) -> Imported:
    """Download a published model and import it; nothing half-done stays.

    Parameters
    ----------
    name : str
        Of the catalogue.
    url : str, optional
        Where the file is instead of where its authors offer it.
    progress : callable, optional
        Told how far the download is; what it raises stops the download.
    pause : float
        Seconds before the second attempt, twice that before the third.

    Returns
    -------
    Imported

    Raises
    ------
    DownloadError
        If the file cannot be had, or is another one than before.
    ModelError
        If the name is none of the catalogue or installed already, or the file that came
        is not the model.
    """
    model = published().get(name)
    if model is None:
        message = f"No model {name!r} can be fetched; choose {', '.join(published())}."
        raise ModelError(message)
    if name in {entry.name for entry in entries()}:
        message = (
            f"{name} is installed already; to fetch it again, remove it first: "
            f"napari-segrefiner models remove {name}"
        )
        raise ModelError(message)
    with working_folder() as work:
        file = work / model.file
        download(model, url or model.url, file, progress=progress, pause=pause)
        from napari_segrefiner.models.import_model import import_model  # brings torch

        return import_model(file, name)


def download(
    model: Published,
    url: str,
    file: Path,
    *,
    progress: Progress | None = None,
    pause: float = 1.0,
) -> None:
    """Download `model` from `url` into `file`; parameters as in :func:`fetch_model`.

    Interrupted downloads are tried again from their start; answers are not.

    Raises
    ------
    DownloadError
        If it cannot be had, with the way to get it by hand.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _download_once(model, url, file, progress)
        # The errors of requests are OSErrors; ValueError: an answer that is no HTTP.
        except (OSError, ValueError) as error:
            if attempt == ATTEMPTS or not _may_pass(error):
                message = (
                    f"{model.name} could not be fetched from {url} ({_reason(error)}). "
                    f"{model.by_hand}"
                )
                raise DownloadError(message) from error
            logger.info("Attempt %d at %s failed: %s", attempt, url, _reason(error))
            time.sleep(pause * attempt)
        else:
            return


def _download_once(
    model: Published, url: str, file: Path, progress: Progress | None
) -> None:
    """One attempt, through the confirmation page where there is one."""
    _save(url, file, progress)
    page = read_page(file, url)
    if page is not None and page.confirmed_url is not None:
        _save(page.confirmed_url, file, progress)
        page = read_page(file, url)
    if page is not None:
        message = (
            f"{model.name} could not be fetched: {url} answers with a web page "
            f'("{page.title}") in place of the file. {model.by_hand}'
        )
        raise DownloadError(message)


def _save(url: str, file: Path, progress: Progress | None) -> None:
    """Write what `url` answers into `file`, which is replaced."""
    from pooch import HTTPDownloader

    bar = _Bar(progress)
    downloader = HTTPDownloader(
        progressbar=bar, chunk_size=CHUNK_BYTES, timeout=TIMEOUT_SECONDS
    )
    downloader(url, str(file), None)
    size = file.stat().st_size
    # Not every version of the library below notices that a connection ended early.
    if size < bar.total and read_page(file) is None:
        message = f"{size:,} of {bar.total:,} bytes came"
        raise ConnectionError(message)


class _Bar:
    """What pooch expects of a progress bar, told on to a function."""

    def __init__(self, progress: Progress | None) -> None:
        self.total = 0  # set by pooch
        self._progress = progress
        self._done = 0

    def update(self, n_bytes: int) -> None:
        """Go on by a chunk; pooch counts the last one as a whole one."""
        self._done += n_bytes
        if self._progress is not None:
            done = min(self._done, self.total) if self.total else self._done
            self._progress(done, self.total)

    def reset(self) -> None:
        """Go back to the start; pooch does so before it tells the full number."""
        self._done = 0

    def close(self) -> None:
        """Nothing is open."""


def _may_pass(error: Exception) -> bool:
    """Whether another attempt can succeed: not after a refusal, nor on a full disk."""
    response = getattr(error, "response", None)
    if response is not None:
        return int(response.status_code) >= 500
    # A disk's errors have a number; an address that is none is a ValueError.
    is_of_the_network = isinstance(error, OSError) and error.errno is None
    return is_of_the_network and not isinstance(error, ValueError)


def _reason(error: BaseException) -> str:
    """What happened, in the words of the first error in the chain."""
    if getattr(error, "response", None) is None:
        while error.__context__ is not None:
            error = error.__context__
    reason = getattr(error, "strerror", None) or str(error)
    return reason.strip().split("\n", 1)[0] or type(error).__name__
