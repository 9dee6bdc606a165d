"""A campaign: one image for a fleet, in waves, by an operator who believes nothing but signed reports.

A canary first, then growing groups. A vehicle counts as updated when the Director has proven it, as failed when its own
report says how the transaction ended; a vehicle that sleeps counts as neither, and holds nobody up once a quorum of its
wave was heard. Failures are counted against all that were ordered so far, so a wave that has only begun to answer
cannot halt the campaign by its first reports.

Pure: who was heard and what time it is are arguments; what is to be done is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final, TypeAlias

from director.inventory import Vehicle, went_back
from uptane.model.ids import Filename

CANARY: Final = 200
GROWTH: Final = 3
TOLERATED_PERMILLE: Final = 10  # of what was ordered: a canary of 200 may lose 2, at 5 % bad it loses 10
FAILURES_LEAST: Final = 3  # one bad battery and one bad mount are no bad image
QUORUM_PERCENT: Final = 80  # of a wave: a tenth of a fleet is asleep, some of it for weeks
SOAK_S: Final = 600  # two polls of everybody: what breaks after the first minutes is seen before the next group


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator has decided before the campaign begins; the constants above say why."""

    canary: int = CANARY
    growth: int = GROWTH
    tolerated_permille: int = TOLERATED_PERMILLE
    failures_least: int = FAILURES_LEAST
    quorum_percent: int = QUORUM_PERCENT
    soak_s: int = SOAK_S

    def waves(self, vehicles: int) -> Iterator[int]:
        """The sizes of the waves: the canary, then each `growth` times the one before, until nobody is left."""
        size, left = self.canary, vehicles
        while left > 0:
            yield min(size, left)
            left -= size
            size *= self.growth

    def halts(self, failed: int, ordered: int) -> bool:
        """Whether so many failures among so many ordered are too many."""
        return failed >= self.failures_least and failed * 1_000 > self.tolerated_permille * ordered


class Verdict(IntEnum):
    """What is known of one vehicle of a campaign."""

    WAITING = 0
    CONFIRMED = 1
    FAILED = 2


class Phase(Enum):
    """Where a campaign stands."""

    RUNNING = "running"
    DONE = "done"
    HALTED = "halted"


@dataclass(frozen=True, slots=True)
class Order:
    """Order the image for the places `first` to `last` - 1 of the campaign's list."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Halt:
    """Too many failures: take the order back wherever it is not installed yet."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Every wave had its quorum and its soak."""


Step: TypeAlias = Order | Halt | Finish


@dataclass(slots=True)
class Wave:
    """One wave: its places `first` to `last` - 1, when it was ordered and when its quorum was reached."""

    first: int
    last: int
    ordered_s: int
    quorum_s: int | None = None
    confirmed: int = 0
    failed: int = 0

    @property
    def size(self) -> int:
        """How many vehicles it is."""
        return self.last - self.first

    @property
    def heard(self) -> int:
        """How many of it have come to an end, either way."""
        return self.confirmed + self.failed


class Campaign:
    """See the module. Vehicles are places in a list that the operator keeps: 0 to `vehicles` - 1, canary first."""

    def __init__(self, vehicles: int, policy: Policy) -> None:
        self.policy = policy
        self.phase = Phase.RUNNING
        self.waves: list[Wave] = []
        self._sizes = policy.waves(vehicles)
        self._verdicts = bytearray(vehicles)

    @property
    def ordered(self) -> int:
        """How many vehicles were ordered the image: all that the campaign has touched."""
        return self.waves[-1].last if self.waves else 0

    @property
    def confirmed(self) -> int:
        """How many were proven to run it."""
        return sum(wave.confirmed for wave in self.waves)

    @property
    def failed(self) -> int:
        """How many went back to what they ran."""
        return sum(wave.failed for wave in self.waves)

    def verdict(self, place: int) -> Verdict:
        """What is known of one vehicle."""
        return Verdict(self._verdicts[place])

    def places(self, *verdicts: Verdict) -> list[int]:
        """Those that were ordered the image and of which one of these is known, ascending."""
        return [place for place in range(self.ordered) if self._verdicts[place] in verdicts]

    def heard(self, place: int, verdict: Verdict, now_s: int) -> None:
        """Count what a vehicle has just proven. A failure may be mended later; a proof may be taken back by another."""
        before = self.verdict(place)
        if place >= self.ordered or verdict in (before, Verdict.WAITING):
            return
        wave = next(each for each in reversed(self.waves) if each.first <= place)
        wave.confirmed += (verdict is Verdict.CONFIRMED) - (before is Verdict.CONFIRMED)
        wave.failed += (verdict is Verdict.FAILED) - (before is Verdict.FAILED)
        self._verdicts[place] = verdict
        if wave.quorum_s is None and wave.heard * 100 >= self.policy.quorum_percent * wave.size:
            wave.quorum_s = now_s

    def decide(self, now_s: int) -> Step | None:
        """What the operator is to do now; None: to wait."""
        if self.phase is not Phase.RUNNING:
            return None
        if self.policy.halts(self.failed, self.ordered):
            self.phase = Phase.HALTED
            return Halt()
        if self.waves and not self._soaked(now_s):
            return None
        size = next(self._sizes, 0)
        if not size:
            self.phase = Phase.DONE
            return Finish()
        first = self.ordered
        self.waves.append(Wave(first, first + size, now_s))
        return Order(first, first + size)

    def _soaked(self, now_s: int) -> bool:
        quorum_s = self.waves[-1].quorum_s
        return quorum_s is not None and now_s >= quorum_s + self.policy.soak_s


def verdict_of(vehicle: Vehicle, filename: Filename) -> Verdict:
    """What the Director's record of `vehicle` proves about the image: signed reports, and nothing else.

    The slowest ECU that was sent it decides. A failure counts under the Targets that are out now: one under an earlier
    order says nothing about this one.
    """
    found = Verdict.WAITING
    for record in vehicle.ecus:
        assigned = record.assigned
        if assigned is None or assigned.image.filename != filename or vehicle.issued is None:
            continue
        if not assigned.proven:
            return Verdict.FAILED if went_back(record, vehicle.issued) else Verdict.WAITING
        found = Verdict.CONFIRMED
    return found
