"""What is done to one participant of a transaction: activated, told a phase, rolled back; this ECU itself included.

Each begins by asking where the ECU stands, and does only what is missing: a lost answer, a restart or a power cut in
the middle costs nothing but another question.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from primary import own
from primary.collect import heard
from primary.distribute import give_time, in_session, prepare
from primary.journal import Journal
from primary.layout import Secondary
from primary.means import Means
from primary.needs import AnyNeed, Note, Now, Step
from primary.plan import Plan
from primary.refresh import refresh_time
from primary.state import Memory
from uptane.errors import Check, LinkFailure, Malformed, Rejected
from uptane.link.uds_client import (
    Pause,
    check,
    close_session,
    dependencies,
    open_session,
    preconditions,
    read_status,
    restart,
)
from uptane.link.uds_objects import CheckOption, Object, Place, Status
from uptane.link.uds_transfer import deliver
from uptane.link.uds_values import Session
from uptane.machine import Workflow
from uptane.model.ids import Bundle, EcuId
from uptane.model.metadata import LEVEL
from uptane.model.reports import EcuReport, EcuState, Phase, VehicleOrder
from uptane.moments import SECOND_MS

LOOK_MS: Final = 500  # between two looks at an ECU that restarts or tests itself
VOTE_MS: Final = (
    180 * SECOND_MS
)  # from the order to the vote: restart and self-test; the slowest we have seen took 12 s
TOLD_MS: Final = 20 * SECOND_MS  # for one phase in one cycle; the next cycle asks again
OWN_TIME_TRIES: Final = 5  # to have the time attested, while the other ECUs wait in their new images
OWN_TIME_PAUSE_MS: Final = 5 * SECOND_MS
BACK_MS: Final = 60 * SECOND_MS  # from the order to roll back until the old image runs


class Standing(Enum):
    """Where a participant stands in this transaction."""

    WAITING = "prepared"
    TRIAL = "trial"
    VOTED = "voted"
    COMMITTED = "committed"
    RELEASED = "released"
    OUT = "out"


_STANDINGS: Final = {
    EcuState.PREPARED: Standing.WAITING,
    EcuState.TRIAL: Standing.TRIAL,
    EcuState.VOTED: Standing.VOTED,
    EcuState.COMMITTED: Standing.COMMITTED,
    EcuState.RELEASED: Standing.RELEASED,
    EcuState.IDLE: Standing.OUT,
}


_PAST_COMMIT: Final = frozenset({Standing.COMMITTED, Standing.RELEASED})
_PAST_VOTE: Final = frozenset({Standing.VOTED, *_PAST_COMMIT})


def standing(state: EcuState, bundle: Bundle | None, journal: Journal) -> Standing:
    """Where an ECU in `state` of `bundle` stands in the journal's transaction."""
    return _STANDINGS[state] if bundle == journal.bundle else Standing.OUT


def signed_standing(said: EcuReport | None, journal: Journal) -> Standing | None:
    """As `standing`, by what the ECU has signed; None if that is nothing."""
    return None if said is None else standing(said.state, said.bundle, journal)


def order_of(means: Means, journal: Journal, phase: Phase) -> bytes:
    """The order for `phase` of this transaction, signed by this ECU's key, which the Targets name as coordinator."""
    return means.sign(VehicleOrder(LEVEL, means.layout.vehicle, journal.bundle, journal.targets_version, phase))


def unready(means: Means, memory: Memory, journal: Journal) -> Workflow[AnyNeed, list[str]]:
    """What keeps participants from being activated, as they say themselves: asked before the first one is."""
    reasons: list[str] = []
    for ecu in journal.counting():
        if ecu == means.layout.ecu:
            if memory.installation.state is not EcuState.PREPARED:
                reasons.append(f"{ecu} is not prepared")
            continue
        try:
            reasons.extend((yield from _unready(means, memory, journal, ecu)))
        except (LinkFailure, Rejected) as failure:
            reasons.append(f"{ecu}: {failure}")
    return reasons


def _unready(means: Means, memory: Memory, journal: Journal, ecu: EcuId) -> Workflow[AnyNeed, list[str]]:
    status = yield from read_status(ecu)
    if not status.time_attested:
        yield from give_time(means, memory, ecu)
    if not (yield from preconditions(ecu)):
        return [f"{ecu}: its interlock says that the vehicle is not safe to change"]
    if ecu in journal.safe_set:
        return []
    if standing(status.state, status.bundle, journal) is not Standing.WAITING:
        return [f"{ecu} is not prepared"]
    if status.targets_version != journal.targets_version:
        return [f"{ecu} holds Targets {status.targets_version}, not {journal.targets_version}"]
    yield from open_session(ecu, Session.EXTENDED)
    ready = yield from dependencies(ecu)
    yield from close_session(ecu)
    return [] if ready else [f"{ecu}: something hinders its activation"]


# ------------------------------------------------------------------------------------------------------- activate


