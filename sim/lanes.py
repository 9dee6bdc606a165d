"""The lanes of a view: what one node of a trace did, as stretches of time and as marks on them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from sim.trace_reader import Line
from sim.verbs import BOOTING, BY_WORD, ECU_STATES, OFF, Kind, Verb

RUNS: Final = "running"
DEAD: Final = "dead"
"""What an ECU is called that runs, and of whose transaction the trace says nothing; or that does not come up."""

STATES: Final = (OFF, DEAD, BOOTING, RUNS, *ECU_STATES)

_REFUSAL: Final = re.compile(r"\b([A-Z][A-Z_]{2,40}) \(0x[0-9A-F]{4}\b", re.ASCII)  # as Rejected writes itself
_COUNT: Final = re.compile(r"(\d{1,12}) (?:from|at|as) (\S+)", re.ASCII)
_OCTETS: Final = re.compile(r"(\d{1,12}) octets\b", re.ASCII)
MARKED: Final = frozenset({
    *(Verb.CUT, Verb.TEST, Verb.REFUSED, Verb.TROUBLE, Verb.FULL, Verb.DAMAGED, Verb.UNREACHABLE, Verb.RESTART),
    *(verb for verb in Verb if verb.kind in {Kind.SERVERS, Kind.RUN} and verb is not Verb.ASKED),
    *(Verb.BUS_OFF, Verb.BUS_ON, Verb.LOST, Verb.ALTERED, Verb.DROPPED, Verb.FORGED, Verb.PARTITION, Verb.HEAL),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stretch:
    """An ECU was in `state` from one moment to another; `image` is what it ran, where that is known."""

    start_ns: int
    end_ns: int
    state: str
    image: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something worth a mark, at an event of the trace."""

    event: int
    at_ns: int
    verb: str
    text: str


@dataclass
class Place:
    """A node that is neither an ECU nor a bus: a server, people, faults, checkers, an attacker."""

    node: str
    marks: list[Mark] = field(default_factory=list)
    lines: int = 0

    def hear(self, line: Line) -> None:
        """Take what the node says."""
        self.lines += 1
        verb = Verb.REFUSED if refusal(line) else BY_WORD.get(line.verb)
        if verb in MARKED or verb is None:
            self.marks.append(Mark(line.event, line.at_ns, verb or line.verb, line.detail))

    def end(self, at_ns: int) -> None:
        """The trace ends."""


@dataclass
class Bus(Place):
    """A bus: how many frames were told of when, by whom."""

    bursts: list[tuple[int, int]] = field(default_factory=list)
    frames: dict[str, int] = field(default_factory=dict)
    errors: int = 0

    def hear(self, line: Line) -> None:
        """Take what the bus says."""
        super().hear(line)
        found = _COUNT.match(line.detail)
        if found is None:
            return
        if line.verb == Verb.FRAMES:
            self.bursts.append((line.at_ns, int(found[1])))
            self.frames[found[2]] = self.frames.get(found[2], 0) + int(found[1])
        elif line.verb == Verb.ERROR:
            self.errors += int(found[1])


@dataclass
class Ecu(Place):
    """An ECU: off, booting, or running in some state, and what it did to its storage."""

    stretches: list[Stretch] = field(default_factory=list)
    image: str = ""
    boots: int = 0
    cuts: int = 0
    stores: int = 0
    erases: int = 0
    written: int = 0
    power: str = OFF
    transaction: str = RUNS
    _since_ns: int = 0

    @property
    def state(self) -> str:
        """What it is just now."""
        return self.transaction if self.power == RUNS else self.power

    def hear(self, line: Line) -> None:
        """Take what the ECU says."""
        super().hear(line)
        before = (self.state, self.image)
        self._take(line)
        if (self.state, self.image) != before:
            self._close(line.at_ns, *before)

    def end(self, at_ns: int) -> None:
        """The trace ends."""
        self._close(at_ns, self.state, self.image)

    def _close(self, at_ns: int, state: str, image: str) -> None:
        if at_ns > self._since_ns:
            self.stretches.append(Stretch(self._since_ns, at_ns, state, image))
        self._since_ns = at_ns

    def _take(self, line: Line) -> None:
        match line.verb:
            case Verb.POWER_UP | Verb.RESTART:
                self.power = BOOTING
                self.boots += 1
            case Verb.RUNNING:
                self.power = RUNS
                self.image = line.detail.rpartition(" ")[2]
            case Verb.CUT:
                self.power = OFF
                self.cuts += 1
            case Verb.STATE:
                said = line.detail.partition(" ")[0]
                self.transaction = said if said in ECU_STATES else RUNS
            case Verb.TROUBLE if line.detail.startswith(("does not boot", "stopped")):
                self.power = DEAD
            case Verb.STORE:
                self.stores += 1
            case Verb.ERASE:
                self.erases += 1
            case Verb.WRITE:
                found = _OCTETS.search(line.detail)
                self.written += int(found[1]) if found else 0
            case _ if self.power == BOOTING and self.node.endswith(".primary"):
                self.power = RUNS  # a Primary does not say when it runs; it simply begins
            case _:
                pass


def refusal(line: Line) -> str | None:
    """The name of the check that refused something, as this line tells it; None when it tells of no refusal."""
    if line.verb == Verb.REFUSED:
        return line.detail.partition(" ")[0]
    found = _REFUSAL.search(line.detail)
    return found[1] if found else None
