"""What may happen to the Director, and what it does about it.

An event brings the records it is about, as the database holds them; effects say what becomes of them. The effects of
one event are carried out in order, and all that is to be stored in one transaction: a Reply is sent only once
everything before it is durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from director.assign import Selection
from director.audit import Entry
from director.catalogue import Catalogue
from director.errors import Declined
from director.inventory import Ecu, Vehicle
from director.poll import Answer, Asked
from director.resolve import Rule
from uptane.model.ids import EcuId, VehicleId
from uptane.model.signed import PublicKey
from uptane.moments import UtcTime

# ------------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class PollArrived:
    """A vehicle polls."""

    vehicle: Vehicle
    asked: Asked


@dataclass(frozen=True, slots=True)
class Enrol:
    """An operator enters a vehicle; `known` is the one already there under that id."""

    vehicle: VehicleId
    ecus: tuple[Ecu, ...]
    description: str
    known: Vehicle | None


@dataclass(frozen=True, slots=True)
class Provision:
    """An operator makes a vehicle's directory: keys of its ECUs, and the certificate just signed for it.

    `replacing` gives up what is on file: ECUs were exchanged, or the vehicle was revoked and comes back.
    `certified` is the fingerprint of the key that the certificate is for.
    """

    vehicle: Vehicle
    keys: Mapping[EcuId, PublicKey]
    certificate: str
    replacing: bool
    certified: str | None = None


@dataclass(frozen=True, slots=True)
class Assign:
    """An operator orders images, for these vehicles; `every` when they are the whole fleet."""

    vehicles: tuple[Vehicle, ...]
    selections: tuple[Selection, ...]
    every: bool
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Constrain:
    """An operator adds a rule between images, or takes it back."""

    rule: Rule
    remove: bool


@dataclass(frozen=True, slots=True)
class Revoke:
    """An operator ends a vehicle's access."""

    vehicle: Vehicle


@dataclass(frozen=True, slots=True)
class RevokeOperator:
    """An operator ends another operator's access."""

    name: str


@dataclass(frozen=True, slots=True)
class AddOperator:
    """An operator brings in another one, whose certificate has just been signed."""

    name: str
    certificate: str


@dataclass(frozen=True, slots=True)
class SubmitRoot:
    """An operator hands in the next Root."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """The Image repository was heard; its files are stored."""

    catalogue: Catalogue


@dataclass(frozen=True, slots=True)
class Stored:
    """All that the last event wanted stored is durable."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come."""


Act: TypeAlias = Enrol | Provision | Assign | Constrain | Revoke | RevokeOperator | AddOperator | SubmitRoot


@dataclass(frozen=True, slots=True)
class ByOperator:
    """An operator's act: who, and when by the Director's clock."""

    name: str
    utc: UtcTime
    act: Act


@dataclass(frozen=True, slots=True)
class ByVehicle:
    """A vehicle's poll, and when by the Director's clock."""

    utc: UtcTime
    poll: PollArrived


Event: TypeAlias = ByVehicle | ByOperator | Heard | Stored | Tick

# ------------------------------------------------------------------------------------------------------ effects


@dataclass(frozen=True, slots=True)
class PutVehicle:
    """Store the vehicle, in place of what is there under its id."""

    vehicle: Vehicle


@dataclass(frozen=True, slots=True)
class PutRoot:
    """Store the next Root."""

    version: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class PutRules:
    """Store the rules, all of them."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class RevokeCertificates:
    """Refuse every certificate of this name that was issued so far."""

    uri: str
    utc: UtcTime


@dataclass(frozen=True, slots=True)
class PutCertificate:
    """Admit a certificate, by its serial number; `key` is the fingerprint of a key that is to be nobody else's."""

    serial: str
    uri: str
    utc: UtcTime
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """Append to the audit log."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one ECU of an order."""

    vehicle: VehicleId
    ecu: EcuId
    image: str
    note: str


@dataclass(frozen=True, slots=True)
class Done:
    """An act is done; `changed` is False when everything was so before."""

    changed: bool
    vehicle: Vehicle | None = None
    outcomes: tuple[Outcome, ...] = ()
    rules: tuple[str, ...] = ()
    version: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer whoever asked."""

    answer: Answer | Done | Declined


@dataclass(frozen=True, slots=True)
class Refresh:
    """Hear the Image repository, and tell by Heard."""


Store: TypeAlias = PutVehicle | PutRoot | PutRules | RevokeCertificates | PutCertificate | Log
Effect: TypeAlias = Store | Reply | Refresh


def operator_uri(name: str) -> str:
    """How a certificate names an operator."""
    return f"marque:operator:{name}"


def vehicle_uri(vehicle: VehicleId) -> str:
    """How a certificate names a vehicle."""
    return f"marque:vehicle:{vehicle}"
