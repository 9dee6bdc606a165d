"""Plays every strategy with what it can use, judges each run once, and puts the cells of all tables together from that.

An attacker with more keys or a better place can do all that one with less can. So a run is made with exactly what its
strategy declares, and counts for every cell whose attacker has at least that: each is made once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from sim.attack.attacker import Attacker
from sim.attack.control import Variant, without
from sim.attack.forge import Forger
from sim.attack.goals import Result, goal_of
from sim.attack.judge import Finding, Judge, Verdict
from sim.attack.keys import KeySet, Reach, Stolen
from sim.attack.outsider import loot_of
from sim.attack.recovery import recover
from sim.attack.scene import BODY, HEAD, RADAR, Scene
from sim.attack.strategies.strategy import Strategy
from uptane.model.ids import EcuId

CONTROL_ROWS: Final = (
    *(KeySet.NONE, KeySet.TARGETS, KeySet.DIRECTOR, KeySet.BOTH),
    *(KeySet.BOTH_SUPPLIER, KeySet.BOTH_TARGETS, KeySet.ROOTS),
)
"""What is stolen in the control group: the rows of 2016, and the one key that hashes in Snapshot are about."""

TAKEN: Final = {Reach.PRIMARY: HEAD, Reach.FULL: RADAR, Reach.PARTIAL: BODY}
"""Which ECU is the attacker's, where one is."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run: a strategy with the stolen keys it can use, against the code as shipped or a variant of it."""

    strategy: Strategy
    keys: frozenset[Stolen]
    variant: Variant = Variant.SHIPPED

    @property
    def name(self) -> str:
        """For people, and for what is on record."""
        keys = " ".join(each.value for each in Stolen if each in self.keys)
        against = "" if self.variant is Variant.SHIPPED else f" ({self.variant.title})"
        return f"{self.strategy.name}{f' [{keys}]' if keys else ''}{against}"


def cases(strategies: Sequence[Strategy]) -> Iterator[Case]:
    """Every run that there is: all as shipped, those that tables of 2016 need against the strawman, then the others."""
    for variant in Variant:
        for strategy in strategies:
            if variant in strategy.variants:
                for keys in strategy.cases(tuple(KeySet) if variant is Variant.SHIPPED else CONTROL_ROWS):
                    yield Case(strategy, keys, variant)


@dataclass(slots=True)
class Played:
    """What came of a run; plain data, so that it can come from another process."""

    name: str
    findings: list[tuple[str, str, int, str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)
    recovered: bool = False
    log: list[str] = field(default_factory=list)


def play(scene: Scene, case: Case) -> Played:
    """Play a case in a scene that is used for nothing else."""
    reach = case.strategy.reach
    mine = tuple(TAKEN[each] for each in TAKEN if each in reach)
    attacker = Attacker(scene, Forger(loot_of(scene, case.keys)), reach, mine)
    judge = Judge(scene, attacker)
    for ecu in mine:
        scene.node(ecu).cut()
    scene.absent = frozenset(mine)
    with without(case.variant, scene):
        case.strategy.act(attacker)
        judge.look()
        if case.variant is Variant.SHIPPED:
            attacker.leave()
            recover(scene, attacker, case.keys)
            judge.look_after()
    return _played(case.name, judge.verdict, attacker.log)


def _played(name: str, verdict: Verdict, log: Sequence[str]) -> Played:
    findings = [(each.goal.value, str(each.ecu), int(each.result), each.until, each.text) for each in verdict.findings]
    return Played(name, findings, verdict.refused, verdict.told, verdict.later, verdict.recovered, list(log))


def finding(each: tuple[str, str, int, str, str]) -> Finding:
    """A finding as it was."""
    goal, ecu, result, until, text = each
    return Finding(goal_of(goal), EcuId(ecu), Result(result), until, text)


def as_data(played: Played) -> dict[str, Any]:
    """For caches."""
    return asdict(played)
