"""Admitting a vehicle manifest (Uptane 2.1.0, sections 5.3.2.1 and 5.4.2.1): is it genuine, fresh and whole?

Every check passes, or the whole manifest is refused and nothing on record moves. What a manifest proves:

- Only a report whose counter is newer than the assignment, and whose state is confirmed (committed or released), proves
  an installation. An image that ran already when it was assigned was never on trial: it is proven at rest, too.
- The same octets again are admitted again and prove nothing new; another content under a used counter is a replay.
- A silent ECU stands in the manifest with its last report, and since when it is silent. That is admitted and shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from director.inventory import AT_REST, CONFIRMED, Admission, Assigned, EcuRecord, Reported, Unsettled, Vehicle, runs
from uptane.errors import BY_CODE, Check, Disordered, Rejected
from uptane.model.ids import EcuId
from uptane.model.limits import MANIFEST_LENGTH_MAX, REPORT_LENGTH_MAX
from uptane.model.reports import EcuReport, EcuState, ManifestEntry, VehicleManifest
from uptane.model.signed import Verified
from uptane.moments import UtcTime
from uptane.verify.threshold import Verifier, accept_from, opened

CLOCK_SKEW_MAX_S = 300  # seconds an ECU's time may be ahead of ours: the time service's clock and ours are two clocks


@dataclass(frozen=True, slots=True)
class Admitted:
    """The vehicle after a manifest, and for the audit log what it told that was not known before.

    `moved` when an ECU is in another state than it was; not for every report, for a vehicle can make them without end.
    """

    vehicle: Vehicle
    again: bool
    moved: bool = False
    proven: tuple[EcuId, ...] = ()
    attacks: tuple[tuple[EcuId, Check | int, int], ...] = ()


def admit(vehicle: Vehicle, octets: bytes, *, verifier: Verifier, utc: UtcTime) -> Admitted:
    """Return `vehicle` as its manifest proves it to be.

    Raises:
        Rejected: MANIFEST_*, REPORT_*; KIND, LEVEL, LENGTH.
        Malformed: it, or a report in it, is no message.
    """
    digest = verifier.hasher.sha256(octets)
    if vehicle.admission is not None and vehicle.admission.digest == digest:
        return Admitted(vehicle, again=True)
    manifest = _manifest(vehicle, octets, verifier)
    admission = Admission(digest, manifest.message, octets, manifest.value.counter, utc)
    if vehicle.admission is not None and vehicle.admission.message == manifest.message:
        # Signed again, the same word: nothing new, but the vehicle will name the new envelope from now on.
        return Admitted(replace(vehicle, admission=admission), again=True)
    _check_counter(vehicle, manifest.value)
    _check_entries(vehicle, manifest.value)
    records = {entry.ecu: _admit_entry(vehicle, entry, verifier=verifier, utc=utc) for entry in manifest.value.entries}
    admitted = replace(vehicle.with_records(records), admission=admission, manifests=vehicle.manifests + 1)
    return Admitted(
        admitted,
        again=False,
        moved=vehicle.admission is None or _shown(vehicle) != _shown(admitted),
        proven=tuple(ecu for ecu, record in records.items() if _newly_proven(vehicle.find(ecu), record)),
        attacks=tuple(_attacks(vehicle, admitted)),
    )


# -------------------------------------------------------------------------------------------------- the manifest


def _manifest(vehicle: Vehicle, octets: bytes, verifier: Verifier) -> Verified[VehicleManifest]:
    """The manifest, signed by this vehicle's Primary and speaking of this vehicle."""
    primary = vehicle.primary.ecu
    if primary.key is None:
        raise Rejected(Check.MANIFEST_SIGNATURE, f"no key on file for the Primary {primary.id}")
    envelope = opened(verifier, octets, MANIFEST_LENGTH_MAX)
    try:
        manifest = accept_from(verifier, envelope, primary.key, VehicleManifest, check=Check.MANIFEST_SIGNATURE)
    except Disordered as error:
        raise Rejected(Check.MANIFEST_ECU_TWICE, str(error)) from error
    if manifest.value.vehicle != vehicle.id:
        raise Rejected(Check.MANIFEST_VEHICLE, f"of {manifest.value.vehicle}, sent by {vehicle.id}")
    if manifest.value.primary != primary.id:
        raise Rejected(Check.MANIFEST_PRIMARY, f"made by {manifest.value.primary}, the Primary is {primary.id}")
    return manifest


def _check_counter(vehicle: Vehicle, manifest: VehicleManifest) -> None:
    last = 0 if vehicle.admission is None else vehicle.admission.counter
    if manifest.counter <= last:
        raise Rejected(Check.MANIFEST_COUNTER, f"counter {manifest.counter}, the last was {last}")


def _check_entries(vehicle: Vehicle, manifest: VehicleManifest) -> None:
    """Every ECU of the inventory once, no other, each with a report or declared silent."""
    named = [entry.ecu for entry in manifest.entries]
    if any(before.encode() >= after.encode() for before, after in pairwise(named)):
        raise Rejected(Check.MANIFEST_ECU_TWICE, ", ".join(named[:8]))
    known = {record.ecu.id for record in vehicle.ecus}
    if unknown := sorted(set(named) - known):
        raise Rejected(Check.MANIFEST_ECU_UNKNOWN, ", ".join(unknown[:8]))
    if missing := sorted(known - set(named)):
        raise Rejected(Check.MANIFEST_ECU_MISSING, ", ".join(missing[:8]))
    mute = [entry.ecu for entry in manifest.entries if entry.report is None and entry.silent_since is None]
    if mute:
        raise Rejected(Check.MANIFEST_SILENT, ", ".join(mute[:8]))


