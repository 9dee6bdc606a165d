"""check_timestamp, check_snapshot, check_targets (Uptane 2.1.0, sections 5.4.4.4 to 5.4.4.6).

Each takes octets and what is trusted so far, and returns a Verified value or refuses; nothing is stored or fetched.
The order in which files may be checked is in the types: a Snapshot needs a Verified Timestamp, a Targets its FileInfo.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from uptane.errors import Check, Disordered, Rejected
from uptane.model.ids import TOP_TARGETS, EcuId, HardwareId, Repository, Role, RoleName
from uptane.model.limits import (
    DIRECTOR_TARGETS_LENGTH_MAX,
    SNAPSHOT_LENGTH_MAX,
    TARGETS_LENGTH_MAX,
    TIMESTAMP_LENGTH_MAX,
)
from uptane.model.metadata import (
    DirectorTargets,
    FileInfo,
    ImageTargets,
    Root,
    Snapshot,
    SnapshotFile,
    Speaker,
    Timestamp,
)
from uptane.model.signed import Authority, Verified
from uptane.moments import UtcTime
from uptane.verify.keys import check_delegation_keys
from uptane.verify.root import check_speaker, role_authority
from uptane.verify.threshold import Verifier, accept, opened
from uptane.verify.trusted import TargetsT, Trusted

_Role: TypeAlias = Timestamp | Snapshot | DirectorTargets | ImageTargets
RoleT = TypeVar("RoleT", bound=_Role)


@dataclass(frozen=True, slots=True)
class Rules:
    """How the checks that all roles share are named for one of them."""

    signatures: Check
    older: Check
    other_content: Check
    expired: Check


TIMESTAMP = Rules(
    Check.TIMESTAMP_SIGNATURES, Check.TIMESTAMP_VERSION, Check.TIMESTAMP_SAME_VERSION, Check.TIMESTAMP_EXPIRED
)
SNAPSHOT = Rules(Check.SNAPSHOT_SIGNATURES, Check.SNAPSHOT_VERSION, Check.SNAPSHOT_SAME_VERSION, Check.SNAPSHOT_EXPIRED)
TARGETS_LENGTHS: Final = {
    Repository.DIRECTOR: DIRECTOR_TARGETS_LENGTH_MAX,
    Repository.IMAGE: TARGETS_LENGTH_MAX,
}
TARGETS = Rules(Check.TARGETS_SIGNATURES, Check.TARGETS_VERSION, Check.TARGETS_SAME_VERSION, Check.TARGETS_EXPIRED)


def check_timestamp(
    verifier: Verifier, octets: bytes, trusted: Trusted[TargetsT], *, utc: UtcTime
) -> Verified[Timestamp]:
    """Return the repository's Timestamp, not older than the trusted one and fresh at `utc`.

    Raises:
        Rejected: TIMESTAMP_*; SPEAKER, KIND, LEVEL, LENGTH.
        Malformed: it is no Timestamp.
    """
    envelope = opened(verifier, octets, TIMESTAMP_LENGTH_MAX)
    authority = top_authority(trusted.root.value, Role.TIMESTAMP)
    new = accept(verifier, envelope, authority, Timestamp, check=TIMESTAMP.signatures)
    check_speaker(new.value.header.speaker, trusted.speaker)
    _check_succession(new, trusted.timestamp, TIMESTAMP)
    if trusted.timestamp is not None:
        before, now = trusted.timestamp.value.snapshot.version, new.value.snapshot.version
        if now < before:
            raise Rejected(Check.TIMESTAMP_SNAPSHOT_VERSION, f"names Snapshot {now}, {before} was named before")
    check_expiry(new, TIMESTAMP, utc)
    return new


def check_snapshot(
    verifier: Verifier, octets: bytes, trusted: Trusted[TargetsT], *, timestamp: Verified[Timestamp], utc: UtcTime
) -> Verified[Snapshot]:
    """Return the Snapshot that `timestamp` names; it has lost nothing the trusted one lists, and is fresh at `utc`.

    Raises:
        Rejected: SNAPSHOT_*; SPEAKER, KIND, LEVEL, LENGTH.
        Malformed: it is no Snapshot (Disordered: a file listed twice).
    """
    named = timestamp.value.snapshot
    if not is_file(verifier, octets, named):
        raise Rejected(Check.SNAPSHOT_HASH)
    envelope = opened(verifier, octets, SNAPSHOT_LENGTH_MAX)
    authority = top_authority(trusted.root.value, Role.SNAPSHOT)
    new = accept(verifier, envelope, authority, Snapshot, check=SNAPSHOT.signatures)
    check_speaker(new.value.header.speaker, trusted.speaker)
    if new.value.header.version != named.version:
        raise Rejected(Check.SNAPSHOT_NAMED_VERSION, f"version {new.value.header.version}, named as {named.version}")
    _check_succession(new, trusted.snapshot, SNAPSHOT)
    if trusted.snapshot is not None:
        # Once a rotation has taken the trusted Targets away, the version that was listed for it binds no more:
        # a repository whose Targets keys were stolen could not come back otherwise.
        freed = None if trusted.targets is not None else TOP_TARGETS
        _check_nothing_lost(new.value, trusted.snapshot.value, freed)
    check_expiry(new, SNAPSHOT, utc)
    return new


def check_targets(
    verifier: Verifier,
    octets: bytes,
    trusted: Trusted[TargetsT],
    kind: type[TargetsT],
    *,
    listed: FileInfo | None,
    utc: UtcTime,
) -> Verified[TargetsT]:
    """Return the repository's top-level Targets, `kind` being the Director's or the Image repository's.

    `listed` is its place in the Snapshot; None only on a partial ECU, which has none (check_targets/2 may be skipped).

    Raises:
        Rejected: TARGETS_*, DELEGATION_KEYS; SPEAKER, KIND, LEVEL, LENGTH.
        Malformed: it is no Targets.
    """
    authority = top_authority(trusted.root.value, Role.TARGETS)
    asked = Asked(trusted.speaker, authority, TARGETS_LENGTHS[trusted.repository])
    new = _check_any_targets(verifier, octets, asked, kind, listed=listed)
    _check_succession(new, trusted.targets, TARGETS)
    check_expiry(new, TARGETS, utc)
    if new.value.delegations is not None and isinstance(new.value, DirectorTargets):
        raise Rejected(Check.TARGETS_DELEGATES)
    check_delegation_keys(new.value.delegations)
    return new


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose Targets was asked for, whose keys may sign it, and how long it may be in octets."""

    speaker: Speaker
    authority: Authority
    length_max: int = TARGETS_LENGTH_MAX


