"""The forger: speaks as anybody whose keys were stolen, and as well as he can as anybody else.

What he signs he signs as the real owner would, in the real encoding. Where he lacks a key he uses his own under the
real one's id, so that whoever looks up ids and counts signatures without checking them would be taken in. With a stolen
Root he names his own keys for every role.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, TypeVar

from sim.attack.keys import Stolen
from sim.keys import key
from sim.signatures import CODEC, HASHER
from uptane.model.ids import TOP_TARGETS, EcuId, KeyId, MetaName, Role, RoleName
from uptane.model.metadata import (
    LEVEL,
    Assignment,
    DirectorTargets,
    FileInfo,
    ForVehicle,
    Header,
    Image,
    ImageTargets,
    Key,
    RoleKeys,
    Root,
    Snapshot,
    SnapshotFile,
    Timestamp,
)
from uptane.model.reports import Phase, TimeAttestation, VehicleOrder
from uptane.model.signed import PublicKey
from uptane.moments import UtcTime
from uptane.ports import Payload, Signer
from uptane.verify.image import bundle_of
from uptane.verify.signing import sign

Files: TypeAlias = dict[str, bytes]
Loot: TypeAlias = Mapping[Stolen, Sequence[Signer]]
KindT = TypeVar("KindT")

LENGTH_MAX: Final = 1 << 26
VERSION_MAX: Final = 2**32 - 1
LASTING_S: Final = 20 * 365 * 86_400  # what a forger gives his metadata: longer than any vehicle lives

TAKEN: Final = frozenset({Role.ROOT, Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS})
"""What he takes of a Root: all but the time, so that ECUs go on to believe the time service."""

_OWN: Final = key("attacker")

_DIRECTOR: Final = {
    Role.TIMESTAMP: Stolen.DIRECTOR_TIMESTAMP,
    Role.SNAPSHOT: Stolen.DIRECTOR_SNAPSHOT,
    Role.TARGETS: Stolen.DIRECTOR_TARGETS,
    Role.TIME: Stolen.TIME,
}
_IMAGE: Final = {
    Role.TIMESTAMP: Stolen.IMAGE_TIMESTAMP,
    Role.SNAPSHOT: Stolen.IMAGE_SNAPSHOT,
    Role.TARGETS: Stolen.IMAGE_TARGETS,
}


def read(octets: bytes, kind: type[KindT]) -> KindT:
    """What an envelope says; nobody's signature is checked."""
    value = CODEC.parse(CODEC.open(octets, LENGTH_MAX).payload)
    assert isinstance(value, kind), value
    return value


@dataclass(frozen=True, slots=True)
class Impostor:
    """A key of the forger's that goes by the id of another."""

    signer: Signer
    key_id: KeyId

    @property
    def public(self) -> PublicKey:
        """Its public half, which nobody trusts."""
        return self.signer.public

    def sign(self, message: bytes) -> bytes:
        """Sign."""
        return self.signer.sign(message)


@dataclass(frozen=True, slots=True)
class Director:
    """The Director's files of one vehicle: the newest Root, and the set above it."""

    root: bytes
    timestamp: bytes
    snapshot: bytes
    targets: bytes

    @property
    def says(self) -> DirectorTargets:
        """What the Targets say."""
        return read(self.targets, DirectorTargets)

    def files(self) -> Files:
        """By the names under which they are served; the Root too."""
        named = {Role.ROOT: self.root, Role.SNAPSHOT: self.snapshot, Role.TARGETS: self.targets}
        files = {str(MetaName(role.value, version_of(octets))): octets for role, octets in named.items()}
        return files | {Role.TIMESTAMP.value: self.timestamp}


