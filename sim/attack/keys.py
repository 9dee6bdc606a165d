"""Keys as an attacker steals them: single keys, the sets in which they lie together, and the sets of the tables.

Online keys lie on one server, so they go together; a Root's are cold, and each of its threshold has to be stolen. The
key of an ECU goes with that ECU. A capability is what a strategy may use, and a run gets exactly the keys it declares.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Self


class Stolen(Enum):
    """One role's keys, as many as its threshold."""

    DIRECTOR_ROOT = "dRT"
    DIRECTOR_TARGETS = "dTG"
    DIRECTOR_SNAPSHOT = "dSS"
    DIRECTOR_TIMESTAMP = "dTS"
    TIME = "time"
    IMAGE_ROOT = "iRT"
    IMAGE_TARGETS = "iTG"
    SUPPLIER = "iSP"
    IMAGE_SNAPSHOT = "iSS"
    IMAGE_TIMESTAMP = "iTS"
    ECU = "ECU"


_S = Stolen

NOTHING: Final = frozenset[Stolen]()
DIRECTOR_ONLINE: Final = frozenset({_S.DIRECTOR_TIMESTAMP, _S.DIRECTOR_SNAPSHOT, _S.DIRECTOR_TARGETS})
IMAGE_ONLINE: Final = frozenset({_S.IMAGE_TIMESTAMP, _S.IMAGE_SNAPSHOT})
ONLINE: Final = DIRECTOR_ONLINE | IMAGE_ONLINE

OF_DIRECTOR: Final = DIRECTOR_ONLINE | {_S.DIRECTOR_ROOT}
"""What helps to speak as the Director."""

OF_IMAGES: Final = IMAGE_ONLINE | {_S.SUPPLIER, _S.IMAGE_TARGETS, _S.IMAGE_ROOT}
"""What helps to speak as the Image repository."""


class KeySet(Enum):
    """The rows of the tables; the value is how a table calls them, `stolen` what the attacker then has."""

    stolen: frozenset[Stolen]

    def __new__(cls, name: str, stolen: frozenset[Stolen]) -> Self:
        """Known by its name."""
        row = object.__new__(cls)
        row._value_ = name
        row.stolen = stolen
        return row

    NONE = "none", NOTHING
    TARGETS = "dTG", frozenset({_S.DIRECTOR_TARGETS})
    DIRECTOR = "dTS dSS dTG", DIRECTOR_ONLINE
    DIRECTOR_ROOT = "dRT", frozenset({_S.DIRECTOR_ROOT})
    IMAGE = "iTS iSS", IMAGE_ONLINE
    SUPPLIER = "iSP", frozenset({_S.SUPPLIER})
    IMAGE_TARGETS = "iTG", frozenset({_S.IMAGE_TARGETS})
    IMAGE_ROOT = "iRT", frozenset({_S.IMAGE_ROOT})
    TIME = "time", frozenset({_S.TIME})
    ECU = "ECU", frozenset({_S.ECU})
    BOTH = "dTS dSS dTG iTS iSS", ONLINE
    BOTH_SUPPLIER = "dTS dSS dTG iTS iSS iSP", ONLINE | {_S.SUPPLIER}
    BOTH_TARGETS = "dTS dSS dTG iTS iSS iTG", ONLINE | {_S.IMAGE_TARGETS}
    ROOTS = "dRT iRT", frozenset({_S.DIRECTOR_ROOT, _S.IMAGE_ROOT})


class Reach(Enum):
    """Where an attacker stands."""

    OUT = "out"  # between the servers and the vehicle: reads, alters, drops, delays, asks for himself
    IN = "in"  # on every CAN bus of the vehicle: hears, injects, alters and drops frames
    PRIMARY = "primary"  # the Primary is his: its key, its buses, its way to the servers
    FULL = "full"  # a Secondary that verifies fully is his
    PARTIAL = "partial"  # a Secondary that verifies partially is his


class Position(Enum):
    """Where the attackers of a table stand; whoever has an ECU is on its bus, and outside, too."""

    reach: frozenset[Reach]

    def __new__(cls, name: str, *reach: Reach) -> Self:
        """Known by its name."""
        position = object.__new__(cls)
        position._value_ = name
        position.reach = frozenset(reach)
        return position

    OUT = "out", Reach.OUT
    IN = "in", Reach.IN
    BOTH = "out and in", Reach.OUT, Reach.IN
    PRIMARY = "Primary taken over", Reach.OUT, Reach.IN, Reach.PRIMARY
    FULL = "full Secondary taken over", Reach.OUT, Reach.IN, Reach.FULL
    PARTIAL = "partial Secondary taken over", Reach.OUT, Reach.IN, Reach.PARTIAL


class EcuClass(Enum):
    """Whom an attack is judged on: every ECU of a class that is not the attacker's own."""

    PRIMARY = "primary"
    FULL = "full"
    PARTIAL = "partial"
