"""What is durable of a Secondary, for people and programs: the installation, not what is verified."""

from __future__ import annotations

from typing import Any

from secondary import refusals
from secondary.needs import Found
from secondary.shell.config import Config
from secondary.state import INSTALLATION, REFUSALS
from uptane.verify import record


def described(config: Config, durable: Found) -> dict[str, Any]:
    """Facts by name; empty when this ECU has never run. Raises StorageFailure when a record is damaged."""
    octets = durable.records.get(INSTALLATION)
    if octets is None:
        return {}
    installation = record.load(octets)
    counts = refusals.load(durable.records.get(REFUSALS))
    progress = durable.progress[installation.other]
    return {
        "vehicle": config.vehicle,
        "ecu": config.ecu,
        "hardware": config.hardware,
        "verification": config.verification.value,
        "state": installation.state.value,
        "outcome": installation.outcome.value,
        "slot": installation.running,
        "image": installation.image.filename,
        "sha256": installation.image.sha256.hex(),
        "release_counter": installation.image.release_counter,
        "released_counter": installation.released_counter,
        "bundle": None if installation.bundle is None else installation.bundle.hex(),
        "targets_version": installation.targets_version,
        "downloaded": 0 if progress is None else progress.next_offset,
        "refusals": {check.name: count for check, count in counts.items()},
        "damaged": list(durable.damaged),
    }
