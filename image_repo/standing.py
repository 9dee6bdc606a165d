"""What the repository says at this moment, all of it verified as a vehicle would: Root to the last delegated Targets.

Every delegation that can be reached must lead to a file that holds under it: a vehicle that meets one that does not has
to give up its search. Expiry of what stands is not judged here: an expired file is renewed, and binds until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from uptane.errors import Check, Rejected
from uptane.model.ids import TOP_TARGETS, Repository, RoleName
from uptane.model.limits import DELEGATION_DEPTH_MAX
from uptane.model.metadata import (
    Bins,
    Delegate,
    Delegation,
    FileInfo,
    ImageRepository,
    ImageTargets,
    Root,
    Snapshot,
    Timestamp,
)
from uptane.model.signed import Authority, Verified
from uptane.moments import UtcTime
from uptane.verify.patterns import bin_names
from uptane.verify.roles import Asked, check_delegated_targets, check_snapshot, check_targets, check_timestamp
from uptane.verify.root import first_root
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import Trusted

ALWAYS = UtcTime(0)
"""A time at which nothing has expired: what stands is not judged by the clock."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest files. `authorities` says under which keys each delegated file is known to hold."""

    root: Verified[Root]
    timestamp: Verified[Timestamp]
    snapshot: Verified[Snapshot]
    targets: Verified[ImageTargets]
    delegated: Mapping[RoleName, Verified[ImageTargets]] = field(default_factory=dict)
    authorities: Mapping[RoleName, tuple[Authority, ...]] = field(default_factory=dict)

    @property
    def trusted(self) -> Trusted[ImageTargets]:
        """The same as a vehicle holds it."""
        return Trusted(
            Repository.IMAGE,
            ImageRepository(),
            self.root,
            self.timestamp,
            self.snapshot,
            self.targets,
            delegated=self.delegated,
        )

    def role(self, role: RoleName) -> Verified[ImageTargets] | None:
        """The newest Targets of a role; None if it has none, or no delegation leads there any more."""
        return self.targets if role == TOP_TARGETS else self.delegated.get(role)


@dataclass(frozen=True, slots=True)
class Reached:
    """All delegated roles that can be reached: their files, and the authorities under which each of them holds."""

    files: Mapping[RoleName, Verified[ImageTargets]]
    authorities: Mapping[RoleName, tuple[Authority, ...]]


Read = Callable[[RoleName, Authority], Verified[ImageTargets]]
"""Returns the file of a role if it holds under the authority; raises Rejected if not."""


def standing_of(verifier: Verifier, files: Mapping[str, bytes]) -> Standing:
    """The standing that these files, newest of each role, make.

    Raises:
        Rejected: a file is missing, or does not hold.
        Malformed: a file is not what it should be.
    """
    for role, check in _NEEDED.items():
        if role not in files:
            raise Rejected(check, f"the repository has no {role}")
    root = first_root(verifier, files["root"], ImageRepository())
    bare: Trusted[ImageTargets] = Trusted(Repository.IMAGE, ImageRepository(), root)
    timestamp = check_timestamp(verifier, files["timestamp"], bare, utc=ALWAYS)
    snapshot = check_snapshot(verifier, files["snapshot"], bare, timestamp=timestamp, utc=ALWAYS)
    info = listed(snapshot.value, TOP_TARGETS)
    targets = check_targets(verifier, files[TOP_TARGETS], bare, ImageTargets, listed=info, utc=ALWAYS)

    def read(role: RoleName, authority: Authority) -> Verified[ImageTargets]:
        if role not in files:
            raise Rejected(Check.DELEGATION_INVALID, f"{role} has no Targets")
        asked, info = Asked(Delegate(role), authority), listed(snapshot.value, role)
        return check_delegated_targets(verifier, files[role], asked, None, listed=info, utc=ALWAYS)

    reached = reach(targets.value, read)
    return Standing(root, timestamp, snapshot, targets, reached.files, reached.authorities)


_NEEDED = {
    "root": Check.ROOT_MISSING,
    "timestamp": Check.TIMESTAMP_MISSING,
    "snapshot": Check.SNAPSHOT_MISSING,
    "targets": Check.TARGETS_MISSING,
}


def listed(snapshot: Snapshot, role: RoleName) -> FileInfo:
    """What the Snapshot says of a role's file.

    Raises:
        Rejected: TARGETS_NOT_LISTED.
    """
    file = snapshot.files.find(role)
    if file is None:
        raise Rejected(Check.TARGETS_NOT_LISTED, role)
    return file.info


def reach(top: ImageTargets, read: Read) -> Reached:
    """Every role that delegations lead to from `top`, each read under every delegation that leads to it.

    Raises:
        Rejected: DELEGATION_CYCLE, DELEGATION_DEPTH, or what `read` raises.
    """
    files: dict[RoleName, Verified[ImageTargets]] = {}
    authorities: dict[RoleName, tuple[Authority, ...]] = {}

    def descend(targets: ImageTargets, way: tuple[RoleName, ...]) -> None:
        for role, authority in delegatees(targets):
            if role in way:
                raise Rejected(Check.DELEGATION_CYCLE, " to ".join((*way, role)))
            if len(way) > DELEGATION_DEPTH_MAX:
                raise Rejected(Check.DELEGATION_DEPTH, " to ".join((*way, role)))
            known = authorities.get(role, ())
            if authority in known:
                continue
            files[role] = read(role, authority)
            authorities[role] = (*known, authority)
            descend(files[role].value, (*way, role))

    descend(top, (TOP_TARGETS,))
    return Reached(files, authorities)


def delegatees(targets: ImageTargets) -> Iterator[tuple[RoleName, Authority]]:
    """The roles a Targets delegates to, each with the keys it names for it."""
    if targets.delegations is None:
        return
    keys = targets.delegations.key_map()
    for delegation in targets.delegations.delegations:
        for role in delegation.roles:
            authority = Authority({key_id: keys[key_id] for key_id in role.key_ids}, role.threshold)
            for name in role_names(delegation, role.name):
                yield name, authority


def role_names(delegation: Delegation, role: RoleName) -> list[RoleName]:
    """The roles meant by one name in a delegation: itself, or all its bins."""
    return bin_names(role, delegation.match.bits) if isinstance(delegation.match, Bins) else [role]
