"""The rules of what vehicles say and what the Director makes of it (R5, R6, R7, R16).

A report is seen when a Primary makes it durable, which is before it leaves. What it says is held against what its ECU
durably was: a report with a higher counter says something that was not before what the one below it said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from director.inventory import EcuRecord, Vehicle
from sim.check_bundle import Manifest, VehicleTruth
from sim.check_servers import sent
from sim.issued import read
from sim.rules import Rule
from sim.signatures import HASHER
from sim.truth import EcuTruth, Moment
from uptane.model.ids import EcuId
from uptane.model.reports import EcuReport, EcuState, VehicleManifest
from uptane.model.signed import PublicKey
from uptane.verify.image import installed_image

Finding: TypeAlias = tuple[Rule, str]

_CONFIRMED: Final = {EcuState.COMMITTED, EcuState.RELEASED}
LOOKED_AT: Final = 2  # polls between two looks at every ECU: the second when the Director lost what the first names

_AT_REST: Final = {*_CONFIRMED, EcuState.IDLE, EcuState.PREPARED}


# ------------------------------------------------------------------------------------------------ what is signed


def reported(lives: Iterable[EcuTruth], octets: bytes) -> Iterator[Finding]:
    """What is wrong with a report that a Primary has made durable for the ECU that had these lives."""
    file = read(octets)
    if file is None or not isinstance(file.value, EcuReport):
        yield Rule.NOT_AHEAD, "keeps as a report what is none"
        return
    truth = next((each for each in lives if file.by([each.key])), None)
    if truth is None:
        yield Rule.NOT_AHEAD, f"keeps a report of {file.value.ecu} that this ECU did not sign"
        return
    said = file.value
    known = truth.reports.setdefault(said.counter, file.message)
    if known != file.message:
        yield Rule.SAID_ONCE, f"{truth.name} signed two reports with the counter {said.counter}"
    elif said.counter > truth.told[0] or not truth.told[0]:
        yield from _true(truth, said)


def _true(truth: EcuTruth, said: EcuReport) -> Iterator[Finding]:
    """R6: whether a report says what was, and not what had passed already when an earlier one was signed."""
    if (said.vehicle, said.ecu, said.hardware) != (truth.vehicle, truth.ecu, truth.own.hardware):
        yield Rule.NOT_AHEAD, f"{truth.name} reports as {said.ecu} ({said.hardware}) of {said.vehicle}"
    start = truth.told[1]
    place = next((place for place in range(start, len(truth.history)) if _says(said, truth.history[place])), None)
    if place is None:
        was = "was before an earlier report" if any(_says(said, each) for each in truth.history) else "never was"
        state = f"{said.state.value}, {said.outcome.value}, {said.image.filename}, released {said.released_counter}"
        yield Rule.NOT_AHEAD, f"{truth.name} reports what {was}: {state}"
        return
    if said.targets_version > truth.highest:
        yield (
            Rule.NOT_AHEAD,
            f"{truth.name} reports Targets {said.targets_version}; it never held any above {truth.highest}",
        )
    truth.told = said.counter, place


def _says(said: EcuReport, was: Moment) -> bool:
    return (said.state, said.outcome, said.bundle, said.image, said.released_counter) == (
        was.state,
        was.outcome,
        was.bundle,
        was.image,
        was.released_counter,
    )


def manifested(vehicle: VehicleTruth, primary: EcuTruth, octets: bytes) -> Iterator[Finding]:
    """What is wrong with a manifest that its Primary has made durable."""
    vehicle.latest = octets
    file = read(octets)
    if file is None or not isinstance(file.value, VehicleManifest) or not file.by([primary.key]):
        yield Rule.NOT_AHEAD, "keeps a manifest that it did not sign"
        return
    said = file.value
    if primary.manifests.setdefault(said.counter, file.message) != file.message:
        yield Rule.SAID_ONCE, f"signed two manifests with the counter {said.counter}"
    for entry in said.entries:
        if entry.report is not None and not _is_kept(vehicle, entry.ecu, entry.report):
            yield Rule.DURABLE_FIRST, f"signs a manifest with a report of {entry.ecu} that it had not made durable"
    counters = {entry.ecu: _counter(entry.report) for entry in said.entries if entry.report is not None}
    vehicle.manifests[HASHER.sha256(octets)] = Manifest(primary, said.counter, counters)


def _is_kept(vehicle: VehicleTruth, ecu: EcuId, octets: bytes) -> bool:
    file = read(octets)
    if file is None or not isinstance(file.value, EcuReport):
        return False
    counter = file.value.counter
    return any(truth.reports.get(counter) == file.message for truth in vehicle.lives.get(ecu, ()))


def _counter(octets: bytes) -> int:
    file = read(octets)
    return file.value.counter if file is not None and isinstance(file.value, EcuReport) else 0


def polled(vehicle: VehicleTruth, manifest: bytes) -> Iterator[Finding]:
    """What is wrong with a poll: it hands in a manifest, or names the latest one, which stands for what is so."""
    if manifest and manifest != vehicle.latest:
        yield Rule.DURABLE_FIRST, "sends a manifest that it had not made durable"
    for truth in vehicle.ecus.values():
        if truth.node.powered or truth.node.life != truth.off_life:
            truth.off_life, truth.off = truth.node.life, 0
        truth.off += not truth.node.powered
        if truth.off > LOOKED_AT and not _is_silent(vehicle, truth.ecu):
            yield Rule.NOT_AHEAD, f"polls for the {truth.off}th time and does not say that {truth.ecu} is silent"


def _is_silent(vehicle: VehicleTruth, ecu: EcuId) -> bool:
    file = read(vehicle.latest)
    if file is None or not isinstance(file.value, VehicleManifest):
        return True
    return any(entry.ecu == ecu and entry.silent_since is not None for entry in file.value.entries)


def told(vehicle: VehicleTruth, recorded: Vehicle | None, digest: bytes) -> Iterator[Finding]:
    """R5: a Primary has heard, and made durable, that the Director admitted the manifest with this digest."""
    manifest = vehicle.manifests.get(digest)
    admission = None if recorded is None else recorded.admission
    if manifest is not None and recorded is not None and manifest.by.key == recorded.primary.ecu.key:
        counter = 0 if admission is None else admission.counter
        if counter < manifest.counter:
            yield Rule.REMEMBERED, f"was told that manifest {manifest.counter} was admitted; {counter} is on record"


# --------------------------------------------------------------------------------------------------- the Director


@dataclass(slots=True)
class Acknowledged:
    """What the Director has once admitted of a vehicle: by key, the highest counters of a manifest, and of reports."""

    manifests: dict[PublicKey, int] = field(default_factory=dict)
    reports: dict[PublicKey, int] = field(default_factory=dict)
    looked_at: Vehicle | None = None


def acknowledged(vehicle: VehicleTruth, known: Acknowledged, digest: bytes) -> Iterator[Finding]:
    """A manifest with this digest was admitted."""
    manifest = vehicle.manifests.get(digest)
    if manifest is None:
        yield Rule.NOT_AHEAD, f"a manifest {digest.hex()[:16]} was admitted that no Primary of {vehicle.vehicle} made"
        return
    key = manifest.by.key
    known.manifests[key] = max(known.manifests.get(key, 0), manifest.counter)
    for ecu, counter in manifest.reports.items():
        for truth in vehicle.lives.get(ecu, ()):
            if counter in truth.reports:
                known.reports[truth.key] = max(known.reports.get(truth.key, 0), counter)


def on_record(vehicle: VehicleTruth, known: Acknowledged, recorded: Vehicle) -> Iterator[Finding]:
    """What is wrong with what the Director has on record of a vehicle."""
    if recorded is known.looked_at:
        return
    yield from sent(vehicle, known.looked_at, recorded)
    known.looked_at = recorded
    counter = 0 if recorded.admission is None else recorded.admission.counter
    key = recorded.primary.ecu.key
    if key is not None and counter < known.manifests.get(key, 0):
        yield (
            Rule.REMEMBERED,
            f"{vehicle.vehicle}: manifest {counter} is on record; {known.manifests[key]} was admitted",
        )
    for each in recorded.ecus:
        if each.ecu.key is None:
            continue
        if each.report_counter < known.reports.get(each.ecu.key, 0):
            was = f"{each.report_counter} is on record; {known.reports[each.ecu.key]} was admitted"
            yield Rule.REMEMBERED, f"{vehicle.vehicle}/{each.ecu.id}: report {was}"
        yield from _believed(vehicle, each)


def _believed(vehicle: VehicleTruth, record: EcuRecord) -> Iterator[Finding]:
    """R6: what the Director believes of one ECU."""
    name = f"{vehicle.vehicle}/{record.ecu.id}"
    truth = _life(vehicle, record.ecu.id, record.ecu.key)
    if record.reported is not None:
        counter = record.reported.report.counter
        signed = None if truth is None else truth.reports.get(counter)
        if signed != record.reported.message:
            yield Rule.NOT_AHEAD, f"{name}: report {counter} is on record, which this ECU did not sign"
    assigned = record.assigned
    if assigned is None or not assigned.proven:
        return
    image = installed_image(assigned.image)
    said = None if record.reported is None else record.reported.report
    if said is None or said.image != image or said.state not in _AT_REST:
        yield Rule.NOT_AHEAD, f"{name}: {image.filename} is called proven, and its latest report says otherwise"
    states = _AT_REST if assigned.held else _CONFIRMED
    since = 0 if assigned.held else assigned.targets_version
    proof = truth is not None and any(
        was.image == image and was.state in states and max(was.floor, was.targets_version) >= since
        for was in truth.history
    )
    if not proof:
        yield Rule.NOT_AHEAD, f"{name}: {image.filename} is called proven, and was never confirmed there"


def _life(vehicle: VehicleTruth, ecu: EcuId, key: PublicKey | None) -> EcuTruth | None:
    return next((truth for truth in vehicle.lives.get(ecu, ()) if truth.key == key), None)
