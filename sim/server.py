"""What the three servers have in common: a clock that may be wrong, a door, and a power that fails at durable moments.

A server is asked through its door. Whatever it makes durable has a moment before and a moment after; at each of them
its power may fail. Before: the effect never was. After: it is there, and only the answer is lost. Either way whoever
asked gets no answer, and the server stays down until it is restarted, from what is durable.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

from primary.needs import Reason, Unreachable
from sim.clock import Clock
from sim.verbs import Verb
from uptane.moments import UtcTime

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

    # ------------------------------------------------------------------------------------------------------- time

    @property
    def utc(self) -> UtcTime:
        """What this server's clock shows, right or wrong."""
        return UtcTime(max(0, self.site.clock.utc + self.skew_s))

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
