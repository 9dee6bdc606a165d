"""The Primary as one of the ECUs: its own two slots, its boots, its vote, its part in the transaction.

The rules are uptane/verify/installation.py's, the same that every Secondary obeys; each step here makes the next record
durable before it acts by it. What "runs" is a selection of a slot: activating is a restart of this software, which then
boots from the slot the record names; or, where a bootloader keeps the slots, from the one that slots.py has it select.
Absence of a network never reverts.
"""

from __future__ import annotations

from typing import Final

from primary import slots
from primary.download import blob_of
from primary.journal import Stage
from primary.means import Means
from primary.needs import (
    BLOCK_LENGTH,
    AnyNeed,
    Blob,
    EraseBlob,
    InstallSlot,
    Measure,
    Note,
    Place,
    ReadBlob,
    Restart,
    SelfTest,
    Step,
    WriteBlob,
)
from primary.plan import Plan
from primary.state import Memory, save_filling, save_refusals
from uptane.errors import Check, Rejected
from uptane.machine import Workflow
from uptane.model.metadata import Image
from uptane.model.reports import EcuState, Phase
from uptane.verify import installation as install
from uptane.verify.found import boot_found, pristine, selected
from uptane.verify.image import Assigned, Content, installed_image
from uptane.verify.orders import check_order
from uptane.verify.recheck import recheck

SLOTS: Final = (Blob(Place.SLOT_0), Blob(Place.SLOT_1))

_NEW_RUNS: Final = frozenset({EcuState.TRIAL, EcuState.VOTED, EcuState.COMMITTED})
_FORWARD: Final = frozenset({Stage.COMMITTING, Stage.RELEASING})
_BEGINS_ANEW: Final = frozenset({Check.INSTALL_HASH, Check.INSTALL_LENGTH, Check.INSTALLER_REFUSED})


def save(memory: Memory, installation: install.Installation) -> Workflow[AnyNeed, None]:
    """Make the next record durable; only then it counts."""
    yield from slots.save(memory, installation)


