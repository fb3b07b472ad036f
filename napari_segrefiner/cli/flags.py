"""Options as command line flags, made from the dataclass that declares them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, TypeVar

from napari_segrefiner.errors import OptionError
from napari_segrefiner.options import specs

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari_segrefiner.options import OptionSpec

T = TypeVar("T")

METAVARS = {int: "N", float: "X", str: "TEXT", tuple: "A,B,..."}


def add_flags(
    parser: argparse.ArgumentParser,
    options: type[Any],
    *,
    without: Collection[str] = (),
) -> None:
    """Add a flag for every declared option of a dataclass.

    Parameters
    ----------
    parser : ArgumentParser
    options : dataclass
        Its fields are declared with :func:`napari_segrefiner.options.option`.
    without : collection of str
        Fields that are no flags here.
    """
    group = parser.add_argument_group("settings")
    for spec in specs(options):
        if spec.name in without:
            continue
        # Absent unless given: every default stands in the dataclass alone. Values stay
        # text until read_flags, so that its one sentence is what a user reads.
        if spec.kind is bool:
            group.add_argument(
                spec.flag,
                dest=spec.name,
                action=argparse.BooleanOptionalAction,
                default=argparse.SUPPRESS,
                help=help_text(spec),
            )
        else:
            group.add_argument(
                spec.flag,
                dest=spec.name,
                default=argparse.SUPPRESS,
                metavar=_metavar(spec),
                help=help_text(spec),
            )


def read_flags(arguments: argparse.Namespace, options: type[T]) -> T:
    """The options that the parsed flags say; fields without a flag keep their default.

    Raises
    ------
    OptionError
        If a value is of the wrong kind or out of its bounds.
    """
    given = vars(arguments)
    return options(
        **{
            spec.name: read_value(spec, given[spec.name])
            for spec in specs(options)
            if spec.name in given
        }
    )


def read_value(spec: OptionSpec, text: str | bool) -> Any:
    """One option's value from its text.

    Raises
    ------
    OptionError
        One sentence that names the flag.
    """
    if spec.kind is tuple and isinstance(text, str):
        parts = [part.strip() for part in text.split(",")]
        value: Any = tuple(_convert(spec, part) for part in parts if part)
    else:
        value = _convert(spec, text)
    try:
        spec.check(value)
    except OptionError as error:
        message = str(error).replace(spec.name, spec.flag, 1)
        raise OptionError(message) from error
    return value


def help_text(spec: OptionSpec) -> str:
    """Help of an option, with its bounds and its default."""
    facts = []
    if spec.minimum is not None or spec.maximum is not None:
        facts.append(spec.bounds_text().removeprefix("a "))
    if spec.default is None:
        facts.append("default: what the preset says")
    elif spec.default not in ((), ""):
        facts.append(f"default: {spec.default}")
    text = spec.help + (f" ({'; '.join(facts)})" if facts else "")
    return text.replace("%", "%%")  # argparse formats what it shows


def option_table(options: type[Any]) -> str:
    """The flags of a dataclass as a Markdown table, for the guide."""
    lines = ["| flag | what it does |", "| --- | --- |"]
    for spec in specs(options):
        if spec.kind is bool:
            usage = f"`{spec.flag}`, `--no-{spec.flag[2:]}`"
        else:
            usage = f"`{spec.flag} {_metavar(spec)}`"
        lines.append(f"| {usage} | {help_text(spec).replace('%%', '%')} |")
    return "\n".join(lines)


def _metavar(spec: OptionSpec) -> str:
    if spec.choices:
        return "{" + ",".join(spec.choices) + "}"
    return METAVARS[spec.kind]


def _convert(spec: OptionSpec, text: str | bool) -> Any:
    """`text` as the option's kind, or as the kind of its elements."""
    kind = spec.element if spec.kind is tuple else spec.kind
    if isinstance(text, bool) or kind is str:
        return text
    try:
        return kind(text)
    except ValueError as error:
        if spec.kind is tuple:
            expected = "whole numbers with commas, as in 3,7, are"
        else:
            expected = spec.bounds_text() + " is"
        message = f"{spec.flag} is {text!r}; {expected} expected."
        raise OptionError(message) from error
