"""A transaction that nobody here has a journal of: learnt from the ECUs, and ended (docs/wire.md, section 8).

The journal is lost when the newest copy of its record is damaged, or when the Primary was replaced in the middle; its
key must be the one the newest Targets name, or no ECU takes its orders. Commit is journaled before anyone is told. So
if one ECU has been told, commit was decided; if none has, nothing was, and to roll back is right. Who is silent may be
the one that was told: nothing is decided before every ECU has been heard.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from primary import own
from primary.journal import Journal, Stage
from primary.means import Means
from primary.needs import AnyNeed, Note, Step
from primary.state import Memory
from primary.transaction import save
from uptane.machine import Workflow
from uptane.model.ids import Bundle, EcuId
from uptane.model.reports import EcuState

# No ECU stays in these by itself: without a coordinator a vote is followed by its confirmation in the same record.
_LED: Final = frozenset({EcuState.VOTED, EcuState.COMMITTED})
_DECIDED: Final = frozenset({EcuState.COMMITTED, EcuState.RELEASED})


def stranded(means: Means, memory: Memory) -> bool:
    """Whether an ECU waits for orders of ours in a transaction that we have no journal of.

    One that is being prepared gives way: it has told no ECU anything, and none takes part in two.
    """
    targets, journal = memory.held.director.targets, memory.transactions.journal
    ours = targets is not None and targets.value.coordinator == means.signer.public
    return ours and (journal is None or not journal.begun) and _led(means, memory) is not None


def recover(means: Means, memory: Memory) -> Workflow[AnyNeed, bool]:
    """End the doubt about a missing journal, if every ECU that may know has been heard; whether it is ended."""
    missing = [
        each.ecu
        for each in means.layout.secondaries
        if not is_heard(memory, each.ecu) and not _is_given_up(memory, each.ecu)
    ]
    if missing:
        yield Note(Step.TROUBLE, f"no journal, and silent: {', '.join(missing)}")
        return False
    yield from _adopt(means, memory)
    memory.journal_lost = False
    return True


def _adopt(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Write the journal of the transaction that ECUs have signed they are in; nothing if they are in none."""
    led = _led(means, memory)
    if led is None:
        return
    states = {stand.ecu: stand.state for stand in _stands(means, memory) if stand.bundle == led.bundle}
    decided = bool(_DECIDED & set(states.values()))
    journal = Journal(
        bundle=led.bundle,
        targets_version=led.targets_version,
        stage=Stage.COMMITTING if decided else Stage.ROLLING_BACK,
        participants=means.layout.activation_order(frozenset(states)),
        coordinated=True,
        reason="there was no journal",
    )
    yield Note(Step.TROUBLE, f"no journal: {journal.stage.value} for {', '.join(journal.participants)}")
    yield from save(memory, memory.transactions.under(journal))
    yield from own.keep_decided(means, memory)


class _Stand(NamedTuple):
    """Where one ECU stands, in which bundle, under which Targets version."""

    ecu: EcuId
    state: EcuState
    bundle: Bundle
    targets_version: int


def _stands(means: Means, memory: Memory) -> Iterator[_Stand]:
    """As signed reports say, which nobody on a bus can forge; our own record speaks for this ECU."""
    for ecu, told in memory.reports.items():
        report = told.report
        if ecu != means.layout.ecu and report.bundle is not None and not _is_given_up(memory, ecu):
            yield _Stand(ecu, report.state, report.bundle, report.targets_version)
    own = memory.installation
    if own.bundle is not None:
        yield _Stand(means.layout.ecu, own.state, own.bundle, own.targets_version)


def _led(means: Means, memory: Memory) -> _Stand | None:
    """An ECU that is being led through a bundle."""
    return next((stand for stand in _stands(means, memory) if stand.state in _LED), None)


def is_heard(memory: Memory, ecu: EcuId) -> bool:
    """Whether the ECU answers, and we have its latest report: one that anybody could have given does not hold."""
    status, told = memory.statuses.get(ecu), memory.reports.get(ecu)
    return status is not None and told is not None and told.report.counter == status.report_counter


def _is_given_up(memory: Memory, ecu: EcuId) -> bool:
    """Whether the newest Targets leave out an ECU that is not heard. Nobody waits for it; it is led when it is back."""
    targets = memory.held.director.targets
    return targets is not None and not is_heard(memory, ecu) and targets.value.entries.find(ecu) is None
