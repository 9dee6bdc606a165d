"""The vehicle transaction (docs/wire.md, section 8): every participant runs the new bundle, or every one the old.

    preparing -> activating -> committing -> releasing -> ended
                            or rolling back            -> ended

The journal holds what was decided and is durable before anyone is told; what ECUs have done is asked of them, every
time. So this is one loop that can be left anywhere, by a power cut too, and entered again. Activation follows the
layout's order, one ECU after the other, this one last: its new software finds the journal and takes the decision.
Once it says commit there is only forward. What is done to one ECU is participants.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from primary import own, participants
from primary.collect import on_buses
from primary.gate import predicted_s, shut_because
from primary.journal import Journal, Stage, Transactions, dump
from primary.means import Means
from primary.needs import AnyNeed, LookAtVehicle, Note, Now, Save, Step, VehicleState
from primary.plan import Plan
from primary.refresh import vehicle_of
from primary.state import TRANSACTION, Memory
from uptane.errors import Malformed, MarqueError, Rejected
from uptane.machine import Workflow
from uptane.model.ids import EcuId
from uptane.model.reports import Phase
from uptane.verify.recheck import recheck
from uptane.verify.vouched import check_vouched

Telling: TypeAlias = Callable[[EcuId], Workflow[AnyNeed, bool]]

STEP_OF: Final = {
    Stage.ACTIVATING: Step.ACTIVATE,
    Stage.COMMITTING: Step.COMMIT,
    Stage.RELEASING: Step.RELEASE,
    Stage.ROLLING_BACK: Step.ROLL_BACK,
}


def save(memory: Memory, transactions: Transactions) -> Workflow[AnyNeed, None]:
    """Make the journal durable; only then it counts."""
    if transactions != memory.transactions:
        yield Save(TRANSACTION, dump(transactions))
        memory.transactions = transactions


# ---------------------------------------------------------------------------------------------- before it begins


def open_journal(means: Means, memory: Memory, plan: Plan) -> Workflow[AnyNeed, Journal | None]:
    """The journal of the plan's bundle, being prepared: begun, bound to newer Targets, or in place of a cancelled one.

    None when there is nothing to do. A transaction that has begun is returned as it is: it ends before any other.
    """
    journal = memory.transactions.journal
    if journal is not None and journal.begun:
        return journal
    if memory.transactions.was_rolled_back(plan.bundle, plan.targets_version):
        yield Note(Step.TROUBLE, f"bundle {plan.bundle.hex()[:16]} was rolled back and is not tried again")
        yield from save(memory, replace(memory.transactions, journal=None))
        return None
    if not plan.participants:
        yield from save(memory, replace(memory.transactions, journal=None))
        return None
    journal = Journal(
        bundle=plan.bundle,
        targets_version=plan.targets_version,
        stage=Stage.PREPARING,
        participants=plan.participants,
        coordinated=plan.coordinator is not None,
        safe_set=tuple(
            each.ecu for each in means.layout.secondaries if each.slots == 1 and each.ecu in plan.participants
        ),
    )
    yield from save(memory, memory.transactions.under(journal))
    return journal


def forbidden_because(means: Means, plan: Plan) -> str | None:
    """Why this Primary may not lead the plan's transaction at all; None when it may."""
    if plan.coordinator is None and len(plan.participants) > 1:
        return f"the Targets name no coordinator, and {len(plan.participants)} ECUs would change"
    if plan.coordinator is not None and plan.coordinator != means.signer.public:
        return "the Targets name another ECU as coordinator"
    return None


def gate(means: Means, memory: Memory, plan: Plan, journal: Journal) -> Workflow[AnyNeed, tuple[str, ...]]:
    """What keeps the vehicle from being changed now; nothing when all is ready. Asked right before the first order."""
    reasons: list[str] = []
    state: VehicleState = yield LookAtVehicle()
    octets = sum(plan.image(ecu).length for ecu in journal.safe_set)
    reasons.extend(shut_because(state, plan.bundle, predicted_s(len(journal.participants), octets)))
    if not memory.held.clock.attested:
        reasons.append("no time has been attested since power-up")
    now = replace(memory.held.clock, time=memory.utc((yield Now())))
    try:
        held = replace(memory.held, clock=now)
        recheck(means.verifier, held, means.layout.ecu)
        if held.director.targets is not None:
            check_vouched(means.verifier, held, vehicle_of(means, memory), held.director.targets)
    except (Rejected, Malformed) as refusal:
        reasons.append(f"the metadata no longer hold: {refusal}")
    if not reasons:
        reasons.extend((yield from participants.unready(means, memory, journal)))
    for reason in reasons:
        yield Note(Step.GATE, reason)
    return tuple(reasons)


def begin(memory: Memory, journal: Journal) -> Workflow[AnyNeed, None]:
    """Decide to activate; from now on this transaction ends before any other."""
    yield from save(memory, memory.transactions.under(journal.at(Stage.ACTIVATING)))


