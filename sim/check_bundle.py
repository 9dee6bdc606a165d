"""The rules of a vehicle's transactions: one decision, and one bundle on every participant (R4, R9, R16).

A transaction is known by its bundle and its Targets version. Who takes part is what the Primary's journal durably said
when it began; what each did is in the durable records of each, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from primary import journal as journals
from primary.journal import Journal, Stage, Transactions
from primary.state import TRANSACTION
from sim.rules import Rule
from sim.truth import Attempt, EcuTruth
from uptane.errors import StorageFailure
from uptane.model.ids import EcuId, VehicleId
from uptane.model.reports import EcuState, Outcome, Phase
from uptane.verify.installation import Installation

Finding: TypeAlias = tuple[Rule, str]

_DECIDED: Final = {EcuState.COMMITTED, EcuState.RELEASED}
_VOTED: Final = {EcuState.VOTED, *_DECIDED}

# Which stage is in the journal before an order of this phase is signed.
_STAGE: Final = {
    Phase.ACTIVATE: Stage.ACTIVATING,
    Phase.COMMIT: Stage.COMMITTING,
    Phase.RELEASE: Stage.RELEASING,
    Phase.ROLL_BACK: Stage.ROLLING_BACK,
}


@dataclass(slots=True)
class Transaction:
    """What was ever true of one attempt.

    `parties` took part by some journal; `spared` are those that no longer count: given up, exchanged, with records that
    storage brought back, or fallen back by themselves. `decided` were once committed or released.
    """

    parties: set[EcuId] = field(default_factory=set)
    spared: set[EcuId] = field(default_factory=set)
    voted: set[EcuId] = field(default_factory=set)
    decided: set[EcuId] = field(default_factory=set)
    stages: set[Stage] = field(default_factory=set)
    phases: set[Phase] = field(default_factory=set)


@dataclass(slots=True)
class VehicleTruth:
    """One vehicle: the ECUs that sit in it now, all that ever did, and its transactions.

    `manifests` are those its Primaries made durable, by the digest of their envelope: the Primary that made it, the
    counter, and each report in it by ECU, with its counter.
    """

    vehicle: VehicleId
    ecus: dict[EcuId, EcuTruth] = field(default_factory=dict)
    lives: dict[EcuId, list[EcuTruth]] = field(default_factory=dict)
    journal: Transactions = field(default_factory=Transactions)
    transactions: dict[Attempt, Transaction] = field(default_factory=dict)
    manifests: dict[bytes, Manifest] = field(default_factory=dict)
    latest: bytes = b""

    @property
    def primary(self) -> EcuTruth | None:
        """Its Primary, once it was met."""
        return next((truth for truth in self.ecus.values() if truth.primary), None)

    def of(self, attempt: Attempt) -> Transaction:
        """What is known of an attempt."""
        return self.transactions.setdefault(attempt, Transaction())

    def enter(self, truth: EcuTruth) -> None:
        """An ECU sits in its place; the one that sat there before no longer takes part in anything."""
        if truth.ecu in self.ecus:
            for transaction in self.transactions.values():
                transaction.spared.add(truth.ecu)
        self.ecus[truth.ecu] = truth
        self.lives.setdefault(truth.ecu, []).append(truth)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as it was made durable: by which Primary, its counter, and the reports in it by ECU."""

    by: EcuTruth
    counter: int
    reports: dict[EcuId, int]


def journaled(vehicle: VehicleTruth, octets: bytes | None) -> Iterator[Finding]:
    """What is wrong with the journal that has just become durable."""
    try:
        now = journals.load(octets)
    except StorageFailure as failure:
        yield Rule.DURABLE_FIRST, f"its journal cannot be read: {failure}"
        return
    vehicle.journal = now
    journal = now.journal
    if journal is None or not journal.begun:
        return
    attempt = journal.bundle, journal.targets_version
    transaction = vehicle.of(attempt)
    transaction.parties.update(journal.participants)
    yield from _excused(vehicle, transaction, journal)
    if journal.stage is Stage.ACTIVATING and Stage.ACTIVATING not in transaction.stages:
        yield from _begun(vehicle, transaction)
    transaction.stages.add(journal.stage)
    if {Stage.COMMITTING, Stage.ROLLING_BACK} <= transaction.stages:
        yield Rule.ONE_DECISION, f"its journal says {journal.stage.value}, and has said the other before"
    if journal.stage is Stage.COMMITTING:
        yield from _unvoted(transaction, "its journal says commit")
    if journal.stage is Stage.RELEASING:
        yield from _uncommitted(transaction, "its journal says release")


def _begun(vehicle: VehicleTruth, transaction: Transaction) -> Iterator[Finding]:
    """R15, R18: for a transaction that begins."""
    primary = vehicle.primary
    assert primary is not None, "whose journal it is"
    if Stage.ROLLING_BACK in transaction.stages and TRANSACTION not in primary.lost:
        yield Rule.NOT_RETRIED, "begins what it has rolled back before"
    if not primary.parked:
        yield Rule.PARKED, "begins a transaction, and was told that the vehicle moves"


