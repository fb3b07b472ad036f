"""The network of a checkpoint without a card, read off the shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping

from napari_segrefiner.errors import ModelError
from napari_segrefiner.network_config import NetworkConfig

Shapes = Mapping[str, tuple[int, ...]]


def infer_config(what: str, shapes: Shapes) -> NetworkConfig:
    """The network whose tensors these can be.

    Widths, blocks per level and attention are read off the names and shapes; heads,
    groups and steps leave no trace in them and are the published ones. Whether every
    tensor fits is not checked here.

    Parameters
    ----------
    what : str
        Whose tensors they are, for the message.
    shapes : mapping of name to shape
        Without the prefix of the published files.

    Raises
    ------
    ModelError
        If there is no such network.
    """
    for name in ("input_blocks.0.0.weight", "time_embed.weight"):
        if not shapes.get(name):
            message = (
                f"{what} holds no weights of this network: {name} is missing. Choose a "
                "checkpoint of the published code or of napari-segrefiner."
            )
            raise ModelError(message)
    levels = _levels(shapes)
    widths = tuple(blocks[-1] if blocks else 0 for blocks in levels)
    return NetworkConfig(
        widths=widths,
        blocks_down=len(levels[0]),
        blocks_up=len(levels[0]) + 1,
        attention_strides=_attention_strides(shapes),
        middle_attention="middle_block.1.qkv.weight" in shapes,
        embedding=_embedding(shapes["time_embed.weight"], widths[0]),
    )


def _levels(shapes: Shapes) -> list[list[int]]:
    """Output channels of the residual blocks of each level, finest first."""
    levels: list[list[int]] = [[]]
    for block in _input_blocks(shapes):
        if f"{block}.0.op.weight" in shapes:
            levels.append([])
        else:
            shape = shapes[f"{block}.0.in_layers.2.weight"]
            levels[-1].append(shape[0] if shape else 0)
    return levels


def _attention_strides(shapes: Shapes) -> tuple[int, ...]:
    """Strides of the levels whose blocks have attention."""
    stride, found = 1, []
    for block in _input_blocks(shapes):
        if f"{block}.0.op.weight" in shapes:
            stride *= 2
        elif f"{block}.1.qkv.weight" in shapes and stride not in found:
            found.append(stride)
    return tuple(found)


def _input_blocks(shapes: Shapes) -> list[str]:
    """Names of the blocks on the way down, after the first convolution."""
    names: list[str] = []
    while True:
        name = f"input_blocks.{len(names) + 1}"
        parts = (f"{name}.0.op.weight", f"{name}.0.in_layers.2.weight")
        if not any(part in shapes for part in parts):
            return names
        names.append(name)


def _embedding(shape: tuple[int, ...], first_width: int) -> int:
    """Width of the step embedding; 0 where it is the usual four times the first one."""
    width = shape[-1]
    return 0 if width == 4 * first_width else width
