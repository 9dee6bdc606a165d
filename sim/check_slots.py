"""The rules of slots, and of a vehicle that moves: what may be erased, written and restarted, and when (R10, R16, R18).

The record has to say that a slot holds nothing known before the slot is touched; else a power cut leaves a record that
says too much.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from primary.needs import EraseBlob, Place
from secondary.needs import EraseSlot, Progress
from sim.primary_node import PrimaryNode
from sim.rules import Rule
from sim.secondary_node import SecondaryNode
from sim.truth import EcuTruth
from uptane.errors import StorageFailure
from uptane.link.uds_tasks import Interlock
from uptane.model.limits import ERASES_PER_TARGETS_MAX
from uptane.model.reports import EcuState

Finding: TypeAlias = tuple[Rule, str]

SLOT_OF: Final = {Place.SLOT_0: 0, Place.SLOT_1: 1}
UNSAFE_MS: Final = 1_000  # that a vehicle must have moved: whoever asked just before may still be served

_UNPROVEN: Final = {EcuState.TRIAL, EcuState.VOTED, EcuState.COMMITTED}


def erased(truth: EcuTruth, need: EraseSlot) -> Iterator[Finding]:
    """A Secondary has erased a slot, or its flash has refused to."""
    yield from touched(truth, need.slot)
    yield from _parked(truth, f"erases slot {need.slot}")
    assert isinstance(truth.node, SecondaryNode), "only Secondaries have slots of flash"
    try:
        done = truth.node.slots[need.slot].progress() == Progress(need.tag, 0)
    except StorageFailure:
        done = False
    if done:
        yield from _worn(truth, need.slot)


def erased_blob(truth: EcuTruth, need: EraseBlob) -> Iterator[Finding]:
    """A Primary has erased something: one of its slots, or a file of its cache."""
    slot = SLOT_OF.get(need.blob.place)
    if slot is not None:
        yield from touched(truth, slot)
        yield from _worn(truth, slot)


def touched(truth: EcuTruth, slot: int | None) -> Iterator[Finding]:
    """A slot was erased or written; None for something that is no slot."""
    if slot is None:
        return
    now = truth.installation
    if slot in {now.running, now.home}:
        what = "runs" if slot == now.running else "falls back to"
        yield Rule.WEAR, f"changes slot {slot}, which it {what}"
    elif now.images[slot] is not None:
        yield Rule.DURABLE_FIRST, f"changes slot {slot}, which is still on record as holding something"


def _worn(truth: EcuTruth, slot: int) -> Iterator[Finding]:
    targets = truth.targets
    place = slot, 0 if targets is None else targets.header.version
    count = truth.erases[place] = truth.erases.get(place, 0) + 1
    if count > ERASES_PER_TARGETS_MAX:
        yield Rule.WEAR, f"erases slot {slot} for the {count}th time under Targets {place[1]}"


# --------------------------------------------------------------------------------------------- a vehicle that moves


def look_around(truth: EcuTruth) -> None:
    """Note since when this ECU cannot have been told that the vehicle is safe to change."""
    if isinstance(truth.node, SecondaryNode):
        safe = truth.node._around.interlock() is Interlock.SAFE  # noqa: SLF001  (what surrounds it, not what it thinks)
        if safe:
            truth.unsafe_since = None
        elif truth.unsafe_since is None:
            truth.unsafe_since = truth.now


def looked(truth: EcuTruth) -> Iterator[Finding]:
    """A Primary has asked whether the vehicle is parked."""
    assert isinstance(truth.node, PrimaryNode), "only Primaries ask"
    truth.parked = truth.node._around.state().parked  # noqa: SLF001
    yield from ()


def restarted(truth: EcuTruth) -> Iterator[Finding]:
    """A Secondary restarts by itself. One whose image does not come up, or that could not boot, has no choice."""
    watchdog = truth.booting or (truth.tested is False and truth.installation.state in _UNPROVEN)
    if not watchdog:
        yield from _parked(truth, "restarts")


def _parked(truth: EcuTruth, what: str) -> Iterator[Finding]:
    since = truth.unsafe_since
    if since is not None and truth.now - since > UNSAFE_MS:
        yield Rule.PARKED, f"{what}, and its interlock has said for {truth.now - since} ms that the vehicle moves"
