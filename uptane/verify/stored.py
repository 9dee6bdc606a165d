"""From stored octets back to Trusted, and what a new Root takes away (check_root/4; docs/wire.md, "Rotation").

A file stands as long as enough keys that the newest Root names have signed it. When a link of the Root chain removes so
many keys that it does not, the file goes, and with it the floor its version was: that is how a repository comes back
from stolen keys. Whoever calls deletes only after the new Root is durable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Generic

from uptane.errors import Check, Malformed, Rejected
from uptane.model.ids import Repository, Role, RoleName, VehicleId
from uptane.model.metadata import (
    Bins,
    Delegate,
    Delegations,
    DirectorTargets,
    Fleet,
    ForVehicle,
    ImageRepository,
    ImageTargets,
    Root,
    Snapshot,
    Speaker,
    Timestamp,
)
from uptane.model.signed import Authority, Verified
from uptane.verify.patterns import is_bin
from uptane.verify.roles import Asked, RoleT, top_authority
from uptane.verify.root import check_speaker, first_root
from uptane.verify.threshold import Verifier, accept, opened
from uptane.verify.trusted import (
    PREVIOUS_FILE,
    ROOT_FILE,
    SNAPSHOT_FILE,
    TARGETS_FILE,
    TIMESTAMP_FILE,
    TargetsT,
    Trusted,
    role_file,
)

_ROLES = (Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS)
_ROLE_PREFIX = role_file(RoleName(""))


@dataclass(frozen=True, slots=True)
class Standing(Generic[TargetsT]):
    """What still stands of a repository's files, and the files to Drop, in this order."""

    trusted: Trusted[TargetsT]
    dropped: tuple[str, ...]


def reload_director(verifier: Verifier, stored: Mapping[str, bytes], vehicle: VehicleId) -> Standing[DirectorTargets]:
    """The Director's files as stored (by file name), each verified again under the stored Root.

    Raises:
        Rejected: ROOT_MISSING; or what `first_root` refuses.
        Malformed: the stored Root is none.
    """
    empty: Trusted[DirectorTargets] = Trusted(
        Repository.DIRECTOR, ForVehicle(vehicle), _stored_root(verifier, stored, Fleet())
    )
    return _judged(verifier, stored, empty, DirectorTargets)


def reload_image(verifier: Verifier, stored: Mapping[str, bytes]) -> Standing[ImageTargets]:
    """The Image repository's files as stored (by file name), each verified again under the stored Root.

    Raises: as `reload_director`.
    """
    speaker = ImageRepository()
    empty: Trusted[ImageTargets] = Trusted(Repository.IMAGE, speaker, _stored_root(verifier, stored, speaker))
    return _judged(verifier, stored, empty, ImageTargets)


def under_root(
    verifier: Verifier, trusted: Trusted[TargetsT], root: Verified[Root], kind: type[TargetsT]
) -> Standing[TargetsT]:
    """What stands of `trusted` under its next verified Root. To be asked at each link of the chain."""
    if all(top_authority(root.value, role) == top_authority(trusted.root.value, role) for role in _ROLES):
        return Standing(replace(trusted, root=root), ())
    files = {
        TIMESTAMP_FILE: trusted.timestamp,
        SNAPSHOT_FILE: trusted.snapshot,
        TARGETS_FILE: trusted.targets,
        PREVIOUS_FILE: trusted.previous,
        **{role_file(name): file for name, file in trusted.delegated.items()},
    }
    stored = {name: file.octets for name, file in files.items() if file is not None}
    return _judged(verifier, stored, Trusted(trusted.repository, trusted.speaker, root), kind)


def _stored_root(verifier: Verifier, stored: Mapping[str, bytes], speaker: Speaker) -> Verified[Root]:
    octets = stored.get(ROOT_FILE)
    if octets is None:
        raise Rejected(Check.ROOT_MISSING)
    return first_root(verifier, octets, speaker)


