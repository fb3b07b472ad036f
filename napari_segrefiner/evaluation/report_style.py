"""How reports look: colours, sizes, light and dark, and the page around them."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from napari_segrefiner import __version__

#: Orange, sky blue, blue and vermilion are told apart by all kinds of colour vision.
STYLE = """
:root { --paper: #fbfbf9; --card: #fff; --ink: #1d2127; --faint: #667;
  --line: #dfe1e5; --before: #e69f00; --after: #2f9bdb; --rose: #0072b2;
  --fell: #d55e00; --same: #9aa0a8; }
@media (prefers-color-scheme: dark) { :root { --paper: #14161a; --card: #1d2026;
  --ink: #e9ebee; --faint: #9aa2ad; --line: #343942; --rose: #56b4e9;
  --fell: #f08a45; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 60px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 20px; margin: 44px 0 12px; }
h2 small { font-weight: 400; font-size: 14px; color: var(--faint); margin-left: 6px; }
h3 { font-size: 15px; margin: 0 0 8px; }
small, figcaption, footer, .lead { color: var(--faint); }
.lead { margin: 6px 0 26px; font-size: 16px; }
.tiles { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(215px, 1fr)); }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px; display: flex; flex-direction: column; }
.tile b { font-size: 25px; font-weight: 650; letter-spacing: -.01em; }
.tile .old { color: var(--faint); font-weight: 400; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px;
  background: var(--card); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 13px; }
th, td { padding: 6px 8px; text-align: right; white-space: nowrap; }
th { font-weight: 600; } tbody th { text-align: left; }
tbody th + th { font-weight: 400; }
thead th { color: var(--faint); font-weight: 500;
  border-bottom: 1px solid var(--line); }
tr.first:not(:first-child) > * { border-top: 1px solid var(--line); }
td small { display: block; font-size: 9.5px; line-height: 1.2; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr));
  gap: 22px; margin-top: 32px; }
figure { margin: 0; }
.charts figure { background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; padding: 16px; margin-bottom: 22px; }
.chart { width: 100%; height: auto; display: block; }
.chart text { font-size: 12px; fill: var(--faint); }
.chart text.axis { fill: var(--ink); }
.curve { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.curve.before { stroke: var(--before); stroke-dasharray: 7 4; }
.curve.after { stroke: var(--after); }
circle.before { fill: var(--before); } circle.after { fill: var(--after); }
.reached { stroke: var(--ink); stroke-width: 4; }
.grid { stroke: var(--line); stroke-width: 1; }
.diagonal { stroke: var(--faint); stroke-width: 1.2; stroke-dasharray: 5 4; }
circle.rose { fill: var(--rose); fill-opacity: .55; }
circle.same { fill: var(--same); fill-opacity: .55; }
path.fell { fill: var(--fell); fill-opacity: .8; }
rect.rose, rect.gone { fill: var(--rose); } rect.fell, rect.new { fill: var(--fell); }
rect.far { fill-opacity: .5; }
.legend { display: flex; gap: 20px; margin-bottom: 12px; font-size: 13px; }
.key { display: inline-flex; align-items: center; gap: 7px; color: var(--faint); }
.key i { width: 26px; height: 0; border-top: 3px solid; }
.key .truth { border-top: 3px dashed var(--ink); }
.key .before { border-color: var(--before); }
.key .after { border-color: var(--after); }
.cards { display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  overflow: hidden; }
.card figcaption { padding: 9px 13px 11px; font-size: 13.5px; color: var(--ink);
  overflow-wrap: anywhere; }
.pair { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: 2px; }
svg.object { width: 100%; aspect-ratio: 1; display: block; background: #000; }
svg.object path { fill: none; vector-effect: non-scaling-stroke; stroke-width: 2;
  stroke-linejoin: round; }
svg.object .halo { stroke: #000; stroke-opacity: .45; stroke-width: 4; }
svg.object .before { stroke: #e69f00; } svg.object .after { stroke: #56b4e9; }
svg.object .truth { stroke: #fff; stroke-width: 1.6; stroke-dasharray: 4 4; }
.blank { fill: #3a3e45; }
summary { cursor: pointer; color: var(--faint); }
footer { margin-top: 48px; font-size: 13px; }
@media print { .card, figure { break-inside: avoid; } }
"""


def whole_page(title: str, parts: Iterable[str], footer: str = "") -> str:
    """An HTML page that needs no other file; `parts` are HTML, `title` is text."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{''.join(parts)}"
        f"<footer>napari-segrefiner {escape(__version__)}. {footer}</footer>"
        "</main></body></html>\n"
    )
