"""What a repository has proved to an ECU: values that exist only because every check before them has passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from uptane.model.ids import EcuId, HardwareId, Repository, RoleName, VehicleId
from uptane.model.limits import IMAGE_LENGTH_MAX
from uptane.model.metadata import Cipher, DirectorTargets, ImageTargets, Root, Snapshot, Speaker, Timestamp
from uptane.model.reports import InstalledImage
from uptane.model.signed import Verified
from uptane.verify.attested import Clock

TargetsT = TypeVar("TargetsT", bound=DirectorTargets | ImageTargets)

# Names under which the workflows Keep files, within a repository (Keep, Drop, reload_director, reload_image).
ROOT_FILE = "root"
TIMESTAMP_FILE = "timestamp"
SNAPSHOT_FILE = "snapshot"
TARGETS_FILE = "targets"
PREVIOUS_FILE = "previous"
TIME_FILE = "time"


def root_file(version: int) -> str:
    """Where a Primary keeps each link of a Root chain, to hand it on: `7.root`."""
    return f"{version}.root"


def role_file(role: RoleName) -> str:
    """Where a delegated Targets is kept: `role/<name>`."""
    return f"role/{role}"


@dataclass(frozen=True, slots=True)
class Trusted(Generic[TargetsT]):
    """The verified files of one repository. A file's version is the floor for its next one.

    `speaker` is who Timestamp, Snapshot and Targets must speak for. `previous` is the latest Director Targets that
    had an entry for this ECU, when `targets` has none (verify_image/2: the previous file is retained).
    """

    repository: Repository
    speaker: Speaker
    root: Verified[Root]
    timestamp: Verified[Timestamp] | None = None
    snapshot: Verified[Snapshot] | None = None
    targets: Verified[TargetsT] | None = None
    previous: Verified[TargetsT] | None = None
    delegated: Mapping[RoleName, Verified[ImageTargets]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """All that an ECU holds: both repositories (`image` is None on a partial ECU) and the time."""

    director: Trusted[DirectorTargets]
    image: Trusted[ImageTargets] | None
    clock: Clock


@dataclass(frozen=True, slots=True)
class Ecu:
    """The facts by which an ECU judges what is assigned to it.

    `filename` is the pattern of the names it takes: `*` and `?` within a path part, or `**` for any name.
    `slot_size` is in octets. `ciphers` are those it can decrypt; `sha512` says whether it can compute that hash.
    """

    vehicle: VehicleId
    ecu: EcuId
    hardware: HardwareId
    filename: str = "**"
    slot_size: int = IMAGE_LENGTH_MAX
    ciphers: frozenset[Cipher] = frozenset()
    sha512: bool = True


@dataclass(frozen=True, slots=True)
class Vehicle:
    """What the verifying ECU knows of its vehicle.

    `hardware` names every ECU of the vehicle, on a Primary; it is None on a Secondary, which judges its own entry only.
    `installed` is what ECUs run, confirmed (committed or released); `released` their released counters. Both may lack
    ECUs that never reported.
    """

    own: Ecu
    hardware: Mapping[EcuId, HardwareId] | None = None
    installed: Mapping[EcuId, InstalledImage] = field(default_factory=dict)
    released: Mapping[EcuId, int] = field(default_factory=dict)
