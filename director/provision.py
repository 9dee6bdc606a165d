"""What a vehicle starts with (Uptane 2.1.0, section 5.4.1): the metadata its ECUs trust because they were given it.

A partial ECU takes the Director's Root and Targets of it; a full one and the Primary take all roles of both.
"""

from __future__ import annotations

from collections.abc import Mapping

from director.fleet import Fleet
from director.inventory import Vehicle
from uptane.model.ids import Repository
from uptane.verify.trusted import ROOT_FILE, SNAPSHOT_FILE, TARGETS_FILE, TIMESTAMP_FILE


def initial_files(vehicle: Vehicle, fleet: Fleet) -> Mapping[str, bytes]:
    """Initial metadata by path: `director/root`, ..., `image/targets`. The vehicle has been issued its first set."""
    issued = vehicle.issued
    assert issued is not None, "provisioning issues the first set"
    director = {
        ROOT_FILE: fleet.root.octets,
        TIMESTAMP_FILE: issued.timestamp,
        SNAPSHOT_FILE: issued.snapshot,
        TARGETS_FILE: issued.targets,
    }
    files = {f"{Repository.DIRECTOR.value}/{name}": octets for name, octets in director.items()}
    return files | {f"{Repository.IMAGE.value}/{name}": octets for name, octets in fleet.catalogue.files().items()}


PARTIAL = frozenset({f"{Repository.DIRECTOR.value}/{ROOT_FILE}", f"{Repository.DIRECTOR.value}/{TARGETS_FILE}"})
"""What of it a partial ECU gets."""