def check_delegated_targets(
    verifier: Verifier,
    octets: bytes,
    asked: Asked,
    trusted: Verified[ImageTargets] | None,
    *,
    listed: FileInfo,
    utc: UtcTime,
) -> Verified[ImageTargets]:
    """Return a delegated Targets as the Snapshot lists it, signed by the keys of the delegation that led to it.

    `trusted` is the role's trusted file, if that still holds under this delegation.

    Raises:
        Rejected: TARGETS_*, DELEGATION_KEYS; SPEAKER, KIND, LEVEL, LENGTH.
        Malformed: it is no Targets.
    """
    new = _check_any_targets(verifier, octets, asked, ImageTargets, listed=listed)
    _check_succession(new, trusted, TARGETS)
    check_expiry(new, TARGETS, utc)
    check_delegation_keys(new.value.delegations)
    return new


def check_ecus(targets: DirectorTargets, hardware: Mapping[EcuId, HardwareId]) -> None:
    """On a Primary: refuse entries for ECUs the vehicle lacks (check_targets/8), or for other hardware than they are.

    Raises:
        Rejected: TARGETS_ECU_UNKNOWN, TARGETS_HARDWARE.
        Malformed: an entry is not in canonical form.
    """
    for entry in targets.entries:
        known = hardware.get(entry.ecu)
        if known is None:
            raise Rejected(Check.TARGETS_ECU_UNKNOWN, entry.ecu)
        if known not in entry.image.hardware:
            raise Rejected(Check.TARGETS_HARDWARE, f"{entry.ecu} is {known}, the image is for {entry.image.hardware}")


