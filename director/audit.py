"""The audit log: who did what, when, to whom; entries are added and never changed.

Each entry carries the digest of the one before, so that one taken out or altered later breaks the chain at its place.
Numbering and storing are the database's, which refuses to update or delete entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from uptane.moments import UtcTime
from uptane.ports import Hasher

DETAIL_LENGTH_MAX = 2_000  # characters; a refusal's text takes 300
GENESIS = bytes(32)
"""What stands in place of a digest before the first entry."""


class Act(Enum):
    """What may be done; the value is the word in the log."""

    INIT = "init"
    ENROL = "enrol"
    PROVISION = "provision"
    ASSIGN = "assign"
    CONSTRAIN = "constrain"
    REVOKE = "revoke"
    ADD_OPERATOR = "add operator"
    ROTATE = "rotate"
    DECLINE = "decline"
    ADMIT = "admit"
    REFUSE = "refuse"
    ATTACK = "attack reported"
    PROVE = "prove"
    ISSUE = "issue"
    ANOMALY = "anomaly"


@dataclass(frozen=True, slots=True)
class Entry:
    """One act. `actor` is `operator:<name>`, `vehicle:<id>` or `director`; `subject` a vehicle, an image, a role."""

    utc: UtcTime
    actor: str
    act: Act
    subject: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Linked:
    """An entry in its place: its number (from 1), and its digest over itself and the one before."""

    number: int
    entry: Entry
    digest: bytes


def link(before: Linked | None, entry: Entry, hasher: Hasher) -> Linked:
    """Put `entry` behind `before`."""
    number = 1 if before is None else before.number + 1
    digest = GENESIS if before is None else before.digest
    fields = (str(number), str(entry.utc), entry.actor, entry.act.value, entry.subject, entry.detail)
    octets = b"".join(len(field.encode()).to_bytes(4) + field.encode() for field in fields)
    return Linked(number, entry, hasher.sha256(digest + octets))


def broken_at(entries: Iterable[Linked], hasher: Hasher) -> int | None:
    """The number of the first entry that does not follow from the one before; None if all do."""
    before: Linked | None = None
    for present in entries:
        if link(before, present.entry, hasher) != present:
            return present.number
        before = present
    return None


def shortened(text: str) -> str:
    """A detail within its limit."""
    return text if len(text) <= DETAIL_LENGTH_MAX else text[: DETAIL_LENGTH_MAX - 1] + "…"