def boot(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Choose the slot that this start runs, as the record says; count the boot before anything else is done.

    Raises StorageFailure when a bootloader runs what nobody knows, or, without a record, not the factory's image.
    """
    before = memory.installation.state
    if means.bootloader:
        running = yield from slots.running(memory)
        if not memory.recorded:
            yield from slots.save_first(memory, pristine(memory.installation, running))
        slot, booted = boot_found(memory.installation, running)
    else:
        slot, booted = install.boot(memory.installation)
        running = slot
    yield from save(memory, booted)
    if booted.state is not before:
        yield Note(Step.TROUBLE, f"back in slot {slot}: {booted.outcome.value}", None)
    if slot != running:
        yield Note(Step.TROUBLE, f"slot {running} was booted, and slot {slot} is to run")
        yield from slots.go_to(memory, slot, selected(booted))
    if means.bootloader:
        yield from slots.settle(memory)


def is_new(memory: Memory) -> bool:
    """Whether this boot runs software that has not been released."""
    return memory.installation.state in _NEW_RUNS


def vote(means: Means, memory: Memory, *, passed: bool) -> Workflow[AnyNeed, None]:
    """Say whether the software that this boot runs is good; after a no, restart into what is left.

    A no to software that has voted before only counts the boot: the third one falls back.
    """
    yield from save(memory, install.vote(memory.installation, passed=passed))
    if not passed:
        yield from restart(means, memory)
    if memory.installation.state is EcuState.COMMITTED and means.bootloader:
        yield from slots.keep(memory)
    else:
        yield from keep_decided(means, memory)


def keep_decided(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Have the bootloader keep what this boot runs, and has voted for, if our journal says that the vehicle commits.

    Not only once we are committed ourselves: that waits for every other ECU, and each ignition until then would cost
    one of the tries of software that there is no way back from.
    """
    journal, installation = memory.transactions.journal, memory.installation
    if not means.bootloader or journal is None or journal.stage not in _FORWARD:
        return
    ours = means.layout.ecu in journal.counting() and journal.bundle == installation.bundle
    if ours and installation.state in {EcuState.VOTED, EcuState.COMMITTED}:
        yield from slots.keep(memory)


def restart(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Restart into what the record says is to run next. No return."""
    if not means.bootloader:
        yield Restart()
    slot, _ = install.boot(memory.installation)
    yield from slots.go_to(memory, slot, memory.installation)


def self_test(means: Means, memory: Memory) -> Workflow[AnyNeed, bool]:
    """Whether the running slot holds what the record says, and this ECU's own test passes."""
    image = memory.installation.image
    content = yield from measure(means, SLOTS[memory.installation.running])
    if (content.length, content.sha256) != (image.length, image.sha256) and is_new(memory):
        return False
    passed: bool = yield SelfTest()
    return passed


# ----------------------------------------------------------------------------------------------------- preparing


def follow(means: Means, memory: Memory, plan: Plan) -> Workflow[AnyNeed, None]:
    """After newer Targets: bound to them if the bundle is the same, cancelled if not; nothing once activated."""
    yield from save(memory, install.follow(memory.installation, plan.assigned(means.layout.ecu)))


def is_prepared(memory: Memory, plan: Plan) -> bool:
    """Whether this ECU holds its image of this bundle, checked and ready."""
    return memory.installation.state is EcuState.PREPARED and memory.installation.bundle == plan.bundle


def prepare(means: Means, memory: Memory, plan: Plan) -> Workflow[AnyNeed, None]:
    """Put the assigned image from the cache into the other slot, check it there, and be prepared.

    Raises:
        Rejected: INSTALL_*: this ECU may not take it, or the slot does not hold what was written; INSTALLER_*.
        StorageFailure: no room.
    """
    assigned = plan.assigned(means.layout.ecu)
    current = memory.installation
    if is_prepared(memory, plan):
        return
    image = install.check_wanted(current, assigned)
    slot = SLOTS[current.other]
    if current.images[current.other] != installed_image(image):
        yield from _write(means, memory, assigned, image)
    try:
        content = yield from measure(means, slot)
        prepared = install.prepare(memory.installation, assigned, content)
        if means.bootloader:  # only now, the octets being those that were signed, anybody else gets to see them
            yield InstallSlot(current.other, installed_image(image))
        yield from save(memory, prepared)
    except Rejected as refusal:
        if refusal.check in _BEGINS_ANEW:
            yield from save_filling(memory, b"")
        raise


def _write(means: Means, memory: Memory, assigned: Assigned, image: Image) -> Workflow[AnyNeed, None]:
    """Erase the other slot, unless an earlier start was writing this very image to it, and write what is missing."""
    slot = SLOTS[memory.installation.other]
    held: int = yield Measure(slot)
    if memory.filling != image.sha256 or held > image.length:
        yield from save(memory, install.erase(memory.installation, assigned))
        yield from save_filling(memory, b"")
        yield EraseBlob(slot)
        yield from save_filling(memory, image.sha256)
        held = 0
    yield from save(memory, install.write(memory.installation))
    yield from _fill(means, image, slot, held)


def _fill(means: Means, image: Image, slot: Blob, held: int) -> Workflow[AnyNeed, None]:
    """Copy `image` from the cache into `slot`, from octet `held` on."""
    at = held
    while at < image.length:
        octets: bytes = yield ReadBlob(blob_of(image), at, min(BLOCK_LENGTH, image.length - at))
        if not octets:
            raise Rejected(Check.INSTALL_LENGTH, f"the cache holds {at} of {image.length} octets")
        yield WriteBlob(slot, at, octets, last=at + len(octets) == image.length)
        at += len(octets)
        yield Note(Step.TRANSFER, image.filename, means.layout.ecu, at, image.length)


# --------------------------------------------------------------------------------------------------- transaction


def start(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Start the new image, which has been ordered (or has no coordinator): the next boot is its trial. No return.

    Raises:
        Rejected: TIME_UNATTESTED; INSTALL_*: it may not be started; INSTALLER_*: it cannot be.
    """
    current = memory.installation
    assigned = recheck(means.verifier, memory.held, means.layout.ecu)
    content = yield from measure(means, SLOTS[current.other])
    attested = memory.held.clock.attested
    started = install.start(current, assigned, content, attested=attested)
    if means.bootloader:
        yield from slots.check(memory, started)
    yield from save(memory, started)
    if means.bootloader:
        yield from slots.start(memory)
    else:
        yield Restart()


def obey(means: Means, memory: Memory, octets: bytes) -> Workflow[AnyNeed, None]:
    """Take an order as any ECU does: its signature, its place and its phase are checked.

    Raises:
        Rejected: ORDER_*, INSTALL_STATE.
    """
    targets = memory.held.director.targets
    newest = None if targets is None else targets.value.coordinator
    vehicle = means.layout.vehicle
    order = check_order(means.verifier, octets, memory.installation, vehicle=vehicle, newest=newest)
    yield from save(memory, install.obey(memory.installation, order))
    if order.value.phase is Phase.RELEASE:
        yield from save_refusals(memory, {})
    if means.bootloader and order.value.phase is Phase.COMMIT:
        yield from slots.keep(memory)


def confirm(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Release ourselves: only without a coordinator. Raises Rejected: INSTALL_STATE."""
    yield from save(memory, install.confirm(memory.installation))
    yield from save_refusals(memory, {})
    if means.bootloader:
        yield from slots.keep(memory)


def runs_old(memory: Memory) -> bool:
    """Whether this boot runs the released software; if not, and the state is idle, a restart is due."""
    return memory.installation.running == memory.installation.home


def measure(means: Means, slot: Blob) -> Workflow[AnyNeed, Content]:
    """Read all of a slot: its length and hashes."""
    sha256, sha512 = means.hasher.running256(), means.hasher.running512()
    at = 0
    while True:
        octets: bytes = yield ReadBlob(slot, at, BLOCK_LENGTH)
        if not octets:
            return Content(at, sha256.digest(), sha512.digest())
        sha256.update(octets)
        sha512.update(octets)
        at += len(octets)
