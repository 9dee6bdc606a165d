"""What the papers say an attacker gains with which keys, as data (uptane.md 2.2 and 2.3), and the test of it all (2.5).

Rows name keys, columns attacks. The papers of 2016 know one key of the Director (DR) and one Root (RT) for all; those
are here the Director's online keys, which lie together, and both Roots. Their attacker is always on the network and on
the buses; where it matters which of the two he is, table 2.5 tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sim.attack.goals import PAPERS, Goal, Result, goal_of
from sim.attack.keys import EcuClass, KeySet, Position


class Mark(Enum):
    """How tables say how far an attack goes."""

    NO = "-"
    UNTIL = "#"
    SEEN = "@"
    SOME = "*"
    YES = "y"


MARKS: Final = {
    Mark.NO: "prevented",
    Mark.UNTIL: "possible until the earliest expiry",
    Mark.SEEN: "possible, and the Director can tell from what ECUs sign",
    Mark.SOME: "possible on ECUs whose images those keys sign",
    Mark.YES: "possible",
}


def mark_of(result: Result, *, some: bool) -> Mark:
    """The mark for what was measured; `some`: only on ECUs whose images the stolen keys sign."""
    if result is Result.POSSIBLE:
        return Mark.SOME if some else Mark.YES
    return {Result.PREVENTED: Mark.NO, Result.BOUNDED: Mark.UNTIL, Result.DETECTED: Mark.SEEN}[result]


class Table(Enum):
    """The tables; the value is the name they have in uptane.md."""

    T9 = "T9"
    T10 = "T10"
    T11 = "T11"
    T16 = "T16"
    T17 = "T17"
    T18 = "T18"
    IEEE = "2.3"
    OURS = "2.5"


@dataclass(frozen=True, slots=True)
class Place:
    """One cell's place: who attacks with what, whom, and how."""

    table: Table
    keys: KeySet
    position: Position
    ecu: EcuClass
    goal: Goal


@dataclass(frozen=True, slots=True)
class Printed:
    """A table as printed: its attackers' position, whether all features are off, and its rows for each class of ECU."""

    title: str
    position: Position
    strawman: bool
    rows: Mapping[EcuClass, Mapping[KeySet, str]]


_K, _E = KeySet, EcuClass

_T16: Final = {
    _K.NONE: "EV DQ PB@",
    _K.DIRECTOR: "EV DQ PB MM",
    _K.BOTH: "EV DQ FZ# PB MM",
    _K.BOTH_SUPPLIER: "EV DQ FZ# PB MM RB* AS*",
    _K.BOTH_TARGETS: "EV DQ FZ# PB MM RB AS",
    _K.ROOTS: "EV DQ FZ PB MM RB AS",
}
_FROM_DIRECTOR: Final = (_K.DIRECTOR, _K.BOTH, _K.BOTH_SUPPLIER, _K.BOTH_TARGETS, _K.ROOTS)
_T18_PARTIAL: Final = {_K.NONE: "EV DQ PB@"} | dict.fromkeys(_FROM_DIRECTOR, "EV DQ FZ PB MM RB AS")
_T9: Final = {
    _K.NONE: "EV DQ FZ PB",
    _K.DIRECTOR: "EV DQ FZ PB",
    _K.BOTH: "EV DQ FZ PB MM",
    _K.BOTH_SUPPLIER: "EV DQ FZ PB MM RB* AS*",
    _K.BOTH_TARGETS: "EV DQ FZ PB MM RB AS",
    _K.ROOTS: "EV DQ FZ PB MM RB AS",
}
_T10: Final = {
    _K.NONE: "EV DQ FZ PB XB ED",
    _K.DIRECTOR: "EV DQ FZ PB XB MM ED",
    _K.BOTH: "EV DQ FZ PB XB MM ED",
    _K.BOTH_SUPPLIER: "EV DQ FZ PB XB MM ED RB* AS*",
    _K.BOTH_TARGETS: "EV DQ FZ PB XB MM ED RB AS",
    _K.ROOTS: "EV DQ FZ PB XB MM ED RB AS",
}
_T11_PARTIAL: Final = {_K.NONE: "EV DQ FZ PB XB ED"} | dict.fromkeys(_FROM_DIRECTOR, "EV DQ FZ PB XB MM ED RB AS")

PRINTED: Final[Mapping[Table, Printed]] = {
    Table.T16: Printed("Uptane, the Primary", Position.BOTH, strawman=False, rows={_E.PRIMARY: _T16}),
    Table.T17: Printed(
        "Uptane, Secondaries behind an honest Primary",
        Position.BOTH,
        strawman=False,
        rows={_E.FULL: _T16, _E.PARTIAL: _T16},
    ),
    Table.T18: Printed(
        "Uptane, Secondaries behind a Primary that was taken over",
        Position.PRIMARY,
        strawman=False,
        rows={_E.FULL: _T16, _E.PARTIAL: _T18_PARTIAL},
    ),
    Table.T9: Printed("the strawman, its Primary", Position.BOTH, strawman=True, rows={_E.PRIMARY: _T9}),
    Table.T10: Printed(
        "the strawman, Secondaries behind an honest Primary",
        Position.BOTH,
        strawman=True,
        rows={_E.FULL: _T10, _E.PARTIAL: _T10},
    ),
    Table.T11: Printed(
        "the strawman, Secondaries behind a Primary that was taken over",
        Position.PRIMARY,
        strawman=True,
        rows={_E.FULL: _T10, _E.PARTIAL: _T11_PARTIAL},
    ),
}


def marks(row: str) -> dict[Goal, Mark]:
    """A row's marks: `FZ#` is FZ until expiry, a bare name is possible, what is not named is not."""
    named = dict.fromkeys(PAPERS, Mark.NO)
    for word in row.split():
        named[goal_of(word[:2])] = Mark(word[2:] or "y")
    return named


def printed() -> Iterator[tuple[Place, Mark]]:
    """Every cell of the papers' tables."""
    for table, each in PRINTED.items():
        for ecu, rows in each.rows.items():
            for keys, row in rows.items():
                for goal, mark in marks(row).items():
                    yield Place(table, keys, each.position, ecu, goal), mark


# ---------------------------------------------------------------------------------------------- the table of 2018


class Severity(Enum):
    """The words of the table of 2018."""

    MILD = "mild"
    SERIOUS = "serious"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: who attacks with what."""

    title: str
    keys: KeySet
    position: Position


IEEE_COLUMNS: Final = (
    Column("on the network and the buses", _K.NONE, Position.BOTH),
    Column("with the Director repository, Primaries honest", _K.DIRECTOR, Position.BOTH),
    Column("with the Director repository, Primaries taken over", _K.DIRECTOR, Position.PRIMARY),
)
IEEE: Final[Mapping[EcuClass, tuple[Severity, Severity, Severity]]] = {
    _E.PARTIAL: (Severity.MILD, Severity.SERIOUS, Severity.CRITICAL),
    _E.FULL: (Severity.MILD, Severity.SERIOUS, Severity.SERIOUS),
}
CRITICAL_BY: Final = frozenset({Goal.ARBITRARY, Goal.ROLLBACK, Goal.WRONG_HARDWARE})
"""Software of the attacker's choice: "malware"."""
SERIOUS_BY: Final = frozenset({Goal.MIX_AND_MATCH, Goal.MIXED_BUNDLES, Goal.ENDLESS_DATA})
"""ECUs that may fail to work together, or at all."""
