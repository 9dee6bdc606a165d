"""What a strategy is: what it is called, what it aims at, which keys it can use, where its player has to stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sim.attack.attacker import Attacker
from sim.attack.control import Variant
from sim.attack.goals import Goal
from sim.attack.keys import NOTHING, KeySet, Reach, Stolen

Act: TypeAlias = Callable[[Attacker], None]


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to attack. `keys` are those it can use at all: a run gets what of them was stolen.

    `needs`: without these it makes no sense and is not played. `aims` are the goals that it is a try for; every goal is
    judged whatever it aims at. `variants`: against which variants of the code it is played.
    """

    name: str
    text: str
    aims: frozenset[Goal]
    reach: frozenset[Reach]
    act: Act
    keys: frozenset[Stolen] = NOTHING
    needs: frozenset[Stolen] = NOTHING
    variants: frozenset[Variant] = frozenset({Variant.SHIPPED})

    def cases(self, rows: Sequence[KeySet]) -> Iterator[frozenset[Stolen]]:
        """The sets of keys with which it is played: for each row of the tables what it can use of it."""
        for usable in dict.fromkeys(row.stolen & self.keys for row in rows):
            if usable >= self.needs:
                yield usable


def strategy(name: str, text: str, act: Act, *goals: Goal, reach: Reach | tuple[Reach, ...]) -> Strategy:
    """A strategy without keys."""
    where = frozenset(reach if isinstance(reach, tuple) else (reach,))
    return Strategy(name, text, frozenset(goals), where, act)
