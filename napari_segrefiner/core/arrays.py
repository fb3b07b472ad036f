"""Arrays out of what callers give."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_segrefiner.errors import InputError


def as_array(value: Any, what: str) -> npt.NDArray[Any]:
    """`value` as an array; InputError names `what` it is if it cannot be one.

    Examples
    --------
    >>> as_array([[1, 2], [3, 4]], "labels").shape
    (2, 2)
    """
    try:
        return np.asarray(value)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        message = (
            f"The {what} are no array ({reason}); rows of numbers of one length, or "
            "what NumPy can make an array of, are expected."
        )
        raise InputError(message) from error
