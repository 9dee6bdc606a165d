"""What cores ask for: encodings, signatures and hashes, as Protocols. Nobody here knows an encoding or a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, TypeVar

from uptane.model.ids import KeyId
from uptane.model.metadata import (
    Assignment,
    DirectorTargets,
    Image,
    ImageTargets,
    Listing,
    Root,
    Snapshot,
    SnapshotFile,
    Timestamp,
)
from uptane.model.reports import EcuReport, TimeAttestation, VehicleManifest, VehicleOrder
from uptane.model.signed import Envelope, PublicKey, Signature

Payload: TypeAlias = (
    Root
    | Timestamp
    | Snapshot
    | DirectorTargets
    | ImageTargets
    | EcuReport
    | VehicleManifest
    | TimeAttestation
    | VehicleOrder
)

PayloadT = TypeVar("PayloadT")


class Codec(Protocol):
    """Octets to values and back. `open` and `parse` raise Malformed (Disordered for a list) and nothing else."""

    def open(self, octets: bytes, length_max: int) -> Envelope:
        """Split an envelope of at most `length_max` octets; nothing of the payload is read."""
        ...

    def seal(self, payload: bytes, signatures: Sequence[Signature]) -> Envelope:
        """Put a payload and its signatures (1 to 16) into an envelope."""
        ...

    def message(self, payload: bytes) -> bytes:
        """What signatures of `payload` are made over (docs/wire.md, "Signatures")."""
        ...

    def parse(self, payload: bytes) -> Payload:
        """Read a payload of any kind; the caller has verified its signatures."""
        ...

    def encode(self, value: Payload) -> bytes:
        """The one encoding of `value`, to be signed."""
        ...


class Lists(Protocol):
    """Makes the ascending lists that metadata carry; used by those who issue metadata."""

    def images(self, images: Sequence[Image]) -> Listing[Image]:
        """The images as a listing; their `octets` are what is listed."""
        ...

    def image(self, image: Image) -> Image:
        """The same image with `octets` filled in with its encoding."""
        ...

    def assignments(self, assignments: Sequence[Assignment]) -> Listing[Assignment]:
        """The assignments as a listing, in ascending order."""
        ...

    def files(self, files: Sequence[SnapshotFile]) -> Listing[SnapshotFile]:
        """The files as a listing, in ascending order."""
        ...


class SignatureCheck(Protocol):
    """Whether `signature` over `message` was made by `key`: False for anything wrong, never an exception."""

    def __call__(self, key: PublicKey, message: bytes, signature: bytes) -> bool:
        """Check one signature."""
        ...


class Signer(Protocol):
    """Holds a private key, here or in a token or KMS, and signs messages of 73 octets (docs/wire.md, "Signatures")."""

    @property
    def public(self) -> PublicKey:
        """The public half."""
        ...

    @property
    def key_id(self) -> KeyId:
        """The id under which metadata list this key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign `message`; one signature in the key's one encoding. A key that is not here may raise SignerFailure."""
        ...


class Digest(Protocol):
    """A running hash."""

    def update(self, octets: bytes, /) -> None:
        """Add octets."""
        ...

    def digest(self) -> bytes:
        """The hash of all octets added."""
        ...


class Hasher(Protocol):
    """SHA-2, one shot and running."""

    def sha256(self, octets: bytes) -> bytes:
        """SHA-256 over `octets`."""
        ...

    def sha512(self, octets: bytes) -> bytes:
        """SHA-512 over `octets`."""
        ...

    def running256(self) -> Digest:
        """A new running SHA-256."""
        ...

    def running512(self) -> Digest:
        """A new running SHA-512."""
        ...
