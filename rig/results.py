"""What a run found: a result per case, as the report, the table and --json tell it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from itertools import pairwise
from typing import Any, Final

from rig.journal import Journal

_NS: Final = 1e9
TRANSFER: Final = "transfer"  # the stage of an update that moves the image


class Verdict(Enum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"  # its setup or its way back to rest failed, not the case itself
    SKIPPED = "skipped"


GOOD: Final = frozenset({Verdict.PASSED, Verdict.SKIPPED})


@dataclass
class Result:
    """One case. Times are seconds since it began; `moved` are octets acknowledged, `events` what happened when."""

    node: str
    name: str
    ecu: str
    text: str
    verdict: Verdict = Verdict.PASSED
    seconds: float = 0.0
    message: str = ""
    detail: str = ""
    frames: int = 0
    dropped: int = 0
    noise: int = 0
    moved: list[tuple[float, int]] = field(default_factory=list)
    events: list[tuple[float, str, str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    console: str = ""

    def take(self, journal: Journal) -> None:
        """What the journal of this case holds."""
        began = journal.began_ns
        self.frames = len(journal.frames) + journal.unrecorded
        self.dropped = journal.dropped
        self.moved = [((moved.at_ns - began) / _NS, moved.octets) for moved in journal.moved]
        self.events = [((event.at_ns - began) / _NS, event.kind, event.text) for event in journal.events]

    @property
    def octets(self) -> int:
        """How many octets the ECU acknowledged."""
        return sum(octets for _, octets in self.moved)

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name.removeprefix("test_").replace("_", " ")

    @property
    def rate(self) -> float:
        """Octets of images a second, while they were transferred; 0 when none was."""
        octets, seconds = 0, 0.0
        begins = [(at_s, text) for at_s, kind, text in self.events if kind == "stage"] + [(self.seconds, "")]
        for (began, text), (ended, _) in pairwise(begins):
            blocks = [(at_s, length) for at_s, length in self.moved if began <= at_s <= ended]
            if text == TRANSFER and blocks:
                octets += sum(length for _, length in blocks)
                seconds += blocks[-1][0] - began
        return octets / seconds if seconds else 0.0

    def facts(self) -> dict[str, Any]:
        """For programs."""
        facts = asdict(self) | {"verdict": self.verdict.value, "octets": self.octets, "rate": round(self.rate)}
        del facts["console"]
        return facts


@dataclass
class Run:
    """Everything of one run."""

    rig: str
    seed: int
    began: str
    seconds: float = 0.0
    results: list[Result] = field(default_factory=list)

    def count(self, verdict: Verdict) -> int:
        """How many cases ended so."""
        return sum(result.verdict is verdict for result in self.results)

    @property
    def good(self) -> bool:
        """Whether nothing failed."""
        return all(result.verdict in GOOD for result in self.results)

    def facts(self) -> dict[str, Any]:
        """For programs."""
        return {
            "rig": self.rig,
            "seed": self.seed,
            "began": self.began,
            "seconds": round(self.seconds, 3),
            **{verdict.value: self.count(verdict) for verdict in Verdict},
            "cases": [result.facts() for result in self.results],
        }
