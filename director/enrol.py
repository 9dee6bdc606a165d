"""Entering a vehicle into the inventory: is its description whole and free of contradictions?

Reading VEHICLE.toml is the shell's; that no two vehicles share a key is the database's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from director.errors import Declined, Reason
from director.inventory import ADDRESS_MAX, Ecu, EcuRecord, Vehicle, Verification
from uptane.model.ids import FILENAME_LENGTH_MAX, EcuId, VehicleId, is_name
from uptane.model.limits import ECUS_MAX, IMAGE_LENGTH_MAX
from uptane.model.reports import InstalledImage
from uptane.model.signed import PublicKey
from uptane.moments import UtcTime

DESCRIPTION_LENGTH_MAX = 65_536  # characters; 128 ECUs at 250 are 32,000

_PATTERN = re.compile(r"[A-Za-z0-9._+:@*?-][A-Za-z0-9._+:@/*?-]*", re.ASCII)


def enrol(vehicle: VehicleId, ecus: Sequence[Ecu], description: str, utc: UtcTime) -> Vehicle:
    """A new vehicle with these ECUs.

    Raises:
        Declined: a name, address, pattern or size out of its limits; not exactly one Primary; something twice.
    """
    if not is_name(vehicle):
        raise _invalid(f"{vehicle[:80]!r} is no vehicle id")
    if len(description) > DESCRIPTION_LENGTH_MAX:
        raise _invalid(f"a description of {len(description)} characters; {DESCRIPTION_LENGTH_MAX} are allowed")
    if not 1 <= len(ecus) <= ECUS_MAX:
        raise _invalid(f"{len(ecus)} ECUs; a vehicle has 1 to {ECUS_MAX}")
    for ecu in ecus:
        _judge_ecu(ecu)
    _judge_together(ecus)
    ascending = sorted(ecus, key=lambda ecu: ecu.id.encode())
    records = tuple(EcuRecord(ecu, settled=ecu.factory) for ecu in ascending)
    return Vehicle(vehicle, records, description, utc)


def same(known: Vehicle, described: Vehicle) -> bool:
    """Whether a vehicle already enrolled is the one described now; keys it was given since do not count."""
    if known.description != described.description or len(known.ecus) != len(described.ecus):
        return False
    return all(
        before.ecu == replace(now.ecu, key=now.ecu.key or before.ecu.key)
        for before, now in zip(known.ecus, described.ecus, strict=True)
    )


def give_keys(vehicle: Vehicle, keys: Mapping[EcuId, PublicKey], *, replacing: bool) -> Vehicle:
    """The vehicle with keys for ECUs that have none; the same key again changes nothing.

    With `replacing`, a key on file gives way: the ECU was exchanged, and its counters begin anew.

    Raises:
        Declined: an unknown ECU, a key for two ECUs, another key than the one on file, an ECU left without one.
    """
    changed: dict[EcuId, EcuRecord] = {}
    for ecu, key in keys.items():
        record = vehicle.find(ecu)
        if record is None:
            raise Declined(Reason.UNKNOWN, f"{vehicle.id} has no ECU {ecu}")
        if record.ecu.key == key:
            continue
        if record.ecu.key is not None and not replacing:
            raise Declined(Reason.EXISTS, f"{ecu} has another key on file; replacing it means the ECU was exchanged")
        fresh = replace(record, reported=None, silent_since=None, assigned=None, unsettled=(), settled=None)
        changed[ecu] = replace(fresh, ecu=replace(record.ecu, key=key), settled=record.ecu.factory)
    given = vehicle.with_records(changed)
    if changed and given.primary.ecu.id in changed:
        given = replace(given, admission=None)  # a new Primary begins to count manifests anew
    _no_key_twice(given.id, (record.ecu for record in given.ecus))
    without = [record.ecu.id for record in given.ecus if record.ecu.key is None]
    if without:
        raise Declined(Reason.UNREADY, f"no key for {', '.join(without)}")
    return given


def _judge_ecu(ecu: Ecu) -> None:
    """One ECU by itself."""
    if not is_name(ecu.id):
        raise _invalid(f"{ecu.id[:80]!r} is no ECU id")
    if not is_name(ecu.hardware):
        raise _invalid(f"{ecu.id}: {ecu.hardware[:80]!r} is no hardware id")
    if not (len(ecu.filename) <= FILENAME_LENGTH_MAX and _PATTERN.fullmatch(ecu.filename) and ".." not in ecu.filename):
        raise _invalid(f"{ecu.id}: {ecu.filename[:140]!r} is no filename pattern")
    if not 1 <= ecu.slot_size <= IMAGE_LENGTH_MAX:
        raise _invalid(f"{ecu.id}: a slot of {ecu.slot_size} octets; 1 to {IMAGE_LENGTH_MAX} are possible")
    if ecu.primary and (ecu.verification is not Verification.FULL or ecu.bus or ecu.address):
        raise _invalid(f"{ecu.id}: a Primary verifies fully and has neither bus nor address of its own")
    if not ecu.primary and not (is_name(ecu.bus) and "/" not in ecu.bus):
        raise _invalid(f"{ecu.id}: {ecu.bus[:80]!r} is no name of a bus")
    if not ecu.primary and not 1 <= ecu.address <= ADDRESS_MAX:
        raise _invalid(f"{ecu.id}: address {ecu.address:#x}; Secondaries have 0x01 to {ADDRESS_MAX:#x}")
    if ecu.factory is not None:
        _judge_factory(ecu, ecu.factory)


def _judge_factory(ecu: Ecu, image: InstalledImage) -> None:
    if not is_name(image.filename, FILENAME_LENGTH_MAX):
        raise _invalid(f"{ecu.id}: {image.filename[:140]!r} is no filename")
    if len(image.sha256) != 32:
        raise _invalid(f"{ecu.id}: the factory image's SHA-256 has {len(image.sha256)} octets")
    if image.length > ecu.slot_size:
        raise _invalid(f"{ecu.id}: the factory image has {image.length} octets, the slot {ecu.slot_size}")


def _judge_together(ecus: Sequence[Ecu]) -> None:
    """What no two ECUs may share, and what exactly one must be."""
    primaries = [ecu.id for ecu in ecus if ecu.primary]
    if len(primaries) != 1:
        raise _invalid(f"{len(primaries)} Primaries ({', '.join(primaries) or 'none'}); a vehicle has exactly one")
    if len({ecu.id for ecu in ecus}) != len(ecus):
        raise _invalid("an ECU id stands twice")
    places = [(ecu.bus, ecu.address) for ecu in ecus if not ecu.primary]
    if len(set(places)) != len(places):
        raise _invalid("two ECUs have the same address on the same bus")
    _no_key_twice(None, ecus)


def _no_key_twice(vehicle: VehicleId | None, ecus: Iterable[Ecu]) -> None:
    keys = [ecu.key for ecu in ecus if ecu.key is not None]
    if len(set(keys)) != len(keys):
        raise _invalid(f"{vehicle or 'the vehicle'}: two ECUs have the same key")


def _invalid(text: str) -> Declined:
    return Declined(Reason.INVALID, text)
