"""What theory says of every cell of table 2.5: the papers' tables, split by where the attacker stands (uptane.md 2.4).

Written from the papers and the Standard, not from what is measured: where the two differ, why.py has to say why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from sim.attack.goals import Goal
from sim.attack.keys import DIRECTOR_ONLINE, IMAGE_ONLINE, EcuClass, KeySet, Position, Reach, Stolen
from sim.attack.tables import Mark, Place, Table


def cells() -> Iterator[tuple[Place, Mark]]:
    """Every cell of table 2.5, with what is expected of it."""
    for keys in KeySet:
        for position in Position:
            for ecu in EcuClass:
                if position is Position.PRIMARY and ecu is EcuClass.PRIMARY:
                    continue  # it is the attacker's own
                for goal in Goal:
                    yield Place(Table.OURS, keys, position, ecu, goal), _RULES[goal](_Attacker(keys, position), ecu)


class _Attacker:
    """What the keys and the position of one row come to."""

    def __init__(self, keys: KeySet, position: Position) -> None:
        stolen, reach = keys.stolen, position.reach
        self.out, self.inside = Reach.OUT in reach, Reach.IN in reach
        self.primary = Reach.PRIMARY in reach
        self.root = Stolen.DIRECTOR_ROOT in stolen
        self.targets = self.root or Stolen.DIRECTOR_TARGETS in stolen
        self.director = self.root or stolen >= DIRECTOR_ONLINE
        self.time = self.root or Stolen.TIME in stolen
        self.ecu_keys = Stolen.ECU in stolen
        self.image_root = Stolen.IMAGE_ROOT in stolen
        online = stolen >= IMAGE_ONLINE
        self.images = self.image_root or (online and Stolen.IMAGE_TARGETS in stolen)
        self.supplier = online and Stolen.SUPPLIER in stolen
        self.online = self.image_root or online


def _yes(condition: bool) -> Mark:  # noqa: FBT001 (it is what is asked)
    return Mark.YES if condition else Mark.NO


def _eavesdrop(by: _Attacker, ecu: EcuClass) -> Mark:
    return _yes(by.out or (by.inside and ecu is not EcuClass.PRIMARY))


def _drop(by: _Attacker, ecu: EcuClass) -> Mark:
    return _yes(by.out or (by.inside and ecu is not EcuClass.PRIMARY))


def _freeze(by: _Attacker, ecu: EcuClass) -> Mark:
    """Without keys until what is fresh expires, which the papers count as prevented."""
    if by.root or by.time:
        return _yes(by.out or (by.inside and ecu is not EcuClass.PRIMARY))
    if by.targets and by.inside and ecu is EcuClass.PARTIAL:
        return Mark.UNTIL
    return Mark.UNTIL if by.director and by.online and by.out else Mark.NO


def _partial_bundle(by: _Attacker, _ecu: EcuClass) -> Mark:
    return Mark.YES if by.director else Mark.SEEN


def _mixed(_by: _Attacker, _ecu: EcuClass) -> Mark:
    return Mark.NO


def _mix_and_match(by: _Attacker, ecu: EcuClass) -> Mark:
    if ecu is EcuClass.PRIMARY:
        return _yes(by.director and by.out)
    return _yes(by.director or (by.targets and by.inside and ecu is EcuClass.PARTIAL))


def _malware(by: _Attacker, ecu: EcuClass) -> Mark:
    """Full ECUs take what both repositories say; partial ones what the Director says, if nobody checks before them."""
    if by.targets and by.inside and ecu is EcuClass.PARTIAL:
        return Mark.YES
    if not by.director or (ecu is EcuClass.PRIMARY and not by.out):
        return Mark.NO
    if by.images:
        return Mark.YES
    return Mark.SOME if by.supplier else Mark.NO


def _never(_by: _Attacker, _ecu: EcuClass) -> Mark:
    return Mark.NO


def _fast_forward(by: _Attacker, ecu: EcuClass) -> Mark:
    """What stolen keys push forward stands until they are replaced; a stolen Root cannot be."""
    reached = by.out if ecu is EcuClass.PRIMARY else by.out or by.inside
    return _yes(reached and (by.root or (by.image_root and ecu is not EcuClass.PARTIAL)))


def _false_report(by: _Attacker, ecu: EcuClass) -> Mark:
    reached = by.out if ecu is EcuClass.PRIMARY else by.inside
    return _yes(by.ecu_keys and reached)


def _false_time(by: _Attacker, ecu: EcuClass) -> Mark:
    reached = by.out if ecu is EcuClass.PRIMARY else by.out or by.inside
    return _yes(by.time and reached)


_RULES: Final[dict[Goal, Callable[[_Attacker, EcuClass], Mark]]] = {
    Goal.EAVESDROP: _eavesdrop,
    Goal.DROP: _drop,
    Goal.FREEZE: _freeze,
    Goal.PARTIAL_BUNDLE: _partial_bundle,
    Goal.MIXED_BUNDLES: _mixed,
    Goal.MIX_AND_MATCH: _mix_and_match,
    Goal.ENDLESS_DATA: _never,
    Goal.ROLLBACK: _malware,
    Goal.ARBITRARY: _malware,
    Goal.SLOW: _never,
    Goal.FAST_FORWARD: _fast_forward,
    Goal.FOREIGN: _never,
    Goal.FALSE_REPORT: _false_report,
    Goal.WRONG_HARDWARE: _malware,
    Goal.FALSE_TIME: _false_time,
}
