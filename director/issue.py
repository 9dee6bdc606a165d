"""Per-vehicle Targets, Snapshot and Timestamp, signed online (Uptane 2.1.0, section 5.3.2.1).

Signed only when something changed or nears expiry; the three are always issued together, so that one poll brings a
whole set. Targets list every ECU the Image repository vouches an image for, changed or not: what is held is there too.
The Image repository's `Image` octets are copied, never encoded anew. A re-issue keeps entries, and so the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from director.inventory import AT_REST, Assigned, EcuRecord, Issued, Unsettled, Vehicle, runs
from director.resolve import Resolution
from uptane.model.ids import TOP_TARGETS, Bundle, EcuId
from uptane.model.metadata import (
    LEVEL,
    Assignment,
    DirectorTargets,
    FileInfo,
    ForVehicle,
    Header,
    Image,
    Listing,
    Snapshot,
    SnapshotFile,
    Timestamp,
)
from uptane.model.reports import EcuState
from uptane.model.signed import PublicKey
from uptane.moments import UtcTime
from uptane.ports import Codec, Hasher, Lists, Signer
from uptane.verify.image import installed_image
from uptane.verify.signing import sign

CLOCK_SKEW_MAX_S = 300  # seconds a clock may be set back without anything being signed anew
RENEWED_AT = 4  # a set is issued anew when a fourth of its life is left: time for a vehicle that polls once in a while
FORCED = "asked for"


class Encoding(Codec, Lists, Protocol):
    """A codec that also makes lists."""


@dataclass(frozen=True, slots=True)
class Signers:
    """The Director's online keys: as many of each role as its threshold."""

    targets: Sequence[Signer]
    snapshot: Sequence[Signer]
    timestamp: Sequence[Signer]


@dataclass(frozen=True, slots=True)
class Press:
    """What it takes to issue metadata: `lifetime_s` is how long each set is valid, in seconds (a day by default)."""

    codec: Encoding
    hasher: Hasher
    signers: Signers
    lifetime_s: int


@dataclass(frozen=True, slots=True)
class Fleetwide:
    """What decides for all vehicles whether their metadata is still good: versions of both Roots, and the time."""

    root_version: int
    image_root: int
    utc: UtcTime


def issue(vehicle: Vehicle, resolution: Resolution, *, fleet: Fleetwide, press: Press) -> tuple[Vehicle, str]:
    """The vehicle with metadata that say what was resolved, and why they had to be signed; "" if they did not."""
    entries = press.codec.assignments([Assignment(ecu, image) for ecu, image in resolution.entries])
    bundle = Bundle(press.hasher.sha256(entries.octets))
    why = _why(vehicle, bundle, fleet, press.lifetime_s)
    if not why:
        return vehicle, ""
    issued = _signed(vehicle, entries, fleet=fleet, press=press)
    assert issued.bundle == bundle
    chosen = dict(resolution.entries)
    records = {
        record.ecu.id: _assigned(record, chosen.get(record.ecu.id), issued.targets_version) for record in vehicle.ecus
    }
    return replace(vehicle.with_records(records), issued=issued, reissue=False), why


def coordinator(vehicle: Vehicle) -> PublicKey | None:
    """Whose orders the ECUs of this vehicle take: its Primary's key; nobody's where there is only one ECU."""
    key = vehicle.primary.ecu.key
    return None if len(vehicle.ecus) == 1 else key


def _why(vehicle: Vehicle, bundle: Bundle, fleet: Fleetwide, lifetime_s: int) -> str:
    """The reason to sign anew; empty if there is none."""
    issued = vehicle.issued
    if issued is None:
        return "first issue"
    if issued.bundle != bundle:
        return "another bundle"
    if vehicle.reissue:
        return FORCED
    if issued.coordinator != coordinator(vehicle):
        return "another coordinator"
    if issued.root_version != fleet.root_version:
        return "another Director Root"
    if issued.image_root != fleet.image_root:
        return "another Image Root"
    if issued.issued > fleet.utc + CLOCK_SKEW_MAX_S:
        return "issued by a clock that was ahead"  # else it would be valid far too long, and not renewed until then
    return "nears expiry" if issued.expires - fleet.utc < lifetime_s // RENEWED_AT else ""


def _signed(vehicle: Vehicle, entries: Listing[Assignment], *, fleet: Fleetwide, press: Press) -> Issued:
    """The three files. Each version is one more than before, because each payload is another."""
    before = vehicle.issued
    expires = UtcTime(fleet.utc + press.lifetime_s)

    def header(previous: int) -> Header:
        return Header(LEVEL, ForVehicle(vehicle.id), previous + 1, expires, fleet.utc)

    def info(version: int, octets: bytes) -> FileInfo:
        return FileInfo(version, len(octets), press.hasher.sha256(octets))

    targets = DirectorTargets(
        header=header(0 if before is None else before.targets_version),
        coordinator=coordinator(vehicle),
        # Once the Image Root has been rotated, vehicles are told to look: they would not ask with nothing to install.
        refresh_image_root=fleet.image_root > 1,
        entries=entries,
    )
    targets_octets = sign(press.codec, targets, press.signers.targets)
    listed = SnapshotFile(TOP_TARGETS, info(targets.header.version, targets_octets))
    snapshot = Snapshot(header(0 if before is None else before.snapshot_version), press.codec.files([listed]))
    snapshot_octets = sign(press.codec, snapshot, press.signers.snapshot)
    timestamp = Timestamp(
        header(0 if before is None else before.timestamp_version), info(snapshot.header.version, snapshot_octets)
    )
    return Issued(
        targets=targets_octets,
        snapshot=snapshot_octets,
        timestamp=sign(press.codec, timestamp, press.signers.timestamp),
        targets_version=targets.header.version,
        snapshot_version=snapshot.header.version,
        timestamp_version=timestamp.header.version,
        root_version=fleet.root_version,
        image_root=fleet.image_root,
        issued=fleet.utc,
        expires=expires,
        bundle=Bundle(press.hasher.sha256(entries.octets)),
        coordinator=targets.coordinator,
    )


def _assigned(record: EcuRecord, image: Image | None, version: int) -> EcuRecord:
    """What is on record of an ECU once Targets `version` carries `image` for it, or nothing."""
    if image is None:
        return replace(record, assigned=None)
    before = record.assigned
    same_software = before is not None and installed_image(before.image) == installed_image(image)
    if before is not None and same_software and (before.proven or before.held or not _holds(record, image)):
        return _with_entry(record, replace(before, image=image))
    fresh = Assigned(image, version, record.report_counter, held=_holds(record, image), before=record.running)
    return _with_entry(record, fresh)


def _with_entry(record: EcuRecord, assigned: Assigned) -> EcuRecord:
    image = installed_image(assigned.image)
    known = assigned.held or assigned.proven or any(each.image == image for each in record.unsettled)
    unsettled = record.unsettled if known else (*record.unsettled, Unsettled(assigned.targets_version, image))
    floor = max(record.counter_floor, image.release_counter)
    return replace(record, assigned=assigned, unsettled=unsettled, counter_floor=floor)


def _holds(record: EcuRecord, image: Image) -> bool:
    """Whether the ECU runs the image already, with nothing on trial; before its first report, what the factory says."""
    state = EcuState.IDLE if record.reported is None else record.reported.report.state
    return state in AT_REST and runs(record.running, image)


def entries_of(vehicle: Vehicle) -> Mapping[EcuId, Image]:
    """What the Targets now issued say."""
    return {record.ecu.id: record.assigned.image for record in vehicle.ecus if record.assigned is not None}