def _excused(vehicle: VehicleTruth, transaction: Transaction, journal: Journal) -> Iterator[Finding]:
    """R9: for participants that are no longer waited for."""
    targets = None if vehicle.primary is None else vehicle.primary.targets
    for ecu in sorted(set(journal.excused) - transaction.spared):
        given_up = targets is not None and targets.header.version > journal.targets_version
        if not given_up or (targets is not None and targets.entries.find(ecu) is not None):
            yield Rule.ONE_DECISION, f"no longer waits for {ecu}, which no newer Targets leave out"
        transaction.spared.add(ecu)


def brought_back(vehicle: VehicleTruth, octets: bytes | None) -> None:
    """Storage brought back an older journal, or none: a commit that no ECU was told is as if it had never been said."""
    try:
        vehicle.journal = journals.load(octets)
    except StorageFailure:
        vehicle.journal = Transactions()
    for transaction in vehicle.transactions.values():
        if not transaction.decided and Phase.COMMIT not in transaction.phases:
            transaction.stages.discard(Stage.COMMITTING)


def joined(vehicle: VehicleTruth, truth: EcuTruth, old: Installation) -> Iterator[Finding]:
    """What is wrong, for the vehicle, with the move of one ECU's record."""
    new, attempt = truth.installation, truth.attempt
    before = None if old.bundle is None else (old.bundle, old.targets_version)
    if before is not None and before != attempt:
        yield from mixed(vehicle, before)
    if attempt is None:
        return
    transaction = vehicle.of(attempt)
    if new.state in _VOTED:
        transaction.voted.add(truth.ecu)
    if new.state in _DECIDED:
        transaction.decided.add(truth.ecu)
    if new.state is EcuState.IDLE and new.outcome is Outcome.UNBOOTABLE:
        transaction.spared.add(truth.ecu)
    if new.state is EcuState.TRIAL and old.state is EcuState.PREPARED:
        yield from _in_turn(vehicle, transaction, truth)
    if new.last_phase is not None and (before != attempt or new.last_phase is not old.last_phase):
        yield from _obeyed(vehicle, transaction, new.last_phase)
    if new.state is not old.state:
        yield from mixed(vehicle, attempt)


def _obeyed(vehicle: VehicleTruth, transaction: Transaction, phase: Phase) -> Iterator[Finding]:
    """R9, R16: for an order that an ECU has just taken."""
    transaction.phases.add(phase)
    if vehicle.primary is not None and _STAGE[phase] not in transaction.stages:
        said = ", ".join(sorted(stage.value for stage in transaction.stages)) or "nothing"
        yield Rule.DURABLE_FIRST, f"took the order {phase.value}; the journal has only ever said {said}"
    if Phase.ROLL_BACK in transaction.phases and transaction.phases & {Phase.COMMIT, Phase.RELEASE}:
        yield Rule.ONE_DECISION, f"took the order {phase.value}, and an ECU has taken the opposite one"
    if phase is Phase.COMMIT:
        yield from _unvoted(transaction, "took the order commit")
    if phase is Phase.RELEASE:
        yield from _uncommitted(transaction, "took the order release")


def _in_turn(vehicle: VehicleTruth, transaction: Transaction, truth: EcuTruth) -> Iterator[Finding]:
    """R9: for an ECU that starts its new image: those before it have voted, and the Primary is the last."""
    journal = vehicle.journal.journal
    if journal is None or (journal.bundle, journal.targets_version) != truth.attempt:
        return
    order = journal.participants
    before = order[: order.index(truth.ecu)] if truth.ecu in order else ()
    missing = sorted(set(before) - transaction.voted - transaction.spared)
    if missing:
        yield Rule.ONE_DECISION, f"starts its new image, and {', '.join(missing)} before it never voted"
    if truth.primary and order[-1:] != (truth.ecu,):
        yield Rule.ONE_DECISION, f"starts its new image before {order[-1]}, and who decides has to be the last"


def _unvoted(transaction: Transaction, what: str) -> Iterator[Finding]:
    missing = sorted(transaction.parties - transaction.voted - transaction.spared)
    if missing:
        yield Rule.ONE_DECISION, f"{what}, and {', '.join(missing)} never voted"


def _uncommitted(transaction: Transaction, what: str) -> Iterator[Finding]:
    missing = sorted(transaction.parties - transaction.decided - transaction.spared)
    if missing:
        yield Rule.ONE_DECISION, f"{what}, and {', '.join(missing)} never committed"


def mixed(vehicle: VehicleTruth, attempt: Attempt) -> Iterator[Finding]:
    """R4: once somebody has committed, who does not run the bundle?"""
    transaction = vehicle.of(attempt)
    if not transaction.decided:
        return
    missing = sorted(transaction.parties - transaction.decided - transaction.spared)
    for ecu in missing:
        truth = vehicle.ecus.get(ecu)
        if truth is None:
            continue
        stands = truth.attempt == attempt and truth.installation.state in _VOTED
        if not stands:
            decided = ", ".join(sorted(transaction.decided))
            yield (
                Rule.ONE_BUNDLE,
                f"{decided} committed Targets {attempt[1]}; {ecu} is {truth.installation.state.value}",
            )
    for ecu in sorted(transaction.decided - transaction.spared):
        truth = vehicle.ecus.get(ecu)
        back = truth is not None and truth.attempt == attempt and truth.installation.state is EcuState.IDLE
        if back and not transaction.phases & {Phase.ROLL_BACK}:
            yield Rule.ONE_BUNDLE, f"{ecu} had committed Targets {attempt[1]} and went back"
