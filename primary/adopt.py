"""A transaction that nobody here has a journal of: learnt from the ECUs, and ended (docs/wire.md, section 8).

The journal is lost when its record is damaged beyond reading, or when the Primary was replaced in the middle; its key
must be the one the newest Targets name, or no ECU takes its orders. Commit is journaled before anyone is told. So if
one ECU has been told, commit was decided; if none has, nothing was, and to roll back is right.
"""

from __future__ import annotations

from typing import Final

from primary.journal import Journal, Stage
from primary.means import Means
from primary.needs import AnyNeed, Note, Step
from primary.state import Memory
from primary.transaction import save
from uptane.machine import Workflow
from uptane.model.ids import Bundle
from uptane.model.reports import EcuState

# No ECU stays in these by itself: without a coordinator a vote is followed by its confirmation in the same record.
_LED: Final = frozenset({EcuState.VOTED, EcuState.COMMITTED})
_DECIDED: Final = frozenset({EcuState.COMMITTED, EcuState.RELEASED})


def stranded(means: Means, memory: Memory) -> bool:
    """Whether an ECU waits for orders of ours in a transaction that we have no journal of."""
    targets = memory.held.director.targets
    ours = targets is not None and targets.value.coordinator == means.signer.public
    return ours and memory.transactions.journal is None and _bundle(memory) is not None


def adopt(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Write the journal of the transaction that ECUs have just told they are in; nothing if they are in none."""
    bundle = _bundle(memory)
    if bundle is None:
        return
    states = {ecu: status.state for ecu, status in memory.statuses.items() if status.bundle == bundle}
    if memory.installation.bundle == bundle:
        states[means.layout.ecu] = memory.installation.state
    decided = bool(_DECIDED & set(states.values()))
    journal = Journal(
        bundle=bundle,
        targets_version=_version(memory, bundle),
        stage=Stage.COMMITTING if decided else Stage.ROLLING_BACK,
        participants=means.layout.activation_order(frozenset(states)),
        coordinated=True,
        reason="there was no journal",
    )
    yield Note(Step.TROUBLE, f"no journal: {journal.stage.value} for {', '.join(journal.participants)}")
    yield from save(memory, memory.transactions.under(journal))


def _bundle(memory: Memory) -> Bundle | None:
    """The bundle that some ECU is being led through."""
    stands: list[tuple[EcuState, Bundle | None]] = [(each.state, each.bundle) for each in memory.statuses.values()]
    stands.append((memory.installation.state, memory.installation.bundle))
    return next((bundle for state, bundle in stands if state in _LED), None)


def _version(memory: Memory, bundle: Bundle) -> int:
    """The Targets version the transaction acts on: as our own record says, or as its ECUs do, who got no newer one."""
    if memory.installation.bundle == bundle:
        return memory.installation.targets_version
    return max(status.targets_version for status in memory.statuses.values() if status.bundle == bundle)