@dataclass(frozen=True, slots=True)
class Forger:
    """The attacker's workshop; `loot` are the keys he may use in this run."""

    loot: Loot
    own: Signer = _OWN

    def has(self, *keys: Stolen) -> bool:
        """Whether he has all of these."""
        return all(each in self.loot for each in keys)

    def signers(self, stolen: Stolen, listed: Sequence[KeyId]) -> Sequence[Signer]:
        """The keys of a role if he has them; else his own by their ids."""
        return self.loot.get(stolen) or [Impostor(self.own, each) for each in listed]

    # ------------------------------------------------------------------------------------------------- the Director

    def director(
        self, base: Director, change: Callable[[DirectorTargets], DirectorTargets], *, ahead: int = 1, lasts_s: int = 0
    ) -> Director:
        """A newer set in the Director's name: Targets as changed, `ahead` versions on, and what lists them."""
        if not self.has(Stolen.DIRECTOR_ROOT):
            return self._director(base, change, ahead=ahead, lasts_s=lasts_s)
        mine = Forger(dict.fromkeys(_DIRECTOR.values(), (self.own,)), self.own)
        taken = replace(base, root=self.root(base.root, Stolen.DIRECTOR_ROOT))
        return mine._director(taken, change, ahead=ahead, lasts_s=lasts_s)

    def _director(
        self, base: Director, change: Callable[[DirectorTargets], DirectorTargets], *, ahead: int, lasts_s: int
    ) -> Director:
        root = read(base.root, Root)
        before = base.says

        def signed(value: Payload, role: Role) -> bytes:
            return sign(CODEC, value, self.signers(_DIRECTOR[role], ids_of(root, role)))

        targets = signed(change(replace(before, header=newer(before.header, ahead, lasts_s))), Role.TARGETS)
        old = read(base.snapshot, Snapshot)
        listed = CODEC.files([SnapshotFile(TOP_TARGETS, info_of(targets))])
        snapshot = signed(Snapshot(newer(old.header, ahead, lasts_s), listed), Role.SNAPSHOT)
        above = read(base.timestamp, Timestamp)
        timestamp = signed(Timestamp(newer(above.header, ahead, lasts_s), info_of(snapshot)), Role.TIMESTAMP)
        return Director(base.root, timestamp, snapshot, targets)

    def root(self, octets: bytes, stolen: Stolen, *, take: Collection[Role] = TAKEN) -> bytes:
        """The next Root, which names the forger's key for the roles he takes and leaves the others as they are.

        He takes the Root itself with them, unless he only wants one role and no attention. Signed by the stolen Root
        keys, and by his own.
        """
        root = read(octets, Root)
        own = Key(self.own.key_id, self.own.public)
        roles = tuple(RoleKeys(each.role, (own.key_id,), 1) if each.role in take else each for each in root.roles)
        named = {key_id for each in roles for key_id in each.key_ids}
        keys = tuple({each.key_id: each for each in (own, *root.keys) if each.key_id in named}.values())
        value = Root(newer(root.header, 1, LASTING_S), keys, roles)
        return sign(CODEC, value, [*self.signers(stolen, ids_of(root, Role.ROOT)), self.own])

    # ------------------------------------------------------------------------------------------ the Image repository

    def images(self, base: Mapping[str, bytes], images: Sequence[Image], role: RoleName, *, ahead: int = 1) -> Files:
        """The Image repository's newest files by role, with `images` among those of `role`.

        A stolen Image Root signs everything anew; else the roles are signed as far as keys were stolen.
        """
        files = dict(base)
        forger = self
        if self.has(Stolen.IMAGE_ROOT):
            files[Role.ROOT.value] = self.root(files[Role.ROOT.value], Stolen.IMAGE_ROOT)
            forger = Forger(dict.fromkeys(_IMAGE.values(), (self.own,)), self.own)
            role = TOP_TARGETS
        root = read(files[Role.ROOT.value], Root)
        before = read(files[role], ImageTargets)
        names = {each.filename for each in images}
        kept = [each for each in before.entries if each.filename not in names]
        value = replace(before, header=newer(before.header, ahead), entries=CODEC.images([*kept, *images]))
        if role == TOP_TARGETS:
            signers = forger.signers(Stolen.IMAGE_TARGETS, ids_of(root, Role.TARGETS))
        else:
            signers = forger.signers(Stolen.SUPPLIER, delegate_ids(files[TOP_TARGETS], role))
        files[role] = sign(CODEC, value, signers)
        return forger.listed(files, ahead=ahead)

    def listed(self, base: Mapping[str, bytes], *, ahead: int = 1, lasts_s: int = 0) -> Files:
        """The Image repository's files by role, listed in a newer Snapshot under a newer Timestamp."""
        files = dict(base)
        root = read(files[Role.ROOT.value], Root)
        infos = {name: info_of(files[name]) for name in files if name not in _ABOVE}
        old = read(files[Role.SNAPSHOT.value], Snapshot)
        header = newer(old.header, ahead, lasts_s)
        snapshot = Snapshot(header, CODEC.files([SnapshotFile(RoleName(name), info) for name, info in infos.items()]))
        files[Role.SNAPSHOT.value] = sign(
            CODEC, snapshot, self.signers(Stolen.IMAGE_SNAPSHOT, ids_of(root, Role.SNAPSHOT))
        )
        above = read(files[Role.TIMESTAMP.value], Timestamp)
        timestamp = Timestamp(newer(above.header, ahead, lasts_s), info_of(files[Role.SNAPSHOT.value]))
        files[Role.TIMESTAMP.value] = sign(
            CODEC, timestamp, self.signers(Stolen.IMAGE_TIMESTAMP, ids_of(root, Role.TIMESTAMP))
        )
        return files

    # ------------------------------------------------------------------------------------------------ single messages

    def attestation(self, root: bytes, time: int, nonce: bytes) -> bytes:
        """The time service's word, as far as its key was stolen; `root` is the Director's, which names its key."""
        value = TimeAttestation(LEVEL, UtcTime(time), nonce)
        signers = [self.own] if self.has(Stolen.DIRECTOR_ROOT) else None
        return sign(CODEC, value, signers or self.signers(Stolen.TIME, ids_of(read(root, Root), Role.TIME)))

    def order(self, targets: bytes, phase: Phase, signer: Signer | None = None) -> bytes:
        """An order for the bundle that these Targets assign, signed by `signer` or by nobody who counts."""
        said = read(targets, DirectorTargets)
        speaker = said.header.speaker
        assert isinstance(speaker, ForVehicle)
        order = VehicleOrder(LEVEL, speaker.vehicle, bundle_of(HASHER, said), said.header.version, phase)
        return sign(CODEC, order, [signer or self.own])

    def signed(self, value: Payload, signer: Signer | None = None) -> bytes:
        """A report or a manifest, signed by `signer` or by nobody who counts."""
        return sign(CODEC, value, [signer or self.own])


