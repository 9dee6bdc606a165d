"""Full verification (Uptane 2.1.0, section 5.4.4.2), step by step: what Primaries run, and Secondaries that can.

Nothing of a repository is kept before all of it holds, but Root links, which only lead forward. The Director's Targets
are kept last: where they are stored, every image they assign was matched, or ran already. So a power cut at any point
costs a cycle and nothing else. The Standard's step numbers stand beside the code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from uptane.errors import Check, Malformed, Rejected
from uptane.machine import Workflow
from uptane.model.ids import TOP_TARGETS, Bundle, EcuId, MetaName, Repository, Role, RoleName
from uptane.model.limits import (
    SNAPSHOT_LENGTH_MAX,
    TIMESTAMP_LENGTH_MAX,
)
from uptane.model.metadata import Assignment, DirectorTargets, ImageTargets, Snapshot, Timestamp
from uptane.model.signed import Verified
from uptane.moments import UtcTime
from uptane.verify.chain import set_time, walk_roots
from uptane.verify.delegations import Found, Resolver, Wanted
from uptane.verify.image import bundle_of, check_match, check_own, installed_image
from uptane.verify.needs import Drop, Fetch, Keep, Need
from uptane.verify.partial import check_counters, keep_targets, previous_of
from uptane.verify.recheck import recheck
from uptane.verify.roles import (
    SNAPSHOT,
    TARGETS,
    TARGETS_LENGTHS,
    check_ecus,
    check_expiry,
    check_snapshot,
    check_targets,
    check_timestamp,
    fetch_limit,
    is_listed,
)
from uptane.verify.root import check_root_expiry
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import (
    SNAPSHOT_FILE,
    TARGETS_FILE,
    TIMESTAMP_FILE,
    Held,
    TargetsT,
    Trusted,
    Vehicle,
    role_file,
)
from uptane.verify.vouched import find_at_hand, hardware_of


@dataclass(frozen=True, slots=True)
class Match:
    """An assignment both repositories vouch for; `roles` are the delegated roles read on the way, in that order.

    A full Secondary needs them all to come to the same result.
    """

    assignment: Assignment
    roles: tuple[RoleName, ...]


@dataclass(frozen=True, slots=True)
class Full:
    """What full verification has found.

    `matches` names every ECU the Director's Targets speak of (on a Secondary: this one), and is empty when there is
    nothing to install that does not run already (steps 4 and 6). `changed` is False when these very Targets were
    stored before.
    """

    held: Held
    targets: Verified[DirectorTargets]
    bundle: Bundle
    changed: bool
    matches: Mapping[EcuId, Match] = field(default_factory=dict)

    @property
    def nothing_new(self) -> bool:
        """Nothing is to be installed. That ends a verification, never a transaction."""
        return not self.matches


def full(
    verifier: Verifier, held: Held, vehicle: Vehicle, *, attestation: bytes | None = None, nonce: bytes = b""
) -> Workflow[Need, Full]:
    """Verify what both repositories offer, and Keep it.

    `attestation` is the time service's answer to `nonce`; without one the latest attested time counts.

    Raises:
        Rejected: whatever check refuses. Root links and the time stand; nothing else of this cycle is kept.
        Malformed: something fetched is no message, or an entry not canonical. As above.
    """
    whole = vehicle.hardware is not None
    held = yield from walk_roots(verifier, held, Repository.DIRECTOR, keep_links=whole)  # 2
    if attestation is not None:  # 1: under the newest Root, and before any expiry is judged
        held = yield from set_time(verifier, held, attestation=attestation, nonce=nonce)
    before, utc = held.director, held.clock.time
    director = yield from refreshed(verifier, before, DirectorTargets, utc)  # 3, 4, 5
    targets = director.targets
    assert targets is not None
    director = replace(director, previous=previous_of(before, targets, vehicle))
    changed = before.targets is None or before.targets.message != targets.message
    entries = _own_part(targets.value, vehicle)
    matches: Mapping[EcuId, Match] = {}
    if all(_runs(entry, vehicle) for entry in entries):  # 6
        if targets.value.refresh_image_root and changed:
            held = yield from walk_roots(verifier, held, Repository.IMAGE, keep_links=whole)
            check_root_expiry(_image(held).root, utc)
    else:
        at_hand = None if changed else _matched_at_hand(verifier, held, vehicle, entries)
        if at_hand is None:
            held, matches = yield from _match_anew(verifier, held, vehicle, entries)  # 6 to 10
        else:
            matches = at_hand
    yield from _keep_director(before, director)
    held = replace(held, director=director)
    return Full(held, targets, bundle_of(verifier.hasher, targets.value), changed, matches)


def _own_part(targets: DirectorTargets, vehicle: Vehicle) -> Sequence[Assignment]:
    """The entries this ECU judges: all of them on a Primary, which knows every ECU; its own on a Secondary.

    Raises:
        Rejected: TARGETS_ECU_UNKNOWN, TARGETS_HARDWARE; and what this ECU itself cannot take (INSTALL_*).
        Malformed: an entry is not in canonical form.
    """
    own = targets.entries.find(vehicle.own.ecu)
    if vehicle.hardware is None:
        entries = [] if own is None else [own]
    else:
        check_ecus(targets, vehicle.hardware)
        entries = list(targets.entries)
    if own is not None:
        check_own(own, vehicle.own)
    return entries


def _runs(entry: Assignment, vehicle: Vehicle) -> bool:
    return vehicle.installed.get(entry.ecu) == installed_image(entry.image)


def _image(held: Held) -> Trusted[ImageTargets]:
    assert held.image is not None, "full verification needs both repositories"
    return held.image


def _match_anew(
    verifier: Verifier, held: Held, vehicle: Vehicle, entries: Sequence[Assignment]
) -> Workflow[Need, tuple[Held, Mapping[EcuId, Match]]]:
    """Steps 6 to 10: refresh the Image repository's metadata, match every entry, then Keep them."""
    held = yield from walk_roots(verifier, held, Repository.IMAGE, keep_links=vehicle.hardware is not None)  # 6
    before, utc = _image(held), held.clock.time
    image = yield from refreshed(verifier, before, ImageTargets, utc)  # 7, 8, 9
    resolver = Resolver(verifier, image, utc)
    matches: dict[EcuId, Match] = {}
    for entry in entries:
        matches[entry.ecu] = yield from _match(resolver, held.director, vehicle, entry=entry)  # 10
    image = replace(image, delegated=resolver.files)
    yield from keep_image(before, image)
    return replace(held, image=image), matches


