"""A picture of a case: the transfer rate over time, and marks where something happened. SVG, to stand in a page."""

from __future__ import annotations

from html import escape
from typing import Final

from rig.results import Result

WIDTH, HEIGHT = 720, 150
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 12, 22
BINS: Final = 120  # points of the curve: six pixels each
BLOCKS_PER_BIN: Final = 2  # fewer bins for few blocks, or the curve is all teeth
MARKED: Final = ("stage", "power", "loss", "channel")
MARKS_MAX: Final = 40


def rate_over_time(result: Result) -> str:
    """The picture; empty when nothing was transferred and nothing happened."""
    marks = [event for event in result.events if event[1] in MARKED][:MARKS_MAX]
    if not result.moved and not marks:
        return ""
    last_s = max([moved[0] for moved in result.moved] + [mark[0] for mark in marks] + [result.seconds, 0.001])
    points = binned(result.moved, last_s)
    top = nice(max((rate for _, rate in points), default=0.0) / 1e3)
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(at_s: float) -> float:
        return LEFT + inner_width * at_s / last_s

    def y(rate: float) -> float:
        return TOP + inner_height * (1 - rate / 1e3 / top)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="transfer rate over time">',
        f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>',
        f'<text x="{LEFT - 6}" y="{TOP + 4}" class="right">{top:g} kB/s</text>',
        f'<text x="{LEFT - 6}" y="{HEIGHT - BOTTOM}" class="right">0</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" class="right">{last_s:.2f} s</text>',
    ]
    for at_s, kind, text in marks:
        place = x(at_s)
        parts.append(
            f'<g class="mark {escape(kind)}"><title>{at_s:.3f} s: {escape(kind)}: {escape(text)}</title>'
            f'<path d="M{place:.1f} {TOP}V{HEIGHT - BOTTOM}"/></g>'
        )
    if points:
        line = "L".join(f"{x(at_s):.1f} {y(rate):.1f}" for at_s, rate in points)
        parts.append(f'<path class="rate" d="M{line}"/>')
    return "".join([*parts, "</svg>"])


def binned(moved: list[tuple[float, int]], last_s: float) -> list[tuple[float, float]]:
    """Octets a second in equal stretches of time: (middle of the stretch, rate); empty when nothing moved."""
    if not moved:
        return []
    count = max(1, min(BINS, len(moved) // BLOCKS_PER_BIN))
    width = last_s / count
    bins = [0] * count
    for at_s, octets in moved:
        bins[min(count - 1, int(at_s / width))] += octets
    return [((number + 0.5) * width, octets / width) for number, octets in enumerate(bins)]


def nice(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten that is not below `value`."""
    power = 0.001
    while True:
        for step in (1, 2, 5):
            if value <= step * power:
                return step * power
        power *= 10
