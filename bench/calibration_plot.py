"""Reliability and Brier score as one SVG: panels drawn by hand, no library needed to see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import sqrt

COLOURS = {"ours": "#0b62a4", "plain": "#e07b00", "market": "#2e8540"}
SIDE, GAP, LEFT, TOP = 250, 80, 70, 80
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font-size:14px;font-weight:bold}"
    ".a{stroke:#999;fill:none}.g{stroke:#e4e4e4}.d{stroke:#888;stroke-dasharray:4 4}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A market: for each series the points of reliability (said, came true, samples), and the Brier
    score by time left (label, score)."""

    title: str
    reliability: Mapping[str, Sequence[tuple[float, float, int]]]
    brier: Mapping[str, Sequence[tuple[str, float]]]


def _text(x: float, y: float, text: str, anchor: str = "middle", kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{mark}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _curve(points: Sequence[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def _dot(x: float, y: float, radius: float, colour: str) -> str:
    return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" '
            f'fill-opacity="0.55" stroke="{colour}"/>')  # fmt: skip


def _frame(left: float, top: float, most: float, title: str) -> list[str]:
    """A square with a grid; the scale up goes from 0 to `most`."""
    drawn = [_text(left + SIDE / 2, top - 12, title, kind="t")]
    for k in range(6):
        y = top + SIDE - k * SIDE / 5
        drawn.append(_line(left, y, left + SIDE, y, "g"))
        drawn.append(_text(left - 8, y + 4, f"{most * k / 5:.2g}", "end"))
    drawn.append(f'<rect x="{left}" y="{top}" width="{SIDE}" height="{SIDE}" class="a"/>')
    return drawn


def _reliability(panel: Panel, left: float, top: float) -> list[str]:
    drawn = _frame(left, top, 1.0, panel.title)
    drawn.append(_line(left, top + SIDE, left + SIDE, top, "d"))
    for k in range(6):
        drawn.append(_text(left + k * SIDE / 5, top + SIDE + 16, f"{k / 5:.2g}"))
    drawn.append(_text(left + SIDE / 2, top + SIDE + 34, "chance said → share that came true"))
    for name, points in panel.reliability.items():
        placed = [(left + said * SIDE, top + SIDE - true * SIDE) for said, true, _ in points]
        drawn.append(_curve(placed, COLOURS[name]))
        drawn += [_dot(x, y, min(1.5 + sqrt(count) / 4, 8), COLOURS[name])
                  for (x, y), (_, _, count) in zip(placed, points, strict=True)]  # fmt: skip
    return drawn


def _brier(panel: Panel, left: float, top: float) -> list[str]:
    most = 0.3
    drawn = _frame(left, top, most, "")
    names = [label for label, _ in max(panel.brier.values(), key=len)]
    step = SIDE / max(len(names), 1)
    for k, label in enumerate(names):
        drawn.append(_text(left + (k + 0.5) * step, top + SIDE + 16, label))
    drawn.append(_text(left + SIDE / 2, top + SIDE + 34, "seconds left → Brier score (0 is best)"))
    for name, scores in panel.brier.items():
        placed = [
            (left + (names.index(label) + 0.5) * step, top + SIDE - min(score / most, 1) * SIDE)
            for label, score in scores
        ]
        drawn.append(_curve(placed, COLOURS[name]))
        drawn += [_dot(x, y, 3, COLOURS[name]) for x, y in placed]
    return drawn


def draw(panels: Sequence[Panel], title: str) -> str:
    """The whole picture: a column a market, reliability above, Brier score below."""
    width = LEFT + len(panels) * (SIDE + GAP)
    height = TOP + 2 * (SIDE + GAP) + 20
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="white"/>',
        _text(LEFT, 24, title, "start", "t"),
    ]
    for k, (name, colour) in enumerate(COLOURS.items()):
        drawn.append(_dot(LEFT + 6 + 110 * k, 42, 5, colour))
        drawn.append(_text(LEFT + 18 + 110 * k, 46, name, "start"))
    for k, panel in enumerate(panels):
        left = LEFT + k * (SIDE + GAP)
        drawn += _reliability(panel, left, TOP + 10)
        drawn += _brier(panel, left, TOP + SIDE + GAP)
    return "\n".join([*drawn, "</svg>"]) + "\n"