def _matched_at_hand(
    verifier: Verifier, held: Held, vehicle: Vehicle, entries: Sequence[Assignment]
) -> Mapping[EcuId, Match] | None:
    """Match against what is held, when the Director has nothing new; None when the Image repository has to be asked."""
    matches: dict[EcuId, Match] = {}
    try:
        recheck(verifier, held, vehicle.own.ecu)
        resolver = Resolver(verifier, _image(held), held.clock.time)
        for entry in entries:
            found = find_at_hand(resolver, entry, hardware_of(vehicle, entry.ecu))
            if found is None:
                return None
            matches[entry.ecu] = _agreed(entry, found, held.director, vehicle)
    except (Malformed, Rejected):
        return None
    return matches


def _match(
    resolver: Resolver, trusted: Trusted[DirectorTargets], vehicle: Vehicle, *, entry: Assignment
) -> Workflow[Fetch, Match]:
    """Step 10 for one entry; `trusted` is what the Director said before.

    Raises:
        Rejected: IMAGE_MISMATCH, IMAGE_COUNTER, INSTALL_COUNTER; and what `Resolver.find` refuses.
    """
    found = yield from resolver.find(Wanted(entry.image.filename, hardware_of(vehicle, entry.ecu)))  # 10.1
    return _agreed(entry, found, trusted, vehicle)


def _agreed(entry: Assignment, found: Found, trusted: Trusted[DirectorTargets], vehicle: Vehicle) -> Match:
    check_match(entry.image, found.image)  # 10.2.1, 10.2.2
    check_counters(entry, trusted, vehicle)  # 10.2.3
    return Match(entry, found.roles)


