"""What the Director keeps durably, with the rules of its database: a transaction is there as a whole or not at all.

Values are those that the cores store, and frozen, so keeping them is keeping them as they were when they were stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from director.assign import filenames
from director.audit import Linked, link
from director.errors import Declined, Reason
from director.events import Log, PutCertificate, PutRoot, PutRules, PutVehicle, RevokeCertificates, Store
from director.inventory import Vehicle
from director.resolve import Rule
from sim.signatures import HASHER
from uptane.model.ids import Filename, HardwareId, VehicleId
from uptane.model.signed import PublicKey
from uptane.moments import UtcTime
from uptane.verify.delegations import Wanted


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who may act by it, and since when no longer."""

    uri: str
    issued: UtcTime
    revoked: UtcTime | None = None


class Records:
    """The database."""

    def __init__(self) -> None:
        self.vehicles: dict[VehicleId, Vehicle] = {}
        self.roots: list[bytes] = []
        self.rules: tuple[Rule, ...] = ()
        self.certificates: dict[str, Certificate] = {}
        self.audit: list[Linked] = []
        self.image_files: dict[str, bytes] = {}
        self._owners: dict[PublicKey, VehicleId] = {}
        self._uses: dict[VehicleId, frozenset[tuple[Filename, HardwareId]]] = {}
        self._used: Counter[tuple[Filename, HardwareId]] = Counter()

    def images_in_use(self) -> set[Wanted]:
        """Every image the fleet has to do with, by name and the hardware it is looked up for."""
        return {Wanted(filename, hardware) for filename, hardware in self._used}

    def is_admitted(self, serial: str, uri: str) -> bool:
        """Whether this certificate may act under this name."""
        found = self.certificates.get(serial)
        return found is not None and found.uri == uri and found.revoked is None

    def commit(self, stores: Sequence[Store]) -> None:
        """Store everything, or nothing.

        Raises:
            Declined: a key that another vehicle's ECU has.
        """
        for store in stores:
            if isinstance(store, PutVehicle):
                self._check_keys(store.vehicle)
        for store in stores:
            self._carry_out(store)

    def keep_image_file(self, file: str, octets: bytes | None) -> None:
        """Store a file of the Image repository, or drop it for None."""
        if octets is None:
            self.image_files.pop(file, None)
        else:
            self.image_files[file] = octets

    def _carry_out(self, store: Store) -> None:
        match store:
            case PutVehicle(vehicle=vehicle):
                self._put(vehicle)
            case PutRoot(version=version, octets=octets):
                assert version == len(self.roots) + 1, "versions are given once, without a gap"
                self.roots.append(octets)
            case PutRules(rules=rules):
                self.rules = rules
            case PutCertificate(serial=serial, uri=uri, utc=utc):
                assert serial not in self.certificates, "serial numbers are given once"
                self.certificates[serial] = Certificate(uri, utc)
            case RevokeCertificates(uri=uri, utc=utc):
                for serial, each in self.certificates.items():
                    if each.uri == uri and each.revoked is None:
                        self.certificates[serial] = Certificate(uri, each.issued, utc)
            case Log(entry=entry):
                self.audit.append(link(self.audit[-1] if self.audit else None, entry, HASHER))
            case _:
                assert_never(store)

    def _check_keys(self, vehicle: Vehicle) -> None:
        for public in _keys(vehicle):
            if self._owners.get(public, vehicle.id) != vehicle.id:
                raise Declined(Reason.EXISTS, f"an ECU of {vehicle.id} has the key of another vehicle's ECU")

    def _put(self, vehicle: Vehicle) -> None:
        before = self.vehicles.get(vehicle.id)
        if before is not None:
            for public in _keys(before):
                self._owners.pop(public, None)
        self._owners |= dict.fromkeys(_keys(vehicle), vehicle.id)
        self.vehicles[vehicle.id] = vehicle
        uses = frozenset(filenames([vehicle]))
        old = self._uses.get(vehicle.id, frozenset())
        if uses != old:
            self._used.update(uses - old)
            self._used.subtract(old - uses)
            for gone in old - uses:
                if not self._used[gone]:
                    del self._used[gone]
            self._uses[vehicle.id] = uses


def _keys(vehicle: Vehicle) -> Iterable[PublicKey]:
    return [record.ecu.key for record in vehicle.ecus if record.ecu.key is not None]
