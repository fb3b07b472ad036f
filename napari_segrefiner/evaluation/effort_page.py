"""How much effort refinement saves, as a page: the curves, and the points saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from napari_segrefiner.evaluation.defects import HURRIED_SPREAD
from napari_segrefiner.evaluation.effort import TARGETS, Effort, points_text
from napari_segrefiner.evaluation.report_style import whole_page


def effort_page(effort: Effort, model: str) -> str:
    """The page as HTML text; `model` is its name."""
    lead = (
        f'<p class="lead">{effort.n:,} objects, each drawn as a hurried polygon; '
        f"refined by <b>{escape(model)}</b>.</p>"
    )
    tiles = "".join(_tile(effort, target) for target in TARGETS)
    chart = (
        '<div class="charts"><figure><h3>IoU by number of points</h3>'
        '<div class="legend"><span class="key"><i class="before"></i>as drawn</span>'
        '<span class="key"><i class="after"></i>refined</span></div>'
        f"{curves_svg(effort)}<figcaption>Thick lines: the points saved at an IoU of "
        ".85 and .90.</figcaption></figure>"
        f"<figure><h3>Numbers</h3>{_table(effort)}</figure></div>"
    )
    return whole_page(
        "Points saved by refinement",
        [lead, f'<div class="tiles">{tiles}</div>', chart],
        f"Every point is off by {HURRIED_SPREAD:g} of the object's size.",
    )


def _tile(effort: Effort, target: float) -> str:
    plain, refined = (
        points_text(
            effort,
            effort.needed(target, is_refined=side),
            more="&gt;",
            most="&le;",
        )
        for side in (False, True)
    )
    saved = effort.saved_in_words(target)
    small = f"{saved} points saved" if saved else "points"
    return (
        f'<div class="tile"><small>IoU of {target:.2f}</small><b><span class="old">'
        f"{plain}</span> &rarr; {refined}</b><small>{small}</small></div>"
    )


def _table(effort: Effort) -> str:
    rows = "".join(
        f"<tr><td>{n}</td><td>{plain:.3f}</td><td>{refined:.3f}</td>"
        f"<td>{refined - plain:+.3f}</td></tr>"
        for n, plain, refined in zip(
            effort.points, effort.drawn, effort.refined, strict=True
        )
    )
    return (
        "<table><thead><tr><th>points</th><th>as drawn</th><th>refined</th>"
        f"<th>gain</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def curves_svg(effort: Effort) -> str:
    """Mean IoU upwards, number of points across; the saved points as bars."""
    width, height, left, low = 460, 300, 46, 12
    floor = math.floor(10 * min(*effort.drawn, *effort.refined, 0.8)) / 10
    first, last = effort.points[0], effort.points[-1]

    def across(points: float) -> float:
        return left + (points - first) / max(last - first, 1) * width

    def up(value: float) -> float:
        return low + (1 - value) / (1 - floor) * height

    parts = []
    for k in range(round((1 - floor) * 10) + 1):
        y = up(floor + k / 10)
        parts.append(
            f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{left + width}" '
            f'y2="{y:.1f}"/><text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{floor + k / 10:.1f}</text>"
        )
    for n in effort.points:
        parts.append(
            f'<text x="{across(n):.1f}" y="{low + height + 18}" text-anchor="middle">'
            f"{n}</text>"
        )
    for name, values in (("before", effort.drawn), ("after", effort.refined)):
        parts.append(_curve(name, [across(n) for n in effort.points], map(up, values)))
    for target in TARGETS:
        if math.isfinite(effort.saved(target)):
            ends = [across(effort.needed(target, is_refined=s)) for s in (True, False)]
            parts.append(
                f'<line class="reached" x1="{ends[0]:.1f}" y1="{up(target):.1f}" '
                f'x2="{ends[1]:.1f}" y2="{up(target):.1f}"/>'
            )
    return (
        f'<svg class="chart" viewBox="0 0 {left + width + 14} {low + height + 44}" '
        'role="img" aria-label="Mean IoU by number of points, as drawn and refined">'
        + "".join(parts)
        + f'<text class="axis" x="{left + width / 2}" y="{low + height + 38}" '
        'text-anchor="middle">points of the polygon</text>'
        f'<text class="axis" transform="translate(12 {low + height / 2}) rotate(-90)" '
        'text-anchor="middle">mean IoU</text></svg>'
    )


def _curve(name: str, xs: Sequence[float], ys: map[float]) -> str:
    places = list(zip(xs, ys, strict=True))
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = "".join(
        f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in places
    )
    return f'<path class="curve {name}" d="M{line}"/>{dots}'
