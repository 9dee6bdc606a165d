"""The Primary's two slots where a bootloader keeps them: which one runs, the next one selected, good ones kept.

Every step may be cut off and is done again at the next start: the record is durable first, and a bootloader is told the
same as often as it takes. It is told to keep new software once the vehicle has decided to, not earlier; that failed
software is bad, once the old runs again: what does not boot must never be all that is left.
"""

from __future__ import annotations

from typing import Final

from primary.needs import AnyNeed, CheckSlot, Mark, MarkSlot, Note, Restart, RunningSlot, Save, Step
from primary.state import INSTALLED, Memory, count_refusal, save_installation
from uptane.errors import Check, Rejected, StorageFailure
from uptane.link.uds_client import Pause
from uptane.machine import Workflow
from uptane.model.reports import Outcome
from uptane.moments import SECOND_MS
from uptane.verify import record
from uptane.verify.found import given_up, is_given_up
from uptane.verify.installation import RUNNING_NEW, Installation

AGAIN_MS: Final = 2 * SECOND_MS  # after a first failure; doubled after each further one
AGAIN_MS_MAX: Final = 60 * SECOND_MS


def save(memory: Memory, installation: Installation) -> Workflow[AnyNeed, None]:
    """Make the next record durable; only then it counts."""
    yield from save_installation(memory, installation, record.dump(installation))


def save_first(memory: Memory, installation: Installation) -> Workflow[AnyNeed, None]:
    """Make the first record durable: from now on it says what each slot holds, whichever of them boots.

    Raises:
        StorageFailure: what runs is not what left the factory, and no record says what it is: we cannot sign for it.
    """
    slot, image = installation.running, installation.image
    try:
        yield from _until_answered(memory, CheckSlot(slot, image))
    except Rejected as refusal:
        raise StorageFailure(
            f"slot {slot} runs, no record says what it is, and it is not the factory image {image.filename}. "
            f"Write that image into slot {slot}, or provision this ECU anew with what runs there. {refusal}"
        ) from refusal
    yield Save(INSTALLED, record.dump(installation))
    memory.installation, memory.recorded = installation, True


def running(memory: Memory) -> Workflow[AnyNeed, int]:
    """The slot that this boot runs. Asked until it is known: without it every report could be a lie."""
    slot = yield from _until_answered(memory, RunningSlot())
    assert slot is not None, "an answer to RunningSlot"
    return slot


def _until_answered(memory: Memory, need: RunningSlot | CheckSlot) -> Workflow[AnyNeed, int | None]:
    """Ask until the installer answers. Raises Rejected: INSTALLER_REFUSED, its no to CheckSlot."""
    pause_ms, said = AGAIN_MS, ""
    while True:
        try:
            answer: int | None = yield need
        except Rejected as refusal:
            if refusal.check is Check.INSTALLER_REFUSED and isinstance(need, CheckSlot):
                raise
            said = yield from _still(memory, refusal, said)
        else:
            return answer
        yield Pause(pause_ms)
        pause_ms = min(2 * pause_ms, AGAIN_MS_MAX)


def go_to(memory: Memory, slot: int, selected: Installation) -> Workflow[AnyNeed, None]:
    """Select `slot`, save `selected`, restart. No return: what runs is not what should, and does nothing else.

    The boot counts even if nothing could be selected: else an installer that never can would keep this ECU here for
    ever, and what runs would not be heard of (found.py adopts it after a few boots).
    """
    pause_ms, said = AGAIN_MS, ""
    while True:
        try:
            try:
                yield MarkSlot(slot, Mark.ACTIVE)
            finally:
                yield from save(memory, selected)
            yield Restart()
        except Rejected as refusal:
            said = yield from _still(memory, refusal, said)
        yield Pause(pause_ms)
        pause_ms = min(2 * pause_ms, AGAIN_MS_MAX)


def settle(memory: Memory) -> Workflow[AnyNeed, None]:
    """After a boot of what is to run: released software is good, and what has failed in the other slot is bad.

    Released software is selected, too: an installer may have selected what it wrote, and we were gone before we took
    that back.
    """
    installation = memory.installation
    if installation.state in RUNNING_NEW:
        return
    yield from _told(memory, installation.home, Mark.ACTIVE)
    yield from _told(memory, installation.home, Mark.GOOD)
    if is_given_up(installation):
        yield from _told(memory, installation.other, Mark.BAD)


def keep(memory: Memory) -> Workflow[AnyNeed, None]:
    """New software that is to stay is good. A failure is made up for at the next start."""
    yield from _told(memory, memory.installation.running, Mark.GOOD)


def check(memory: Memory, started: Installation) -> Workflow[AnyNeed, None]:
    """Look whether the slot that is to be started is as it was installed. Raises Rejected: INSTALLER_*."""
    image = started.images[started.other]
    assert image is not None, "prepare has checked the slot"
    try:
        yield CheckSlot(started.other, image)
    except Rejected as refusal:
        yield from _trouble(memory, refusal)
        raise


def start(memory: Memory) -> Workflow[AnyNeed, None]:
    """Restart into the new image, whose trial is on record.

    Raises:
        Rejected: INSTALLER_*: that cannot be done; the record says that the image was given up.
    """
    installation = memory.installation
    try:
        yield MarkSlot(installation.other, Mark.ACTIVE)
        yield Restart()
    except Rejected as refusal:
        yield from _trouble(memory, refusal)
        yield from save(memory, given_up(installation, Outcome.ROLLED_BACK))
        yield from _told(memory, installation.home, Mark.ACTIVE)
        raise
    raise AssertionError("a restart does not return")


def _told(memory: Memory, slot: int, mark: Mark) -> Workflow[AnyNeed, None]:
    """Tell the bootloader; a failure is reported, and hinders nothing."""
    try:
        yield MarkSlot(slot, mark)
    except Rejected as refusal:
        yield from _trouble(memory, refusal)


def _trouble(memory: Memory, refusal: Rejected) -> Workflow[AnyNeed, None]:
    """Say what is wrong, and count it for the Director."""
    yield Note(Step.TROUBLE, str(refusal))
    yield from count_refusal(memory, refusal.check.code)


def _still(memory: Memory, refusal: Rejected, said: str) -> Workflow[AnyNeed, str]:
    """As _trouble, of what is asked for again and again: counted once, said when it is not what was `said` last."""
    now = str(refusal)
    if now != said:
        yield Note(Step.TROUBLE, f"{now}; asked again until it does; nothing is reported before")
    if not said:
        yield from count_refusal(memory, refusal.check.code)
    return now
