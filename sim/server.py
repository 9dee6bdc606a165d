"""What the three servers have in common: a clock that may be wrong, a door, and a power that fails at durable moments.

A server is asked through its door. Whatever it makes durable has a moment before and a moment after; at each of them
its power may fail. Before: the effect never was. After: it is there, and only the answer is lost. Either way whoever
asked gets no answer, and the server stays down until it is restarted, from what is durable.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

from primary.needs import Reason, Unreachable
from sim.clock import Clock
from sim.verbs import Verb
from uptane.model.metadata import Header
from uptane.moments import UtcTime

RENEWED_BEFORE_S: Final = 30 * 86_400  # people renew what they sign a month before its end
MOMENTS_AHEAD: Final = 12  # a publication of two images has 8 moments, a poll with news 2, a hearing of four files 8

Say: TypeAlias = Callable[[Verb, str], None]
Power: TypeAlias = Callable[[str], bool]


class Crashed(Exception):
    """The power fails; unwinds to the door."""


def silent(_verb: Verb, _detail: str) -> None:
    """Say nothing."""


def steady(_moment: str) -> bool:
    """A power that never fails."""
    return False


@dataclass(frozen=True, slots=True)
class Site:
    """Where a server stands. `power` is asked at every durable moment, by its name, whether the power fails there."""

    clock: Clock
    say: Say = silent
    power: Power = steady


class Server(ABC):
    """One server; begins up, its clock right."""

    def __init__(self, name: str, site: Site) -> None:
        self.name: Final = name
        self.site: Final = site
        self.up = True
        self.skew_s = 0
        self.crashes = 0
        self._fuse: int | None = None
        self._inside = False
        self._as_of: UtcTime | None = None

    # ------------------------------------------------------------------------------------------------------- time

    @property
    def true_utc(self) -> UtcTime:
        """What clocks show that are right, such as those of the people who sign."""
        return self.site.clock.utc if self._as_of is None else self._as_of

    @property
    def utc(self) -> UtcTime:
        """What this server's clock shows, right or wrong."""
        return UtcTime(max(0, self.true_utc + self.skew_s))

    @contextmanager
    def back_then(self, utc: UtcTime) -> Iterator[None]:
        """Do now what was done at `utc`, when nobody was looking: a year without visitors costs no events."""
        assert utc <= self.site.clock.utc
        self._as_of = utc
        try:
            yield
        finally:
            self._as_of = None

    def set_clock(self, skew_s: int) -> None:
        """From now on the clock is wrong by this many seconds; 0 puts it right."""
        self.skew_s = skew_s
        self.say(Verb.TIME, f"{self.name} {skew_s}")

    # ------------------------------------------------------------------------------------------------------ power

    def crash(self, where: str = "") -> None:
        """The process dies between two events; what it had not committed is gone."""
        if self.up:
            self.up = False
            self.crashes += 1
            self._fuse = None
            self.say(Verb.CRASH, where)

    def crash_soon(self, dice: Random) -> None:
        """Die at one of the next durable moments; at which, the dice say."""
        self._fuse = dice.randrange(MOMENTS_AHEAD)

    def hold(self) -> None:
        """No crash that was to come comes any more."""
        self._fuse = None

    def restart(self) -> None:
        """Come up again with what is durable."""
        if not self.up:
            self.reload()
            self.up = True
            self.say(Verb.POWER_UP, "")

    @abstractmethod
    def reload(self) -> None:
        """Forget everything, and read what is durable."""

    def moment(self, name: str) -> None:
        """A moment before or after something becomes durable.

        Raises:
            Crashed: the power fails here.
        """
        fails = self.site.power(name)
        if self._fuse is not None:
            fails = fails or self._fuse == 0
            self._fuse -= 1
        if fails:
            self.crash(name)
            raise Crashed

    # ------------------------------------------------------------------------------------------------------- door

    @contextmanager
    def door(self) -> Iterator[None]:
        """A call from outside.

        Raises:
            Unreachable: the server is down, or dies before it has answered.
        """
        if not self.up:
            raise Unreachable(self.name, Reason.DOWN)
        assert not self._inside, "a call within a call"
        self._inside = True
        try:
            yield
        except Crashed:
            raise Unreachable(self.name, Reason.DOWN, "it died before it answered") from None
        finally:
            self._inside = False

    def say(self, verb: Verb, detail: str) -> None:
        """Add a line to the trace."""
        self.site.say(verb, detail)


class Caretakers:
    """People who see to it that what they sign does not expire; their work is done when somebody asks for it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_at = clock.utc
        self._away = False

    def leave(self) -> None:
        """From now on nobody looks: what people sign may expire."""
        self._away = True

    def come_back(self) -> None:
        """From now on they look again."""
        self._away = False
        self.looked()

    def looked(self) -> None:
        """Everything that can be done was done."""
        self._looked_at = self._clock.utc

    def due(self, headers: Iterable[Header]) -> UtcTime | None:
        """When the first of these files was to be renewed, if that time has come."""
        when = min(map(_renewed_at, headers))
        if self._away or when > self._clock.utc:
            return None
        return max(when, self._looked_at)


def is_due(header: Header, utc: UtcTime) -> bool:
    """Whether people renew this file at `utc`."""
    return _renewed_at(header) <= utc


def _renewed_at(header: Header) -> UtcTime:
    """A month before its end; where a file does not last that long, after three quarters of its life."""
    return UtcTime(header.expires - min(RENEWED_BEFORE_S, (header.expires - header.issued) // 4))
