"""What the Director knows of its fleet (Uptane 2.1.0, section 5.3.2.2).

Vehicles, their ECUs and keys, what each should run, what each last said it runs, and whether that is proven.

Values only. Who may change them: enrol (new vehicles), assign (wanted), issue (assigned), admit (reported).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from uptane.errors import Check
from uptane.model.ids import Bundle, EcuId, HardwareId, VehicleId
from uptane.model.metadata import Image
from uptane.model.reports import EcuReport, EcuState, InstalledImage, Outcome
from uptane.model.signed import PublicKey
from uptane.moments import UtcTime
from uptane.verify.image import installed_image

ADDRESS_MAX = 0xEF  # diagnostic addresses of ECUs; above are the Primary's and the testers' (docs/wire.md, section 7)


class Verification(Enum):
    """How an ECU verifies metadata."""

    PARTIAL = "partial"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Ecu:
    """An ECU as it was enrolled.

    `bus` and `address` are empty and 0 for the Primary. `filename` is the pattern of names it takes, `slot_size` the
    octets of one slot. `key` verifies its reports; None until it is provisioned. `factory` is what it left the
    factory with, as far as anyone said so.
    """

    id: EcuId
    hardware: HardwareId
    primary: bool
    verification: Verification
    bus: str
    address: int
    filename: str
    slot_size: int
    key: PublicKey | None
    factory: InstalledImage | None


@dataclass(frozen=True, slots=True)
class Reported:
    """The latest genuine report of an ECU: its envelope, what was signed, what it says, when it was admitted."""

    octets: bytes
    message: bytes
    report: EcuReport
    received: UtcTime


@dataclass(frozen=True, slots=True)
class Assigned:
    """An ECU's entry in the Targets now issued.

    `counter` is that of its latest report when the entry first went out: only newer ones prove anything. `held` means
    that it ran this image already, so there is nothing to install. `before` is what it ran then.
    """

    image: Image
    targets_version: int
    counter: int
    held: bool
    before: InstalledImage | None
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An image that went out under this Targets version, and may have been installed without our hearing of it."""

    targets_version: int
    image: InstalledImage


@dataclass(frozen=True, slots=True)
class EcuRecord:
    """Everything about one ECU that changes.

    `wanted` is the operator's latest order until it is proven, `assigned` what went out, `settled` what it ran when it
    last said so with nothing under way, `unsettled` what it may run besides. `counter_floor` is the highest release
    counter ever sent to it: vehicles refuse to go below.
    """

    ecu: Ecu
    wanted: Image | None = None
    assigned: Assigned | None = None
    reported: Reported | None = None
    silent_since: UtcTime | None = None
    settled: InstalledImage | None = None
    unsettled: tuple[Unsettled, ...] = ()
    counter_floor: int = 0

    @property
    def report_counter(self) -> int:
        """Counter of the latest genuine report; 0 before the first."""
        return 0 if self.reported is None else self.reported.report.counter

    @property
    def released_floor(self) -> int:
        """The lowest release counter this ECU and its Primary would take, as far as the Director can know."""
        factory = 0 if self.ecu.factory is None else self.ecu.factory.release_counter
        released = 0 if self.reported is None else self.reported.report.released_counter
        return max(self.counter_floor, factory, released)

    @property
    def running(self) -> InstalledImage | None:
        """What it said it boots in its latest report; before the first, what it left the factory with."""
        return self.ecu.factory if self.reported is None else self.reported.report.image

    @property
    def possible(self) -> tuple[InstalledImage, ...]:
        """Every image it may run now: what it last settled on, and what was sent out since."""
        settled = () if self.settled is None else (self.settled,)
        return (*settled, *(each.image for each in self.unsettled if each.image not in settled))


@dataclass(frozen=True, slots=True)
class Issued:
    """The metadata a vehicle is to hold now: three envelopes, and what decides whether they are still good."""

    targets: bytes
    snapshot: bytes
    timestamp: bytes
    targets_version: int
    snapshot_version: int
    timestamp_version: int
    root_version: int
    image_root: int
    issued: UtcTime
    expires: UtcTime
    bundle: Bundle
    coordinator: PublicKey | None


@dataclass(frozen=True, slots=True)
class Admission:
    """The latest manifest that was admitted: SHA-256 of its envelope, what was signed, its counter, when."""

    digest: bytes
    message: bytes
    octets: bytes
    counter: int
    received: UtcTime


@dataclass(frozen=True, slots=True)
class Filed:
    """A check that refused a vehicle's manifest or one of its reports, how often, and the latest case."""

    check: Check
    count: int
    last: UtcTime
    detail: str


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle: its ECUs ascending by id, the metadata issued to it, the manifest it last proved itself with.

    `reissue` asks for a new Targets version although nothing changed: a vehicle does not try a (bundle, version) again
    that it has rolled back. `revoked` is since when the Director does not talk to it.
    """

    id: VehicleId
    ecus: tuple[EcuRecord, ...]
    description: str
    enrolled: UtcTime
    issued: Issued | None = None
    admission: Admission | None = None
    manifests: int = 0
    filed: tuple[Filed, ...] = ()
    reissue: bool = False
    revoked: UtcTime | None = None

    @property
    def primary(self) -> EcuRecord:
        """The record of the one Primary."""
        return next(record for record in self.ecus if record.ecu.primary)

    def find(self, ecu: EcuId) -> EcuRecord | None:
        """The record of `ecu`, or None."""
        return next((record for record in self.ecus if record.ecu.id == ecu), None)

    def with_records(self, changed: Mapping[EcuId, EcuRecord]) -> Vehicle:
        """The same vehicle with some records replaced."""
        assert changed.keys() <= {record.ecu.id for record in self.ecus}
        return replace(self, ecus=tuple(changed.get(record.ecu.id, record) for record in self.ecus))

    def filing(self, check: Check, detail: str, utc: UtcTime) -> Vehicle:
        """The same vehicle with one more refusal on file."""
        before = next((each.count for each in self.filed if each.check is check), 0)
        others = tuple(each for each in self.filed if each.check is not check)
        return replace(self, filed=(*others, Filed(check, before + 1, utc, detail)))


CONFIRMED = frozenset({EcuState.COMMITTED, EcuState.RELEASED})
"""States in which the vehicle has decided for what runs; trial and voted are on the way there."""

_WENT_BACK = frozenset({Outcome.ROLLED_BACK, Outcome.SELF_TEST_FAILED, Outcome.UNBOOTABLE, Outcome.OTHER})

AT_REST = CONFIRMED | {EcuState.IDLE, EcuState.PREPARED}
"""States in which what boots is not on trial."""


def runs(said: InstalledImage | None, image: Image) -> bool:
    """Whether what an ECU says it runs is this image: then it is held as it is (installation.is_running)."""
    return said is not None and said == installed_image(image)


def went_back(record: EcuRecord, issued: Issued) -> bool:
    """Whether the ECU says that it tried what is issued and runs its old image again: it waits for other Targets."""
    if record.reported is None or record.reported.report.state is not EcuState.IDLE:
        return False
    said = record.reported.report
    tried = said.bundle == issued.bundle and said.targets_version >= issued.targets_version
    return tried and said.outcome in _WENT_BACK