_ABOVE: Final = frozenset({Role.ROOT.value, Role.SNAPSHOT.value, Role.TIMESTAMP.value})


# ------------------------------------------------------------------------------------------------------------ parts


def newer(header: Header, ahead: int, lasts_s: int = 0) -> Header:
    """The header of a later version; `lasts_s` is for how long from its issue, 0 for as long as before."""
    expires = header.expires if not lasts_s else UtcTime(header.issued + lasts_s)
    return replace(header, version=min(header.version + ahead, VERSION_MAX), expires=expires)


def version_of(octets: bytes) -> int:
    """The version that a role's file says it has."""
    value: Any = CODEC.parse(CODEC.open(octets, LENGTH_MAX).payload)
    version: int = value.header.version
    return version


def info_of(octets: bytes) -> FileInfo:
    """How a Snapshot or a Timestamp names this file."""
    return FileInfo(version_of(octets), len(octets), HASHER.sha256(octets))


def ids_of(root: Root, role: Role) -> Sequence[KeyId]:
    """The ids of a role's keys."""
    return next((each.key_ids for each in root.roles if each.role is role), ())


def delegate_ids(targets: bytes, role: RoleName) -> Sequence[KeyId]:
    """The ids of a delegated role's keys, as the top-level Targets name them."""
    delegations = read(targets, ImageTargets).delegations
    named = () if delegations is None else delegations.delegations
    return next((each.key_ids for one in named for each in one.roles if each.name == role), ())


def with_entries(targets: DirectorTargets, images: Mapping[EcuId, Image]) -> DirectorTargets:
    """The same Targets with these images for these ECUs, the others as they were."""
    entries = {entry.ecu: entry for entry in targets.entries}
    entries |= {ecu: Assignment(ecu, image) for ecu, image in images.items()}
    return replace(targets, entries=CODEC.assignments(list(entries.values())))


def only_entries(targets: DirectorTargets, images: Mapping[EcuId, Image]) -> DirectorTargets:
    """Targets with these images and no others."""
    return replace(targets, entries=CODEC.assignments([Assignment(ecu, image) for ecu, image in images.items()]))


def lasting(targets: DirectorTargets) -> DirectorTargets:
    """The same Targets, valid for longer than any vehicle lives."""
    return replace(targets, header=replace(targets.header, expires=UtcTime(targets.header.issued + LASTING_S)))
