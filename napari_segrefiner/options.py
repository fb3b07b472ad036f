"""What a user can choose, declared once; flags, widgets and docs are made from it.

Every field carries its default, one sentence of help, bounds, unit and source. ``None``
means "what the preset says": the model's card for ``default``, the values of the
published code for ``published``. :func:`napari_segrefiner.models.card.resolve` fills
them in.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from napari_segrefiner.errors import OptionError

T = TypeVar("T")


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str = "",
    source: str = "",
) -> Any:
    """Declare a dataclass field that is also a flag, a widget and a line of the docs.

    Parameters
    ----------
    default : any
        Its default, written nowhere else.
    help : str
        One sentence for users; tooltip, ``--help`` and docs show it.
    minimum, maximum : float, optional
        Inclusive bounds.
    unit : str
        Such as ``"px"``.
    source : str
        Section of docs/method.md that says where it comes from, as in "method 3".
    """
    return field(
        default=default,
        metadata={
            "help": help,
            "minimum": minimum,
            "maximum": maximum,
            "unit": unit,
            "source": source,
        },
    )


@dataclass(frozen=True)
class OptionSpec:
    """One declared option, with its type taken apart.

    ``kind`` is the plain type (bool, int, float, str or tuple), ``element`` the type of
    a tuple's elements, ``choices`` the allowed values of a Literal, ``optional``
    whether None ("what the preset says") is allowed.
    """

    name: str
    kind: type
    element: type
    default: Any
    choices: tuple[str, ...]
    optional: bool
    help: str
    minimum: float | None
    maximum: float | None
    unit: str
    source: str

    @property
    def flag(self) -> str:
        """The command line flag, such as ``--batch-size``."""
        return "--" + self.name.replace("_", "-")

    def check(self, value: Any) -> None:
        """Raise OptionError if `value` is of the wrong kind or out of bounds."""
        if value is None:
            if self.optional:
                return
            msg = f"{self.name} needs a value."
            raise OptionError(msg)
        if self.choices:
            if value not in self.choices:
                known = ", ".join(self.choices)
                msg = f"{self.name} is {value!r}; choose one of {known}."
                raise OptionError(msg)
            return
        accepted: tuple[type, ...] = (
            (int, float) if self.kind is float else (self.kind,)
        )
        is_bool = isinstance(value, bool)
        if not isinstance(value, accepted) or (is_bool and self.kind is not bool):
            msg = (
                f"{self.name} is {value!r}; a value of type {self.kind.__name__} "
                "is expected."
            )
            raise OptionError(msg)
        if isinstance(value, tuple) and not all(type(v) is self.element for v in value):
            msg = (
                f"{self.name} is {value!r}; values of type {self.element.__name__} are "
                "expected."
            )
            raise OptionError(msg)
        number = typing.cast("float", value)
        if self.kind in (int, float) and not (
            (self.minimum is None or number >= self.minimum)
            and (self.maximum is None or number <= self.maximum)
        ):
            msg = f"{self.name} is {value}; {self.bounds_text()} is expected."
            raise OptionError(msg)

    def bounds_text(self) -> str:
        """The bounds in words, such as "a number from 1 to 6"."""
        low, high = self.minimum, self.maximum
        number = "a whole number" if self.kind is int else "a number"
        unit = f" {self.unit}" if self.unit else ""
        if low is not None and high is not None:
            return f"{number} from {low:g} to {high:g}{unit}"
        if low is not None:
            return f"{number} of at least {low:g}{unit}"
        if high is not None:
            return f"{number} of at most {high:g}{unit}"
        return number


def specs(options: type[Any]) -> tuple[OptionSpec, ...]:
    """The declared options of a dataclass, in order.

    Examples
    --------
    >>> [s.flag for s in specs(RefineOptions)][:2]
    ['--mode', '--preset']
    """
    hints = typing.get_type_hints(options)
    found = []
    for item in dataclasses.fields(options):
        if not item.metadata:
            continue
        hint, optional = hints[item.name], False
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
            parts = [p for p in typing.get_args(hint) if p is not type(None)]
            hint, optional = parts[0], True
        choices: tuple[str, ...] = ()
        origin = typing.get_origin(hint)
        if origin is Literal:
            choices, hint = typing.get_args(hint), str
        element = hint
        if origin is tuple:
            element, hint = typing.get_args(hint)[0], tuple
        found.append(
            OptionSpec(
                name=item.name,
                kind=hint,
                element=element,
                default=item.default,
                choices=choices,
                optional=optional,
                **item.metadata,
            )
        )
    return tuple(found)


def check_options(options: Any) -> None:
    """Raise OptionError for the first field of `options` that is out of bounds."""
    for spec in specs(type(options)):
        spec.check(getattr(options, spec.name))


def known(value: T | None) -> T:
    """An option's value after its preset was asked, which leaves no None.

    Raises
    ------
    OptionError
        If it is None.
    """
    if value is None:
        msg = "The options are not resolved; fill in what their preset says first."
        raise OptionError(msg)
    return value


def check_names(options: type[Any], names: Iterable[str]) -> None:
    """Raise OptionError for the first name that is no field of a dataclass."""
    fields = [field.name for field in dataclasses.fields(options)]
    for name in names:
        if name not in fields:
            nearest = difflib.get_close_matches(name, fields, 1)
            remedy = (
                f"say {nearest[0]}, if you mean that"
                if nearest
                else f"choose from {', '.join(fields)}"
            )
            msg = f"There is no option {name}; {remedy}."
            raise OptionError(msg)


Mode = Literal["objects", "whole", "auto"]
LabelsAre = Literal["objects", "classes", "parts"]
Direction = Literal["both", "grow", "shrink"]
Preset = Literal["default", "published"]
Transition = Literal["marginal", "absorbing"]
Last = Literal["soft", "sampled", "mean"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
ChannelAxis = Literal["auto", "none", "first", "last"]
#: Bounds of a threshold of probability, beyond which it would decide alone.
LEAST, MOST = 0.05, 0.95


@dataclass(frozen=True, kw_only=True)
class RefineOptions:
    """Options of one refinement run; see the module's text for the meaning of None."""

    mode: Mode = option(
        "objects",
        "objects: each in its own crop; whole: each as a whole, then in windows where "
        "the network is unsure; auto: by size.",
        source="method 5, 6",
    )
    preset: Preset = option(
        "default",
        "default: what suits the model; published: the published code to the letter.",
    )
    labels_are: LabelsAre = option(
        "objects",
        "objects: a label is one object; classes: a label is a class with many parts; "
        "parts: all labels together are one object.",
    )
    direction: Direction = option(
        "both",
        "grow: masks only gain pixels, for those that are all too small; shrink: they "
        "only lose some, for those that are all too large; both: whatever is needed.",
        source="method 7",
    )
    ids: tuple[int, ...] = option((), "Labels to refine, as in 3,7; none given: all.")
    steps: int | None = option(
        None,
        "Diffusion steps; fewer are faster.",
        minimum=1,
        maximum=6,
        source="method 3",
    )
    windows: bool | None = option(
        None,
        "Large objects get windows of full resolution along their boundary.",
        source="method 6",
    )
    local_steps: int | None = option(
        None,
        "Diffusion steps in each window.",
        minimum=1,
        maximum=6,
        source="method 6",
    )
    local_index: int | None = option(
        None,
        "Step index at which windows begin, 5 (all coarse) to 0; more is bolder.",
        minimum=0,
        maximum=5,
        source="method 6",
    )
    padding: float | None = option(
        None,
        "Margin of a crop on each side, as a share of the object's longer side.",
        minimum=0,
        maximum=4,
        source="method 5",
    )
    min_padding: int | None = option(
        None,
        "Pixels added to that margin, so that small objects have one too.",
        minimum=0,
        maximum=512,
        unit="px",
        source="method 5",
    )
    min_area: int | None = option(
        None,
        "Smaller objects are left as they are.",
        minimum=0,
        unit="px",
        source="method 5",
    )
    grid: int | None = option(
        None,
        "Side of the network's grid for every object; by default chosen by its size.",
        minimum=16,
        maximum=1024,
        unit="px",
        source="method 5",
    )
    transition: Transition | None = option(
        None,
        "marginal: states redrawn at each step; absorbing: fine pixels stay fine.",
        source="method 2",
    )
    last: Last | None = option(
        None,
        "soft: the last step gives probabilities; sampled: it draws states; mean: the "
        "mean of all steps, each of which sees the picture mirrored another way.",
        source="method 2",
    )
    flips: bool | None = option(
        None, "Average each step over four mirrorings; four times slower."
    )
    threshold: float | None = option(
        None,
        "Probability from which a pixel belongs to its object; less makes objects "
        "larger. Objects on a reduced grid without windows are cut at 0.5.",
        minimum=LEAST,
        maximum=MOST,
        source="method 2",
    )
    consensus: float | None = option(
        None,
        "How far all other masks of the image must seem too small, or too large, until "
        "that threshold moves; 1 turns consensus off.",
        minimum=0,
        maximum=1,
        source="method 7",
    )
    pixel_doubt: float | None = option(
        None,
        "Pixels less certain than this keep their coarse value; 0 is off.",
        minimum=0,
        maximum=1,
        source="method 7",
    )
    doubt: float | None = option(
        None,
        "Objects more uncertain than this keep their coarse mask; 1 is off.",
        minimum=0,
        maximum=1,
        source="method 4, 7",
    )
    band: float | None = option(
        None,
        "Changes reach at most this share of the object's size (the square root of its "
        "area) from its boundary; 0 is off.",
        minimum=0,
        maximum=10,
        source="method 7",
    )
    least_change: float | None = option(
        None,
        "Objects that would change by less than this share (1 - IoU) keep exactly "
        "their mask; 0 is off.",
        minimum=0,
        maximum=1,
    )
    least_piece: float | None = option(
        None,
        "Pieces of a change that are smaller than this share of its largest one are "
        "taken back; 0 is off.",
        minimum=0,
        maximum=1,
        source="method 7",
    )
    close_gaps: bool | None = option(
        None, "Touching objects stay touching: given-up pixels between them go back."
    )
    seed: int = option(
        0, "Seed of the noise; the same seed gives the same result.", minimum=0
    )
    channel_axis: ChannelAxis = option(
        "auto", "Where the image's channels are; auto looks at its shape."
    )
    channels: tuple[int, ...] = option(
        (), "One to three channels of the image to look at, as in 0,2; none given: all."
    )
    batch_size: int = option(
        32, "Crops at once; less needs less memory.", minimum=1, maximum=4096
    )
    device: Device = option("auto", "auto takes cuda, then mps, then cpu.")
    precision: Precision = option(
        "auto", "Arithmetic of the network; auto takes what the device does best."
    )

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, _plain(value))
        check_options(self)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, which JSON knows, and several of them as a tuple."""
    if getattr(value, "ndim", None) == 0:
        return value.item()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(map(_plain, value))
    return value


def threshold_bounds(threshold: float) -> tuple[float, float]:
    """How far a threshold moves where masks are all too small, or all too large.

    Examples
    --------
    >>> threshold_bounds(0.4)
    (0.1, 0.8)
    """
    return max(threshold / 4, LEAST), min(1 - (1 - threshold) / 3, MOST)


#: What preset ``published`` stands for, whatever the card says (method 5).
PUBLISHED: dict[str, Any] = {
    "steps": 6,
    "windows": False,
    "local_steps": 1,
    "local_index": 0,
    "padding": 0.0,
    "min_padding": 20,
    "min_area": 512,
    "grid": 256,
    "transition": "marginal",
    "last": "soft",
    "flips": False,
    "threshold": 0.5,
    "consensus": 1.0,
    "pixel_doubt": 0.0,
    "doubt": 1.0,
    "band": 0.0,
    "least_change": 0.0,
    "least_piece": 0.0,
    "close_gaps": False,
}
#: What is different in mode ``whole`` of preset ``published`` (method 6).
PUBLISHED_WHOLE: dict[str, Any] = {"steps": 5, "windows": True, "min_area": 0}
