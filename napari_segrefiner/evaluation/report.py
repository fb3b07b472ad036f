"""The report of an evaluation: one HTML page that needs no other file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from napari_segrefiner.evaluation.balance import CHANGES
from napari_segrefiner.evaluation.drawings import (
    balance_svg,
    example_svg,
    histogram_svg,
    scatter_svg,
)
from napari_segrefiner.evaluation.oracle import ORACLE
from napari_segrefiner.evaluation.report_style import whole_page
from napari_segrefiner.evaluation.scores import (
    COARSE,
    ImageScores,
    Total,
    mean_of,
    totals,
)
from napari_segrefiner.evaluation.tables import (
    COLUMNS,
    WHOLE_COLUMNS,
    Totals,
    totals_by_set,
)

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.examples import Example
    from napari_segrefiner.evaluation.folders import LeftOut
    from napari_segrefiner.evaluation.intervals import Intervals

#: What the groups of examples are called.
TITLES = {
    "best": ("Best", "the objects that gained most"),
    "median": ("Median", "objects in the middle"),
    "worst": ("Worst", "the objects that gained least or lost most"),
}
#: The same where coarse labels alone are scored.
TITLES_COARSE = {
    "best": ("Best", "the objects that fit best"),
    "median": ("Median", "objects in the middle"),
    "worst": ("Worst", "the objects that fit least"),
}
#: Things left out that are listed at all, and that are listed at once.
MOST_LEFT_OUT, FEW = 200, 10
WHOLE_TEXT = "every layer on its own: objects are found anew by each measure"
FOOTER = "Intervals: 95 %, from drawing the images anew 1,000 times."
#: Columns in which less is better.
LESS_IS_BETTER = ("worse_02", "worse_05", "lost")
CHANGE_NAMES = dict(
    zip(
        CHANGES,
        ("too much, removed", "too little, recovered", "too much, new",
         "too little, new"),
        strict=True,
    )
)  # fmt: skip

Groups = Mapping[str, Sequence[ImageScores]]


@dataclass(frozen=True)
class Report:
    """What goes into the page.

    Attributes
    ----------
    title : str
    groups : mapping of set name to sequence of ImageScores
    layer : str
        The refined layer that pictures and charts are about, or "coarse".
    examples : mapping of group name to sequence of Example
    intervals : mapping
        Of the totals over all images.
    left_out : sequence of LeftOut
    """

    title: str
    groups: Groups
    layer: str
    examples: Mapping[str, Sequence[Example]]
    intervals: Intervals
    left_out: Sequence[LeftOut] = ()


def render(report: Report) -> str:
    """The page as HTML text."""
    images = [image for group in report.groups.values() for image in group]
    found = totals(images)
    n_objects = found[COARSE]["iou"].n
    parts = [
        f'<p class="lead">{n_objects:,} objects in {len(images):,} images'
        + _layers_text(report)
        + "</p>",
        _tiles(report, found),
        "<h2>Scores</h2>",
        _table(report, COLUMNS),
        _charts(report, images, found),
        *(_group(report, name) for name in report.examples if report.examples[name]),
        _whole(report, found),
        _left_out(report.left_out),
    ]
    return whole_page(report.title, parts, FOOTER)


def _layers_text(report: Report) -> str:
    if report.layer == COARSE:
        return ", scored as they are."
    return f": coarse, and refined by <b>{escape(report.layer)}</b>."


def _tiles(report: Report, found: Mapping[str, Mapping[str, Total]]) -> str:
    """The numbers that matter most, large."""
    coarse, after = found[COARSE], found[report.layer]
    tiles = []
    for metric, name in (("iou", "IoU"), ("boundary_iou", "Boundary IoU, 2 px")):
        limits = report.intervals.get(report.layer, {})
        if report.layer == COARSE:
            big, small = f"{after[metric].value:.3f}", _limits(limits.get(metric))
        else:
            big = (
                f'<span class="old">{coarse[metric].value:.3f}</span> '
                f"&rarr; {after[metric].value:.3f}"
            )
            gain = after[metric].value - coarse[metric].value
            small = f"{gain:+.3f} {_limits(limits.get(f'gain_{metric}'), '+.3f')}"
        tiles.append((name, big, small))
    if report.layer != COARSE:
        tiles.append(
            ("Better by .02", f"{100 * after['improved_02'].value:.0f} %", "of objects")
        )
        lost = f"{100 * after['lost'].value:.1f} % vanished"
        tiles.append(("Worse by .05", f"{100 * after['worse_05'].value:.1f} %", lost))
    inside = "".join(
        f'<div class="tile"><small>{name}</small><b>{big}</b><small>{small}</small>'
        "</div>"
        for name, big, small in tiles
    )
    return f'<div class="tiles">{inside}</div>'


def _limits(limits: tuple[float, float] | None, form: str = ".3f") -> str:
    if limits is None:
        return ""
    return f"[{limits[0]:{form}}, {limits[1]:{form}}]"


def _table(report: Report, wanted: Mapping[str, str]) -> str:
    """Totals of all objects, then set by set, in the columns that have values."""
    images = [image for group in report.groups.values() for image in group]
    groups: list[tuple[str, Totals]] = [("all objects", totals(images))]
    if len(report.groups) > 1:
        by_set = totals_by_set(report.groups)
        groups += [("mean of sets", mean_of(list(by_set.values()))), *by_set.items()]
    held = {metric for layer in groups[0][1].values() for metric in layer}
    columns = {metric: text for metric, text in wanted.items() if metric in held}
    head = "".join(f"<th>{escape(text)}</th>" for text in columns.values())
    rows = []
    for k, (name, group) in enumerate(groups):
        for layer, metrics in group.items():
            cells = "".join(
                _cell(
                    metrics.get(metric),
                    report.intervals.get(layer, {}).get(metric) if k == 0 else None,
                    is_best=_is_best(group, layer, metric),
                )
                for metric in columns
            )
            is_first = layer == COARSE
            title = escape(name) if is_first else ""
            rows.append(
                f"<tr{' class=first' if is_first else ''}><th>{title}</th>"
                f"<th>{escape(layer)}</th><td>{metrics['iou'].n:,}</td>{cells}</tr>"
            )
    return (
        '<div class="wide"><table><thead><tr><th></th><th></th><th>n</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _whole(report: Report, found: Totals) -> str:
    """The table of layers as segmentations, where they were scored so."""
    if not any(metric in layer for layer in found.values() for metric in WHOLE_COLUMNS):
        return ""
    return (
        f"<h2>As segmentations <small>{WHOLE_TEXT}</small></h2>"
        f"{_table(report, WHOLE_COLUMNS)}"
    )


def _is_best(group: Totals, layer: str, metric: str) -> bool:
    """Whether a layer has the best value, and not all have it; an oracle cannot win."""
    values = {
        name: t[metric].value
        for name, t in group.items()
        if metric in t and name != ORACLE
    }
    best = (min if metric in LESS_IS_BETTER else max)(values.values(), default=0.0)
    return values.get(layer) == best and len(set(values.values())) > 1


def _cell(
    total: Total | None, limits: tuple[float, float] | None, *, is_best: bool
) -> str:
    if total is None or math.isnan(total.value):
        return "<td></td>"
    value = f"{total.value:.3f}"
    text = f"<b>{value}</b>" if is_best else value
    extra = f"<small>{_limits(limits)}</small>" if limits else ""
    return f"<td>{text}{extra}</td>"


def _charts(
    report: Report,
    images: Sequence[ImageScores],
    found: Mapping[str, Mapping[str, Total]],
) -> str:
    """Scatter, gains and the balance of errors; nothing without refined labels."""
    if report.layer == COARSE:
        return ""
    before = np.concatenate([image.layers[COARSE].iou for image in images])
    after = np.concatenate([image.layers[report.layer].iou for image in images])
    shares = {}
    for change, name in CHANGE_NAMES.items():
        near, far = (
            found[report.layer][f"{change}_{z}"].value for z in ("near", "far")
        )
        if math.isfinite(near):
            shares[name] = (near, far)
    gone = [CHANGE_NAMES[change] for change in CHANGES[:2]]
    balance = (
        "<figure><h3>What became of the coarse errors</h3>"
        f"{balance_svg(shares, gone)}<figcaption>Pixels, as shares of all that the "
        "coarse masks have wrong.</figcaption></figure>"
        if shares
        else ""
    )
    return (
        '<div class="charts"><figure><h3>Every object, before and after</h3>'
        f"{scatter_svg(before, after)}<figcaption>Above the line is better. Triangles "
        "fell by more than .02.</figcaption></figure><div><figure><h3>Gains</h3>"
        f"{histogram_svg(after - before)}</figure>{balance}</div></div>"
    )


def _group(report: Report, name: str) -> str:
    """A row of pictures with its legend."""
    is_coarse = report.layer == COARSE
    title, text = (TITLES_COARSE if is_coarse else TITLES)[name]
    legend = (
        '<span class="key"><i class="truth"></i>truth</span>'
        '<span class="key"><i class="before"></i>before</span>'
        + ("" if is_coarse else '<span class="key"><i class="after"></i>after</span>')
    )
    cards = "".join(_card(one, is_coarse) for one in report.examples[name])
    return (
        f"<h2>{title} <small>{text}</small></h2>"
        f'<div class="legend">{legend}</div><div class="cards">{cards}</div>'
    )


def _card(example: Example, is_coarse: bool) -> str:
    picked = example.picked
    where = f"{escape(example.name)}, object {picked.truth_id}"
    if is_coarse:
        numbers = f"<b>{picked.after:.3f}</b>"
        views = example_svg(example, is_after=False)
    else:
        gain = picked.after - picked.before
        numbers = f"{picked.before:.3f} &rarr; <b>{picked.after:.3f}</b> ({gain:+.3f})"
        views = example_svg(example, is_after=False) + example_svg(
            example, is_after=True
        )
    return (
        f'<figure class="card"><div class="pair">{views}</div>'
        f"<figcaption>IoU {numbers}<br><small>{where}</small></figcaption></figure>"
    )


def _left_out(left_out: Sequence[LeftOut]) -> str:
    if not left_out:
        return ""
    items = "".join(
        f"<li><b>{escape(one.name)}</b>: {escape(one.reason)}</li>"
        for one in left_out[:MOST_LEFT_OUT]
    )
    more = len(left_out) - MOST_LEFT_OUT
    rest = f"<li>and {more:,} more</li>" if more > 0 else ""
    n = len(left_out)
    summary = f"{n:,} picture{'s' if n > 1 else ''} or labels are not in the totals"
    is_open = " open" if n <= FEW else ""
    return (
        f"<h2>Left out</h2><details{is_open}><summary>{summary}</summary>"
        f"<ul>{items}{rest}</ul></details>"
    )
