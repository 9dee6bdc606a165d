"""The metadata of the four roles, as values (Uptane 2.1.0, section 5.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias, TypeVar

from uptane.model.ids import EcuId, Filename, HardwareId, KeyId, Role, RoleName, VehicleId
from uptane.model.signed import PublicKey
from uptane.moments import UtcTime

LEVEL = 1  # what this software understands; a payload that asks for more is refused

EntryT_co = TypeVar("EntryT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Speaker of the Director's Root: the whole fleet's."""


@dataclass(frozen=True, slots=True)
class ImageRepository:
    """Speaker of the Image repository's top-level roles."""


@dataclass(frozen=True, slots=True)
class ForVehicle:
    """Speaker of the Director's Timestamp, Snapshot and Targets: one vehicle's."""

    vehicle: VehicleId


@dataclass(frozen=True, slots=True)
class Delegate:
    """Speaker of a delegated Targets: the role's own name."""

    role: RoleName


Speaker: TypeAlias = Fleet | ImageRepository | ForVehicle | Delegate


@dataclass(frozen=True, slots=True)
class Header:
    """What every role payload opens with. Versions are 1 to 2**32 - 1."""

    level: int
    speaker: Speaker
    version: int
    expires: UtcTime
    issued: UtcTime


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the id by which this file's roles refer to it."""

    key_id: KeyId
    public: PublicKey


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """The keys of one role, by id, and how many of them must sign."""

    role: Role
    key_ids: tuple[KeyId, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class Root:
    """Root metadata (section 5.2.2): keys of all roles; a key that is left out is revoked."""

    header: Header
    keys: tuple[Key, ...]
    roles: tuple[RoleKeys, ...]


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file another role vouches for: version, length in octets and SHA-256 of the whole envelope."""

    version: int
    length: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Timestamp:
    """Timestamp metadata (section 5.2.5): which Snapshot is the newest."""

    header: Header
    snapshot: FileInfo


class Listing(Protocol[EntryT_co]):
    """A strictly ascending list of entries, read one at a time from its octets.

    Order and length of all entries have been judged when the list was opened; an entry is held to canonical
    form when it is read, and raises Malformed then.
    """

    @property
    def octets(self) -> bytes:
        """The encoded entries, as signed."""
        ...

    def __len__(self) -> int:
        """How many entries."""
        ...

    def __iter__(self) -> Iterator[EntryT_co]:
        """All entries in ascending order."""
        ...

    def find(self, key: str) -> EntryT_co | None:
        """The entry named `key`, or None."""
        ...

    def find_octets(self, key: str) -> bytes | None:
        """The octets of the entry named `key`, as signed and without their length, or None; the entry is not read."""
        ...


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """One Targets file the Snapshot lists: `targets`, or a delegated role's name."""

    name: RoleName
    info: FileInfo


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Snapshot metadata (section 5.2.4): every Targets file the repository has released."""

    header: Header
    files: Listing[SnapshotFile]


@dataclass(frozen=True, slots=True)
class Image:
    """What both repositories must say alike of one image: the Standard's SHALL-match section.

    `hardware` has 1 to 16 distinct ids: the one it is built for first, then others it also fits, ascending.
    `octets` is the encoded Image as it stood in the Targets; a match is equality of these octets.
    """

    filename: Filename
    length: int
    sha256: bytes
    sha512: bytes | None
    hardware: tuple[HardwareId, ...]
    release_counter: int
    octets: bytes


class Cipher(Enum):
    """How an encrypted image is encrypted."""

    AES256_GCM = "aes256gcm"


class DeltaAlgorithm(Enum):
    """How a delta is applied."""

    DETOOLS = "detools"


@dataclass(frozen=True, slots=True)
class Encrypted:
    """The ciphertext of an image, and its key wrapped for one ECU."""

    length: int
    sha256: bytes
    method: Cipher | None
    wrapped_key: bytes


@dataclass(frozen=True, slots=True)
class Delta:
    """A patch from the image with `from_sha256` to the assigned one."""

    algorithm: DeltaAlgorithm | None
    from_sha256: bytes
    length: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Assignment:
    """One entry of a Director Targets: this image for this ECU. `image` has been parsed from the copied octets."""

    ecu: EcuId
    image: Image
    url: str | None = None
    encrypted: Encrypted | None = None
    delta: Delta | None = None


@dataclass(frozen=True, slots=True)
class Paths:
    """Match by pattern: `*` stands for any characters but `/`, `?` for one of them."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bins:
    """Match by hash (TAP 15): 2**bits bins (1 to 14), role `<name>-<hex>` holds names whose SHA-256 begins so."""

    bits: int


@dataclass(frozen=True, slots=True)
class DelegatedRole:
    """A role that may sign what a delegation matches."""

    name: RoleName
    key_ids: tuple[KeyId, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class Delegation:
    """One delegation (section 5.2.3.2): for images that match, these roles; `min_agree` of them must say alike."""

    hardware: tuple[HardwareId, ...]
    terminating: bool
    match: Paths | Bins
    roles: tuple[DelegatedRole, ...]
    min_agree: int


@dataclass(frozen=True, slots=True)
class Delegations:
    """Keys of the delegatees, and delegations in order of priority."""

    keys: tuple[Key, ...]
    delegations: tuple[Delegation, ...]

    def key_map(self) -> Mapping[KeyId, PublicKey]:
        """The keys by id."""
        return {key.key_id: key.public for key in self.keys}


@dataclass(frozen=True, slots=True)
class DirectorTargets:
    """The Director's Targets for one vehicle: what each ECU should run, and whose orders they take."""

    header: Header
    coordinator: PublicKey | None
    refresh_image_root: bool
    entries: Listing[Assignment]
    delegations: Delegations | None = None


@dataclass(frozen=True, slots=True)
class ImageTargets:
    """The Image repository's Targets: images, delegations, or both."""

    header: Header
    entries: Listing[Image]
    delegations: Delegations | None = None
