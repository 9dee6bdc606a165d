"""What an operator sees: per ECU what it should run, what it says, and whether that is proven."""

from __future__ import annotations

from dataclasses import dataclass

from director.fleet import Fleet
from director.inventory import EcuRecord, Filed, Vehicle
from director.resolve import resolve
from uptane.model.reports import InstalledImage
from uptane.verify.image import installed_image


@dataclass(frozen=True, slots=True)
class EcuStatus:
    """One ECU. `before` is what it ran when its assignment went out; `held_back` is why an order does not go out."""

    record: EcuRecord
    wanted: InstalledImage | None
    assigned: InstalledImage | None
    reported: InstalledImage | None
    before: InstalledImage | None
    proven: bool
    held_back: str


@dataclass(frozen=True, slots=True)
class VehicleStatus:
    """One vehicle."""

    vehicle: Vehicle
    ecus: tuple[EcuStatus, ...]
    refused: tuple[Filed, ...]
    notes: tuple[str, ...]


def status(vehicle: Vehicle, fleet: Fleet) -> VehicleStatus:
    """What is known of `vehicle` now."""
    resolution = resolve(vehicle, fleet.rules, fleet.catalogue)
    ecus = tuple(_ecu(record, resolution.held_back.get(record.ecu.id, "")) for record in vehicle.ecus)
    return VehicleStatus(vehicle, ecus, vehicle.filed, resolution.notes)


def _ecu(record: EcuRecord, held_back: str) -> EcuStatus:
    assigned, reported = record.assigned, record.reported
    return EcuStatus(
        record=record,
        wanted=None if record.wanted is None else installed_image(record.wanted),
        assigned=None if assigned is None else installed_image(assigned.image),
        reported=None if reported is None else reported.report.image,
        before=None if assigned is None else assigned.before,
        proven=assigned is not None and assigned.proven,
        held_back=held_back,
    )