def check_expiry(role: Verified[RoleT], rules: Rules, utc: UtcTime) -> None:
    """Refuse a role's file that has expired at `utc`, by the name its `rules` give that."""
    expires = role.value.header.expires
    if utc >= expires:
        raise Rejected(rules.expired, f"expired at {expires}, it is {utc}")


def is_file(verifier: Verifier, octets: bytes, info: FileInfo) -> bool:
    """Whether `octets` are the very file that `info` names, version aside."""
    return len(octets) == info.length and verifier.hasher.sha256(octets) == info.sha256


def is_listed(verifier: Verifier, file: Verified[RoleT], info: FileInfo) -> bool:
    """Whether a verified file is the one that `info` names: then there is nothing to fetch."""
    return file.value.header.version == info.version and is_file(verifier, file.octets, info)


def fetch_limit(info: FileInfo, length_max: int) -> int:
    """How many octets to ask for of the file that `info` names: LENGTH when that is more than the role may have."""
    if info.length > length_max:
        raise Rejected(Check.LENGTH, f"{info.length} octets named, {length_max} allowed")
    return info.length


def top_authority(root: Root, role: Role) -> Authority:
    """Who may speak for one of the roles that every Root names."""
    authority = role_authority(root, role)
    assert authority is not None, "check_root_keys has refused a Root without it"
    return authority


def _check_any_targets(
    verifier: Verifier, octets: bytes, asked: Asked, kind: type[TargetsT], *, listed: FileInfo | None
) -> Verified[TargetsT]:
    if listed is not None and not is_file(verifier, octets, listed):
        raise Rejected(Check.TARGETS_HASH)
    envelope = opened(verifier, octets, asked.length_max)
    try:
        new = accept(verifier, envelope, asked.authority, kind, check=TARGETS.signatures)
    except Disordered as error:
        raise Rejected(Check.TARGETS_ENTRY_ORDER, str(error)) from error
    check_speaker(new.value.header.speaker, asked.speaker)
    version = new.value.header.version
    if listed is not None and version != listed.version:
        raise Rejected(Check.TARGETS_NAMED_VERSION, f"version {version}, listed as {listed.version}")
    return new


def _check_succession(new: Verified[RoleT], old: Verified[RoleT] | None, rules: Rules) -> None:
    """Refuse an older version, and the same version with other content; the same file again is no news."""
    if old is None:
        return
    before, now = old.value.header.version, new.value.header.version
    if now < before:
        raise Rejected(rules.older, f"version {now}, {before} is trusted")
    if now == before and new.message != old.message:
        raise Rejected(rules.other_content, f"version {now}")


def _check_nothing_lost(new: Snapshot, old: Snapshot, freed: RoleName | None) -> None:
    """check_snapshot/5 and 6, in one pass over two ascending lists; the file named `freed` may be of any version."""
    listed: Iterator[SnapshotFile] = iter(new.files)
    file = next(listed, None)
    for before in old.files:
        while file is not None and file.name < before.name:
            file = next(listed, None)
        if file is None or file.name != before.name:
            raise Rejected(Check.SNAPSHOT_TARGETS_LOST, before.name)
        if file.info.version < before.info.version and before.name != freed:
            raise Rejected(
                Check.SNAPSHOT_TARGETS_VERSION,
                f"{before.name} version {file.info.version}, {before.info.version} was listed before",
            )
