"""The pictures of a report as SVG text: objects with outlines, scatter, bars.

The colours are told apart by all kinds of colour vision, and every colour comes with a
form of its own: dashes, a triangle, a label.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.measure import approximate_polygon, find_contours

from napari_segrefiner.metrics import BETTER

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.examples import Example

Mask = npt.NDArray[np.bool_]

#: More points would only make the file large; these are drawn evenly from all.
MOST_POINTS = 4000
#: Largest side of a crop that is embedded, in pixels.
LARGEST = 320


def example_svg(example: Example, *, is_after: bool) -> str:
    """An object's crop with the true outline and the one before or after."""
    height, width = example.truth.shape
    mask = example.refined if is_after else example.coarse
    kind = "after" if is_after else "before"
    label = f"outline {kind} refinement on the image, with the true outline"
    inside = "".join(
        f'<path class="{name}" d="{outline(one)}"/>'
        for name, one in (
            ("halo", example.truth),
            ("halo", mask),
            (kind, mask),
            ("truth", example.truth),
        )
    )
    return (
        f'<svg class="object" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{label}">{_picture(example)}{inside}</svg>'
    )


def outline(mask: Mask) -> str:
    """The outlines of a mask as an SVG path, in pixels from the upper left corner."""
    parts = []
    for points in find_contours(np.pad(mask, 1).astype(float), 0.5):
        short = approximate_polygon(points - 0.5, 0.2)
        steps = "L".join(f"{x:.1f} {y:.1f}" for y, x in short)
        parts.append(f"M{steps}Z")
    return "".join(parts)


def _picture(example: Example) -> str:
    height, width = example.truth.shape
    if example.image is None:
        return f'<rect width="{width}" height="{height}" class="blank"/>'
    picture = Image.fromarray(example.image)
    picture.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<image width="{width}" height="{height}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{data}"/>'
    )


def scatter_svg(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> str:
    """IoU of every object before (across) and after (upwards)."""
    side, left, low = 400, 46, 12
    step = max(1, -(-len(before) // MOST_POINTS))
    ticks = []
    for value in (0, 0.25, 0.5, 0.75, 1):
        at = left + value * side
        up = low + (1 - value) * side
        ticks.append(
            f'<line class="grid" x1="{at}" y1="{low}" x2="{at}" y2="{low + side}"/>'
            f'<line class="grid" x1="{left}" y1="{up}" x2="{left + side}" y2="{up}"/>'
            f'<text x="{at}" y="{low + side + 18}" text-anchor="middle">{value:g}'
            f'</text><text x="{left - 8}" y="{up + 4}" text-anchor="end">{value:g}'
            "</text>"
        )
    marks = []
    for x, y in zip(before[::step], after[::step], strict=True):
        cx, cy = left + x * side, low + (1 - y) * side
        if y < x - BETTER:
            marks.append(f'<path class="fell" d="M{cx - 4:.1f} {cy - 3:.1f}h8l-4 7Z"/>')
        else:
            kind = "rose" if y > x + BETTER else "same"
            marks.append(f'<circle class="{kind}" cx="{cx:.1f}" cy="{cy:.1f}" r="3"/>')
    middle = low + side / 2
    return (
        f'<svg class="chart" viewBox="0 0 {left + side + 14} {low + side + 44}" '
        'role="img" aria-label="IoU before and after, one mark per object">'
        + "".join(ticks)
        + f'<line class="diagonal" x1="{left}" y1="{low + side}" '
        f'x2="{left + side}" y2="{low}"/>'
        + "".join(marks)
        + f'<text class="axis" x="{left + side / 2}" y="{low + side + 38}" '
        'text-anchor="middle">IoU before</text>'
        f'<text class="axis" transform="translate(12 {middle}) rotate(-90)" '
        'text-anchor="middle">IoU after</text></svg>'
    )


def histogram_svg(gains: npt.NDArray[np.float64]) -> str:
    """How many objects gained how much IoU."""
    width, height, low, left = 400, 150, 8, 46
    edges = np.linspace(-0.5, 0.5, 41)
    counts = np.histogram(gains.clip(-0.499, 0.499), edges)[0]
    most = max(int(counts.max(initial=0)), 1)
    bars = []
    for k, count in enumerate(counts):
        tall = height * np.sqrt(count / most)
        kind = "fell" if edges[k] < -1e-9 else "rose"
        bars.append(
            f'<rect class="{kind}" x="{left + k * width / 40 + 0.5:.1f}" '
            f'y="{low + height - tall:.1f}" width="{width / 40 - 1:.1f}" '
            f'height="{tall:.1f}"><title>{edges[k]:+.3f} to {edges[k + 1]:+.3f}: '
            f"{count}</title></rect>"
        )
    base = low + height
    labels = "".join(
        f'<text x="{left + (value + 0.5) * width}" y="{base + 18}" '
        f'text-anchor="middle">{text}</text>'
        for value, text in (
            (-0.5, "-0.5"),
            (-0.25, "-0.25"),
            (0, "0"),
            (0.25, "+0.25"),
            (0.5, "+0.5"),
        )
    )
    return (
        f'<svg class="chart" viewBox="0 0 {left + width + 14} {base + 44}" role="img" '
        'aria-label="Number of objects by gain of IoU, square root scale">'
        + "".join(bars)
        + f'<line class="diagonal" x1="{left}" y1="{base}" x2="{left + width}" '
        f'y2="{base}"/>'
        + labels
        + f'<text class="axis" x="{left + width / 2}" y="{base + 38}" '
        'text-anchor="middle">gain of IoU (bars: square root of the number)</text>'
        "</svg>"
    )


def balance_svg(shares: Mapping[str, tuple[float, float]], heads: Sequence[str]) -> str:
    """Shares of the coarse errors as bars; each (near the boundary, far from it)."""
    width, left, row = 300, 210, 30
    largest = max(0.001, *(sum(pair) for pair in shares.values()))
    scale = width / largest
    lines = []
    for k, (name, (near, far)) in enumerate(shares.items()):
        top = 26 + k * row
        kind = "gone" if name in heads else "new"
        lines.append(
            f'<text x="{left - 10}" y="{top + 15}" text-anchor="end">{name}</text>'
            f'<rect class="{kind}" x="{left}" y="{top}" height="20" '
            f'width="{near * scale:.1f}"/>'
            f'<rect class="{kind} far" x="{left + near * scale:.1f}" y="{top}" '
            f'height="20" width="{far * scale:.1f}"/>'
            f'<text x="{left + (near + far) * scale + 8:.1f}" y="{top + 15}">'
            f"{100 * (near + far):.1f} %</text>"
        )
    total = 26 + len(shares) * row
    return (
        f'<svg class="chart" viewBox="0 0 {left + width + 70} {total + 6}" role="img" '
        'aria-label="Errors gone and new, as shares of the coarse errors">'
        f'<rect class="gone" x="{left}" y="4" width="12" height="12"/>'
        f'<text x="{left + 17}" y="14">within 2 px of the boundary</text>'
        f'<rect class="gone far" x="{left + 205}" y="4" width="12" height="12"/>'
        f'<text x="{left + 222}" y="14">beyond</text>' + "".join(lines) + "</svg>"
    )
