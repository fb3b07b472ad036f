"""What a pickle would call, read without unpickling it.

torch's restricted reader runs nothing foreign, but it still calls what can fill the
memory, such as ``bytearray(10**12)``. Weights need much less.
"""

from __future__ import annotations

import pickletools
import re
from typing import BinaryIO

#: "module name" of all that weights, and training states around them, are made of.
NEEDED = re.compile(
    r"collections OrderedDict"
    r"|torch\._utils _rebuild_(tensor_v2|parameter)"
    r"|torch \w+Storage"
)

#: Opcodes that name what is called otherwise than as "module name".
HIDDEN = ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4")


def foreign_name(stream: BinaryIO) -> str | None:
    """The first thing that the next pickle of a stream asks for beyond what is needed.

    Parameters
    ----------
    stream : binary file
        At the start of a pickle; behind it after the call if None is returned.

    Returns
    -------
    str or None
        A dotted name, or that of the opcode which hides it.

    Raises
    ------
    ValueError
        If there is no whole pickle.

    Examples
    --------
    >>> import io, pickle
    >>> foreign_name(io.BytesIO(pickle.dumps(print, protocol=2)))
    '__builtin__.print'
    """
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in HIDDEN:
            return opcode.name
        if opcode.name == "GLOBAL" and not NEEDED.fullmatch(str(argument)):
            return str(argument).replace(" ", ".")
    return None
