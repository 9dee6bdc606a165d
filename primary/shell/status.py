"""What is durable of a Primary, for people and programs; it may be running or not."""

from __future__ import annotations

from typing import Any

from primary import journal, state
from primary.shell.config import Config
from uptane.codec.oer import Oer
from uptane.errors import Malformed
from uptane.model.limits import REPORT_LENGTH_MAX
from uptane.model.reports import EcuReport
from uptane.ports import Codec
from uptane.shell.files import Store
from uptane.verify import record
from uptane.verify.installation import factory


def described(config: Config, store: Store) -> dict[str, Any]:
    """Facts by name. Raises StorageFailure when a record is damaged."""
    codec, layout = Oer(), config.layout
    written = store.read(state.INSTALLED)
    installation = factory(config.factory) if written is None else record.load(written)
    transactions = journal.load(store.read(state.TRANSACTION))
    silent = state.numbers_in(store.read(state.SILENT))
    return {
        "vehicle": layout.vehicle,
        "ecu": layout.ecu,
        "hardware": layout.hardware,
        "state": installation.state.value,
        "outcome": installation.outcome.value,
        "slot": installation.running,
        "image": installation.image.filename,
        "sha256": installation.image.sha256.hex(),
        "release_counter": installation.image.release_counter,
        "released_counter": installation.released_counter,
        "transaction": None if transactions.journal is None else _journal(transactions.journal),
        "rolled_back": [[past.bundle.hex(), past.targets_version, past.reason] for past in transactions.rolled_back],
        "refusals": state.numbers_in(store.read(state.REFUSALS)),
        "ecus": [
            _ecu(_report(codec, store.read(state.REPORTS + ecu)), ecu, silent.get(ecu))
            for ecu in sorted(layout.inventory())
        ],
        "damaged": list(store.damaged),
    }


def _journal(found: journal.Journal) -> dict[str, Any]:
    return {
        "bundle": found.bundle.hex(),
        "targets_version": found.targets_version,
        "stage": found.stage.value,
        "participants": list(found.participants),
        "safe_set": list(found.safe_set),
        "excused": list(found.excused),
        "reason": found.reason,
    }


def _report(codec: Codec, octets: bytes | None) -> EcuReport | None:
    """A report on record, which was verified when it was put there; None when there is none, or when it is damaged."""
    if octets is None:
        return None
    try:
        report = codec.parse(codec.open(octets, REPORT_LENGTH_MAX).payload)
    except Malformed:
        return None
    return report if isinstance(report, EcuReport) else None


def _ecu(report: EcuReport | None, ecu: str, silent_since: int | None) -> dict[str, Any]:
    """What an ECU said last."""
    return {
        "ecu": ecu,
        "image": None if report is None else report.image.filename,
        "state": None if report is None else report.state.value,
        "outcome": None if report is None else report.outcome.value,
        "targets_version": None if report is None else report.targets_version,
        "counter": None if report is None else report.counter,
        "silent_since": silent_since,
    }