def refreshed(
    verifier: Verifier, trusted: Trusted[TargetsT], kind: type[TargetsT], utc: UtcTime
) -> Workflow[Need, Trusted[TargetsT]]:
    """Timestamp, Snapshot and Targets of one repository as it offers them now; what has not changed is not fetched.

    Expiry is judged of all three, changed or not: else whoever holds back news could do so for ever.
    """
    check_root_expiry(trusted.root, utc)
    octets: bytes | None = yield Fetch(trusted.repository, MetaName(Role.TIMESTAMP.value), TIMESTAMP_LENGTH_MAX)
    if octets is None:
        raise Rejected(Check.TIMESTAMP_MISSING)
    timestamp = check_timestamp(verifier, octets, trusted, utc=utc)
    snapshot = yield from _snapshot(verifier, trusted, timestamp, utc)
    targets = yield from _targets(verifier, trusted, kind, snapshot=snapshot, utc=utc)
    return replace(trusted, timestamp=timestamp, snapshot=snapshot, targets=targets)


def _snapshot(
    verifier: Verifier, trusted: Trusted[TargetsT], timestamp: Verified[Timestamp], utc: UtcTime
) -> Workflow[Fetch, Verified[Snapshot]]:
    named = timestamp.value.snapshot
    if trusted.snapshot is not None and is_listed(verifier, trusted.snapshot, named):  # 4, 8
        check_expiry(trusted.snapshot, SNAPSHOT, utc)
        return trusted.snapshot
    limit = fetch_limit(named, SNAPSHOT_LENGTH_MAX)
    octets: bytes | None = yield Fetch(trusted.repository, MetaName(Role.SNAPSHOT.value, named.version), limit)
    if octets is None:
        raise Rejected(Check.SNAPSHOT_MISSING, f"version {named.version}")
    return check_snapshot(verifier, octets, trusted, timestamp=timestamp, utc=utc)


def _targets(
    verifier: Verifier,
    trusted: Trusted[TargetsT],
    kind: type[TargetsT],
    *,
    snapshot: Verified[Snapshot],
    utc: UtcTime,
) -> Workflow[Fetch, Verified[TargetsT]]:
    entry = snapshot.value.files.find(TOP_TARGETS)
    if entry is None:
        raise Rejected(Check.TARGETS_NOT_LISTED, TOP_TARGETS)
    # Asked for even when the Snapshot is the stored one: power may have failed before the Targets were kept.
    if trusted.targets is not None and is_listed(verifier, trusted.targets, entry.info):
        check_expiry(trusted.targets, TARGETS, utc)
        return trusted.targets
    limit = fetch_limit(entry.info, TARGETS_LENGTHS[trusted.repository])
    octets: bytes | None = yield Fetch(trusted.repository, MetaName(TOP_TARGETS, entry.info.version), limit)
    if octets is None:
        raise Rejected(Check.TARGETS_MISSING, f"version {entry.info.version}")
    return check_targets(verifier, octets, trusted, kind, listed=entry.info, utc=utc)


def _keep_above(old: Trusted[TargetsT], new: Trusted[TargetsT]) -> Workflow[Need, None]:
    assert new.timestamp is not None
    assert new.snapshot is not None
    if old.timestamp is None or old.timestamp.octets != new.timestamp.octets:
        yield Keep(new.repository, TIMESTAMP_FILE, new.timestamp.octets)
    if old.snapshot is None or old.snapshot.octets != new.snapshot.octets:
        yield Keep(new.repository, SNAPSHOT_FILE, new.snapshot.octets)


def _keep_director(old: Trusted[DirectorTargets], new: Trusted[DirectorTargets]) -> Workflow[Need, None]:
    yield from _keep_above(old, new)
    yield from keep_targets(old, new)


def keep_image(old: Trusted[ImageTargets], new: Trusted[ImageTargets]) -> Workflow[Need, None]:
    """Also the delegated files that were read; others go: the Snapshot still holds their versions."""
    yield from _keep_above(old, new)
    assert new.targets is not None
    if old.targets is None or old.targets.octets != new.targets.octets:
        yield Keep(new.repository, TARGETS_FILE, new.targets.octets)
    for name, file in new.delegated.items():
        kept = old.delegated.get(name)
        if kept is None or kept.octets != file.octets:
            yield Keep(new.repository, role_file(name), file.octets)
    for name in old.delegated:
        if name not in new.delegated:
            yield Drop(new.repository, role_file(name))