@dataclass(frozen=True, slots=True)
class Activation:
    """Activating Secondaries of one transaction."""

    means: Means
    memory: Memory
    journal: Journal
    plan: Plan | None

    def run(self, secondary: Secondary) -> Workflow[AnyNeed, str | None]:
        """Order `secondary` to activate, restart it, wait for its vote; why it failed, or None when it has voted."""
        ecu = secondary.ecu
        if ecu in self.journal.safe_set:
            failure = yield from self._write_one_slot(secondary)
            if failure is not None:
                return failure
        last = f"no vote within {VOTE_MS // SECOND_MS} s"
        end = (yield Now()) + VOTE_MS
        while (yield Now()) < end:
            try:
                outcome = yield from self._next(secondary)
            except Rejected as refusal:
                if refusal.check is not Check.TIME_UNATTESTED:
                    return str(refusal)
                last = str(refusal)
                yield from self._attest(ecu)
            except LinkFailure as failure_of_link:
                last = str(failure_of_link)
            else:
                if not isinstance(outcome, Standing):
                    return outcome
            yield Pause(LOOK_MS)
        return last

    def _next(self, secondary: Secondary) -> Workflow[AnyNeed, str | Standing | None]:
        """Do what is missing. None: it has voted; a text: it has failed; a Standing: it takes more time."""
        ecu = secondary.ecu
        status = yield from read_status(ecu)
        self.memory.statuses[ecu] = status
        where = standing(status.state, status.bundle, self.journal)
        match where:
            case Standing.VOTED | Standing.COMMITTED | Standing.RELEASED:
                said = yield from heard(self.means, self.memory, ecu)
                counts = said is not None and said.targets_version == self.journal.targets_version
                return None if counts and signed_standing(said, self.journal) in _PAST_VOTE else where
            case Standing.TRIAL:
                return where
            case Standing.WAITING:
                yield Note(Step.ACTIVATE, "activates", ecu)
                yield from self._start(ecu, status)
                return where
            case Standing.OUT:
                return f"went back to its old image ({status.outcome.value})"

    def _write_one_slot(self, secondary: Secondary) -> Workflow[AnyNeed, str | None]:
        """Write the image of an ECU with one slot, which could not be prepared before; why it failed, or None."""
        ecu = secondary.ecu
        try:
            status = yield from read_status(ecu)
            if standing(status.state, status.bundle, self.journal) is Standing.OUT:
                if self.plan is None:
                    return "the Targets it was to be written under are no longer held"
                yield from prepare(self.memory, self.plan, secondary)
        except (LinkFailure, Rejected) as failure:
            return str(failure)
        return None

    def _start(self, ecu: EcuId, status: Status) -> Workflow[AnyNeed, None]:
        yield from open_session(ecu, Session.PROGRAMMING)
        if self.journal.coordinated and status.last_phase is not Phase.ACTIVATE:
            yield from give_order(self.means, self.memory, self.journal, ecu=ecu, phase=Phase.ACTIVATE)
        yield from restart(ecu)

    def _attest(self, ecu: EcuId) -> Workflow[AnyNeed, None]:
        """The ECU lost power since it was prepared, and with it the time. Without a time service we keep trying."""
        try:
            yield from give_time(self.means, self.memory, ecu)
        except (LinkFailure, Rejected) as failure:
            yield Note(Step.TROUBLE, f"no attested time: {failure}", ecu)


def activate_own(means: Means, memory: Memory, journal: Journal) -> Workflow[AnyNeed, str | None]:
    """As Activation.run, for this ECU: when it is to be started, this does not return."""
    installation = memory.installation
    match standing(installation.state, installation.bundle, journal):
        case Standing.VOTED | Standing.COMMITTED | Standing.RELEASED:
            return None
        case Standing.OUT | Standing.TRIAL:
            return f"went back to its old image ({installation.outcome.value})"
        case Standing.WAITING:
            return (yield from _start_own(means, memory, journal))


def _start_own(means: Means, memory: Memory, journal: Journal) -> Workflow[AnyNeed, str]:
    """Start our new image; returns only why it may not be started."""
    for attempt in range(OWN_TIME_TRIES):
        if memory.held.clock.attested:
            break
        if attempt:
            yield Pause(OWN_TIME_PAUSE_MS)
        try:
            yield from refresh_time(means, memory)  # power was lost since we were prepared, and with it the time
        except (Rejected, Malformed) as refusal:
            # By another key, perhaps, of a Root that is taken only when this has ended: so it has to end.
            yield Note(Step.TROUBLE, f"no attested time: {refusal}")
    try:
        if journal.coordinated:
            yield from own.obey(means, memory, order_of(means, journal, Phase.ACTIVATE))
        yield from own.start(means, memory)
    except Rejected as refusal:
        return str(refusal)
    raise AssertionError("a restart does not return")


# ------------------------------------------------------------------------------------------------- commit, release


