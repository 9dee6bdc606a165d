"""Installing (Uptane 2.1.0, section 5.4.3) into the other slot: erase, write, check, swap, vote, confirm or revert.

Workflows over uptane/verify/installation.py: each asks it for the next record, stores that, and only then acts. Power
may fail between any two needs: what boots next is decided by the record alone, and is whole.
"""

from __future__ import annotations

from secondary.needs import Delete, EraseSlot, HashSlot, Need, Progress, SyncSlot, Verdict, WriteSlot
from secondary.state import State, forget_refusals, install
from uptane.errors import Check, Rejected, StorageFailure
from uptane.machine import Workflow
from uptane.model.metadata import Image
from uptane.model.reports import EcuState, Phase
from uptane.verify import installation
from uptane.verify.image import Assigned, Content, assigned_to, installed_image
from uptane.verify.recheck import recheck
from uptane.verify.states import BLAMED

UNPROVEN = frozenset({EcuState.TRIAL, EcuState.VOTED, EcuState.COMMITTED})
"""States in which every boot of the new image has to pass its self-test."""


def erase(state: State) -> Workflow[Need, None]:
    """Erase the other slot for the assigned image; a slot that is erased for it and untouched is left as it is.

    Raises:
        Rejected: LINK_UNVERIFIED without verified metadata; INSTALL_*; what `recheck` refuses. Nothing is erased.
    """
    assigned, tag = _allowed(state)
    slot = state.installation.other
    if state.untouched == tag:
        installation.write(state.installation)  # raises what an erase would
        return
    before = state.installation
    yield from install(state, installation.erase(before, assigned))
    state.progress[slot] = state.untouched = None
    try:
        yield EraseSlot(slot, tag)
    except StorageFailure:
        yield from install(state, installation.spare(state.installation, before))
        raise
    state.progress[slot] = Progress(tag, 0)
    state.untouched = tag


def begin_image(state: State, offset: int, size: int) -> Workflow[Need, None]:
    """Take the image from `offset` on, which is where the slot's download stands, to its end.

    Raises:
        Rejected: LINK_UNVERIFIED, LINK_SEQUENCE when the slot was not erased for this entry, LINK_RANGE; INSTALL_*.
    """
    assigned, tag = _allowed(state)
    image = installation.check_wanted(state.installation, assigned)
    writing = installation.write(state.installation)
    progress = state.other
    if progress is None or progress.tag != tag:
        raise Rejected(Check.LINK_SEQUENCE, "the slot was not erased for this entry")
    if (offset, size) != (progress.next_offset, image.length - progress.next_offset):
        wanted = f"{image.length - progress.next_offset} octets from {progress.next_offset}"
        raise Rejected(Check.LINK_RANGE, f"{size} octets from {offset}, expected {wanted}")
    yield from install(state, writing)


def write_block(state: State, octets: bytes) -> Workflow[Need, None]:
    """Write the next octets of what `begin_image` began."""
    slot = state.installation.other
    progress = state.progress[slot]
    assert progress is not None, "begin_image has looked"
    assert state.installation.images[slot] is None, "nothing is known of a slot that is written"
    state.untouched = None
    yield WriteSlot(slot, progress.next_offset, octets)
    state.progress[slot] = Progress(progress.tag, progress.next_offset + len(octets))


def end_image(state: State) -> Workflow[Need, None]:
    """Make the whole image durable."""
    yield SyncSlot(state.installation.other)


def check_image(state: State) -> Workflow[Need, None]:
    """Hash what the other slot holds; if it is the assigned image, the ECU is prepared.

    Raises:
        Rejected: LINK_UNVERIFIED, LINK_SEQUENCE when the download is not complete; INSTALL_*; what `recheck` refuses.
    """
    assigned, tag = _allowed(state)
    image = installation.check_wanted(state.installation, assigned)
    slot = state.installation.other
    if held_octets(state, image, tag) != image.length:
        raise Rejected(Check.LINK_SEQUENCE, "the download is not complete")
    yield SyncSlot(slot)  # the end of the transfer may have been lost to a power cut
    content: Content = yield HashSlot(slot, image.length)
    try:
        prepared = installation.prepare(state.installation, assigned, content)
    except Rejected as refused:
        if refused.check in {Check.INSTALL_HASH, Check.INSTALL_LENGTH}:
            state.progress[slot] = None  # it has to be erased and written again
        raise
    yield from install(state, prepared)