# ------------------------------------------------------------------------------------------------ once it has begun


def carry_on(means: Means, memory: Memory, plan: Plan | None) -> Workflow[AnyNeed, bool]:
    """Take a begun transaction as far as it goes now; whether it has ended. To be asked again while it has not.

    `plan` is at hand when the Targets it was made from are still the ones held.
    """
    while (journal := memory.transactions.journal) is not None and journal.begun:
        if journal.stage is Stage.ACTIVATING:
            failure = yield from _activate_all(means, memory, journal, plan)
            stage = Stage.COMMITTING if failure is None else Stage.ROLLING_BACK
            yield Note(STEP_OF[stage], failure or "all have voted")
            yield from save(memory, memory.transactions.under(journal.at(stage, failure or "")))
            yield from own.keep_decided(means, memory)
            continue
        missing = yield from _tell_decision(means, memory, journal)
        if missing:
            yield Note(STEP_OF[journal.stage], f"not acknowledged by {', '.join(missing)}")
            return False
        yield Note(STEP_OF[journal.stage], "acknowledged by every ECU that took part")
        if journal.stage is Stage.COMMITTING:
            yield from save(memory, memory.transactions.under(_journal(memory).at(Stage.RELEASING)))
        else:
            yield from save(memory, memory.transactions.ended())
    return True


def _tell_decision(means: Means, memory: Memory, journal: Journal) -> Workflow[AnyNeed, list[EcuId]]:
    """Tell every participant what was decided; those that have not acknowledged it."""
    if journal.stage is Stage.ROLLING_BACK:
        return (yield from _roll_back_all(means, memory, journal))
    phase = Phase.COMMIT if journal.stage is Stage.COMMITTING else Phase.RELEASE
    return (yield from _tell_all(means, memory, journal, phase))


def _journal(memory: Memory) -> Journal:
    assert memory.transactions.journal is not None
    return memory.transactions.journal


def _activate_all(means: Means, memory: Memory, journal: Journal, plan: Plan | None) -> Workflow[AnyNeed, str | None]:
    """Activate one participant after the other, each when the one before has voted; why it failed, or None."""
    for ecu in journal.counting():
        if ecu == means.layout.ecu:
            failure = yield from participants.activate_own(means, memory, journal)
        else:
            secondary = means.layout.secondary(ecu)
            if secondary is None:
                return f"{ecu} is no longer part of this vehicle"
            activation = participants.Activation(means, memory, journal, plan)
            failure = yield from activation.run(secondary)
        if failure is not None:
            return f"{ecu}: {failure}"
        yield Note(Step.ACTIVATE, "runs the new image and has voted", ecu)
    return None


def _tell_all(means: Means, memory: Memory, journal: Journal, phase: Phase) -> Workflow[AnyNeed, list[EcuId]]:
    """Have every participant that counts acknowledge `phase`; those that have not."""
    missing = yield from _on_secondaries(
        means, journal, lambda ecu: participants.tell(means, memory, journal, ecu=ecu, phase=phase)
    )
    if not missing and means.layout.ecu in journal.counting():
        yield from participants.tell_own(means, memory, journal, phase)
    return missing


def _roll_back_all(means: Means, memory: Memory, journal: Journal) -> Workflow[AnyNeed, list[EcuId]]:
    """Have every participant run its old image again, the last activated first, this ECU last of all."""
    backwards = replace(journal, participants=tuple(reversed(journal.participants)))
    missing = yield from _on_secondaries(
        means, backwards, lambda ecu: participants.roll_back(means, memory, journal, ecu)
    )
    if not missing and means.layout.ecu in journal.counting():
        yield from participants.roll_back_own(means, memory, journal)
    return missing


def _on_secondaries(means: Means, journal: Journal, act: Telling) -> Workflow[AnyNeed, list[EcuId]]:
    """Do `act` to each Secondary that takes part, the buses side by side; those it was not done to."""
    taking_part = [each for ecu in journal.counting() if (each := means.layout.secondary(ecu)) is not None]
    buses = [
        [each for each in taking_part if each.bus == bus] for bus in dict.fromkeys(each.bus for each in taking_part)
    ]
    missing: list[EcuId] = []
    for ecu, outcome in (yield from on_buses(buses, lambda each: act(each.ecu))):
        if isinstance(outcome, MarqueError):
            yield Note(Step.TROUBLE, str(outcome), ecu)
        if outcome is not True:
            missing.append(ecu)
    return missing


def excuse(memory: Memory, ecu: EcuId) -> Workflow[AnyNeed, None]:
    """No longer wait for `ecu` in the transaction that is under way."""
    journal = _journal(memory)
    yield from save(memory, memory.transactions.under(replace(journal, excused=(*journal.excused, ecu))))
