"""What the vehicle says of itself, and what its Primary says to its ECUs (section 5.4.2.1; docs/wire.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from uptane.model.ids import Bundle, EcuId, Filename, HardwareId, VehicleId
from uptane.moments import UtcTime

NONCE_LENGTH = 16  # octets: 128 bits cannot be guessed nor met again


class EcuState(Enum):
    """Where an ECU stands in the vehicle transaction (docs/wire.md, "States")."""

    IDLE = "idle"
    PREPARED = "prepared"
    TRIAL = "trial"
    VOTED = "voted"
    COMMITTED = "committed"
    RELEASED = "released"


class Outcome(Enum):
    """How the latest transaction of an ECU ended."""

    NONE = "none"
    INSTALLED = "installed"
    ROLLED_BACK = "rolledBack"
    SELF_TEST_FAILED = "selfTestFailed"
    UNBOOTABLE = "unbootable"
    OTHER = "other"  # what a newer ECU says and this software does not know; never sent


class Phase(Enum):
    """The orders of the vehicle transaction, in order; roll back may take the place of commit and of release."""

    ACTIVATE = "activate"
    COMMIT = "commit"
    ROLL_BACK = "rollBack"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class InstalledImage:
    """The image an ECU boots: the non-custom Targets metadata of the Standard, and its release counter."""

    filename: Filename
    length: int
    sha256: bytes
    release_counter: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A check that refused something since the last released update, by wire code, and how often (1 to 2**32 - 1)."""

    check: int
    count: int


@dataclass(frozen=True, slots=True)
class EcuReport:
    """ECU version report (section 5.4.2.1.2). Versions are 0 where nothing was ever verified."""

    level: int
    vehicle: VehicleId
    ecu: EcuId
    hardware: HardwareId
    counter: int
    state: EcuState
    outcome: Outcome
    bundle: Bundle | None
    targets_version: int
    root_version: int
    released_counter: int
    image: InstalledImage
    time: UtcTime
    previous_time: UtcTime
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One ECU in a manifest: its latest signed report, as octets; since when it is silent, if it is."""

    ecu: EcuId
    report: bytes | None
    silent_since: UtcTime | None


@dataclass(frozen=True, slots=True)
class VehicleManifest:
    """Vehicle version manifest (section 5.4.2.1.1): signed by the Primary, entries ascending by ECU."""

    level: int
    vehicle: VehicleId
    primary: EcuId
    counter: int
    entries: tuple[ManifestEntry, ...]


@dataclass(frozen=True, slots=True)
class TimeAttestation:
    """The time service's word on the time, for whoever drew the nonce."""

    level: int
    time: UtcTime
    nonce: bytes


@dataclass(frozen=True, slots=True)
class VehicleOrder:
    """An order of the coordinator to every participant of a bundle; each phase is taken once and in order."""

    level: int
    vehicle: VehicleId
    bundle: Bundle
    targets_version: int
    phase: Phase
