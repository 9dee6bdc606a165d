"""Fewer faults that do the same: delta debugging over the numbered faults and acts of a plan.

Halves are left out first, then quarters, and so on to single ones, each time keeping what still breaks the same rule.
At the end no single one can be left out any more; that there is no other, smaller set nobody can promise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

TRIES_MAX: Final = 2_000  # runs; a plan of 60 faults takes some 300 at worst, and a run some seconds

Breaks = Callable[[tuple[int, ...]], bool]


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What remains, how many runs that took, and whether every single one of it is needed (else: no more tries)."""

    kept: tuple[int, ...]
    tries: int
    minimal: bool


class Enough(Exception):
    """No more runs: as many as were allowed have been made, or whoever makes them has no more time."""


class _Search:
    """Which sets were tried, and the smallest that still breaks the rule."""

    def __init__(self, kept: tuple[int, ...], breaks: Breaks, tries_max: int) -> None:
        self.kept = kept
        self.tries = 0
        self._breaks = breaks
        self._tries_max = tries_max
        self._seen: set[tuple[int, ...]] = set()

    def take(self, candidate: tuple[int, ...]) -> bool:
        """Go on with `candidate` if it breaks the rule. What was tried once is not tried again."""
        if candidate in self._seen:
            return False
        if self.tries >= self._tries_max:
            raise Enough
        self._seen.add(candidate)
        self.tries += 1
        if not self._breaks(candidate):
            return False
        self.kept = candidate
        return True


def shrink(numbers: Sequence[int], breaks: Breaks, tries_max: int = TRIES_MAX) -> Shrunk:
    """The fewest of `numbers` found with which a run still `breaks` the rule; with all of them it does.

    `breaks` is given the numbers that stay, ascending, and never the same twice; it may raise Enough.
    """
    search = _Search(tuple(sorted(numbers)), breaks, tries_max)
    try:
        minimal = not search.kept or search.take(()) or _narrow(search)
    except Enough:
        minimal = False
    return Shrunk(search.kept, search.tries, minimal)


def _narrow(search: _Search) -> bool:
    parts = 2
    while len(search.kept) > 1:
        kept, parts = search.kept, min(parts, len(search.kept))
        chunks = [kept[len(kept) * at // parts : len(kept) * (at + 1) // parts] for at in range(parts)]
        if any(search.take(chunk) for chunk in chunks):
            parts = 2
        elif parts > 2 and any(search.take(tuple(n for n in kept if n not in chunk)) for chunk in chunks):
            parts -= 1
        elif parts == len(kept):
            break
        else:
            parts *= 2
    return True
