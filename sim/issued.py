"""What the servers really issued: every signed file, and what it said. The one measure of what may be trusted.

Told by the servers the moment something is durable, so that what a crash has undone never stands here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

from sim.signatures import CODEC, HASHER, valid
from uptane.errors import Malformed
from uptane.model.ids import Repository, VehicleId
from uptane.model.limits import TARGETS_LENGTH_MAX
from uptane.model.metadata import (
    Delegate,
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
from uptane.model.signed import Authority, PublicKey, Signature
from uptane.ports import Payload
from uptane.verify.image import bundle_of

Metadata: TypeAlias = Root | Timestamp | Snapshot | DirectorTargets | ImageTargets

METADATA: Final = (Root, Timestamp, Snapshot, DirectorTargets, ImageTargets)
_REMEMBERED: Final = 20_000  # files read; some 40 MB, as many as a long run has


@dataclass(frozen=True, slots=True)
class Read:
    """A signed file: what it says, what was signed, and by whom it claims to be."""

    value: Payload
    message: bytes
    signatures: tuple[Signature, ...]

    def by(self, keys: Iterable[PublicKey]) -> int:
        """How many of these keys have signed it."""
        return sum(
            any(valid(key, self.message, each.octets) for each in self.signatures) for key in dict.fromkeys(keys)
        )

    def under(self, authority: Authority | None) -> bool:
        """Whether enough of the keys that may speak have signed it."""
        return authority is not None and self.by(authority.keys.values()) >= authority.threshold


@lru_cache(maxsize=_REMEMBERED)
def read(octets: bytes) -> Read | None:
    """An envelope, read without judging it; None if it is none."""
    try:
        envelope = CODEC.open(octets, TARGETS_LENGTH_MAX)
        return Read(CODEC.parse(envelope.payload), CODEC.message(envelope.payload), envelope.signatures)
    except Malformed:
        return None


@lru_cache(maxsize=_REMEMBERED)
def bundle_in(octets: bytes) -> bytes:
    """The bundle that a Director Targets file assigns; empty for any other file."""
    file = read(octets)
    return bundle_of(HASHER, file.value) if file is not None and isinstance(file.value, DirectorTargets) else b""


_Key: TypeAlias = tuple[Speaker, type[Payload], int]


@dataclass(slots=True)
class Issued:
    """Every file by its speaker, kind and version. `targets` are Director Targets by vehicle and version."""

    targets: dict[tuple[VehicleId, int], bytes] = field(default_factory=dict)
    _messages: dict[_Key, bytes] = field(default_factory=dict)
    _newest: dict[tuple[Speaker, type[Payload]], int] = field(default_factory=dict)
    _genuine: set[bytes] = field(default_factory=set)

    def add(self, octets: bytes) -> str:
        """Enter a file; what is wrong with it, or nothing."""
        file = read(octets)
        if file is None or not isinstance(file.value, METADATA):
            return f"{len(octets)} octets that are no metadata were issued"
        header = file.value.header
        kind = type(file.value)
        place = header.speaker, kind, header.version
        known = self._messages.setdefault(place, file.message)
        named = f"{kind.__name__} {header.version} of {spoken(header.speaker)}"
        if known != file.message:
            return f"{named} was issued twice, with two contents"
        newest = self._newest.get(place[:2], 0)
        if header.version < newest and file.message not in self._genuine:
            return f"{named} was issued after version {newest}"
        self._newest[place[:2]] = max(newest, header.version)
        self._genuine.add(file.message)
        if isinstance(file.value, DirectorTargets) and isinstance(header.speaker, ForVehicle):
            self.targets[header.speaker.vehicle, header.version] = octets
        return ""

    def is_genuine(self, file: Read, repository: Repository, vehicle: VehicleId) -> bool:
        """Whether a file was issued by this repository, and for this vehicle if it is one of the Director's."""
        if file.message not in self._genuine or not isinstance(file.value, METADATA):
            return False
        speaker = file.value.header.speaker
        if repository is Repository.IMAGE:
            return isinstance(speaker, ImageRepository | Delegate)
        return speaker == (Fleet() if isinstance(file.value, Root) else ForVehicle(vehicle))

    def targets_for(self, vehicle: VehicleId, version: int) -> DirectorTargets | None:
        """The Director Targets of that version that this vehicle was issued."""
        octets = self.targets.get((vehicle, version))
        file = None if octets is None else read(octets)
        return file.value if file is not None and isinstance(file.value, DirectorTargets) else None


def spoken(speaker: Speaker) -> str:
    """A speaker in words."""
    match speaker:
        case ForVehicle(vehicle=vehicle):
            return vehicle
        case Delegate(role=role):
            return f"role {role}"
        case ImageRepository():
            return "the Image repository"
        case Fleet():
            return "the fleet"