def give_order(means: Means, memory: Memory, journal: Journal, *, ecu: EcuId, phase: Phase) -> Workflow[AnyNeed, None]:
    """Deliver an order and have it checked; the session is open. The same order again is acknowledged again.

    Raises:
        Rejected: ORDER_*, INSTALL_STATE.
        LinkFailure: no answer.
    """
    yield from deliver(ecu, Place(Object.ORDER), order_of(means, journal, phase), memory.blocks_of(ecu))
    yield from check(ecu, CheckOption.ORDER, lambda status: status.last_phase is phase)


def tell(means: Means, memory: Memory, journal: Journal, *, ecu: EcuId, phase: Phase) -> Workflow[AnyNeed, bool]:
    """Have `ecu` take `phase` (commit or release); whether it has signed so, or that it fell back by itself.

    Raises:
        Rejected: it refuses the order.
    """
    told = {Standing.OUT, Standing.RELEASED} if phase is Phase.RELEASE else {*_PAST_COMMIT, Standing.OUT}
    end = (yield Now()) + TOLD_MS
    while (yield Now()) < end:
        try:
            status = yield from read_status(ecu)
            memory.statuses[ecu] = status
            where = standing(status.state, status.bundle, journal)
            if where in told:
                if signed_standing((yield from heard(means, memory, ecu)), journal) in told:
                    return True
            elif journal.coordinated:
                # One that lost its newest record does not know that it was told to commit: it is told again.
                again = phase is Phase.RELEASE and where is Standing.VOTED
                order = _Telling(means, memory, journal, ecu, Phase.COMMIT if again else phase)
                yield from in_session(ecu, Session.EXTENDED, order.give)
        except LinkFailure as failure:
            memory.statuses.pop(ecu, None)
            yield Note(Step.TROUBLE, str(failure), ecu)
        yield Pause(LOOK_MS)
    return False


@dataclass(frozen=True, slots=True)
class _Telling:
    """One order to one ECU, to be given within a session."""

    means: Means
    memory: Memory
    journal: Journal
    ecu: EcuId
    phase: Phase

    def give(self) -> Workflow[AnyNeed, None]:
        yield from give_order(self.means, self.memory, self.journal, ecu=self.ecu, phase=self.phase)


def tell_own(means: Means, memory: Memory, journal: Journal, phase: Phase) -> Workflow[AnyNeed, None]:
    """As `tell`, for this ECU. Without a coordinator it confirms itself when it would be told to commit."""
    installation = memory.installation
    where = standing(installation.state, installation.bundle, journal)
    if where in {Standing.OUT, Standing.RELEASED}:
        return
    if not journal.coordinated:
        yield from own.confirm(means, memory)
    elif where is (Standing.VOTED if phase is Phase.COMMIT else Standing.COMMITTED):
        yield from own.obey(means, memory, order_of(means, journal, phase))


# ------------------------------------------------------------------------------------------------------- roll back


def _takes_orders(status: Status, journal: Journal) -> bool:
    """Whether a prepared ECU takes orders of this transaction.

    Without a coordinator it takes none. Nor does one that was given newer Targets with the same bundle before it was
    told anything, by a Director or by somebody on its bus: it is bound to those now.
    """
    return journal.coordinated and (status.last_phase is not None or status.targets_version == journal.targets_version)


def roll_back(means: Means, memory: Memory, journal: Journal, ecu: EcuId) -> Workflow[AnyNeed, bool]:
    """Have `ecu` run its old image again; whether it does."""
    end = (yield Now()) + BACK_MS
    restarted = False
    while (yield Now()) < end:
        try:
            status = yield from read_status(ecu)
            memory.statuses[ecu] = status
            ours = status.bundle == journal.bundle
            if status.state is EcuState.IDLE and (restarted or not ours or status.last_phase is not Phase.ROLL_BACK):
                return True
            if status.state is EcuState.RELEASED or not ours:
                return True
            if status.state is EcuState.PREPARED and not _takes_orders(status, journal):
                return True  # it runs the old image, and without an order it goes on to
            if status.state is EcuState.IDLE:
                # The order was taken, by us or before a power cut; whether the restart followed nobody knows.
                yield from open_session(ecu, Session.PROGRAMMING)
                yield from restart(ecu)
                restarted = True
            elif journal.coordinated:
                order = _Telling(means, memory, journal, ecu, Phase.ROLL_BACK)
                yield from in_session(ecu, Session.EXTENDED, order.give)
        except LinkFailure as failure:
            memory.statuses.pop(ecu, None)
            yield Note(Step.TROUBLE, str(failure), ecu)
        yield Pause(LOOK_MS)
    return False


def roll_back_own(means: Means, memory: Memory, journal: Journal) -> Workflow[AnyNeed, None]:
    """As `roll_back`, for this ECU: when its new software runs, this does not return."""
    installation = memory.installation
    where = standing(installation.state, installation.bundle, journal)
    waits = where is Standing.WAITING and not journal.coordinated  # runs the old image; nobody could order it anything
    if where not in {Standing.OUT, Standing.RELEASED} and not waits:
        yield from own.obey(means, memory, order_of(means, journal, Phase.ROLL_BACK))
    if not own.runs_old(memory) and memory.installation.state is EcuState.IDLE:
        yield from own.restart(means, memory)
