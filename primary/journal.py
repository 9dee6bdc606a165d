"""The journal of the vehicle transaction: what must be remembered of it, as a value and as octets with a format number.

It names what was decided, never what ECUs have done: they are asked. So it is written four times per transaction, each
time before anyone is told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from uptane.errors import StorageFailure
from uptane.model.ids import Bundle, EcuId

FORMAT: Final = 1
HISTORY_MAX: Final = 16  # bundles rolled back that are remembered: the Director has moved on long before
REASON_LENGTH_MAX: Final = 200  # characters kept of why something was decided


class Stage(Enum):
    """What has been decided. Before ACTIVATING all may be cancelled; from COMMITTING on there is only forward."""

    PREPARING = "preparing"
    ACTIVATING = "activating"
    COMMITTING = "committing"
    RELEASING = "releasing"
    ROLLING_BACK = "rolling back"


# Where each stage may go: (stage, next) pairs; the diagram in docs/data-path.md.
NEXT: Final[frozenset[tuple[Stage, Stage]]] = frozenset(
    {
        (Stage.PREPARING, Stage.ACTIVATING),
        (Stage.ACTIVATING, Stage.COMMITTING),
        (Stage.ACTIVATING, Stage.ROLLING_BACK),
        (Stage.COMMITTING, Stage.RELEASING),
    }
)


@dataclass(frozen=True, slots=True)
class Journal:
    """One transaction. `participants` stand in the order of activation; `safe_set` are those that cannot go back.

    `coordinated` is whether orders are given: without a coordinator the one participant decides by itself.
    `excused` are participants that no longer count: gone from the vehicle, or fallen back by themselves after commit.
    """

    bundle: Bundle
    targets_version: int
    stage: Stage
    participants: tuple[EcuId, ...]
    coordinated: bool
    safe_set: tuple[EcuId, ...] = ()
    excused: tuple[EcuId, ...] = ()
    reason: str = ""

    @property
    def begun(self) -> bool:
        """Whether the first ECU may have been activated: from then on this transaction ends before any other."""
        return self.stage is not Stage.PREPARING

    def counting(self) -> tuple[EcuId, ...]:
        """The participants that still count, in the order of activation."""
        return tuple(ecu for ecu in self.participants if ecu not in self.excused)

    def at(self, stage: Stage, reason: str = "") -> Journal:
        """The journal at a later stage."""
        assert (self.stage, stage) in NEXT
        return replace(self, stage=stage, reason=reason[:REASON_LENGTH_MAX])


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A bundle that was rolled back, under which Targets version, and why."""

    bundle: Bundle
    targets_version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Transactions:
    """The transaction under way, if any, and what was rolled back before, the latest last."""

    journal: Journal | None = None
    rolled_back: tuple[RolledBack, ...] = ()

    def was_rolled_back(self, bundle: Bundle, targets_version: int) -> bool:
        """Whether this bundle was rolled back under this Targets version, and is not to be tried again."""
        return any(past.bundle == bundle and past.targets_version == targets_version for past in self.rolled_back)

    def under(self, journal: Journal) -> Transactions:
        """With `journal` as the one under way."""
        return replace(self, journal=journal)

    def ended(self) -> Transactions:
        """The one under way has ended; it is remembered if it was rolled back."""
        journal = self.journal
        assert journal is not None
        if journal.stage is not Stage.ROLLING_BACK:
            return replace(self, journal=None)
        past = RolledBack(journal.bundle, journal.targets_version, journal.reason)
        return Transactions(None, (*self.rolled_back, past)[-HISTORY_MAX:])


def dump(transactions: Transactions) -> bytes:
    """The record, as JSON."""
    journal = transactions.journal
    return json.dumps(
        {
            "format": FORMAT,
            "journal": None if journal is None else _journal_out(journal),
            "rolledBack": [[past.bundle.hex(), past.targets_version, past.reason] for past in transactions.rolled_back],
        }
    ).encode()


def load(octets: bytes | None) -> Transactions:
    """Read the record; None for none yet.

    Raises:
        StorageFailure: it is damaged, or of a format this software does not know.
    """
    if octets is None:
        return Transactions()
    try:
        record = json.loads(octets)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise StorageFailure("the transaction's journal has an unknown format")
        past = tuple(RolledBack(Bundle(bytes.fromhex(b)), int(v), str(r)) for b, v, r in record["rolledBack"])
        journal = record["journal"]
        return Transactions(None if journal is None else _journal_in(journal), past)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageFailure(f"the transaction's journal is damaged: {error}") from error


def _journal_out(journal: Journal) -> dict[str, Any]:
    return {
        "bundle": journal.bundle.hex(),
        "targetsVersion": journal.targets_version,
        "stage": journal.stage.value,
        "participants": list(journal.participants),
        "coordinated": journal.coordinated,
        "safeSet": list(journal.safe_set),
        "excused": list(journal.excused),
        "reason": journal.reason,
    }


def _journal_in(record: dict[str, Any]) -> Journal:
    return Journal(
        bundle=Bundle(bytes.fromhex(record["bundle"])),
        targets_version=int(record["targetsVersion"]),
        stage=Stage(record["stage"]),
        participants=tuple(EcuId(str(ecu)) for ecu in record["participants"]),
        coordinated=bool(record["coordinated"]),
        safe_set=tuple(EcuId(str(ecu)) for ecu in record["safeSet"]),
        excused=tuple(EcuId(str(ecu)) for ecu in record["excused"]),
        reason=str(record["reason"]),
    )
