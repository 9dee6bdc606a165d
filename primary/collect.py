"""Every ECU's version report, and our own, into the vehicle version manifest (Uptane 2.1.0, section 5.4.2.1).

An ECU is asked for its status; only when the status names a report we do not have is the report read. A manifest is
made and signed only when something in it changed, so that its digest stays for idle polls. An ECU that does not answer
is represented by its latest report and since when it is silent; so is one that never gave a report by its own key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from primary.layout import Secondary
from primary.means import Means
from primary.needs import AnyNeed, Note, Now, Save, Step, Together
from primary.reports import check_follows, verified_report
from primary.state import MANIFEST, REPORTS, Memory, Told, count_refusal, refusals_of, save_silent
from uptane.errors import LinkFailure, Malformed, MarqueError, Rejected, check_of
from uptane.link.uds_client import read_report, read_status
from uptane.link.uds_objects import Status
from uptane.machine import Workflow
from uptane.model.ids import EcuId
from uptane.model.metadata import LEVEL
from uptane.model.reports import EcuReport, EcuState, ManifestEntry, VehicleManifest
from uptane.verify.installation import Installation

ActOn: TypeAlias = Callable[[Secondary], Workflow[AnyNeed, object]]

COUNTER_MAX: Final = 2**32 - 1
COUNTER_LEAP: Final = 1_024  # after the Director has seen a counter we know nothing of: our records were lost

_IN_TRANSACTION: Final = frozenset({EcuState.PREPARED, EcuState.TRIAL, EcuState.VOTED, EcuState.COMMITTED})


def collect(means: Means, memory: Memory) -> Workflow[AnyNeed, bytes]:
    """Look at every ECU, read what is new, and return the vehicle manifest: the one before if nothing has changed.

    Raises:
        StorageFailure: what is new cannot be kept; nothing has been signed with a counter that could be met again.
    """
    yield from look(means, memory)
    yield from _read_reports(means, memory)
    now = yield Now()
    utc = memory.utc(now)
    silent = {
        each.ecu: memory.silent.get(each.ecu, utc)
        for each in means.layout.secondaries
        if each.ecu not in memory.statuses or each.ecu not in memory.reports
    }
    yield from save_silent(memory, silent)
    yield from own_report(means, memory)
    return (yield from _manifest(means, memory))


def look(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Read the status of every Secondary, all buses at once; one that does not answer has none."""
    yield from on_all_buses(means, lambda each: _look_at(memory, each))


def on_all_buses(means: Means, act: ActOn) -> Workflow[AnyNeed, list[tuple[EcuId, object]]]:
    """Run `act` for every Secondary: one after the other on a bus, the buses side by side.

    Returns what came of each, a MarqueError where it raised one.
    """
    return (yield from on_buses(means.layout.buses(), act))


def on_buses(buses: Sequence[Sequence[Secondary]], act: ActOn) -> Workflow[AnyNeed, list[tuple[EcuId, object]]]:
    """As on_all_buses, for these Secondaries only."""
    outcomes: list[tuple[EcuId, object]] = []
    for bus in (yield Together(tuple(_one_by_one(bus, act) for bus in buses))):
        outcomes.extend(bus)
    return outcomes


def _one_by_one(bus: Sequence[Secondary], act: ActOn) -> Workflow[AnyNeed, list[tuple[EcuId, object]]]:
    outcomes: list[tuple[EcuId, object]] = []
    for each in bus:
        try:
            outcomes.append((each.ecu, (yield from act(each))))
        except MarqueError as failure:
            outcomes.append((each.ecu, failure))
    return outcomes


def _look_at(memory: Memory, secondary: Secondary) -> Workflow[AnyNeed, Status | None]:
    """Read one status into memory."""
    try:
        status = yield from read_status(secondary.ecu)
    except LinkFailure as failure:
        if memory.statuses.pop(secondary.ecu, None) is not None or secondary.ecu not in memory.silent:
            yield Note(Step.COLLECT, f"does not answer: {failure}", secondary.ecu)
        return None
    memory.statuses[secondary.ecu] = status
    return status


@dataclass(frozen=True, slots=True)
class _Untrue:
    """What was answered to the question for a report, and why it is none of that ECU's."""

    octets: bytes
    refusal: Rejected | Malformed


