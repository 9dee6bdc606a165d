"""Cells of all tables, put together from runs: the worst that any strategy reached, and what was tried in vain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sim.attack.control import Variant
from sim.attack.goals import Goal, Result
from sim.attack.judge import Finding
from sim.attack.keys import EcuClass, KeySet, Position
from sim.attack.matrix import Case, Played, finding
from sim.attack.predicted import cells as predicted
from sim.attack.scene import CLASS_OF, SUPPLIED
from sim.attack.tables import (
    CRITICAL_BY,
    IEEE,
    IEEE_COLUMNS,
    PRINTED,
    SERIOUS_BY,
    Mark,
    Place,
    Severity,
    mark_of,
    printed,
)

INSTALLS: Final = frozenset({Goal.ARBITRARY, Goal.ROLLBACK, Goal.WRONG_HARDWARE})
"""What needs somebody's signature on an image: the keys of one signer reach only the ECUs whose images he signs."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A case, and what came of it."""

    case: Case
    played: Played
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """What was expected of a cell and what was measured.

    `by` are the strategies that reached the goal, `tried` all that were a try for it, `checks` what refused those that
    came to nothing. `told`: checks by which the Director heard of a try while it lasted.
    """

    place: Place
    expected: Mark
    measured: Mark
    result: Result
    until: str
    by: tuple[str, ...]
    tried: tuple[str, ...]
    checks: tuple[str, ...]
    told: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether it came out as expected."""
        return self.expected is self.measured


def ran(cases: Sequence[Case], played: Sequence[Played]) -> list[Ran]:
    """Cases beside what came of them."""
    assert [case.name for case in cases] == [each.name for each in played]
    return [Ran(case, each, tuple(map(finding, each.findings))) for case, each in zip(cases, played, strict=True)]


class Measured:
    """All runs against one variant of the code."""

    def __init__(self, runs: Sequence[Ran], variant: Variant) -> None:
        self._runs = [each for each in runs if each.case.variant is variant]
        self._known: dict[tuple[KeySet, Position], list[Ran]] = {}

    def within(self, keys: KeySet, position: Position) -> list[Ran]:
        """The runs that this attacker could have played."""
        if (keys, position) not in self._known:
            self._known[keys, position] = [
                each
                for each in self._runs
                if each.case.keys <= keys.stolen and each.case.strategy.reach <= position.reach
            ]
        return self._known[keys, position]

    def cell(self, place: Place, expected: Mark) -> Cell:
        """What was measured at one place."""
        runs = self.within(place.keys, place.position)
        hits = [(each, found) for each in runs for found in each.findings if found.goal is place.goal]
        here = [(each, found) for each, found in hits if CLASS_OF[found.ecu] is place.ecu]
        worst = max((found.result for _, found in here), default=Result.PREVENTED)
        first = [(each, found) for each, found in here if found.result is worst]
        theirs = {each.case.name for each, found in hits if found.ecu not in SUPPLIED}
        some = place.goal in INSTALLS and not any(each.case.name in theirs for each, _ in here)
        tried = [each for each in runs if place.goal in each.case.strategy.aims]
        failed = [each for each in tried if not any(found.goal is place.goal for found in each.findings)]
        return Cell(
            place=place,
            expected=expected,
            measured=mark_of(worst, some=some),
            result=worst,
            until=_latest({found.until for _, found in first}),
            by=tuple(dict.fromkeys(each.case.name for each, _ in first)),
            tried=tuple(dict.fromkeys(each.case.name for each in tried)),
            checks=tuple(sorted({check for each in failed for check in each.played.refused})),
            told=tuple(sorted({check for each in tried for check in each.played.told})),
        )


def _latest(untils: set[str]) -> str:
    """Of several ends, one that comes last; none at all if one never comes."""
    return (
        "" if "" in untils or not untils else max(untils, key=lambda text: ("year" in text, "workshop" in text, text))
    )


def all_cells(runs: Sequence[Ran]) -> Iterator[Cell]:
    """Every cell of the papers' tables and of ours, in their order."""
    shipped, strawman = Measured(runs, Variant.SHIPPED), Measured(runs, Variant.STRAWMAN)
    for place, expected in printed():
        yield (strawman if PRINTED[place.table].strawman else shipped).cell(place, expected)
    for place, expected in predicted():
        yield shipped.cell(place, expected)


# ----------------------------------------------------------------------------------------------- the table of 2018


@dataclass(frozen=True, slots=True)
class Severe:
    """One cell of the table of 2018; `by` are the goals that make it so."""

    ecu: EcuClass
    column: int
    expected: Severity
    measured: Severity
    by: tuple[Goal, ...]


def severities(runs: Sequence[Ran]) -> Iterator[Severe]:
    """Every cell of the table of 2018."""
    shipped = Measured(runs, Variant.SHIPPED)
    for ecu, row in IEEE.items():
        for number, (column, expected) in enumerate(zip(IEEE_COLUMNS, row, strict=True)):
            reached = {
                found.goal
                for each in shipped.within(column.keys, column.position)
                for found in each.findings
                if CLASS_OF[found.ecu] is ecu and found.result is Result.POSSIBLE
            }
            critical, serious = sorted_goals(reached & CRITICAL_BY), sorted_goals(reached & SERIOUS_BY)
            measured = Severity.CRITICAL if critical else Severity.SERIOUS if serious else Severity.MILD
            yield Severe(ecu, number, expected, measured, critical or serious)


def sorted_goals(goals: set[Goal] | frozenset[Goal]) -> tuple[Goal, ...]:
    """In the order of their definition."""
    return tuple(goal for goal in Goal if goal in goals)


# ---------------------------------------------------------------------------------------------- the control group


@dataclass(frozen=True, slots=True)
class Change:
    """What a feature prevents: a strategy that reaches a goal on some ECUs without it, and less or nothing with it."""

    variant: Variant
    strategy: str
    goal: Goal
    ecus: tuple[EcuClass, ...]
    shipped: Result
    without: Result


def changes(runs: Sequence[Ran]) -> Iterator[Change]:
    """Every run against a variant that came out worse than the same run against the code as shipped."""
    shipped = {(each.case.strategy.name, each.case.keys): _worst(each) for each in runs if _is_shipped(each)}
    for each in runs:
        if _is_shipped(each) or each.case.variant is Variant.STRAWMAN:
            continue
        before = shipped[each.case.strategy.name, each.case.keys]
        after = _worst(each)
        for goal in Goal:
            worse = [ecu for ecu in EcuClass if after.get((goal, ecu), 0) > before.get((goal, ecu), 0)]
            if worse:
                name = Case(each.case.strategy, each.case.keys).name
                least = max(before.get((goal, ecu), Result.PREVENTED) for ecu in worse)
                most = max(after[goal, ecu] for ecu in worse)
                yield Change(each.case.variant, name, goal, tuple(worse), least, most)


def _is_shipped(each: Ran) -> bool:
    return each.case.variant is Variant.SHIPPED


def _worst(each: Ran) -> Mapping[tuple[Goal, EcuClass], Result]:
    found: dict[tuple[Goal, EcuClass], Result] = {}
    for one in each.findings:
        place = one.goal, CLASS_OF[one.ecu]
        found[place] = max(found.get(place, Result.PREVENTED), one.result)
    return found
