"""Provisioning, from the operator's end: keys made here, public halves handed in, everything else written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from director.errors import Refused
from director.shell.client import Client
from director.shell.messages import key_message
from director.shell.vehicle_directory import Addresses, Brought, make_keys, write
from director.shell.vehicle_file import describe
from uptane.model.ids import EcuId
from uptane.model.signed import PublicKey
from uptane.rpc.gen import director_pb2 as pb
from uptane.shell import tls


@dataclass(frozen=True, slots=True)
class Wish:
    """What to provision: a vehicle by id or file, which ECUs were exchanged, whether to revoke what was before.

    `request` is a request for the vehicle's certificate that its Primary made; None: its key is made here.
    `public_keys` are those of ECUs that made theirs.
    """

    vehicle: str
    exchanged: tuple[str, ...]
    renew: bool
    addresses: Addresses
    request: Path | None = None
    public_keys: Mapping[str, PublicKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """What was provisioned; `tls_key` is the fingerprint of the key that the vehicle's certificate is for."""

    vehicle: str
    ecus: Sequence[str]
    tls_key: str

    def facts(self, out: Path) -> dict[str, Any]:
        """For JSON."""
        folders = {ecu: str(out / ecu) for ecu in self.ecus}
        return {"vehicle": self.vehicle, "folders": folders, "tls_key": self.tls_key}


def provision_into(out: Path, client: Client, wish: Wish) -> Written:
    """Provision a vehicle below `out`.

    Raises:
        Refused: the Director says no, or an exchanged ECU is not there.
        LinkFailure, StorageFailure, SettingsError: as their names say.
    """
    file = Path(wish.vehicle)
    base, vehicle = (file.parent, describe(file).vehicle) if file.is_file() else (Path(), wish.vehicle)
    known, _ = client.provision(pb.ProvisionRequest(vehicle=vehicle))
    ecus = [ecu.id for ecu in known.ecus]
    strangers = sorted({*wish.exchanged, *wish.public_keys} - set(ecus))
    if strangers:
        raise Refused(f"{vehicle} has no ECU {', '.join(strangers)}")
    brought = Brought(
        {EcuId(ecu): key for ecu, key in wish.public_keys.items()},
        None if wish.request is None else tls.read_public(wish.request),
    )
    made = make_keys(out, known, [EcuId(ecu) for ecu in wish.exchanged], brought)
    request = pb.ProvisionRequest(
        vehicle=vehicle,
        keys=[pb.EcuKey(ecu=ecu, public_key=key_message(key)) for ecu, key in made.keys.items()],
        certificate_request=made.request,
        replace=wish.renew or bool(wish.exchanged),
    )
    provisioned, files = client.provision(request)
    write(out, provisioned, files, base=base, to=wish.addresses)
    return Written(str(vehicle), ecus, tls.fingerprint(made.request))
