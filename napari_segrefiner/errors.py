"""The one family of errors: what was given, what is expected, what to do.

None is a RuntimeError: Qt's generator workers swallow those without a word, and torch
raises them for everything, so they are translated where they appear.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class SegRefinerError(Exception):
    """Anything that this package refuses or could not do."""


class InputError(SegRefinerError, ValueError):
    """An image, a label image or a file that cannot be used as it is."""


class OptionError(SegRefinerError, ValueError):
    """An option outside of its bounds, or options that contradict each other."""


class ModelError(SegRefinerError):
    """A model that is unknown, incomplete, damaged or does not fit its card."""


class DownloadError(SegRefinerError):
    """A file that could not be fetched, or arrived changed."""


class DeviceError(SegRefinerError):
    """A device that is missing, out of memory, or cannot do what was asked."""


class MissingExtraError(SegRefinerError, ImportError):
    """An optional part is not installed; the message names the install line."""


class CollapseError(SegRefinerError):
    """A training that produces NaN or dead masks and was stopped."""


@contextlib.contextmanager
def naming(what: object) -> Iterator[None]:
    """Begin the sentence of an InputError from the block with what it is about."""
    try:
        yield
    except InputError as error:
        message = f"{what}: {error}"
        raise InputError(message) from error
