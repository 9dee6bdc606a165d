"""A time axis that people can read: a year in a garage takes no more room on it than what led to it.

Where nothing happens for longer than GAP_NS, time is squeezed, and the axis says so; everywhere else it runs evenly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import log10
from typing import Final

from sim.clock import NS_PER_S

GAP_NS: Final = 3 * NS_PER_S  # longer than ECUs are silent within an update, shorter than from one poll to the next
SHORT: Final = 10  # a gap of so many times GAP_NS is named
_EVEN: Final = 0.25  # of its own width: what is narrower is squeezed too far to be divided
_STEPS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Gap:
    """From `start_ns` to `end_ns` nothing happens, and the axis is squeezed."""

    start_ns: int
    end_ns: int

    @property
    def text(self) -> str:
        """How long, for people."""
        return spoken(self.end_ns - self.start_ns)


class Axis:
    """From the first to the last of `times_ns`, ascending, as positions 0.0 to 1.0."""

    def __init__(self, times_ns: Iterable[int]) -> None:
        self._ns, self._wide = [0], [0.0]
        self.gaps: list[Gap] = []
        before = 0
        for at_ns in times_ns:
            if at_ns - before > GAP_NS:
                self._squeeze(before, at_ns)
            before = at_ns
        self._until(before)
        self._until(max(before, 1))

    def _until(self, at_ns: int) -> None:
        if at_ns > self._ns[-1]:
            self._wide.append(self._wide[-1] + at_ns - self._ns[-1])
            self._ns.append(at_ns)

    def _squeeze(self, start_ns: int, end_ns: int) -> None:
        self._until(start_ns)
        length = end_ns - start_ns
        self._wide.append(self._wide[-1] + GAP_NS * (1 + log10(length / GAP_NS)))
        self._ns.append(end_ns)
        if length >= SHORT * GAP_NS:
            self.gaps.append(Gap(start_ns, end_ns))

    @property
    def end_ns(self) -> int:
        """The time at position 1.0."""
        return self._ns[-1]

    @property
    def knots(self) -> Iterator[tuple[int, float]]:
        """Times and their positions, between which it is a straight line."""
        return zip(self._ns, (wide / self._wide[-1] for wide in self._wide), strict=True)

    def at(self, at_ns: int) -> float:
        """The position of a time; 1.0 for all after the end."""
        place = bisect_right(self._ns, at_ns)
        if place == len(self._ns):
            return 1.0
        begin, end = self._ns[place - 1], self._ns[place]
        low, high = self._wide[place - 1], self._wide[place]
        return (low + (high - low) * (at_ns - begin) / (end - begin)) / self._wide[-1]

    def ticks(self, most: int) -> list[int]:
        """At most `most` round times that divide what is not squeezed."""
        open_s = self._wide[-1] / NS_PER_S
        step_s = next((step for step in _STEPS_S if open_s / step <= most), open_s / most)
        step_ns = max(1, round(step_s * NS_PER_S))
        found: list[int] = []
        for begin, end, low, high in zip(self._ns, self._ns[1:], self._wide, self._wide[1:], strict=False):
            if high - low > (end - begin) * _EVEN:
                found += range(-(-begin // step_ns) * step_ns, end + 1, step_ns)
        kept: list[int] = []
        for at_ns in found:
            if not kept or self.at(at_ns) - self.at(kept[-1]) >= 0.6 / most:
                kept.append(at_ns)
        return kept


def spoken(length_ns: int) -> str:
    """A length of time for people: its two largest units, or milliseconds."""
    seconds = length_ns / NS_PER_S
    if seconds < 1:
        return f"{length_ns / 1e6:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole, said = round(seconds), []
    for unit, name in _UNITS:
        if whole >= unit:
            said.append(f"{whole // unit} {name}")
            whole %= unit
    return " ".join(said[:2])


def clock(at_ns: int) -> str:
    """A moment of a run for people: `12.3 s`, `4:05`, `2 d 03:04`."""
    seconds = at_ns // NS_PER_S
    if seconds < 60:
        return f"{at_ns / NS_PER_S:.3f}".rstrip("0").rstrip(".") + " s"
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    if days or hours:
        return f"{f'{days} d ' * bool(days)}{hours:02}:{rest // 60:02}:{rest % 60:02}"
    return f"{rest // 60}:{rest % 60:02}"
