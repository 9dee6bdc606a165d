"""A boot that this software did not decide: a bootloader has chosen the slot, and may have fallen back by itself.

The record says which slot is to run; the bootloader says which one does. Where they differ, the truth is what runs: a
new image that does not is given up, and never reported; an old one that ought to run is selected again, a few times.
Pure functions like installation.py's; used by an ECU whose slots an installer outside of it keeps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from uptane.errors import StorageFailure
from uptane.model.reports import EcuState, Outcome
from uptane.verify.installation import RUNNING_NEW, Installation, boot, reverted

SELECTED_MAX: Final = 2  # what runs meanwhile may have three boots of its own left, and the last must be ours

_FAILED: Final = frozenset({Outcome.ROLLED_BACK, Outcome.SELF_TEST_FAILED, Outcome.UNBOOTABLE})


def pristine(installation: Installation, running: int) -> Installation:
    """The record of an ECU that has never saved one: what left the factory is in whichever slot it has booted."""
    first, second = installation.images
    images = (second, first) if running != installation.home else (first, second)
    return replace(installation, images=images, home=running, running=running)


def boot_found(installation: Installation, running: int) -> tuple[int, Installation]:
    """The slot that is to run, and the record before anything else is done, when `running` has been booted.

    Where they differ, the slot returned has to be selected, `selected` made durable, and the ECU restarted: nothing is
    reported before that.

    Raises:
        StorageFailure: nothing known runs, however often the released slot was selected: only a person can help.
    """
    wanted, booted = boot(installation)
    if wanted == running:
        return wanted, booted if booted.state in RUNNING_NEW else replace(booted, boots=0)
    if running == installation.home:
        return running, given_up(installation, Outcome.UNBOOTABLE)
    if booted.boots < SELECTED_MAX:
        return wanted, booted
    return running, _adopted(booted, running)


def selected(installation: Installation) -> Installation:
    """The record before the restart into the slot that ought to run, which the bootloader has been told."""
    return replace(installation, boots=installation.boots + 1)


def given_up(installation: Installation, outcome: Outcome) -> Installation:
    """The record of an ECU whose new image was to run, and whose old one does: this bundle is not tried again."""
    assert installation.state in RUNNING_NEW, "only a new image can be given up"
    idle = replace(installation, running=installation.home)
    return reverted(idle, outcome)


def is_given_up(installation: Installation) -> bool:
    """Whether the other slot holds an image that was tried and has failed."""
    other = installation.images[installation.other]
    return installation.state is EcuState.IDLE and installation.outcome in _FAILED and other is not None


def _adopted(installation: Installation, running: int) -> Installation:
    """What runs is what there is: the slot that ought to run does not boot any more."""
    if installation.images[running] is None:
        raise StorageFailure(
            f"slot {running} boots, of unknown content, and slot {installation.home} does not, though selected "
            f"{SELECTED_MAX} times: look at the bootloader, then write a known image and provision this ECU anew"
        )
    adopted = replace(installation, home=running, running=running, state=EcuState.IDLE, boots=0)
    if installation.bundle is None:
        return replace(adopted, outcome=Outcome.UNBOOTABLE)
    return reverted(adopted, Outcome.UNBOOTABLE)