def _judged(
    verifier: Verifier, stored: Mapping[str, bytes], bare: Trusted[TargetsT], kind: type[TargetsT]
) -> Standing[TargetsT]:
    """Verify each of the stored files under the Root of `bare`.

    What is dropped last is what failed: should power fail between two Drops, the next start judges alike.
    """
    asked = {role: Asked(bare.speaker, top_authority(bare.root.value, role)) for role in _ROLES}
    timestamp = still(verifier, stored.get(TIMESTAMP_FILE), asked[Role.TIMESTAMP], Timestamp)
    snapshot = still(verifier, stored.get(SNAPSHOT_FILE), asked[Role.SNAPSHOT], Snapshot)
    pair = [(TIMESTAMP_FILE, timestamp), (SNAPSHOT_FILE, snapshot)]
    failed = tuple(file for file, verified in pair if file in stored and verified is None)
    dropped: tuple[str, ...] = ()
    if failed:
        # Both go together (check_root/4): the Timestamp holds the Snapshot's version too.
        dropped = (*(file for file, _ in pair if file in stored and file not in failed), *failed)
        timestamp = snapshot = None
    targets = still(verifier, stored.get(TARGETS_FILE), asked[Role.TARGETS], kind)
    previous = still(verifier, stored.get(PREVIOUS_FILE), asked[Role.TARGETS], kind)
    delegated = _delegated(verifier, targets, stored)
    gone = [file for file in stored if file.startswith(_ROLE_PREFIX) and _role_of(file) not in delegated]
    if previous is None and PREVIOUS_FILE in stored:
        gone.append(PREVIOUS_FILE)
    if targets is None and TARGETS_FILE in stored:
        gone.append(TARGETS_FILE)
    trusted = replace(
        bare, timestamp=timestamp, snapshot=snapshot, targets=targets, previous=previous, delegated=delegated
    )
    return Standing(trusted, (*dropped, *gone))


def still(verifier: Verifier, octets: bytes | None, asked: Asked, kind: type[RoleT]) -> Verified[RoleT] | None:
    """The stored file, if it still holds under `asked`; version and expiry were judged when it was stored."""
    if octets is None:
        return None
    try:
        file = accept(
            verifier, opened(verifier, octets, asked.length_max), asked.authority, kind, check=Check.TARGETS_SIGNATURES
        )
        check_speaker(file.value.header.speaker, asked.speaker)
    except (Malformed, Rejected):
        return None
    return file


def _delegated(
    verifier: Verifier, top: Verified[TargetsT] | None, stored: Mapping[str, bytes]
) -> dict[RoleName, Verified[ImageTargets]]:
    """The stored delegated files that can be reached from `top` and hold under a delegation that leads to them."""
    candidates = {_role_of(file): octets for file, octets in stored.items() if file.startswith(_ROLE_PREFIX)}
    reached: dict[RoleName, Verified[ImageTargets]] = {}
    queue = deque([] if top is None or top.value.delegations is None else [top.value.delegations])
    while queue:
        for name, authority in _delegates(queue.popleft(), candidates):
            if name in reached:
                continue
            file = still(verifier, candidates[name], Asked(Delegate(name), authority), ImageTargets)
            if file is not None:
                reached[name] = file
                if file.value.delegations is not None:
                    queue.append(file.value.delegations)
    return reached


def _delegates(delegations: Delegations, candidates: Mapping[RoleName, bytes]) -> Iterator[tuple[RoleName, Authority]]:
    """Those of the candidates that `delegations` name, each with who may speak for it."""
    keys = delegations.key_map()
    for delegation in delegations.delegations:
        for role in delegation.roles:
            authority = Authority({each: keys[each] for each in role.key_ids if each in keys}, role.threshold)
            match = delegation.match
            for name in candidates:
                if is_bin(name, role.name, match.bits) if isinstance(match, Bins) else name == role.name:
                    yield name, authority


def _role_of(file: str) -> RoleName:
    return RoleName(file.removeprefix(_ROLE_PREFIX))
