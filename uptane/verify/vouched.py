"""Whether what is held of the Image repository still vouches for what the Director assigns, without asking anybody.

Full verification keeps every file it went by before it keeps the Director's Targets. A file may be lost afterwards, or
an older copy of it come back, with the disk it lay on: then the assignment stands there without the word it was taken
on, and without anybody's expiry to be judged by.
"""

from __future__ import annotations

from collections.abc import Iterable

from uptane.errors import Check, Rejected
from uptane.machine import Workflow
from uptane.model.ids import EcuId, HardwareId
from uptane.model.metadata import Assignment, DirectorTargets
from uptane.model.signed import Verified
from uptane.verify.delegations import Found, Resolver, Wanted
from uptane.verify.image import check_match, installed_image
from uptane.verify.needs import Fetch
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import Held, Vehicle


def check_vouched(verifier: Verifier, held: Held, vehicle: Vehicle, targets: Verified[DirectorTargets]) -> None:
    """Refuse `targets` when what is held does not vouch for every image of theirs that this ECU judges.

    Entries for what runs need nobody's word; and when there are no others, the Image repository was never asked.

    Raises:
        Rejected: DELEGATION_INVALID when a file is not held; and what `Resolver.find` and `check_match` refuse.
        Malformed: an entry is not in canonical form.
    """
    entries = list(_judged(targets.value, vehicle))
    if held.image is None or all(vehicle.installed.get(entry.ecu) == installed_image(entry.image) for entry in entries):
        return
    if held.image.snapshot is None or held.image.targets is None:
        raise Rejected(Check.DELEGATION_INVALID, "the Image repository's files are not held")
    resolver = Resolver(verifier, held.image, held.clock.time)
    for entry in entries:
        found = find_at_hand(resolver, entry, hardware_of(vehicle, entry.ecu))
        if found is None:
            raise Rejected(Check.DELEGATION_INVALID, f"what vouched for {entry.image.filename} is not held")
        check_match(entry.image, found.image)


def find_at_hand(resolver: Resolver, entry: Assignment, hardware: HardwareId) -> Found | None:
    """What the held files say of an entry's image; None when a file would have to be fetched.

    Raises: as `Resolver.find`.
    """
    search: Workflow[Fetch, Found] = resolver.find(Wanted(entry.image.filename, hardware))
    try:
        next(search)
    except StopIteration as ended:
        found: Found = ended.value
        return found
    search.close()
    return None


def hardware_of(vehicle: Vehicle, ecu: EcuId) -> HardwareId:
    """The hardware of an ECU whose entry `vehicle` judges."""
    return vehicle.own.hardware if vehicle.hardware is None else vehicle.hardware[ecu]


def _judged(targets: DirectorTargets, vehicle: Vehicle) -> Iterable[Assignment]:
    if vehicle.hardware is not None:
        return targets.entries
    own = targets.entries.find(vehicle.own.ecu)
    return () if own is None else (own,)