def _read_reports(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Read the reports that are newer than ours, and keep those that hold; the others are refused, and counted."""
    due = [[each for each in bus if _has_news(memory, each.ecu)] for bus in means.layout.buses()]
    buses = [bus for bus in due if bus]
    if not buses:
        return
    for ecu, outcome in (yield from on_buses(buses, lambda each: _read_one(means, memory, each.ecu))):
        if isinstance(outcome, _Untrue):
            yield from _tell_untrue(memory, ecu, outcome)


def _has_news(memory: Memory, ecu: EcuId) -> bool:
    status, known = memory.statuses.get(ecu), memory.reports.get(ecu)
    return status is not None and (known is None or known.report.counter != status.report_counter)


def heard(means: Means, memory: Memory, ecu: EcuId) -> Workflow[AnyNeed, EcuReport | None]:
    """What `ecu` has signed of itself last, by the status that was read last; None if it has signed nothing that holds.

    A status is the word of anybody on the bus. What decides about other ECUs is asked of this.
    """
    if _has_news(memory, ecu):
        untrue = yield from _read_one(means, memory, ecu)
        if untrue is not None:
            yield from _tell_untrue(memory, ecu, untrue)
            return None
    known = memory.reports.get(ecu)
    return None if known is None else known.report


def _tell_untrue(memory: Memory, ecu: EcuId, untrue: _Untrue) -> Workflow[AnyNeed, None]:
    """Count and tell what was answered in place of a report: once, however often, or every poll brought a manifest."""
    if memory.untrue.get(ecu) != untrue.octets:
        memory.untrue[ecu] = untrue.octets
        yield Note(Step.TROUBLE, f"a report that is not by this ECU, or not its latest: {untrue.refusal}", ecu)
        yield from count_refusal(memory, check_of(untrue.refusal).code)


def _read_one(means: Means, memory: Memory, ecu: EcuId) -> Workflow[AnyNeed, _Untrue | None]:
    """Read one report into memory; what was read, if it is none of that ECU's."""
    octets = yield from read_report(ecu)
    known = memory.reports.get(ecu)
    try:
        report = verified_report(means, ecu, octets)
        if known is not None:
            check_follows(known, report)
    except (Rejected, Malformed) as refusal:
        return _Untrue(octets, refusal)
    if known is None or known.report != report.report:
        yield Save(REPORTS + ecu, octets)
        memory.reports[ecu] = report
    return None


# ------------------------------------------------------------------------------------------------------ our own


def own_report(means: Means, memory: Memory) -> Workflow[AnyNeed, Told]:
    """This ECU's report: the latest one if it still says what is so, else a new one, kept before it is shown."""
    own = means.layout.ecu
    before = memory.reports.get(own)
    counter = max(memory.report_floor, 0 if before is None else before.report.counter)
    if before is not None and before.report == _report(means, memory, counter):
        return before
    if memory.report_floor:
        yield Save(REPORTS + own, means.sign(_report(means, memory, counter)))
        memory.report_floor = 0
    report = _report(means, memory, _next(counter))
    new = Told(means.sign(report), report)
    yield Save(REPORTS + own, new.octets)
    memory.reports[own] = new
    return new


def _report(means: Means, memory: Memory, counter: int) -> EcuReport:
    installation, held = memory.installation, memory.held
    return EcuReport(
        level=LEVEL,
        vehicle=means.layout.vehicle,
        ecu=means.layout.ecu,
        hardware=means.layout.hardware,
        counter=counter,
        state=installation.state,
        outcome=installation.outcome,
        bundle=installation.bundle,
        targets_version=acted_on(installation, memory),
        root_version=held.director.root.value.header.version,
        released_counter=installation.released_counter,
        image=installation.image,
        time=held.clock.time,
        previous_time=held.clock.previous,
        refusals=refusals_of(memory),
    )


def acted_on(installation: Installation, memory: Memory) -> int:
    """The Targets version an ECU acts on: in a transaction that one's, at rest the newest it has verified."""
    if installation.state in _IN_TRANSACTION:
        return installation.targets_version
    targets = memory.held.director.targets
    return 0 if targets is None else targets.value.header.version


def _manifest(means: Means, memory: Memory) -> Workflow[AnyNeed, bytes]:
    entries = tuple(_entry(memory, ecu) for ecu in sorted(means.layout.inventory(), key=str.encode))
    before = memory.manifest_said
    known = 0 if before is None else before.counter
    if before is not None and known >= memory.manifest_floor and before.entries == entries:
        return memory.manifest
    floor = max(known, memory.manifest_floor)
    manifest = VehicleManifest(LEVEL, means.layout.vehicle, means.layout.ecu, _next(floor), entries)
    if memory.manifest_floor:
        yield Save(MANIFEST, means.sign(replace(manifest, counter=floor)))
        memory.manifest_floor = 0
    octets = means.sign(manifest)
    yield Save(MANIFEST, octets)
    memory.manifest, memory.manifest_said = octets, manifest
    return octets


def _entry(memory: Memory, ecu: EcuId) -> ManifestEntry:
    report = memory.reports.get(ecu)
    return ManifestEntry(ecu, None if report is None else report.octets, memory.silent.get(ecu))


def _next(counter: int) -> int:
    assert counter < COUNTER_MAX, "a report a second for 136 years"
    return counter + 1


def leap_report(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Sign our report under a much higher counter: the Director knows a counter that our records do not."""
    own = means.layout.ecu
    counter = memory.reports[own].report.counter if own in memory.reports else 0
    report = _report(means, memory, min(counter + COUNTER_LEAP, COUNTER_MAX))
    new = Told(means.sign(report), report)
    yield Save(REPORTS + own, new.octets)
    memory.reports[own] = new


def leap_manifest(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Sign our manifest under a much higher counter, for the same reason."""
    before = memory.manifest_said
    assert before is not None
    counter = min(before.counter + COUNTER_LEAP, COUNTER_MAX)
    entries = tuple(_entry(memory, ecu) for ecu in sorted(means.layout.inventory(), key=str.encode))
    manifest = VehicleManifest(LEVEL, means.layout.vehicle, means.layout.ecu, counter, entries)
    octets = means.sign(manifest)
    yield Save(MANIFEST, octets)
    memory.manifest, memory.manifest_said = octets, manifest
