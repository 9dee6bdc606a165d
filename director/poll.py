"""One poll of a vehicle: its manifest is admitted first, then decided upon, then answered with what it lacks.

So one call both proves what was installed and brings the next orders. Nothing new: nothing is stored, and the answer
has no files. A manifest that is refused brings no new orders, but metadata are renewed all the same: whoever cannot
prove himself must not be frozen out for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from director.admit import Admitted, admit
from director.audit import Act, Entry
from director.fleet import Fleet
from director.inventory import Issued, Vehicle, went_back
from director.issue import Press, issue
from director.resolve import resolve
from uptane.errors import Check, Malformed, Rejected, check_of
from uptane.model.ids import MetaName, VehicleId
from uptane.moments import UtcTime
from uptane.ports import Hasher
from uptane.verify.threshold import Verifier

BUSY = 6  # while something is under way, a vehicle polls so many times as often
DIGEST_LENGTH = 32


@dataclass(frozen=True, slots=True)
class HeldVersions:
    """Versions of the Director's files a vehicle says it holds; 0 for none."""

    root: int
    timestamp: int
    snapshot: int
    targets: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A poll: the digest of the last manifest that was admitted, or the manifest itself; "" for what is not there."""

    manifest_digest: bytes
    manifest: bytes
    held: HeldVersions


@dataclass(frozen=True, slots=True)
class Answer:
    """What a poll is answered; `files` are metadata files by name, in the order a vehicle checks them."""

    manifest_wanted: bool
    admitted_digest: bytes
    poll_again_s: int
    refused: tuple[tuple[Check, str], ...]
    files: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """What deciding needs besides values: how to verify, and how to sign."""

    verifier: Verifier
    press: Press


@dataclass(frozen=True, slots=True)
class Polled:
    """The vehicle after its poll, the answer, and what goes into the audit log."""

    vehicle: Vehicle
    answer: Answer
    log: tuple[Entry, ...]


def poll(vehicle: Vehicle, asked: Asked, fleet: Fleet, *, desk: Desk, utc: UtcTime) -> Polled:
    """Answer one poll of `vehicle`."""
    log: list[Entry] = []
    refused: tuple[tuple[Check, str], ...] = ()
    if asked.manifest:
        try:
            admitted = admit(vehicle, asked.manifest, verifier=desk.verifier, utc=utc)
        except (Rejected, Malformed) as refusal:
            refused = ((check_of(refusal), _detail(refusal)),)
            vehicle, entries = _filed(vehicle, *refused[0], utc=utc)
        else:
            vehicle, entries = admitted.vehicle, list(_admitted(admitted, utc))
        log += entries
    resolution = resolve(vehicle, fleet.rules, fleet.catalogue, orders=not refused)
    vehicle, why = issue(vehicle, resolution, fleet=fleet.wide(utc), press=desk.press)
    issued = vehicle.issued
    assert issued is not None, "issue has made the first set"
    if why:
        text = f"Targets {issued.targets_version}: {why}; bundle {issued.bundle.hex()[:16]}"
        log.append(Entry(utc, "director", Act.ISSUE, vehicle.id, text))
    if log:  # beside other news: an odd vehicle that only polls must not fill the disk
        log += _anomalies(vehicle, issued, asked.held, utc)
    digest = b"" if vehicle.admission is None else vehicle.admission.digest
    wanted = not asked.manifest and (not digest or asked.manifest_digest != digest)
    again = 1 if wanted else poll_again_s(vehicle, fleet.poll_s, utc, desk.press.hasher)
    answer = Answer(wanted, digest, again, refused, tuple(_news(fleet, issued, asked.held)))
    return Polled(vehicle, answer, tuple(log))


def poll_again_s(vehicle: Vehicle, interval_s: int, utc: UtcTime, hasher: Hasher) -> int:
    """Seconds until this vehicle should poll again: at its own place within the interval, so that a fleet is spread.

    Every vehicle keeps its place by itself, whenever it was switched on: half an interval to one and a half.
    """
    interval = max(1, interval_s // BUSY) if _under_way(vehicle) else max(1, interval_s)
    place = int.from_bytes(hasher.sha256(VehicleId(vehicle.id).encode())[:8]) % interval
    earliest = utc + (interval + 1) // 2
    return (earliest - utc) + (place - earliest) % interval


def _under_way(vehicle: Vehicle) -> bool:
    """Whether an ECU may still do what it was sent: one that went back to its old image waits for other Targets."""
    issued = vehicle.issued
    return any(
        record.assigned is not None and not record.assigned.proven and (issued is None or not went_back(record, issued))
        for record in vehicle.ecus
    )


def _news(fleet: Fleet, issued: Issued, held: HeldVersions) -> Iterator[tuple[str, bytes]]:
    """The files the vehicle lacks."""
    for version, octets in enumerate(fleet.roots, 1):
        if version > held.root:
            yield str(MetaName("root", version)), octets
    if held.timestamp < issued.timestamp_version:
        yield str(MetaName("timestamp")), issued.timestamp
    if held.snapshot < issued.snapshot_version:
        yield str(MetaName("snapshot", issued.snapshot_version)), issued.snapshot
    if held.targets < issued.targets_version:
        yield str(MetaName("targets", issued.targets_version)), issued.targets


def _filed(vehicle: Vehicle, check: Check, detail: str, *, utc: UtcTime) -> tuple[Vehicle, list[Entry]]:
    """The vehicle with the refusal on file, under the attack it stops."""
    filed = vehicle.filing(check, detail, utc)
    count = next(each.count for each in filed.filed if each.check is check)
    if count & (count - 1):
        return filed, []  # the log takes the 1st, 2nd, 4th, 8th ...: a hostile vehicle must not fill the disk
    text = f"{check.name} ({check.attack.value}), {count} so far: {detail}"
    return filed, [Entry(utc, f"vehicle:{vehicle.id}", Act.REFUSE, vehicle.id, text)]


def _admitted(admitted: Admitted, utc: UtcTime) -> Iterator[Entry]:
    """What a manifest told that was not known before."""
    if admitted.again:
        return
    vehicle = admitted.vehicle
    actor = f"vehicle:{vehicle.id}"
    assert vehicle.admission is not None
    if admitted.moved:
        yield Entry(utc, actor, Act.ADMIT, vehicle.id, f"manifest {vehicle.admission.counter}")
    for ecu, check, count in admitted.attacks:
        what = f"{check.name} ({check.attack.value})" if isinstance(check, Check) else f"check 0x{check:04X}"
        yield Entry(utc, actor, Act.ATTACK, f"{vehicle.id}/{ecu}", f"{what}, {count} so far")
    for ecu in admitted.proven:
        record = vehicle.find(ecu)
        assert record is not None
        assert record.assigned is not None
        text = f"runs {record.assigned.image.filename}, report {record.report_counter}"
        yield Entry(utc, actor, Act.PROVE, f"{vehicle.id}/{ecu}", text)


def _anomalies(vehicle: Vehicle, issued: Issued, held: HeldVersions, utc: UtcTime) -> list[Entry]:
    """A vehicle that holds newer files than were ever issued: the database is an old copy, or the vehicle lies."""
    known = (issued.timestamp_version, issued.snapshot_version, issued.targets_version)
    if all(said <= ours for said, ours in zip((held.timestamp, held.snapshot, held.targets), known, strict=True)):
        return []
    text = f"holds versions {held.timestamp}, {held.snapshot}, {held.targets}; issued were {known}"
    return [Entry(utc, f"vehicle:{vehicle.id}", Act.ANOMALY, vehicle.id, text)]


def _detail(refusal: Rejected | Malformed) -> str:
    return refusal.detail if isinstance(refusal, Rejected) else str(refusal)


def first_issue(vehicle: Vehicle, fleet: Fleet, *, desk: Desk, utc: UtcTime) -> tuple[Vehicle, str]:
    """The vehicle with metadata that are good now, without a manifest: for provisioning."""
    resolution = resolve(vehicle, fleet.rules, fleet.catalogue, orders=False)
    return issue(vehicle, resolution, fleet=fleet.wide(utc), press=desk.press)
