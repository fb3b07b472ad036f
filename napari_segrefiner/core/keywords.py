"""The options of :class:`RefineOptions` as keywords, for type checkers and editors."""

from __future__ import annotations

from typing import TypedDict

# ruff: noqa: TC001 - the test that holds the copy to the original reads the types
from napari_segrefiner.options import (
    ChannelAxis,
    Device,
    Direction,
    LabelsAre,
    Last,
    Mode,
    Precision,
    Preset,
    Transition,
)


class OptionKeywords(TypedDict, total=False):
    """Names and types of the options; their texts and bounds stand in the dataclass.

    A copy, since types of keywords cannot be computed; a test holds it to the original.
    """

    mode: Mode
    preset: Preset
    labels_are: LabelsAre
    direction: Direction
    ids: tuple[int, ...]
    steps: int | None
    windows: bool | None
    local_steps: int | None
    local_index: int | None
    padding: float | None
    min_padding: int | None
    min_area: int | None
    grid: int | None
    transition: Transition | None
    last: Last | None
    flips: bool | None
    threshold: float | None
    consensus: float | None
    pixel_doubt: float | None
    doubt: float | None
    band: float | None
    least_change: float | None
    least_piece: float | None
    close_gaps: bool | None
    seed: int
    channel_axis: ChannelAxis
    channels: tuple[int, ...]
    batch_size: int
    device: Device
    precision: Precision
