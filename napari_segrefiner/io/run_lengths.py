"""COCO's run-length codes of masks: read and written, plain or compressed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
#: How the runs of a code are written: as numbers, or compressed as text or as bytes.
Kind = Literal["plain", "text", "bytes"]

#: Bits of a compressed run: reading one without an end takes the square of its length.
LONGEST = 64


def kind_of(code: Mapping[str, Any]) -> Kind:
    """How the runs of a code are written."""
    if isinstance(code["counts"], str):
        return "text"
    return "bytes" if isinstance(code["counts"], bytes) else "plain"


def decode(code: Mapping[str, Any], *, most_pixels: int | None = None) -> Mask:
    """The mask of a code, (height, width) bool.

    Parameters
    ----------
    code : dict
        ``size``, height and width, and ``counts``, the lengths of runs of 0 and 1 in
        turn, down the columns.
    most_pixels : int, optional
        Of the mask: a few numbers can claim any memory.

    Raises
    ------
    ValueError, TypeError, KeyError, OverflowError
        If it is none, or larger.

    Examples
    --------
    >>> decode({"size": [2, 2], "counts": [1, 2, 1]}).astype(int).tolist()
    [[0, 1], [1, 0]]
    """
    height, width = map(int, code["size"])
    counts = code["counts"]
    if isinstance(counts, bytes):
        counts = counts.decode("ascii")
    runs = decompress(counts) if isinstance(counts, str) else list(map(int, counts))
    if height < 0 or sum(runs) != height * width or min(runs, default=0) < 0:
        message = f"its runs make {sum(runs)} pixels, its size is {height} x {width}"
        raise ValueError(message)
    if most_pixels is not None and height * width > most_pixels:
        message = f"its size {height} x {width} is more than the image's"
        raise ValueError(message)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(flat.reshape(width, height).T)


def encode(mask: Mask, kind: Kind = "text") -> dict[str, Any]:
    """A mask as a code.

    Parameters
    ----------
    mask : (height, width) bool array
    kind : {"text", "bytes", "plain"}

    Examples
    --------
    >>> encode(np.array([[0, 1], [1, 0]], bool))
    {'size': [2, 2], 'counts': '121'}
    """
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()
    if len(runs) > 1 and runs[-1] == 0:  # the mask's last pixel is 1
        runs.pop()
    size = list(mask.shape)
    if kind == "plain":
        return {"size": size, "counts": runs}
    text = compress(runs)
    return {"size": size, "counts": text if kind == "text" else text.encode("ascii")}


def decompress(text: str) -> list[int]:
    """Run lengths from COCO's text: 5 bits a character, least first, 6th: more follow.

    From the third on, a number is the difference to the last but one.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            if shift > LONGEST:
                message = f"a run has more than {LONGEST} bits"
                raise ValueError(message)
            continue
        if bits & 16:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        runs.append(value)
        value = shift = 0
    return runs


def compress(runs: list[int]) -> str:
    """COCO's text of run lengths, see :func:`decompress`."""
    text = []
    for k, run in enumerate(runs):
        value = run - runs[k - 2] if k > 2 else run
        while True:
            bits, value = value & 31, value >> 5
            # Done when the sign of what was written is that of what is left.
            is_last = value == (-1 if bits & 16 else 0)
            text.append(chr(48 + (bits if is_last else bits | 32)))
            if is_last:
                break
    return "".join(text)
