"""What a fleet costs its servers: requests by the second, what answering them took, octets, signatures.

Counts are the same on any machine; processor time comes from a stopwatch that is handed in, and decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from sim.clock import NS_PER_S

Stopwatch: TypeAlias = Callable[[], int]
"""Nanoseconds of processor time since any moment."""

WINDOW_S: Final = 10  # over which a peak is judged: a second with 33 requests on average has 50 now and then


def stopped() -> int:
    """A stopwatch for runs in which nobody wants to know."""
    return 0


class Work(Enum):
    """What the Director did to answer."""

    IDLE = "idle poll"
    MANIFEST = "poll with a manifest"
    ISSUE = "poll that had metadata signed"
    BOTH = "poll with a manifest that had metadata signed"
    ENROL = "enrolment of a vehicle, its first metadata included"
    ORDER = "order for one vehicle"
    HEAR = "hearing of the Image repository"


@dataclass(slots=True)
class Spent:
    """How often, and how much processor time in all."""

    count: int = 0
    cpu_ns: int = 0

    @property
    def mean_us(self) -> float:
        """Microseconds each."""
        return self.cpu_ns / self.count / 1_000 if self.count else 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests within a stretch of time: how many a second on average, and in the worst second and window."""

    seconds: int
    requests: int
    mean: float
    peak_second: int
    peak_window: float

    def times(self, other: Rates) -> float:
        """The worst window here, in multiples of what is usual there."""
        return self.peak_window / other.mean if other.mean else 0.0


@dataclass(slots=True)
class Load:
    """All of it. `arrived` are requests by the second, `turned_away` those of them that were not served."""

    stopwatch: Stopwatch = stopped
    arrived: Counter[int] = field(default_factory=Counter)
    turned_away: Counter[int] = field(default_factory=Counter)
    spent: dict[Work, Spent] = field(default_factory=lambda: {work: Spent() for work in Work})
    octets_in: int = 0
    octets_out: int = 0
    signatures: int = 0
    attestations: int = 0
    image_octets: int = 0

    def took(self, work: Work, since_ns: int, count: int = 1) -> None:
        """Note what was done since the stopwatch showed `since_ns`."""
        spent = self.spent[work]
        spent.count += count
        spent.cpu_ns += self.stopwatch() - since_ns

    @property
    def polls(self) -> int:
        """Polls that were answered."""
        return sum(self.spent[work].count for work in (Work.IDLE, Work.MANIFEST, Work.ISSUE, Work.BOTH))

    def rates(self, from_ns: int, to_ns: int) -> Rates:
        """What arrived from one moment to another, at least a second."""
        first, last = from_ns // NS_PER_S, max(to_ns // NS_PER_S, from_ns // NS_PER_S + 1)
        counts = [self.arrived[second] for second in range(first, last)]
        requests = sum(counts)
        return Rates(last - first, requests, requests / len(counts), max(counts), _worst(counts))


def _worst(counts: Sequence[int]) -> float:
    """Requests a second in the worst window."""
    width = min(WINDOW_S, len(counts))
    within = most = sum(counts[:width])
    for gone, come in zip(counts, counts[width:], strict=False):
        within += come - gone
        most = max(most, within)
    return most / width
