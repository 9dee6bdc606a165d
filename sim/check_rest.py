"""The rule of the end (R11): every healthy vehicle runs what was ordered, released, and the Director knows just that.

Asked of durable octets, after faults have stopped and people have mended what people mend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from director.inventory import EcuRecord, Vehicle
from primary.journal import HISTORY_MAX
from primary.state import REFUSALS, numbers_in
from secondary import refusals, state
from sim.check_bundle import VehicleTruth
from sim.truth import EcuTruth, octets_of
from uptane.errors import StorageFailure
from uptane.model.ids import EcuId, Filename
from uptane.model.reports import EcuState
from uptane.verify.image import installed_image
from uptane.verify.installation import ROLLED_BACK_MAX

REFUSALS_MAX: Final = 8  # kinds, as many as a report carries
UNSETTLED_MAX: Final = 8  # images that the Director is unsure of; beyond, it sends nothing new

_AT_REST: Final = {EcuState.IDLE, EcuState.RELEASED}

Ordered = Mapping[EcuId, Filename]


def unsettled(vehicle: VehicleTruth, recorded: Vehicle, ordered: Ordered) -> Iterator[str]:
    """What keeps a vehicle from being where it should be; nothing when it is there. A revoked one is left alone."""
    if recorded.revoked is not None:
        return
    journal = vehicle.journal.journal
    if journal is not None:
        yield f"{vehicle.vehicle}: a transaction is open, {journal.stage.value}"
    if len(vehicle.journal.rolled_back) > HISTORY_MAX:
        yield f"{vehicle.vehicle}: {len(vehicle.journal.rolled_back)} bundles are remembered as rolled back"
    if recorded.reissue:
        yield f"{vehicle.vehicle}: the Director wants to issue anew"
    for record in recorded.ecus:
        name = f"{vehicle.vehicle}/{record.ecu.id}"
        truth = vehicle.ecus.get(record.ecu.id)
        if truth is None:
            yield f"{name}: was never met"
            continue
        for text in (*_runs(truth, record, ordered.get(record.ecu.id)), *_is_known(truth, record), *_is_bounded(truth)):
            yield f"{name}: {text}"


def _runs(truth: EcuTruth, record: EcuRecord, ordered: Filename | None) -> Iterator[str]:
    """Whether the ECU itself is where it should be."""
    now = truth.installation
    if now.state not in _AT_REST:
        yield f"is {now.state.value}"
    if now.running != now.home:
        yield f"runs slot {now.running}, and slot {now.home} is released"
    if not truth.node.powered or truth.node.machine is None:
        yield "does not run"
    if record.assigned is not None and installed_image(record.assigned.image) != now.image:
        yield f"runs {now.image.filename}, assigned is {record.assigned.image.filename}"
    if ordered is not None and now.image.filename != ordered:
        yield f"runs {now.image.filename}, ordered was {ordered}"


def _is_known(truth: EcuTruth, record: EcuRecord) -> Iterator[str]:
    """Whether the Director knows what is true."""
    now = truth.installation
    if record.ecu.key != truth.key:
        yield "another key is on file"
    if record.silent_since is not None:
        yield f"is called silent since {record.silent_since}"
    if record.reported is None:
        yield "never reported"
    else:
        said = record.reported.report
        if (said.image, said.state, said.released_counter) != (now.image, now.state, now.released_counter):
            told = f"is said to run {said.image.filename} ({said.state.value})"
            yield f"{told}, runs {now.image.filename} ({now.state.value})"
    if record.assigned is not None and not record.assigned.proven:
        yield f"{record.assigned.image.filename} is assigned and not proven"
    if record.wanted is not None and (record.assigned is None or record.wanted != record.assigned.image):
        yield f"{record.wanted.filename} is ordered and not sent"


def _is_bounded(truth: EcuTruth) -> Iterator[str]:
    """Whether what it remembers of trouble is bounded."""
    if len(truth.installation.rolled_back) > ROLLED_BACK_MAX:
        yield f"remembers {len(truth.installation.rolled_back)} attempts"
    try:
        octets = octets_of(truth, REFUSALS if truth.primary else state.REFUSALS)
        kinds = len(numbers_in(octets)) if truth.primary else len(refusals.load(octets))
    except StorageFailure:
        return
    if kinds > REFUSALS_MAX:
        yield f"remembers {kinds} kinds of refusals"