# ---------------------------------------------------------------------------------------------------- one report


def _admit_entry(vehicle: Vehicle, entry: ManifestEntry, *, verifier: Verifier, utc: UtcTime) -> EcuRecord:
    """The record of one ECU after its entry."""
    record = vehicle.find(entry.ecu)
    assert record is not None, "_check_entries has refused unknown ECUs"
    if entry.silent_since is not None:
        _check_time(entry.ecu, entry.silent_since, utc)
    record = replace(record, silent_since=entry.silent_since)
    if entry.report is None:
        return record
    report = _report(vehicle, record, entry.report, verifier)
    if record.reported is not None and record.reported.message == report.message:
        return record
    if report.value.counter <= record.report_counter:
        counters = f"counter {report.value.counter}, the last was {record.report_counter}"
        raise Rejected(Check.REPORT_COUNTER, f"{entry.ecu}: {counters}")
    _check_time(entry.ecu, report.value.time, utc)
    return _told(record, Reported(report.octets, report.message, report.value, utc))


def _check_time(ecu: EcuId, said: UtcTime, utc: UtcTime) -> None:
    """Neither reports nor silences come from the future."""
    if said > utc + CLOCK_SKEW_MAX_S:
        raise Rejected(Check.REPORT_TIME, f"{ecu}: {said}, it is {utc}")


def _report(vehicle: Vehicle, record: EcuRecord, octets: bytes, verifier: Verifier) -> Verified[EcuReport]:
    """The report, signed by that ECU's key and speaking of that ECU."""
    ecu = record.ecu
    if ecu.key is None:
        raise Rejected(Check.REPORT_SIGNATURE, f"no key on file for {ecu.id}")
    envelope = opened(verifier, octets, REPORT_LENGTH_MAX)
    report = accept_from(verifier, envelope, ecu.key, EcuReport, check=Check.REPORT_SIGNATURE)
    said = report.value
    if said.vehicle != vehicle.id:
        raise Rejected(Check.REPORT_VEHICLE, f"{ecu.id}: of {said.vehicle}, in the manifest of {vehicle.id}")
    if said.ecu != ecu.id:
        raise Rejected(Check.REPORT_ECU, f"of {said.ecu}, in the place of {ecu.id}")
    if said.hardware != ecu.hardware:
        raise Rejected(Check.REPORT_HARDWARE, f"{ecu.id}: {said.hardware}, enrolled with {ecu.hardware}")
    return report


def _told(record: EcuRecord, reported: Reported) -> EcuRecord:
    """The record after a report that is new."""
    report = reported.report
    settled, unsettled = record.settled, record.unsettled
    if report.state in AT_REST:
        settled = report.image
        # Targets older than those the ECU has accepted can no longer be installed.
        unsettled = tuple(
            each for each in unsettled if each.targets_version >= report.targets_version and each.image != settled
        )
    elif all(each.image != report.image for each in unsettled):
        unsettled = (*unsettled, Unsettled(report.targets_version, report.image))
    assigned = None if record.assigned is None else _judged(record.assigned, report)
    fulfilled = assigned is not None and assigned.proven and record.wanted == assigned.image
    return replace(
        record,
        wanted=None if fulfilled else record.wanted,
        assigned=assigned,
        reported=reported,
        settled=settled,
        unsettled=unsettled,
    )


def _judged(assigned: Assigned, report: EcuReport) -> Assigned:
    """Whether the assignment is proven after `report`: a proof stands until a newer report speaks against it."""
    if not runs(report.image, assigned.image) or report.state not in AT_REST:
        return replace(assigned, proven=False)
    newer = report.counter > assigned.counter
    # A report may be withheld and sent later: one about an earlier installation of this image knows no newer Targets.
    about_this = report.state in CONFIRMED and report.targets_version >= assigned.targets_version
    confirmed = about_this or assigned.held
    return replace(assigned, proven=assigned.proven or (newer and confirmed))


# ----------------------------------------------------------------------------------------------------- the news


def _newly_proven(before: EcuRecord | None, after: EcuRecord) -> bool:
    proven_before = before is not None and before.assigned is not None and before.assigned.proven
    return after.assigned is not None and after.assigned.proven and not proven_before


def _shown(vehicle: Vehicle) -> list[tuple[object, ...]]:
    """What reports say of each ECU, without what changes in every report."""
    return [
        (
            record.running,
            None if record.reported is None else (record.reported.report.state, record.reported.report.outcome),
            record.assigned is not None and record.assigned.proven,
            record.silent_since is None,
        )
        for record in vehicle.ecus
    ]


def _attacks(before: Vehicle, after: Vehicle) -> Iterator[tuple[EcuId, Check | int, int]]:
    """What ECUs say they refused since their last report: ECU, check (its code if we do not know it), count.

    Told when the count has passed the next power of two: however fast an attacker makes it rise, 32 times at most.
    """
    for record in after.ecus:
        if record.reported is None:
            continue
        known = before.find(record.ecu.id)
        earlier = known.reported.report.refusals if known is not None and known.reported is not None else ()
        counts = {refusal.check: refusal.count for refusal in earlier}
        for refusal in record.reported.report.refusals:
            if refusal.count.bit_length() > counts.get(refusal.check, 0).bit_length():
                yield record.ecu.id, BY_CODE.get(refusal.check, refusal.check), refusal.count


def activating(record: EcuRecord) -> bool:
    """Whether the ECU's latest report says that it runs something on trial."""
    return record.reported is not None and record.reported.report.state in (EcuState.TRIAL, EcuState.VOTED)
