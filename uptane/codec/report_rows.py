"""Reports, manifests, attestations and orders between the values of the model and the rows of the schema."""

from __future__ import annotations

from uptane.codec.alphabet import read_name, write_name
from uptane.codec.oer_types import Row
from uptane.errors import Malformed
from uptane.model.ids import FILENAME_LENGTH_MAX, EcuId, Filename, HardwareId, VehicleId
from uptane.model.reports import (
    EcuReport,
    EcuState,
    InstalledImage,
    ManifestEntry,
    Outcome,
    Phase,
    Refusal,
    TimeAttestation,
    VehicleManifest,
    VehicleOrder,
)

STATES = tuple(EcuState)
OUTCOMES = tuple(outcome for outcome in Outcome if outcome is not Outcome.OTHER)
PHASES = tuple(Phase)


def report_of(row: Row) -> EcuReport:
    """An ECU version report."""
    level, vehicle, ecu, hardware, counter, state, outcome, bundle, targets, root, released = row[:11]
    image, time, previous_time, refusals, _additions = row[11:]
    return EcuReport(
        level=level,
        vehicle=VehicleId(read_name(vehicle)),
        ecu=EcuId(read_name(ecu)),
        hardware=HardwareId(read_name(hardware)),
        counter=counter,
        state=STATES[state],
        outcome=OUTCOMES[outcome] if outcome < len(OUTCOMES) else Outcome.OTHER,
        bundle=bundle,
        targets_version=targets,
        root_version=root,
        released_counter=released,
        image=_installed_of(image),
        time=time,
        previous_time=previous_time,
        refusals=tuple(Refusal(check, count) for check, count in refusals),
    )


def report_row(report: EcuReport) -> Row:
    """The row of an ECU version report."""
    if report.outcome is Outcome.OTHER:
        raise Malformed("an outcome that this software does not know")
    return (
        report.level,
        write_name(report.vehicle),
        write_name(report.ecu),
        write_name(report.hardware),
        report.counter,
        STATES.index(report.state),
        OUTCOMES.index(report.outcome),
        report.bundle,
        report.targets_version,
        report.root_version,
        report.released_counter,
        _installed_row(report.image),
        report.time,
        report.previous_time,
        tuple((refusal.check, refusal.count) for refusal in report.refusals),
        (),
    )


def _installed_of(row: Row) -> InstalledImage:
    filename, length, sha256, counter = row
    return InstalledImage(Filename(read_name(filename, FILENAME_LENGTH_MAX)), length, sha256, counter)


def _installed_row(image: InstalledImage) -> Row:
    return (write_name(image.filename, FILENAME_LENGTH_MAX), image.length, image.sha256, image.release_counter)


def manifest_of(row: Row) -> VehicleManifest:
    """A vehicle version manifest; the reports in it stay octets. Their order is the Director's to judge."""
    level, vehicle, primary, counter, entries, _additions = row
    return VehicleManifest(
        level,
        VehicleId(read_name(vehicle)),
        EcuId(read_name(primary)),
        counter,
        tuple(ManifestEntry(EcuId(read_name(ecu)), report, silent) for ecu, report, silent in entries),
    )


def manifest_row(manifest: VehicleManifest) -> Row:
    """The row of a vehicle version manifest."""
    entries = tuple((write_name(entry.ecu), entry.report, entry.silent_since) for entry in manifest.entries)
    return (manifest.level, write_name(manifest.vehicle), write_name(manifest.primary), manifest.counter, entries, ())


def attestation_of(row: Row) -> TimeAttestation:
    """A time attestation."""
    level, time, nonce, _additions = row
    return TimeAttestation(level, time, nonce)


def attestation_row(attestation: TimeAttestation) -> Row:
    """The row of a time attestation."""
    return (attestation.level, attestation.time, attestation.nonce, ())


def order_of(row: Row) -> VehicleOrder:
    """An order to the participants of a bundle."""
    level, vehicle, bundle, targets_version, phase, _additions = row
    return VehicleOrder(level, VehicleId(read_name(vehicle)), bundle, targets_version, PHASES[phase])


def order_row(order: VehicleOrder) -> Row:
    """The row of an order."""
    phase = PHASES.index(order.phase)
    return (order.level, write_name(order.vehicle), order.bundle, order.targets_version, phase, ())
