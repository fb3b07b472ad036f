"""The shape of a network, as data; beside the network so that cards need no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_segrefiner.errors import ModelError

#: Maps that each stem adds to the input.
STEM_MAPS = {"plain": 0, "colour_likelihood": 1, "local_likelihood": 2}

MAX_LEVELS, MAX_WIDTH, MAX_BLOCKS = 10, 4096, 16


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that fixes a network's tensors; the defaults are the published net's.

    Attributes
    ----------
    widths : tuple of int
        Channels of each level, finest first; every level halves the side.
    blocks_down, blocks_up : int
        Residual blocks per level. With ``blocks_up = blocks_down + 1`` every output of
        the way down is joined on the way up; with fewer, the last ones of each level.
    stage_depth : int
        Residual blocks in a row wherever there would be one, those of the middle
        included; nothing between them is joined.
    attention_strides : tuple of int
        Levels with self-attention, by their stride relative to the network's own grid.
    middle_attention : bool
        Self-attention in the middle block.
    heads : int
        Attention heads.
    groups : int
        Groups of the group normalisation; 0 means gcd(32, channels).
    embedding : int
        Width of the step embedding; 0 means 4 * widths[0].
    unshuffle : int
        Factor by which pixels are folded into channels before the first convolution.
    resampling : {"conv3x3", "light"}
        ``conv3x3``: the published blocks; ``light``: 2x2 down, 1x1 before enlarging.
    head : {"plain", "full_resolution"}
        ``full_resolution`` unfolds to the input's pixels and looks at the input again.
    stem : {"plain", "colour_likelihood", "local_likelihood"}
        ``colour_likelihood`` adds a map of how likely each colour is inside the mask,
        ``local_likelihood`` that map and one from the colours near each place.
    steps : int
        Levels of the diffusion that the embedding knows (T).
    """

    widths: tuple[int, ...] = (128, 128, 256, 256, 512, 512)
    blocks_down: int = 2
    blocks_up: int = 3
    stage_depth: int = 1
    attention_strides: tuple[int, ...] = (16, 32)
    middle_attention: bool = True
    heads: int = 4
    groups: int = 0
    embedding: int = 0
    unshuffle: int = 1
    resampling: Literal["conv3x3", "light"] = "conv3x3"
    head: Literal["plain", "full_resolution"] = "plain"
    stem: Literal["plain", "colour_likelihood", "local_likelihood"] = "plain"
    steps: int = 6

    def __post_init__(self) -> None:
        # A card comes from a file: nothing in it may cost unbounded memory or time.
        is_bounded = (
            1 <= len(self.widths) <= MAX_LEVELS
            and all(_is_count(width, MAX_WIDTH) for width in self.widths)
            and all(
                _is_count(n, MAX_BLOCKS)
                for n in (self.blocks_down, self.heads, self.stage_depth)
            )
            and _is_count(self.blocks_up, self.blocks_down + 1)
            and isinstance(self.attention_strides, tuple)
            and _is_count(self.unshuffle, MAX_BLOCKS)
            and _is_count(self.steps, 1000)
            and _is_count(self.groups + 1, MAX_WIDTH)
            and _is_count(self.embedding + 1, 4 * MAX_WIDTH)
            and self.resampling in ("conv3x3", "light")
            and self.head in ("plain", "full_resolution")
            and self.stem in STEM_MAPS
        )
        if not is_bounded:
            message = (
                f"The network {self} cannot be built; 1 to {MAX_LEVELS} widths up to "
                f"{MAX_WIDTH} and up to {MAX_BLOCKS} blocks are expected, at most one "
                "more up than down."
            )
            raise ModelError(message)
        attended = [w for i, w in enumerate(self.widths) if self.has_attention(i)]
        if self.middle_attention:
            attended.append(self.widths[-1])
        is_divisible = not any(width % self.heads for width in attended) and not (
            self.groups and any(width % self.groups for width in self.widths)
        )
        if not is_divisible:
            message = (
                f"The network {self} cannot be built; its groups and, where attention "
                "is, its heads are expected to divide the widths."
            )
            raise ModelError(message)

    def has_attention(self, level: int) -> bool:
        """Whether the blocks of a level, counted from the finest, have attention."""
        return 2**level in self.attention_strides

    @property
    def n_maps(self) -> int:
        """Likelihood maps that the network sees beside image and mask."""
        return STEM_MAPS[self.stem]

    @property
    def multiple(self) -> int:
        """Sides of the input must be multiples of this many pixels."""
        return int(self.unshuffle * 2 ** (len(self.widths) - 1))


def _is_count(value: object, most: int) -> bool:
    """Whether `value` is a whole number from 1 to `most`."""
    return isinstance(value, int) and 1 <= value <= most


#: The network that the default model began as; it has a ``stage_depth`` of 2 by now.
SMALL = NetworkConfig(
    widths=(32, 64, 128, 160),
    blocks_down=1,
    blocks_up=1,
    attention_strides=(),
    middle_attention=False,
    groups=8,
    embedding=64,
    unshuffle=2,
    resampling="light",
    head="full_resolution",
    stem="local_likelihood",
)
