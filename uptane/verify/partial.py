"""Partial verification (Uptane 2.1.0, section 5.4.4.1): the Director's Targets alone, under the stored Root and time.

Root links and the time come before, one by one (chain.py). No entry for this ECU is a normal answer: it does nothing
then, keeps the file it acted on, and takes no older Targets any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from uptane.machine import Workflow
from uptane.model.ids import Repository
from uptane.model.metadata import Assignment, DirectorTargets
from uptane.model.signed import Verified
from uptane.verify.image import Assigned, assigned_to, check_own, check_previous, check_released, installed_image
from uptane.verify.needs import Drop, Keep, Need
from uptane.verify.roles import check_targets
from uptane.verify.root import check_root_expiry
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import PREVIOUS_FILE, TARGETS_FILE, Held, Trusted, Vehicle


@dataclass(frozen=True, slots=True)
class Partial:
    """What partial verification has found. `changed` is False when these very Targets were stored before."""

    held: Held
    assigned: Assigned
    assignment: Assignment | None
    changed: bool


def partial(verifier: Verifier, held: Held, vehicle: Vehicle, *, octets: bytes) -> Workflow[Need, Partial]:
    """Verify and Keep a Director Targets delivered as `octets`.

    Raises:
        Rejected: ROOT_EXPIRED, TARGETS_*, INSTALL_*, IMAGE_COUNTER; SPEAKER, KIND, LEVEL, LENGTH. Nothing is kept.
        Malformed: it is no Targets, or this ECU's entry is not in canonical form. Nothing is kept.
    """
    own, utc = vehicle.own, held.clock.time
    check_root_expiry(held.director.root, utc)
    targets = check_targets(verifier, octets, held.director, DirectorTargets, listed=None, utc=utc)
    assignment = targets.value.entries.find(own.ecu)
    if assignment is not None:
        check_own(assignment, own)
        check_counters(assignment, held.director, vehicle)
    before = held.director.targets
    changed = before is None or before.message != targets.message
    if before is not None and not changed:
        # The same file, whatever its signatures. Else anybody who has heard it could have it stored for ever, each time
        # with other signatures that count for nothing.
        targets = before
    director = replace(held.director, targets=targets, previous=previous_of(held.director, targets, vehicle))
    yield from keep_targets(held.director, director)
    assigned = assigned_to(verifier.hasher, targets.value, own.ecu)
    return Partial(replace(held, director=director), assigned, assignment, changed)


def check_counters(entry: Assignment, trusted: Trusted[DirectorTargets], vehicle: Vehicle) -> None:
    """Refuse an image with a lower release counter than the previous Targets', or the ECU's released one.

    An entry for what runs installs nothing, and is no rollback: this is how a Director gives up an update.

    Raises:
        Rejected: IMAGE_COUNTER, INSTALL_COUNTER.
        Malformed: the previous entry is not in canonical form.
    """
    if vehicle.installed.get(entry.ecu) == installed_image(entry.image):
        return
    for file in (trusted.targets, trusted.previous):
        if file is not None:
            check_previous(entry, file.value.entries.find(entry.ecu))
    check_released(entry.image, vehicle.released.get(entry.ecu, 0))


def previous_of(
    trusted: Trusted[DirectorTargets], targets: Verified[DirectorTargets], vehicle: Vehicle
) -> Verified[DirectorTargets] | None:
    """The latest Targets with an entry for this ECU, when the new ones have none (verify_image/2)."""
    if targets.value.entries.find(vehicle.own.ecu) is not None:
        return None
    if trusted.targets is not None and trusted.targets.value.entries.find(vehicle.own.ecu) is not None:
        return trusted.targets
    return trusted.previous


def keep_targets(old: Trusted[DirectorTargets], new: Trusted[DirectorTargets]) -> Workflow[Need, None]:
    """Keep the new Director Targets; the previous ones are kept before they are replaced, and dropped after."""
    assert new.targets is not None
    if new.previous is not None and new.previous is not old.previous:
        yield Keep(Repository.DIRECTOR, PREVIOUS_FILE, new.previous.octets)
    if old.targets is None or old.targets.octets != new.targets.octets:
        yield Keep(Repository.DIRECTOR, TARGETS_FILE, new.targets.octets)
    if new.previous is None and old.previous is not None:
        yield Drop(Repository.DIRECTOR, PREVIOUS_FILE)