def held_octets(state: State, image: Image, tag: bytes) -> int:
    """How many octets of the assigned image the other slot holds, as far as its download or an earlier check tells."""
    slot = state.installation.other
    if state.installation.images[slot] == installed_image(image):
        return image.length
    progress = state.progress[slot]
    return progress.next_offset if progress is not None and progress.tag == tag else 0


def check_dependencies(state: State) -> None:
    """Does anything hinder activation, but an order that may still come?

    Raises:
        Rejected: INSTALL_STATE, TIME_UNATTESTED, what `recheck` refuses.
    """
    if state.installation.state is not EcuState.PREPARED:
        raise Rejected(Check.INSTALL_STATE, f"{state.installation.state.value}, not prepared")
    if not state.held.clock.attested:
        raise Rejected(Check.TIME_UNATTESTED)
    _recheck(state)


def prepare_restart(state: State) -> Workflow[Need, None]:
    """Before a restart that was asked for: start the new image if that is due, hashing it once more.

    Raises:
        Rejected: it is due, but TIME_UNATTESTED, INSTALL_HASH, INSTALL_STATE, or what `recheck` refuses. INSTALL_STATE
            also while a new image tests itself: whoever could restart it then, could have it given up as unbootable.
    """
    now = state.installation
    if state.testing and is_unproven(state):
        raise Rejected(Check.INSTALL_STATE, "the new image is testing itself")
    due = now.state is EcuState.PREPARED and (now.last_phase is Phase.ACTIVATE or now.coordinator is None)
    if not due:
        return
    assigned = _recheck(state)
    image = now.images[now.other]
    assert image is not None, "prepare has checked the slot"
    content: Content = yield HashSlot(now.other, image.length)
    attested = state.held.clock.attested
    yield from install(state, installation.start(now, assigned, content, attested=attested))


def is_unproven(state: State) -> bool:
    """Whether a new image runs whose self-test has to be asked at this boot."""
    now = state.installation
    return now.state in UNPROVEN and now.running == now.other


def is_reverting(state: State) -> bool:
    """Whether the new image runs still though it was given up: the next restart boots the released one."""
    now = state.installation
    return now.state not in UNPROVEN and now.running != now.home


def boot(state: State) -> Workflow[Need, Check | None]:
    """Decide which slot boots, durably before it does; return the check to report when this boot gives an image up."""
    before = state.installation
    slot, booted = installation.boot(before)
    yield from install(state, booted)
    assert slot == state.installation.running
    while state.dropped:
        yield Delete(state.dropped[-1])
        state.dropped.pop()
    yield from follow(state)
    return BLAMED.get(booted.outcome) if booted.outcome is not before.outcome else None


def follow(state: State) -> Workflow[Need, None]:
    """After Targets were stored, and at every start: a prepared bundle is bound to them, or given up for another."""
    if state.targets is not None:
        assigned = assigned_to(state.facts.verifier.hasher, state.targets.value, state.facts.own.ecu)
        yield from install(state, installation.follow(state.installation, assigned))


def vote(state: State, verdict: Verdict) -> Workflow[Need, Check | None]:
    """Take the self-test's word; return the check to be reported if the new image failed.

    Without a coordinator a passed test confirms the image at once, in one record.
    """
    before = state.installation
    if not is_unproven(state):
        return None  # rolled back by order while the test ran
    voted = installation.vote(before, passed=verdict is Verdict.PASSED)
    if voted.state is EcuState.VOTED and voted.coordinator is None:
        voted = installation.confirm(voted)
    yield from install(state, voted)
    if voted.state is EcuState.RELEASED:
        yield from forget_refusals(state)
    return BLAMED.get(voted.outcome) if voted.state is EcuState.IDLE else None


def _allowed(state: State) -> tuple[Assigned, bytes]:
    """What is assigned and the digest of its entry, if verified metadata that still stand say so."""
    if state.targets is None:
        raise Rejected(Check.LINK_UNVERIFIED, "no verified Director Targets are stored")
    assigned = _recheck(state)
    tag = state.tag()
    if tag is None:
        raise Rejected(Check.INSTALL_NO_ENTRY)
    return assigned, tag


def _recheck(state: State) -> Assigned:
    """What the stored Targets say to this ECU, if all that is stored still stands and vouches for it.

    Raises:
        Rejected: DELEGATION_INVALID; and what `recheck` refuses.
    """
    if state.is_lacking:
        raise Rejected(Check.DELEGATION_INVALID, "a stored file was lost, or an older copy of it came back")
    return recheck(state.facts.verifier, state.held_now, state.facts.own.ecu)
