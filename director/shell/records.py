"""Vehicles as rows and back. What was signed is read again from its octets; it was verified before it was stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa

from director.inventory import (
    Admission,
    Assigned,
    Ecu,
    EcuRecord,
    Filed,
    Issued,
    Reported,
    Unsettled,
    Vehicle,
    Verification,
)
from uptane.codec.targets_rows import image_of
from uptane.errors import BY_CODE, StorageFailure
from uptane.model.ids import EcuId, Filename
from uptane.model.limits import MANIFEST_LENGTH_MAX, REPORT_LENGTH_MAX
from uptane.model.metadata import Image
from uptane.model.reports import EcuReport, InstalledImage
from uptane.model.signed import PublicKey, Scheme
from uptane.ports import Codec

Row: TypeAlias = sa.RowMapping


def vehicle_row(vehicle: Vehicle) -> dict[str, Any]:
    """The row of `vehicles`; when it polled is written elsewhere."""
    return {
        "id": vehicle.id,
        "description": vehicle.description,
        "enrolled": vehicle.enrolled,
        "revoked": vehicle.revoked,
        "reissue": vehicle.reissue,
        "manifests": vehicle.manifests,
    }


def ecu_row(vehicle: Vehicle, record: EcuRecord) -> dict[str, Any]:
    """The row of `ecus`."""
    ecu, assigned, reported = record.ecu, record.assigned, record.reported
    return {
        "vehicle": vehicle.id,
        "id": ecu.id,
        "hardware": ecu.hardware,
        "is_primary": ecu.primary,
        "verification": ecu.verification.value,
        "bus": ecu.bus,
        "address": ecu.address,
        "filename": ecu.filename,
        "slot_size": ecu.slot_size,
        "key_scheme": None if ecu.key is None else ecu.key.scheme.value,
        "key_octets": None if ecu.key is None else ecu.key.octets,
        "factory": _installed_json(ecu.factory),
        "wanted": None if record.wanted is None else record.wanted.octets,
        "assigned": None if assigned is None else assigned.image.octets,
        "assigned_version": None if assigned is None else assigned.targets_version,
        "assigned_counter": None if assigned is None else assigned.counter,
        "assigned_held": None if assigned is None else assigned.held,
        "assigned_before": None if assigned is None else _installed_json(assigned.before),
        "assigned_proven": None if assigned is None else assigned.proven,
        "report": None if reported is None else reported.octets,
        "received": None if reported is None else reported.received,
        "silent_since": record.silent_since,
        "settled": _installed_json(record.settled),
        "unsettled": [[each.targets_version, _installed_json(each.image)] for each in record.unsettled],
        "counter_floor": record.counter_floor,
        "wanted_name": None if record.wanted is None else record.wanted.filename,
        "assigned_name": None if assigned is None else assigned.image.filename,
        "running_name": None if record.running is None else record.running.filename,
    }


def issued_row(vehicle: Vehicle, issued: Issued) -> dict[str, Any]:
    """The row of `issued`."""
    coordinator = issued.coordinator
    return {
        "vehicle": vehicle.id,
        "targets": issued.targets,
        "snapshot": issued.snapshot,
        "timestamp": issued.timestamp,
        "targets_version": issued.targets_version,
        "snapshot_version": issued.snapshot_version,
        "timestamp_version": issued.timestamp_version,
        "root_version": issued.root_version,
        "image_root": issued.image_root,
        "issued": issued.issued,
        "expires": issued.expires,
        "bundle": issued.bundle,
        "coordinator_scheme": None if coordinator is None else coordinator.scheme.value,
        "coordinator_octets": None if coordinator is None else coordinator.octets,
    }


def admission_row(vehicle: Vehicle, admission: Admission) -> dict[str, Any]:
    """The row of `admissions`."""
    return {
        "vehicle": vehicle.id,
        "digest": admission.digest,
        "octets": admission.octets,
        "counter": admission.counter,
        "received": admission.received,
    }


def refusal_row(vehicle: Vehicle, filed: Filed) -> dict[str, Any]:
    """The row of `refusals`."""
    return {
        "vehicle": vehicle.id,
        "check_code": filed.check.code,
        "count": filed.count,
        "last": filed.last,
        "detail": filed.detail,
    }


def vehicle_of(
    codec: Codec, row: Row, ecus: Sequence[Row], issued: Row | None, *, admission: Row | None, refusals: Sequence[Row]
) -> Vehicle:
    """The vehicle that the rows say; `ecus` ascending by id."""
    return Vehicle(
        id=row["id"],
        ecus=tuple(_record_of(codec, each) for each in ecus),
        description=row["description"],
        enrolled=row["enrolled"],
        issued=None if issued is None else _issued_of(issued),
        admission=None if admission is None else _admission_of(codec, admission),
        manifests=row["manifests"],
        filed=tuple(
            Filed(BY_CODE[each["check_code"]], each["count"], each["last"], each["detail"]) for each in refusals
        ),
        reissue=row["reissue"],
        revoked=row["revoked"],
    )


def _record_of(codec: Codec, row: Row) -> EcuRecord:
    ecu = Ecu(
        id=EcuId(row["id"]),
        hardware=row["hardware"],
        primary=row["is_primary"],
        verification=Verification(row["verification"]),
        bus=row["bus"],
        address=row["address"],
        filename=row["filename"],
        slot_size=row["slot_size"],
        key=_key_of(row["key_scheme"], row["key_octets"]),
        factory=_installed_of(row["factory"]),
    )
    return EcuRecord(
        ecu=ecu,
        wanted=_image_of(row["wanted"]),
        assigned=_assigned_of(row),
        reported=_reported_of(codec, row),
        silent_since=row["silent_since"],
        settled=_installed_of(row["settled"]),
        unsettled=tuple(Unsettled(version, _known(_installed_of(image))) for version, image in row["unsettled"]),
        counter_floor=row["counter_floor"],
    )


def _assigned_of(row: Row) -> Assigned | None:
    image = _image_of(row["assigned"])
    if image is None:
        return None
    return Assigned(
        image=image,
        targets_version=row["assigned_version"],
        counter=row["assigned_counter"],
        held=row["assigned_held"],
        before=_installed_of(row["assigned_before"]),
        proven=row["assigned_proven"],
    )


def _reported_of(codec: Codec, row: Row) -> Reported | None:
    octets = row["report"]
    if octets is None:
        return None
    envelope = codec.open(octets, REPORT_LENGTH_MAX)
    report = codec.parse(envelope.payload)
    if not isinstance(report, EcuReport):
        raise StorageFailure(f"the stored report of {row['vehicle']}/{row['id']} is none")
    return Reported(octets, codec.message(envelope.payload), report, row["received"])


def _issued_of(row: Row) -> Issued:
    return Issued(
        targets=row["targets"],
        snapshot=row["snapshot"],
        timestamp=row["timestamp"],
        targets_version=row["targets_version"],
        snapshot_version=row["snapshot_version"],
        timestamp_version=row["timestamp_version"],
        root_version=row["root_version"],
        image_root=row["image_root"],
        issued=row["issued"],
        expires=row["expires"],
        bundle=row["bundle"],
        coordinator=_key_of(row["coordinator_scheme"], row["coordinator_octets"]),
    )


def _admission_of(codec: Codec, row: Row) -> Admission:
    envelope = codec.open(row["octets"], MANIFEST_LENGTH_MAX)
    message = codec.message(envelope.payload)
    return Admission(row["digest"], message, row["octets"], row["counter"], row["received"])


def _filed_of(row: Row) -> Filed:
    return Filed(BY_CODE[row["check_code"]], row["count"], row["last"], row["detail"])


def _key_of(scheme: str | None, octets: bytes | None) -> PublicKey | None:
    return None if scheme is None or octets is None else PublicKey(Scheme(scheme), octets)


def _image_of(octets: bytes | None) -> Image | None:
    return None if octets is None else image_of(octets)


def _installed_json(image: InstalledImage | None) -> list[Any] | None:
    return None if image is None else [image.filename, image.length, image.sha256.hex(), image.release_counter]


def _installed_of(fields: list[Any] | None) -> InstalledImage | None:
    if fields is None:
        return None
    filename, length, sha256, counter = fields
    return InstalledImage(Filename(filename), length, bytes.fromhex(sha256), counter)


def _known(image: InstalledImage | None) -> InstalledImage:
    assert image is not None, "an unsettled image is an image"
    return image
